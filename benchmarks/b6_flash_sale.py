"""B6: deductions of a flash sale, 200 buyers at once, on SQLite, PostgreSQL and Redis; S = 1, 4, 16 shards.

Ours does the whole deduction: time, per-person limit, shard, journal; in the store the reservation with its request
id too. The peers do less: `update` is one conditional UPDATE and one line of a journal in a transaction of its own,
`select` the usual SELECT, then UPDATE to what was read less one (each statement by itself), `decr` a single key's
DECR, `bare` a Lua script that looks and takes, no more. All sides of one store run through the same client library,
over as many connections and threads, in one process; but `update in turn`, which is kinder to itself than a web
application can be: one connection behind one lock, instead of a connection a buyer and SQLite's own waiting. What was
sold is counted afterwards. SQLite syncs each commit; PostgreSQL runs without fsync on all its sides, as the tests'
servers do.
"""

from __future__ import annotations

import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import psycopg
import redis
from psycopg_pool import ConnectionPool
from pysqlite3 import dbapi2 as sqlite3

from campaigns.flash_sale import splitting, tables
from campaigns.flash_sale.redis_stock import CONNECTIONS, RedisStock
from campaigns.flash_sale.settings import FlashSaleSettings
from campaigns.flash_sale.stock import Ask, SqlStock, drawer
from gateway.contract.campaign import CampaignView
from gateway.contract.errors import Refused
from gateway.contract.ids import IdFactory, system_random
from gateway.contract.money import Fen
from gateway.store import migrate_store, open_store
from tests.support.databases import PostgresServer
from tests.support.redis_server import RedisServer

BUYERS = 200
ASKS = 6
TOTAL = 1000
SHARDS = (1, 4, 16)
NOW = datetime(2026, 3, 1, 4, 0, tzinfo=timezone.utc)
KIND = {"flash_sale": tables.MIGRATIONS}


@dataclass
class Ran:
    """One crowd: sales a second, latencies in milliseconds, how many were told that they have one."""

    rate: float
    p50: float
    p99: float
    sold: int


def crowd(take: Callable[[int], bool]) -> Ran:
    """BUYERS threads ask ASKS times each, every ask by another person; `take(number)` tells whether he got one."""
    start = threading.Barrier(BUYERS + 1)
    times: list[float] = []
    got: list[bool] = []

    def shop(place: int) -> None:
        start.wait()
        for turn in range(ASKS):
            began = time.perf_counter()
            sold = take(place * ASKS + turn)
            times.append((time.perf_counter() - began) * 1000)
            got.append(sold)

    threads = [threading.Thread(target=shop, args=(place,)) for place in range(BUYERS)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    assert len(got) == BUYERS * ASKS
    percents = statistics.quantiles(times, n=100)
    return Ran(TOTAL / took, percents[49], percents[98], sum(got))


def run(rounds: int = 5) -> dict:
    """Medians of sales a second, p50 and p99, oversold and undersold units; raises when ours gives a wrong answer."""
    found: dict[str, list[Ran]] = {}
    with tempfile.TemporaryDirectory() as folder:
        postgres, server = PostgresServer(), RedisServer()
        try:
            sides = {**_sqlite(Path(folder)), **_postgres(postgres), **_redis(Path(folder), server)}
            for number in range(rounds + 1):
                for name, side in sides.items():
                    ran = side()
                    if number:  # the first round warms up
                        found.setdefault(name, []).append(ran)
        finally:
            postgres.stop()
            server.stop()
    rates = {name: statistics.median(ran.rate for ran in runs) for name, runs in found.items()}
    ours = [name for name in found if " S=" in name]
    over = {name: max(ran.sold - TOTAL for ran in runs) for name, runs in found.items()}
    under = {name: max(TOTAL - ran.sold for ran in runs) for name, runs in found.items()}
    assert all(over[name] == under[name] == 0 for name in ours), (over, under)
    best = {store: max(rates[f"{store} S={shards}"] for shards in SHARDS) for store in ("sqlite", "postgres", "redis")}
    middle = {
        f"{name} {figure} ms": round(statistics.median(getattr(ran, figure) for ran in found[name]), 1)
        for name in (*ours, "sqlite update", "postgres update", "redis bare")
        for figure in ("p50", "p99")
    }
    return {
        "id": "B6",
        "what": f"flash sale: {BUYERS} buyers at once, {TOTAL} units, {BUYERS * ASKS} asks",
        "unit": "sales per second",
        "medians": {name: round(rate) for name, rate in rates.items()},
        "ratios": {
            "sqlite ours/update": round(best["sqlite"] / rates["sqlite update"], 2),
            "sqlite ours/update in turn": round(best["sqlite"] / rates["sqlite update in turn"], 2),
            "postgres S=16/S=1": round(rates["postgres S=16"] / rates["postgres S=1"], 2),
            "postgres ours/update": round(best["postgres"] / rates["postgres update"], 2),
            "redis ours/bare script": round(best["redis"] / rates["redis bare"], 2),
            "ours: oversold": max(over[name] for name in ours),
            "ours: undersold": max(under[name] for name in ours),
            **{f"{name}: oversold, most": over[name] for name in found if name.endswith("select")},
            **middle,
        },
        "targets": {
            "sqlite ours/update": ">= 5",
            "postgres S=16/S=1": ">= 3",
            "redis ours/bare script": ">= 0.7",
            "ours: oversold": "0",
            "ours: undersold": "0",
        },
        "rounds": rounds,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("psycopg", "redis")}},
    }


