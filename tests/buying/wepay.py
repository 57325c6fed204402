"""A payment platform that can be held in the hand: its notifications, its wallet, and itself, with every trouble of a line.

platform = Platform(); shop = Shop(tmp_path, url, platform)
platform.trouble("prepay", "lost")      # the next prepay is accepted, and its answer never comes
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from typing import Any

from gateway import people
from gateway.buying import Buying, rows
from gateway.catalog.registry import Registry
from gateway.contract.clock import to_text
from gateway.contract.events import Payer
from gateway.contract.money import Fen
from gateway.contract.wallet import Call, CallFailed, CallUnknown, Reply, Trade
from gateway.runtime import create
from gateway.worker import Worker
from tests.support.plainpay import Plainpay, _sent
from tests.support.world import CATALOG, SECRET, World, cheap_hasher

SHOP = (
    CATALOG.replace(
        "[channel.noodles-pay]",
        '[channel.sweets-pay.wallet]\nappid = "app-riverside"\napp_secret = "s"\n[channel.noodles-pay]',
    )
    .replace("elsewhere = 1\n", "elsewhere = 1\nbought_threshold = 3\n")
    .replace('"plainpay"', '"wepay"')
    .replace('offer = "own"', 'offer = "both"')
)
PRICE = 990
CHANNEL = "sweets-pay"


class Wepay(Plainpay):
    """Plainpay that is WeChat's, and tells the merchant's own number."""

    provider = "wechat"

    def __init__(self) -> None:
        super().__init__("wepay")

    def parse(self, raw, keys, now):
        event = super().parse(raw, keys, now)
        said = json.loads(raw.body)
        if said["event"] not in {"paid", "refunded"}:
            return event
        more = {"out_trade_no": said.get("out_trade_no"), "provider": "wechat"}
        if "currency" in said:
            more["currency"] = said["currency"]
        return replace(event, **more)


class Wallet:
    """The seam, in JSON. An answer of another status than 200 is a code; `F…` are final, all others unknown."""

    slug = "wechat"

    def load(self, wallet, keys):
        return {**keys, **wallet}

    def can_pay(self, keys):
        return keys.get("app_secret") != "signs in alone"

    def authorize_url(self, keys, redirect_uri, state):
        return f"https://wepay.test/authorize?state={state}"

    def code_of(self, keys, query):
        return query["code"]

    def exchange(self, keys, code, now, nonce):
        return _call("exchange", code, {})

    def identity(self, keys, reply):
        return (Payer(keys["appid"], "openid", json.loads(reply.body)["openid"]),)

    def prepay(self, keys, purchase, now, nonce):
        said = {
            "amount": purchase.amount_fen,
            "description": purchase.description,
            "openid": purchase.payer.value,
            "notify_url": purchase.notify_url,
            "expires_at": to_text(purchase.expires_at),
        }
        return _call("prepay", purchase.out_trade_no, said)

    def prepaid(self, keys, reply, now):
        return _read(reply)["handle"]

    def bridge(self, keys, handle, now, nonce):
        return {"package": f"prepay_id={handle}"}

    def query(self, keys, out_trade_no, now, nonce):
        return _call("query", out_trade_no, {})

    def queried(self, keys, reply, now):
        said = _read(reply)
        if said["state"] != "paid":
            return Trade(said["state"])
        return Trade("paid", said["transaction_id"], Fen(said["amount"]), now)

    def close(self, keys, out_trade_no, now, nonce):
        return _call("close", out_trade_no, {})

    def closed(self, keys, reply, now):
        return _read(reply)["state"]

    def refund(self, keys, give_back, now, nonce):
        said = {"order": give_back.out_trade_no, "fen": give_back.refund_fen, "total": give_back.total_fen}
        return _call("refund", give_back.out_refund_no, said)

    def refunded(self, keys, reply, now):
        return _read(reply)["state"]

    def query_refund(self, keys, give_back, now, nonce):
        return _call("query_refund", give_back.out_refund_no, {})

    def refund_queried(self, keys, reply, now):
        return _read(reply)["state"]


def _call(verb: str, number: str, said: Any) -> Call:
    return Call("POST", f"https://wepay.test/{verb}/{number}", (), json.dumps(said, sort_keys=True).encode())


def _read(reply: Reply) -> Any:
    if reply.status == 200:
        return json.loads(reply.body)
    code = reply.body.decode()
    raise CallFailed(code) if code.startswith("F") else CallUnknown(code)


@dataclass
class Platform:
    """The platform itself, and the carrier that leads to it."""

    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    refund_state: str = "done"

    def __post_init__(self) -> None:
        self._troubles: dict[str, list[str]] = {}
        self._lock = threading.RLock()
        self.before: dict[str, Any] = {}

    def trouble(self, verb: str, *what: str) -> None:
        """What happens to the next calls of this kind: `lost` (done, no answer), `away` (not reached), else a code."""
        self._troubles.setdefault(verb, []).extend(what)

    def __call__(self, call: Call) -> Reply:
        verb, number = call.url.rsplit("/", 2)[1:]
        if verb in self.before:
            self.before.pop(verb)()
        with self._lock:
            self.calls.append((verb, number))
            waiting = self._troubles.get(verb)
            what = waiting.pop(0) if waiting else ""
            if what == "away":
                raise CallUnknown("not_reached")
            if what and what != "lost":
                return Reply(500, (), what.encode())
            answer = self._do(verb, number, json.loads(call.body))
            if what == "lost":
                raise CallUnknown("timeout")
            return answer

    def _do(self, verb: str, number: str, said: Any) -> Reply:  # noqa: PLR0911 - one answer a verb
        order = self.orders.get(number)
        if verb == "exchange":
            return _ok(openid=number)
        if verb == "prepay":
            if order is not None and order["said"] != said:
                return Reply(400, (), b"F_OTHER_FACTS")
            self.orders.setdefault(number, {"said": said, "state": "unpaid", "back": 0})
            return _ok(handle=f"wx{number}")
        if verb == "query":
            if order is None:
                return _ok(state="not_found")
            return _ok(state=order["state"], transaction_id=order.get("transaction_id"), amount=order.get("amount"))
        if verb == "close":
            if order is None:
                return _ok(state="not_found")
            if order["state"] == "unpaid":
                order["state"] = "closed"
            return _ok(state=order["state"])
        if verb == "refund":
            known = self.refunds.get(number)
            if known is None:
                paid = self.orders[said["order"]]
                assert paid["state"] == "paid"
                assert paid["back"] + said["fen"] <= paid["amount"] == said["total"]
                paid["back"] += said["fen"]
                self.refunds[number] = {"said": said, "state": self.refund_state}
            elif known["said"] != said:
                return Reply(400, (), b"F_OTHER_FACTS")
            return _ok(state="pending" if self.refunds[number]["state"] != "done" else "done")
        assert verb == "query_refund"
        return _ok(state=self.refunds[number]["state"] if number in self.refunds else "not_found")

    def pay(self, number: str, *, amount: int | None = None) -> str:
        """The customer pays; the transaction's number."""
        with self._lock:
            order = self.orders[number]
            assert order["state"] == "unpaid"
            order |= {"state": "paid", "transaction_id": f"T{number}", "amount": amount or order["said"]["amount"]}
            return order["transaction_id"]

    def count(self, verb: str) -> int:
        return sum(one == verb for one, _ in self.calls)


