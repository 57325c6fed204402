"""Checks of single values that an operator wrote, in TOML or JSON types.

Each maker gives a function that returns the value as the program keeps it, or raises ValueError with a message for a
person. Types are strict (true is no number, 2.0 no whole number), and no message repeats the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, Final

Check = Callable[[Any], Any]

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+\Z", re.ASCII)


def text(low: int = 0, high: int = 500) -> Check:
    """Text of `low` to `high` characters on one line."""

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("must be text")  # noqa: TRY004 - one kind of fault for the caller
        if not low <= len(value) <= high:
            raise ValueError(f"must have {low} to {high} characters" if value or not low else "must not be empty")
        if _CONTROL.search(value):
            raise ValueError("must hold no control characters")
        return value

    return check


def matching(pattern: str, meaning: str) -> Check:
    """Text that the whole of `pattern` matches; `meaning` tells a person what that is."""
    compiled = re.compile(pattern, re.ASCII)

    def check(value: Any) -> str:
        if not isinstance(value, str) or compiled.fullmatch(value) is None:
            raise ValueError(f"must be {meaning}")
        return value

    return check


def flag() -> Check:
    """A boolean and nothing that looks like one."""

    def check(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError("must be true or false")  # noqa: TRY004 - one kind of fault for the caller
        return value

    return check


def whole(low: int, high: int) -> Check:
    """A whole number from `low` to `high`."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return check


def number(low: float, high: float) -> Check:
    """A number from `low` to `high`, kept as float."""

    def check(value: Any) -> float:
        # `not low <= value` also catches TOML's nan.
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return float(value)

    return check


def one_of(*choices: str) -> Check:
    """One of the given words."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            near = get_close_matches(value, choices, n=1) if isinstance(value, str) else []
            raise ValueError(f"must be one of {', '.join(choices)}" + (f"; did you mean {near[0]}?" if near else ""))
        return value

    return check


def list_of(part: Check, what: str = "texts") -> Check:
    """A list whose every entry passes `part` and stands in it once; kept as a tuple."""

    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError(f"must be a list of {what}")  # noqa: TRY004 - one kind of fault for the caller
        found: list[Any] = []
        for place, entry in enumerate(value, start=1):
            try:
                kept = part(entry)
            except ValueError as error:
                raise ValueError(f"must be a list of {what}: entry {place} {error}") from None
            if kept in found:
                raise ValueError(f"entry {place} is there twice")
            found.append(kept)
        return tuple(found)

    return check


def suggestion(name: str, known: Iterable[str]) -> str:
    """`"; did you mean …?"` where a known name is near, else nothing."""
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def toml_path(*names: str) -> str:
    """The dotted path of names, quoted where TOML would quote them."""
    return ".".join(name if _BARE.match(name) else quoted(name) for name in names)


def quoted(value: str) -> str:
    """A TOML basic string. Control characters are written as escapes, so that the result prints as one line."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", escaped) + '"'
