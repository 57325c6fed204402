"""The flash sale as the gateway finds it: settings, events, calls, pages, and what the worker does for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from campaigns.flash_sale import reserving, rules, splitting, tables
from campaigns.flash_sale.api import ROUTES
from campaigns.flash_sale.pages import PAGES
from campaigns.flash_sale.redis_stock import gate_of
from campaigns.flash_sale.reserving import GATE, ask_for, price_of, wish_again
from campaigns.flash_sale.settings import FlashSaleSettings, load_settings
from campaigns.flash_sale.splitting import LOADED
from campaigns.flash_sale.stock import SqlStock, drawer
from gateway.contract.campaign import CampaignView, CoreEvent, OrderEnded, OrderLate, OrderPaid, Verdict
from gateway.contract.campaign_kind import Deed, Pages, Route, Sweep
from gateway.contract.errors import Refused
from gateway.contract.house import Catalogue, House
from gateway.contract.money import Fen
from gateway.contract.store import Tx

RECONCILE: Final = "reconcile"
"""The deed that compares the gate with the store."""

LOOK_EVERY: Final = timedelta(minutes=1)


class FlashSaleKind:
    """See `CampaignKind`."""

    slug: str = "flash_sale"
    migrations: Sequence[tuple[str, Sequence[str]]] = tables.MIGRATIONS

    def load_settings(self, table: Mapping[str, Any]) -> FlashSaleSettings:
        """Its own part of the table. Raises BadConfig with every fault."""
        return load_settings(table)

    def faults(self, campaign: CampaignView, catalogue: Catalogue) -> Iterable[tuple[str, str]]:
        """The item must be there, belong to a merchant of the circle, and cost something."""
        settings: FlashSaleSettings = campaign.settings
        item = catalogue.item(settings.item)
        if item is None:
            yield "item", f"no item {settings.item!r}"
            return
        merchant = catalogue.merchant(item.merchant)
        if merchant is None or merchant.circle != campaign.circle:
            yield "item", f"{settings.item!r} belongs to no merchant of this circle"
        if price_of(settings, item) <= 0:
            yield "price_fen", "is missing: the item has neither a price nor a value"

    def funding(self, campaign: CampaignView) -> Fen:
        """Nothing: what a sale gives away is reserved with each sale."""
        del campaign
        return Fen(0)

    def take(self, tx: Tx, house: House, campaign: CampaignView, event: CoreEvent, now: datetime) -> Verdict | None:
        """What became of the orders that it made; nothing else is its business."""
        if not isinstance(event, OrderPaid | OrderLate | OrderEnded) or event.campaign != campaign.slug:
            return None
        if isinstance(event, OrderPaid):
            return reserving.paid(tx, house, campaign, event, now)
        if isinstance(event, OrderLate):
            return reserving.late(tx, house, campaign, event, now)
        return reserving.ended(tx, house, campaign, event, now)

    def copy_for(self, tx: Tx, house: House, persons: Sequence[str]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """What he reserved, and what became of it."""
        del house
        return {"flash_sale_reservations": tables.reservations_of(tx, persons)}

    def forget(self, tx: Tx, house: House, persons: Sequence[str], now: datetime) -> int:
        """Nothing: a reservation holds an id and figures, and what is still held ends by its time."""
        del tx, house, persons, now
        return 0

    @property
    def routes(self) -> Sequence[Route]:
        """Its calls."""
        return ROUTES

    @property
    def deeds(self) -> Mapping[str, Deed]:
        """What it tells the gate, and how it looks after it."""
        return {LOADED: _load_gate, GATE: _tell_gate, RECONCILE: _reconcile}

    @property
    def sweeps(self) -> Sequence[Sweep]:
        """Loading what has gone live, closing small shards, looking after the gate."""
        return (_load, _close_small, _look_after)

    def counts(self, tx: Tx, campaign: CampaignView) -> Mapping[str, int]:
        """How the stock stands."""
        stock = rules.stock_of(splitting.shards_now(tx, campaign)[1])
        return {"total": stock.total, "sold": stock.sold, "held": stock.held, "left": stock.left}

    @property
    def pages(self) -> Pages:
        """The sale itself, and the console's stock."""
        return PAGES


# -- the worker's side ------------------------------------------------------------------------------------------------


def _load(tx: Tx, house: House, campaign: CampaignView, now: datetime, _most: int) -> int:
    """A sale that has become effective is loaded, and every node told (R170), before the first buyer comes."""
    if campaign.state != "live" or tables.sale_of(tx, campaign.slug) is not None:
        return 0
    splitting.loaded(tx, house, campaign, now)
    return 1


def _close_small(tx: Tx, house: House, campaign: CampaignView, now: datetime, _most: int) -> int:
    """Shards below the floor are closed, their rest moved to the central one; all of them when the sale is over."""
    sale = tables.sale_of(tx, campaign.slug)
    if sale is None or campaign.state not in ("live", "ended"):
        return 0
    floor = campaign.settings.shard_floor if campaign.state == "live" else rules.EVERYTHING
    return SqlStock(tx, house.ids, drawer(house.random)).close_small(campaign.slug, sale.map, floor, now)


def _look_after(tx: Tx, house: House, campaign: CampaignView, now: datetime, _most: int) -> int:
    """Owe a look at the gate, once a minute: no network in here."""
    if not house.redis_url or campaign.state not in ("live", "paused"):
        return 0
    if tables.due_for_a_look(tx, campaign.slug, now - LOOK_EVERY, now):
        house.owe(tx, campaign, RECONCILE, campaign.slug, {}, now, give_up_after=LOOK_EVERY)
        return 1
    return 0


def _load_gate(house: House, campaign: CampaignView, _payload: Mapping[str, Any], now: datetime) -> str | None:
    """The news of a new split: the gate takes it over, and it is noted that it was told."""
    try:
        gate = gate_of(house)
        if gate is not None:
            gate.load(campaign.slug)
    except Refused as refused:
        return refused.code
    house.store.write(lambda tx: tables.note_told(tx, campaign.slug, now))
    return None


def _tell_gate(house: House, campaign: CampaignView, payload: Mapping[str, Any], _now: datetime) -> str | None:
    """Units came back to the store, or went, behind the gate's back."""
    try:
        gate = gate_of(house)
        if gate is None:
            return None
        if payload["way"] == "back":
            gate.keep(campaign.slug, payload["reservation"], payload["units"], payload["pieces"])
            return None
        known = house.store.read(lambda tx: tables.reservation_of(tx, campaign.slug, payload["reservation"]))
        if known is not None and known.state in ("held", "sold"):
            wish = wish_again(campaign, known)
            gate.follow(ask_for(campaign, known.map, known.id, wish, (known.counter,)))
    except Refused as refused:
        return refused.code
    return None


def _reconcile(house: House, campaign: CampaignView, _payload: Mapping[str, Any], now: datetime) -> str | None:
    """Give back what died on its way; make the gate anew where it holds another sum than the store."""
    try:
        gate = gate_of(house)
        if gate is None:
            return None
        gate.reconcile(campaign.slug, now)
        if gate.is_off(campaign.slug):
            gate.load(campaign.slug)
    except Refused as refused:
        return refused.code
    return None


kind = FlashSaleKind()
