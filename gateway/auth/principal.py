"""Who is asking, and what his role lets him do: pure, and denied unless a rule here says otherwise (R072).

admin ⊃ operator (all circles, or one) ⊃ manager (a merchant) ⊃ clerk (a merchant); integrator stands apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from gateway.catalog.directory import Directory
from gateway.contract.errors import Refused

Role = Literal["admin", "operator", "manager", "clerk", "integrator"]
TokenKind = Literal["api", "login", "session"]

_RANK: Final[Mapping[str, int]] = {"clerk": 1, "manager": 2, "operator": 3, "admin": 4}
"""Each may do what a lower one may. An integrator has no rank: he does what is his, and nothing else."""

ROLES: Final = (*_RANK, "integrator")
USER_ROLES: Final = tuple(_RANK)
"""Roles that a person signs in with; an integrator is a program and has API tokens only."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever holds a good token. `circle` and `merchant` bound what he sees; None where the role has no such bound.

    `name` is what audit rows and redemptions say: the user's name, or the API token's. `confirmed_at`: when a password
    was last given for this token, in the store's text.
    """

    name: str
    kind: TokenKind
    role: str
    circle: str | None
    merchant: str | None
    token_id: str
    confirmed_at: str | None = None

    def may(self, role: Role) -> bool:
        """Whether he may do what is open to `role`. False for a role unknown to this version."""
        if role == "integrator" or self.role == "integrator":
            return self.role == role
        return _RANK.get(self.role, 0) >= _RANK[role]

    def sees(self, circle: str, merchant: str) -> bool:
        """Whether an object of this circle and merchant lies in his scope."""
        if self.role not in ROLES:
            return False
        if self.role == "admin":
            return True
        if self.role in {"manager", "clerk"} and self.merchant is None:
            return False
        return self.circle in {None, circle} and self.merchant in {None, merchant}

    def merchants(self, directory: Directory) -> frozenset[str] | None:
        """The merchants in his scope; None stands for every one."""
        bounded = self.circle is not None or self.merchant is not None
        if self.role == "admin" or (self.role in {"operator", "integrator"} and not bounded):
            return None
        return frozenset(
            slug for slug, merchant in directory.catalog.merchants.items() if self.sees(merchant.circle, slug)
        )

    def circles(self, directory: Directory) -> frozenset[str] | None:
        """The circles in his scope, a manager's being that of his merchant; None stands for every one."""
        merchants = self.merchants(directory)
        if merchants is None:
            return None
        if self.circle is not None:
            return frozenset({self.circle})
        return frozenset(directory.catalog.merchants[slug].circle for slug in merchants)


def check_scope(role: str, circle: str | None, merchant: str | None) -> None:
    """Whether a role may have this scope. Raises Refused `bad_scope` (422) with what is wrong."""
    if role not in ROLES:
        raise Refused("bad_scope", 422, f"the role is one of {', '.join(ROLES)}")
    if role == "admin" and (circle or merchant):
        raise Refused("bad_scope", 422, "an admin has no circle and no merchant")
    if role == "operator" and merchant:
        raise Refused("bad_scope", 422, "an operator has a circle or nothing, but no merchant")
    if role in {"manager", "clerk"}:
        if not merchant:
            raise Refused("bad_scope", 422, f"a {role} needs a merchant")
        if circle:
            raise Refused("bad_scope", 422, f"a {role} has a merchant, and with it the merchant's circle")
