"""What a micro-merchant typed: told to himself, erased when he asks for it, kept no longer than it is needed (R016).

Erasing takes WeChat ID, bank account and name; the record, its code and its money stay, under an id that leads to
nobody. A payout that is under way holds a sealed copy of where it goes until it has ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from campaigns.micro_merchant import members
from gateway.contract.campaign import CampaignView
from gateway.contract.clock import to_text
from gateway.contract.house import House
from gateway.contract.store import Row, Tx

KEPT_FOR: Final = timedelta(days=180)
"""So long what was typed for a record that was rejected or closed stays, from that day or the last change of bank."""

_NAMES_HIM: Final = "(length(wechat_sealed) > 0 OR bank_sealed IS NOT NULL OR bank_last4 <> '')"
_ERASED: Final = "wechat_sealed = :nothing, wechat_blind = :nothing, bank_sealed = NULL, bank_last4 = '', reason = ''"


def copy_for(tx: Tx, house: House, persons: Sequence[str]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """All that is kept of one human, for himself, by table; buyers whom he brought are nobody in it."""
    his = _records(tx, persons)
    names, params = _places([row["id"] for row in his])
    buyers, bought_by = _places(persons)
    return {
        "micro_merchant_members": [_record(house, row) for row in his],
        "micro_merchant_entries": _plain(
            tx.all(
                f"SELECT kind, item, amount, reason, at FROM micro_merchant_entries WHERE member IN ({names}) "
                f"ORDER BY id",
                params,
            )
        ),
        "micro_merchant_rewards": _plain(
            tx.all(
                f"SELECT campaign, kind, item, amount, taken_back, state, made_at, settled_at "
                f"FROM micro_merchant_rewards WHERE member IN ({names}) ORDER BY order_id, kind",
                params,
            )
        ),
        "micro_merchant_orders": _plain(
            tx.all(
                f"SELECT campaign, merchant, original_fen, price_fen, refunded_fen, state, created_at, paid_at "
                f"FROM micro_merchant_orders WHERE person IN ({buyers}) ORDER BY id",
                bought_by,
            )
        ),
    }


def forget(tx: Tx, house: House, persons: Sequence[str], now: datetime) -> int:
    """Erase what names him; a live record ends. How many records changed."""
    changed = 0
    for row in _records(tx, persons):
        tx.lock(f"micro_merchant:member:{row['id']}")
        state = {"applied": "rejected", "approved": "closed", "suspended": "closed"}.get(row["state"], row["state"])
        gone = tx.run(
            f"UPDATE micro_merchant_members SET {_ERASED}, state = :state, "
            f"decided_at = CASE WHEN state = :state THEN decided_at ELSE :now END "
            f"WHERE id = :id AND (state <> :state OR {_NAMES_HIM})",
            {"id": row["id"], "state": state, "now": to_text(now), "nothing": b""},
        )
        if gone and state != row["state"]:
            house.audit(tx, "gateway", f"micro_merchant.{state}", row["id"], row["state"], state, now)
        changed += gone
    return changed


def forget_old(tx: Tx, house: House, campaign: CampaignView, now: datetime, most: int) -> int:
    """What was typed for records that were rejected or closed long ago (a sweep)."""
    del house
    return tx.run(
        f"UPDATE micro_merchant_members SET {_ERASED} WHERE id IN (SELECT id FROM micro_merchant_members "
        f"WHERE campaign = :campaign AND state IN ('rejected', 'closed') AND {_NAMES_HIM} "
        f"AND decided_at <= :before AND coalesce(bank_changed_at, '') <= :before ORDER BY id LIMIT :most)",
        {"campaign": campaign.slug, "before": to_text(now - KEPT_FOR), "most": most, "nothing": b""},
    )


def _records(tx: Tx, persons: Sequence[str]) -> list[Row]:
    names, params = _places(persons)
    return tx.all(f"SELECT * FROM micro_merchant_members WHERE person IN ({names}) ORDER BY id", params)


def _record(house: House, row: Row) -> Mapping[str, Any]:
    bank = members.bank_of(house, row)
    return {
        "campaign": row["campaign"],
        "state": row["state"],
        "code": row["code"],
        "wechat_id": members.wechat_of(house, row),
        "bank_account": bank.number if bank is not None else "",
        "bank_name": bank.name if bank is not None else "",
        "reason": row["reason"],
        "applied_at": row["applied_at"],
        "decided_at": row["decided_at"],
    }


def _plain(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [dict(row) for row in rows]


def _places(values: Sequence[str]) -> tuple[str, dict[str, str]]:
    params = {f"p{place}": value for place, value in enumerate(values)}
    return ", ".join(f":{name}" for name in params) or "''", params
