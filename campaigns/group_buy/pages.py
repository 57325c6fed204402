"""What customers see: the deal, their order with its times and the queue, the shop's videos, the upload."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any, Final

from campaigns.group_buy import console, deals, queue, reminders, tables, uploads, videos
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import Data, FileOf, GoTo, Page, Pages, Seen, Show, SignInFirst, Visit
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx

FOLDER: Final = Path(__file__).parent
FORM_BYTES: Final = 20 * 1000 * 1000
"""The largest video by a plain form, which comes whole."""
_ROOM: Final = 64 * 1024
_PER_PAGE: Final = 20
_SHOWABLE: Final = frozenset({"live", "paused", "ended"})


def campaign_named(house: House, slug: str) -> CampaignView:
    """A group buy that people may see. Raises Refused 404."""
    for one in house.campaigns("group_buy"):
        if one.slug == slug and one.state in _SHOWABLE:
            return one
    raise Refused("not_found", 404)


def _signed_in(visit: Visit, campaign: CampaignView) -> str:
    person = visit.known_in(campaign.circle)
    if person:
        return person
    if visit.method == "GET":
        raise SignInFirst(campaign.circle)
    raise Refused("not_found", 404)


def _names(house: House, shop: str, merchant: str) -> dict[str, Any]:
    catalogue = house.catalogue()
    return {
        "merchant": catalogue.merchant(merchant),
        "shop": catalogue.shop(shop),
        "zone": catalogue.zone(shop),
    }


# -- the deal ---------------------------------------------------------------------------------------------------------


def _deal(house: House, visit: Visit) -> Seen:
    campaign = campaign_named(house, visit.values["campaign"])
    item = deals.deal(house, campaign)
    refused = ""
    if visit.method == "POST":
        person = _signed_in(visit, campaign)
        try:
            return GoTo(house.store.write(lambda tx: _bought(tx, house, campaign, person, visit))["pay_path"])
        except Refused as refusal:
            refused = refusal.code
    shops = house.catalogue().shops(item.merchant)
    mine: list[Row] = []
    if visit.person:
        mine = house.store.read(lambda tx: tables.orders_of(tx, campaign.slug, _group(tx, house, visit.person), 10))
    values = {
        "campaign": campaign,
        "settings": campaign.settings,
        "item": item,
        "shops": shops,
        "mine": [{"order": one, "shop": house.catalogue().shop(one["shop"])} for one in mine],
        "is_open": campaign.is_open(visit.now),
        "refused": refused,
        "merchant": house.catalogue().merchant(item.merchant),
        "zone": house.catalogue().zone(shops[0].slug if shops else None),
    }
    return Show("group_buy/deal.html", values, status=409 if refused else 200)


def _bought(tx: Tx, house: House, campaign: CampaignView, person: str, visit: Visit) -> Row:
    # Tapped twice, or after a lost answer: the order that waits for its money is the one that is meant.
    shop = visit.form.get("shop", "")
    tx.lock(f"group_buy:buyer:{campaign.slug}:{person}")
    known = deals.unpaid(tx, house, campaign, person, shop)
    return known if known is not None else deals.buy(tx, house, campaign, person, shop, visit.now)


def _group(tx: Tx, house: House, person: str) -> tuple[str, ...]:
    return house.group(tx, person) or (person,)


# -- the order --------------------------------------------------------------------------------------------------------


def _mine(house: House, visit: Visit) -> tuple[CampaignView, Row]:
    """The order of the path, if it is this customer's. Raises Refused 404, SignInFirst."""
    row = house.store.read(lambda tx: tables.order(tx, visit.values["order"]))
    if row is None:
        raise Refused("not_found", 404)
    campaign = next((one for one in house.campaigns("group_buy") if one.slug == row["campaign"]), None)
    if campaign is None:
        raise Refused("not_found", 404)
    person = _signed_in(visit, campaign)
    if row["person"] not in house.store.read(lambda tx: _group(tx, house, person)):
        raise Refused("not_found", 404)
    return campaign, row


def _order(house: House, visit: Visit) -> Seen:
    campaign, row = _mine(house, visit)
    refused: Refused | None = None
    if visit.method == "POST":
        try:
            return house.store.write(lambda tx: _act(tx, house, campaign, row, visit))
        except Refused as refusal:
            refused = refusal
    values = house.store.read(lambda tx: _order_values(tx, house, campaign, row["id"], visit))
    values["refused"] = refused.code if refused is not None else ""
    values["full"] = str(refused.facts.get("slot", "")) if refused is not None else ""
    values["ticked"] = set(_ticked(visit)) if refused is not None else values["held"]
    return Show("group_buy/order.html", values, status=refused.status if refused is not None else 200)


