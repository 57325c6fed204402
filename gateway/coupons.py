"""Coupons (R058–R063): what a claim made of an item, and how it is used, given back, voided or run out.

States: claimed → reserved → redeemed → (reversed, which is claimed again) | expired | void. Every move is one
conditional update, so that of any number of parallel movers one wins.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from gateway.catalog.specs import Item
from gateway.contract.clock import to_text
from gateway.contract.store import Row, Tx
from gateway.ledger import budget
from gateway.people import Person, in_group
from linkgen.codes import new_code


def take_stock(tx: Tx, item: Item, units: int = 1) -> bool:
    """Take units of an item's stock; False, and nothing taken, when fewer are left. Never oversells."""
    tx.run(
        "INSERT INTO stock (item, total, taken) VALUES (:item, :total, 0) "
        "ON CONFLICT (item) DO UPDATE SET total = :total "
        "WHERE coalesce(stock.total, -1) <> coalesce(:total, -1)",
        {"item": item.slug, "total": item.stock},
    )
    return bool(
        tx.run(
            "UPDATE stock SET taken = taken + :units WHERE item = :item AND (total IS NULL OR taken + :units <= total)",
            {"item": item.slug, "units": units},
        )
    )


def return_stock(tx: Tx, item: str, units: int = 1) -> None:
    """Put units back that were taken and never used."""
    tx.run(
        "UPDATE stock SET taken = taken - :units WHERE item = :item AND taken >= :units", {"item": item, "units": units}
    )


def gone(tx: Tx) -> frozenset[str]:
    """Slugs of items with nothing left."""
    return frozenset(row["item"] for row in tx.all("SELECT item FROM stock WHERE taken >= total"))


def held(tx: Tx, person: Person, now: datetime) -> frozenset[str]:
    """Slugs of items of which a link gave the person a coupon that is unused. What he bought does not count."""
    marks, params = in_group(person)
    rows = tx.all(
        f"SELECT DISTINCT item FROM coupons WHERE person IN ({marks}) "
        f"AND state IN ('claimed', 'reserved') AND valid_to > :now AND substr(origin, 1, 2) = 'l_'",
        {**params, "now": to_text(now)},
    )
    return frozenset(row["item"] for row in rows)


def create(
    tx: Tx,
    random: Callable[[int], bytes],
    now: datetime,
    item: Item,
    *,
    origin: str,
    unit: int,
    circle: str,
    person: str,
    payment: str | None,
) -> str:
    """Make one coupon in state `claimed`; its code. Stock was taken before."""
    row = {
        "origin": origin,
        "item": item.slug,
        "unit": unit,
        "circle": circle,
        "merchant": item.merchant,
        "person": person,
        "payment": payment,
        "name": item.name,
        "kind": item.kind,
        "value_fen": item.value_fen,
        "percent_off": item.percent_off,
        "cap_fen": item.cap_fen,
        "min_spend_fen": item.min_spend_fen,
        "stackable": int(item.stackable),
        "exclusive_group": item.exclusive_group,
        "now": to_text(now),
        "valid_to": to_text(now + timedelta(days=item.valid_days)),
    }
    while True:
        # 31¹² codes: a clash is a wonder, and then the next one serves.
        made = tx.one(
            "INSERT INTO coupons (code, origin, item, unit, circle, merchant, person, payment, name, kind, value_fen, "
            "percent_off, cap_fen, min_spend_fen, stackable, exclusive_group, state, claimed_at, valid_from, valid_to) "
            "VALUES (:code, :origin, :item, :unit, :circle, :merchant, :person, :payment, :name, :kind, :value_fen, "
            ":percent_off, :cap_fen, :min_spend_fen, :stackable, :exclusive_group, 'claimed', :now, :now, :valid_to) "
            "ON CONFLICT (code) DO NOTHING RETURNING code",
            {**row, "code": new_code(random)},
        )
        if made is not None:
            return str(made["code"])


def by_code(tx: Tx, code: str) -> Row | None:
    """The coupon with this (normalised) code."""
    return tx.one("SELECT * FROM coupons WHERE code = :code", {"code": code})


def of_person(tx: Tx, person: Person, most: int = 200) -> list[Row]:
    """A person's coupons, those that end first before the others."""
    marks, params = in_group(person)
    return tx.all(
        f"SELECT * FROM coupons WHERE person IN ({marks}) ORDER BY valid_to, code LIMIT :most",
        {**params, "most": most},
    )


def state_at(coupon: Row, now: datetime) -> str:
    """The coupon's state as it is now: one that ran out is `expired` before the sweep has written so."""
    if coupon["state"] in {"claimed", "reserved"} and coupon["valid_to"] <= to_text(now):
        return "expired"
    return str(coupon["state"])


