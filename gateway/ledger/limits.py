"""The one limiter (R242): counts under a name, taken and given back atomically, gone after their window.

A limit is a row; the conditional update is what holds it, whoever asks at the same moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final

from gateway.contract.clock import to_text
from gateway.contract.store import Tx

FOREVER: Final = "9999-12-31T23:59:59.999Z"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `cap` (> 0) under `name` until `expires_at` (store text); `reason` is what a refusal is called."""

    name: str
    cap: int
    expires_at: str
    reason: str


def windows(
    name: str, now: datetime, zone: tzinfo, *, per_day: int = 0, per_week: int = 0, total: int = 0
) -> list[Limit]:
    """The limits of one name by calendar day and ISO week in the shop's zone, and for good; 0 means none."""
    local = now.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    limits = []
    if per_day > 0:
        end = midnight + timedelta(days=1)
        limits.append(Limit(f"{name}:d:{local:%Y-%m-%d}", per_day, to_text(end), "limit_day"))
    if per_week > 0:
        year, week, weekday = local.isocalendar()
        end = midnight + timedelta(days=8 - weekday)
        limits.append(Limit(f"{name}:w:{year}-{week:02d}", per_week, to_text(end), "limit_week"))
    if total > 0:
        limits.append(Limit(f"{name}:t", total, FOREVER, "limit_total"))
    return limits


def reached(tx: Tx, limits: Sequence[Limit]) -> Limit | None:
    """The first limit with nothing left, without taking any."""
    for limit in limits:
        row = tx.one("SELECT n FROM counters WHERE name = :name", {"name": limit.name})
        if row is not None and row["n"] >= limit.cap:
            return limit
    return None


def take(tx: Tx, limits: Sequence[Limit], many: int = 1) -> Limit | None:
    """Take `many` (> 0) of each; None when all had them left, else the limit that had not: then nothing is taken."""
    for position, limit in enumerate(limits):
        row = None
        if many <= limit.cap:
            row = tx.one(
                "INSERT INTO counters (name, n, expires_at) VALUES (:name, :many, :expires) "
                "ON CONFLICT (name) DO UPDATE SET n = counters.n + :many WHERE counters.n <= :room RETURNING n",
                {"name": limit.name, "many": many, "expires": limit.expires_at, "room": limit.cap - many},
            )
        if row is None:
            give_back(tx, limits[:position], many)
            return limit
    return None


def give_back(tx: Tx, limits: Sequence[Limit], many: int = 1) -> None:
    """Undo one `take` of as many of each."""
    for limit in limits:
        tx.run(
            "UPDATE counters SET n = n - :many WHERE name = :name AND n >= :many", {"name": limit.name, "many": many}
        )


def sweep(tx: Tx, now: datetime, most: int) -> int:
    """Drop up to `most` counters whose window is over; how many went."""
    return tx.run(
        "DELETE FROM counters WHERE name IN (SELECT name FROM counters WHERE expires_at < :now LIMIT :most)",
        {"now": to_text(now), "most": most},
    )
