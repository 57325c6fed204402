"""A purse to pay out of: `PayingOut` over any store, with a directory and a wallet that can be held in the hand."""

from __future__ import annotations

from types import SimpleNamespace

from crypto.vault import Vault
from gateway import people
from gateway.catalog.specs import Circle, Merchant
from gateway.contract.account import fund, person_rewards
from gateway.contract.campaign import CampaignView
from gateway.contract.events import Payer
from gateway.contract.ids import IdFactory
from gateway.contract.money import Fen
from gateway.contract.payout import Payee
from gateway.contract.wallet import Call, CallUnknown, Transfer, TransferStanding
from gateway.ledger import book
from gateway.payouts.sender import Sender
from gateway.payouts.story import PayingOut
from gateway.tills import Line
from tests.support.builders import START

VAULT = Vault({"k1": b"k" * 32}, "k1", b"i" * 32)
BANK = Payee(bank_account="6222 0212 3456 4242", name="陈")


class Bank:
    """A wallet's platform that says what a test tells it to: (standing, or a trouble) for each call, in order."""

    slug = "wechat"

    def __init__(self):
        self.says: list = []
        self.heard: list[tuple[str, str]] = []
        self.asks: list[tuple[str, Transfer | str]] = []
        self.sends = True

    def can_pay(self, keys):
        return True

    def can_transfer(self, keys):
        return self.sends

    def least_fen(self, keys):
        return Fen(10)

    def most_fen(self, keys):
        return Fen(100_000)

    def transfer(self, keys, transfer, now, nonce):
        self.asks.append(("transfer", transfer))
        return Call("POST", "https://bank.test/transfer")

    def query_transfer(self, keys, number, now, nonce):
        self.asks.append(("query", number))
        return Call("GET", "https://bank.test/query")

    def transferred(self, keys, reply, now):
        return self._next()

    transfer_queried = transferred

    def confirm(self, keys, handle):
        return {"package": handle} if handle else {}

    def _next(self):
        said = self.says.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


CONFIRMS = TransferStanding("confirms", handle="package", detail="WAIT_USER_CONFIRM")
ACCEPTED = TransferStanding("accepted", detail="PROCESSING")
DONE = TransferStanding("done", detail="SUCCESS")
NOT_FOUND = TransferStanding("not_found")
UNKNOWN = CallUnknown("SYSTEM_ERROR")


def failed(fault, detail="X"):
    return TransferStanding("failed", fault=fault, detail=detail)


class Purse:
    """See the module. `told` are the moves that the campaign heard of."""

    def __init__(self, store):
        self.store = store
        self.ids = IdFactory()
        self.now = START
        self.bank = Bank()
        self.told = []
        self.hooks = []
        circle = Circle(slug="wutong", name="梧桐里")
        noodles = Merchant(slug="noodles", circle="wutong", name="老陈面馆")
        spec = SimpleNamespace(slug="noodles-wechat", paused=False, keys={}, sub_merchants={})
        wallet = SimpleNamespace(channel="noodles-wechat", seam=self.bank, keys="keys", values={"appid": "wx1"})
        self.channel = SimpleNamespace(spec=spec, merchant=noodles, wallet=wallet, circle=circle)
        self.directory = SimpleNamespace(
            catalog=SimpleNamespace(merchants={"noodles": noodles}),
            circle=lambda slug: circle if slug == "wutong" else None,
            channels=lambda: [self.channel] if self.channel else [],
            channel=lambda slug: self.channel if slug == "noodles-wechat" else None,
            webhooks_for=lambda _circle, _merchant: self.hooks,
        )
        self.paying = PayingOut(self.ids, lambda: self.directory, lambda: VAULT, self._hear)
        line = Line(lambda _call: None, lambda n: b"n" * n)
        self.sender = Sender(store, self.ids, self.paying, line, lambda: self.directory, lambda: VAULT)
        self.campaign = CampaignView(
            "spring", "micro_merchant", "wutong", frozenset(), "live", 1, None, None, Fen(0), Fen(0), None
        )
        self.person = store.write(self._customer)
        self.account = person_rewards(self.person)

    def _customer(self, tx):
        known = people.identities(VAULT, "wechat", [Payer("wx1", "openid", "openid-of-7F3A")])
        return people.recognise(tx, self.ids, self.now, known).id

    def _hear(self, tx, moved, now):
        self.told.append((moved.state, moved.reason))

    def earn(self, fen, key="earned", account=None):
        self.store.write(
            lambda tx: book.transfer(
                tx, f"t_{key}", key, fund("spring"), account or self.account, fen, "reward", self.now
            )
        )

    def pay_out(self, fen=500, key="k1", payee=None, account=None, **more):
        to = payee or Payee(person=self.person)
        return self.store.write(
            lambda tx: self.paying.pay_out(
                tx, self.campaign, account or self.account, to, fen, key, f"about-{key}", self.now, **more
            )
        )

    def standing(self, payout):
        return self.store.read(lambda tx: self.paying.payout(tx, payout))

    def bank_says(self, payout, state, reason=""):
        return self.store.write(lambda tx: self.paying.bank_says(tx, payout, state, reason, self.now))

    def approve(self, payout, who):
        return self.store.write(lambda tx: self.paying.approve_payout(tx, payout, who, self.now))

    @property
    def balance(self):
        return self.store.read(lambda tx: book.balance(tx, self.account))

    def owed(self):
        return self.store.read(
            lambda tx: [dict(row) for row in tx.all("SELECT * FROM outbox WHERE topic = 'payout' AND state = 'due'")]
        )

    def look(self, payout, *says):
        """One look, at which the platform says this, one thing a call."""
        self.bank.says = list(says)
        row = self.one("SELECT asked FROM payouts WHERE id = :id", id=payout)
        assert self.sender.look({"payout": payout, "asked": row["asked"]}, self.now) is None
        assert self.bank.says == [], "it was not asked so much"
        return self.standing(payout)

    def one(self, sql, **params):
        return self.store.read(lambda tx: tx.one(sql, params))

    def all(self, sql, **params):
        return self.store.read(lambda tx: [dict(row) for row in tx.all(sql, params)])
