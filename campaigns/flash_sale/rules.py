"""The rule of the flash sale, pure: how a total is split, in which order shards are tried, what a new split may be.

A total counts units, or fen of cost when `unit = "fen"`; a sale deducts 1 or more of it. Chance comes in as numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

Unit = Literal["units", "fen"]
ReservationState = Literal["held", "sold", "cancelled", "lapsed", "refunded"]

MOST_SHARDS: Final = 256
CENTRAL: Final = 0
"""The number of the central shard: where leftovers go, and the only one when the flow switch is off."""


EVERYTHING: Final = 10**10
"""A floor above any shard: all rests are gathered when the sale is over."""


def split(total: int, shards: int) -> tuple[int, ...]:
    """`total` over shards as evenly as can be, one more each for the first ones; the sum is `total` (R171)."""
    if total < 0 or shards < 1:
        raise ValueError("a split needs a total of 0 or more and at least one shard")
    share, rest = divmod(total, shards)
    return tuple(share + (place < rest) for place in range(shards))


def trial_order(live: Sequence[int], draw: Callable[[int], int]) -> tuple[int, ...]:
    """Every live shard once, in a random order (R175, R176). `draw(n)` gives one of 0 … n − 1, each equally likely."""
    order = list(live)
    for last in range(len(order) - 1, 0, -1):
        other = draw(last + 1)
        order[last], order[other] = order[other], order[last]
    return tuple(order)


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard as it stands. `sold` and `held` are what was deducted from it; `left` is what it can still give."""

    number: int
    left: int
    held: int = 0
    sold: int = 0


@dataclass(frozen=True, slots=True)
class Stock:
    """What outside checks rely on: total = sold + held + left, always (R177)."""

    total: int
    sold: int
    held: int
    left: int


def stock_of(shards: Sequence[Shard]) -> Stock:
    """The sums of all shards."""
    sold = sum(shard.sold for shard in shards)
    held = sum(shard.held for shard in shards)
    left = sum(shard.left for shard in shards)
    return Stock(sold + held + left, sold, held, left)


def merge_candidates(shards: Sequence[Shard], wanted: int) -> tuple[int, ...]:
    """The fewest shards that together hold `wanted`, largest first; () when not even all do (R176, R178)."""
    chosen, gathered = [], 0
    for shard in sorted(shards, key=lambda shard: (-shard.left, shard.number)):
        if shard.left <= 0:
            break
        chosen.append(shard.number)
        gathered += shard.left
        if gathered >= wanted:
            return tuple(chosen)
    return ()


def to_close(shards: Sequence[Shard], floor: int) -> tuple[int, ...]:
    """Shards that hold something, yet less than `floor`: their rest moves to the central one (R178)."""
    return tuple(shard.number for shard in shards if shard.number != CENTRAL and 0 < shard.left < floor)


def resplit(shards: Sequence[Shard], new_total: int, count: int) -> tuple[int, ...]:
    """What is left in each of `count` new shards when the total becomes `new_total` (R182).

    Raises ValueError when less than what is sold and held would remain.
    """
    now = stock_of(shards)
    taken = now.sold + now.held
    if new_total < taken:
        raise ValueError(f"{taken} are sold or held")
    return split(new_total - taken, count)


def opening(now: datetime, starts_at: datetime | None, ends_at: datetime | None) -> Literal["early", "open", "over"]:
    """Whether the sale is on, by the server's clock (R180)."""
    if starts_at is not None and now < starts_at:
        return "early"
    return "over" if ends_at is not None and now >= ends_at else "open"


def faults(total: int, shards: int, per_person: int, shard_floor: int, hold_minutes: int) -> Iterator[tuple[str, str]]:
    """(name in the apply file, why) for each thing that cannot be."""
    if total < 1:
        yield "total", "must be at least 1"
    if not 1 <= shards <= MOST_SHARDS:
        yield "shards", f"must be 1 to {MOST_SHARDS}"
    elif total >= 1 and shards > total:
        yield "shards", f"are more than the total of {total}: some would be empty from the start"
    if per_person < 0:
        yield "per_person", "must be 0 (no limit) or more"
    if shard_floor < 0:
        yield "shard_floor", "must be 0 or more"
    if not 1 <= hold_minutes <= 120:  # noqa: PLR2004 - two hours: what a wallet's own order lives
        yield "hold_minutes", "must be 1 to 120"
