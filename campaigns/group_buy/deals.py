"""The story of one order: bought, times picked, used, or passed and offered again, and at the end given back.

Everything runs inside the caller's transaction: read, decide, write. The money and the coupon are the core's; this
module holds seats and reminders beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from campaigns.group_buy import slots, tables
from campaigns.group_buy.settings import Settings
from campaigns.group_buy.slots import Slot
from gateway.contract.campaign import CampaignView, CouponRedeemed, OrderEnded, OrderLate, OrderPaid, Verdict
from gateway.contract.campaign_kind import Caller
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House, ItemFacts, Sale
from gateway.contract.store import Row, Tx

HOLD: Final = timedelta(minutes=15)
MOST_UNPAID: Final = 3
"""Unpaid orders that one person may have in one campaign: they hold seats."""
_EARLIER: Final = timedelta(hours=1)
"""A deal ends this much before its coupon, so that the coupon is still unused when the money is given back."""
_OPEN: Final = ("created", "paid")


@dataclass(frozen=True, slots=True)
class Offer:
    """A visiting time of the list, with its free seats; `held`: this very order holds it."""

    slot: Slot
    left: int
    held: bool = False


# -- buying -----------------------------------------------------------------------------------------------------------


def deal(house: House, campaign: CampaignView) -> ItemFacts:
    """What is sold. Raises Refused 404 where it is gone."""
    item = house.catalogue().item(campaign.settings.item)
    if item is None:
        raise Refused("not_found", 404)
    return item


def buy(tx: Tx, house: House, campaign: CampaignView, person: str, shop: str, now: datetime) -> Row:
    """A new order, its goods held for a quarter of an hour.

    Raises Refused: 409 `not_live`, `limit` (too many unpaid), `sold_out`, `not_for_sale`; 422 for a shop that is not
    the seller's; 404.
    """
    if not campaign.is_open(now):
        raise Refused("not_live", 409)
    item = deal(house, campaign)
    place = house.catalogue().shop(shop)
    if place is None or place.merchant != item.merchant:
        raise Refused("invalid", 422, fields={"shop": "is no shop that this deal is for"})
    tx.lock(f"group_buy:buyer:{campaign.slug}:{person}")
    mine = tables.orders_of(tx, campaign.slug, house.group(tx, person) or (person,), 50)
    if sum(1 for one in mine if one["state"] == "created") >= MOST_UNPAID:
        raise Refused("limit", 409)
    settings: Settings = campaign.settings
    until, about = now + HOLD, house.ids.new("gb", now)
    sold = house.sell(tx, campaign, Sale(person, item.slug, 1, settings.price_fen, about, until), now)
    tables.add_order(
        tx, sold.id, campaign.slug, campaign.circle, item.merchant, shop, person, settings.price_fen, sold.path, until,
        now,
    )  # fmt: skip
    return order_of(tx, campaign, sold.id)


def unpaid(tx: Tx, house: House, campaign: CampaignView, person: str, shop: str) -> Row | None:
    """The order of this person at this shop that waits for its money."""
    mine = tables.orders_of(tx, campaign.slug, house.group(tx, person) or (person,), 50)
    return next((one for one in mine if one["state"] == "created" and one["shop"] == shop), None)


def order_of(tx: Tx, campaign: CampaignView, id_: str) -> Row:
    """An order of this campaign. Raises Refused 404."""
    row = tables.order(tx, id_)
    if row is None or row["campaign"] != campaign.slug:
        raise Refused("not_found", 404)
    return row


# -- picking times ----------------------------------------------------------------------------------------------------


def offers(tx: Tx, house: House, campaign: CampaignView, order: Row, now: datetime) -> tuple[Offer, ...]:
    """The list of usable times (R220): ahead, before the deal ends, with what is left of each."""
    settings: Settings = campaign.settings
    found = _offered(house, campaign, order, now)
    taken = tables.seats_taken(tx, campaign.slug, order["shop"], now)
    held = {one["slot"] for one in tables.picks(tx, order["id"]) if one["state"] == "held"}
    return tuple(Offer(one, max(0, settings.slot_capacity - taken.get(one.id, 0)), one.id in held) for one in found)


def _offered(house: House, campaign: CampaignView, order: Row, now: datetime) -> tuple[Slot, ...]:
    settings: Settings = campaign.settings
    found = slots.slots(now, house.catalogue().zone(order["shop"]), settings.days, settings.begins)
    return tuple(one for one in found if order["valid_to"] is None or to_text(one.starts_at) < order["valid_to"])


def choose(tx: Tx, house: House, campaign: CampaignView, order_id: str, picked: Sequence[str], now: datetime) -> Row:
    """Hold the picked times instead of those held before; all of them or none (R221).

    A held time that has begun stays as it is and counts. Raises Refused: 409 `slot_full` (`slot`), `limit`,
    `already_used`, `closed`; 410 `slot_begun` (`slot`); 422 for what is no time of this deal.
    """
    settings: Settings = campaign.settings
    tx.lock(f"group_buy:order:{order_id}")
    order = order_of(tx, campaign, order_id)
    _still_open(order)
    tx.lock(f"group_buy:seats:{campaign.slug}:{order['shop']}")
    now_text = to_text(now)
    held = {one["slot"]: one for one in tables.picks(tx, order_id) if one["state"] == "held"}
    begun = {name for name, one in held.items() if one["starts_at"] <= now_text}
    wanted = [name for name in picked if name not in begun]
    known = _known(house, campaign, order, wanted, now)
    # What is held and has begun takes part of what may be picked.
    word = slots.picks_refusal(wanted, list(known.values()), now, settings.max_picks - len(begun))
    if word == "limit":
        raise Refused("limit", 409, max_picks=settings.max_picks)
    if word == "slot_begun":
        raise Refused("slot_begun", 410, slot=next(name for name in wanted if known[name].starts_at <= now))
    if word:
        raise Refused("invalid", 422, fields={"slots": "names a time that this deal does not have"})
    for name in sorted(set(held) - begun - set(wanted)):
        _let_go(tx, order, name, now)
    for name in sorted(set(wanted) - set(held)):
        if not tables.take_seat(tx, campaign.slug, order["shop"], name, known[name].starts_at, settings.slot_capacity):
            # Nothing of this stays: the transaction ends here.
            raise Refused("slot_full", 409, slot=name)
        _hold(tx, campaign, order, known[name])
    return order_of(tx, campaign, order_id)


def _known(house: House, campaign: CampaignView, order: Row, wanted: Sequence[str], now: datetime) -> dict[str, Slot]:
    known = {one.id: one for one in _offered(house, campaign, order, now)}
    zone = house.catalogue().zone(order["shop"])
    for name in wanted:
        # The list leaves begun times out; who asks for one is told so.
        slot = slots.named(name, zone, campaign.settings.begins)
        if slot is not None and slot.starts_at <= now:
            known[name] = slot
    return known


def _still_open(order: Row) -> None:
    if order["state"] == "used":
        raise Refused("already_used", 409)
    if order["state"] not in _OPEN:
        raise Refused("closed", 409, state=order["state"])


def _hold(tx: Tx, campaign: CampaignView, order: Row, slot: Slot) -> None:
    settings: Settings = campaign.settings
    passes_at = slot.starts_at + timedelta(minutes=settings.slot_minutes)
    tables.put_pick(tx, order["id"], campaign.slug, order["shop"], slot.id, slot.starts_at, passes_at)
    for at in slots.moments(slot.starts_at, settings.push_minutes):
        tables.plan_push(tx, order["id"], campaign.slug, slot.id, at)


def _let_go(tx: Tx, order: Row, slot: str, now: datetime) -> None:
    if tables.move_pick(tx, order["id"], slot, "held", "freed"):
        tables.free_seat(tx, order["campaign"], order["shop"], slot)
        tables.quiet(tx, order["id"], slot, now)


def _let_all_go(tx: Tx, order: Row, now: datetime) -> None:
    for one in sorted(tables.picks(tx, order["id"]), key=lambda one: str(one["slot"])):
        if one["state"] == "held":
            _let_go(tx, order, one["slot"], now)
    tables.quiet(tx, order["id"], "", now)


# -- using ------------------------------------------------------------------------------------------------------------


def use(tx: Tx, house: House, campaign: CampaignView, order_id: str, slot: str, by: Caller, now: datetime) -> Row:
    """Redeem the order's coupon by the core's engine (R230). `slot` "" lets the nearest held time be the used one.

    Raises Refused: 409 `not_paid`, `already_used`, `closed`, and what the core refuses; 422 for a time not held.
    """
    order = order_of(tx, campaign, order_id)
    if order["state"] == "created":
        raise Refused("not_paid", 409)
    if order["state"] != "lapsed":
        _still_open(order)
    if slot and not tables.move_pick(tx, order_id, slot, "held", "used"):
        raise Refused("invalid", 422, fields={"slot": "is not one of the picked times"})
    try:
        house.redeem(
            tx,
            order["coupon"],
            by.name,
            house.ids.new("gb", now),
            order["shop"],
            now,
            merchants=by.merchants,
            most_fen=by.most_fen,
        )
    except Refused as refused:
        if refused.code == "already_redeemed":
            raise Refused("already_used", 409) from refused
        raise
    # The core has told of it already where campaigns hear at once; twice changes nothing.
    _used(tx, order_id, now)
    return order_of(tx, campaign, order_id)


def _used(tx: Tx, order_id: str, now: datetime) -> bool:
    tx.lock(f"group_buy:order:{order_id}")
    order = tables.order(tx, order_id)
    assert order is not None  # whoever calls has just read it
    at = to_text(now)
    prompted = order["prompted_at"] or at
    if not tables.move_order(tx, order_id, ("paid", "lapsed"), "used", used_at=at, prompted_at=prompted, ended_at=at):
        return False
    picks = tables.picks(tx, order_id)
    held = [one for one in picks if one["state"] == "held"]
    if held and not any(one["state"] == "used" for one in picks):
        nearest = min(held, key=lambda one: abs(from_text(one["starts_at"]) - now))
        tables.move_pick(tx, order_id, nearest["slot"], "held", "used")
    _let_all_go(tx, order, now)
    return True


def _unused(tx: Tx, campaign: CampaignView, order: Row, now: datetime) -> bool:
    tx.lock(f"group_buy:order:{order['id']}")
    if not tables.move_order(tx, order["id"], ("used",), "paid", used_at=None, ended_at=None):
        return False
    for one in tables.picks(tx, order["id"]):
        if one["state"] == "used" and tables.move_pick(tx, order["id"], one["slot"], "used", "held"):
            starts_at = from_text(one["starts_at"])
            for at in slots.moments(starts_at, campaign.settings.push_minutes):
                if at > now:
                    tables.plan_push(tx, order["id"], campaign.slug, one["slot"], at)
    return True


# -- what the core tells ----------------------------------------------------------------------------------------------


def hear_paid(tx: Tx, house: House, campaign: CampaignView, event: OrderPaid, now: datetime) -> Verdict | None:
    """The money came: the coupon is the order's."""
    if event.campaign != campaign.slug or tables.order(tx, event.order) is None:
        return None
    tx.lock(f"group_buy:order:{event.order}")
    item = house.catalogue().item(event.item)
    ends = now + timedelta(days=item.valid_days) - _EARLIER if item is not None and item.valid_days else None
    moved = tables.move_order(
        tx,
        event.order,
        ("created", "closed"),
        "paid",
        coupon=event.coupons[0] if event.coupons else None,
        paid_at=to_text(now),
        valid_to=to_text(ends) if ends is not None else None,
        ended_at=None,
    )
    return Verdict("done" if moved else "skipped", "paid" if moved else "known")


