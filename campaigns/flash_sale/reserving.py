"""A reservation's life: held → sold | cancelled | lapsed; money that came late → sold again, or refunded.

Everything here runs within one transaction of the caller's, and every step is taken once: the reservation's state is
moved by a conditional update, and the shard follows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from campaigns.flash_sale import rules, tables
from campaigns.flash_sale.rules import CENTRAL, ReservationState
from campaigns.flash_sale.settings import FlashSaleSettings
from campaigns.flash_sale.splitting import loaded
from campaigns.flash_sale.stock import Ask, SqlStock, counter_name, drawer
from campaigns.flash_sale.tables import Change, Line, Reservation
from gateway.contract.campaign import CampaignView, OrderEnded, OrderLate, OrderPaid, Verdict
from gateway.contract.clock import to_text
from gateway.contract.errors import DrainageError, Refused, StoreBusy
from gateway.contract.house import House, ItemFacts, Sale
from gateway.contract.money import MAX_FEN, Fen
from gateway.contract.store import Tx
from gateway.ledger import budget, limits

GATE: Final = "gate"
"""The deed that tells the stock before the store's of units that came back, or went, behind its back."""

MOST_QUANTITY: Final = 100
_TRIES: Final = 3


class RequestTwice(DrainageError):
    """The request has a reservation by now, made at the same moment; everything of this one is undone."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants: `quantity` pieces, or with `unit = "fen"` one piece that costs `cost_fen` of the total."""

    person: str
    request: str
    quantity: int = 1
    cost_fen: int = 0

    @property
    def units(self) -> int:
        """What it deducts of the total."""
        return self.cost_fen or self.quantity


def wish_again(campaign: CampaignView, known: Reservation) -> Wish:
    """The wish that a reservation was made for."""
    cost = known.units if campaign.settings.unit == "fen" else 0
    return Wish(known.person, known.request, known.quantity, cost)


def wish_of(settings: FlashSaleSettings, person: str, request: str, body: Mapping[str, Any]) -> Wish:
    """A call's body → a wish. Raises Refused 422."""
    name = "amount_fen" if settings.unit == "fen" else "quantity"
    fields = dict.fromkeys(sorted(set(body) - {name}), "is not a field of this call")
    value = body.get(name, 1 if name == "quantity" else None)
    most = MAX_FEN if name == "amount_fen" else MOST_QUANTITY
    if type(value) is not int or not 1 <= value <= most:
        fields[name] = f"must be a whole number from 1 to {most}"
    if fields:
        raise Refused("invalid", 422, fields=fields)
    assert type(value) is int
    return Wish(person, request, cost_fen=value) if name == "amount_fen" else Wish(person, request, quantity=value)


def price_of(settings: FlashSaleSettings, item: ItemFacts) -> int:
    """What one piece costs in the sale: its own price here, else the item's, else its value."""
    return settings.price_fen or item.price_fen or item.value_fen


def refuse_unless_on(campaign: CampaignView, now: datetime) -> None:
    """Refuse while the sale is not on (R174, R180). Raises Refused 409 `not_open` by the clock, `not_live` by state."""
    word = rules.opening(now, campaign.starts_at, campaign.ends_at)
    if word == "early" and campaign.state in ("scheduled", "live"):
        raise Refused("not_open", 409, reason="early", starts_at=to_text(campaign.starts_at or now))
    if word == "over" and campaign.state in ("live", "ended"):
        raise Refused("not_open", 409, reason="over", ends_at=to_text(campaign.ends_at or now))
    if campaign.state != "live":
        raise Refused("not_live", 409, state=campaign.state)


def reserve(tx: Tx, house: House, campaign: CampaignView, wish: Wish, id_: str, now: datetime) -> Reservation:
    """Take units, and make the order that pays for them; the same reservation again for the same request (R179).

    Raises Refused 409 `not_open`, `not_live`, `limit`, `sold_out`, `budget`, `not_for_sale`, RequestTwice.
    """
    known = tables.by_request(tx, campaign.slug, wish.request)
    if known is not None:
        return same(known, wish)
    refuse_unless_on(campaign, now)
    settings: FlashSaleSettings = campaign.settings
    sale = loaded(tx, house, campaign, now)
    group = house.group(tx, wish.person) or (wish.person,)
    ask = ask_for(campaign, sale.map, id_, wish, group)
    stock = SqlStock(tx, house.ids, drawer(house.random))
    stock.look(ask, now)
    item = house.catalogue().item(settings.item)
    if item is None:
        raise Refused("not_for_sale", 409)
    until = now + settings.hold
    amount = Fen(price_of(settings, item) * wish.quantity)
    try:
        order = house.sell(tx, campaign, Sale(group[0], item.slug, wish.quantity, amount, id_, until), now)
    except Refused as refused:
        if refused.code != "sold_out":
            raise
        raise Refused("sold_out", 409, reason="item") from refused
    if not _pledge(tx, house, campaign, ask, item, amount, now):
        raise Refused("budget", 409)
    # The shard comes last: its row is what others wait for, so it is held the shortest.
    shard = stock.deduct(ask, now)
    reservation = Reservation(
        id_,
        campaign.slug,
        wish.person,
        group[0],
        wish.request,
        wish.quantity,
        ask.units,
        amount,
        sale.map,
        shard,
        "held",
        0,
        order.id,
        order.path,
        until,
        now,
    )
    if not tables.add(tx, reservation):
        raise RequestTwice(wish.request)
    return reservation


