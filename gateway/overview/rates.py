"""The status page's figures kept small: minutes, hours and tallies, added up once a minute from what came in.

Everything here can be worked out anew from deliveries, relay attempts and payments (`rebuild`). How far the adding up
has come is one mark in `meta`, moved in the transaction that adds: each row counts once, however many workers there
are. What is newer than the mark is read directly.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from gateway.contract.clock import from_text, to_text
from gateway.contract.ids import floor_id
from gateway.contract.store import Row, Tx

MARK: Final = "rates_until"
WEEKS: Final = timedelta(weeks=4)
"""How far back the usual silence of an hour is looked for."""
MINUTES_FOR: Final = timedelta(hours=2)
SETTLED_AFTER: Final = timedelta(seconds=30)
"""A minute is added up when it is over for so long: what was in the air has been committed by then."""
ENOUGH_DAYS: Final = 7
"""Days of one hour of the day that must be known before its silence is called usual."""
AT_ONCE: Final = 20_000
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)
_USUAL_PERCENT: Final = 95
_TWO_DIGITS: Final = 100
_MINUTE_TEXT: Final = len("2026-11-22T04:05")


@dataclass(slots=True)
class Pile:
    """What came in by one channel during a stretch: genuine events, tries to hand over and their times."""

    events: int = 0
    tried: int = 0
    answered: int = 0
    times: Counter[int] = field(default_factory=Counter)
    last_at: str = ""


@dataclass(slots=True)
class Tally:
    """Payments of one merchant: all, of tagged payers, with a link."""

    payments: int = 0
    tagged: int = 0
    linked: int = 0


def hour_text(at: datetime) -> str:
    """The hour that a moment lies in, as rows name it: `2026-11-22T04`, UTC."""
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H")


def minute_text(at: datetime) -> str:
    """The minute that a moment lies in: `2026-11-22T04:05`, UTC."""
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M")


def rounded_ms(ms: int) -> int:
    """Milliseconds to two digits, so that a minute's times are few numbers: 182 → 180, 45 → 45."""
    step = 1
    while ms >= step * _TWO_DIGITS:
        step *= 10
    return ms // step * step


