"""The rule of referral, pure: who may be bound to whom, when a friend qualifies, what is rewarded and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

ReferralState = Literal["scanned", "review", "bound", "qualified", "rewarded", "rejected", "expired"]
Binding = Literal["bound", "review", "self_referral", "already_bound", "existing_customer", "expired"]

MOVES: Final[Mapping[ReferralState, frozenset[ReferralState]]] = {
    "scanned": frozenset({"bound", "review", "expired"}),
    "review": frozenset({"bound", "rejected", "expired"}),
    "bound": frozenset({"qualified", "rejected", "expired"}),
    "qualified": frozenset({"rewarded", "rejected"}),
    "rewarded": frozenset({"rejected"}),
    "rejected": frozenset(),
    "expired": frozenset(),
}
"""R193. A refund may still reject what was rewarded (R194)."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The numbers of one campaign; 0 is no limit. `qualify_fen` is the least payment that counts."""

    referrer_item: str = ""
    referred_item: str = ""
    qualify_fen: int = 0
    per_day: int = 0
    total: int = 0
    hold_days: int = 0
    new_only: bool = True
    link_days: int = 30


@dataclass(frozen=True, slots=True)
class Scan:
    """What is known when a friend confirms an invitation."""

    is_self: bool
    bound_before: bool
    is_tagged: bool
    closes_ring: bool
    same_device: bool
    is_over: bool


def binding(terms: Terms, scan: Scan) -> Binding:
    """What becomes of a confirmation (R193, R195): rings and shared devices wait for a person's eye."""
    reasons: dict[Binding, bool] = {
        "self_referral": scan.is_self,
        "expired": scan.is_over,
        "already_bound": scan.bound_before,
        "existing_customer": terms.new_only and scan.is_tagged,
        "review": scan.closes_ring or scan.same_device,
    }
    return next((word for word, holds in reasons.items() if holds), "bound")


def qualifies(terms: Terms, state: ReferralState, bound_at: datetime, paid_at: datetime, left_fen: int) -> bool:
    """Whether a payment of the friend is the one that counts: after the binding, and enough (R190).

    Platforms tell a payment's time in whole seconds (`success_time`, `gmt_payment`): one of the second in which the
    friend was bound was made after it, since the binding found him without any.
    """
    return state == "bound" and paid_at >= bound_at.replace(microsecond=0) and still_counts(terms, left_fen)


def still_counts(terms: Terms, left_fen: int) -> bool:
    """Whether what is left of a payment is enough."""
    return left_fen >= max(terms.qualify_fen, 1)


def reward_due(terms: Terms, qualified_at: datetime) -> datetime:
    """When the rewards are given: after the hold, within which a refund still undoes them (R194)."""
    return qualified_at + timedelta(days=terms.hold_days)


def cap_reached(terms: Terms, rewarded_today: int, rewarded_in_all: int) -> str:
    """Which of the referrer's caps has no more left (R194): `limit_day`, `limit_total` or ""."""
    if terms.total and rewarded_in_all >= terms.total:
        return "limit_total"
    return "limit_day" if terms.per_day and rewarded_today >= terms.per_day else ""


def faults(terms: Terms) -> Iterator[tuple[str, str]]:
    """(name in the apply file, why) for each thing that cannot be."""
    if not terms.referrer_item and not terms.referred_item:
        yield "referrer_item", "rewards nobody: set it or referred_item"
    for name in ("per_day", "total", "hold_days"):
        if getattr(terms, name) < 0:
            yield name, "must be 0 or more"
    if terms.qualify_fen < 0:
        yield "qualify.min_amount_fen", "must be 0 or more"
    if terms.link_days < 1:
        yield "link_days", "must be at least 1"