def _ticked(visit: Visit) -> list[str]:
    return sorted(name.removeprefix("slot-") for name in visit.form if name.startswith("slot-"))


def _act(tx: Tx, house: House, campaign: CampaignView, row: Row, visit: Visit) -> GoTo:
    act, here = visit.form.get("act", "slots"), f"/campaigns/group_buy/o/{row['id']}"
    if act == "quiet":
        reminders.allow(tx, row, on=False, now=visit.now)
        return GoTo(here, notice="不会再提醒你")
    if act == "remind":
        reminders.allow(tx, row, on=True, now=visit.now)
        return GoTo(here, notice="会在到店前提醒你")
    deals.choose(tx, house, campaign, row["id"], _ticked(visit), visit.now)
    return GoTo(here, notice="到店时间已保存")


def _order_values(tx: Tx, house: House, campaign: CampaignView, id_: str, visit: Visit) -> dict[str, Any]:
    row = deals.order_of(tx, campaign, id_)
    names = _names(house, row["shop"], row["merchant"])
    offers = deals.offers(tx, house, campaign, row, visit.now) if row["state"] in {"created", "paid"} else ()
    picks = tables.picks(tx, id_)
    item = house.catalogue().item(campaign.settings.item)
    return {
        **names,
        **_queue_values(tx, house, row, visit),
        "campaign": campaign,
        "settings": campaign.settings,
        "order": row,
        "name": item.name if item is not None else campaign.settings.item,
        "days": [(day, list(found)) for day, found in groupby(offers, key=lambda one: one.slot.day)],
        "held": {one["slot"] for one in picks if one["state"] == "held"},
        "picks": [_pick(one) for one in picks if one["state"] in {"held", "used", "passed"}],
        "changes_left": deals.changes_left(row, campaign.settings),
        "video": tables.last_video(tx, id_),
    }


def _pick(row: Row) -> dict[str, Any]:
    return {"starts_at": row["starts_at"], "state": row["state"], "meal": row["slot"].rpartition("-")[2]}


def _queue_values(tx: Tx, house: House, row: Row, visit: Visit) -> dict[str, Any]:
    day = queue.business_day(visit.now, house.catalogue().zone(row["shop"]))
    tickets = tables.tickets(tx, row["shop"], day)
    group = set(_group(tx, house, visit.person))
    own = next((one for one in tickets if one["person"] in group and one["state"] in {"waiting", "called"}), None)
    ahead = own["number"] if own is not None and own["state"] == "waiting" else None
    told = [one for one in tables.pushes(tx, row["id"]) if one["state"] == "sent"]
    return {"line": queue.line_of(tickets, ahead), "ticket": own, "told": told[-5:]}


def _queue(house: House, visit: Visit) -> Seen:
    _campaign, row = _mine(house, visit)
    values = house.store.read(lambda tx: _queue_values(tx, house, row, visit))
    return Show("group_buy/_queue.html", {**values, **_names(house, row["shop"], row["merchant"]), "order": row})


# -- the shop's videos ------------------------------------------------------------------------------------------------


def _shop(house: House, visit: Visit) -> Seen:
    shop = house.catalogue().shop(visit.values["shop"])
    if shop is None:
        raise Refused("not_found", 404)
    item_of = {one.slug: house.catalogue().item(one.settings.item) for one in house.campaigns("group_buy")}
    here = [
        one
        for one in house.campaigns("group_buy")
        if one.is_open(visit.now) and (item := item_of[one.slug]) is not None and item.merchant == shop.merchant
    ]
    before = visit.query.get("before", "")
    rows = house.store.read(lambda tx: tables.shop_videos(tx, shop.slug, before, _PER_PAGE + 1))
    line = house.store.read(lambda tx: queue.line(tx, house, shop.slug, visit.now))
    values = {
        **_names(house, shop.slug, shop.merchant),
        "deals": [{"campaign": one, "item": item_of[one.slug]} for one in here],
        "rows": rows[:_PER_PAGE],
        "older": rows[_PER_PAGE - 1]["id"] if len(rows) > _PER_PAGE else "",
        "before": before,
        "line": line,
    }
    return Show("group_buy/shop.html", values, plays=True)


def _watch(house: House, visit: Visit) -> Seen:
    _row, where = videos.shown(house, visit.values["video"])
    return FileOf(where.film, "video/mp4", {"Cache-Control": "no-store"})


def _poster(house: House, visit: Visit) -> Seen:
    _row, where = videos.shown(house, visit.values["video"])
    return FileOf(where.poster, "image/jpeg", {"Cache-Control": "no-store"})