def percentile(values: Sequence[int], percent: int) -> int:
    """The value that `percent` of the sorted values do not exceed; the values hold one at least."""
    return values[(len(values) - 1) * percent // 100]


def time_percentile(times: Mapping[int, int], percent: int) -> int | None:
    """The same of values with their counts; None without any."""
    place = (sum(times.values()) - 1) * percent // 100
    for ms, n in sorted(times.items()):
        place -= n
        if place < 0:
            return ms
    return None


def mark_of(tx: Tx) -> datetime | None:
    """Up to when everything is added up; None before the first time."""
    row = tx.one("SELECT value FROM meta WHERE name = :name", {"name": MARK})
    return from_text(row["value"]) if row is not None else None


def roll(tx: Tx, now: datetime) -> bool:
    """Add up what is settled, at most so much as one transaction should hold; whether more is left to do."""
    tx.lock(MARK)
    until = _floor(now - SETTLED_AFTER, _MINUTE)
    mark = mark_of(tx)
    if mark is None:
        mark = _beginning(tx, now)
    seen = 0
    while mark < until and seen < AT_ONCE:
        # Never over the end of an hour, since an hour's row is written whole or added to.
        end = min(until, _floor(mark, _HOUR) + _HOUR)
        seen += _roll_stretch(tx, mark, end, keep_minutes=end > now - MINUTES_FOR) + 1
        mark = end
    tx.run(
        "INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        {"name": MARK, "value": to_text(mark)},
    )
    tx.run("DELETE FROM rates WHERE minute < :floor", {"floor": minute_text(now - MINUTES_FOR)})
    old = {"floor": hour_text(now - WEEKS - timedelta(days=1))}
    tx.run("DELETE FROM hours WHERE hour < :floor", old)
    tx.run("DELETE FROM tallies WHERE hour < :floor", old)
    return mark < until


def rebuild(tx: Tx) -> None:
    """Forget all of it; the next rolls work it out anew."""
    tx.lock(MARK)
    for table in ("rates", "hours", "tallies"):
        tx.run(f"DELETE FROM {table}")
    tx.run("DELETE FROM meta WHERE name = :name", {"name": MARK})


def fresh(tx: Tx, since: datetime) -> dict[str, dict[str, Pile]]:
    """Channel → minute → what it held, read from the rows themselves: for what is not added up yet."""
    found: dict[str, dict[str, Pile]] = {}

    def pile(row: Row, at: str) -> Pile:
        return found.setdefault(row["channel"], {}).setdefault(at[:_MINUTE_TEXT], Pile())

    for row in _deliveries(tx, since, None):
        if row["outcome"] != "refused":
            one = pile(row, row["received_at"])
            one.events += 1
            one.last_at = max(one.last_at, row["received_at"])
    for row in _tries(tx, since, None):
        _count_try(pile(row, row["at"]), row)
    return found


def minutes(tx: Tx, channels: Sequence[str], since: datetime) -> dict[str, dict[str, Pile]]:
    """Channel → minute → what it held, for the minutes that are added up."""
    found: dict[str, dict[str, Pile]] = {}
    for channel in channels:
        for row in tx.all(
            "SELECT * FROM rates WHERE channel = :channel AND minute >= :since ORDER BY minute",
            {"channel": channel, "since": minute_text(since)},
        ):
            times = Counter({int(ms): n for ms, n in json.loads(row["times"]).items()})
            pile = Pile(row["events"], row["tried"], row["answered"], times)
            found.setdefault(channel, {})[row["minute"]] = pile
    return found


def has_before(tx: Tx, channel: str, moment: datetime) -> bool:
    """Whether the channel is known from before the hour of `moment`."""
    return (
        tx.one(
            "SELECT 1 AS one FROM hours WHERE channel = :channel AND hour < :hour LIMIT 1",
            {"channel": channel, "hour": hour_text(moment)},
        )
        is not None
    )


def usual_silence(tx: Tx, channel: str, now: datetime) -> timedelta | None:
    """How long a channel is silent at most, at this hour of the day, on 95 of 100 days of the last four weeks.

    A day's part is the longest that the channel had been silent at any moment of that hour, so that a shop's night is
    usual at night. None while too few days are known.
    """
    hours = [hour_text(now - timedelta(days=day)) for day in range(1, WEEKS.days + 1)]
    names = {f"h{number}": hour for number, hour in enumerate(hours)}
    rows = tx.all(
        f"SELECT silence_s FROM hours WHERE channel = :channel AND hour IN ({', '.join(f':{name}' for name in names)})",
        {"channel": channel, **names},
    )
    if len(rows) < ENOUGH_DAYS:
        return None
    return timedelta(seconds=percentile(sorted(int(row["silence_s"]) for row in rows), _USUAL_PERCENT))


def last_event(tx: Tx, channel: str) -> datetime | None:
    """The channel's last genuine notification among what is added up."""
    row = tx.one(
        "SELECT last_at FROM hours WHERE channel = :channel ORDER BY hour DESC LIMIT 1",
        {"channel": channel},
    )
    return from_text(row["last_at"]) if row is not None and row["last_at"] else None


def refused_since(tx: Tx, channel: str, since: datetime, mark: datetime | None) -> int:
    """Refusals that mean something since a moment: whole hours from their rows, the rest counted."""
    first = _floor(since - timedelta(microseconds=1), _HOUR) + _HOUR
    whole = _floor(mark, _HOUR) if mark is not None else first
    if whole <= first:
        return _count_refused(tx, channel, since, None)
    row = tx.one(
        "SELECT coalesce(sum(refused), 0) AS n FROM hours "
        "WHERE channel = :channel AND hour >= :first AND hour < :whole",
        {"channel": channel, "first": hour_text(first), "whole": hour_text(whole)},
    )
    n = int(row["n"]) if row is not None else 0
    if since < first:
        n += _count_refused(tx, channel, since, first)
    return n + _count_refused(tx, channel, whole, None)


def tally_since(tx: Tx, merchants: frozenset[str] | None, since: datetime, mark: datetime | None) -> Tally:
    """Payments since a moment, of these merchants (None: of all), and how far they had come when they were made."""
    first = _floor(since - timedelta(microseconds=1), _HOUR) + _HOUR
    if mark is None or mark <= first:
        return _sum(_tallies(tx, since, None), merchants)
    rows = tx.all(
        "SELECT merchant, sum(payments) AS payments, sum(tagged) AS tagged, sum(linked) AS linked FROM tallies "
        "WHERE hour >= :first GROUP BY merchant",
        {"first": hour_text(first)},
    )
    found = _sum({row["merchant"]: Tally(row["payments"], row["tagged"], row["linked"]) for row in rows}, merchants)
    parts = [_sum(_tallies(tx, mark, None), merchants)]
    if since < first:
        parts.append(_sum(_tallies(tx, since, first), merchants))
    for part in parts:
        found.payments += part.payments
        found.tagged += part.tagged
        found.linked += part.linked
    return found


# -- adding up --------------------------------------------------------------------------------------------------------


def _roll_stretch(tx: Tx, begin: datetime, end: datetime, *, keep_minutes: bool) -> int:
    """Add one stretch that lies within an hour; how many rows it held."""
    hour = hour_text(begin)
    per_minute: dict[tuple[str, str], Pile] = {}
    events: dict[str, list[datetime]] = {}
    refused: Counter[str] = Counter()
    n = 0
    for row in _deliveries(tx, begin, end):
        n += 1
        channel = row["channel"]
        if row["outcome"] == "refused":
            # WeChat Pay's own probes are refused every day and alarm nobody.
            refused[channel] += row["reason"] != "signature_probe"
            continue
        at = from_text(row["received_at"])
        events.setdefault(channel, []).append(at)
        per_minute.setdefault((channel, minute_text(at)), Pile()).events += 1
    for row in _tries(tx, begin, end):
        n += 1
        _count_try(per_minute.setdefault((row["channel"], minute_text(from_text(row["at"]))), Pile()), row)
    if keep_minutes:
        for (channel, minute), pile in per_minute.items():
            _put_minute(tx, channel, minute, pile)
    _put_hours(tx, hour, begin, end, events, refused)
    for merchant, tally in _tallies(tx, begin, end).items():
        tx.run(
            "INSERT INTO tallies (merchant, hour, payments, tagged, linked) "
            "VALUES (:merchant, :hour, :payments, :tagged, :linked) ON CONFLICT (hour, merchant) DO UPDATE SET "
            "payments = tallies.payments + excluded.payments, tagged = tallies.tagged + excluded.tagged, "
            "linked = tallies.linked + excluded.linked",
            {
                "merchant": merchant,
                "hour": hour,
                "payments": tally.payments,
                "tagged": tally.tagged,
                "linked": tally.linked,
            },
        )
        n += tally.payments
    return n


def _put_minute(tx: Tx, channel: str, minute: str, pile: Pile) -> None:
    # What came late by a process whose clock is behind is added to its minute, not lost.
    tx.run(
        "INSERT INTO rates (channel, minute, events, tried, answered, times) "
        "VALUES (:channel, :minute, :events, :tried, :answered, :times) ON CONFLICT (channel, minute) DO UPDATE SET "
        "events = rates.events + excluded.events, tried = rates.tried + excluded.tried, "
        "answered = rates.answered + excluded.answered, times = excluded.times",
        {
            "channel": channel,
            "minute": minute,
            "events": pile.events,
            "tried": pile.tried,
            "answered": pile.answered,
            "times": json.dumps({str(ms): n for ms, n in sorted(pile.times.items())}),
        },
    )


def _put_hours(
    tx: Tx, hour: str, begin: datetime, end: datetime, events: Mapping[str, Sequence[datetime]], refused: Counter[str]
) -> None:
    known = {row["channel"]: row for row in tx.all("SELECT * FROM hours WHERE hour = :hour", {"hour": hour})}
    if begin == _floor(begin, _HOUR):
        # A channel that is silent all this hour has a row too: its silence goes on.
        before = hour_text(begin - _HOUR)
        for row in tx.all("SELECT channel, last_at FROM hours WHERE hour = :hour", {"hour": before}):
            known.setdefault(row["channel"], {"events": 0, "refused": 0, "silence_s": 0, "last_at": row["last_at"]})
    for channel in {*known, *events, *refused}:
        row = known.get(channel) or {"events": 0, "refused": 0, "silence_s": 0, "last_at": None}
        last = from_text(row["last_at"]) if row["last_at"] else None
        silence = int(row["silence_s"])
        for at in [*sorted(events.get(channel, ())), end]:
            if last is not None:
                silence = max(silence, int((at - last).total_seconds()))
            last = at if at is not end else last
        last = max(events[channel]) if channel in events else last
        tx.run(
            "INSERT INTO hours (channel, hour, events, refused, silence_s, last_at) "
            "VALUES (:channel, :hour, :events, :refused, :silence, :last) ON CONFLICT (channel, hour) DO UPDATE SET "
            "events = excluded.events, refused = excluded.refused, silence_s = excluded.silence_s, "
            "last_at = excluded.last_at",
            {
                "channel": channel,
                "hour": hour,
                "events": int(row["events"]) + len(events.get(channel, ())),
                "refused": int(row["refused"]) + refused[channel],
                "silence": silence,
                "last": to_text(last) if last is not None else None,
            },
        )


def _beginning(tx: Tx, now: datetime) -> datetime:
    """Where to begin: four weeks ago, or at the first of what there is."""
    floor = _floor(now - WEEKS, _HOUR)
    firsts = [
        row["at"]
        for table, prefix in (("deliveries", "d"), ("payments", "pay"))
        if (
            row := tx.one(
                f"SELECT received_at AS at FROM {table} WHERE id >= :floor ORDER BY id LIMIT 1",
                {"floor": floor_id(prefix, floor)},
            )
        )
        is not None
    ]
    return max(floor, _floor(min(map(from_text, firsts)), _HOUR)) if firsts else _floor(now, _HOUR)


# -- the rows ---------------------------------------------------------------------------------------------------------


def _bounds(prefix: str, since: datetime, until: datetime | None) -> dict[str, Any]:
    return {"since": floor_id(prefix, since), "until": floor_id(prefix, until) if until is not None else f"{prefix}_g"}


def _deliveries(tx: Tx, since: datetime, until: datetime | None) -> list[Row]:
    return tx.all(
        "SELECT channel, received_at, outcome, reason FROM deliveries WHERE id >= :since AND id < :until ORDER BY id",
        _bounds("d", since, until),
    )


def _tries(tx: Tx, since: datetime, until: datetime | None) -> list[Row]:
    return tx.all(
        "SELECT channel, at, outcome, ms FROM relay_attempts WHERE id >= :since AND id < :until AND replay = 0",
        _bounds("ra", since, until),
    )


def _count_try(pile: Pile, row: Row) -> None:
    pile.tried += 1
    if row["outcome"] == "answered":
        pile.answered += 1
        pile.times[rounded_ms(int(row["ms"]))] += 1


def _count_refused(tx: Tx, channel: str, since: datetime, until: datetime | None) -> int:
    row = tx.one(
        "SELECT count(*) AS n FROM deliveries WHERE channel = :channel AND outcome = 'refused' AND id >= :since "
        "AND id < :until AND reason <> 'signature_probe'",
        {"channel": channel, **_bounds("d", since, until)},
    )
    return int(row["n"]) if row is not None else 0


def _tallies(tx: Tx, since: datetime, until: datetime | None) -> dict[str, Tally]:
    rows = tx.all(
        "SELECT p.merchant, count(*) AS payments, sum(CASE WHEN p.tag_before = 'tagged' THEN 1 ELSE 0 END) AS tagged, "
        "sum(CASE WHEN l.id IS NOT NULL THEN 1 ELSE 0 END) AS linked "
        "FROM payments p LEFT JOIN links l ON l.payment = p.id AND l.purpose = 'payer' "
        "WHERE p.id >= :since AND p.id < :until GROUP BY p.merchant",
        _bounds("pay", since, until),
    )
    return {row["merchant"]: Tally(int(row["payments"]), int(row["tagged"]), int(row["linked"])) for row in rows}


def _sum(tallies: Mapping[str, Tally], merchants: frozenset[str] | None) -> Tally:
    counted = [tally for merchant, tally in tallies.items() if merchants is None or merchant in merchants]
    return Tally(
        sum(tally.payments for tally in counted),
        sum(tally.tagged for tally in counted),
        sum(tally.linked for tally in counted),
    )


def _floor(at: datetime, step: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    return at - (at - epoch) % step
