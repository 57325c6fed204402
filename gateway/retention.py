"""What is kept no longer than it must be: payloads, quarantine, old answers, old audit rows. In small batches."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from gateway import audit
from gateway.contract.clock import to_text
from gateway.contract.ids import floor_id
from gateway.contract.store import Tx
from gateway.settings import Retention

ANSWERS_FOR: Final = timedelta(days=30)
"""How long the same request id gets the same answer."""


def sweep(tx: Tx, keep: Retention, now: datetime, most: int) -> int:
    """One batch of each kind; how many rows went or were emptied."""
    return (
        _forget_payloads(tx, floor_id("d", now - timedelta(days=keep.raw_days)), most)
        + _forget_refused(tx, floor_id("d", now - timedelta(days=keep.quarantine_days)), most)
        + _bound_quarantine(tx, keep.quarantine_bytes, most)
        + _forget_answers(tx, now - ANSWERS_FOR, most)
        + audit.trim(tx, now - timedelta(days=keep.audit_days), most)
    )


def _forget_payloads(tx: Tx, floor: str, most: int) -> int:
    """Everything below the mark is empty already, so that the search begins where the last one ended."""
    mark = tx.one("SELECT value FROM meta WHERE name = 'payloads_forgotten_below'")
    rows = tx.all(
        "SELECT id FROM deliveries WHERE id >= :mark AND id < :floor ORDER BY id LIMIT :most",
        {"mark": mark["value"] if mark is not None else "", "floor": floor, "most": most},
    )
    if not rows:
        return 0
    tx.run(
        "UPDATE deliveries SET sealed = NULL WHERE id >= :first AND id <= :last AND sealed IS NOT NULL",
        {"first": rows[0]["id"], "last": rows[-1]["id"]},
    )
    # The character after the last id's own: the next search begins behind it.
    tx.run(
        "INSERT INTO meta (name, value) VALUES ('payloads_forgotten_below', :mark) "
        "ON CONFLICT (name) DO UPDATE SET value = :mark",
        {"mark": rows[-1]["id"] + "!"},
    )
    return len(rows)


def _forget_refused(tx: Tx, floor: str, most: int) -> int:
    return tx.run(
        "UPDATE deliveries SET sealed = NULL WHERE id IN (SELECT id FROM deliveries "
        "WHERE outcome = 'refused' AND sealed IS NOT NULL AND id < :floor ORDER BY id LIMIT :most)",
        {"floor": floor, "most": most},
    )


def _bound_quarantine(tx: Tx, quota: int, most: int) -> int:
    """Beyond the quota the oldest refused bytes go first, and no more of them than needed."""
    kept = tx.one("SELECT sum(length(sealed)) AS n FROM deliveries WHERE outcome = 'refused' AND sealed IS NOT NULL")
    if kept is None or int(kept["n"] or 0) <= quota:
        return 0
    return tx.run(
        "UPDATE deliveries SET sealed = NULL WHERE id IN (SELECT id FROM ("
        "SELECT id, sum(length(sealed)) OVER (ORDER BY id DESC) AS newer_and_own FROM deliveries "
        "WHERE outcome = 'refused' AND sealed IS NOT NULL) kept WHERE newer_and_own > :quota ORDER BY id LIMIT :most)",
        {"quota": quota, "most": most},
    )


def _forget_answers(tx: Tx, before: datetime, most: int) -> int:
    return tx.run(
        "DELETE FROM idempotency WHERE (scope, key) IN "
        "(SELECT scope, key FROM idempotency WHERE created_at < :before LIMIT :most)",
        {"before": to_text(before), "most": most},
    )