# -- the upload -------------------------------------------------------------------------------------------------------


def _video(house: House, visit: Visit) -> Seen:
    campaign, row = _mine(house, visit)
    if visit.method == "HEAD":
        return _offset(house, campaign, row, visit)
    if visit.method == "PATCH":
        return _piece(house, campaign, row, visit)
    faults: dict[str, str] = {}
    refused = ""
    if visit.method == "POST":
        by_script = visit.form.get("via") == "script"
        try:
            if visit.form.get("act") == "withdraw":
                return _withdraw(house, campaign, row, visit)
            if by_script:
                return _begin(house, row, visit)
            return _whole(house, campaign, row, visit)
        except Refused as refusal:
            if by_script:
                raise
            faults, refused = dict(refusal.facts.get("fields", {})), refusal.code
    seen = house.store.read(lambda tx: tables.last_video(tx, row["id"]))
    values = {
        **_names(house, row["shop"], row["merchant"]),
        "campaign": campaign,
        "order": row,
        "video": seen,
        "came": videos.offset(house, seen) if seen is not None else 0,
        "faults": faults,
        "refused": refused,
        "piece": uploads.PIECE,
        "largest": uploads.LARGEST,
    }
    part = visit.method == "GET" and visit.query.get("part") == "1"
    template = "group_buy/_video.html" if part else "group_buy/video.html"
    return Show(template, values, status=422 if refused else 200, plays=True)


def _open_upload(house: House, row: Row) -> Row:
    seen = house.store.read(lambda tx: tables.video_of(tx, row["id"]))
    if seen is None:
        raise Refused("not_found", 404)
    return seen


def _size(visit: Visit) -> int:
    text = visit.form.get("size", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 12 else 0  # noqa: PLR2004 - beyond any file


def _begin(house: House, row: Row, visit: Visit) -> Seen:
    consent = visit.form.get("consent") == "1"
    made = house.store.write(lambda tx: videos.begin(tx, house, row, _size(visit), consent, visit.now))
    return Data({"video": made["id"], "offset": videos.offset(house, made), "piece": uploads.PIECE}, status=201)


def _offset(house: House, campaign: CampaignView, row: Row, visit: Visit) -> Seen:
    seen = _open_upload(house, row)
    came = videos.came(house, campaign, seen, visit.now)
    return Data("", headers={"Upload-Offset": str(came), "Upload-Length": str(seen["size"])})


def _piece(house: House, campaign: CampaignView, row: Row, visit: Visit) -> Seen:
    seen = _open_upload(house, row)
    at = uploads.offset_of(visit.headers.get("upload-offset", ""))
    came = videos.put(house, campaign, seen["id"], at, visit.data, visit.now)
    return Data({"offset": came}, headers={"Upload-Offset": str(came)})


def _whole(house: House, campaign: CampaignView, row: Row, visit: Visit) -> Seen:
    """A plain form's file, which comes whole."""
    data = visit.files.get("video", b"")
    if not data:
        raise Refused("invalid", 422, fields={"video": "is required"})
    consent = visit.form.get("consent") == "1"
    made = house.store.write(lambda tx: videos.begin(tx, house, row, len(data), consent, visit.now))
    at = videos.offset(house, made)
    videos.put(house, campaign, made["id"], at, data[at:], visit.now)
    return GoTo(f"/me/orders/{row['id']}/video", notice="视频已上传")


def _withdraw(house: House, campaign: CampaignView, row: Row, visit: Visit) -> Seen:
    seen = _open_upload(house, row)
    videos.withdraw(house, campaign, seen["id"], "customer", visit.now)
    return GoTo(f"/me/orders/{row['id']}/video", notice="视频已撤回")


PAGES: Final = Pages(
    title="团购",
    folder=FOLDER,
    customer=(
        Page("/campaigns/group_buy/<campaign>", _deal, ("GET", "POST")),
        Page("/campaigns/group_buy/o/<order>", _order, ("GET", "POST")),
        Page("/campaigns/group_buy/o/<order>/queue", _queue),
        Page("/campaigns/group_buy/shop/<shop>", _shop),
        Page("/campaigns/group_buy/v/<video>", _watch),
        Page("/campaigns/group_buy/v/<video>/poster", _poster),
        Page("/me/orders/<order>/video", _video, ("GET", "POST", "PATCH", "HEAD"), FORM_BYTES + _ROOM),
    ),
    console=console.PAGES,
    entry=lambda campaign: f"/campaigns/group_buy/{campaign.slug}",
    item=lambda campaign: str(campaign.settings.item),
)
