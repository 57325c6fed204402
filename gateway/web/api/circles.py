"""Persons, shares and the summary: what concerns a circle as a whole."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from gateway.auth.principal import Principal
from gateway.catalog.directory import Directory
from gateway.contract.errors import Refused
from gateway.reading import persons, summary
from gateway.web.api.guard import principal, public_url
from gateway.web.api.models import NewShare, Person, Share, Summary
from gateway.web.api.payments import link_view
from gateway.web.api.surface import Surface
from linkgen.urls import invite_url


def circles_blueprint(surface: Surface) -> Blueprint:
    """`/persons`, `/shares`, `/summary`."""
    blueprint = Blueprint("circles", __name__)
    runtime = surface.runtime

    @blueprint.get("/persons/<person_id>")
    @surface.operation("operator", "persons", Person, refusals=(404,))
    def person(person_id: str) -> dict[str, Any]:
        """How a person stands to each circle of yours, his links and coupons."""
        directory = runtime.directory()
        circles = principal().circles(directory)
        wanted = directory.catalog.circles if circles is None else circles
        found = runtime.store.read(
            lambda tx: persons.as_json(tx, person_id, wanted, link_view(runtime), everywhere=circles is None)
        )
        if found is None:
            raise Refused("not_found", 404)
        return found

    @blueprint.post("/shares")
    @surface.operation("manager", "shares", Share, status=201, refusals=(404, 409))
    def share(json: NewShare) -> tuple[dict[str, Any], int]:
        """An invitation in a person's name; who takes it up has him as the source of his tag."""
        circle = _circle_for(principal(), runtime.directory(), json.circle)
        made = runtime.sharing.create(json.person, circle, runtime.clock())
        return {"share": made.id, "url": invite_url(public_url(runtime), made.token)}, 201

    @blueprint.get("/summary")
    @surface.operation("operator", "summary", Summary)
    def counts() -> dict[str, int]:
        """Counts of the house, or of your circle."""
        scope = _scope(principal(), runtime.directory())
        return runtime.store.read(lambda tx: summary.counts(tx, runtime.clock(), scope))

    return blueprint


def _circle_for(asker: Principal, directory: Directory, named: str | None) -> str:
    """The circle that is meant. Raises Refused: `not_found` for one out of scope, `ambiguous` where none is named."""
    circles = asker.circles(directory)
    known = directory.catalog.circles.keys() if circles is None else circles & directory.catalog.circles.keys()
    if named is not None:
        if named not in known:
            raise Refused("not_found", 404)
        return named
    if not known:
        raise Refused("not_found", 404)
    if len(known) > 1:
        raise Refused("ambiguous", 409, circles=sorted(known))
    return next(iter(known))


def _scope(asker: Principal, directory: Directory) -> summary.Scope | None:
    if asker.role == "admin" or asker.circle is None:
        return None
    merchants = asker.merchants(directory) or frozenset()
    channels = [channel.slug for channel in directory.catalog.channels.values() if channel.merchant in merchants]
    return summary.Scope(asker.circle, merchants, channels)
