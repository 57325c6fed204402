"""The rule of two-sided incentive, pure: whether a payment fires it, and how much each side gets.

Rates are basis points of what was paid, rounded down to the fen; a fixed amount and a rate add up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

Reason = Literal["no_quota_code", "budget", "pair_limit", "own_shop", "below_minimum", "not_in_group", "times"]
CodeState = Literal["unused", "bound", "used_up", "void"]
BPS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Terms:
    """The numbers of one campaign. `times` is how often a user may fire it in `period_days`; 0 is no limit."""

    user_fen: int = 0
    user_bps: int = 0
    merchant_fen: int = 0
    merchant_bps: int = 0
    clerk_bps: int = 0
    min_amount_fen: int = 0
    per_pair_per_day: int = 0
    times: int = 0
    period_days: int = 0
    user_sources: frozenset[str] = frozenset()
    """Tag sources (merchants or persons) whose users count; empty: every tagged one."""


@dataclass(frozen=True, slots=True)
class Firing:
    """What one payment is worth. The clerk's share is part of the merchant's side, the merchant keeps the rest."""

    user_fen: int
    merchant_fen: int
    clerk_fen: int

    @property
    def cost_fen(self) -> int:
        """What the campaign pays for it."""
        return self.user_fen + self.merchant_fen + self.clerk_fen

    @property
    def gives_both(self) -> bool:
        """Whether each side gets something; a small payment's rate may come to nothing (R162: both or neither)."""
        return self.user_fen > 0 and self.merchant_fen + self.clerk_fen > 0


def firing(terms: Terms, amount_fen: int, *, has_clerk: bool) -> Firing:
    """What a payment of `amount_fen` gives both sides; the parts of the merchant's side sum exactly (R164)."""
    user = terms.user_fen + amount_fen * terms.user_bps // BPS
    side = terms.merchant_fen + amount_fen * terms.merchant_bps // BPS
    clerk = side * terms.clerk_bps // BPS if has_clerk else 0
    return Firing(user, side - clerk, clerk)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when a payment is looked at. `tag_before` is how the payer stood before it."""

    amount_fen: int
    tag_before: str
    tag_source: str
    has_quota: bool
    pays_at_own_shop: bool
    pair_today: int
    fired_in_period: int


def refusal(terms: Terms, facts: Facts) -> Reason | None:
    """Why a payment fires nothing; None when it fires, as far as budgets allow. The first that holds is told."""
    in_group = facts.tag_before == "tagged" and (not terms.user_sources or facts.tag_source in terms.user_sources)
    reasons: dict[Reason, bool] = {
        "not_in_group": not in_group,
        "no_quota_code": not facts.has_quota,
        "below_minimum": too_small(terms, facts.amount_fen),
        "own_shop": facts.pays_at_own_shop,
        "pair_limit": bool(terms.per_pair_per_day) and facts.pair_today >= terms.per_pair_per_day,
        "times": bool(terms.times) and facts.fired_in_period >= terms.times,
    }
    return next((word for word, holds in reasons.items() if holds), None)


def too_small(terms: Terms, amount_fen: int) -> bool:
    """Whether an amount is under the campaign's minimum, or gives one of the sides nothing at all."""
    return amount_fen < max(terms.min_amount_fen, 1) or not firing(terms, amount_fen, has_clerk=False).gives_both


def after_refund(terms: Terms, left_fen: int, *, has_clerk: bool, withdrawn: bool) -> Firing:
    """What both sides keep of a payment of which `left_fen` is left; nothing where it would not have fired."""
    if withdrawn or too_small(terms, left_fen):
        return Firing(0, 0, 0)
    return firing(terms, left_fen, has_clerk=has_clerk)


def faults(terms: Terms) -> Iterator[tuple[str, str]]:
    """(name in the apply file, why) for each thing that cannot be."""
    for name in ("user_fen", "merchant_fen", "min_amount_fen", "per_pair_per_day", "times", "period_days"):
        if getattr(terms, name) < 0:
            yield name, "must be 0 or more"
    for name in ("user_bps", "merchant_bps", "clerk_bps"):
        if not 0 <= getattr(terms, name) <= BPS:
            yield name, f"must be 0 to {BPS}"
    if terms.user_fen + terms.user_bps <= 0:
        yield "user_fen", "gives the user nothing: set it or user_bps"
    if terms.merchant_fen + terms.merchant_bps <= 0:
        yield "merchant_fen", "gives the merchant nothing: set it or merchant_bps"
    if bool(terms.times) != bool(terms.period_days):
        yield "times", "goes together with period_days"
