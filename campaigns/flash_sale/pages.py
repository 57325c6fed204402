"""What people see: the sale for a customer, and for the console its stock, the report and the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from campaigns.flash_sale import reserving, rules, splitting, tables
from campaigns.flash_sale.buying import buy
from campaigns.flash_sale.redis_stock import gate_of
from campaigns.flash_sale.reserving import Wish, price_of, refuse_unless_on, told_state
from campaigns.flash_sale.settings import FlashSaleSettings
from campaigns.flash_sale.tables import Reservation
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import ConsolePage, GoTo, Page, Pages, Seen, Show, SignInFirst, Visit
from gateway.contract.errors import Refused, StoreBusy
from gateway.contract.house import House, ItemFacts

SALE: Final = "/campaigns/flash_sale/<campaign>"
LIVE: Final = "/campaigns/flash_sale/<campaign>/live"
EVERY: Final = 2
"""Seconds between two looks of a waiting phone."""

PAGE: Final = 50
_AWAY: Final = 503
_MOST_NUMBER: Final = 10


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who looks, and what he has: `number` counts his reservations, so that a form names one purchase for good."""

    person: str
    number: int
    mine: tuple[Reservation, ...]

    @property
    def pieces(self) -> int:
        """How many he holds or has bought."""
        return sum(one.quantity - one.back for one in self.mine if one.state in ("held", "sold"))


# -- the customer's side ----------------------------------------------------------------------------------------------


def sale(house: House, visit: Visit) -> Seen:
    """The sale's page; a POST buys, or cancels what is not paid yet."""
    campaign = _found(house, visit)
    if not visit.known_in(campaign.circle):
        if visit.method == "GET":
            raise SignInFirst(campaign.circle)
        raise Refused("not_found", 404)
    if visit.method == "GET":
        return Show("flash_sale/sale.html", _values(house, campaign, visit))
    try:
        if visit.form.get("move") == "cancel":
            _cancel(house, campaign, visit)
        else:
            buy(house, campaign, _wish(house, campaign, visit), visit.now)
    except StoreBusy:
        return _refused(house, campaign, visit, "busy", _AWAY)
    except Refused as refused:
        word = "busy" if refused.status == _AWAY else refused.code
        return _refused(house, campaign, visit, word, refused.status)
    return GoTo(_path(campaign))


def live(house: House, visit: Visit) -> Seen:
    """The part of the sale's page that renews itself."""
    campaign = _found(house, visit)
    if not visit.known_in(campaign.circle):
        raise Refused("not_found", 404)
    return Show("flash_sale/_sale.html", _values(house, campaign, visit))


def _found(house: House, visit: Visit) -> CampaignView:
    for campaign in house.campaigns("flash_sale"):
        if campaign.slug == visit.values["campaign"] and campaign.state not in ("draft", "archived"):
            return campaign
    raise Refused("not_found", 404)


def _path(campaign: CampaignView) -> str:
    return SALE.replace("<campaign>", campaign.slug)


def _buyer(house: House, campaign: CampaignView, person: str) -> Buyer:
    def look(tx: Any) -> Buyer:
        group = house.group(tx, person) or (person,)
        mine = tables.of_group(tx, campaign.slug, group)
        return Buyer(person, tables.how_many(tx, campaign.slug, group), tuple(mine))

    return house.store.read(look)


def _item(house: House, campaign: CampaignView) -> ItemFacts:
    item = house.catalogue().item(campaign.settings.item)
    if item is None:
        raise Refused("not_found", 404)
    return item


def cost_of(settings: FlashSaleSettings, item: ItemFacts) -> int:
    """What one piece deducts of a total in fen when the customer buys: what the shop gives away with it."""
    price = price_of(settings, item)
    return item.value_fen - price if item.value_fen > price else price


def _wish(house: House, campaign: CampaignView, visit: Visit) -> Wish:
    once, pieces = visit.form.get("once", ""), visit.form.get("quantity", "1")
    if not (_is_number(once) and _is_number(pieces)):
        raise Refused("invalid", 422, fields={"quantity": "must be a whole number"})
    settings: FlashSaleSettings = campaign.settings
    request = f"page:{visit.person}:{int(once)}"
    if settings.unit == "fen":
        return Wish(visit.person, request, cost_fen=cost_of(settings, _item(house, campaign)))
    body = {"quantity": int(pieces)}
    return reserving.wish_of(settings, visit.person, request, body)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < _MOST_NUMBER


def _cancel(house: House, campaign: CampaignView, visit: Visit) -> None:
    wanted = visit.form.get("reservation", "")
    if all(one.id != wanted for one in _buyer(house, campaign, visit.person).mine):
        raise Refused("not_found", 404)
    house.store.write(lambda tx: reserving.cancel(tx, house, campaign, wanted, visit.now))


def _refused(house: House, campaign: CampaignView, visit: Visit, word: str, status: int) -> Seen:
    return Show("flash_sale/sale.html", {**_values(house, campaign, visit), "refused": word}, status)


