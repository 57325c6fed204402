"""Visiting times and reminders, pure: which slots are offered, which may be picked, when the queue is told of.

Times of day are the shop's; every moment that comes out is aware UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import Final, Literal

Meal = Literal["lunch", "dinner"]
PushState = Literal["due", "sent", "skipped", "quiet"]

MEALS: Final[tuple[Meal, ...]] = ("lunch", "dinner")
LATEST: Final = timedelta(minutes=10)
"""A reminder that comes later than this after its moment is skipped (R224)."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A meal of a day at a shop. `id` such as `2026-11-22-dinner`; `day` in the shop's zone."""

    day: date
    meal: Meal
    starts_at: datetime

    @property
    def id(self) -> str:
        """How the slot is named in requests."""
        return f"{self.day:%Y-%m-%d}-{self.meal}"


def slots(now: datetime, zone: tzinfo, days: int, begins: Mapping[Meal, time]) -> tuple[Slot, ...]:
    """The meals of today and the next `days` − 1 days that have not begun, earliest first (R220)."""
    today = now.astimezone(zone).date()
    found = []
    for offset in range(days):
        day = today + timedelta(days=offset)
        for meal in MEALS:
            if meal in begins:
                starts_at = datetime.combine(day, begins[meal], zone).astimezone(timezone.utc)
                if starts_at > now:
                    found.append(Slot(day, meal, starts_at))
    return tuple(sorted(found, key=lambda slot: slot.starts_at))


def named(name: str, zone: tzinfo, begins: Mapping[Meal, time]) -> Slot | None:
    """The slot of that name, also one long past or far ahead; None for what names none."""
    day, _, meal = name.rpartition("-")
    known = next((one for one in MEALS if one == meal and one in begins), None)
    try:
        on = date.fromisoformat(day)
        if known is None or f"{on:%Y-%m-%d}" != day:
            return None
        return Slot(on, known, datetime.combine(on, begins[known], zone).astimezone(timezone.utc))
    except (ValueError, OverflowError):
        return None


def picks_refusal(picked: Sequence[str], offered: Sequence[Slot], now: datetime, max_picks: int) -> str:
    """Why a selection is refused: `limit`, `slot_begun`, `no_such_slot`, or "" when it may be held (R221)."""
    known = {slot.id: slot for slot in offered}
    if not picked or len(picked) != len(set(picked)) or len(picked) > max_picks:
        return "limit"
    for name in picked:
        slot = known.get(name)
        if slot is None:
            return "no_such_slot"
        if slot.starts_at <= now:
            return "slot_begun"
    return ""


def moments(starts_at: datetime, push_minutes: Sequence[int]) -> tuple[datetime, ...]:
    """When the queue of a slot is told of: so many minutes before (negative) or after it begins (R222)."""
    return tuple(sorted({starts_at + timedelta(minutes=minutes) for minutes in push_minutes}))


def push_state(at: datetime, now: datetime, *, is_quiet: bool) -> PushState:
    """What is to be done with an unsent reminder now: `due` also stands for one that is still to come (R224).

    `is_quiet`: the deal was used or cancelled, or the customer wants no reminders.
    """
    if is_quiet:
        return "quiet"
    return "skipped" if now - at > LATEST else "due"


def estimate_minutes(waiting: int | None, seatings: Sequence[float]) -> int | None:
    """How long those waiting will take: their number by the average of the last seatings' minutes, rounded up.

    None without data (R223): an unknown wait is never shown as none.
    """
    if waiting is None or (waiting and not seatings):
        return None
    if not waiting:
        return 0
    return -(-round(waiting * sum(seatings) * 1000 / len(seatings)) // 1000)


def clock_time(text: str) -> time | None:
    """`11:30` as a time of day; None for anything else."""
    hour, colon, minute = text.partition(":")
    if not (colon and hour.isdecimal() and minute.isdecimal() and text.isascii() and len(minute) == 2):  # noqa: PLR2004
        return None
    return time(int(hour), int(minute)) if int(hour) < 24 and int(minute) < 60 else None  # noqa: PLR2004 - a day's clock
