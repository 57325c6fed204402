"""The figures behind the status page (R070), read from the newest rows or within a bounded time.

The page may therefore be asked every few seconds, however much the store holds. Nothing here names a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from gateway import incidents
from gateway.catalog.directory import Directory, LiveChannel
from gateway.contract.clock import from_text
from gateway.contract.ids import floor_id
from gateway.contract.store import Row, Tx
from gateway.overview.rules import (
    RATE_OVER,
    RELAY_OVER,
    WAITING_TOO_LONG,
    BudgetStatus,
    ChannelStatus,
    Funnel,
    Incident,
    Overview,
    RelayFigures,
    Scope,
    channel_state,
    worst,
)

_NEWEST: Final = 2000


def read(tx: Tx, directory: Directory, scope: Scope, now: datetime) -> Overview:
    """The page as it is at `now`, of what `scope` sees."""
    seen = [live for live in directory.channels() if scope.merchants is None or live.merchant.slug in scope.merchants]
    last, rates = _last_events(tx, seen), _rates(tx, now)
    relays, broken = _relays(tx, now), _open_breakers(tx)
    channels = []
    for live in seen:
        slug = live.spec.slug
        zone = directory.zone(live.spec.shop)
        refused = _refused(tx, slug, _midnight(now, zone))
        relay = relays.get(slug, RelayFigures())
        channels.append(
            ChannelStatus(
                slug=slug,
                name=f"{live.merchant.name} {live.shop.name}" if live.shop is not None else live.merchant.name,
                adapter=live.spec.adapter,
                zone=zone,
                state=channel_state(live, last.get(slug), refused, relay, now, is_broken=slug in broken),
                last_at=last.get(slug),
                per_minute=rates.get(slug, 0) / (RATE_OVER / timedelta(minutes=1)),
                refused=refused,
                relay=relay,
                trouble=live.trouble,
            )
        )
    waiting, since, parked = _outbox(tx)
    zone = channels[0].zone if channels else directory.zone(None)
    budgets = _budgets(tx, scope, now, zone)
    opened = _incidents(tx, scope, {live.spec.slug for live in seen})
    late = since is not None and now - since > WAITING_TOO_LONG
    trouble = bool(parked or opened or late or any(budget.is_low for budget in budgets))
    state = worst([channel.state for channel in channels], trouble=trouble)
    funnel = _funnel(tx, scope, _midnight(now, zone))
    return Overview(channels, funnel, waiting, since, parked, budgets, opened, state)


def _midnight(now: datetime, zone: tzinfo) -> datetime:
    return now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)


def _last_events(tx: Tx, seen: Sequence[LiveChannel]) -> dict[str, datetime]:
    """The last genuine notification of each channel: among the newest of all, else its last payment."""
    rows = tx.all(
        "SELECT channel, max(received_at) AS at FROM (SELECT channel, received_at FROM deliveries "
        "WHERE outcome <> 'refused' ORDER BY id DESC LIMIT :most) AS newest GROUP BY channel",
        {"most": _NEWEST},
    )
    found = {row["channel"]: from_text(row["at"]) for row in rows}
    for live in seen:
        if live.spec.slug not in found:
            row = tx.one(
                "SELECT received_at AS at FROM payments WHERE merchant = :merchant AND channel = :channel "
                "ORDER BY id DESC LIMIT 1",
                {"merchant": live.merchant.slug, "channel": live.spec.slug},
            )
            if row is not None:
                found[live.spec.slug] = from_text(row["at"])
    return found


def _rates(tx: Tx, now: datetime) -> dict[str, int]:
    rows = tx.all(
        "SELECT channel, count(*) AS n FROM deliveries WHERE id >= :since AND outcome <> 'refused' GROUP BY channel",
        {"since": floor_id("d", now - RATE_OVER)},
    )
    return {row["channel"]: row["n"] for row in rows}


def _refused(tx: Tx, channel: str, since: datetime) -> int:
    """Refusals that mean something: WeChat Pay's own probes are refused every day and alarm nobody."""
    row = tx.one(
        "SELECT count(*) AS n FROM deliveries WHERE channel = :channel AND outcome = 'refused' AND id >= :since "
        "AND reason <> 'signature_probe'",
        {"channel": channel, "since": floor_id("d", since)},
    )
    return int(row["n"]) if row is not None else 0


