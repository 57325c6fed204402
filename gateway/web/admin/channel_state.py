"""What the pages of channels show: the last notices, a day by the hour, the ages of keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from gateway.catalog.specs import Channel
from gateway.contract.clock import from_text, to_text
from gateway.contract.ids import floor_id
from gateway.contract.store import Row, Tx

NOTICES: Final = 20
ROTATE_AFTER: Final = timedelta(days=330)
_NEWEST: Final = 2000
_HOURS: Final = 24
_BAR, _GAP, _HEIGHT, _TOP = 24, 6, 120, 16


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification: whether it was genuine, and what the POS said."""

    at: str
    outcome: str
    reason: str
    relay: str
    status: int | None
    ms: int | None


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of the chart. The geometry is worked out here, for pages hold no style."""

    at: datetime
    payments: int
    refused: int
    x: int
    y: int
    height: int
    bad_y: int
    bad_height: int


@dataclass(frozen=True, slots=True)
class KeyAge:
    """One secret of a channel by its short id."""

    name: str
    key_id: str
    since: str | None
    is_old: bool


def notices(tx: Tx, channel: Channel) -> list[Notice]:
    """The channel's last notices, newest first: found among the newest of all, by its payments and its refusals."""
    found: dict[str, Row] = {}
    columns = "d.id, d.received_at, d.outcome, d.reason, d.payment"
    for row in tx.all(
        f"SELECT {columns} FROM (SELECT * FROM deliveries ORDER BY id DESC LIMIT :newest) d "
        "WHERE d.channel = :channel ORDER BY d.id DESC LIMIT :most",
        {"newest": _NEWEST, "channel": channel.slug, "most": NOTICES},
    ):
        found[row["id"]] = row
    for row in tx.all(
        f"SELECT {columns} FROM deliveries d WHERE d.channel = :channel AND d.outcome = 'refused' "
        "ORDER BY d.id DESC LIMIT :most",
        {"channel": channel.slug, "most": NOTICES},
    ):
        found[row["id"]] = row
    for row in tx.all(
        f"SELECT {columns} FROM (SELECT id FROM payments WHERE merchant = :merchant AND channel = :channel "
        "ORDER BY id DESC LIMIT :most) p JOIN deliveries d ON d.payment = p.id",
        {"merchant": channel.merchant, "channel": channel.slug, "most": NOTICES},
    ):
        found[row["id"]] = row
    newest = [found[id_] for id_ in sorted(found, reverse=True)[:NOTICES]]
    tries = _tries(tx, newest)
    return [
        Notice(
            row["received_at"],
            row["outcome"],
            row["reason"] or "",
            tries[row["id"]]["outcome"] if row["id"] in tries else "",
            tries[row["id"]]["status"] if row["id"] in tries else None,
            tries[row["id"]]["ms"] if row["id"] in tries else None,
        )
        for row in newest
    ]


def _tries(tx: Tx, rows: list[Row]) -> Mapping[str, Row]:
    if not rows:
        return {}
    names = {f"d{number}": row["id"] for number, row in enumerate(rows)}
    marks = ", ".join(f":{name}" for name in names)
    oldest = from_text(rows[-1]["received_at"])
    found = tx.all(
        f"SELECT delivery, outcome, status, ms FROM (SELECT * FROM relay_attempts WHERE id >= :since "
        f"ORDER BY id DESC LIMIT :newest) a WHERE delivery IN ({marks}) ORDER BY id",
        {**names, "since": floor_id("ra", oldest - timedelta(minutes=1)), "newest": _NEWEST},
    )
    return {row["delivery"]: row for row in found}


def day_by_hour(tx: Tx, channel: Channel, now: datetime, zone: tzinfo) -> list[Hour]:
    """The last 24 hours: payments and refusals, with the bars' places."""
    end = now.astimezone(zone).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    begin = end - timedelta(hours=_HOURS)
    payments, refused = [0] * _HOURS, [0] * _HOURS
    for table, counts, prefix, where in (
        ("payments", payments, "pay", "merchant = :merchant AND channel = :channel"),
        ("deliveries", refused, "d", "channel = :channel AND outcome = 'refused'"),
    ):
        values: dict[str, Any] = {"channel": channel.slug, "since": floor_id(prefix, begin)}
        if prefix == "pay":
            values["merchant"] = channel.merchant
        for row in tx.all(
            f"SELECT substr(received_at, 1, 13) AS hour, count(*) AS n FROM {table} WHERE {where} AND id >= :since "
            "GROUP BY substr(received_at, 1, 13)",
            values,
        ):
            place = int((datetime.fromisoformat(f"{row['hour']}:00:00+00:00") - begin).total_seconds() // 3600)
            if 0 <= place < _HOURS:
                counts[place] += int(row["n"])
    most = max(*payments, *refused, 1)
    hours = []
    for place in range(_HOURS):
        tall, bad = payments[place] * _HEIGHT // most, refused[place] * _HEIGHT // most
        hours.append(
            Hour(
                begin + timedelta(hours=place),
                payments[place],
                refused[place],
                place * (_BAR + _GAP),
                _TOP + _HEIGHT - tall,
                tall,
                _TOP + _HEIGHT - bad,
                bad,
            )
        )
    return hours


def key_ages(tx: Tx, channel: Channel, table: Mapping[str, Any], now: datetime) -> list[KeyAge]:
    """Each secret with the moment since which the audit log knows it; the log is read newest first, once."""
    found = _ids(table.get("keys", {}), "")
    found += [(f"wallet.{name}", key_id) for name, key_id in _ids(table.get("wallet", {}), "")]
    since: dict[str, str] = {}
    for row in tx.all(
        "SELECT at, after FROM audit WHERE object = :object AND after IS NOT NULL ORDER BY seq DESC LIMIT 200",
        {"object": f"channel.{channel.slug}"},
    ):
        held = {key_id for part in ("keys", "wallet") for _, key_id in _ids(json.loads(row["after"]).get(part, {}), "")}
        for key_id in held:
            since[key_id] = row["at"]
    limit = to_text(now - ROTATE_AFTER)
    return [KeyAge(name, key_id[:8], since.get(key_id), since.get(key_id, limit) < limit) for name, key_id in found]


def _ids(value: Any, name: str) -> list[tuple[str, str]]:
    """(name, id) of every secret in a table that shows them as references."""
    if isinstance(value, dict):
        if set(value) == {"stored"}:
            return [(name, str(value["stored"]))]
        return [pair for key, one in value.items() for pair in _ids(one, name or str(key))]
    if isinstance(value, list):
        return [pair for one in value for pair in _ids(one, name)]
    return []
