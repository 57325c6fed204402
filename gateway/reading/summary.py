"""The counts of the whole house, or of one circle: each a scan of an index at most."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.contract.clock import to_text
from gateway.contract.store import Tx
from gateway.reading.links import in_list


@dataclass(frozen=True, slots=True)
class Scope:
    """A circle with its merchants and channels."""

    circle: str
    merchants: Collection[str]
    channels: Collection[str]


_BY_CIRCLE: Final[Mapping[str, str]] = {
    "tagged": "SELECT count(*) AS n FROM tags WHERE state = 'active' AND expires_at > :now{and_circle}",
    "links_issued": "SELECT count(*) AS n FROM links WHERE 1 = 1{and_circle}",
    "links_claimed": "SELECT count(*) AS n FROM links WHERE claimed_at IS NOT NULL{and_circle}",
    "coupons_claimed": "SELECT count(*) AS n FROM coupons WHERE 1 = 1{and_circle}",
    "coupons_redeemed": "SELECT count(*) AS n FROM coupons WHERE state = 'redeemed'{and_circle}",
}
_BY_MERCHANT: Final = "SELECT count(*) AS n FROM payments WHERE merchant IN ({marks})"
_BY_CHANNEL: Final[Mapping[str, str]] = {
    "relays_failed": "SELECT count(*) AS n FROM relay_attempts WHERE outcome <> 'answered'{and_channels}",
    "refused": "SELECT count(*) AS n FROM deliveries WHERE outcome = 'refused'{and_channels}",
}
_OF_THE_HOUSE: Final[Mapping[str, str]] = {
    "outbox_depth": "SELECT count(*) AS n FROM outbox WHERE state = 'due'",
    "parked": "SELECT count(*) AS n FROM outbox WHERE state = 'parked'",
}


def counts(tx: Tx, now: datetime, scope: Scope | None) -> dict[str, int]:
    """Counts by name; with a scope those of its circle, but for what waits to go out, which is the house's."""
    found = {"payments": _payments(tx, scope)}
    circle = {"circle": scope.circle} if scope is not None else {}
    for name, sql in _BY_CIRCLE.items():
        text = sql.format(and_circle=" AND circle = :circle" if scope is not None else "")
        found[name] = _count(tx, text, {**circle, "now": to_text(now)} if ":now" in text else circle)
    for name, sql in _BY_CHANNEL.items():
        if scope is None:
            found[name] = _count(tx, sql.format(and_channels=""), {})
        elif scope.channels:
            marks, params = in_list(sorted(scope.channels))
            found[name] = _count(tx, sql.format(and_channels=f" AND channel IN ({marks})"), params)
        else:
            found[name] = 0
    for name, sql in _OF_THE_HOUSE.items():
        found[name] = _count(tx, sql, {})
    return found


def _payments(tx: Tx, scope: Scope | None) -> int:
    if scope is None:
        return _count(tx, "SELECT count(*) AS n FROM payments", {})
    if not scope.merchants:
        return 0
    marks, params = in_list(sorted(scope.merchants))
    return _count(tx, _BY_MERCHANT.format(marks=marks), params)


def _count(tx: Tx, sql: str, params: Mapping[str, str]) -> int:
    row = tx.one(sql, params)
    return int(row["n"]) if row is not None else 0