def _relays(tx: Tx, now: datetime) -> Mapping[str, RelayFigures]:
    rows = tx.all(
        "SELECT channel, outcome, ms, at FROM relay_attempts WHERE id >= :since AND replay = 0 "
        "ORDER BY id DESC LIMIT :most",
        {"since": floor_id("ra", now - RELAY_OVER), "most": _NEWEST},
    )
    by_channel: dict[str, list[Row]] = {}
    for row in rows:
        by_channel.setdefault(row["channel"], []).append(row)
    return {channel: _figures(tries, now) for channel, tries in by_channel.items()}


def _figures(tries: Sequence[Row], now: datetime) -> RelayFigures:
    fresh = [row for row in tries if now - from_text(row["at"]) <= RATE_OVER]
    times = sorted(row["ms"] for row in tries if row["outcome"] == "answered")
    return RelayFigures(
        tried=len(tries),
        answered=len(times),
        p95_ms=times[(len(times) - 1) * 95 // 100] if times else None,
        tried_now=len(fresh),
        answered_now=sum(row["outcome"] == "answered" for row in fresh),
    )


def _open_breakers(tx: Tx) -> frozenset[str]:
    return frozenset(row["channel"] for row in tx.all("SELECT channel FROM breakers WHERE state = 'open'"))


def _funnel(tx: Tx, scope: Scope, since: datetime) -> Funnel:
    params: dict[str, Any] = {"since": floor_id("pay", since)}
    where = "p.id >= :since"
    if scope.merchants is not None:
        params |= {f"m{number}": slug for number, slug in enumerate(sorted(scope.merchants))}
        where += f" AND p.merchant IN ({', '.join(f':m{number}' for number in range(len(scope.merchants))) or 'NULL'})"
    row = tx.one(
        "SELECT count(*) AS payments, "
        "sum(CASE WHEN p.tag_before = 'tagged' THEN 1 ELSE 0 END) AS tagged, "
        "sum(CASE WHEN l.id IS NOT NULL THEN 1 ELSE 0 END) AS linked, "
        "sum(CASE WHEN l.state = 'claimed' THEN 1 ELSE 0 END) AS claimed, "
        "sum(CASE WHEN l.state = 'claimed' AND EXISTS (SELECT 1 FROM coupons c WHERE c.origin = l.id "
        "AND c.state = 'redeemed') THEN 1 ELSE 0 END) AS redeemed "
        f"FROM payments p LEFT JOIN links l ON l.payment = p.id AND l.purpose = 'payer' WHERE {where}",
        params,
    )
    if row is None:
        return Funnel()
    names = ("payments", "tagged", "linked", "claimed", "redeemed")
    return Funnel(*(int(row[name] or 0) for name in names))


def _outbox(tx: Tx) -> tuple[int, datetime | None, int]:
    due = tx.one("SELECT count(*) AS n, min(created_at) AS since FROM outbox WHERE state = 'due'")
    parked = tx.one("SELECT count(*) AS n FROM outbox WHERE state = 'parked'")
    since = from_text(due["since"]) if due is not None and due["since"] else None
    return (int(due["n"]) if due is not None else 0), since, (int(parked["n"]) if parked is not None else 0)


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


def _incidents(tx: Tx, scope: Scope, channels: set[str]) -> list[Incident]:
    """Open incidents. What concerns no channel of ours is for those who see everything; its subject is never shown."""
    return [
        Incident(
            kind=row["kind"],
            channel=row["subject"] if row["subject"] in channels else "",
            n=row["n"],
            since=from_text(row["first_at"]),
            last_at=from_text(row["last_at"]),
        )
        for row in incidents.open_ones(tx)
        if scope.merchants is None or row["subject"] in channels
    ]
