"""How far a merchant's setting up is: how his customers pay, and when he went live."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.contract.clock import from_text, to_text
from gateway.contract.store import Tx

WATCHED_FOR: Final = timedelta(minutes=10)
WATCHED_PAYMENTS: Final = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """`pays` is they_scan, we_scan, both or "" while nobody said; `live_at` None before the first going live."""

    pays: str = ""
    live_at: datetime | None = None


def look(tx: Tx, merchant: str) -> Progress:
    """How far the merchant is."""
    row = tx.one("SELECT pays, live_at FROM setup_progress WHERE merchant = :merchant", {"merchant": merchant})
    if row is None:
        return Progress()
    return Progress(row["pays"] or "", from_text(row["live_at"]) if row["live_at"] else None)


def note(tx: Tx, merchant: str, now: datetime, *, pays: str | None = None, is_live: bool = False) -> None:
    """Write down how his customers pay, or that he went live; the first going live stays."""
    tx.run(
        "INSERT INTO setup_progress (merchant, pays, live_at, updated_at) VALUES (:merchant, :pays, :live, :now) "
        "ON CONFLICT (merchant) DO UPDATE SET pays = coalesce(excluded.pays, setup_progress.pays), "
        "live_at = coalesce(setup_progress.live_at, excluded.live_at), updated_at = excluded.updated_at",
        {"merchant": merchant, "pays": pays, "live": to_text(now) if is_live else None, "now": to_text(now)},
    )


def payments_since(tx: Tx, merchant: str, since: datetime, most: int = WATCHED_PAYMENTS) -> int:
    """How many payments came at the merchant since then, counted up to `most`."""
    rows = tx.all(
        "SELECT received_at FROM payments WHERE merchant = :merchant ORDER BY id DESC LIMIT :most",
        {"merchant": merchant, "most": most},
    )
    return sum(1 for row in rows if row["received_at"] >= to_text(since))
