"""What campaigns hear of, and what they are: core events, a campaign as it stands, its states and their moves.

`gateway.contract.house` is what the gateway does for them, `gateway.contract.campaign_kind` what a module has to be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from gateway.contract.money import Fen
from gateway.contract.payout import PayoutState
from gateway.contract.store import Tx

State = Literal["draft", "scheduled", "live", "paused", "ended", "archived"]
Outcome = Literal["done", "skipped", "refused"]

# -- what happens in the core -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tag:
    """How a payer stood before his payment. `source_id` is a merchant (payee) or a person (payer)."""

    state: Literal["untagged", "tagged", "opted_out", "untaggable"]
    source_type: str = ""
    source_id: str = ""
    mode: str = ""


@dataclass(frozen=True, slots=True)
class PaymentReceived:
    """A payment has been taken in, once. `left_fen`: what refunds told beforehand leave of `amount_fen`."""

    payment: str
    provider: str
    transaction_id: str
    circle: str
    merchant: str
    shop: str | None
    person: str | None
    tag: Tag
    amount_fen: Fen
    left_fen: Fen
    paid_at: datetime


@dataclass(frozen=True, slots=True)
class RefundReceived:
    """Money of a payment went back. `withdrawn`: less than the circle's minimum is left, so gifts are taken back."""

    payment: str
    refund: str
    circle: str
    merchant: str
    person: str | None
    refund_fen: Fen
    left_fen: Fen
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class LinkClaimed:
    """A customer claimed a link. `about` is what it was issued for: a payment, an order, a campaign's own word."""

    link: str
    circle: str
    merchant: str
    person: str
    about: str
    coupons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CouponRedeemed:
    """A coupon was used, or (`reversed_`) its use was taken back."""

    code: str
    item: str
    circle: str
    merchant: str
    shop: str | None
    person: str
    by: str
    discount_fen: Fen
    amount_fen: Fen | None
    reversed_: bool = False


@dataclass(frozen=True, slots=True)
class OrderPaid:
    """An item was bought with money, and handed over as coupons.

    `campaign` and `about` are those of the `House.sell` that made the order, "" for an order of the shop's own.
    """

    order: str
    item: str
    circle: str
    merchant: str
    person: str
    quantity: int
    amount_fen: Fen
    coupons: tuple[str, ...]
    campaign: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class OrderLate:
    """Money came for a campaign's order whose time was over; told to that campaign alone.

    Where it answers `done`, the order is fulfilled; whatever else it answers, the money goes back (R047).
    """

    order: str
    campaign: str
    about: str
    person: str
    quantity: int
    amount_fen: Fen


@dataclass(frozen=True, slots=True)
class OrderEnded:
    """A campaign's order was closed unpaid, or its money went back; told to that campaign alone.

    `returned_units`: how many units went back in all; 0 for an order that was never paid.
    """

    order: str
    campaign: str
    about: str
    person: str
    quantity: int
    returned_units: int
    paid: bool


@dataclass(frozen=True, slots=True)
class PayoutMoved:
    """A payout of a campaign has come to a new state; told to that campaign alone. `about` is the campaign's word."""

    payout: str
    campaign: str
    about: str
    state: PayoutState
    amount_fen: Fen
    reason: str


CoreEvent = (
    PaymentReceived | RefundReceived | LinkClaimed | CouponRedeemed | OrderPaid | OrderLate | OrderEnded | PayoutMoved
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a campaign made of an event; it stands among the payment's decisions. `reason` is a stable word."""

    outcome: Outcome
    reason: str


Heard = Sequence[tuple[str, Verdict]]
"""What each campaign that an event concerned made of it."""

Hear = Callable[[Tx, CoreEvent, datetime], Heard]
"""How the core tells of an event, inside the transaction in which it happened."""


def nobody_hears(_tx: Tx, _event: CoreEvent, _now: datetime) -> Heard:
    """For a core without campaigns."""
    return ()


# -- what a campaign is told of itself --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CampaignView:
    """A campaign as it stands: what every kind takes, and `settings` as its kind loaded them. Times aware UTC."""

    slug: str
    kind: str
    circle: str
    merchants: frozenset[str]
    state: State
    version: int
    starts_at: datetime | None
    ends_at: datetime | None
    budget_fen: Fen
    budget_fen_per_day: Fen
    settings: Any = field(repr=False)

    def includes(self, merchant: str) -> bool:
        """Whether it counts at this merchant; () in the file means all of the circle."""
        return not self.merchants or merchant in self.merchants

    def is_open(self, now: datetime) -> bool:
        """Live, and within its time."""
        begun = self.starts_at is None or self.starts_at <= now
        return self.state == "live" and begun and (self.ends_at is None or now < self.ends_at)


LEGAL_MOVES: Final[Mapping[State, frozenset[State]]] = {
    "draft": frozenset({"scheduled", "live", "archived"}),
    "scheduled": frozenset({"draft", "live", "archived"}),
    "live": frozenset({"paused", "ended"}),
    "paused": frozenset({"live", "ended"}),
    "ended": frozenset({"archived"}),
    "archived": frozenset(),
}
"""R075: draft → scheduled → live ⇄ paused → ended → archived."""


def may_move(state: State, to: State) -> bool:
    """Whether a campaign may go from one state to another."""
    return to in LEGAL_MOVES[state]