# -- ours -------------------------------------------------------------------------------------------------------------


def _view(slug: str, shards: int) -> CampaignView:
    settings = FlashSaleSettings("latte", TOTAL, shards)
    return CampaignView(slug, "flash_sale", "lane", frozenset(), "live", 1, None, None, Fen(0), Fen(0), settings)


def _house(ids: IdFactory) -> SimpleNamespace:
    return SimpleNamespace(ids=ids, owe=lambda *_, **__: None, audit=lambda *_: None)


def _ask(slug: str, number: int) -> Ask:
    return Ask(
        slug, 1, f"fr_{slug}_{number}", f"r{number}", (f"p_{number}",), 1, 1, 1, chance=number * 2654435761 % 2**31
    )


def _in_store(url: str, folder: Path, shards: int, slugs: count) -> Callable[[], Ran]:
    ids, draw = IdFactory(system_random), drawer(system_random)

    def side() -> Ran:
        store, slug = open_store(url, folder), f"rush-{next(slugs)}"
        store.write(lambda tx: splitting.loaded(tx, _house(ids), _view(slug, shards), NOW))

        def take(number: int) -> bool:
            ask = _ask(slug, number)

            def work(tx) -> None:
                stock = SqlStock(tx, ids, draw)
                stock.look(ask, NOW)
                shard = stock.deduct(ask, NOW)
                made = tables.Reservation(
                    ask.reservation, slug, ask.group[0], ask.group[0], ask.request, 1, 1, 990, 1, shard, "held", 0,
                    "o", "/", NOW, NOW,
                )  # fmt: skip
                assert tables.add(tx, made)

            try:
                store.write(work)
            except Refused as refused:
                return _is_sold_out(refused)
            return True

        ran = crowd(take)
        left = store.read(lambda tx: sum(shard.left for shard in tables.shards_of(tx, slug, 1)))
        held = store.read(lambda tx: tables.reserved_sums(tx, slug)[0])
        store.close()
        assert (ran.sold, held, left) == (TOTAL, TOTAL, 0), (ran.sold, held, left)
        return ran

    return side


def _is_sold_out(refused: Refused) -> bool:
    """False for a buyer who was told that all is gone. Raises what he was told otherwise: a side must answer all."""
    if refused.code != "sold_out":
        raise refused
    return False


# -- each store with its peers ----------------------------------------------------------------------------------------


def _sqlite(folder: Path) -> dict[str, Callable[[], Ran]]:
    path, slugs = folder / "ours.db", count()
    migrate_store(f"sqlite:///{path}", folder, KIND)
    plain = str(folder / "plain.db")
    with sqlite3.connect(plain) as made:
        made.execute("PRAGMA journal_mode = WAL")
        made.execute("CREATE TABLE stock (id INTEGER PRIMARY KEY, units INTEGER)")
        made.execute("CREATE TABLE journal (person TEXT)")
        made.execute("INSERT INTO stock VALUES (1, 0)")
    local = threading.local()

    def connection():
        if not hasattr(local, "made"):
            local.made = sqlite3.connect(plain, isolation_level=None, timeout=120, check_same_thread=False)
            local.made.execute("PRAGMA synchronous = FULL")
        return local.made

    def fill() -> None:
        connection().execute(f"UPDATE stock SET units = {TOTAL}")

    def sell(one, number: int) -> bool:
        one.execute("BEGIN IMMEDIATE")
        hit = one.execute("UPDATE stock SET units = units - 1 WHERE id = 1 AND units >= 1").rowcount
        if hit:
            one.execute("INSERT INTO journal VALUES (?)", (str(number),))
        one.execute("COMMIT")
        return bool(hit)

    def update() -> Ran:
        fill()
        return crowd(lambda number: sell(connection(), number))

    def in_turn() -> Ran:
        fill()
        one, turn = connection(), threading.Lock()

        def take(number: int) -> bool:
            with turn:
                return sell(one, number)

        return crowd(take)

    def select() -> Ran:
        fill()

        def take(_number: int) -> bool:
            run = connection().execute
            (units,) = run("SELECT units FROM stock WHERE id = 1").fetchone()
            if units < 1:
                return False
            run("UPDATE stock SET units = ? WHERE id = 1", (units - 1,))
            return True

        return crowd(take)

    ours = {f"sqlite S={shards}": _in_store(f"sqlite:///{path}", folder, shards, slugs) for shards in SHARDS}
    return {**ours, "sqlite update": update, "sqlite update in turn": in_turn, "sqlite select": select}


