"""A role and its bounds in a form: one choice, `role|circle|merchant`, and what it is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flask_babel import gettext as _

from gateway.auth.grants import Scope
from gateway.auth.principal import ROLES
from gateway.catalog.directory import Directory
from gateway.web.pages.roles import role_name

_PARTS: Final = 3


def read_scope(text: str) -> Scope | None:
    """What a form's choice means; None for what is none. Whether it may be given is the caller's to ask."""
    parts = text.split("|")
    if len(parts) != _PARTS or parts[0] not in ROLES:
        return None
    return Scope(parts[0], parts[1] or None, parts[2] or None)


def scope_choices(directory: Directory, scopes: Sequence[Scope]) -> list[tuple[str, str]]:
    """(value, words) pairs for a select."""
    return [(f"{one.role}|{one.circle or ''}|{one.merchant or ''}", scope_words(directory, one)) for one in scopes]


def scope_words(directory: Directory, scope: Scope) -> str:
    """`店员 · 老陈面馆`."""
    if scope.merchant is not None:
        merchant = directory.merchant(scope.merchant)
        place = merchant.name if merchant is not None else scope.merchant
    elif scope.circle is not None:
        circle = directory.circle(scope.circle)
        place = circle.name if circle is not None else scope.circle
    else:
        place = str(_("全部商圈"))
    return f"{role_name(scope.role)} · {place}"