def hear_late(tx: Tx, campaign: CampaignView, event: OrderLate) -> Verdict | None:
    """Money came after the order was closed: the deal still stands, only the times have to be picked anew."""
    if event.campaign != campaign.slug:
        return None
    order = tables.order(tx, event.order)
    if order is None or order["state"] not in {"created", "closed"}:
        return Verdict("refused", "closed")
    return Verdict("done", "late")


def hear_ended(tx: Tx, campaign: CampaignView, event: OrderEnded, now: datetime) -> Verdict | None:
    """Closed unpaid, or the money went back: seats and reminders go."""
    if event.campaign != campaign.slug:
        return None
    order = tables.order(tx, event.order)
    if order is None:
        return None
    tx.lock(f"group_buy:order:{event.order}")
    if not event.paid:
        moved = tables.move_order(tx, event.order, ("created",), "closed", ended_at=to_text(now))
    elif event.returned_units >= event.quantity:
        froms = ("created", "closed", "paid", "lapsed", "refunding")
        moved = tables.move_order(tx, event.order, froms, "refunded", ended_at=to_text(now))
    else:
        return Verdict("skipped", "part")
    if moved:
        _let_all_go(tx, order, now)
    return Verdict("done" if moved else "skipped", "ended" if moved else "known")


def hear_redeemed(tx: Tx, campaign: CampaignView, event: CouponRedeemed, now: datetime) -> Verdict | None:
    """The coupon was used at a till, or its use was taken back."""
    order = tables.order_with_coupon(tx, event.code)
    if order is None or order["campaign"] != campaign.slug:
        return None
    moved = _unused(tx, campaign, order, now) if event.reversed_ else _used(tx, order["id"], now)
    word = "unused" if event.reversed_ else "used"
    return Verdict("done" if moved else "skipped", word if moved else "known")


