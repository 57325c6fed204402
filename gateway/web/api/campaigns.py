"""The campaigns' calls: how one stands, moving it, and whatever its kind offers, under `/campaigns/<id>/…`.

A kind's handler is called in one transaction with a checked `Request`; every POST wants an Idempotency-Key, and what it
answered with success is kept under it in that very transaction.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from gateway import people
from gateway.catalog.registry import Registry
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import Caller, Reply, Request, Route
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Tx
from gateway.runtime import Runtime
from gateway.wallets import payer_of
from gateway.web.api.bodies import check_body, is_storable
from gateway.web.api.guard import body_of, open_to, own_body, principal
from gateway.web.api.models import Campaign, CampaignMove
from gateway.web.api.surface import Surface

_KEY: Final = re.compile(r"[!-~]{1,200}\Z", re.ASCII)
_NAMES_A_PERSON: Final = ("person", "openid", "channel")
_KEPT_HEADERS: Final = re.compile(r"(upload-|tus-|content-type\Z|range\Z|idempotency-key\Z)", re.ASCII)
_ROUTE: Final = re.compile(r"(/(<[a-z_]+>|[a-z-]+))+\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call before its transaction: who, what, and the person as he was named.

    `bounds`: role and scope of the caller. Two tokens may bear one name: what one was answered is not the other's.
    """

    runtime: Runtime
    view: CampaignView
    route: Route
    caller: Caller
    values: Mapping[str, str]
    body: Mapping[str, Any]
    data: bytes
    now: datetime
    headers: Mapping[str, str]
    query: Mapping[str, str]
    named: str = ""
    identities: tuple[people.Identity, ...] = ()
    key: str = ""
    bounds: tuple[str | None, ...] = ()


def route_map(routes: Any) -> Map:
    """What matches a path to one of a kind's routes. Raises ValueError for a path that is none."""
    rules = []
    for route in routes:
        if not _ROUTE.match(route.path):
            raise ValueError(f"{route.path} is no path of a campaign's call")
        rules.append(Rule(route.path, methods=[route.method], endpoint=route))
    # A HEAD is a call of its own here, as resumable uploads have it.
    return Map(rules, strict_slashes=True, merge_slashes=False, redirect_defaults=False)


def _maps(registry: Registry) -> Mapping[str, Map]:
    return {slug: route_map(kind.routes) for slug, kind in registry.campaigns.items()}


def campaigns_blueprint(surface: Surface) -> Blueprint:
    """`/campaigns/<id>` and everything below it."""
    blueprint = Blueprint("campaigns", __name__)
    runtime = surface.runtime
    maps = _maps(runtime.registry)

    moving = Route("POST", "/state", partial(_move, runtime), role="operator")

    @blueprint.get("/campaigns/<campaign>")
    @surface.operation("manager", "campaigns", Campaign, refusals=(404,))
    def campaign_show(campaign: str) -> dict[str, Any]:
        """How a campaign stands: state, version, budget, counts."""
        view = _find(runtime, campaign)
        return runtime.store.read(lambda tx: as_json(tx, runtime, view))

    @blueprint.post("/campaigns/<campaign>/state")
    @surface.operation("operator", "campaigns", Campaign, refusals=(404, 409), keyed=True)
    def campaign_state(campaign: str, json: CampaignMove) -> dict[str, Any]:
        """Move a campaign to another state. What it promises is set aside before it goes live."""
        asked = _called(runtime, _find(runtime, campaign), moving, {}, {"to": json.to}, b"")
        moved: dict[str, Any] = _run(asked).body
        return moved

    @blueprint.route("/campaigns/<campaign>/<path:rest>", methods=["GET", "POST", "PUT", "PATCH", "HEAD"])
    @own_body
    @open_to("clerk")
    def campaign_call(campaign: str, rest: str) -> Response:
        """A call of the campaign's kind."""
        view = _find(runtime, campaign)
        route, values = _match(maps[view.kind], f"/{rest}", request.method)
        if route.sandbox and not runtime.config.sandbox.enabled:
            raise Refused("not_found", 404)
        if not principal().may(route.role):
            raise Refused("forbidden", 403)
        data = body_of(route.most_bytes)
        if not route.raw:
            check_body(data, request.mimetype, is_json=request.is_json)
        body = {} if route.raw else _json_of(data)
        return _answer(_run(_called(runtime, view, route, values, body, data if route.raw else b"")))

    return blueprint


