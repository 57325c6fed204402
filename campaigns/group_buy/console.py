"""What staff see: orders, visiting times a day, the board of the queue, and the videos to be looked at."""

from __future__ import annotations

from datetime import datetime, time, timedelta, timezone
from typing import Any, Final

from campaigns.group_buy import film, queue, slots, tables, videos
from campaigns.group_buy.queue import Move
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import ConsolePage, FileOf, GoTo, Seen, Show, Visit
from gateway.contract.errors import Refused
from gateway.contract.house import House, ShopFacts
from gateway.contract.store import Row, Tx

_PER_PAGE: Final = 50
_STATES: Final = ("uploading", "uploaded", "processing", "review", "published", "rejected", "removed")
_MOVES: Final[dict[str, Move]] = {"call": "call", "seat": "seat", "leave": "leave"}
_MOST_WORDS: Final = 200


def _at(campaign: CampaignView, path: str) -> str:
    return f"/admin/campaigns/{campaign.slug}{path}"


def _shops(house: House, campaign: CampaignView, visit: Visit) -> list[ShopFacts]:
    """The deal's shops, where they are this member of staff's. Raises Refused 404."""
    item = house.catalogue().item(campaign.settings.item)
    scope = visit.caller.merchants if visit.caller is not None else frozenset()
    if item is None or (scope is not None and item.merchant not in scope):
        raise Refused("not_found", 404)
    return list(house.catalogue().shops(item.merchant))


def _shop(found: list[ShopFacts], slug: str) -> ShopFacts:
    if not found:
        raise Refused("not_found", 404)
    if not slug:
        return found[0]
    for one in found:
        if one.slug == slug:
            return one
    raise Refused("not_found", 404)


# -- orders -----------------------------------------------------------------------------------------------------------