# -- what time does ---------------------------------------------------------------------------------------------------


def pass_times(tx: Tx, house: House, campaign: CampaignView, now: datetime, most: int) -> int:
    """Times that passed unused; where none is left, the list is offered again or the deal ends (R225)."""
    rows = tables.passed_picks(tx, campaign.slug, now, most)
    for id_ in sorted({row["order_id"] for row in rows}):
        tx.lock(f"group_buy:order:{id_}")
        order = tables.order(tx, id_)
        moved = [tables.move_pick(tx, id_, row["slot"], "held", "passed") for row in rows if row["order_id"] == id_]
        if order is None or order["state"] != "paid" or not any(moved):
            continue
        tables.quiet_passed(tx, id_, now)
        if any(one["state"] == "held" for one in tables.picks(tx, id_)):
            continue
        tables.set_order(tx, id_, misses=order["misses"] + 1)
        if order["misses"] + 1 > campaign.settings.rechoices:
            _end(tx, house, campaign, order, now)
    return len(rows)


def end_deals(tx: Tx, house: House, campaign: CampaignView, now: datetime, most: int) -> int:
    """Deals whose coupon's time is over."""
    rows = tables.ended_orders(tx, campaign.slug, now, most)
    for row in rows:
        tx.lock(f"group_buy:order:{row['id']}")
        _end(tx, house, campaign, row, now)
    return len(rows)


def changes_left(order: Row, settings: Settings) -> int:
    """How often the list is still offered to this order, the present time included."""
    return max(0, settings.rechoices - int(order["misses"]) + 1)


def _end(tx: Tx, house: House, campaign: CampaignView, order: Row, now: datetime) -> None:
    """By the merchant's rule: the money goes back, or the coupon may still be used while it lasts."""
    if campaign.settings.unused == "refund":
        # First ours: the core may tell of the end inside the call.
        if not tables.move_order(tx, order["id"], ("paid",), "refunding", ended_at=to_text(now)):
            return
        if house.refund_sale(tx, order["id"], 1, "unused", now):
            _let_all_go(tx, order, now)
            return
        # Used or given away meanwhile: nothing that could go back.
        tables.move_order(tx, order["id"], ("refunding",), "lapsed")
    else:
        tables.move_order(tx, order["id"], ("paid",), "lapsed", ended_at=to_text(now))
    _let_all_go(tx, order, now)
