"""The seam that a campaign module fills. Found under the entry point group `drainage.campaigns`.

A campaign hears of what happens in the core (`CoreEvent`), inside the transaction in which it happens, and answers with
a `Verdict`. Its own tables are named `<slug>_…`; it moves value only through `gateway.ledger`, takes links, coupons,
stock and the outbox only from its `House`, and knows nothing else of the gateway. Each module keeps its rule apart,
pure: read what is needed, decide, write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final, Literal, Protocol, runtime_checkable

from gateway.contract.ids import IdFactory, RandomBytes
from gateway.contract.money import Fen
from gateway.contract.store import Store, Tx

State = Literal["draft", "scheduled", "live", "paused", "ended", "archived"]
Outcome = Literal["done", "skipped", "refused"]
Role = Literal["clerk", "manager", "operator", "admin"]

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
    """An item was bought with money, and handed over as coupons."""

    order: str
    item: str
    circle: str
    merchant: str
    person: str
    quantity: int
    amount_fen: Fen
    coupons: tuple[str, ...]


CoreEvent = PaymentReceived | RefundReceived | LinkClaimed | CouponRedeemed | OrderPaid


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a campaign made of an event; it stands among the payment's decisions. `reason` is a stable word."""

    outcome: Outcome
    reason: str


# -- what a campaign is told of itself and of the catalogue -----------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """An item of the catalogue, as far as campaigns care. `stock` None is without end."""

    slug: str
    merchant: str
    name: str
    kind: str
    value_fen: int
    price_fen: int
    stock: int | None
    paused: bool


@dataclass(frozen=True, slots=True)
class MerchantFacts:
    """A merchant of the catalogue."""

    slug: str
    circle: str
    name: str
    paused: bool


@dataclass(frozen=True, slots=True)
class ShopFacts:
    """A shop of the catalogue."""

    slug: str
    merchant: str
    name: str


class Catalogue(Protocol):
    """The catalogue of now. What is not there is None."""

    def item(self, slug: str) -> ItemFacts | None:
        """The item of that name."""

    def merchant(self, slug: str) -> MerchantFacts | None:
        """The merchant of that name."""

    def shop(self, slug: str) -> ShopFacts | None:
        """The shop of that name."""

    def zone(self, shop: str | None) -> tzinfo:
        """The zone that a shop's times are shown in."""


@dataclass(frozen=True, slots=True)
class IssuedLink:
    """A claim link that a campaign had issued."""

    id: str
    url: str
    expires_at: datetime


class House(Protocol):
    """What the gateway does for its campaigns. Everything with a `tx` joins the caller's transaction."""

    ids: IdFactory
    random: RandomBytes
    store: Store

    @property
    def base_url(self) -> str:
        """Where customers reach us, without a slash at its end."""

    @property
    def sandbox(self) -> bool:
        """Whether the sandbox is enabled."""

    def catalogue(self) -> Catalogue:
        """The catalogue of now."""

    def campaigns(self, kind: str) -> Sequence[CampaignView]:
        """Every campaign of a kind, whatever its state."""

    def group(self, tx: Tx, person: str) -> tuple[str, ...]:
        """All ids under which one human is known; () for nobody."""

    def tag(self, tx: Tx, circle: str, person: str, now: datetime) -> Tag:
        """How a person stands in a circle."""

    def alias(self, person: str) -> str:
        """What others may call him, such as `7F3A`."""

    def issue_link(
        self,
        tx: Tx,
        campaign: CampaignView,
        person: str,
        merchant: str,
        items: Sequence[str],
        days: int,
        about: str,
        now: datetime,
    ) -> IssuedLink | None:
        """A claim link, once per (campaign, person, `about`): the same one again. None: nothing in stock."""

    def withdraw_link(self, tx: Tx, link: str, reason: str, now: datetime) -> bool:
        """Revoke an unclaimed link, void unused coupons of a claimed one; whether anything was still there to take."""

    def give_coupon(self, tx: Tx, campaign: CampaignView, person: str, item: str, origin: str, now: datetime) -> str:
        """A coupon for a person, its stock taken; its code. Raises Refused `sold_out` (409)."""

    def void_coupon(self, tx: Tx, code: str, reason: str, now: datetime) -> bool:
        """Make an unused coupon void; whether it was unused."""

    def redeem(self, tx: Tx, code: str, by: str, key: str, shop: str | None, now: datetime) -> Mapping[str, Any]:
        """Use a coupon by the core's engine (R058–R062). Raises Refused as the API tells."""

    def owe(
        self,
        tx: Tx,
        campaign: CampaignView,
        topic: str,
        about: str,
        payload: Mapping[str, Any],
        now: datetime,
        *,
        due_at: datetime | None = None,
        give_up_after: timedelta | None = None,
    ) -> None:
        """Put something for the worker: the kind's `deeds[topic]` is called with the payload, at least once."""

    def audit(
        self, tx: Tx, who: str, action: str, about: str, before: str | None, after: str | None, now: datetime
    ) -> None:
        """Write who changed what."""

    def incident(self, tx: Tx, kind: str, subject: str, detail: str, now: datetime) -> None:
        """Tell an operator."""

    def seal(self, text: str, context: str) -> bytes:
        """A personal text for the store; only `open` with the same context reads it."""

    def open(self, sealed: bytes, context: str) -> str:
        """What was sealed."""

    def blind(self, text: str, context: str) -> bytes:
        """A keyed hash by which a sealed text can be found again."""


