"""A whole small installation: a home, a migrated store, a catalogue, users; and the few moves that tests make in it.

    world = World(tmp_path)
    world.pay("T1", "openid-a")
    world.client("manager").get("/api/v1/payments/T1")

Two circles: `riverside` with the merchants `hotpot` and `sweets`, `hillside` with `noodles`. Time stands still until
`world.clock` is moved.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from gateway import audit
from gateway.auth import Hasher
from gateway.catalog.apply import Workshop, apply
from gateway.catalog.references import Sources, file_reader
from gateway.catalog.registry import Registry, installed, kinds_migrations
from gateway.catalog.rules import Surroundings
from gateway.catalog.sandbox_keys import SandboxKeyring
from gateway.contract.campaign_kind import CampaignKind
from gateway.contract.errors import BadConfig
from gateway.contract.ids import system_random
from gateway.home import Home
from gateway.runtime import Runtime, create
from gateway.service import Taken
from gateway.store import migrate_store
from tests.support.plainpay import Plainpay, paid, refunded

START = datetime(2026, 11, 22, 4, 5, 6, tzinfo=timezone.utc)
BASE_URL = "https://pay.example.com"
EMBEDDED = "sqlite:///drainage.db"
SECRET = "canary-channel-secret"
PASSWORD = "canary password of tests"

CATALOG = """
[circle.riverside]
name = "滨江商圈"
min_amount_fen = 100
binding = "bearer"
[circle.hillside]
name = "山脚商圈"
binding = "bearer"

[merchant.hotpot]
circle = "riverside"
name = "老王火锅"
[merchant.sweets]
circle = "riverside"
name = "甜甜糖水"
[merchant.noodles]
circle = "hillside"
name = "山脚面馆"

[shop.hotpot-1]
merchant = "hotpot"
name = "滨江一店"
[shop.sweets-1]
merchant = "sweets"
name = "糖水铺"

[channel.hotpot-pay]
merchant = "hotpot"
shop = "hotpot-1"
adapter = "plainpay"
intake = "copy"
keys = { mchid = "M-hotpot", appid = "app-riverside", secret = "canary-channel-secret" }
[channel.hotpot-second]
merchant = "hotpot"
adapter = "secondpay"
intake = "relay"
upstream = "http://127.0.0.1:9001/pay"
keys = { mchid = "M-second", appid = "app-riverside", secret = "canary-channel-secret" }
[channel.sweets-pay]
merchant = "sweets"
adapter = "plainpay"
intake = "copy"
keys = { mchid = "M-sweets", appid = "app-riverside", secret = "canary-channel-secret" }
[channel.noodles-pay]
merchant = "noodles"
adapter = "plainpay"
intake = "copy"
keys = { mchid = "M-noodles", appid = "app-hillside", secret = "canary-channel-secret" }

[item.bowl-5off]
merchant = "sweets"
name = "糖水立减5元"
value_fen = 500
min_spend_fen = 2000
stock = 1000
offer = "elsewhere"
[item.soup]
merchant = "hotpot"
name = "例汤一份"
kind = "gift"
value_fen = 300
offer = "own"
[item.set-menu]
merchant = "sweets"
name = "双人套餐"
value_fen = 5000
price_fen = 990
stock = 5
weight = 0

[offer.default]
circle = "riverside"
own = 1
elsewhere = 1
"""


@functools.cache
def _template(sandbox: bool, catalog: str) -> Path:
    """A home that is made once a process and copied for each test: making one takes longer than most tests."""
    root = Path(tempfile.mkdtemp(prefix="drainage-tests-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    made = World.__new__(World)
    made.home, made.sandbox, made.clock, made._runtimes = Home(root / "home"), sandbox, Clock(), []
    made._make(catalog, EMBEDDED)
    made.close()
    return made.home.root


class Clock:
    """Time that moves when a test says so."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **parts: float) -> None:
        """Forward by `timedelta(**parts)`."""
        self.now += timedelta(**parts)


@dataclass(frozen=True)
class Claimed:
    """A link that was claimed: its id, its token, and the codes by item."""

    link: str
    token: str
    codes: dict[str, str]


