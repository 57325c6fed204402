"""The customers' pages of campaigns: each kind's own, at the paths it names, and `/campaigns`, where they begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Blueprint, g, render_template
from werkzeug.wrappers import Response

from gateway.catalog.directory import Directory
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import CampaignKind, Page, Pages, Seen, SignInFirst, Visit
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Tx
from gateway.runtime import Runtime
from gateway.web.campaign_views import PHONE, answer, visit_of
from gateway.web.pages import browser, customer, wallet
from gateway.web.pages.chrome import guard, takes


def campaigns_blueprint(runtime: Runtime) -> Blueprint:
    """Every kind's pages for customers, under the name `campaigns`."""
    blueprint = guard(Blueprint("campaigns", __name__), runtime)
    blueprint.add_url_rule("/campaigns", "list", _list(runtime))
    for slug, kind in runtime.registry.campaigns.items():
        if kind.pages is not None:
            blueprint.register_blueprint(_kind_blueprint(runtime, slug, kind.pages))
    return blueprint


def _kind_blueprint(runtime: Runtime, slug: str, pages: Pages) -> Blueprint:
    blueprint = Blueprint(slug, __name__, template_folder=str(pages.folder / "templates"))
    for number, page in enumerate(pages.customer):
        view = takes(page.most_bytes)(_view(runtime, slug, page))
        methods = [method for method in page.methods if method != "HEAD" or "GET" not in page.methods]
        blueprint.add_url_rule(page.path, f"page{number}", view, methods=methods)
    return blueprint


def _view(runtime: Runtime, slug: str, page: Page) -> Callable[..., Response]:
    def view(**values: Any) -> Response:
        # A house knows the catalogue from memory: it may be the first request of a process that asks for it.
        runtime.directory()
        house = runtime.campaigns.house
        known = customer.signed_in(g.now)
        who = (known.person, known.circle) if known is not None else ("", "")
        visit = visit_of(runtime, slug, values, who, browser.identity(runtime))
        try:
            seen = page.view(house, visit)
        except SignInFirst as wanted:
            # Ends the request unless he is known there already: he signed in for another circle by the same app.
            person = wallet.require(runtime, wanted.circle).person
            visit = replace(visit, person=person, circle=wanted.circle)
            seen = _again(page, house, visit)
        return answer(runtime, slug, visit, seen)

    return view


def _again(page: Page, house: House, visit: Visit) -> Seen:
    """The page once more, now that it is known who looks; one that wants a second circle as well is none of ours."""
    try:
        return page.view(house, visit)
    except SignInFirst:
        raise Refused("not_found", 404) from None


def _list(runtime: Runtime) -> Callable[[], str]:
    def show() -> str:
        """What is on for whoever looks: of the circle he signed in for, else of all."""
        who = customer.signed_in(g.now)
        directory = runtime.directory()
        circle = who.circle if who is not None else None
        found = runtime.store.read(lambda tx: _open(tx, runtime, directory, circle))
        return render_template("campaigns.html", campaigns=found, mount=f"{PHONE}{g.guest}" if g.get("guest") else "")

    return show


def _open(tx: Tx, runtime: Runtime, directory: Directory, circle: str | None) -> list[dict[str, Any]]:
    circles = [circle] if circle else sorted(directory.catalog.circles)
    found = []
    for slug in circles:
        for view in runtime.campaigns.of_circle(tx, slug, g.now):
            kind = runtime.campaigns.kind(view.kind)
            entry = _entry(kind, view)
            if entry and view.is_open(g.now):
                assert kind is not None  # it has an entry
                assert kind.pages is not None
                title = kind.pages.label or kind.pages.title
                found.append({"title": title, "path": entry, **_about(runtime, kind, view)})
    return found


def _about(runtime: Runtime, kind: CampaignKind, view: CampaignView) -> dict[str, str]:
    """What a campaign is of, and whose: its item with the merchant, else the merchants it is of, else the circle."""
    directory = runtime.directory()
    items, merchants, place = directory.catalog.items, directory.catalog.merchants, directory.circle(view.circle)
    item = items.get(kind.pages.item(view)) if kind.pages is not None else None
    owners = {item.merchant} if item is not None else view.merchants
    names = [merchants[one].name for one in sorted(owners) if one in merchants]
    circle = place.name if place is not None else view.circle
    return {"item": item.name if item is not None else "", "whose": " · ".join([circle, *names])}


def _entry(kind: CampaignKind | None, view: CampaignView) -> str | None:
    return kind.pages.entry(view) if kind is not None and kind.pages is not None else None