def _find(runtime: Runtime, slug: str) -> CampaignView:
    """Raises Refused `not_found`, for another circle's too."""
    directory, now = runtime.directory(), runtime.clock()
    view = runtime.store.read(lambda tx: runtime.campaigns.find(tx, slug, now))
    circles = principal().circles(directory)
    if view is None or (circles is not None and view.circle not in circles):
        raise Refused("not_found", 404)
    return view


def _move(runtime: Runtime, tx: Tx, _house: House, asked: Request) -> Reply:
    moved = runtime.campaigns.move(tx, asked.campaign.slug, asked.body["to"], asked.caller.name, asked.now)
    return Reply(200, as_json(tx, runtime, moved))


def as_json(tx: Tx, runtime: Runtime, view: CampaignView) -> dict[str, Any]:
    """A campaign as the API shows it."""
    return {
        "id": view.slug,
        "kind": view.kind,
        "state": view.state,
        "version": view.version,
        "budget": dict(runtime.campaigns.house.budget_of(tx, view)),
        "counts": dict(runtime.registry.campaigns[view.kind].counts(tx, view)),
    }


# -- one call ---------------------------------------------------------------------------------------------------------


def _match(map_: Map, path: str, method: str) -> tuple[Route, Mapping[str, str]]:
    try:
        endpoint, values = map_.bind("").match(path, method=method)
    except HTTPException as refused:
        if refused.code == HTTPStatus.METHOD_NOT_ALLOWED:
            raise
        raise Refused("not_found", 404) from None
    return endpoint, values


def _called(
    runtime: Runtime, view: CampaignView, route: Route, values: Mapping[str, str], body: dict[str, Any], data: bytes
) -> _Call:
    now = runtime.clock()
    key = _key() if route.method == "POST" else ""
    named: str = ""
    identities: tuple[people.Identity, ...] = ()
    if route.person != "no":
        named, identities = _named(runtime, view, body if route.method not in {"GET", "HEAD"} else dict(request.args))
        if route.person == "needed" and not named and not identities:
            raise Refused("invalid", 422, fields={"person": "is required"})
        body = {name: value for name, value in body.items() if name not in _NAMES_A_PERSON}
    headers = {name.lower(): value for name, value in request.headers if _KEPT_HEADERS.match(name.lower())}
    query, who = dict(request.args), principal()
    bounds = (who.role, who.circle, who.merchant)
    return _Call(
        runtime, view, route, _caller(runtime), values, body, data, now, headers, query, named, identities, key, bounds
    )


def _key() -> str:
    key = request.headers.get("Idempotency-Key", "")
    if not _KEY.match(key):
        raise Refused("idempotency_key_required", 400)
    return key


