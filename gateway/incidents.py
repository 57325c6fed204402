"""What an operator must hear of: one open row a kind and subject, counted up while it lasts."""

from __future__ import annotations

from datetime import datetime

from gateway.contract.clock import to_text
from gateway.contract.ids import IdFactory
from gateway.contract.store import Row, Tx


def raise_(tx: Tx, ids: IdFactory, now: datetime, kind: str, subject: str, detail: str = "") -> None:
    """Open an incident or count the open one up. `detail` holds no secret, no openid."""
    tx.run(
        "INSERT INTO incidents (id, kind, subject, detail, n, first_at, last_at) "
        "VALUES (:id, :kind, :subject, :detail, 1, :now, :now) "
        "ON CONFLICT (kind, subject) WHERE closed_at IS NULL "
        "DO UPDATE SET n = incidents.n + 1, last_at = :now, detail = :detail",
        {"id": ids.new("inc", now), "kind": kind, "subject": subject, "detail": detail[:500], "now": to_text(now)},
    )


def close(tx: Tx, now: datetime, kind: str, subject: str) -> bool:
    """Close the open incident of this kind and subject, if there is one."""
    return bool(
        tx.run(
            "UPDATE incidents SET closed_at = :now WHERE kind = :kind AND subject = :subject AND closed_at IS NULL",
            {"now": to_text(now), "kind": kind, "subject": subject},
        )
    )


def open_ones(tx: Tx) -> list[Row]:
    """Every open incident, newest first."""
    return tx.all("SELECT * FROM incidents WHERE closed_at IS NULL ORDER BY last_at DESC, id DESC LIMIT 200")
