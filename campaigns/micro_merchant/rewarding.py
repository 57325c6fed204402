"""Rewards in the ledger: promised at the payment, credited when the purchase is complete, taken back by refunds.

Each kind has a record of its own for each purchase (R112, R120). A pending record holds its amount in the ledger; it is
posted or let go. What was credited is never edited: a refund is a transfer back, and what is no longer there stands as
a debt that later rewards pay off (R119).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from campaigns.micro_merchant import accounts, tables
from campaigns.micro_merchant.rules import Reward, Terms, left_reward, reward
from gateway.contract.account import fund
from gateway.contract.campaign import CampaignView
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.jsontext import json_text
from gateway.contract.store import Row, Tx
from gateway.ledger import book, budget

_KEPT: Final = ("reward_bps", "points_bps", "coupon_item", "cap_fen", "mode", "refund_days")
_CASH: Final = "cash"


def lock_of(member: str) -> str:
    """What to hold while a member's rewards move."""
    return f"micro_merchant:rewards:{member}"


def terms_text(terms: Terms) -> str:
    """What a purchase keeps of the terms it was made under."""
    kept = {name: getattr(terms, name) for name in _KEPT}
    return json_text({**kept, "credit": sorted(terms.credit)})


def terms_of(order: Row) -> Terms:
    """The terms a purchase was made under, as far as its reward goes."""
    kept = orjson.loads(order["terms"])
    return Terms(**{**kept, "credit": frozenset(kept["credit"])})


def parts(given: Reward) -> dict[str, int]:
    """Kind → amount, the kinds with something in them; in the order in which accounts are always touched."""
    amounts = {"cash": given.cash_fen, "coupons": given.coupons, "points": given.points}
    return {kind: amount for kind, amount in amounts.items() if amount}


# -- the payment ------------------------------------------------------------------------------------------------------


def promise(tx: Tx, house: House, campaign: CampaignView, order: Row, now: datetime) -> None:
    """A purchase was paid: its cash is reserved in the budget; pending records are made where the terms say so (R111).

    Without room in the budget there is no cash for this purchase; its record says so.
    """
    if order["member"] is None:
        return
    terms = terms_of(order)
    owed = parts(reward(terms, order["price_fen"]))
    cash = owed.get(_CASH, 0)
    if cash and not house.reserve(tx, campaign, order["id"], [(_CASH, cash)], now):
        del owed[_CASH]
        _record(tx, order, _CASH, cash, "cancelled", "budget", "", now)
    if terms.mode == "direct":
        return
    for kind, amount in owed.items():
        _record(tx, order, kind, amount, "pending", "", _hold(tx, house, order, kind, amount, now), now)


def _hold(tx: Tx, house: House, order: Row, kind: str, amount: int, now: datetime) -> str:
    key = f"micro:{order['id']}:{kind}:{order['refunded_fen']}"
    item = _item(order, kind)
    account = accounts.rewards(order["member"], kind, item)
    book.hold(tx, house.ids.new("tr", now), key, fund(order["campaign"], account.unit), account, amount, "reward", now)
    return key


# -- the completion ---------------------------------------------------------------------------------------------------


def settle(tx: Tx, house: House, order: Row, now: datetime) -> None:
    """Credit what a complete purchase earned, once; of parallel callers one does it (R109, R120)."""
    won = tx.run(
        "UPDATE micro_merchant_orders SET settled = 1 WHERE id = :id AND state = 'completed' AND settled = 0",
        {"id": order["id"]},
    )
    if not won or order["member"] is None:
        return
    records = {row["kind"]: row for row in tables.rewards_of(tx, order["id"])}
    terms = terms_of(order)
    if terms.mode == "direct":
        earned = left_reward(reward(terms, order["price_fen"]), terms, order["price_fen"] - order["refunded_fen"])
        for kind, amount in parts(earned).items():
            if kind not in records:
                key = _hold(tx, house, order, kind, amount, now)
                _record(tx, order, kind, amount, "pending", "", key, now)
        records = {row["kind"]: row for row in tables.rewards_of(tx, order["id"])}
    for kind in ("cash", "coupons", "points"):
        if kind in records and records[kind]["state"] == "pending":
            _credit(tx, house, order, records[kind], now)
    if _CASH not in records or records[_CASH]["state"] == "cancelled":
        budget.give_back(tx, order["id"], _CASH)


