"""The rule of micro-merchant rewards, pure: prices, attribution, rewards, payouts.

Prices and rewards are fen, rates basis points, rounded in the campaign's favour: a discounted price up, a reward down.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

BPS: Final = 10_000
MIN_CODE: Final = 8
ACCOUNT_LOCK: Final = timedelta(hours=24)
COOKIE_DAYS: Final = 7

MemberState = Literal["applied", "approved", "rejected", "suspended", "closed"]
OrderState = Literal["created", "paid", "completed", "refunded"]
Mode = Literal["direct", "pending"]
Credit = Literal["cash", "points", "coupons"]

MEMBER_MOVES: Final[Mapping[MemberState, frozenset[MemberState]]] = {
    "applied": frozenset({"approved", "rejected"}),
    "approved": frozenset({"suspended", "closed"}),
    "suspended": frozenset({"approved", "closed"}),
    # A rejected applicant may apply again, which is a new record; this one keeps its reason.
    "rejected": frozenset(),
    "closed": frozenset(),
}


@dataclass(frozen=True, slots=True)
class Terms:
    """The numbers of one campaign; `per_code` holds the discount of single codes."""

    discount_bps: int = 0
    reward_bps: int = 0
    points_bps: int = 0
    coupon_item: str = ""
    mode: Mode = "pending"
    credit: frozenset[Credit] = frozenset({"cash"})
    refund_days: int = 7
    floor_fen: int = 0
    cap_fen: int = 0
    payout_min_fen: int = 0
    payout_day_cap_fen: int = 0
    four_eyes_fen: int = 0
    ask_referrer: bool = False
    own_discount: bool = True
    per_code: Mapping[str, int] = field(default_factory=dict)


def price_fen(terms: Terms, original_fen: int, code: str | None) -> int:
    """What a buyer with `code` (None: without) pays; never above the original, never below the floor (R105, R106)."""
    if code is None:
        return original_fen
    bps = terms.per_code.get(code, terms.discount_bps)
    discounted = original_fen - original_fen * bps // BPS
    return min(original_fen, max(discounted, terms.floor_fen))


@dataclass(frozen=True, slots=True)
class Reward:
    """What a completed purchase is worth to the one who brought it."""

    cash_fen: int = 0
    points: int = 0
    coupons: int = 0

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to credit."""
        return not (self.cash_fen or self.points or self.coupons)


def reward(terms: Terms, paid_fen: int) -> Reward:
    """The reward for `paid_fen`, what was really paid after discounts (R110, R112); `cap_fen` bounds the cash part."""
    cash = paid_fen * terms.reward_bps // BPS if "cash" in terms.credit else 0
    if terms.cap_fen:
        cash = min(cash, terms.cap_fen)
    points = paid_fen * terms.points_bps // BPS if "points" in terms.credit else 0
    coupons = 1 if "coupons" in terms.credit and terms.coupon_item and paid_fen > 0 else 0
    return Reward(cash, points, coupons)


def left_reward(given: Reward, terms: Terms, left_fen: int) -> Reward:
    """What of a reward stays when a refund leaves `left_fen` of the purchase (R119)."""
    kept = reward(terms, max(left_fen, 0))
    return Reward(min(given.cash_fen, kept.cash_fen), min(given.points, kept.points), min(given.coupons, kept.coupons))


def attribution(explicit: str | None, cookie: str | None, typed: str | None) -> str | None:
    """Whose purchase it is (R116): the code that came with it, else the one kept from before, else the WeChat ID typed.

    Each argument is the member found by it, None where it names nobody in good standing.
    """
    return explicit or cookie or typed


def is_kept(kept_at: datetime, now: datetime) -> bool:
    """Whether a code that a browser was given at `kept_at` still counts (R116)."""
    return timedelta() <= now - kept_at < timedelta(days=COOKIE_DAYS)


_WECHAT_ID: Final = re.compile(r"[a-z0-9_.@+-]{3,64}\Z", re.ASCII)
_ACCOUNT: Final = re.compile(r"[0-9]{8,32}\Z", re.ASCII)
_LONGEST_TYPED: Final = 200


def normal_wechat_id(typed: str) -> str:
    """A WeChat ID as it is compared: full-width forms, letter case, white space undone; "" for what can be none (R102).

    Wider than WeChat's own form of today (6 to 20 letters, digits, `-`, `_`): old IDs are phone numbers or addresses.
    """
    if len(typed) > _LONGEST_TYPED:
        return ""
    folded = "".join(unicodedata.normalize("NFKC", typed).split()).casefold()
    return folded if _WECHAT_ID.match(folded) else ""


def normal_account(typed: str) -> str:
    """A bank account's digits, spaces and dashes left out; "" for what can be none: 8 to 32 digits."""
    if len(typed) > _LONGEST_TYPED:
        return ""
    digits = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", typed))
    return digits if _ACCOUNT.match(digits) else ""


def matures_at(completed_at: datetime, refund_days: int) -> datetime:
    """When a completed purchase can no longer be given back, so that its reward is earned (R109)."""
    return completed_at + timedelta(days=refund_days)


@dataclass(frozen=True, slots=True)
class PayoutFacts:
    """What is known when a payout is asked for."""

    amount_fen: int
    balance_fen: int
    paid_today_fen: int
    in_flight: bool
    has_account: bool
    account_changed_at: datetime | None
    now: datetime


def payout_refusal(terms: Terms, facts: PayoutFacts) -> str:
    """Why a payout is refused: a stable word; "" when it may go (R113, R115)."""
    over_day = bool(terms.payout_day_cap_fen) and facts.paid_today_fen + facts.amount_fen > terms.payout_day_cap_fen
    changed = facts.account_changed_at
    reasons = {
        "no_bank_account": not facts.has_account,
        "payout_in_flight": facts.in_flight,
        "below_least": facts.amount_fen < max(terms.payout_min_fen, 1),
        "insufficient": facts.amount_fen > facts.balance_fen,
        "limit": over_day,
        "account_locked": changed is not None and facts.now < changed + ACCOUNT_LOCK,
    }
    return next((word for word, holds in reasons.items() if holds), "")


def needs_four_eyes(terms: Terms, amount_fen: int) -> bool:
    """Whether a second member of staff must approve a payout (R115)."""
    return bool(terms.four_eyes_fen) and amount_fen > terms.four_eyes_fen


def faults(terms: Terms) -> Iterator[tuple[str, str]]:
    """(name in the apply file, why) for each thing that cannot be."""
    for name in ("discount_bps", "reward_bps"):
        if not 0 <= getattr(terms, name) <= BPS:
            yield name, f"must be 0 to {BPS}"
    for name in (
        "points_bps",
        "refund_days",
        "floor_fen",
        "cap_fen",
        "payout_min_fen",
        "payout_day_cap_fen",
        "four_eyes_fen",
    ):
        if getattr(terms, name) < 0:
            yield name, "must be 0 or more"
    for code, bps in terms.per_code.items():
        if not 0 <= bps <= BPS:
            yield f"per_code.{code}.discount_bps", f"must be 0 to {BPS}"
    if not terms.credit:
        yield "credit", "names no kind of balance"
    if "coupons" in terms.credit and not terms.coupon_item:
        yield "coupon_item", "is needed where coupons are credited"
    if "points" in terms.credit and not terms.points_bps:
        yield "points_bps", "is needed where points are credited"
