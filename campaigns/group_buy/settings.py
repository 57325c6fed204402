"""What an apply file says of a group buy: read, checked, every fault with its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from typing import Any, Final, Literal

from campaigns.group_buy import slots
from campaigns.group_buy.slots import MEALS, Meal
from gateway.contract.errors import BadConfig
from gateway.contract.money import MAX_FEN, Fen

Unused = Literal["refund", "keep"]
_KNOWN: Final = frozenset(
    {
        "item", "price_fen", "lunch", "dinner", "days", "slot_capacity", "slot_minutes", "max_picks", "push_minutes",
        "rechoices", "unused", "caption",
    }
)  # fmt: skip
_MOST_PUSHES: Final = 12
_MOST_RECHOICES: Final = 10
_DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Settings:
    """A deal: what is sold for how much, when its guests may come, and what happens when they don't.

    `slot_minutes` after its beginning a visiting time that nobody used has passed. `rechoices`: how often the list is
    offered again then (R225); `unused` says what becomes of the money at the end. `caption`: the merchant's name is
    written into published videos.
    """

    item: str
    price_fen: Fen
    begins: Mapping[Meal, time]
    days: int
    slot_capacity: int
    slot_minutes: int
    max_picks: int
    push_minutes: tuple[int, ...]
    rechoices: int
    unused: Unused
    caption: bool


class _Table:
    """The table being read, and what was wrong with it so far."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._table = table
        self.faults: list[tuple[str, str]] = [(key, "is not known") for key in sorted(set(table) - _KNOWN)]

    def whole(self, key: str, default: int | None, least: int, most: int) -> int:
        value = self._table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.faults.append((key, f"must be a whole number from {least} to {most}"))
            return least
        return value

    def text(self, key: str, default: str | None = None) -> str:
        value = self._table.get(key, default)
        if not isinstance(value, str) or not value:
            self.faults.append((key, "is required"))
            return ""
        return value

    def begins(self) -> dict[Meal, time]:
        found: dict[Meal, time] = {}
        for meal in MEALS:
            if meal in self._table:
                value = self._table[meal]
                at = slots.clock_time(value) if isinstance(value, str) else None
                if at is None:
                    self.faults.append((meal, "is no time of day such as 11:30"))
                else:
                    found[meal] = at
        if not any(meal in self._table for meal in MEALS):
            self.faults.append(("lunch", "no meal is offered: set lunch or dinner"))
        return found

    def minutes(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        value = self._table.get(key, default)
        if (
            not isinstance(value, list | tuple)
            or len(value) > _MOST_PUSHES
            or any(isinstance(one, bool) or not isinstance(one, int) or abs(one) > _DAY_MINUTES for one in value)
        ):
            self.faults.append((key, f"must be at most {_MOST_PUSHES} whole numbers within a day of the slot"))
            return ()
        return tuple(sorted(set(value)))

    def flag(self, key: str) -> bool:
        value = self._table.get(key, False)
        if not isinstance(value, bool):
            self.faults.append((key, "must be true or false"))
        return value is True

    def unused(self) -> Unused:
        value = self._table.get("unused", "refund")
        if value == "keep":
            return "keep"
        if value != "refund":
            self.faults.append(("unused", 'must be "refund" or "keep"'))
        return "refund"


def load_settings(table: Mapping[str, Any]) -> Settings:
    """A group buy's own part of its table. Raises BadConfig with every fault."""
    read = _Table(table)
    settings = Settings(
        item=read.text("item"),
        price_fen=Fen(read.whole("price_fen", None, 1, MAX_FEN)),
        begins=read.begins(),
        days=read.whole("days", 7, 1, 31),
        slot_capacity=read.whole("slot_capacity", 10, 1, 100_000),
        slot_minutes=read.whole("slot_minutes", 120, 15, 720),
        max_picks=read.whole("max_picks", 3, 1, 62),
        push_minutes=read.minutes("push_minutes", (-30, 0, 60)),
        rechoices=read.whole("rechoices", 2, 0, _MOST_RECHOICES),
        unused=read.unused(),
        caption=read.flag("caption"),
    )
    if read.faults:
        raise BadConfig(read.faults)
    return settings