def same(known: Reservation, wish: Wish) -> Reservation:
    """The reservation that a request made before, if it asked for the same. Raises Refused 409."""
    if (known.person, known.quantity, known.units) != (wish.person, wish.quantity, wish.units):
        raise Refused("idempotency_key_reused", 409)
    return known


def ask_for(
    campaign: CampaignView,
    map_: int,
    reservation: str,
    wish: Wish,
    group: Sequence[str],
    *,
    chance: int = 0,
    in_time: bool = True,
) -> Ask:
    """What a wish asks of a stock; without `in_time` whenever, for who reserved within the sale's time before."""
    settings: FlashSaleSettings = campaign.settings
    return Ask(
        campaign.slug,
        map_,
        reservation,
        wish.request,
        group,
        wish.quantity,
        wish.units,
        settings.per_person,
        not settings.flow_switch,
        campaign.starts_at if in_time else None,
        campaign.ends_at if in_time else None,
        chance,
    )


def _pledge(
    tx: Tx, house: House, campaign: CampaignView, ask: Ask, item: ItemFacts, amount: int, now: datetime
) -> bool:
    """Reserve what the sale gives away in the campaign's budget, if it has one; False where there is no room."""
    given = max(0, item.value_fen * ask.quantity - amount)
    return given == 0 or house.reserve(tx, campaign, ask.reservation, [(item.slug, given)], now)


# -- what becomes of it -----------------------------------------------------------------------------------------------


def cancel(tx: Tx, house: House, campaign: CampaignView, id_: str, now: datetime) -> Reservation:
    """The customer does not want it: its units go back, once. Raises Refused 404, 409 `bad_transition`."""
    known = must_have(tx, campaign, id_)
    if known.state == "cancelled":
        return known
    # The order goes first, as it does where the core closes it; what it tells us on the way is that it has lapsed.
    if known.state != "held" or not house.unsell(tx, known.order_id, "cancelled", now):
        raise Refused("bad_transition", 409, state=must_have(tx, campaign, id_).state)
    _release(tx, house, campaign, id_, now)
    return tables.to_state(tx, id_, ("lapsed",), "cancelled", now) or must_have(tx, campaign, id_)


def must_have(tx: Tx, campaign: CampaignView, id_: str) -> Reservation:
    """A reservation of this campaign. Raises Refused 404."""
    known = tables.reservation_of(tx, campaign.slug, id_)
    if known is None:
        raise Refused("not_found", 404)
    return known


def paid(tx: Tx, house: House, campaign: CampaignView, event: OrderPaid, now: datetime) -> Verdict:
    """Its order was paid: held → sold."""
    sold = tables.to_state(tx, event.about, ("held",), "sold", now)
    if sold is None:
        return Verdict("skipped", "sold_already")
    _on_shard(tx, house, sold, "sell", Change(held=-sold.units, sold=sold.units), now)
    budget.consume(tx, sold.id, campaign.settings.item)
    return Verdict("done", "sold")


def late(tx: Tx, house: House, campaign: CampaignView, event: OrderLate, now: datetime) -> Verdict:
    """Money came after the hold (R047): what is still held is kept, else it is taken again from what is left."""
    known = tables.reservation_of(tx, campaign.slug, event.about)
    if known is None:
        return Verdict("refused", "unknown")
    if known.state == "held":
        return Verdict("done", "held")
    was_let_go, is_shut = known.state in ("lapsed", "cancelled"), campaign.state in ("paused", "archived")
    if not was_let_go or is_shut:
        return Verdict("refused", campaign.state if was_let_go else known.state)
    sale = loaded(tx, house, campaign, now)
    group = house.group(tx, known.person) or (known.person,)
    ask = ask_for(campaign, sale.map, known.id, wish_again(campaign, known), group, in_time=False)
    if not budget.take_again(tx, known.id, campaign.settings.item):
        return Verdict("refused", "budget")
    try:
        shard = SqlStock(tx, house.ids, drawer(house.random)).deduct(ask, now)
    except Refused as refused:
        budget.give_back(tx, known.id, campaign.settings.item)
        return Verdict("refused", refused.code)
    tables.to_state(tx, known.id, ("lapsed", "cancelled"), "held", now)
    tables.place(tx, known.id, sale.map, shard)
    _tell_gate(tx, house, campaign, known.id, "take", now)
    return Verdict("done", "taken_again")


