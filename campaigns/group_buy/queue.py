"""The queue of a shop: parties take a number, are called, seated, or leave; and what to tell those who wait (R223).

A business day begins at four in the morning of the shop's zone: a kitchen that closes after midnight keeps its line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final, Literal

from campaigns.group_buy import tables
from campaigns.group_buy.slots import estimate_minutes
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx

Move = Literal["call", "seat", "leave"]
_DAY_BEGINS: Final = timedelta(hours=4)
LAST: Final = 10
"""How many of the last calls the average wait is taken from."""

_MOVES: Final[dict[Move, tuple[tuple[str, ...], str]]] = {
    "call": (("waiting",), "called"),
    "seat": (("waiting", "called"), "seated"),
    "leave": (("waiting", "called"), "left"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """How a queue stands. `waiting` None: nobody took a number today, so nothing is known (R223)."""

    waiting: int | None
    estimate_min: int | None


def business_day(now: datetime, zone: tzinfo) -> str:
    """The day whose line this moment belongs to."""
    return f"{(now.astimezone(zone) - _DAY_BEGINS):%Y-%m-%d}"


def line_of(tickets: Sequence[Row], before: int | None = None) -> Line:
    """Pure: the line that a day's tickets make; with `before`, for the holder of that number: those ahead of him."""
    if not tickets:
        return Line(None, None)
    waiting = sum(1 for one in tickets if one["state"] == "waiting" and (before is None or one["number"] < before))
    called = sorted((one["called_at"], one["head_s"]) for one in tickets if one["head_s"] is not None)
    return Line(waiting, estimate_minutes(waiting, [seconds / 60 for _, seconds in called[-LAST:]]))


def line(tx: Tx, house: House, shop: str, now: datetime, before: int | None = None) -> Line:
    """How a shop's queue stands now."""
    return line_of(tables.tickets(tx, shop, business_day(now, house.catalogue().zone(shop))), before)


def take(tx: Tx, house: House, campaign: str, shop: str, person: str, now: datetime) -> Row:
    """A number; the same one again for a person who is waiting already."""
    day = business_day(now, house.catalogue().zone(shop))
    tx.lock(f"group_buy:queue:{shop}")
    if person:
        known = set(house.group(tx, person))
        for one in tables.tickets(tx, shop, day):
            if one["person"] in known and one["state"] == "waiting":
                return one
    id_ = house.ids.new("gt", now)
    tables.add_ticket(tx, id_, campaign, shop, day, tables.last_number(tx, shop, day) + 1, person or None, now)
    return _ticket(tx, shop, id_)


def move(tx: Tx, shop: str, ticket: str, what: Move, now: datetime) -> Row:
    """Call, seat or let go; the same move again changes nothing.

    Raises Refused 404 `not_found`, 409 `bad_transition` (`state`).
    """
    tx.lock(f"group_buy:queue:{shop}")
    row = _ticket(tx, shop, ticket)
    froms, to = _MOVES[what]
    if row["state"] == to:
        return row
    columns: dict[str, str | int | None] = {}
    if row["called_at"] is None and what != "leave":
        # What a party at the head waits until it is called is what everyone behind it will wait once more.
        since = max(row["taken_at"], tables.last_call(tx, shop, row["day"]) or "")
        columns = {"called_at": to_text(now), "head_s": max(1, round((now - from_text(since)).total_seconds()))}
    if what != "call":
        columns["ended_at"] = to_text(now)
    if not tables.move_ticket(tx, ticket, froms, to, **columns):
        raise Refused("bad_transition", 409, state=row["state"])
    return _ticket(tx, shop, ticket)


def _ticket(tx: Tx, shop: str, id_: str) -> Row:
    row = tables.ticket(tx, shop, id_)
    if row is None:
        raise Refused("not_found", 404)
    return row
