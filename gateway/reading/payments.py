"""Payments with every decision about them (R076): one by its number, or page by page, newest first."""

from __future__ import annotations

import heapq
import json
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final

from gateway.catalog.directory import Directory
from gateway.contract.clock import to_text
from gateway.contract.store import Row, Tx
from gateway.reading.links import LinkView, in_list, of_payments

PAGE: Final = 50

_SELECT: Final = (
    "SELECT y.*, coalesce(p.merged_into, y.person) AS payer FROM payments y LEFT JOIN persons p ON p.id = y.person"
)


def find(tx: Tx, transaction_id: str, provider: str | None = None) -> list[Row]:
    """Every payment of this number; there may be several, for two providers may give the same one."""
    rows = tx.all(f"{_SELECT} WHERE y.transaction_id = :transaction ORDER BY y.id", {"transaction": transaction_id})
    return [row for row in rows if provider in {None, row["provider"]}]


def page(tx: Tx, merchants: Collection[str] | None, before: str | None = None) -> tuple[list[Row], str | None]:
    """(one page of payments at these merchants, None for all; the id to go on `before`, None at the end).

    What comes in meanwhile is newer, so pages that follow stay as they were.
    """
    if merchants is None:
        ids = _ids(tx, None, before)
    else:
        # A seek for each merchant, since one sorted scan over several would read all of their payments.
        ids = list(heapq.merge(*(_ids(tx, slug, before) for slug in sorted(merchants)), reverse=True))
    ids = ids[: PAGE + 1]
    if not ids:
        return [], None
    marks, params = in_list(ids[:PAGE])
    rows = tx.all(f"{_SELECT} WHERE y.id IN ({marks}) ORDER BY y.id DESC", params)
    return rows, ids[PAGE - 1] if len(ids) > PAGE else None


def _ids(tx: Tx, merchant: str | None, before: str | None) -> list[str]:
    params: dict[str, str | int] = {"most": PAGE + 1}
    where = []
    if merchant is not None:
        where.append("merchant = :merchant")
        params["merchant"] = merchant
    if before is not None:
        where.append("id < :before")
        params["before"] = before
    told = f"WHERE {' AND '.join(where)}" if where else ""
    return [str(row["id"]) for row in tx.all(f"SELECT id FROM payments {told} ORDER BY id DESC LIMIT :most", params)]


def as_json(tx: Tx, rows: Sequence[Row], directory: Directory, view: LinkView) -> list[dict[str, Any]]:
    """The payments as the API shows them, whatever their number in three statements."""
    ids = [row["id"] for row in rows]
    links = of_payments(tx, ids)
    deliveries = _deliveries(tx, ids)
    return [
        {
            "transaction_id": row["transaction_id"],
            "provider": row["provider"],
            "channel": row["channel"],
            "merchant": row["merchant"],
            "amount_fen": row["amount_fen"],
            "refunded_fen": row["refunded_fen"],
            "paid_at": row["paid_at"],
            "payer": row["payer"],
            "tag": {
                "before": row["tag_before"],
                "after": row["tag_after"],
                "source": json.loads(row["tag_source"]) if row["tag_source"] else None,
            },
            "links": [view.as_json(link) for link in links[row["id"]]],
            "decisions": json.loads(row["decisions"]),
            "relay": {
                "state": _relay_state(row, deliveries[row["id"]][1], directory, view),
                "attempts": row["relay_attempts"],
                "last_status": row["relay_status"],
            },
            "deliveries": deliveries[row["id"]][0],
        }
        for row in rows
    ]


def _deliveries(tx: Tx, payments: Sequence[str]) -> dict[str, tuple[int, str]]:
    """How often each payment was told, and when last."""
    found = dict.fromkeys(payments, (0, ""))
    if payments:
        marks, params = in_list(payments)
        for row in tx.all(
            f"SELECT payment, count(*) AS n, max(received_at) AS last FROM deliveries WHERE payment IN ({marks}) "
            f"GROUP BY payment",
            params,
        ):
            found[row["payment"]] = (row["n"], row["last"])
    return found


def _relay_state(payment: Row, last_delivery: str, directory: Directory, view: LinkView) -> str:
    """As noted; a failed one is `stale` once no verifier would take the last notification's signature any more."""
    state = str(payment["relay_state"])
    channel = directory.channel(payment["channel"])
    stale_after_s = getattr(channel.adapter, "stale_after_s", None) if channel is not None else None
    if state == "failed" and stale_after_s is not None:
        over = to_text(view.now - timedelta(seconds=stale_after_s))
        return "stale" if last_delivery < over else state
    return state