def _ok(**said: Any) -> Reply:
    return Reply(200, (), json.dumps(said).encode())


class NoRelay:
    """The worker's relay, which no test here needs."""


class EmptySpool:
    def is_empty(self):
        return True


class Shop(World):
    """A world in which `sweets` sells the set menu (¥9.90, five in stock) through the platform."""

    def __init__(self, root, url: str, platform: Platform, *, sandbox: bool = False) -> None:
        self.platform = platform
        super().__init__(root, sandbox=sandbox, catalog=SHOP, store_url=url)
        self.buying = Buying(self.runtime)
        self.pay("known", "a", channel=CHANNEL)
        self.person = self.person_of("known")

    def another_runtime(self):
        made = create(
            self.home.root,
            environ={},
            clock=self.clock,
            registry=Registry({"wepay": Wepay(), "secondpay": Plainpay("secondpay")}, wallets={"wechat": Wallet()}),
            hasher=cheap_hasher(),
            carrier=self.platform,
        )
        self._runtimes.append(made)
        return made

    def worker(self) -> Worker:
        return Worker(self.runtime, NoRelay(), EmptySpool())

    def work(self) -> None:
        """Everything that is due."""
        self.worker().finish_due()

    def run(self, seconds: int, step: int = 5) -> None:
        """Time passes, and the worker works."""
        for _ in range(0, seconds, step):
            self.clock.move(seconds=step)
            self.work()

    def newcomer(self, openid: str) -> str:
        """Another customer, known by a payment; his person."""
        self.pay(f"known-{openid}", openid, channel=CHANNEL)
        return self.person_of(f"known-{openid}")

    def order(self, quantity: int = 1, *, form: str | None = None, person: str | None = None) -> str:
        """An order, announced."""
        form = form or f"form-{next(self._numbers)}"
        made = self.buying.order("set-menu", quantity, person or self.person, "wechat", form, self.clock())
        self.buying.announce(made, self.clock())
        return made

    def number(self, order: str) -> str:
        """The order's number at the platform."""
        return self.store.read(lambda tx: rows.purchase_of(tx, order))["number"]

    def pay_order(self, order: str, **more) -> str:
        return self.platform.pay(self.number(order), **more)

    def raw(self, order: str, *, event: str = "paid", secret: str = SECRET, **more):
        """The platform's notification of an order's payment."""
        number = self.number(order)
        said = {
            "event": event,
            "event_id": f"e-{number}-{event}",
            "transaction_id": f"T{number}",
            "out_trade_no": number,
            "openids": ["a"],
            "amount_fen": self.platform.orders[number]["said"]["amount"],
            "at": to_text(self.clock()),
            "refund_id": f"R{number}",
            "refund_fen": 1,
            **more,
        }
        return _sent(said, secret, self.clock())

    def told(self, order: str, **more) -> None:
        """The notification arrives and is genuine."""
        channel = self.runtime.directory().channel(more.pop("channel", CHANNEL))
        event = channel.adapter.parse(self.raw(order, **more), channel.keys, self.clock())
        self.buying.told(channel, event, self.clock())

    def state(self, order: str) -> str:
        return self.one("SELECT state FROM orders WHERE id = :o", o=order)["state"]

    def taken(self) -> int:
        return self.one("SELECT taken FROM stock WHERE item = 'set-menu'")["taken"]

    def incidents(self) -> set[str]:
        return {row["kind"] for row in self.all("SELECT kind FROM incidents WHERE closed_at IS NULL")}

    def balance(self, account: str) -> int:
        found = self.all("SELECT credits_posted - debits_posted AS n FROM accounts WHERE id = :a", a=account)
        return found[0]["n"] if found else 0

    def openid_known(self, openid: str) -> bool:
        vault = self.runtime.vault()
        return self.store.read(lambda tx: people.find(tx, vault, "wechat", "app-riverside", openid)) is not None