def _postgres(server: PostgresServer) -> dict[str, Callable[[], Ran]]:
    url, slugs = server.new_database(), count()
    migrate_store(url, Path("/"), KIND)
    plain = server.new_database(empty=True)
    with psycopg.connect(plain, autocommit=True) as made:
        made.execute("CREATE TABLE stock (id int PRIMARY KEY, units int)")
        made.execute("CREATE TABLE journal (person text)")
        made.execute("INSERT INTO stock VALUES (1, 0)")

    def with_pool(take_with) -> Ran:
        # As many connections as our own store keeps.
        with ConnectionPool(plain, min_size=16, max_size=16, timeout=120, open=True) as pool:
            with pool.connection() as one:
                one.execute("UPDATE stock SET units = %s", (TOTAL,))
            return crowd(lambda number: take_with(pool, number))

    def update(pool, number: int) -> bool:
        with pool.connection() as one:
            hit = one.execute("UPDATE stock SET units = units - 1 WHERE id = 1 AND units >= 1").rowcount
            if hit:
                one.execute("INSERT INTO journal VALUES (%s)", (str(number),))
            return bool(hit)

    def select(pool, _number: int) -> bool:
        with pool.connection() as one:
            (units,) = one.execute("SELECT units FROM stock WHERE id = 1").fetchone()
            if units < 1:
                return False
            one.execute("UPDATE stock SET units = %s WHERE id = 1", (units - 1,))
            return True

    ours = {f"postgres S={shards}": _in_store(url, Path("/"), shards, slugs) for shards in SHARDS}
    return {**ours, "postgres update": lambda: with_pool(update), "postgres select": lambda: with_pool(select)}


def _redis(folder: Path, server: RedisServer) -> dict[str, Callable[[], Ran]]:
    path, ids, slugs = folder / "gate.db", IdFactory(system_random), count()
    migrate_store(f"sqlite:///{path}", folder, KIND)
    store = open_store(f"sqlite:///{path}", folder)
    gate = RedisStock(server.url, store, system_random)
    # As many connections as our own gate keeps.
    pool = redis.BlockingConnectionPool.from_url(
        server.url, max_connections=CONNECTIONS, timeout=60, decode_responses=True
    )
    client = redis.Redis(connection_pool=pool)
    bare_script = client.register_script(
        "local n = tonumber(redis.call('GET', KEYS[1])) "
        "if n >= tonumber(ARGV[1]) then redis.call('DECRBY', KEYS[1], ARGV[1]) return 1 end return 0"
    )

    def ours(shards: int) -> Callable[[], Ran]:
        def side() -> Ran:
            slug = f"rush-{next(slugs)}"
            store.write(lambda tx: splitting.loaded(tx, _house(ids), _view(slug, shards), NOW))
            gate.load(slug)

            def take(number: int) -> bool:
                try:
                    gate.deduct(_ask(slug, number), NOW)
                except Refused as refused:
                    return _is_sold_out(refused)
                return True

            ran = crowd(take)
            assert sum((gate.left(slug) or {}).values()) == 0
            return ran

        return side

    def bare() -> Ran:
        client.set("bare", TOTAL)
        return crowd(lambda _number: bool(bare_script(keys=["bare"], args=[1])))

    def decr() -> Ran:
        client.set("decr", TOTAL)
        return crowd(lambda _number: int(client.decr("decr")) >= 0)

    return {**{f"redis S={shards}": ours(shards) for shards in SHARDS}, "redis bare": bare, "redis decr": decr}


if __name__ == "__main__":
    print(run(rounds=1))