def _json_of(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(data) if data else {}
    return found


def _caller(runtime: Runtime) -> Caller:
    who = principal()
    most_fen = runtime.accounts.most_without_password(who, runtime.clock())
    return Caller(who.name, who.role, who.merchants(runtime.directory()), most_fen)


def _named(runtime: Runtime, view: CampaignView, said: Mapping[str, Any]) -> tuple[str, tuple[people.Identity, ...]]:
    """The person that a call names: by his id, or in the sandbox by an openid at a channel.

    Raises Refused `invalid` (422).
    """
    person, openid, channel = (said.get(name) for name in _NAMES_A_PERSON)
    faults = {
        name: "must be text"
        for name, value in zip(_NAMES_A_PERSON, (person, openid, channel), strict=True)
        if value is not None and not (isinstance(value, str) and is_storable(value))
    }
    if person is not None and openid is not None:
        faults["openid"] = "stands beside person"
    if openid is None and channel is not None:
        faults["openid"] = "is required with channel"
    if openid is not None and not runtime.config.sandbox.enabled:
        faults["openid"] = "names a customer in the sandbox only"
    elif openid is not None and channel is None:
        faults["channel"] = "is required with openid"
    if faults:
        raise Refused("invalid", 422, fields=faults)
    if openid is None:
        return str(person or ""), ()
    live = runtime.directory().channel(str(channel))
    if live is None or live.circle.slug != view.circle:
        raise Refused("invalid", 422, fields={"channel": "is no channel of the campaign's circle"})
    return "", people.identities(runtime.vault(), live.provider, [payer_of(live, str(openid))])


def _run(call: _Call) -> Reply:
    """Answer it, in its transaction; of the same key the same answer. Raises Refused."""
    route, store = call.route, call.runtime.store
    if not route.outside:
        return store.write(lambda tx: _once(call, tx)) if _writes(route) else store.read(lambda tx: _once(call, tx))
    known, asked = store.write(lambda tx: (_known(call, tx), _request(call, tx)))
    if known is not None:
        return known
    reply: Reply = route.handler(None, call.runtime.campaigns.house, asked)
    if call.key:
        store.write(lambda tx: _keep(call, tx, reply))
    return reply


def _writes(route: Route) -> bool:
    """A look changes nothing, but for the person whom the sandbox may name for the first time."""
    return route.method not in {"GET", "HEAD"} or route.person != "no"


def _once(call: _Call, tx: Tx) -> Reply:
    known = _known(call, tx)
    if known is not None:
        return known
    reply: Reply = call.route.handler(tx, call.runtime.campaigns.house, _request(call, tx))
    if call.key:
        _keep(call, tx, reply)
    return reply


def _request(call: _Call, tx: Tx) -> Request:
    person = call.named
    if call.identities:
        person = people.recognise(tx, call.runtime.ids, call.now, call.identities).id
    elif person:
        found = people.look_up(tx, person)
        if found is None:
            raise Refused("not_found", 404)
        person = found.id
    # How it stands inside this very transaction: the state may have moved since the call came in.
    view = call.runtime.campaigns.find(tx, call.view.slug, call.now) or call.view
    return Request(view, call.caller, person, call.values, call.query, call.body, call.now, call.data, call.headers)


def _known(call: _Call, tx: Tx) -> Reply | None:
    if not call.key:
        return None
    tx.lock(f"request:{_scope(call)}:{call.key}")
    row = tx.one(
        "SELECT digest, status, answer FROM idempotency WHERE scope = :scope AND key = :key",
        {"scope": _scope(call), "key": call.key},
    )
    if row is None:
        return None
    if bytes(row["digest"]) != _digest(call):
        raise Refused("idempotency_key_reused", 409)
    kept = json.loads(row["answer"])
    return Reply(row["status"], kept["body"], kept["headers"])


def _keep(call: _Call, tx: Tx, reply: Reply) -> None:
    tx.run(
        "INSERT INTO idempotency (scope, key, digest, status, answer, created_at) "
        "VALUES (:scope, :key, :digest, :status, :answer, :now) ON CONFLICT (scope, key) DO NOTHING",
        {
            "scope": _scope(call),
            "key": call.key,
            "digest": _digest(call),
            "status": reply.status,
            "answer": json.dumps({"body": reply.body, "headers": dict(reply.headers)}),
            "now": to_text(call.now),
        },
    )


def _scope(call: _Call) -> str:
    return f"campaign:{call.view.slug}:{call.caller.name}"


def _digest(call: _Call) -> bytes:
    person = call.named or [identity.blind.hex() for identity in call.identities]
    said = [call.route.path, dict(call.values), call.body, person, sha256(call.data).hexdigest(), call.bounds]
    return sha256(json.dumps(said, sort_keys=True).encode()).digest()


def _answer(reply: Reply) -> Response:
    body = b"" if reply.body is None else json.dumps(reply.body, ensure_ascii=False).encode()
    response: Response = current_app.response_class(body, reply.status, dict(reply.headers))
    if reply.body is not None:
        response.mimetype = "application/json"
    return response
