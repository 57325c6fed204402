"""What a guest left with the group buys: told to himself, and taken away with him (R016). His films go first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from campaigns.group_buy import tables, videos
from gateway.contract.clock import to_text
from gateway.contract.house import House
from gateway.contract.store import Tx


def copy_for(tx: Tx, persons: Sequence[str]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """All that is kept of one human, for himself, by table; a film itself he watches on its order's page."""
    names, params = tables.listed("p", persons)

    def rows(sql: str) -> list[dict[str, Any]]:
        return [dict(row) for row in tx.all(sql.replace("{names}", names), params)]

    return {
        "group_buy_orders": rows(
            "SELECT campaign, merchant, shop, amount_fen, state, created_at, paid_at, used_at, ended_at "
            "FROM group_buy_orders WHERE person IN ({names}) ORDER BY id"
        ),
        "group_buy_picks": rows(
            "SELECT p.campaign, p.shop, p.starts_at, p.state FROM group_buy_picks p "
            "JOIN group_buy_orders o ON o.id = p.order_id WHERE o.person IN ({names}) ORDER BY p.starts_at, p.order_id"
        ),
        "group_buy_tickets": rows(
            "SELECT shop, day, number, state, taken_at, called_at, ended_at FROM group_buy_tickets "
            "WHERE person IN ({names}) ORDER BY id"
        ),
        "group_buy_videos": rows(
            "SELECT campaign, shop, state, size, length_ms, consent_at, uploaded_at, decided_at FROM group_buy_videos "
            "WHERE person IN ({names}) ORDER BY id"
        ),
    }


def forget(tx: Tx, house: House, persons: Sequence[str], now: datetime) -> int:
    """His films are gone when this returns, his tickets are nobody's, nobody is reminded; how many rows."""
    names, params = tables.listed("p", persons)
    changed = 0
    for film in tx.all(f"SELECT * FROM group_buy_videos WHERE person IN ({names}) ORDER BY id", params):
        changed += videos.forget_film(tx, house, film, now)
    changed += tx.run(f"UPDATE group_buy_tickets SET person = NULL WHERE person IN ({names})", params)
    return changed + tx.run(
        f"UPDATE group_buy_pushes SET state = 'quiet', settled_at = :now WHERE state = 'due' AND order_id IN "
        f"(SELECT id FROM group_buy_orders WHERE person IN ({names}))",
        {**params, "now": to_text(now)},
    )
