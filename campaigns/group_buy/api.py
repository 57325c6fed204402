"""The calls under `/api/v1/campaigns/<id>`: thin words around the stories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from campaigns.group_buy import deals, queue, tables, uploads, videos
from campaigns.group_buy.queue import Move
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import Caller, Reply, Request, Route
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx

PIECE: Final = 16 * 1024 * 1024
"""The largest piece of an upload by the API."""
_TUS: Final = {"Tus-Resumable": "1.0.0", "Cache-Control": "no-store"}


def _serves(caller: Caller, merchant: str) -> None:
    if caller.merchants is not None and merchant not in caller.merchants:
        raise Refused("not_found", 404)


def _order(tx: Tx, request: Request) -> Row:
    row = deals.order_of(tx, request.campaign, request.values["order"])
    _serves(request.caller, row["merchant"])
    return row


def _shop(house: House, request: Request) -> str:
    """The shop of the path, one of the deal's merchant. Raises Refused 404."""
    found = house.catalogue().shop(request.values["shop"])
    item = house.catalogue().item(request.campaign.settings.item)
    if found is None or item is None or found.merchant != item.merchant:
        raise Refused("not_found", 404)
    _serves(request.caller, found.merchant)
    return found.slug


def _word(body: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = body.get(key, default)
    if not isinstance(value, str) or (default is None and not value):
        raise Refused("invalid", 422, fields={key: "is required"})
    return value


def offers_json(tx: Tx, house: House, campaign: CampaignView, row: Row, request: Request) -> list[dict[str, Any]]:
    """The list of usable times as the API tells it."""
    return [
        {
            "slot": one.slot.id,
            "date": one.slot.day.isoformat(),
            "meal": one.slot.meal,
            "starts_at": to_text(one.slot.starts_at),
            "left": one.left,
        }
        for one in deals.offers(tx, house, campaign, row, request.now)
    ]


def _order_json(tx: Tx, request: Request, row: Row) -> dict[str, Any]:
    picks = tables.picks(tx, row["id"])
    seen = tables.last_video(tx, row["id"])
    return {
        "order": row["id"],
        "state": row["state"],
        "shop": row["shop"],
        "person": row["person"],
        "amount_fen": row["amount_fen"],
        "coupon": row["coupon"],
        "picked": [one["slot"] for one in picks if one["state"] == "held"],
        "used_slot": next((one["slot"] for one in picks if one["state"] == "used"), None),
        "changes_left": deals.changes_left(row, request.campaign.settings),
        "valid_to": row["valid_to"],
        "prompted_at": row["prompted_at"],
        "video": None if seen is None else {"video": seen["id"], "state": seen["state"], "reason": seen["reason"]},
    }


# -- orders -----------------------------------------------------------------------------------------------------------


def _create(tx: Tx, house: House, request: Request) -> Reply:
    _serves(request.caller, deals.deal(house, request.campaign).merchant)
    row = deals.buy(tx, house, request.campaign, request.person, _word(request.body, "shop"), request.now)
    slots = offers_json(tx, house, request.campaign, row, request)
    return Reply(201, {"order": row["id"], "state": row["state"], "pay_path": row["pay_path"], "slots": slots})


def _show(tx: Tx, house: House, request: Request) -> Reply:
    row = _order(tx, request)
    slots = offers_json(tx, house, request.campaign, row, request)
    return Reply(200, {**_order_json(tx, request, row), "slots": slots})


def _pay(tx: Tx, house: House, request: Request) -> Reply:
    row = _order(tx, request)
    house.mark_paid(tx, row["id"], request.now)
    after = _order(tx, request)
    return Reply(200, {"order": after["id"], "state": after["state"], "coupon": after["coupon"]})


def _choose(tx: Tx, house: House, request: Request) -> Reply:
    _order(tx, request)
    picked = request.body.get("slots")
    if not isinstance(picked, list) or not all(isinstance(one, str) for one in picked):
        raise Refused("invalid", 422, fields={"slots": "must be a list of slots"})
    row = deals.choose(tx, house, request.campaign, request.values["order"], picked, request.now)
    slots = offers_json(tx, house, request.campaign, row, request)
    return Reply(200, {**_order_json(tx, request, row), "slots": slots})


def _use(tx: Tx, house: House, request: Request) -> Reply:
    worth, most = _order(tx, request)["amount_fen"], request.caller.most_fen
    if most is not None and worth > most:
        raise Refused("reauthentication_required", 401, limit_fen=most)
    slot = _word(request.body, "slot", "")
    row = deals.use(tx, house, request.campaign, request.values["order"], slot, request.caller, request.now)
    return Reply(200, _order_json(tx, request, row))


def _pushes(tx: Tx, house: House, request: Request) -> Reply:  # noqa: ARG001 - every handler is given the house
    row = _order(tx, request)
    return Reply(
        200,
        [
            {
                "slot": one["slot"],
                "at": one["at"],
                "state": one["state"],
                "waiting": one["waiting"],
                "estimate_min": one["estimate_min"],
            }
            for one in tables.pushes(tx, row["id"])
        ],
    )


# -- the queue --------------------------------------------------------------------------------------------------------


def _ticket_json(row: Row, line: queue.Line) -> dict[str, Any]:
    return {"ticket": row["id"], "number": row["number"], "state": row["state"], "waiting": line.waiting}


def _take(tx: Tx, house: House, request: Request) -> Reply:
    shop = _shop(house, request)
    row = queue.take(tx, house, request.campaign.slug, shop, request.person, request.now)
    return Reply(201, _ticket_json(row, queue.line(tx, house, shop, request.now)))


def _moves(what: Move) -> Any:
    def handler(tx: Tx, house: House, request: Request) -> Reply:
        shop = _shop(house, request)
        row = queue.move(tx, shop, request.values["ticket"], what, request.now)
        return Reply(200, _ticket_json(row, queue.line(tx, house, shop, request.now)))

    return handler


def _queue(tx: Tx, house: House, request: Request) -> Reply:
    line = queue.line(tx, house, _shop(house, request), request.now)
    return Reply(200, {"waiting": line.waiting, "estimate_min": line.estimate_min})


# -- videos -----------------------------------------------------------------------------------------------------------


def _upload_path(campaign: str, video: str) -> str:
    return f"/api/v1/campaigns/{campaign}/videos/{video}/upload"


def _begin(tx: Tx, house: House, request: Request) -> Reply:
    row = _order(tx, request)
    size, kind = request.body.get("size"), request.body.get("type", "")
    if isinstance(size, bool) or not isinstance(size, int):
        raise Refused("invalid", 422, fields={"size": "must be a whole number above 0"})
    if not isinstance(kind, str) or not kind.startswith("video/"):
        # What is said is not trusted, only held against an honest mistake; the bytes decide.
        raise Refused("invalid", 422, fields={"type": "must be the type of a video"})
    made = videos.begin(tx, house, row, size, request.body.get("consent"), request.now)
    headers = {**_TUS, "Location": _upload_path(request.campaign.slug, made["id"])}
    headers["Upload-Offset"] = str(videos.offset(house, made))
    return Reply(201, {"video": made["id"], "state": made["state"], "most_bytes": PIECE}, headers)


def _video(tx: Tx, request: Request) -> Row:
    row = videos.video(tx, request.campaign.slug, request.values["video"])
    _serves(request.caller, row["merchant"])
    return row


def _piece(_tx: None, house: House, request: Request) -> Reply:
    row = house.store.read(lambda tx: _video(tx, request))
    at = uploads.offset_of(request.headers.get("upload-offset", ""))
    came = videos.put(house, request.campaign, row["id"], at, request.data, request.now)
    return Reply(204, None, {**_TUS, "Upload-Offset": str(came)})


def _offset(_tx: None, house: House, request: Request) -> Reply:
    row = house.store.read(lambda tx: _video(tx, request))
    came = videos.came(house, request.campaign, row, request.now)
    return Reply(200, None, {**_TUS, "Upload-Offset": str(came), "Upload-Length": str(row["size"])})


def _video_json(house: House, row: Row) -> dict[str, Any]:
    return {
        "video": row["id"],
        "order": row["order_id"],
        "state": row["state"],
        "reason": row["reason"],
        "size": row["size"],
        "offset": videos.offset(house, row),
        "length_ms": row["length_ms"],
        "path": f"/campaigns/group_buy/v/{row['id']}" if row["state"] == "published" else None,
    }


def _look(tx: Tx, house: House, request: Request) -> Reply:
    return Reply(200, _video_json(house, _video(tx, request)))


def _approve(tx: Tx, house: House, request: Request) -> Reply:
    row = _video(tx, request)
    after = videos.approve(tx, house, request.campaign, row["id"], request.caller.name, request.now)
    return Reply(200, _video_json(house, after))


def _reject(tx: Tx, house: House, request: Request) -> Reply:
    row = _video(tx, request)
    reason = _word(request.body, "reason", "staff") or "staff"
    if len(reason) > 200:  # noqa: PLR2004 - a sentence or two
        raise Refused("invalid", 422, fields={"reason": "must have at most 200 characters"})
    after = videos.reject(tx, house, request.campaign, row["id"], reason, request.caller.name, request.now)
    return Reply(200, _video_json(house, after))


def _cut(tx: Tx, house: House, request: Request) -> Reply:
    row = _video(tx, request)
    from_ms, to_ms = request.body.get("from_ms", 0), request.body.get("to_ms")
    if isinstance(from_ms, bool) or not isinstance(from_ms, int):
        raise Refused("invalid", 422, fields={"from_ms": "must be a whole number"})
    if to_ms is not None and (isinstance(to_ms, bool) or not isinstance(to_ms, int)):
        raise Refused("invalid", 422, fields={"to_ms": "must be a whole number"})
    after = videos.cut(tx, house, request.campaign, row["id"], from_ms, to_ms, request.caller.name, request.now)
    return Reply(200, _video_json(house, after))


def _withdraw(_tx: None, house: House, request: Request) -> Reply:
    row = house.store.read(lambda tx: _video(tx, request))
    after = videos.withdraw(house, request.campaign, row["id"], request.caller.name, request.now)
    return Reply(200, _video_json(house, after))


ROUTES: Final = (
    Route("POST", "/orders", _create, person="needed"),
    Route("GET", "/orders/<order>", _show),
    Route("POST", "/orders/<order>/pay", _pay, sandbox=True),
    Route("PUT", "/orders/<order>/slots", _choose),
    Route("POST", "/orders/<order>/use", _use),
    Route("GET", "/orders/<order>/pushes", _pushes),
    Route("POST", "/shops/<shop>/tickets", _take, role="clerk", person="optional"),
    Route("POST", "/shops/<shop>/tickets/<ticket>/call", _moves("call"), role="clerk"),
    Route("POST", "/shops/<shop>/tickets/<ticket>/seat", _moves("seat"), role="clerk"),
    Route("POST", "/shops/<shop>/tickets/<ticket>/leave", _moves("leave"), role="clerk"),
    Route("GET", "/shops/<shop>/queue", _queue, role="clerk"),
    Route("POST", "/orders/<order>/video", _begin),
    Route("PATCH", "/videos/<video>/upload", _piece, raw=True, outside=True, most_bytes=PIECE),
    Route("HEAD", "/videos/<video>/upload", _offset, outside=True),
    Route("GET", "/videos/<video>", _look),
    Route("POST", "/videos/<video>/approve", _approve, role="operator"),
    Route("POST", "/videos/<video>/reject", _reject, role="operator"),
    Route("POST", "/videos/<video>/cut", _cut, role="operator"),
    Route("POST", "/videos/<video>/withdraw", _withdraw, outside=True),
)
