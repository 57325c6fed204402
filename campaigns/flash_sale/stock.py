"""Where units are taken from: one small protocol, and the stock in the store that fulfils it.

`deduct` looks at the time, at the person's limit and at the shards, in this order (R179, R180), and takes all or
nothing; `give_back` undoes it once. The store's own stock decides: whoever else admits (`redis_stock`) only spares it
the work of refusing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from campaigns.flash_sale import rules, tables
from campaigns.flash_sale.rules import CENTRAL, Shard
from campaigns.flash_sale.tables import Change, Line
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.ids import IdFactory, RandomBytes
from gateway.contract.store import Tx
from gateway.ledger import limits

Draw = Callable[[int], int]
"""`n` → one of 0 … n − 1, each equally likely."""

TRIES: Final = 2
"""How often the shards are listed: what another transaction merged or split meanwhile is found the second time."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is wanted. `group`: every id of the person, the one that his limit counts under first.

    `map` is the split it was asked for; `single`: the flow switch is off, so only the central shard gives (R174).
    `chance`: where to begin among the shards, for a stock that draws elsewhere.
    """

    campaign: str
    map: int
    reservation: str
    request: str
    group: Sequence[str]
    quantity: int
    units: int
    per_person: int
    single: bool = False
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    chance: int = 0


class Stock(Protocol):
    """Something that units are taken from."""

    def deduct(self, ask: Ask, now: datetime, /) -> int:
        """Take the units of `ask` from one shard; its number. Raises Refused 409: `not_open`, `limit`, `sold_out`."""


def drawer(random: RandomBytes) -> Draw:
    """Chance from a source of bytes: 64 bits to draw from, so that what is left over weighs nothing."""
    return lambda n: int.from_bytes(random(8), "big") % n


def counter_name(campaign: str, person: str) -> str:
    """What a person's limit is called."""
    return f"flash_sale:{campaign}:{person}"


@dataclass(frozen=True, slots=True)
class SqlStock:
    """The stock in the store, within one transaction: conditional updates decide, whoever asks at the same moment."""

    tx: Tx
    ids: IdFactory
    draw: Draw

    def look(self, ask: Ask, now: datetime) -> None:
        """Refuse by reading alone what would be refused anyway; nothing is taken and nobody waits. Raises Refused."""
        _in_time(ask, now)
        limit = self._limit(ask)
        if limit is not None and (ask.quantity > limit.cap or limits.reached(self.tx, [limit])):
            raise Refused("limit", 409, per_person=ask.per_person)
        if rules.stock_of(tables.shards_of(self.tx, ask.campaign, ask.map)).left < ask.units:
            raise Refused("sold_out", 409)

    def deduct(self, ask: Ask, now: datetime) -> int:
        """See `Stock.deduct`."""
        _in_time(ask, now)
        limit = self._limit(ask)
        if limit is not None and limits.take(self.tx, [limit], ask.quantity) is not None:
            raise Refused("limit", 409, per_person=ask.per_person)
        shard = self._shard(ask, now)
        if shard is None:
            if limit is not None:
                limits.give_back(self.tx, [limit], ask.quantity)
            raise Refused("sold_out", 409)
        return shard

    def _limit(self, ask: Ask) -> limits.Limit | None:
        """The person's limit; what his other ids hold counts too. None where there is none, a cap of 0 for used up."""
        if not ask.per_person:
            return None
        name, *others = (counter_name(ask.campaign, person) for person in ask.group)
        if others:
            # Two ids of one person may ask at once: they follow each other.
            self.tx.lock(name)
        taken = 0
        for other in others:
            row = self.tx.one("SELECT n FROM counters WHERE name = :name", {"name": other})
            taken += row["n"] if row is not None else 0
        return limits.Limit(name, max(0, ask.per_person - taken), limits.FOREVER, "limit")

    def _shard(self, ask: Ask, now: datetime) -> int | None:
        for _ in range(TRIES):
            live = tables.live_shards(self.tx, ask.campaign, ask.map, ask.units)
            if ask.single:
                live = tuple(number for number in live if number == CENTRAL)
            for number in rules.trial_order(live, self.draw):
                if self._take(ask, number, now):
                    return number
            if self.gather(ask.campaign, ask.map, ask.units, now, everything=ask.single) and self._take(
                ask, CENTRAL, now
            ):
                return CENTRAL
        return None

    def _take(self, ask: Ask, number: int, now: datetime) -> bool:
        line = Line(ask.campaign, ask.map, number, "deduct", ask.reservation)
        return tables.move(self.tx, self.ids, line, Change(left=-ask.units, held=ask.units), now)

    def gather(self, campaign: str, map_: int, wanted: int, now: datetime, *, everything: bool = False) -> bool:
        """Move leftovers into the central shard until it holds `wanted`; False where there is not that much (R178)."""
        # Looked at before anybody is made to wait: at the end of a sale this is how nearly everyone is refused.
        if rules.stock_of(tables.shards_of(self.tx, campaign, map_)).left < wanted:
            return False
        shards = tables.hold_still(self.tx, campaign, map_)
        if everything:
            chosen = tuple(shard.number for shard in shards if shard.left)
            if rules.stock_of(shards).left < wanted:
                return False
        else:
            chosen = rules.merge_candidates(shards, wanted)
        self._merge(campaign, map_, shards, chosen, now)
        return bool(chosen)

    def close_small(self, campaign: str, map_: int, floor: int, now: datetime) -> int:
        """Close every shard whose rest is below `floor`, its rest moved into the central one; how many (R178)."""
        if not rules.to_close(tables.shards_of(self.tx, campaign, map_), floor):
            return 0
        shards = tables.hold_still(self.tx, campaign, map_)
        small = rules.to_close(shards, floor)
        self._merge(campaign, map_, shards, small, now)
        return len(small)

    def _merge(self, campaign: str, map_: int, shards: Sequence[Shard], chosen: Sequence[int], now: datetime) -> None:
        left = {shard.number: shard.left for shard in shards}
        moved = 0
        for number in chosen:
            if number == CENTRAL or not left[number]:
                continue
            line = Line(campaign, map_, number, "merge")
            tables.must_move(self.tx, self.ids, line, Change(left=-left[number]), now)
            moved += left[number]
        if moved:
            tables.must_move(self.tx, self.ids, Line(campaign, map_, CENTRAL, "merge"), Change(left=moved), now)


def _in_time(ask: Ask, now: datetime) -> None:
    word = rules.opening(now, ask.starts_at, ask.ends_at)
    if word == "early":
        raise Refused("not_open", 409, reason="early", starts_at=_told(ask.starts_at))
    if word == "over":
        raise Refused("not_open", 409, reason="over", ends_at=_told(ask.ends_at))


def _told(moment: datetime | None) -> str | None:
    return to_text(moment) if moment is not None else None