def _orders(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    shops = {one.slug: one.name for one in _shops(house, campaign, visit)}
    before = visit.query.get("before", "")
    rows = house.store.read(lambda tx: tables.orders_in(tx, campaign.slug, before, _PER_PAGE + 1))

    def shown(tx: Tx, row: Row) -> dict[str, Any]:
        picks = [one for one in tables.picks(tx, row["id"]) if one["state"] in {"held", "used"}]
        return {
            "row": row,
            "who": house.alias(row["person"]),
            "shop": shops.get(row["shop"], row["shop"]),
            "picks": [{"starts_at": one["starts_at"], "meal": one["slot"].rpartition("-")[2]} for one in picks],
        }

    values = {
        "campaign": campaign,
        "zone": house.catalogue().zone(next(iter(shops), None)),
        "rows": house.store.read(lambda tx: [shown(tx, row) for row in rows[:_PER_PAGE]]),
        "newest": _at(campaign, "/orders") if before else "",
        "older": f"{_at(campaign, '/orders')}?before={rows[_PER_PAGE - 1]['id']}" if len(rows) > _PER_PAGE else "",
    }
    return Show("group_buy/admin/orders.html", values)


# -- visiting times ---------------------------------------------------------------------------------------------------


def _slots(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    shops = _shops(house, campaign, visit)
    shop = _shop(shops, visit.query.get("shop", ""))
    zone = house.catalogue().zone(shop.slug)
    settings = campaign.settings
    today = visit.now.astimezone(zone).date()
    since = datetime.combine(today, time(0), zone).astimezone(timezone.utc)
    until = since + timedelta(days=settings.days)
    known = {
        row["slot"]: row
        for row in house.store.read(lambda tx: tables.visits(tx, campaign.slug, shop.slug, since, until))
    }
    rows = []
    for offset in range(settings.days):
        for meal in slots.MEALS:
            if meal in settings.begins:
                at = datetime.combine(today + timedelta(days=offset), settings.begins[meal], zone)
                row = known.get(f"{at:%Y-%m-%d}-{meal}")
                held, used, passed = (int(row[key]) if row is not None else 0 for key in ("held", "used", "passed"))
                rows.append(
                    {"at": at.astimezone(timezone.utc), "meal": meal, "held": held, "used": used, "passed": passed}
                )
    values = {
        "campaign": campaign,
        "zone": zone,
        "shop": shop,
        "shops": shops,
        "rows": sorted(rows, key=lambda row: str(row["at"])),
        "capacity": settings.slot_capacity,
    }
    return Show("group_buy/admin/slots.html", values)


# -- the board --------------------------------------------------------------------------------------------------------


def _board(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    shops = _shops(house, campaign, visit)
    if visit.method == "POST":
        return _move(house, campaign, shops, visit)
    shop = _shop(shops, visit.query.get("shop", ""))
    zone = house.catalogue().zone(shop.slug)
    day = queue.business_day(visit.now, zone)
    rows = house.store.read(lambda tx: tables.tickets(tx, shop.slug, day))
    values = {
        "campaign": campaign,
        "zone": zone,
        "shop": shop,
        "shops": shops,
        "line": queue.line_of(rows),
        "waiting": [
            {"row": row, "who": house.alias(row["person"]) if row["person"] else ""}
            for row in rows
            if row["state"] in {"waiting", "called"}
        ],
        "seated": sum(1 for row in rows if row["state"] == "seated"),
        "left": sum(1 for row in rows if row["state"] == "left"),
    }
    part = visit.query.get("part") == "1"
    return Show("group_buy/admin/_board.html" if part else "group_buy/admin/board.html", values)


def _move(house: House, campaign: CampaignView, shops: list[ShopFacts], visit: Visit) -> Seen:
    shop = _shop(shops, visit.form.get("shop", ""))
    here = f"{_at(campaign, '/queue')}?shop={shop.slug}"
    what, ticket = visit.form.get("move", ""), visit.form.get("ticket", "")
    if what == "take":
        house.store.write(lambda tx: queue.take(tx, house, campaign.slug, shop.slug, "", visit.now))
        return GoTo(here, notice="已取号")
    if what not in _MOVES:
        raise Refused("bad_request", 400)
    try:
        house.store.write(lambda tx: queue.move(tx, shop.slug, ticket, _MOVES[what], visit.now))
    except Refused as refused:
        if refused.code != "bad_transition":
            raise
        return GoTo(here, notice="这个号已经被别人处理了")
    return GoTo(here)


# -- videos -----------------------------------------------------------------------------------------------------------


def _videos(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    shops = {one.slug: one.name for one in _shops(house, campaign, visit)}
    state, before = visit.query.get("state", ""), visit.query.get("before", "")
    state = state if state in _STATES else ""
    rows = house.store.read(lambda tx: tables.videos_in(tx, campaign.slug, state, before, _PER_PAGE + 1))
    here = _at(campaign, "/videos")
    values = {
        "campaign": campaign,
        "zone": house.catalogue().zone(next(iter(shops), None)),
        "state": state,
        "states": _STATES,
        "rows": [
            {"row": one, "who": house.alias(one["person"]), "shop": shops.get(one["shop"], one["shop"])}
            for one in rows[:_PER_PAGE]
        ],
        "newest": f"{here}?state={state}" if before else "",
        "older": f"{here}?state={state}&before={rows[_PER_PAGE - 1]['id']}" if len(rows) > _PER_PAGE else "",
        "can_make": film.find_tools() is not None,
    }
    return Show("group_buy/admin/videos.html", values)


def _seen(house: House, campaign: CampaignView, visit: Visit) -> Row:
    _shops(house, campaign, visit)
    return house.store.read(lambda tx: videos.video(tx, campaign.slug, visit.values["video"]))


def _video(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    row = _seen(house, campaign, visit)
    faults: dict[str, str] = {}
    refused = ""
    if visit.method == "POST":
        try:
            return house.store.write(lambda tx: _decide(tx, house, campaign, row["id"], visit))
        except Refused as refusal:
            faults, refused = dict(refusal.facts.get("fields", {})), refusal.code
    shop = house.catalogue().shop(row["shop"])
    values = {
        "campaign": campaign,
        "zone": house.catalogue().zone(row["shop"]),
        "video": row,
        "guest": house.alias(row["person"]),
        "shop": shop.name if shop is not None else row["shop"],
        "faults": faults,
        "refused": refused,
        "form": visit.form,
        "has_film": row["state"] in {"review", "published"},
        "can_make": film.find_tools() is not None,
    }
    return Show("group_buy/admin/video.html", values, status=422 if refused else 200, plays=True)


def _decide(tx: Tx, house: House, campaign: CampaignView, id_: str, visit: Visit) -> GoTo:
    here = _at(campaign, f"/videos/{id_}")
    who = visit.caller.name if visit.caller is not None else ""
    act = visit.form.get("act", "")
    if act == "approve":
        videos.approve(tx, house, campaign, id_, who, visit.now)
        return GoTo(here, notice="视频已发布到店铺页面")
    if act == "reject":
        reason = visit.form.get("reason", "").strip()
        if not reason or len(reason) > _MOST_WORDS:
            raise Refused("invalid", 422, fields={"reason": "is required"})
        videos.reject(tx, house, campaign, id_, reason, who, visit.now)
        return GoTo(here, notice="视频没有通过，顾客会看到原因")
    if act == "cut":
        from_ms, to_ms = _milliseconds(visit.form.get("from", "")), _milliseconds(visit.form.get("to", ""))
        fields = {}
        if from_ms is None and visit.form.get("from", "").strip():
            fields["from"] = "must be seconds"
        if to_ms is None and visit.form.get("to", "").strip():
            fields["to"] = "must be seconds"
        if fields:
            raise Refused("invalid", 422, fields=fields)
        videos.cut(tx, house, campaign, id_, from_ms or 0, to_ms, who, visit.now)
        return GoTo(here, notice="正在重新处理，完成后再审核")
    raise Refused("bad_request", 400)


def _milliseconds(text: str) -> int | None:
    """`12` or `12.5` seconds as milliseconds; None for anything else."""
    whole, dot, part = text.strip().partition(".")
    if not (text.isascii() and whole.isdecimal() and len(whole) <= 4 and (part.isdecimal() or not dot)):  # noqa: PLR2004 - an hour
        return None
    return int(whole) * 1000 + int(part[:3].ljust(3, "0") if part else 0)


def _file(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    row = _seen(house, campaign, visit)
    if row["state"] not in {"review", "published"}:
        raise Refused("not_found", 404)
    return FileOf(videos.paths(house, row["id"]).film, "video/mp4", {"Cache-Control": "no-store"})


def _poster(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    row = _seen(house, campaign, visit)
    if row["state"] not in {"review", "published"}:
        raise Refused("not_found", 404)
    return FileOf(videos.paths(house, row["id"]).poster, "image/jpeg", {"Cache-Control": "no-store"})


PAGES: Final = (
    ConsolePage("/orders", _orders, label="团购订单"),
    ConsolePage("/slots", _slots, label="到店时间"),
    ConsolePage("/queue", _board, "clerk", ("GET", "POST"), label="排队"),
    ConsolePage("/videos", _videos, label="到店视频"),
    ConsolePage("/videos/<video>", _video, "operator", ("GET", "POST")),
    ConsolePage("/videos/<video>/file", _file, "operator"),
    ConsolePage("/videos/<video>/poster", _poster, "operator"),
)
