"""A stretch of a day in numbers: payments that came in it, and how far they had got by a given moment."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from gateway.contract.clock import to_text
from gateway.contract.ids import floor_id
from gateway.contract.store import Tx
from gateway.reading.links import in_list


@dataclass(frozen=True, slots=True)
class Stretch:
    """Counts of one stretch; `first` are payments that tagged their payer."""

    payments: int = 0
    amount_fen: int = 0
    first: int = 0
    linked: int = 0
    claimed: int = 0
    redeemed: int = 0


def read(tx: Tx, merchants: Collection[str] | None, since: datetime, until: datetime) -> Stretch:
    """Payments from `since` up to `until` at these merchants (None: all); what came of them until `until`."""
    where, params = _where(merchants)
    row = tx.one(
        "SELECT count(*) AS payments, sum(p.amount_fen) AS amount_fen, "
        "sum(CASE WHEN p.tag_before = 'untagged' AND p.tag_after = 'tagged' THEN 1 ELSE 0 END) AS first, "
        "sum(CASE WHEN l.id IS NOT NULL THEN 1 ELSE 0 END) AS linked, "
        "sum(CASE WHEN l.claimed_at < :by THEN 1 ELSE 0 END) AS claimed, "
        "sum(CASE WHEN l.claimed_at < :by AND EXISTS (SELECT 1 FROM coupons c JOIN redemptions r "
        "ON r.coupon = c.code AND r.reversed_at IS NULL WHERE c.origin = l.id AND r.at < :by) THEN 1 ELSE 0 END) "
        "AS redeemed FROM payments p LEFT JOIN links l ON l.payment = p.id AND l.purpose = 'payer' "
        f"WHERE p.id >= :low AND p.id < :high{where}",
        {**params, "low": floor_id("pay", since), "high": floor_id("pay", until), "by": to_text(until)},
    )
    if row is None:
        return Stretch()
    return Stretch(*(int(row[name] or 0) for name in Stretch.__slots__))


def has_before(tx: Tx, merchants: Collection[str] | None, moment: datetime) -> bool:
    """Whether any payment came before: what came later can be compared with nothing else."""
    for merchant in [None] if merchants is None else sorted(merchants):
        where, params = _where(None if merchant is None else [merchant])
        found = tx.one(
            f"SELECT 1 AS one FROM payments p WHERE p.id < :high{where} LIMIT 1",
            {**params, "high": floor_id("pay", moment)},
        )
        if found is not None:
            return True
    return False


def _where(merchants: Collection[str] | None) -> tuple[str, dict[str, str]]:
    if merchants is None:
        return "", {}
    marks, params = in_list(sorted(merchants) or ["-"])
    return f" AND p.merchant IN ({marks})", params
