"""Whom somebody may manage, and which scopes he may give (R072): pure, and denied unless a rule here says otherwise.

An admin manages everybody; an operator of all circles also the operators of one circle; everyone else only the roles
below his own, within his scope. Nobody manages himself here: his own password and sessions are his by other ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from gateway.auth.principal import USER_ROLES, Principal, Role, check_scope
from gateway.catalog.directory import Directory
from gateway.contract.errors import Refused

_BELOW: Final = {"operator": ("manager", "clerk"), "manager": ("clerk",)}


@dataclass(frozen=True, slots=True)
class Scope:
    """A role with its bounds."""

    role: str
    circle: str | None = None
    merchant: str | None = None


def may_give(who: Principal, wanted: Scope, directory: Directory) -> bool:
    """Whether `who` may make somebody this, or take it from him. Only scopes that the catalogue knows."""
    if not _exists(wanted, directory):
        return False
    if who.role == "admin":
        return True
    if wanted.role == "integrator":
        return who.may("operator") and _within(who, wanted, directory)
    if wanted.role == "operator":
        return who.role == "operator" and who.circle is None and wanted.circle is not None
    return wanted.role in _BELOW.get(who.role, ()) and _within(who, wanted, directory)


def may_see(who: Principal, other: Scope, directory: Directory) -> bool:
    """Whether a user stands in the list of `who`: his like and those below, in his scope."""
    if who.role == "admin":
        return True
    if other.role not in USER_ROLES or not who.may(cast("Role", other.role)):
        return False
    if other.role == "operator":
        return who.circle in {None, other.circle}
    return _within(who, other, directory)


def scopes_to_give(who: Principal, directory: Directory, *, programs: bool = False) -> Sequence[Scope]:
    """Every scope that `who` may give, the narrow ones first; `programs` adds what only programs can be."""
    catalog = directory.catalog
    wanted = [
        *(Scope(role, None, slug) for role in ("clerk", "manager") for slug in catalog.merchants),
        *(Scope("operator", slug) for slug in catalog.circles),
        Scope("operator"),
        Scope("admin"),
    ]
    if programs:
        wanted += [*(Scope("integrator", slug) for slug in catalog.circles), Scope("integrator")]
    return [one for one in wanted if may_give(who, one, directory)]


def _exists(wanted: Scope, directory: Directory) -> bool:
    try:
        check_scope(wanted.role, wanted.circle, wanted.merchant)
    except Refused:
        return False
    known = wanted.merchant is None or directory.merchant(wanted.merchant) is not None
    return known and (wanted.circle is None or directory.circle(wanted.circle) is not None)


def _within(who: Principal, other: Scope, directory: Directory) -> bool:
    if other.merchant is None:
        return who.merchant is None and who.circle in {None, other.circle}
    merchant = directory.merchant(other.merchant)
    return merchant is not None and who.sees(merchant.circle, merchant.slug)
