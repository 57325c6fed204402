"""The API's bodies and answers: each field with what it may hold, as the document shows them.

Request models refuse unknown fields. Whole numbers may be written `1` or `1.0`, which are one number in JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from gateway.auth.passwords import SHORTEST
from gateway.contract.campaign import State as CampaignState
from gateway.contract.money import MAX_FEN
from gateway.offline import MOST, Scan
from gateway.orders import MOST_UNITS
from gateway.redeeming import Bill


def _whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
        raise ValueError("must be a whole number")
    return int(value)


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(timezone.utc)
    except OverflowError:
        raise ValueError("must be a time of this age") from None


# Field before the validator: after it the document loses the bounds.
Amount = Annotated[int, Field(ge=0, le=MAX_FEN), BeforeValidator(_whole)]
Quantity = Annotated[int, Field(ge=1, le=MOST_UNITS), BeforeValidator(_whole)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Secret = Annotated[str, Field(max_length=1000)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
# Its length is checked by the rule for passwords, which has a code of its own.
NewPassword = Annotated[str, WithJsonSchema({"type": "string", "minLength": SHORTEST, "maxLength": 1000})]


class Body(BaseModel):
    """A request's JSON object."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Answer(BaseModel):
    """An answer's JSON object; fields may be added to it in time."""


class Error(BaseModel):
    """What every refusal looks like; some codes add facts, such as `redeemed` or `merchant`."""

    model_config = ConfigDict(extra="allow")

    code: str
    message: str
    request_id: str


class Invalid(Error):
    """Fields that do not hold, each with the reason; `weak_password` has none."""

    fields: dict[str, str] | None = None


# -- payments ---------------------------------------------------------------------------------------------------------


class PaymentQuery(Body):
    """Which of several payments of one number is meant."""

    provider: Text | None = Field(None, description="wechat, alipay, or an adapter's name")


class PageQuery(Body):
    """Which page of a list."""

    cursor: Annotated[str, Field(pattern=r"^[0-9a-z]{1,60}$")] | None = Field(
        None, description="`next` of the page before"
    )


class Source(Answer):
    """Where a tag comes from."""

    type: Literal["payee", "payer"]
    id: str
    mode: Literal["passive", "active"]


class Tag(Answer):
    """How the payer stood to the circle before the payment and after it."""

    before: Literal["untagged", "tagged", "opted_out", "untaggable"]
    after: Literal["untagged", "tagged", "opted_out", "untaggable"]
    source: Source | None


class Link(Answer):
    """A claim link. Its address is for the person it was issued to."""

    id: str
    for_: Literal["payer", "source"] = Field(alias="for")
    state: Literal["issued", "opened", "claimed", "expired", "revoked", "superseded"]
    items: list[str]
    url: str


class DecisionMade(Answer):
    """One rule's word; `reason` is a stable word."""

    rule: str
    outcome: Literal["done", "skipped", "refused"]
    reason: str


class RelayState(Answer):
    """How the payment's notification fared on its way to the till."""

    state: Literal["none", "answered", "failed", "stale"]
    attempts: int
    last_status: int | None


class Payment(Answer):
    """A payment with every decision about it."""

    transaction_id: str
    provider: str
    channel: str
    merchant: str
    amount_fen: int
    refunded_fen: int
    paid_at: str
    payer: str | None
    tag: Tag
    links: list[Link]
    decisions: list[DecisionMade]
    relay: RelayState
    deliveries: int


class PaymentPage(Answer):
    """Payments, newest first; `next` is the cursor of the page that follows, null at the end."""

    items: list[Payment]
    next: str | None


# -- persons and shares -----------------------------------------------------------------------------------------------


class Standing(Answer):
    """How a person stands to one circle."""

    tag: Literal["untagged", "tagged", "opted_out"]
    source: Source | None


class Person(Answer):
    """A person, without any identity of his."""

    person: str
    circles: dict[str, Standing]
    links: list[Link]
    coupons: list[str]


class NewShare(Body):
    """Whose share it is, and, where that is not clear, for which circle."""

    person: Text
    circle: Text | None = None


class Share(Answer):
    """An invitation; whoever takes it up has its person as source."""

    share: str
    url: str


# -- orders -----------------------------------------------------------------------------------------------------------


class NewOrder(Body):
    """What is bought, and for whom."""

    item: Text
    quantity: Quantity
    person: Text


class OrderMade(Answer):
    """An order that waits for its payment until `expires_at`, its stock held."""

    order: str
    state: Literal["created"]
    amount_fen: int
    expires_at: str


