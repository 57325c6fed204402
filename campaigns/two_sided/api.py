"""The calls under `/api/v1/campaigns/<id>`: quota codes, merchants who join, what payments brought."""

from __future__ import annotations

from typing import Any, Final

from campaigns.two_sided import listing, people, quota
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import Caller, Reply, Request, Route
from gateway.contract.errors import Refused
from gateway.contract.house import Catalogue, House
from gateway.contract.store import Tx

_PAGE: Final = 50
_LONGEST: Final = 128


def make_codes(tx: Tx, house: House, request: Request) -> Reply:
    """`POST /quota-codes {count, uses?, users?}` → 201 `{"codes":[…]}`."""
    whole = {name: _whole(request, name, default) for name, default in (("count", None), ("uses", 1), ("users", 0))}
    made = quota.make(
        tx,
        house.random,
        request.campaign,
        whole["count"],
        whole["uses"],
        whole["users"],
        request.caller.name,
        request.now,
    )
    house.audit(
        tx, request.caller.name, "two_sided.codes", request.campaign.slug, None, f"{len(made)} made", request.now
    )
    return Reply(201, {"codes": made})


def list_codes(tx: Tx, _house: House, request: Request) -> Reply:
    """`GET /quota-codes?after=` → `{"items":[…],"next"}`."""
    found = quota.codes(tx, request.campaign.slug, _asked(request, "after"), _PAGE + 1)
    items = [
        {"code": one.code, "state": one.state, "uses": one.uses, "used": one.used, "users": one.users}
        for one in found[:_PAGE]
    ]
    return Reply(200, {"items": items, "next": items[-1]["code"] if len(found) > _PAGE else None})


def void_code(tx: Tx, house: House, request: Request) -> Reply:
    """`POST /quota-codes/<code>/void` → `{"code","state":"void"}`."""
    code = request.values["code"]
    state = quota.void(tx, request.campaign, code, request.now)
    house.audit(tx, request.caller.name, "two_sided.code_void", request.campaign.slug, None, code[-4:], request.now)
    return Reply(200, {"code": code, "state": state})


def join(tx: Tx, house: House, request: Request) -> Reply:
    """`POST /merchants {merchant, code, person…?}` → 201 `{"state":"bound"}`, 200 where he was; `person`: his own."""
    merchant, code = _text(request, "merchant"), _text(request, "code")
    must_take_part(house.catalogue(), request.campaign, request.caller, merchant)
    is_new = quota.bind(tx, request.campaign, merchant, code, request.caller.name, request.now)
    if request.person:
        people.add(tx, request.campaign.slug, merchant, request.person, request.caller.name, request.now)
    if is_new:
        house.audit(tx, request.caller.name, "two_sided.join", request.campaign.slug, None, merchant, request.now)
    return Reply(201 if is_new else 200, {"merchant": merchant, "state": "bound"})


def list_merchants(tx: Tx, _house: House, request: Request) -> Reply:
    """`GET /merchants` → `{"items":[{"merchant","state","joined_at","held_fen"}]}`, those in the caller's scope."""
    mine = request.caller.merchants
    items = [
        {
            "merchant": row["merchant"],
            "state": "bound",
            "joined_at": row["joined_at"],
            "held_fen": listing.held_by_merchant(tx, row["merchant"]),
        }
        for row in quota.members(tx, request.campaign.slug)
        if mine is None or row["merchant"] in mine
    ]
    return Reply(200, {"items": items})


def add_person(tx: Tx, house: House, request: Request) -> Reply:
    """`POST /merchants/<merchant>/people {person… | transaction_id}` → 201: his own person (R166)."""
    merchant = request.values["merchant"]
    must_take_part(house.catalogue(), request.campaign, request.caller, merchant)
    person = request.person or people.payer_of(tx, request.campaign.slug, merchant, _text(request, "transaction_id"))
    is_new = people.add(tx, request.campaign.slug, merchant, person, request.caller.name, request.now)
    if is_new:
        house.audit(tx, request.caller.name, "two_sided.own_person", request.campaign.slug, None, merchant, request.now)
    return Reply(201 if is_new else 200, {"merchant": merchant, "person": person})


def list_firings(tx: Tx, _house: House, request: Request) -> Reply:
    """`GET /firings?transaction_id=&state=&before=` → `{"items":[…],"next"}`, of merchants in the caller's scope."""
    rows = listing.firings(
        tx,
        request.campaign.slug,
        merchants=request.caller.merchants,
        transaction_id=_asked(request, "transaction_id"),
        state=_asked(request, "state"),
        before=_asked(request, "before"),
        most=_PAGE + 1,
    )
    return Reply(
        200,
        {
            "items": [listing.as_json(row) for row in rows[:_PAGE]],
            "next": rows[_PAGE - 1]["id"] if len(rows) > _PAGE else None,
        },
    )


def must_take_part(catalogue: Catalogue, campaign: CampaignView, caller: Caller, merchant: str) -> None:
    """Raises Refused `not_found` for a merchant that is not there, not of this campaign, or not the caller's."""
    facts = catalogue.merchant(merchant)
    is_in = facts is not None and facts.circle == campaign.circle and campaign.includes(merchant)
    if not is_in or (caller.merchants is not None and merchant not in caller.merchants):
        raise Refused("not_found", 404)


def _whole(request: Request, name: str, default: int | None) -> int:
    value: Any = request.body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused("invalid", 422, fields={name: "must be a whole number"})
    return value


def _text(request: Request, name: str) -> str:
    value = request.body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or not value.isprintable():
        raise Refused("invalid", 422, fields={name: f"must be a text of at most {_LONGEST} characters"})
    return value


def _asked(request: Request, name: str) -> str:
    """A value of the query; one that nothing here can have is refused before the store is asked."""
    value = request.query.get(name, "")
    if len(value) > _LONGEST or not value.isprintable():
        raise Refused("invalid", 422, fields={name: f"must be a text of at most {_LONGEST} characters"})
    return value


ROUTES: Final = (
    Route("POST", "/quota-codes", make_codes, role="operator"),
    Route("GET", "/quota-codes", list_codes, role="operator"),
    Route("POST", "/quota-codes/<code>/void", void_code, role="operator"),
    Route("POST", "/merchants", join, person="optional"),
    Route("GET", "/merchants", list_merchants),
    Route("POST", "/merchants/<merchant>/people", add_person, person="optional"),
    Route("GET", "/firings", list_firings),
)
