"""The calls of a flash sale: reserve, pay (sandbox), cancel, how the stock stands, split it anew, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from campaigns.flash_sale import reserving, rules, splitting, tables
from campaigns.flash_sale.buying import buy
from campaigns.flash_sale.reserving import must_have, told_state, wish_of
from campaigns.flash_sale.tables import Reservation
from gateway.contract.campaign_kind import Reply, Request, Route
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Tx


def reserve(_tx: None, house: House, request: Request) -> Reply:
    """`POST /reservations`: 201 with what pays for it. The call's key makes it one reservation, whoever repeats it."""
    key = request.headers.get("idempotency-key") or house.ids.new("fq", request.now)
    wish = wish_of(request.campaign.settings, request.person, f"api:{request.caller.name}:{key}", request.body)
    made = buy(house, request.campaign, wish, request.now)
    return Reply(201, _reservation(made))


def show(tx: Tx, _house: House, request: Request) -> Reply:
    """`GET /reservations/<r>`."""
    return Reply(200, _reservation(must_have(tx, request.campaign, request.values["reservation"])))


def pay(tx: Tx, house: House, request: Request) -> Reply:
    """`POST /reservations/<r>/pay` (sandbox): as if the wallet had told; late money buys what is left or goes back."""
    _empty(request.body)
    known = must_have(tx, request.campaign, request.values["reservation"])
    house.mark_paid(tx, known.order_id, request.now)
    state = must_have(tx, request.campaign, known.id).state
    return Reply(200, {"reservation": known.id, "state": "refunded" if state != "sold" else state})


def cancel(tx: Tx, house: House, request: Request) -> Reply:
    """`POST /reservations/<r>/cancel`: twice the same."""
    _empty(request.body)
    done = reserving.cancel(tx, house, request.campaign, request.values["reservation"], request.now)
    return Reply(200, {"reservation": done.id, "state": done.state})


def stock(tx: Tx, _house: House, request: Request) -> Reply:
    """`GET /stock`: total = sold + held + left, always."""
    campaign = request.campaign
    sale, shards = splitting.shards_now(tx, campaign)
    sums = rules.stock_of(shards)
    told = [
        {"shard": shard.number, "left": shard.left, "held": shard.held, "sold": shard.sold}
        for shard in splitting.told_of(campaign.settings, shards)
    ]
    return Reply(200, {**_sums(sums), "unit": campaign.settings.unit, "map": sale.map if sale else 0, "shards": told})


def resplit(tx: Tx, house: House, request: Request) -> Reply:
    """`POST /resplit`: another total or number of shards for a paused sale."""
    fields = dict.fromkeys(sorted(set(request.body) - {"shards", "total"}), "is not a field of this call")
    for name in ("shards", "total"):
        value = request.body.get(name)
        if value is not None and type(value) is not int:
            fields[name] = "must be a whole number"
    if fields:
        raise Refused("invalid", 422, fields=fields)
    body = request.body
    splitting.resplit(
        tx, house, request.campaign, request.caller.name, body.get("shards"), body.get("total"), request.now
    )
    return stock(tx, house, request)


def rebuild(tx: Tx, house: House, request: Request) -> Reply:
    """`POST /rebuild`: the shards of a paused sale anew from the journal."""
    _empty(request.body)
    splitting.rebuild(tx, house, request.campaign, request.caller.name, request.now)
    return stock(tx, house, request)


def report(tx: Tx, _house: House, request: Request) -> Reply:
    """`GET /report`: total = sold + rest, counted three times over."""
    found = splitting.report(tx, request.campaign)
    return Reply(
        200,
        {
            **_sums(found.stock),
            "rest": found.rest,
            "journal": _sums(found.journal),
            "reservations": {"held": found.reserved_held, "sold": found.reserved_sold},
            "agrees": found.agrees,
        },
    )


def journal(tx: Tx, _house: House, request: Request) -> Reply:
    """`GET /journal?cursor=`: every change of a shard, newest first."""
    rows = tables.journal_page(tx, request.campaign.slug, request.query.get("cursor", ""), 51)
    items = [
        {
            "id": row["id"],
            "at": row["at"],
            "entry": row["entry"],
            "map": row["map"],
            "shard": row["shard"],
            "reservation": row["reservation"] or None,
            "left": row["units_left"],
            "held": row["held"],
            "sold": row["sold"],
        }
        for row in rows[:50]
    ]
    return Reply(200, {"items": items, "next": items[-1]["id"] if len(rows) > len(items) else None})


def _sums(stock: rules.Stock) -> dict[str, int]:
    return {"total": stock.total, "sold": stock.sold, "held": stock.held, "left": stock.left}


def _reservation(made: Reservation) -> dict[str, Any]:
    return {
        "reservation": made.id,
        "state": told_state(made.state, made.back, made.quantity),
        "shard": made.shard,
        "quantity": made.quantity,
        "units": made.units,
        "amount_fen": made.amount_fen,
        "order": made.order_id,
        "expires_at": to_text(made.expires_at),
    }


def _empty(body: Mapping[str, Any]) -> None:
    if body:
        raise Refused("invalid", 422, fields=dict.fromkeys(sorted(body), "is not a field of this call"))


ROUTES: Sequence[Route] = (
    # Outside a transaction: the gate may lie on another machine, and is asked first.
    Route("POST", "/reservations", reserve, person="needed", outside=True),
    Route("GET", "/reservations/<reservation>", show),
    Route("POST", "/reservations/<reservation>/pay", pay, sandbox=True),
    Route("POST", "/reservations/<reservation>/cancel", cancel),
    Route("GET", "/stock", stock),
    Route("POST", "/resplit", resplit, role="operator"),
    Route("POST", "/rebuild", rebuild, role="operator"),
    Route("GET", "/report", report),
    Route("GET", "/journal", journal),
)
