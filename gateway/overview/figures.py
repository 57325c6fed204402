"""The figures behind the status page (R070), read from the newest rows or within a bounded time.

The page may therefore be asked every few seconds, however much the store holds. Nothing here names a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from gateway import incidents
from gateway.catalog.directory import Directory, LiveChannel
from gateway.contract.clock import from_text
from gateway.contract.ids import floor_id
from gateway.contract.store import Tx
from gateway.overview import rates
from gateway.overview.rates import Pile, minute_text
from gateway.overview.rules import (
    RATE_OVER,
    RELAY_OVER,
    WAITING_TOO_LONG,
    BudgetStatus,
    Cause,
    ChannelStatus,
    Funnel,
    Incident,
    Overview,
    Point,
    RelayFigures,
    Scope,
    judge,
    worst,
)

CURVE_OVER: Final = timedelta(hours=1)
_STEP: Final = timedelta(minutes=5)
_MINUTE_TEXT: Final = len("2026-11-22T04:05")
_OPEN_INCIDENTS: Final = 50


def read(tx: Tx, directory: Directory, scope: Scope, now: datetime) -> Overview:
    """The page as it is at `now`, of what `scope` sees."""
    seen = [live for live in directory.channels() if scope.merchants is None or live.merchant.slug in scope.merchants]
    mark = rates.mark_of(tx)
    minutes = _minutes(tx, [live.spec.slug for live in seen], now, mark)
    broken = _open_breakers(tx)
    channels = [
        _channel(tx, directory, live, minutes.get(live.spec.slug, {}), now, mark, broken.get(live.spec.slug))
        for live in seen
    ]
    slugs = {live.spec.slug for live in seen}
    waiting, since, parked = _outbox(tx, None if scope.merchants is None else slugs)
    zone = channels[0].zone if channels else directory.zone(None)
    budgets = _budgets(tx, scope, now, zone)
    opened = _incidents(tx, scope, slugs)
    late = since is not None and now - since > WAITING_TOO_LONG
    trouble = bool(parked or opened or late or any(budget.is_low for budget in budgets))
    state = worst([channel.state for channel in channels], trouble=trouble)
    funnel = _funnel(tx, scope, _midnight(now, zone), mark)
    closed = _last_closed(tx, None if scope.merchants is None else slugs)
    return Overview(channels, funnel, waiting, since, parked, budgets, opened, state, closed)


def _channel(
    tx: Tx,
    directory: Directory,
    live: LiveChannel,
    minutes: Mapping[str, Pile],
    now: datetime,
    mark: datetime | None,
    broken_since: datetime | None,
) -> ChannelStatus:
    slug, zone = live.spec.slug, directory.zone(live.spec.shop)
    last = _last_event(tx, live, minutes, mark)
    refused = rates.refused_since(tx, slug, _midnight(now, zone), mark)
    relay, usual = _relay(minutes, now), rates.usual_silence(tx, slug, now)
    state, cause = judge(live, last, refused, relay, now, is_broken=broken_since is not None, usual=usual)
    recent = [pile for minute, pile in minutes.items() if minute > minute_text(now - RATE_OVER)]
    return ChannelStatus(
        slug=slug,
        name=f"{live.merchant.name} {live.shop.name}" if live.shop is not None else live.merchant.name,
        adapter=live.spec.adapter,
        zone=zone,
        state=state,
        last_at=last,
        per_minute=sum(pile.events for pile in recent) / (RATE_OVER / timedelta(minutes=1)),
        refused=refused,
        relay=relay,
        trouble=live.trouble,
        circle=live.circle.slug,
        cause=cause,
        since=_since(tx, slug, cause, last, broken_since, minutes),
        usual=usual,
        points=_curve(tx, slug, minutes, now, is_known=last is not None),
    )


def _midnight(now: datetime, zone: tzinfo) -> datetime:
    return now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)


def _minutes(tx: Tx, channels: Sequence[str], now: datetime, mark: datetime | None) -> dict[str, dict[str, Pile]]:
    """Channel → minute → what it held, of the last hour: what is added up, and the rest from the rows themselves."""
    begin = now - CURVE_OVER - _STEP
    found = rates.minutes(tx, channels, begin) if mark is not None else {}
    for channel, minutes in rates.fresh(tx, max(mark, begin) if mark is not None else begin).items():
        # A minute that is added up already may have got one more since: they are two parts of it.
        for minute, pile in minutes.items():
            before = found.setdefault(channel, {}).setdefault(minute, Pile())
            before.events += pile.events
            before.tried += pile.tried
            before.answered += pile.answered
            before.times.update(pile.times)
            before.last_at = max(before.last_at, pile.last_at)
    return found


def _last_event(tx: Tx, live: LiveChannel, minutes: Mapping[str, Pile], mark: datetime | None) -> datetime | None:
    """The last genuine notification: not added up yet, else among what is, else (before the first time) a payment."""
    newest = max((pile.last_at for pile in minutes.values()), default="")
    if newest:
        return from_text(newest)
    if mark is not None:
        return rates.last_event(tx, live.spec.slug)
    row = tx.one(
        "SELECT received_at AS at FROM payments WHERE merchant = :merchant AND channel = :channel "
        "ORDER BY id DESC LIMIT 1",
        {"merchant": live.merchant.slug, "channel": live.spec.slug},
    )
    return from_text(row["at"]) if row is not None else None


def _relay(minutes: Mapping[str, Pile], now: datetime) -> RelayFigures:
    hour = [pile for minute, pile in minutes.items() if minute > minute_text(now - RELAY_OVER)]
    fresh = [pile for minute, pile in minutes.items() if minute > minute_text(now - RATE_OVER)]
    times: Counter[int] = Counter()
    for pile in hour:
        times.update(pile.times)
    return RelayFigures(
        tried=sum(pile.tried for pile in hour),
        answered=sum(pile.answered for pile in hour),
        p95_ms=rates.time_percentile(times, 95),
        tried_now=sum(pile.tried for pile in fresh),
        answered_now=sum(pile.answered for pile in fresh),
    )


def _curve(tx: Tx, channel: str, minutes: Mapping[str, Pile], now: datetime, *, is_known: bool) -> list[Point]:
    """The last hour in stretches of five whole minutes. What lies before the channel's first event is not known."""
    if not is_known:
        return []
    end = now.replace(second=0, microsecond=0)
    begin = end - CURVE_OVER
    known = rates.has_before(tx, channel, begin)
    points = []
    for number in range(CURVE_OVER // _STEP):
        at = begin + number * _STEP
        first, last = minute_text(at), minute_text(at + _STEP)
        n = sum(pile.events for minute, pile in minutes.items() if first <= minute < last)
        known = known or n > 0
        points.append(Point(at, n / (_STEP / timedelta(minutes=1)) if known else None))
    return points if any(point.per_minute is not None for point in points) else []


def _since(
    tx: Tx,
    channel: str,
    cause: Cause | None,
    last: datetime | None,
    broken_since: datetime | None,
    minutes: Mapping[str, Pile],
) -> datetime | None:
    """Since when it has been so, as far as that can be told."""
    if cause == "breaker":
        return broken_since
    if cause in {"silent", "quiet"}:
        return last
    if cause in {"not_answering", "unanswered"}:
        failing = [minute for minute, pile in minutes.items() if pile.tried > pile.answered]
        return from_text(f"{min(failing)[:_MINUTE_TEXT]}:00+00:00") if failing else None
    if cause == "refused":
        row = tx.one(
            "SELECT received_at AS at FROM deliveries WHERE channel = :channel AND outcome = 'refused' "
            "AND reason <> 'signature_probe' ORDER BY id DESC LIMIT 1",
            {"channel": channel},
        )
        return from_text(row["at"]) if row is not None else None
    return None


def _open_breakers(tx: Tx) -> dict[str, datetime]:
    return {
        row["channel"]: from_text(row["since"])
        for row in tx.all("SELECT channel, since FROM breakers WHERE state = 'open'")
    }


def _funnel(tx: Tx, scope: Scope, since: datetime, mark: datetime | None) -> Funnel:
    tally = rates.tally_since(tx, scope.merchants, since, mark)
    params: dict[str, Any] = {"since": floor_id("l", since)}
    where = ""
    if scope.merchants is not None:
        params |= {f"m{number}": slug for number, slug in enumerate(sorted(scope.merchants))}
        where = f" AND l.merchant IN ({', '.join(f':m{number}' for number in range(len(scope.merchants))) or 'NULL'})"
    claimed = tx.one(
        "SELECT count(*) AS n FROM links l WHERE l.id >= :since AND l.state = 'claimed' AND l.purpose = 'payer'"
        + where,
        params,
    )
    redeemed = tx.one(
        "SELECT count(DISTINCT c.origin) AS n FROM coupons c JOIN links l ON l.id = c.origin "
        "WHERE c.state = 'redeemed' AND c.origin >= :since AND c.origin < 'l_g' "
        "AND l.state = 'claimed' AND l.purpose = 'payer'" + where,
        params,
    )
    return Funnel(
        tally.payments,
        tally.tagged,
        tally.linked,
        int(claimed["n"]) if claimed is not None else 0,
        int(redeemed["n"]) if redeemed is not None else 0,
    )


def _outbox(tx: Tx, channels: Collection[str] | None) -> tuple[int, datetime | None, int]:
    """(what tills are owed, since when the oldest of it, what is parked). What is looked at again later is no debt."""
    rows = tx.all(
        "SELECT object, count(*) AS n, min(created_at) AS since FROM outbox "
        "WHERE state = 'due' AND topic = 'relay' GROUP BY object"
    )
    due = [row for row in rows if channels is None or row["object"] in channels]
    parked = tx.all("SELECT topic, object, count(*) AS n FROM outbox WHERE state = 'parked' GROUP BY topic, object")
    return (
        sum(int(row["n"]) for row in due),
        min((from_text(row["since"]) for row in due), default=None),
        sum(
            int(row["n"])
            for row in parked
            if channels is None or (row["topic"] == "relay" and row["object"] in channels)
        ),
    )


def _budgets(tx: Tx, scope: Scope, now: datetime, zone: tzinfo) -> list[BudgetStatus]:
    found = []
    for row in tx.all("SELECT * FROM budgets WHERE total_fen > 0 ORDER BY name"):
        sort, _, rest = row["name"].partition(":")
        circle, _, day = rest.partition(":")
        if sort not in {"offer", "source"} or (scope.circles is not None and circle not in scope.circles):
            continue
        if day and day != f"{now.astimezone(zone):%Y-%m-%d}":
            continue
        kind = "day" if day else sort
        found.append(BudgetStatus(circle, kind, row["total_fen"], row["consumed_fen"], row["reserved_fen"]))
    return found


def _incidents(tx: Tx, scope: Scope, channels: Collection[str]) -> list[Incident]:
    """Open incidents. What concerns no channel of ours is for those who see everything; its subject is never shown."""
    rows = [row for row in incidents.open_ones(tx) if scope.merchants is None or row["subject"] in channels][
        :_OPEN_INCIDENTS
    ]
    return [
        Incident(
            kind=row["kind"],
            channel=row["subject"] if row["subject"] in channels else "",
            n=row["n"],
            since=from_text(row["first_at"]),
            last_at=from_text(row["last_at"]),
            id=row["id"],
            said=[
                (note["at"], note["by"], note["said"], note["cause"])
                for note in tx.all(
                    "SELECT at, by, said, cause FROM incident_notes WHERE incident = :id ORDER BY at",
                    {"id": row["id"]},
                )
            ],
        )
        for row in rows
    ]


def _last_closed(tx: Tx, channels: Collection[str] | None) -> datetime | None:
    """When the last incident that is over began."""
    rows = tx.all("SELECT subject, first_at FROM incidents WHERE closed_at IS NOT NULL ORDER BY id DESC LIMIT 200")
    return next((from_text(row["first_at"]) for row in rows if channels is None or row["subject"] in channels), None)