def discount_fen(coupon: Row, amount_fen: int | None) -> int:
    """What the coupon takes off a bill of `amount_fen`: its value, or its percentage up to the cap."""
    if coupon["percent_off"]:
        if amount_fen is None:
            return int(coupon["cap_fen"])
        off = amount_fen * int(coupon["percent_off"]) // 100
        return min(off, int(coupon["cap_fen"])) if coupon["cap_fen"] else off
    value = int(coupon["value_fen"])
    return value if amount_fen is None else min(value, amount_fen)


def void(tx: Tx, coupon: Row, now: datetime, reason: str) -> bool:
    """Make an unused coupon worthless and give back its stock and budget; False when it was not unused."""
    changed = _close(tx, coupon["code"], now, "void", reason)
    if changed:
        _release(tx, coupon)
    return changed


def _release(tx: Tx, coupon: Row) -> None:
    return_stock(tx, coupon["item"])
    budget.give_back(tx, coupon["origin"], coupon["item"])


def note_refunded(tx: Tx, coupon: Row, now: datetime) -> bool:
    """Mark a used coupon as one whose payment came back; False when it is not in use, or is marked already."""
    return bool(
        tx.run(
            "UPDATE coupons SET closed_at = :now, closed_reason = 'refunded' "
            "WHERE code = :code AND state = 'redeemed' AND closed_reason IS NULL",
            {"now": to_text(now), "code": coupon["code"]},
        )
    )


def unuse(tx: Tx, coupon: Row) -> Row | None:
    """A redemption was reversed: the coupon as it is now, `claimed` again, or `void` when its payment came back.

    None when it was not in use.
    """
    after = tx.one(
        "UPDATE coupons SET state = CASE WHEN closed_reason = 'refunded' THEN 'void' ELSE 'claimed' END "
        "WHERE code = :code AND state = 'redeemed' RETURNING *",
        {"code": coupon["code"]},
    )
    if after is not None:
        budget.unspend(tx, coupon["origin"], coupon["item"])
        if after["state"] == "void":
            _release(tx, coupon)
    return after


def expire(tx: Tx, coupon: Row, now: datetime) -> bool:
    """Write down that a coupon ran out and give its budget back. Its stock was given away and stays so."""
    changed = _close(tx, coupon["code"], now, "expired", "expired")
    if changed:
        budget.give_back(tx, coupon["origin"], coupon["item"])
    return changed


def hold(tx: Tx, code: str) -> bool:
    """Keep an unused coupon for a scan that is not settled; False when it is not unused."""
    return bool(
        tx.run("UPDATE coupons SET state = 'reserved' WHERE code = :code AND state = 'claimed'", {"code": code})
    )


def let_go(tx: Tx, code: str) -> bool:
    """Undo `hold`; False when the coupon is held no more, for it ran out or was withdrawn."""
    return bool(
        tx.run("UPDATE coupons SET state = 'claimed' WHERE code = :code AND state = 'reserved'", {"code": code})
    )


def revive(tx: Tx, code: str, at: datetime) -> bool:
    """A coupon that ran out was used before it did, as is told now: it is unused again, its budget reserved again.

    False, and nothing done, when it had not run out after `at`, or its budget has been given to others.
    """
    coupon = tx.one(
        "SELECT origin, item FROM coupons WHERE code = :code AND state = 'expired' AND valid_to > :at",
        {"code": code, "at": to_text(at)},
    )
    if coupon is None or not budget.take_again(tx, coupon["origin"], coupon["item"]):
        return False
    tx.run(
        "UPDATE coupons SET state = 'claimed', closed_at = NULL, closed_reason = NULL WHERE code = :code",
        {"code": code},
    )
    return True


def _close(tx: Tx, code: str, now: datetime, state: str, reason: str) -> bool:
    return bool(
        tx.run(
            "UPDATE coupons SET state = :state, closed_at = :now, closed_reason = :reason "
            "WHERE code = :code AND state IN ('claimed', 'reserved')",
            {"state": state, "now": to_text(now), "reason": reason, "code": code},
        )
    )


def overdue(tx: Tx, now: datetime, most: int) -> list[Row]:
    """Unused coupons whose time is over, for the sweep."""
    return tx.all(
        "SELECT * FROM coupons WHERE state IN ('claimed', 'reserved') AND valid_to <= :now "
        "ORDER BY valid_to LIMIT :most",
        {"now": to_text(now), "most": most},
    )


def as_json(tx: Tx, coupon: Row, now: datetime) -> dict[str, Any]:
    """The coupon as the API shows it, its standing redemption included."""
    used = tx.one(
        "SELECT at, shop, by FROM redemptions WHERE coupon = :code AND reversed_at IS NULL", {"code": coupon["code"]}
    )
    return {
        "code": coupon["code"],
        "state": state_at(coupon, now),
        "item": coupon["item"],
        "merchant": coupon["merchant"],
        "value_fen": coupon["value_fen"],
        "min_spend_fen": coupon["min_spend_fen"],
        "valid_from": coupon["valid_from"],
        "valid_to": coupon["valid_to"],
        "redeemed": {"at": used["at"], "shop": used["shop"], "by": used["by"]} if used is not None else None,
    }
