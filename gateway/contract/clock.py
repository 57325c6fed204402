"""Time: aware UTC inside, fixed-width text in the store, so that text order is time order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Final

Clock = Callable[[], datetime]
"""Gives the present as an aware UTC datetime. Passed in everywhere; only `system_clock` reads the machine."""

BEIJING: Final = timezone(timedelta(hours=8), "UTC+8")
"""China has one zone and no summer time since 1992, so a fixed offset is exact for platform times."""


def system_clock(offset: timedelta = timedelta()) -> Clock:
    """The machine's clock, moved by `offset` (the sandbox's way to try deadlines)."""

    def now() -> datetime:
        return datetime.now(timezone.utc) + offset  # noqa: TID251 - the one place that reads the clock

    return now


_latest: list[tuple[datetime | None, str]] = [(None, "")]
"""The latest time written as text: one transaction writes the same `now` into every row. A pair, so that two threads
can't mix it up."""


def to_text(moment: datetime) -> str:
    """Aware datetime → `2026-11-22T04:05:06.123Z`. Raises ValueError for a naive one."""
    known, text = _latest[0]
    if moment is known:
        return text
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    # Cut the zone off and write Z: isoformat is several times faster than strftime.
    text = moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")[:23] + "Z"
    _latest[0] = (moment, text)
    return text


def from_text(text: str) -> datetime:
    """The inverse of `to_text`; also reads any RFC 3339 time with a zone. Raises ValueError otherwise."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(timezone.utc)
