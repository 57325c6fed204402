"""Getting a reservation from outside a transaction: through the gate where there is one, then through the store."""

from __future__ import annotations

from datetime import datetime

from campaigns.flash_sale import tables
from campaigns.flash_sale.redis_stock import RedisStock, gate_of
from campaigns.flash_sale.reserving import RequestTwice, Wish, ask_for, refuse_unless_on, reserve, same
from campaigns.flash_sale.splitting import loaded
from campaigns.flash_sale.stock import drawer
from campaigns.flash_sale.tables import Reservation
from gateway.contract.campaign import CampaignView
from gateway.contract.errors import Refused, StoreBusy
from gateway.contract.house import House


def buy(house: House, campaign: CampaignView, wish: Wish, now: datetime) -> Reservation:
    """A reservation for a wish; the same one for the same request, also where an earlier try died on its way.

    Raises Refused as `reserve`, and 503 `stock_unavailable` where the gate is away; StoreTrouble.
    """
    gate = gate_of(house)
    id_ = house.ids.new("fr", now)
    if gate is None:
        return _write(house, campaign, wish, id_, now)
    try:
        refuse_unless_on(campaign, now)
        admitted = _admit(gate, house, campaign, wish, id_, now)
    except Refused as refused:
        known = _known(house, campaign, wish) if refused.status != 503 else None  # noqa: PLR2004 - away is away
        if known is None:
            raise
        return known
    try:
        made = _write(house, campaign, wish, admitted, now)
    except Refused as refused:
        # Whatever the store says it has not got, the gate held too much of; the rest the buyer leaves to others.
        gone = refused.code == "sold_out" and refused.facts.get("reason") != "item"
        gate.keep(campaign.slug, admitted, lost=gone)
        raise
    if made.id != admitted:
        gate.keep(campaign.slug, admitted)
    return made


def _admit(gate: RedisStock, house: House, campaign: CampaignView, wish: Wish, id_: str, now: datetime) -> str:
    if not gate.map_of(campaign.slug):
        house.store.write(lambda tx: loaded(tx, house, campaign, now))
    chance = drawer(house.random)(1 << 30)
    return gate.admit(ask_for(campaign, 0, id_, wish, (wish.person,), chance=chance), now)[0]


def _write(house: House, campaign: CampaignView, wish: Wish, id_: str, now: datetime) -> Reservation:
    try:
        return house.store.write(lambda tx: reserve(tx, house, campaign, wish, id_, now))
    except (Refused, RequestTwice) as refused:
        # A twin of this very request may have been faster: then its answer is ours.
        known = _known(house, campaign, wish)
        if known is not None:
            return known
        if isinstance(refused, RequestTwice):
            raise StoreBusy("the same request is being answered") from refused
        raise


def _known(house: House, campaign: CampaignView, wish: Wish) -> Reservation | None:
    known = house.store.read(lambda tx: tables.by_request(tx, campaign.slug, wish.request))
    return same(known, wish) if known is not None else None