def cheap_hasher(**parts: int) -> Hasher:
    """Argon2 with the least work there is."""
    return Hasher(**{"time_cost": 1, "memory_kib": 8, "parallelism": 1, "at_once": 8, "most": 64, **parts})


@functools.cache
def registry() -> Registry:
    """Two platforms of `tests.support.plainpay`, the second one's signatures go stale after five minutes; every kind."""
    adapters = {"plainpay": Plainpay(), "secondpay": Plainpay("secondpay", stale_after_s=300)}
    return Registry(adapters, campaigns=_kinds())


def _kinds():
    found = {}
    for point in entry_points(group="drainage.campaigns"):
        with contextlib.suppress(BadConfig):
            found |= installed((), [point]).campaigns
    return found


def runtime_of(home: Path, clock: Clock, known: Registry | None = None) -> Runtime:
    """The parts of one process over a world's home; for another process too."""
    return create(home, environ={}, clock=clock, registry=known or registry(), hasher=cheap_hasher())


class World:
    """See the module. `sandbox` sets `[sandbox] enabled`; `store_url` another store than SQLite in the home.

    `kinds`: these campaign kinds in place of the installed ones.
    """

    _registry: Registry | None = None

    def __init__(
        self,
        root: Path,
        *,
        sandbox: bool = False,
        catalog: str = CATALOG,
        store_url: str = EMBEDDED,
        kinds: Iterable[CampaignKind] = (),
    ) -> None:
        self.home = Home(root / "home")
        self.sandbox = sandbox
        self.clock = Clock()
        self._numbers = itertools.count(1)
        self._tokens: dict[tuple[Any, ...], str] = {}
        self._runtimes: list[Runtime] = []
        if kinds:
            self._registry = replace(registry(), campaigns={kind.slug: kind for kind in kinds})
        if store_url == EMBEDDED and not kinds:
            shutil.copytree(_template(sandbox, catalog), self.home.root)
            self.runtime = self.another_runtime()
            self.store = self.runtime.store
        else:
            self._make(catalog, store_url)

    def _make(self, catalog: str, store_url: str) -> None:
        """What `drainage init` and `drainage apply` do."""
        self.home.create()
        self.home.create_master_key(system_random)
        self.home.config_file.write_text(
            f'[server]\nbase_url = "{BASE_URL}"\n[store]\nurl = "{store_url}"\n'
            f"[sandbox]\nenabled = {'true' if self.sandbox else 'false'}\n"
        )
        migrate_store(store_url, self.home.root, kinds_migrations(self._registry or registry()))
        self.runtime = self.another_runtime()
        self.store = self.runtime.store
        self.store.write(lambda tx: self.runtime.keyring.make_first(tx, self.clock()))
        self.apply(catalog)

    def another_runtime(self) -> Runtime:
        """What a second worker process has: parts of its own over the same home. Same clock."""
        made = runtime_of(self.home.root, self.clock, self._registry)
        self._runtimes.append(made)
        return made

    def close(self) -> None:
        """Let every runtime's store go."""
        for runtime in self._runtimes:
            runtime.store.close()

    def apply(self, text: str) -> None:
        """Apply a file's text."""
        apply(text, lambda stored: Sources(file_reader(self.home.root), {}, stored.secret), self._workshop(), START)

    def _workshop(self) -> Workshop:
        def note(tx, action, name, before, after):
            audit.record(tx, self.clock(), "tests", action, name, before=before, after=after)

        return Workshop(
            store=self.store,
            vault=self.runtime.keyring.reload(),
            surroundings=Surroundings(self.runtime.registry, self.sandbox, lambda _url: None),
            sandbox_keys=SandboxKeyring(self.home, self.runtime.registry.platforms),
            audit=note,
        )

    # -- money ------------------------------------------------------------------------------------------------------

    def pay(
        self,
        transaction_id: str,
        *openids: str,
        channel: str = "hotpot-pay",
        amount_fen: int = 10_000,
        received_at: datetime | None = None,
    ) -> Taken:
        """A payment comes in, by default at the hotpot."""
        raw = paid(SECRET, transaction_id, openids, amount_fen, self.clock(), received_at=received_at)
        return self._take_in(channel, raw)

    def refund(self, transaction_id: str, refund_fen: int, *, channel: str = "hotpot-pay") -> Taken:
        """A refund comes in."""
        raw = refunded(SECRET, transaction_id, f"R{next(self._numbers)}", refund_fen, self.clock())
        return self._take_in(channel, raw)

    def _take_in(self, channel: str, raw) -> Taken:
        directory = self.runtime.directory()
        live = directory.channel(channel)
        assert live is not None
        return self.runtime.intake.take_in(directory, live, raw, self.clock())

    def person_of(self, transaction_id: str) -> str:
        """Who made this payment."""
        row = self.one("SELECT person FROM payments WHERE transaction_id = :id", id=transaction_id)
        return str(row["person"])

    def claimed(self, openid: str) -> Claimed:
        """Two payments of a fresh payer at the hotpot, and the link that the second one gave, claimed."""
        number = next(self._numbers)
        self.pay(f"first-{number}", openid)
        self.pay(f"second-{number}", openid)
        link = self.one(
            "SELECT l.* FROM links l JOIN payments p ON p.id = l.payment WHERE p.transaction_id = :id",
            id=f"second-{number}",
        )
        token = self.runtime.link_keys.token(link["id"])
        page = self.runtime.claiming.claim(self.runtime.directory(), token, self.clock())
        return Claimed(link["id"], token, {row["item"]: row["code"] for row in page.coupons})

    def code(self, item: str = "bowl-5off") -> str:
        """A fresh coupon of this item, by default one of `sweets`."""
        return self.claimed(f"openid-of-a-coupon-{next(self._numbers)}").codes[item]

    # -- people -----------------------------------------------------------------------------------------------------

    def user(self, name: str, role: str, *, circle: str | None = None, merchant: str | None = None) -> str:
        """A user who has replaced his one-time password; the password."""
        accounts = self.runtime.accounts
        once = accounts.create_user(name, role, circle, merchant, self.clock(), "tests")
        accounts.change_password(name, once, PASSWORD, "192.0.2.1", self.clock())
        return PASSWORD

    def token(self, role: str, *, circle: str | None = None, merchant: str | None = None, name: str = "") -> str:
        """An API token; managers and clerks are the hotpot's unless `merchant` says otherwise. Made once."""
        if role in {"manager", "clerk"}:
            merchant = merchant or "hotpot"
        key = (role, circle, merchant, name)
        if key not in self._tokens:
            issued = self.runtime.accounts.create_token(
                name or f"{role}-{merchant or circle or 'all'}", role, circle, merchant, self.clock(), "tests"
            )
            self._tokens[key] = issued.text
        return self._tokens[key]

    # -- the API ----------------------------------------------------------------------------------------------------

    def app(self, runtime: Runtime | None = None) -> Flask:
        """A Flask application with nothing but the API."""
        from gateway.web.api import register_api

        app = Flask("tests.support.world")
        register_api(app, runtime or self.runtime)
        return app

    def client(self, role: str | None = None, *, token: str | None = None, **scope: Any) -> FlaskClient:
        """A client that asks as `role`, or with `token`, or as nobody."""
        client = self.app().test_client()
        if token is None and role is not None:
            token = self.token(role, **scope)
        if token is not None:
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return client

    # -- the store --------------------------------------------------------------------------------------------------

    def one(self, sql: str, **params: Any) -> Any:
        """The only row."""
        (row,) = self.all(sql, **params)
        return row

    def all(self, sql: str, **params: Any) -> list[Any]:
        """Every row."""
        return self.store.read(lambda tx: tx.all(sql, params))

    def link_url(self, link_id: str) -> str:
        """The address of a link."""
        return f"{BASE_URL}/c/{self.runtime.link_keys.token(link_id)}"

    def links(self) -> list[Any]:
        """Every link, oldest first."""
        return self.all("SELECT * FROM links ORDER BY id")
