"""The use cases over a store, with a small catalogue and an adapter that believes what it is told.

    house = House(url)
    house.pay("T1", "alice")
    house.pay("T2", "alice")
    house.claim(house.link("T2"))

Circle `riverside` has the merchants `hotpot`, `sweets` and `barber`, circle `hillside` has `noodles`. Cryptography has
tests of its own; here an event is the body, as JSON. Time stands still until a test moves `house.now`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from crypto.tokens import link_token
from crypto.vault import Vault
from gateway import people
from gateway.catalog.directory import Directory
from gateway.catalog.registry import Registry
from gateway.catalog.specs import Catalog, Channel, Circle, Item, Merchant, Offer, Shop
from gateway.claiming import Claiming, Page
from gateway.contract import Ack, Fen, Ignored, Malformed, Payer, PaymentEvent, RawNotification, RefundEvent
from gateway.contract.clock import from_text
from gateway.contract.ids import IdFactory, system_random
from gateway.contract.store import Row, Tx
from gateway.links import LinkKeys
from gateway.orders import Ordering
from gateway.redeeming import Bill, Clerk, Redeeming
from gateway.rulebook import Rulebook
from gateway.service import TakeIn, Taken
from gateway.sharing import Sharing
from tests.support.databases import opened

START = datetime(2026, 11, 22, 4, 5, 6, tzinfo=timezone.utc)
_LINK_KEY = b"l" * 32

BASE = (
    Circle("riverside", "滨江商圈", min_amount_fen=100, binding="bearer"),
    Circle("hillside", "山脚商圈", min_amount_fen=100, binding="bearer"),
    Merchant("hotpot", "riverside", "老王火锅"),
    Merchant("sweets", "riverside", "甜甜糖水"),
    Merchant("barber", "riverside", "理发店"),
    Merchant("noodles", "hillside", "山脚面馆"),
    Shop("hotpot-1", "hotpot", "滨江一店"),
    Channel("hotpot", "hotpot", "openbook", shop="hotpot-1", intake="copy"),
    Channel("sweets", "sweets", "openbook", intake="copy"),
    Channel("barber", "barber", "openbook", intake="copy"),
    Channel("noodles", "noodles", "openbook", intake="copy"),
    Item("soup", "hotpot", "例汤一份", kind="gift", value_fen=300, offer="own"),
    Item("bowl", "sweets", "糖水立减5元", value_fen=500, min_spend_fen=2000, offer="elsewhere"),
    Item("cut", "barber", "剪发九折", percent_off=10, cap_fen=800, offer="both"),
    Item("menu", "sweets", "双人套餐", value_fen=5000, price_fen=990, stock=5, weight=0),
    Item("dumpling", "noodles", "饺子一份", value_fen=100, offer="both"),
    Offer("default", "riverside", own=1, elsewhere=1),
)


def catalog(*changed: Any) -> Catalog:
    """The small catalogue; an object of `changed` stands in for the one of its kind and slug, or comes in addition."""
    return Catalog.of([*BASE, *changed])


def changed(kind: type, slug: str, **parts: Any) -> Any:
    """An object of the small catalogue with these fields changed."""
    return next(replace(spec, **parts) for spec in BASE if type(spec) is kind and spec.slug == slug)


class Openbook:
    """An adapter that believes what it is told: the body is the event as JSON."""

    slug = "openbook"
    provider = "open"

    def load_keys(self, table):
        return dict(table)

    def parse(self, raw, keys, now):
        try:
            said = json.loads(raw.body)
            kind = said.pop("kind")
            if kind == "ignored":
                return Ignored(**said)
            when = "paid_at" if kind == "payment" else "refunded_at"
            said[when] = from_text(said[when])
            if kind == "refund":
                return RefundEvent(**said)
            said["payers"] = tuple(Payer(**payer) for payer in said["payers"])
            return PaymentEvent(**said)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Malformed(type(error).__name__) from None

    def ack(self, outcome, event=None):
        return Ack(200, (), outcome.encode())


def raw_of(event: PaymentEvent | RefundEvent | Ignored, at: datetime) -> RawNotification:
    """What `Openbook` reads back to this event."""
    kinds = {PaymentEvent: "payment", RefundEvent: "refund", Ignored: "ignored"}
    said = {"kind": kinds[type(event)], **asdict(event)}
    said = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in said.items()}
    return RawNotification("POST", "", (("Content-Type", "application/json"),), json.dumps(said).encode(), at)


def payment(transaction: str, *payers: str | Payer, amount: int = 10_000, at: datetime = START, **parts: Any) -> Any:
    """A payment event; a payer given as text is an openid of the app `app-1`."""
    known = tuple(Payer("app-1", "openid", payer) if isinstance(payer, str) else payer for payer in payers)
    usual = {
        "provider": "open",
        "mch_id": "M1",
        "sub_mch_id": None,
        "transaction_id": transaction,
        "out_trade_no": None,
        "payers": known,
        "amount_fen": Fen(amount),
        "payer_total_fen": None,
        "currency": "CNY",
        "paid_at": at,
        "trade_type": None,
        "device_id": None,
        "store_id": None,
        "attach": None,
        "event_id": f"e-{transaction}",
    }
    return PaymentEvent(**{**usual, **parts})


def refund(transaction: str, number: str, fen: int, *, total: int | None = None, at: datetime = START) -> RefundEvent:
    """A refund event of the same merchant number as `payment`."""
    return RefundEvent(
        provider="open",
        mch_id="M1",
        sub_mch_id=None,
        transaction_id=transaction,
        out_trade_no=None,
        refund_id=number,
        refund_fen=Fen(fen),
        refunded_total_fen=Fen(total) if total is not None else None,
        refunded_at=at,
        event_id=f"e-{transaction}-{number}",
    )


class House:
    """Everything that one process needs to serve the small catalogue over the store at `url`."""

    def __init__(self, url: str, *changes: Any, random=system_random) -> None:
        self.store = opened(url)
        self.now = START
        self.vault = Vault({"k1": b"k" * 32}, "k1", b"i" * 32)
        self.ids = IdFactory(random)
        self.link_keys = LinkKeys({"1": _LINK_KEY}, "1")
        self.rulebook = Rulebook()
        self.intake = TakeIn(self.store, lambda: self.vault, self.link_keys, self.ids, self.rulebook)
        self.claiming = Claiming(self.store, random)
        self.redeeming = Redeeming(self.store, self.ids)
        self.sharing = Sharing(self.store, self.ids, self.link_keys)
        self.ordering = Ordering(self.store, self.ids, random, self.link_keys, self.rulebook)
        self.apply(*changes)

    def apply(self, *changes: Any) -> None:
        """Serve the small catalogue with these changes from now on."""
        self.directory = Directory(1, catalog(*changes), Registry({"openbook": Openbook()}), sandbox_enabled=False)

    def close(self) -> None:
        """Let the store go."""
        self.store.close()

    def later(self, **parts: float) -> None:
        """Move the clock by `timedelta(**parts)`, backwards too."""
        self.now += timedelta(**parts)

    # -- what comes in ----------------------------------------------------------------------------------------------

    def take_in(self, event: PaymentEvent | RefundEvent | Ignored, channel: str = "hotpot", **more: Any) -> Taken:
        """A genuine notification of this event."""
        live = self.directory.channel(channel)
        assert live is not None
        return self.intake.take_in(self.directory, live, raw_of(event, self.now), self.now, **more)

    def pay(self, transaction: str, *payers: str | Payer, channel: str = "hotpot", **parts: Any) -> Taken:
        """A payment comes in, by default at the hotpot."""
        return self.take_in(payment(transaction, *payers, at=self.now, **parts), channel)

    def refund(self, transaction: str, number: str, fen: int, *, total: int | None = None) -> Taken:
        """A refund comes in."""
        return self.take_in(refund(transaction, number, fen, total=total, at=self.now))

    # -- what customers and clerks do -------------------------------------------------------------------------------

    def token(self, link: Row) -> str:
        """The token of a link."""
        return link_token(_LINK_KEY, link["id"])

    def claim(self, link: Row, person: str | None = None) -> Page:
        """The customer claims a link."""
        return self.claiming.claim(self.directory, self.token(link), self.now, person=person)

    def claimed(self, openid: str, **parts: Any) -> dict[str, str]:
        """Two payments of `openid`, the second link claimed: codes by item."""
        self.pay(f"{openid}-1", openid)
        self.pay(f"{openid}-2", openid, **parts)
        return {row["item"]: row["code"] for row in self.claim(self.link(f"{openid}-2")).coupons}

    def redeem(self, code: str, key: str = "scan-1", *, by: str = "clerk", **bill: Any) -> dict[str, Any]:
        """A clerk who may redeem anything redeems."""
        return self.redeeming.redeem(code, Clerk(by, None), key, Bill(**bill), self.now)

    def share(self, openid: str, circle: str = "riverside") -> str:
        """A known customer's share; its token."""
        return self.sharing.create(self.person(openid), circle, self.now).token

    def confirm(self, token: str, openid: str, circle: str = "riverside") -> str:
        """`openid` takes a share up; the outcome."""
        known_by = people.identities(self.vault, "open", [Payer("app-1", "openid", openid)])
        spec = self.directory.circle(circle)
        assert spec is not None
        return self.sharing.confirm(spec, token, known_by, self.now)

    # -- what the store says ----------------------------------------------------------------------------------------

    def all(self, sql: str, **params: Any) -> list[Row]:
        """Every row."""
        return self.store.read(lambda tx: tx.all(sql, params))

    def one(self, sql: str, **params: Any) -> Row:
        """The only row."""
        (row,) = self.all(sql, **params)
        return row

    def count(self, what: str, **params: Any) -> int:
        """`SELECT count(*) FROM <what>`."""
        return int(self.one(f"SELECT count(*) AS n FROM {what}", **params)["n"])

    def payment(self, transaction: str) -> Row:
        """The payment with this number."""
        return self.one("SELECT * FROM payments WHERE transaction_id = :t", t=transaction)

    def decisions(self, transaction: str) -> dict[str, tuple[str, str]]:
        """rule → (outcome, reason), the last word of each rule."""
        said = json.loads(self.payment(transaction)["decisions"])
        return {one["rule"]: (one["outcome"], one["reason"]) for one in said}

    def link(self, transaction: str, purpose: str = "payer") -> Row:
        """The link that a payment brought about."""
        return self.one(
            "SELECT l.* FROM links l JOIN payments p ON p.id = l.payment "
            "WHERE p.transaction_id = :t AND l.purpose = :purpose",
            t=transaction,
            purpose=purpose,
        )

    def links(self, transaction: str) -> set[str]:
        """The purposes of the links that a payment brought about."""
        rows = self.all(
            "SELECT l.purpose FROM links l JOIN payments p ON p.id = l.payment WHERE p.transaction_id = :t",
            t=transaction,
        )
        return {row["purpose"] for row in rows}

    def person(self, openid: str, app: str = "app-1") -> str:
        """The id of the person known by this openid."""
        found = self.store.read(lambda tx: people.find(tx, self.vault, "open", app, openid))
        assert found is not None
        return found.id

    def write(self, work) -> Any:
        """One transaction."""
        return self.store.write(work)

    def in_tx(self, openid: str, work) -> Any:
        """`work(tx, person)` for a known customer."""

        def run(tx: Tx) -> Any:
            found = people.find(tx, self.vault, "open", "app-1", openid)
            assert found is not None
            return work(tx, found)

        return self.store.write(run)