def ended(tx: Tx, house: House, campaign: CampaignView, event: OrderEnded, now: datetime) -> Verdict:
    """Its order was closed unpaid, or its money went back: what it still held goes back, once (R181)."""
    if not event.paid:
        released = _release(tx, house, campaign, event.about, now)
        return Verdict("done", "given_back") if released else Verdict("skipped", "ended_already")
    if tables.to_state(tx, event.about, ("lapsed", "cancelled"), "refunded", now):
        return Verdict("done", "refunded")
    if _release(tx, house, campaign, event.about, now, "refunded"):
        return Verdict("done", "refunded")
    return _took_back(tx, house, campaign, event, now)


def _release(
    tx: Tx,
    house: House,
    campaign: CampaignView,
    id_: str,
    now: datetime,
    after: Literal["lapsed", "refunded"] = "lapsed",
) -> bool:
    gone = tables.to_state(tx, id_, ("held",), after, now)
    if gone is None:
        return False
    _on_shard(tx, house, gone, "give_back", Change(left=gone.units, held=-gone.units), now)
    _unlimit(tx, campaign, gone, gone.quantity)
    budget.give_back(tx, gone.id, campaign.settings.item)
    _tell_gate(tx, house, campaign, gone.id, "back", now)
    return True


def _took_back(tx: Tx, house: House, campaign: CampaignView, event: OrderEnded, now: datetime) -> Verdict:
    """Pieces that were sold went back: they can be sold again."""
    before = tables.raise_back(tx, event.about, event.returned_units)
    if before is None or before.state != "sold":
        return Verdict("skipped", "ended_already")
    units = before.units_of(event.returned_units) - before.units_of(before.back)
    _on_shard(tx, house, before, "refund", Change(left=units, sold=-units), now)
    _unlimit(tx, campaign, before, event.returned_units - before.back)
    if event.returned_units == before.quantity:
        tables.to_state(tx, before.id, ("sold",), "refunded", now)
        budget.unspend(tx, before.id, campaign.settings.item)
        budget.give_back(tx, before.id, campaign.settings.item)
    pieces = before.quantity - event.returned_units
    _tell_gate(tx, house, campaign, before.id, "back", now, (before.units_of(pieces), pieces))
    return Verdict("done", "refunded")


def _on_shard(
    tx: Tx, house: House, reservation: Reservation, entry: tables.Entry, change: Change, now: datetime
) -> None:
    """Change the shard that its units came from, or the central one where that split is over."""
    for _ in range(_TRIES):
        sale = tables.sale_of(tx, reservation.campaign)
        assert sale is not None
        shard = reservation.shard if reservation.map == sale.map else CENTRAL
        if tables.move(tx, house.ids, Line(reservation.campaign, sale.map, shard, entry, reservation.id), change, now):
            return
        # Between the two looks the sale was split anew: look again.
    raise StoreBusy("the sale is being split")


def _unlimit(tx: Tx, campaign: CampaignView, reservation: Reservation, pieces: int) -> None:
    settings: FlashSaleSettings = campaign.settings
    name = counter_name(campaign.slug, reservation.counter)
    limits.give_back(tx, [limits.Limit(name, max(1, settings.per_person), limits.FOREVER, "limit")], pieces)


def _tell_gate(
    tx: Tx,
    house: House,
    campaign: CampaignView,
    reservation: str,
    way: Literal["back", "take"],
    now: datetime,
    kept: tuple[int, int] = (0, 0),
) -> None:
    """Owe the gate a word. `kept`: the units and pieces that stay taken; absolute, so that hearing it twice is once."""
    if house.redis_url:
        payload = {"reservation": reservation, "way": way, "units": kept[0], "pieces": kept[1]}
        house.owe(tx, campaign, GATE, reservation, payload, now)


def told_state(state: ReservationState, back: int, quantity: int) -> ReservationState:
    """The state that a caller is told: what was sold and went back in full is refunded."""
    return "refunded" if state == "sold" and back >= quantity else state
