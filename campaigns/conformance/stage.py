"""The kit's own house: a home, a migrated store, two circles, and the few moves that a story makes in it."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import tomli_w
from flask import Flask

from campaigns.conformance import told
from campaigns.conformance.listening import Listening
from gateway import audit
from gateway.app import build_relay, build_spool
from gateway.auth.passwords import Hasher
from gateway.catalog.apply import Workshop, apply
from gateway.catalog.references import Sources, file_reader
from gateway.catalog.registry import Registry
from gateway.catalog.sandbox_keys import SandboxKeyring
from gateway.catalog.surroundings import Surroundings
from gateway.contract.account import fund
from gateway.contract.errors import Refused
from gateway.contract.ids import system_random
from gateway.contract.store import Tx
from gateway.home import Home
from gateway.ledger import book
from gateway.relay import Guard
from gateway.runtime import Runtime, create
from gateway.service import Taken
from gateway.store import migrate_store
from gateway.worker import Worker

CAMPAIGN: Final = "trial"
START: Final = datetime(2026, 11, 22, 4, 5, 6, tzinfo=timezone.utc)
EMBEDDED: Final = "sqlite:///drainage.db"

HOUSE: Final = """
[circle.lane]
name = "梧桐里"
min_amount_fen = 100
binding = "bearer"
[circle.hill]
name = "另一个商圈"
binding = "bearer"
[merchant.noodles]
circle = "lane"
name = "老陈面馆"
[merchant.books]
circle = "lane"
name = "青禾书店"
[merchant.cafe]
circle = "lane"
name = "半日咖啡"
[merchant.tea]
circle = "hill"
name = "另一家店"
[item.side]
merchant = "noodles"
name = "小菜一份"
kind = "gift"
value_fen = 300
offer = "both"
[item.book-5off]
merchant = "books"
name = "图书立减5元"
value_fen = 500
min_spend_fen = 2000
stock = 1000
offer = "both"
[item.set-menu]
merchant = "cafe"
name = "双人下午茶"
value_fen = 5000
price_fen = 990
stock = 50
weight = 0
"""
_SHOPS: Final = ("noodles", "books", "cafe", "tea")
_CIRCLE_OF: Final = {"noodles": "lane", "books": "lane", "cafe": "lane", "tea": "hill"}
_BAD_SERVER: Final = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call of the API was answered."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class Stage:
    """See the module. `in_order` is False while the kit plays a story in another order."""

    def __init__(self, folder: Path, listening: Listening, text: str, database: str = EMBEDDED) -> None:
        self.kind = listening
        self.now = START
        self.in_order = True
        self.memory: dict[str, Any] = {}
        self.home = Home(folder)
        self._numbers = itertools.count(1)
        self._tokens: dict[str, str] = {}
        self._client: Any = None
        kinds = {listening.slug: listening.migrations}
        if database == EMBEDDED:
            shutil.copytree(_template(listening, text), folder)
            self.runtime = self._create()
        else:
            _furnish(self.home, database)
            migrate_store(database, folder, kinds)
            self.runtime = self._create()
            self.runtime.store.write(lambda tx: self.runtime.keyring.make_first(tx, START))
            self.apply(HOUSE + _channels() + text)
        self.store = self.runtime.store

    def _create(self) -> Runtime:
        hasher = Hasher(time_cost=1, memory_kib=8, parallelism=1, at_once=8, most=64)
        return create(self.home.root, environ={}, clock=lambda: self.now, registry=_registry(self.kind), hasher=hasher)

    def close(self) -> None:
        """Let the store go."""
        self.runtime.store.close()

    def apply(self, text: str) -> None:
        """Apply a file's text. Raises BadConfig."""
        _apply(self.runtime, self.home, text)

    # -- what happens -----------------------------------------------------------------------------------------------

    def pay(self, transaction: str, openid: str, fen: int = 10_000, *, shop: str = "noodles") -> Taken:
        """A payment at one of the house's shops; "" for a payer whom the platform does not tell."""
        return self._take_in(shop, told.paid(transaction, openid, fen, self.now))

    def refund(self, transaction: str, fen: int, *, shop: str = "noodles", number: str = "") -> Taken:
        """So much of a payment goes back; the same `number` again is the same refund."""
        number = number or f"R{next(self._numbers)}"
        return self._take_in(shop, told.refunded(transaction, number, fen, self.now))

    def _take_in(self, shop: str, raw: Any) -> Taken:
        directory = self.runtime.directory()
        channel = directory.channel(f"{shop}-pay")
        assert channel is not None
        return self.runtime.intake.take_in(directory, channel, raw, self.now)

    def later(self, **parts: float) -> None:
        """Time passes by `timedelta(**parts)`, and the worker does what is due then."""
        self.now += timedelta(**parts)
        self.work()

    def work(self) -> int:
        """What the worker does: everything that is owed and due, everything that has run out; how much."""
        guard = Guard(self.runtime.config.relay.allow)
        return Worker(self.runtime, build_relay(self.runtime, guard), build_spool(self.runtime)).finish_due()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: str = "operator",
        wants: int | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        merchant: str = "noodles",
    ) -> Answer:
        """A call of the API at a path such as `/sessions` below the campaign; bytes as they are, all else as JSON.

        `wants` is the status that it must have while the story is played in its order. A 5xx always fails the test.
        A POST brings an Idempotency-Key of its own, unless `key` says which; "" for none.
        """
        given = {"Authorization": f"Bearer {self.token(role, merchant)}"} if role else {}
        if method == "POST" and key != "":
            given["Idempotency-Key"] = key or f"kit-{next(self._numbers)}"
        sent: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {}
        if not sent and (body is not None or method in {"POST", "PUT", "PATCH"}):
            sent = {"json": {} if body is None else body}
        response = self.client().open(
            f"/api/v1/campaigns/{CAMPAIGN}{path}", method=method, headers={**given, **(headers or {})}, **sent
        )
        told_back = response.get_json(silent=True)
        assert response.status_code < _BAD_SERVER, f"{method} {path} → {response.status_code} {told_back}"
        if wants is not None and self.in_order:
            assert response.status_code == wants, f"{method} {path} → {response.status_code} {told_back}"
        return Answer(response.status_code, told_back, dict(response.headers))

    def claim(self, link: str) -> dict[str, str]:
        """Claim a link by its id; its coupons' codes by item, none where it may not be claimed."""
        token = self.runtime.link_keys.token(link)
        try:
            page = self.runtime.claiming.claim(self.runtime.directory(), token, self.now)
        except Refused:
            return {}
        return {row["item"]: row["code"] for row in page.coupons}

    def redeem(self, code: str, merchant: str, amount_fen: int = 10_000) -> int:
        """A clerk of `merchant` uses a coupon; the answer's status."""
        response = self.client().post(
            f"/api/v1/coupons/{code}/redeem",
            json={"amount_fen": amount_fen},
            headers={
                "Authorization": f"Bearer {self.token('manager', merchant)}",
                "Idempotency-Key": f"kit-{next(self._numbers)}",
            },
        )
        assert response.status_code < _BAD_SERVER
        return int(response.status_code)

    def known(self, name: str) -> str:
        """What an earlier step left in `memory`; where that step has not been, a name that nothing has."""
        return str(self.memory.get(name, "nothing"))

    # -- who asks ---------------------------------------------------------------------------------------------------

    def client(self) -> Any:
        """A client of an application with nothing but the API."""
        if self._client is None:
            from gateway.web.api import register_api

            app = Flask("campaigns.conformance")
            register_api(app, self.runtime)
            self._client = app.test_client()
        return self._client

    def token(self, role: str, merchant: str = "noodles") -> str:
        """An API token of that role; a manager's or clerk's is of `merchant`, an operator's of its circle."""
        circle = _CIRCLE_OF[merchant] if role == "operator" else None
        scope = merchant if role in {"manager", "clerk"} else None
        name = f"{role}-{scope or circle or 'all'}"
        if name not in self._tokens:
            issued = self.runtime.accounts.create_token(name, role, circle, scope, self.now, "the kit")
            self._tokens[name] = issued.text
        return self._tokens[name]

    # -- what is there ----------------------------------------------------------------------------------------------

    def all(self, sql: str, **params: Any) -> list[Any]:
        """Every row of a query."""
        return self.store.read(lambda tx: tx.all(sql, params))

    def one(self, sql: str, **params: Any) -> Any:
        """The only row of a query."""
        (row,) = self.all(sql, **params)
        return row

    def person_of(self, transaction: str) -> str:
        """Who made this payment."""
        return str(self.one("SELECT person FROM payments WHERE transaction_id = :id", id=transaction)["person"])

    def given(self) -> dict[str, int]:
        """What the campaign has given and not taken back: out of its accounts, by links, by coupons."""
        return self.store.read(_given)

    def dump(self) -> dict[str, list[str]]:
        """Every row of every table, as text."""
        return self.store.read(dump)


