"""What the gateway does for its campaigns: the one door through which a module reaches the core.

Everything with a `tx` joins the caller's transaction. Beside it a module may use `gateway.contract`, `gateway.ledger`,
`crypto` and `linkgen`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Literal, Protocol

from gateway.contract.account import Account
from gateway.contract.campaign import CampaignView, Tag
from gateway.contract.ids import IdFactory, RandomBytes
from gateway.contract.money import Fen
from gateway.contract.payout import Payee, Payout
from gateway.contract.store import Store, Tx


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """An item of the catalogue, as far as campaigns care. `stock` None is without end.

    `valid_days`: how long a coupon of it can be used; 0 for unknown.
    """

    slug: str
    merchant: str
    name: str
    kind: str
    value_fen: int
    price_fen: int
    stock: int | None
    paused: bool
    valid_days: int = 0


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

    def shops(self, merchant: str) -> Sequence[ShopFacts]:
        """A merchant's shops, by name."""

    def zone(self, shop: str | None) -> tzinfo:
        """The zone that a shop's times are shown in."""

    def refuses(self, url: str) -> str | None:
        """Why an address may not be called by us; None for one that may."""


@dataclass(frozen=True, slots=True)
class IssuedLink:
    """A claim link that a campaign had issued."""

    id: str
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Sale:
    """What a campaign sells to a person; `about` is its own word, told back by `OrderPaid` and its like."""

    person: str
    item: str
    quantity: int
    amount_fen: Fen
    about: str
    until: datetime


@dataclass(frozen=True, slots=True)
class SaleOrder:
    """The order that was made; `path` is the page on which the customer pays."""

    id: str
    path: str


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

    @property
    def redis_url(self) -> str:
        """Where Redis is, "" for nowhere."""

    def files(self, kind: str) -> Path:
        """A private folder (0700) of this machine's home for a kind's files, made at its first use."""

    def catalogue(self) -> Catalogue:
        """The catalogue of now."""

    def campaigns(self, kind: str) -> Sequence[CampaignView]:
        """Every campaign of a kind, whatever its state. Outside a transaction."""

    def campaign(self, tx: Tx, slug: str, now: datetime) -> CampaignView | None:
        """The campaign of that name; None where the catalogue has it no more."""

    def group(self, tx: Tx, person: str) -> tuple[str, ...]:
        """All ids under which one human is known; () for nobody."""

    def known_as(self, tx: Tx, circle: str, openid: str) -> tuple[str, ...]:
        """Every id of those whom this openid stands for at any channel of the circle; () for nobody yet."""

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
        """A claim link, once per (campaign, person, `about`): the same one again. Its value is reserved in the budget.

        None: nothing of it is in stock, or the budget is used up.
        """

    def withdraw_link(self, tx: Tx, link: str, reason: str, now: datetime) -> bool:
        """Revoke an unclaimed link, void unused coupons of a claimed one; whether anything was still there to take."""

    def give_coupon(self, tx: Tx, campaign: CampaignView, person: str, item: str, origin: str, now: datetime) -> str:
        """A coupon for a person, its stock and its value taken; its code. Raises Refused `sold_out`, `budget`."""

    def void_coupon(self, tx: Tx, code: str, reason: str, now: datetime) -> bool:
        """Make an unused coupon void; whether it was unused."""

    def redeem(
        self,
        tx: Tx,
        code: str,
        by: str,
        key: str,
        shop: str | None,
        now: datetime,
        *,
        merchants: frozenset[str] | None,
        most_fen: int | None = None,
    ) -> Mapping[str, Any]:
        """Use a coupon by the core's engine (R058–R062), within what its caller may: those of a `Caller`.

        `merchants`: his scope, None for all; `most_fen`: what he may move without a password given just now.
        Raises Refused as the API tells: `wrong_merchant` 403, `reauthentication_required` 401 and the others.
        """

    def reserve(
        self, tx: Tx, campaign: CampaignView, origin: str, parts: Sequence[tuple[str, int]], now: datetime
    ) -> bool:
        """Reserve (name, fen) parts in the campaign's budget, of the day and in all; False, nothing done: no room.

        `origin` names it for good (such as a session's id): `gateway.ledger.budget.consume` and `give_back` settle it
        by (origin, part). A campaign without a budget bears any sum.
        """

    def sell(self, tx: Tx, campaign: CampaignView, sale: Sale, now: datetime) -> SaleOrder:
        """An order of the core at the campaign's price, paid in the customer's wallet; `OrderPaid` tells when it was.

        The item's stock is held until `sale.until`; its coupons are made when it is paid. Raises Refused `sold_out`,
        `not_for_sale` (409), `not_found`.
        """

    def unsell(self, tx: Tx, order: str, reason: str, now: datetime) -> bool:
        """Close an unpaid order of a campaign; whether it was open. `OrderEnded` is told."""

    def refund_sale(self, tx: Tx, order: str, quantity: int, reason: str, now: datetime) -> bool:
        """Give money of so many unused units back, their coupons made void; whether that many were unused."""

    def mark_paid(self, tx: Tx, order: str, now: datetime) -> str:
        """The sandbox's payment of a campaign's order, as if its wallet had told; the order's state then."""

    def pay_out(
        self,
        tx: Tx,
        campaign: CampaignView,
        account: Account,
        payee: Payee,
        amount_fen: int,
        key: str,
        about: str,
        now: datetime,
        *,
        begun_by: str = "",
        second_approval: bool = False,
    ) -> Payout:
        """Begin a payout from a cash account: the amount is held, the worker sends it; once per `key`.

        `second_approval`: it stays `held` until `approve_payout` by somebody other than `begun_by`.
        Raises Refused 409 `insufficient`, `payout_in_flight` (one at a time an account), `no_way` (no wallet or
        bank account to pay into), `below_least` (`least_fen`).
        """

    def approve_payout(self, tx: Tx, payout: str, who: str, now: datetime) -> Payout:
        """The second pair of eyes. Raises Refused 409 `not_waiting`, `same_person`, 404 `not_found`."""

    def payout(self, tx: Tx, payout: str) -> Payout | None:
        """A payout of any campaign."""

    def payouts_of(self, tx: Tx, account: Account, most: int = 50) -> Sequence[Payout]:
        """The payouts from an account, newest first."""

    def bank_says(self, tx: Tx, payout: str, state: Literal["settled", "failed"], reason: str, now: datetime) -> Payout:
        """The bank's word on a payout of the bank file, or the sandbox bank's. Twice the same changes nothing.

        Raises Refused 409 `bad_transition`, 404 `not_found`.
        """

    def post_json(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> tuple[int | None, str]:
        """POST to an address that the operator's rules allow; (status or None when not reached, what went wrong).

        Outside a transaction.
        """

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
