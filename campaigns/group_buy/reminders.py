"""Telling of the queue before a visit (R222–R224): a row an (order, slot, moment), settled once by whoever comes first.

The rows are made when times are picked, so a restart loses none; a worker that comes more than ten minutes late skips.
"""

from __future__ import annotations

from datetime import datetime

from campaigns.group_buy import queue, tables
from campaigns.group_buy.slots import push_state
from gateway.contract.campaign import CampaignView
from gateway.contract.clock import from_text
from gateway.contract.house import House
from gateway.contract.store import Row, Tx


def send_due(tx: Tx, house: House, campaign: CampaignView, now: datetime, most: int) -> int:
    """Settle reminders whose moment has come: sent with how the queue stands, skipped, or quiet; how many."""
    tx.lock(f"group_buy:pushes:{campaign.slug}")
    done = 0
    for push in tables.due_pushes(tx, campaign.slug, now, most):
        order = tables.order(tx, push["order_id"])
        state = push_state(from_text(push["at"]), now, is_quiet=order is None or _is_quiet(tx, house, order, now))
        if order is None or state != "due":
            done += tables.settle_push(tx, push, state, None, None, now)
            continue
        stands = queue.line(tx, house, order["shop"], now)
        done += tables.settle_push(tx, push, "sent", stands.waiting, stands.estimate_min, now)
    return done


def _is_quiet(tx: Tx, house: House, order: Row, now: datetime) -> bool:
    if order["state"] not in {"created", "paid"} or not order["reminders"]:
        return True
    return house.tag(tx, order["circle"], order["person"], now).state == "opted_out"


def allow(tx: Tx, order: Row, *, on: bool, now: datetime) -> None:
    """「不再提醒」: no more of them, or again those that are still to come."""
    tables.set_order(tx, order["id"], reminders=int(on))
    if on:
        for push in tables.pushes(tx, order["id"]):
            if push["state"] == "quiet" and from_text(push["at"]) > now and _holds(tx, order, push["slot"]):
                tables.plan_push(tx, order["id"], order["campaign"], push["slot"], from_text(push["at"]))
    else:
        tables.quiet(tx, order["id"], "", now)


def _holds(tx: Tx, order: Row, slot: str) -> bool:
    return any(one["slot"] == slot and one["state"] == "held" for one in tables.picks(tx, order["id"]))
