"""The gate in Redis, used where `redis.url` is set: it refuses the many, so that the store only hears the few.

The store decides, always (`stock.SqlStock`); the gate takes the same units first, in one Lua step with the limit, the
window and a journal. So a Redis that lost something can never oversell: the store refuses what it let through. What
may happen, and who puts it right:

- a process dies between the gate and the store: the deduction stands in the gate's journal and not in the store;
  `reconcile` gives it back after a minute. If that buyer's write comes later still, the store still decides.
- a process dies after the store: the gate is right already.
- units go back (or late money takes some): the store first, then the gate, by a deed that is repeated until done;
  saying it twice is doing it once. Until then the gate holds less than the store: it refuses, it never oversells.
- Redis comes back empty, or as it was a while ago: the map is missing or marked otherwise; the next buyer's process
  makes the gate anew from one snapshot of the store. What is under way meanwhile the store decides.
- Redis is away: 503 for everybody. There is no falling back to the store, which could not bear the crowd (R183).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any, Final, TypeVar

from campaigns.flash_sale import rules, tables
from campaigns.flash_sale.stock import Ask
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.ids import RandomBytes
from gateway.contract.store import Store, Tx

T = TypeVar("T")

ANSWERS_WITHIN_S: Final = 2.0
"""Slower than this is away: a buyer would rather be told to try again."""

CONNECTIONS: Final = 32
"""So many of a process; whoever comes when all are busy waits for one, no longer than for an answer."""

GRACE: Final = timedelta(minutes=1)
"""How long a deduction may be on its way from the gate to the store before it counts as lost."""

LASTS: Final = timedelta(days=8)
"""So long after the worker's last look, once a minute while a sale is live or paused, its keys are gone."""

PAGE: Final = 500
_NAMES: Final = ("map", "left", "people", "taken", "requests", "journal")


@dataclass(frozen=True, slots=True)
class Content:
    """What the gate has to hold, from one snapshot of the store."""

    map: int
    shards: int
    left: int
    entries: Sequence[tables.Reservation]


def snapshot(tx: Tx, campaign: str) -> Content | None:
    """What a loaded sale's gate has to hold; None for a sale that is not loaded."""
    sale = tables.sale_of(tx, campaign)
    if sale is None:
        return None
    left = rules.stock_of(tables.shards_of(tx, campaign, sale.map)).left
    entries: list[tables.Reservation] = []
    page = tables.held_and_sold(tx, campaign, "", PAGE)
    while page:
        entries += page
        page = tables.held_and_sold(tx, campaign, page[-1].id, PAGE)
    return Content(sale.map, sale.shards, left, entries)


def snapshot_left(tx: Tx, campaign: str) -> tuple[int, int] | None:
    """(map, what is left) of a loaded sale."""
    sale = tables.sale_of(tx, campaign)
    return (sale.map, rules.stock_of(tables.shards_of(tx, campaign, sale.map)).left) if sale is not None else None