def _credit(tx: Tx, house: House, order: Row, record: Row, now: datetime) -> None:
    book.post(tx, record["hold_key"], now)
    tx.run(
        "UPDATE micro_merchant_rewards SET state = 'confirmed', settled_at = :now "
        "WHERE order_id = :id AND kind = :kind AND state = 'pending'",
        {"now": to_text(now), "id": order["id"], "kind": record["kind"]},
    )
    where = (record["member"], record["kind"], record["item"])
    enter(tx, house, where, record["amount"], "reward", order["id"], now)
    if record["kind"] == _CASH:
        budget.consume(tx, order["id"], _CASH)
    pay_debt(tx, house, record["member"], record["kind"], record["item"], now)


def pay_debt(tx: Tx, house: House, member: str, kind: str, item: str, now: datetime) -> int:
    """Pay off what a member owes from what he holds; how much of it (R119). Hold `lock_of` his rewards."""
    held, owed = accounts.rewards(member, kind, item), accounts.debt(member, kind, item)
    amount = min(book.balance(tx, held), -book.balance(tx, owed))
    if amount <= 0:
        return 0
    id_ = house.ids.new("tr", now)
    book.transfer(tx, id_, f"micro:repay:{id_}", held, owed, amount, "debt", now)
    enter(tx, house, (member, kind, item), -amount, "debt", "", now)
    return amount


# -- the way back -----------------------------------------------------------------------------------------------------


def reduce(tx: Tx, house: House, order: Row, now: datetime) -> None:
    """Money of a purchase went back (`order` says how much in all): less is promised, or some is taken back (R119)."""
    if order["member"] is None:
        return
    records = tables.rewards_of(tx, order["id"])
    kept = parts(reward(terms_of(order), order["price_fen"] - order["refunded_fen"]))
    for record in records:
        left = kept.get(record["kind"], 0)
        if record["state"] == "pending":
            _lower(tx, house, order, record, min(record["amount"], left), now)
        elif record["state"] == "confirmed":
            take = record["amount"] - record["taken_back"] - left
            if take > 0:
                _take_back(tx, house, order, record, take, now)
    if order["state"] == "refunded":
        # Of what was promised nothing is given any more; what was consumed has been told by `_take_back`.
        budget.give_back(tx, order["id"], _CASH)


def _lower(tx: Tx, house: House, order: Row, record: Row, left: int, now: datetime) -> None:
    if left == record["amount"]:
        return
    book.void(tx, record["hold_key"], now)
    where = {"id": order["id"], "kind": record["kind"]}
    if left == 0:
        tx.run(
            "UPDATE micro_merchant_rewards SET state = 'cancelled', reason = 'refunded', settled_at = :now "
            "WHERE order_id = :id AND kind = :kind",
            {"now": to_text(now), **where},
        )
        return
    key = _hold(tx, house, order, record["kind"], left, now)
    tx.run(
        "UPDATE micro_merchant_rewards SET amount = :amount, hold_key = :key WHERE order_id = :id AND kind = :kind",
        {"amount": left, "key": key, **where},
    )


def _take_back(tx: Tx, house: House, order: Row, record: Row, take: int, now: datetime) -> None:
    kind, item, member = record["kind"], record["item"], record["member"]
    held, owed = accounts.rewards(member, kind, item), accounts.debt(member, kind, item)
    source = fund(order["campaign"], held.unit)
    key = f"micro:{order['id']}:{kind}:back:{order['refunded_fen']}"
    there = min(take, max(book.balance(tx, held), 0))
    if there:
        book.transfer(tx, house.ids.new("tr", now), key, held, source, there, "refund", now)
        enter(tx, house, (member, kind, item), -there, "refund", order["id"], now)
    if take > there:
        book.transfer(tx, house.ids.new("tr", now), f"{key}:debt", owed, source, take - there, "refund", now)
    tx.run(
        "UPDATE micro_merchant_rewards SET taken_back = taken_back + :take WHERE order_id = :id AND kind = :kind",
        {"take": take, "id": order["id"], "kind": kind},
    )
    if kind == _CASH and record["taken_back"] + take == record["amount"]:
        budget.unspend(tx, order["id"], _CASH)
        budget.give_back(tx, order["id"], _CASH)


