"""The calls under `/api/v1/campaigns/<id>`: who may invite, invitations, bindings, how far they have come, reviews."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from campaigns.referral import binding, invitations, rewarding
from campaigns.referral.rewarding import SIDES
from campaigns.referral.settings import Settings
from gateway.contract.campaign_kind import Reply, Request, Route
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx
from linkgen import qr

_PAGE: Final = 50
_LONGEST: Final = 128


def list_open(tx: Tx, house: House, request: Request) -> Reply:
    """`GET /open?openid…` → `{"items":[{"campaign","name","ends_at","invitation"}]}`: what he may invite to here."""
    person, campaign = _asked_about(house, tx, request), request.campaign
    settings: Settings = campaign.settings
    may = settings.referrers == "anyone" or (
        person and house.tag(tx, campaign.circle, person, request.now).state == "tagged"
    )
    if not campaign.is_open(request.now) or not may:
        return Reply(200, {"items": []})
    standing = invitations.standing(tx, house, campaign, person, request.now) if person else None
    item = {
        "campaign": campaign.slug,
        "name": settings.name,
        "ends_at": to_text(campaign.ends_at) if campaign.ends_at is not None else None,
        "invitation": standing.id if standing is not None else None,
    }
    return Reply(200, {"items": [item]})


def invite(tx: Tx, house: House, request: Request) -> Reply:
    """`POST /invitations {person…}` → 201 `{"invitation","url","qr_svg","expires_at"}`; 200 for the standing one."""
    made = invitations.invite(tx, house, request.campaign, request.person, request.now)
    body = {
        "invitation": made.id,
        "url": made.url,
        "qr_svg": qr.svg(made.url),
        "expires_at": to_text(made.expires_at),
    }
    return Reply(201 if made.is_new else 200, body)


def revoke(tx: Tx, house: House, request: Request) -> Reply:
    """`POST /invitations/revoke {person…}` → `{"revoked": true|false}`."""
    return Reply(200, {"revoked": invitations.revoke(tx, house, request.campaign, request.person, request.now)})


def bind(tx: Tx, house: House, request: Request) -> Reply:
    """`POST /bindings {invitation, person…, device?}` → 201 `{"binding","state":"bound"|"review","reason"}`."""
    named = _text(request, "invitation")
    device = _text(request, "device") if request.body.get("device") is not None else ""
    invitation = invitations.by_id(tx, request.campaign.slug, named)
    bound = binding.bind(tx, house, request.campaign, invitation, request.person, device, request.now)
    return Reply(201, {"binding": bound.id, "state": bound.state, "reason": bound.reason})


def list_referrals(tx: Tx, house: House, request: Request) -> Reply:
    """`GET /referrals?person=&state=&before=` → `{"items":[…],"next"}`; `person`: whom he brought, who brought him."""
    campaign = request.campaign.slug
    state, before = _asked(request, "state"), _asked(request, "before")
    if any(name in request.query for name in ("person", "openid")) or request.person:
        person = _asked_about(house, tx, request)
        group = house.group(tx, person) if person else ()
        rows = list(binding.of_referrer(tx, campaign, group, _PAGE + 1, before)) if group else []
        own = binding.of_friend(tx, campaign, group) if group and not before else None
        shown = [*([own] if own is not None else []), *rows[:_PAGE]]
        shown = [row for row in shown if not state or row["state"] == state]
    else:
        rows = list(binding.in_state(tx, campaign, state, before, _PAGE + 1, request.caller.merchants))
        shown = rows[:_PAGE]
    following = rows[_PAGE - 1]["id"] if len(rows) > _PAGE else None
    return Reply(200, {"items": [_as_json(tx, house, request, row) for row in shown], "next": following})


def approve(tx: Tx, house: House, request: Request) -> Reply:
    """`POST /referrals/<referral>/approve` → `{"referral","state"}`: good, as far as a person can see (R195)."""
    return _decided(tx, house, request, approve=True)


def reject(tx: Tx, house: House, request: Request) -> Reply:
    """`POST /referrals/<referral>/reject` → `{"referral","state":"rejected"}`."""
    return _decided(tx, house, request, approve=False)


def _decided(tx: Tx, house: House, request: Request, *, approve: bool) -> Reply:
    id_ = request.values["referral"]
    state = rewarding.decide(tx, house, request.campaign, id_, request.caller.name, request.now, approve=approve)
    return Reply(200, {"referral": id_, "state": state})


def _as_json(tx: Tx, house: House, request: Request, row: Row) -> Mapping[str, Any]:
    settings: Settings = request.campaign.settings
    links = []
    for side in SIDES:
        if row[f"{side}_link"] is not None:
            # The same link again, with its address: nothing is written for an occasion that has one.
            again = house.issue_link(
                tx,
                request.campaign,
                row[side],
                row["merchant"],
                [],
                settings.terms.link_days,
                rewarding.about(row, side),
                request.now,
            )
            in_scope = request.caller.merchants is None or row["merchant"] in request.caller.merchants
            url = again.url if again is not None and in_scope else None
            links.append({"link": row[f"{side}_link"], "side": side, "person": row[side], "url": url})
    return {
        "referral": row["id"],
        "invitation": row["invitation"],
        "referrer": row["referrer"],
        "person": row["referred"],
        "state": row["state"],
        "reason": row["reason"],
        "due_at": row["due_at"] if row["state"] == "qualified" else None,
        "links": links,
    }


def _asked_about(house: House, tx: Tx, request: Request) -> str:
    """Whom a GET names; "" for nobody we know."""
    person = request.person or _asked(request, "person")
    return person if person and house.group(tx, person) else ""


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
    Route("GET", "/open", list_open, person="optional"),
    Route("POST", "/invitations", invite, person="needed"),
    Route("POST", "/invitations/revoke", revoke, person="needed"),
    Route("POST", "/bindings", bind, person="needed"),
    Route("GET", "/referrals", list_referrals, person="optional"),
    Route("POST", "/referrals/<referral>/approve", approve, role="operator"),
    Route("POST", "/referrals/<referral>/reject", reject, role="operator"),
)