class RedisStock:
    """The gate of every sale of this process. Safe between threads; a lost or slow Redis is Refused 503."""

    def __init__(self, url: str, store: Store, random: RandomBytes) -> None:
        """Connects at the first use. Raises Refused 503 where the `redis` library is not installed."""
        try:
            import redis
        except ImportError as error:
            message = "redis.url is set, yet its library is not installed: pip install drainage-gateway[redis]"
            raise Refused("stock_unavailable", 503, message) from error
        self._fault: type[Exception] = redis.RedisError
        self._store = store
        self._random = random
        # Any: the library types an answer as "this, or a promise of it".
        pool: Any = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=ANSWERS_WITHIN_S,
            socket_timeout=ANSWERS_WITHIN_S,
            socket_connect_timeout=ANSWERS_WITHIN_S,
            decode_responses=True,
        )
        self._redis: Any = redis.Redis(connection_pool=pool)
        script = files("campaigns.flash_sale").joinpath("shards.lua").read_text("utf-8")
        self._script: Any = self._redis.register_script(script)
        self._maps: dict[str, int] = {}

    # -- taking -----------------------------------------------------------------------------------------------------

    def map_of(self, campaign: str) -> int:
        """The split that this process believes in; 0 where it knows none. Being wrong only costs a second look."""
        return self._maps.get(campaign, 0)

    def deduct(self, ask: Ask, now: datetime) -> int:
        """See `Stock.deduct`; `ask.map` is not asked for: the gate follows the store's map by itself (R173).

        Raises Refused 409 as there, 503 `stock_unavailable` where Redis is away or the sale is not loaded.
        """
        return self.admit(ask, now)[1]

    def admit(self, ask: Ask, now: datetime) -> tuple[str, int]:
        """`deduct`; (reservation, shard), the reservation of an earlier try where the request was made before."""
        for again in (False, True):
            if not self.map_of(ask.campaign) or again:
                self._follow_store(ask.campaign)
            answer = self._guarded(lambda: self._deduct(ask, now))
            if answer[0] != "stale":
                break
        match answer[0]:
            case "ok" | "again":
                return answer[1], int(answer[2])
            case "limit":
                raise Refused("limit", 409, per_person=ask.per_person)
            case "sold_out":
                raise Refused("sold_out", 409)
            case "early" | "over":
                raise Refused("not_open", 409, reason=answer[0])
        raise Refused("stock_unavailable", 503)

    def _deduct(self, ask: Ask, now: datetime) -> list[str]:
        answer: list[str] = self._script(
            keys=_keys(ask.campaign),
            args=[
                "deduct",
                self.map_of(ask.campaign),
                ask.request,
                ask.reservation,
                ask.group[0],
                ask.quantity,
                ask.units,
                ask.per_person,
                _ms(now),
                _ms(ask.starts_at),
                _ms(ask.ends_at),
                ask.chance,
                int(ask.single),
            ],
        )
        return answer

    # -- giving back ------------------------------------------------------------------------------------------------

    def keep(self, campaign: str, reservation: str, units: int = 0, pieces: int = 0, *, lost: bool = False) -> int:
        """Of a reservation so much stays taken, the rest goes back; how many units went, 0 when said before.

        `lost`: the store had none of these units; only the person's limit is freed. Raises Refused 503.
        """
        args = ["keep", self._known_map(campaign), reservation, units, pieces, int(lost)]
        return int(self._guarded(lambda: self._script(keys=_keys(campaign), args=args)))

    def follow(self, ask: Ask) -> bool:
        """The store has taken units behind the gate's back: it follows, once. Raises Refused 503."""
        args = [
            "follow", self._known_map(ask.campaign), ask.reservation, ask.group[0], ask.quantity, ask.units,
            ask.chance, int(ask.single),
        ]  # fmt: skip
        return bool(self._guarded(lambda: self._script(keys=_keys(ask.campaign), args=args)))

    def _known_map(self, campaign: str) -> int:
        """The map as the store has it now: a deed may come to a process that has sold nothing yet."""
        sale = self._store.read(lambda tx: tables.sale_of(tx, campaign))
        return sale.map if sale is not None else 0

    # -- following the store ----------------------------------------------------------------------------------------

    def _follow_store(self, campaign: str) -> None:
        sale = self._store.read(lambda tx: tables.sale_of(tx, campaign))
        if sale is None:
            raise Refused("stock_unavailable", 503)
        self._maps[campaign] = sale.map
        stands = self._guarded(lambda: self._redis.hget(_keys(campaign)[0], "map"))
        if stands != str(sale.map):
            self.load(campaign)

    def load(self, campaign: str) -> bool:
        """Make the gate anew from the store (R172, R183); False where somebody else was faster, or nothing is loaded.

        Raises Refused 503.
        """
        keys = _keys(campaign)
        seen = self._guarded(lambda: self._redis.hget(keys[0], "mark")) or ""
        content = self._store.read(lambda tx: snapshot(tx, campaign))
        if content is None:
            return False
        mark = self._random(8).hex()
        aside = [f"{keys[2]}:{mark}", f"{keys[3]}:{mark}", f"{keys[4]}:{mark}"]
        parts = dict(enumerate(rules.split(content.left, content.shards), start=1))
        args: list[Any] = ["publish", seen, mark, content.map, content.shards, "0", 0]
        for number, part in parts.items():
            args += [number, part]

        def publish() -> bool:
            people: dict[str, int] = {}
            for start in range(0, len(content.entries), PAGE):
                pipe = self._redis.pipeline(transaction=False)
                for one in content.entries[start : start + PAGE]:
                    pieces = one.quantity - one.back
                    people[one.counter] = people.get(one.counter, 0) + pieces
                    pipe.hset(aside[1], one.id, f"0|{one.units_of(pieces)}|{pieces}|{one.counter}")
                    pipe.hset(aside[2], one.request, one.id)
                pipe.execute()
            if people:
                self._redis.hset(aside[0], mapping=people)
            for key in aside:
                # Whoever dies here leaves nothing behind for good.
                self._redis.expire(key, 600)
            done = bool(self._script(keys=[*keys, *aside], args=args))
            if done:
                self._last(campaign)
            return done

        done = self._guarded(publish)
        self._maps[campaign] = content.map
        return done

    def reconcile(self, campaign: str, now: datetime, most: int = PAGE) -> int:
        """Give back what was deducted here and never came to the store; how many reservations that were.

        Deductions that the store holds leave the journal. Raises Refused 503.
        """
        keys = _keys(campaign)
        before = _ms(now - GRACE)
        self._guarded(lambda: self._last(campaign))
        page = self._guarded(lambda: self._redis.xrange(keys[5], count=most))
        due = [(id_, entry["reservation"]) for id_, entry in page if int(entry["at"]) <= before]
        if not due:
            return 0
        held = self._store.read(
            lambda tx: {one for _, one in due if tables.reservation_of(tx, campaign, one) is not None}
        )
        lost = [one for _, one in due if one not in held]
        for one in lost:
            self.keep(campaign, one)
        self._guarded(lambda: self._redis.xdel(keys[5], *(id_ for id_, _ in due)))
        return len(lost)

    def is_off(self, campaign: str) -> bool:
        """Whether the gate holds another sum than the store while nobody is on his way between them.

        Raises Refused 503.
        """
        keys = _keys(campaign)
        stands = self._guarded(lambda: self._redis.hget(keys[0], "map"))
        under_way = self._guarded(lambda: self._redis.xlen(keys[5]))
        left = self.left(campaign) or {}
        content = self._store.read(lambda tx: snapshot_left(tx, campaign))
        return content is not None and (
            stands != str(content[0]) or (not under_way and sum(left.values()) != content[1])
        )

    def left(self, campaign: str) -> dict[int, int] | None:
        """What each of the gate's shards holds; None where the gate is empty. Raises Refused 503."""
        found = self._guarded(lambda: self._redis.hgetall(_keys(campaign)[1]))
        return {int(number): int(left) for number, left in found.items()} or None

    def _last(self, campaign: str) -> None:
        """From now on the gate's content lasts for as long as a sale may rest; one that is over leaves nothing."""
        for key in _keys(campaign):
            self._redis.expire(key, LASTS)

    def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except self._fault as error:
            raise Refused("stock_unavailable", 503) from error


def _keys(campaign: str) -> list[str]:
    return [f"drainage:flash_sale:{{{campaign}}}:{name}" for name in _NAMES]


def _ms(moment: datetime | None) -> int:
    return int(moment.timestamp() * 1000) if moment is not None else 0


_lock = threading.Lock()
_gates: dict[tuple[str, int], RedisStock] = {}


def gate_of(house: House) -> RedisStock | None:
    """The gate of this process; None where no Redis is configured. Raises Refused 503 for want of the library."""
    if not house.redis_url:
        return None
    # By the store too: it is what the gate is made anew from. Held by the gate, so its number is not used again.
    key = (house.redis_url, id(house.store))
    with _lock:
        if key not in _gates:
            _gates[key] = RedisStock(house.redis_url, house.store, house.random)
        return _gates[key]
