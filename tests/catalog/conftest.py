"""A store on a real file, a small adapter with its platform, and the few lines that apply a file to them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

from crypto.vault import MasterKey
from gateway import audit
from gateway.catalog.apply import Workshop, apply
from gateway.catalog.references import Sources, file_reader
from gateway.catalog.registry import Registry
from gateway.catalog.sandbox_keys import SandboxKeyring
from gateway.catalog.storage import load
from gateway.catalog.surroundings import Surroundings
from gateway.contract import Ack, BadConfig, Malformed
from gateway.contract.ids import system_random
from gateway.home import Home
from gateway.keyring import Keyring
from gateway.store import migrate_store, open_store

NOW = datetime(2026, 11, 22, 4, 5, 6, tzinfo=timezone.utc)

SMALL = """
[circle.riverside]
name = "滨江商圈"
binding = "bearer"
[merchant.hotpot]
circle = "riverside"
name = "老王火锅"
[merchant.sweets]
circle = "riverside"
name = "甜甜糖水"
[shop.hotpot-1]
merchant = "hotpot"
name = "滨江一店"
[channel.hotpot-pay]
merchant = "hotpot"
shop = "hotpot-1"
adapter = "testpay"
upstream = "http://127.0.0.1:9001/pay/wx"
[channel.hotpot-pay.keys]
mchid = "1900000109"
secret = "canary-key-1"
[item.bowl-5off]
merchant = "sweets"
name = "糖水立减5元"
value_fen = 500
stock = 1000
offer = "elsewhere"
"""


class Testpay:
    """An adapter whose keys are `mchid`, `secret`, optional `more` (lists and tables of texts) and `sub_mchids`."""

    __test__ = False
    slug = "testpay"
    provider = "test"

    def load_keys(self, table):
        if table.get("secret") == "explode":
            raise RuntimeError("canary-in-the-text")
        faults = [(name, "is required") for name in ("mchid", "secret") if not table.get(name)]
        faults += [(name, "unknown") for name in table if name not in {"mchid", "secret", "more", "sub_mchids"}]
        if table.get("sub_mchids") == ["bad"]:
            faults.append(("sub_mchids.0", "is no number"))
        if faults:
            raise BadConfig(faults)
        return dict(table)

    def parse(self, raw, keys, now):
        raise Malformed("never asked here")

    def ack(self, outcome, event=None):
        return Ack({"accepted": 200, "refused": 401, "try_later": 503}[outcome], (), outcome.encode())


class Stalepay(Testpay):
    slug = "stalepay"
    stale_after_s = 300


class TestpayPlatform:
    __test__ = False
    slug = "testpay"

    def __init__(self):
        self.made = 0

    def new_keys(self):
        self.made += 1
        return {"private": f"p{self.made}"}, {"mchid": "sandbox", "secret": f"made-{self.made}"}

    def payment(self, private, keys, order):
        raise NotImplementedError

    def refund(self, private, keys, refund):
        raise NotImplementedError


class Coupons:
    """A campaign kind that wants `price_fen`."""

    slug = "coupons"

    def load_settings(self, table):
        if not isinstance(table.get("price_fen"), int):
            raise BadConfig([("price_fen", "is required")])
        return dict(table)

    def faults(self, campaign, catalogue):
        return [("price_fen", "is unlucky")] if campaign.settings["price_fen"] == 13 else []

    def funding(self, campaign):
        return campaign.settings["price_fen"] * 10


def registry():
    testpay, stalepay = Testpay(), Stalepay()
    return Registry({"testpay": testpay, "stalepay": stalepay}, {"testpay": TestpayPlatform()}, {"coupons": Coupons()})


def check_upstream(url):
    return None if url.startswith("http://127.0.0.1") else "the address is not allowed"


class Bench:
    """A home with a migrated store, and applying to it."""

    now = NOW

    def __init__(self, home):
        self.home = home
        migrate_store("sqlite:///drainage.db", home)
        self.store = open_store("sqlite:///drainage.db", home)
        self.master = MasterKey.new(system_random)
        self.keyring = Keyring(self.master, self.store, system_random)
        self.store.write(lambda tx: self.keyring.make_first(tx, NOW))
        self.registry = registry()
        self.sandbox_enabled = False
        self.env = {}

    def workshop(self):
        return Workshop(
            store=self.store,
            vault=self.keyring.vault(),
            surroundings=Surroundings(self.registry, self.sandbox_enabled, check_upstream, "pay.example.com"),
            sandbox_keys=SandboxKeyring(Home(self.home), self.registry.platforms),
            audit=lambda tx, action, name, before, after: audit.record(
                tx, NOW, "console", action, name, before=before, after=after
            ),
        )

    def apply(self, text, **flags):
        """{"kind.slug": action}; raises BadConfig."""
        changes = apply(
            text,
            lambda stored: Sources(file_reader(self.home), self.env, stored.secret),
            self.workshop(),
            NOW,
            **flags,
        )
        return {f"{change.kind}.{change.slug}": change.action for change in changes}

    def faults(self, text, **flags):
        with pytest.raises(BadConfig) as caught:
            self.apply(text, **flags)
        return dict(caught.value.faults)

    def stored(self):
        vault = self.keyring.vault()
        return self.store.read(lambda tx: load(tx, vault))

    def audited(self):
        return [
            SimpleNamespace(action=row["action"], object=row["object"], before=row["before"], after=row["after"])
            for row in self.store.read(lambda tx: tx.all("SELECT * FROM audit ORDER BY seq"))
        ]

    def rows(self):
        return {
            (row["kind"], row["slug"]): (json.loads(row["spec"]), row["secrets"], row["secret_ids"])
            for row in self.store.read(lambda tx: tx.all("SELECT * FROM catalog"))
        }


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def small():
    return SMALL