class GiveBack(Body):
    """How many unused units are given back."""

    quantity: Quantity


class OrderState(Answer):
    """What became of an order; `link` where it earned one."""

    state: Literal["fulfilled", "refunded", "closed"]
    coupons: list[str]
    link: Link | None


# -- coupons ----------------------------------------------------------------------------------------------------------


class Redeemed(Answer):
    """When, where and by whom a coupon was used."""

    at: str
    shop: str | None
    by: str


class Coupon(Answer):
    """A coupon as it stands now."""

    code: str
    state: Literal["claimed", "reserved", "redeemed", "expired", "void"]
    item: str
    merchant: str
    value_fen: int
    min_spend_fen: int
    valid_from: str
    valid_to: str
    redeemed: Redeemed | None


class RedeemBill(Body):
    """What a redemption may carry: the bill's total before the coupon, the payment it reduced, the shop."""

    amount_fen: Amount | None = None
    transaction_id: Text | None = None
    shop: Text | None = None


class Reversal(Body):
    """Why a redemption is taken back."""

    reason: Text


class KeptScan(Body):
    """One scan that a till made without a line: a random nonce of its own, the code, and when, by the till's clock."""

    nonce: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
    code: Annotated[str, Field(max_length=200)]
    at: Moment
    amount_fen: Amount | None = None
    shop: Text | None = None


class KeptScans(Body):
    """A part of a till's queue; `sent_at` is the till's clock now, so that a wrong clock does no harm."""

    sent_at: Moment
    scans: Annotated[list[KeptScan], Field(min_length=1, max_length=MOST)]

    def as_scans(self, shop_of: Callable[[str | None], str | None]) -> list[Scan]:
        """The scans as the rule takes them; `shop_of` turns a shop's name into one that he may use, or none."""
        return [Scan(one.nonce, one.code, one.at, Bill(one.amount_fen, None, shop_of(one.shop))) for one in self.scans]


class ScanSettled(Answer):
    """What became of a kept scan; `reason` is an error code where it is a conflict or held, else empty."""

    nonce: str
    outcome: Literal["redeemed", "held", "conflict"]
    reason: str
    at: str
    shop: str | None
    redeemed: Redeemed | None
    merchant: str | None


class ScansSettled(Answer):
    """What became of each, oldest scan first."""

    results: list[ScanSettled]


class Conflict(ScanSettled):
    """A kept scan that did not go through; `tail` are the last signs of its code, `by` scanned it."""

    tail: str
    by: str
    merged_at: str


class Conflicts(Answer):
    """What nobody has looked at, newest first, at most 100."""

    items: list[Conflict]


# -- signing in -------------------------------------------------------------------------------------------------------


class Login(Body):
    """A user's name and password."""

    username: Secret
    password: Secret


class TokenMade(Answer):
    """A token, shown this once."""

    token: str
    expires_at: str


class Reauthenticate(Body):
    """A name and its password, once more."""

    username: Secret
    password: Secret


class Reauthenticated(Answer):
    """Until when the password counts as given just now."""

    until: str


class PasswordChange(Body):
    """A user's name, the password he has, a one-time password too, and the one he wants."""

    username: Secret
    password: Secret
    new_password: NewPassword


# -- campaigns --------------------------------------------------------------------------------------------------------


class CampaignBudget(Answer):
    """A campaign's whole budget, what of it is promised, and what is spent; all 0 where it has none."""

    total_fen: int
    reserved_fen: int
    consumed_fen: int


class Campaign(Answer):
    """How a campaign stands. `counts` are figures of its kind."""

    id: str
    kind: str
    state: CampaignState
    version: int
    budget: CampaignBudget
    counts: dict[str, Any]


class CampaignMove(Body):
    """The state that a campaign is to go to."""

    to: CampaignState


# -- the rest ---------------------------------------------------------------------------------------------------------


class Summary(Answer):
    """Counts, of the house or of the operator's circle."""

    payments: int
    tagged: int
    links_issued: int
    links_claimed: int
    coupons_claimed: int
    coupons_redeemed: int
    relays_failed: int
    refused: int
    outbox_depth: int
    parked: int


class CopiedNotification(Body):
    """A platform's notification as the till received it: every header, and the body's exact bytes in base64."""

    channel: Text
    headers: Annotated[
        list[Annotated[list[Annotated[str, Field(max_length=8192)]], Field(min_length=2, max_length=2)]],
        Field(max_length=100),
    ]
    body_base64: Annotated[str, Field(max_length=90_000)]


class TakenIn(Answer):
    """What became of a copied notification."""

    outcome: Literal["processed", "seen", "ignored"]