def _values(house: House, campaign: CampaignView, visit: Visit) -> Mapping[str, Any]:
    settings: FlashSaleSettings = campaign.settings
    item, buyer = _item(house, campaign), _buyer(house, campaign, visit.person)
    stock = house.store.read(lambda tx: rules.stock_of(splitting.shards_now(tx, campaign)[1]))
    price = price_of(settings, item)
    room = settings.per_person - buyer.pieces if settings.per_person else reserving.MOST_QUANTITY
    most = 1 if settings.unit == "fen" else max(1, min(room, stock.left, reserving.MOST_QUANTITY))
    return {
        "step": _step(campaign, settings, item, stock, room, visit),
        "held": [one for one in buyer.mine if one.state == "held"],
        "bought": sum(one.quantity - one.back for one in buyer.mine if one.state == "sold"),
        "refunded": bool(buyer.mine) and told_state(
            buyer.mine[0].state, buyer.mine[0].back, buyer.mine[0].quantity
        ) == "refunded",
        "once": buyer.number,
        "most": most,
        "item": item,
        "merchant": house.catalogue().merchant(item.merchant),
        "price_fen": price,
        "value_fen": item.value_fen,
        "campaign": campaign,
        "per_person": settings.per_person,
        "starts_at": campaign.starts_at,
        "ends_at": campaign.ends_at,
        "path": _path(campaign),
        "live": LIVE.replace("<campaign>", campaign.slug),
        "every": EVERY,
        "now": visit.now,
        "zone": house.catalogue().zone(None),
        "hold_minutes": settings.hold_minutes,
    }  # fmt: skip


def _step(
    campaign: CampaignView,
    settings: FlashSaleSettings,
    item: ItemFacts,
    stock: rules.Stock,
    room: int,
    visit: Visit,
) -> str:
    """`early`, `over`, `paused`, `limit`, `sold_out` or `on`: what a buyer would be told now."""
    try:
        refuse_unless_on(campaign, visit.now)
    except Refused as refused:
        if refused.code == "not_open":
            return str(refused.facts["reason"])
        return "over" if campaign.state == "ended" else "paused"
    if room <= 0:
        return "limit"
    if stock.left < (cost_of(settings, item) if settings.unit == "fen" else 1):
        return "sold_out"
    return "paused" if item.paused else "on"


# -- the console ------------------------------------------------------------------------------------------------------


def stock(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """How the stock stands, shard by shard; operators split a paused sale anew here."""
    may_split = visit.caller is not None and visit.caller.role in ("operator", "admin")
    faults: dict[str, str] = {}
    refused = ""
    if visit.method == "POST":
        if not may_split or visit.caller is None:
            raise Refused("forbidden", 403)
        who = visit.caller.name
        numbers = {name: visit.form.get(name, "").strip() for name in ("shards", "total")}
        faults = {name: "number" for name, text in numbers.items() if text and not _is_number(text)}
        if not faults:
            shards, total = (int(text) if text else None for text in numbers.values())
            try:
                house.store.write(lambda tx: splitting.resplit(tx, house, campaign, who, shards, total, visit.now))
            except Refused as why:
                faults = dict.fromkeys(why.facts.get("fields", {}), "range")
                refused = why.code
            else:
                return GoTo(f"/admin/campaigns/{campaign.slug}/stock", notice="已重新分片")
    values = {**_stock(house, campaign), "may_split": may_split, "faults": faults, "refused": refused}
    values["form"] = visit.form
    return Show("flash_sale/stock.html", values, 422 if faults else 409 if refused else 200)


def _stock(house: House, campaign: CampaignView) -> dict[str, Any]:
    settings: FlashSaleSettings = campaign.settings

    def look(tx: Any) -> dict[str, Any]:
        sale, shards = splitting.shards_now(tx, campaign)
        sums = rules.stock_of(shards)
        newer = sale is not None and (settings.total, settings.shards) != (sums.total, sale.shards)
        return {
            "loaded": sale,
            "shards": splitting.told_of(settings, shards),
            "stock": sums,
            "report": splitting.report(tx, campaign),
            "differs": newer and sale is not None and campaign.version > sale.version,
        }

    item = house.catalogue().item(settings.item)
    return {
        **house.store.read(look),
        "gate": _gate(house, campaign),
        "settings": settings,
        "item": item,
        "short": item is not None and item.stock is not None and settings.unit == "units"
        and item.stock < settings.total,
        "zone": house.catalogue().zone(None),
        "state": campaign.state,
        "slug": campaign.slug,
    }  # fmt: skip


def _gate(house: House, campaign: CampaignView) -> Mapping[str, Any]:
    """What the gate in Redis holds: `state` is `none`, `away`, `empty` or `on`."""
    try:
        gate = gate_of(house)
        if gate is None:
            return {"state": "none"}
        left = gate.left(campaign.slug)
    except Refused:
        return {"state": "away"}
    return {"state": "on", "left": sum(left.values())} if left is not None else {"state": "empty"}


def journal(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """Every change of a shard, newest first."""
    before = visit.query.get("before", "")
    rows = house.store.read(lambda tx: tables.journal_page(tx, campaign.slug, before, PAGE + 1))
    return Show(
        "flash_sale/journal.html",
        {
            "rows": rows[:PAGE],
            "before": before,
            "older": rows[PAGE - 1]["id"] if len(rows) > PAGE else "",
            "slug": campaign.slug,
            "zone": house.catalogue().zone(None),
        },
    )


def entry(campaign: CampaignView) -> str | None:
    """Where a customer begins."""
    return _path(campaign) if campaign.state in ("scheduled", "live", "paused") else None


PAGES: Final = Pages(
    title="秒杀",
    folder=Path(__file__).parent,
    customer=(Page(SALE, sale, ("GET", "POST")), Page(LIVE, live)),
    console=(
        ConsolePage("/stock", stock, methods=("GET", "POST"), label="库存"),
        ConsolePage("/journal", journal, label="库存流水"),
    ),
    entry=entry,
    item=lambda campaign: str(campaign.settings.item),
)