# -- the API's side ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: `name` for audit rows; `merchants` in his scope, None for all."""

    name: str
    role: str
    merchants: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the API, checked: who, about whom, with what. `person` "" where the call names none."""

    campaign: CampaignView
    caller: Caller
    person: str
    values: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    now: datetime


Handler = Callable[[Tx, House, Request], tuple[int, Mapping[str, Any]]]
"""Answers one call inside its transaction: (status, JSON object). Raises Refused; nothing is written then."""


@dataclass(frozen=True, slots=True)
class Route:
    """A call under `/api/v1/campaigns/<id>`. `path` such as `/orders/<order>/paid`.

    `person`: whether the body names a customer (by `person`, or in the sandbox by `openid` and `channel`).
    `sandbox`: 404 where the sandbox is not enabled. POST, PUT and PATCH want an Idempotency-Key, which the host keeps.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "HEAD"]
    path: str
    handler: Handler
    role: Role = "manager"
    person: Literal["needed", "optional", "no"] = "no"
    sandbox: bool = False


Deed = Callable[[House, CampaignView, Mapping[str, Any], datetime], str | None]
"""Does what is owed; None when done, else what went wrong. Outside a transaction; at least once."""

Sweep = Callable[[Tx, House, CampaignView, datetime, int], int]
"""Ends what has run out, at most so many rows; how many."""


@runtime_checkable
class CampaignKind(Protocol):
    """One kind of campaign: a module under `campaigns/`, or a third party's."""

    @property
    def slug(self) -> str:
        """The name that `kind` has in the apply file, and the beginning of its tables' names."""

    @property
    def migrations(self) -> Sequence[tuple[str, Sequence[str]]]:
        """(name, statements) in order; a released one is never edited."""

    def load_settings(self, table: Mapping[str, Any]) -> Any:
        """The kind's own part of its table → its settings. Raises BadConfig with every fault, paths relative to it."""

    def faults(self, campaign: CampaignView, catalogue: Catalogue) -> Iterable[tuple[str, str]]:
        """What is wrong beside the catalogue: (key, words); items and shops it names that are not there, and so on."""

    def funding(self, campaign: CampaignView) -> Fen:
        """What must be reserved of its budget before it may go live; 0 for nothing."""

    def take(self, tx: Tx, house: House, campaign: CampaignView, event: CoreEvent, now: datetime) -> Verdict | None:
        """Hear of an event at an open campaign; None for one that is not its business. Twice must change nothing.

        Refunds, claims and redemptions are heard of in every state, since they undo or finish what was given.
        """

    @property
    def routes(self) -> Sequence[Route]:
        """Its calls of the API."""

    @property
    def deeds(self) -> Mapping[str, Deed]:
        """What the worker does for it, by topic."""

    @property
    def sweeps(self) -> Sequence[Sweep]:
        """What the worker ends for it."""

    def counts(self, tx: Tx, campaign: CampaignView) -> Mapping[str, int]:
        """Figures for `GET /api/v1/campaigns/<id>`."""


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