def dump(tx: Tx) -> dict[str, list[str]]:
    """Every row of every table, as text, sorted."""
    return {name: sorted(repr(dict_of(row)) for row in tx.all(f'SELECT * FROM "{name}"')) for name in tables(tx)}


def tables(tx: Tx) -> list[str]:
    """The names of the store's tables, less those in which migrations are counted."""
    if tx.dialect == "sqlite":
        rows = tx.all("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    else:
        rows = tx.all("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    counted = ("_sqlite_migrations", "drainage_migrations", "sqlite_")
    return [row["name"] for row in rows if not row["name"].startswith(counted)]


def dict_of(row: Any) -> dict[str, Any]:
    """A row as a plain mapping; bytes as hexadecimal digits, in whatever type the driver brings them."""
    names: list[str] = list(row.keys())
    return {name: _plain(row[name]) for name in names}


def _plain(value: Any) -> Any:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else value


def _given(tx: Tx) -> dict[str, int]:
    found = {unit: -book.balance(tx, fund(CAMPAIGN, unit)) for unit in ("cash", "points", "coupons")}
    links = tx.one(
        "SELECT count(*) AS n FROM links WHERE offer = :campaign AND state IN ('issued', 'opened', 'claimed')",
        {"campaign": CAMPAIGN},
    )
    held = tx.one(
        "SELECT count(*) AS n FROM coupons c WHERE c.state <> 'void' AND (c.origin IN (SELECT id FROM links "
        "WHERE offer = :campaign) OR c.origin IN (SELECT id FROM orders WHERE campaign = :campaign))",
        {"campaign": CAMPAIGN},
    )
    assert links is not None
    assert held is not None
    # A claimed link whose coupons were all made void has given nothing any more.
    open_links = tx.one(
        "SELECT count(*) AS n FROM links l WHERE l.offer = :campaign AND l.state = 'claimed' AND NOT EXISTS "
        "(SELECT 1 FROM coupons c WHERE c.origin = l.id AND c.state <> 'void')",
        {"campaign": CAMPAIGN},
    )
    assert open_links is not None
    return {**found, "links": links["n"] - open_links["n"], "held": held["n"]}


# -- making the home --------------------------------------------------------------------------------------------------


_TEMPLATES: Final[dict[tuple[str, str], Path]] = {}


def _template(listening: Listening, text: str) -> Path:
    """A home that is made once a process for each text, and copied for each test."""
    key = (listening.slug, text)
    if key not in _TEMPLATES:
        import atexit

        root = Path(tempfile.mkdtemp(prefix="drainage-kit-"))
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        home = Home(root / "home")
        _furnish(home, EMBEDDED)
        migrate_store(EMBEDDED, home.root, {listening.slug: listening.migrations})
        runtime = create(home.root, environ={}, clock=lambda: START, registry=_registry(listening))
        try:
            runtime.store.write(lambda tx: runtime.keyring.make_first(tx, START))
            _apply(runtime, home, HOUSE + _channels() + text)
        finally:
            runtime.store.close()
        _TEMPLATES[key] = home.root
    return _TEMPLATES[key]


def _furnish(home: Home, database: str) -> None:
    home.create()
    home.create_master_key(system_random)
    home.config_file.write_text(
        tomli_w.dumps(
            {
                "server": {"base_url": "https://pay.example.com"},
                "store": {"url": database},
                "sandbox": {"enabled": True},
            }
        )
    )


def _registry(listening: Listening) -> Registry:
    return Registry({told.SLUG: told.Told()}, campaigns={listening.slug: listening})


def _channels() -> str:
    lines = []
    for shop in _SHOPS:
        lines.append(f'[shop.{shop}-1]\nmerchant = "{shop}"\nname = "{shop}"')
        lines.append(f'[channel.{shop}-pay]\nmerchant = "{shop}"\nshop = "{shop}-1"\nadapter = "{told.SLUG}"')
        lines.append(f'intake = "copy"\nkeys = {{ mchid = "M-{shop}", appid = "app-{_CIRCLE_OF[shop]}" }}')
    return "\n".join(lines) + "\n"


def _apply(runtime: Runtime, home: Home, text: str) -> None:
    def note(tx: Tx, action: str, name: str, before: Any, after: Any) -> None:
        audit.record(tx, START, "the kit", action, name, before=before, after=after)

    workshop = Workshop(
        store=runtime.store,
        vault=runtime.keyring.reload(),
        surroundings=Surroundings(runtime.registry, sandbox_enabled=True, check_upstream=lambda _url: None),
        sandbox_keys=SandboxKeyring(home, runtime.registry.platforms),
        audit=note,
    )
    apply(text, lambda stored: Sources(file_reader(home.root), {}, stored.secret), workshop, START)


def campaign_text(kind: str, settings: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    """The campaign under test as an apply file has it."""
    table = {"kind": kind, "circle": "lane", "state": "live", **shared, **settings}
    return tomli_w.dumps({"campaign": {CAMPAIGN: table}})


MakeStage = Callable[..., Stage]