# -- using what one holds ---------------------------------------------------------------------------------------------


def spend_points(
    tx: Tx, house: House, campaign: CampaignView, member: str, points: int, reason: str, now: datetime
) -> None:
    """Points were used at the shop. Raises Refused 409 `insufficient`."""
    tx.lock(lock_of(member))
    _leave(tx, house, campaign, member, ("points", ""), points, reason or "spent", now)


def take_coupon(tx: Tx, house: House, campaign: CampaignView, member: str, person: str, now: datetime) -> str:
    """One counted coupon becomes a real one in the member's wallet; its code.

    Raises Refused 409 `insufficient`, `sold_out`, `budget`.
    """
    tx.lock(lock_of(member))
    held = coupon_balances(tx, member)
    item = next((item for item, n in held.items() if n > 0), None)
    if item is None:
        raise Refused("insufficient", 409)
    origin = house.ids.new("mc", now)
    code = house.give_coupon(tx, campaign, person, item, origin, now)
    _leave(tx, house, campaign, member, ("coupons", item), 1, "taken", now)
    return code


def _leave(
    tx: Tx,
    house: House,
    campaign: CampaignView,
    member: str,
    what: tuple[str, str],
    amount: int,
    reason: str,
    now: datetime,
) -> None:
    kind, item = what
    id_ = house.ids.new("tr", now)
    held = accounts.rewards(member, kind, item)
    try:
        book.transfer(tx, id_, f"micro:spent:{id_}", held, accounts.spent(campaign.slug, kind), amount, reason, now)
    except book.Overdrawn:
        raise Refused("insufficient", 409) from None
    enter(tx, house, (member, kind, item), -amount, reason, "", now)


# -- looking ----------------------------------------------------------------------------------------------------------


def balances(tx: Tx, member: str) -> Mapping[str, int]:
    """What a member holds of each kind, what is promised to him, and what he owes."""
    pending = tables.pending_sums(tx, member)
    return {
        "cash_fen": book.balance(tx, accounts.rewards(member, "cash")),
        "cash_pending_fen": pending.get("cash", 0),
        "points": book.balance(tx, accounts.rewards(member, "points")),
        "points_pending": pending.get("points", 0),
        "coupons": sum(coupon_balances(tx, member).values()),
        "coupons_pending": pending.get("coupons", 0),
        "debt_fen": -book.balance(tx, accounts.debt(member, "cash")),
    }


def coupon_balances(tx: Tx, member: str) -> dict[str, int]:
    """How many counted coupons of each item a member holds."""
    items = tables.coupon_items(tx, member)
    return {item: book.balance(tx, accounts.rewards(member, "coupons", item)) for item in items}


def _item(order: Row, kind: str) -> str:
    return terms_of(order).coupon_item if kind == "coupons" else ""


def _record(tx: Tx, order: Row, kind: str, amount: int, state: str, reason: str, hold_key: str, now: datetime) -> None:
    values: dict[str, Any] = {
        "order_id": order["id"],
        "kind": kind,
        "campaign": order["campaign"],
        "member": order["member"],
        "item": _item(order, kind),
        "amount": amount,
        "taken_back": 0,
        "state": state,
        "reason": reason,
        "hold_key": hold_key,
        "made_at": to_text(now),
        "settled_at": to_text(now) if state == "cancelled" else None,
    }
    tables.insert(tx, "rewards", values)


def enter(
    tx: Tx, house: House, where: tuple[str, str, str], amount: int, reason: str, about: str, now: datetime
) -> None:
    """A line in the member's own book, beside the transfer that it tells of; `where`: member, kind, item."""
    member, kind, item = where
    tables.insert(
        tx,
        "entries",
        {
            "id": house.ids.new("me", now),
            "member": member,
            "kind": kind,
            "item": item,
            "amount": amount,
            "reason": reason,
            "about": about,
            "at": to_text(now),
        },
    )
