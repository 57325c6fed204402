"""Addresses of lists with one filter changed: every filter stands in the address, and a change begins at page one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from flask import url_for

_CURSORS = ("before", "after")


def changing(endpoint: str, values: Mapping[str, str], names: Collection[str]) -> Callable[..., str]:
    """`address(day="7", shop=None)`: the list at `endpoint` with the filters `names` of `values`, some changed."""
    kept = {name: values[name] for name in names if values.get(name)}

    def address(**changes: str | None) -> str:
        wanted: dict[str, Any] = {**kept, **changes}
        return url_for(endpoint, **{name: value for name, value in wanted.items() if value and name not in _CURSORS})

    return address


def paging(endpoint: str, values: Mapping[str, str], names: Collection[str], cursor: str, edge: str) -> str:
    """The page beyond `edge`: `cursor` is `before` or `after`. "" where there is none."""
    if not edge:
        return ""
    kept: dict[str, Any] = {name: values[name] for name in names if values.get(name)}
    return url_for(endpoint, **{**kept, cursor: edge})
