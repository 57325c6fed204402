"""`/admin/campaigns`: every campaign with its state and budget, its moves, its table, and each kind's own pages."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import tomli_w
from flask import abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.routing import Map

from gateway.auth import Principal
from gateway.catalog import wording
from gateway.catalog.edit import Edit, Moved
from gateway.catalog.specs import Campaign
from gateway.contract.campaign import LEGAL_MOVES, CampaignView, State
from gateway.contract.campaign_kind import Caller, CampaignKind, ConsolePage
from gateway.contract.errors import BadConfig, Refused
from gateway.contract.store import Tx
from gateway.runtime import Runtime
from gateway.web.admin.desk import Desk, desk_of
from gateway.web.admin.door import Answer, Room
from gateway.web.admin.forms import told
from gateway.web.campaign_views import answer, visit_of
from gateway.web.console_map import console_map, match
from gateway.web.pages.chrome import takes

MOST_BYTES: Final = 25 * 1024 * 1024
"""What a form of a kind's console page may bring; the page's own bound is asked after."""


@dataclass(frozen=True, slots=True)
class Line:
    """One campaign in the list."""

    view: CampaignView
    title: str
    circle: str
    budget: Mapping[str, int]


class CampaignPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._maps: Mapping[str, Map] = {
            slug: console_map(kind.pages.console)
            for slug, kind in runtime.registry.campaigns.items()
            if kind.pages is not None
        }

    def index(self, who: Principal) -> Answer:
        """Every campaign in scope."""
        desk = desk_of(self._runtime, who)
        self._runtime.directory()
        circles = {circle.slug: circle.name for circle in desk.circles()}

        def lines(tx: Tx) -> list[Line]:
            host = self._runtime.campaigns
            views = [view for circle in circles for view in host.of_circle(tx, circle, g.now)]
            return [
                Line(view, self._title(view.kind), circles[view.circle], host.house.budget_of(tx, view))
                for view in views
            ]

        return render_template("admin/campaigns.html", lines=self._runtime.store.read(lines), me_zone=desk.zone)

    def show(self, who: Principal, campaign: str) -> Answer:
        """One campaign: how it stands, where it may go, its figures and its kind's pages."""
        desk = desk_of(self._runtime, who)
        view, kind = self._find(desk, campaign)
        budget, counts = self._runtime.store.read(
            lambda tx: (self._runtime.campaigns.house.budget_of(tx, view), kind.counts(tx, view))
        )
        return render_template(
            "admin/campaign.html",
            campaign=view,
            title=self._title(view.kind),
            circle=desk.circle(view.circle),
            budget=budget,
            counts=counts,
            phrases=wording.findings_of(desk.catalog, desk.catalog.campaigns[view.slug]),
            moves=sorted(LEGAL_MOVES[view.state]) if who.may("operator") else (),
            rooms=self._rooms(who, kind),
            entry=kind.pages.entry(view) if kind.pages is not None else None,
        )

    def move(self, who: Principal, campaign: str) -> Answer:
        """Bring it to another state."""
        view, _kind = self._find(desk_of(self._runtime, who), campaign)
        to = request.form.get("to", "")
        if to not in LEGAL_MOVES:
            abort(400)
        now = g.now
        try:
            self._runtime.store.write(
                lambda tx: self._runtime.campaigns.move(tx, view.slug, cast("State", to), who.name, now)
            )
        except Refused as refused:
            if refused.status != 409:  # noqa: PLR2004 - what may be told on the page
                raise
            flash(self._why(refused), "warn")
        else:
            flash(_("已保存"))
        return redirect(url_for(".show", campaign=view.slug), 303)

    def edit(self, who: Principal, campaign: str) -> Answer:
        """Its table, as the apply file has it, changed by the very rules of an apply."""
        desk = desk_of(self._runtime, who)
        view, _kind = self._find(desk, campaign)
        spec = desk.catalog.campaigns[view.slug]
        text, stamp, faults = _text_of(desk, spec), desk.stamp(spec), {}
        if request.method == "POST":
            text, stamp = request.form.get("text", "").replace("\r\n", "\n"), request.form.get("stamp", "")
            try:
                desk.save([Edit("campaign", view.slug, _read(text, desk.table(spec)), stamp)])
            except BadConfig as refused:
                faults = told(refused.faults, "campaign", [])
            except Moved:
                flash(_("别人刚改过，请再看一遍。"), "warn")
                return redirect(url_for(".edit", campaign=view.slug), 303)
            else:
                flash(_("已保存"))
                return redirect(url_for(".show", campaign=view.slug), 303)
        return render_template(
            "admin/campaign_edit.html",
            campaign=view,
            title=self._title(view.kind),
            text=text,
            stamp=stamp,
            faults=faults,
        ), 422 if faults else 200

    def page(self, who: Principal, campaign: str, rest: str) -> Answer:
        """A page of the campaign's kind."""
        view, kind = self._find(desk_of(self._runtime, who), campaign)
        found = match(self._maps.get(view.kind), f"/{rest}", request.method)
        if found is None or kind.pages is None:
            abort(404)
        page, values = found
        if not who.may(page.role):
            raise Refused("forbidden", 403, role=page.role)
        # Each of a kind's pages leads back to its campaign.
        g.campaign = {"slug": view.slug, "title": self._title(view.kind)}
        house = self._runtime.campaigns.house
        visit = visit_of(self._runtime, view.kind, values, ("", ""), "", self._caller(who))
        try:
            seen = page.view(house, view, visit)
        except Refused as refused:
            if refused.status != 409 or request.method != "POST":  # noqa: PLR2004 - as above
                raise
            flash(self._why(refused), "warn")
            return redirect(url_for(".page", campaign=view.slug, rest=rest), 303)
        return answer(self._runtime, view.kind, visit, seen)

    # -- small things -----------------------------------------------------------------------------------------------

    def _find(self, desk: Desk, slug: str) -> tuple[CampaignView, CampaignKind]:
        # The campaigns go by the directory that this process has; a fresh one has none yet.
        self._runtime.directory()
        view = self._runtime.store.read(lambda tx: self._runtime.campaigns.find(tx, slug, g.now))
        kind = self._runtime.campaigns.kind(view.kind) if view is not None else None
        if view is None or kind is None or view.circle not in {circle.slug for circle in desk.circles()}:
            abort(404)
        return view, kind

    def _caller(self, who: Principal) -> Caller:
        most_fen = self._runtime.accounts.most_without_password(who, g.now)
        return Caller(who.name, who.role, who.merchants(self._runtime.directory()), most_fen)

    def _rooms(self, who: Principal, kind: CampaignKind) -> list[ConsolePage]:
        pages = kind.pages.console if kind.pages is not None else ()
        return [page for page in pages if page.label and who.may(page.role)]

    def _title(self, kind: str) -> str:
        found = self._runtime.campaigns.kind(kind)
        return str(_(found.pages.title)) if found is not None and found.pages is not None else kind

    @staticmethod
    def _why(refused: Refused) -> str:
        words = {
            "bad_transition": _("活动已经不在那个状态了。"),
            "underfunded": _("预算不够：开始前要留出约定的金额。"),
            "wording": _("文字里有诱导分享的说法，改好后再开始。"),
        }
        return str(words.get(refused.code, _("没有做成：%(code)s", code=refused.code)))


def campaigns_room(runtime: Runtime) -> Room:
    """The room `campaigns`."""
    pages = CampaignPages(runtime)
    room = Room("campaigns", __name__, runtime)
    room.add("/campaigns", "index", pages.index, role="manager")
    room.add("/campaigns/<campaign>", "show", pages.show, role="manager")
    room.add("/campaigns/<campaign>/state", "move", pages.move, role="operator", methods=("POST",))
    room.add("/campaigns/<campaign>/table", "edit", pages.edit, role="operator", methods=("GET", "POST"))
    # A clerk works at a shop's queue; what else a page wants, its own role says.
    kinds = takes(MOST_BYTES)(pages.page)
    room.add("/campaigns/<campaign>/<path:rest>", "page", kinds, role="clerk", methods=("GET", "POST"))
    return room


_FIXED: Final = frozenset({"kind", "circle", "state"})
"""Keys that an edit leaves as they are: they would make it another campaign, or move it past its states."""


def _text_of(desk: Desk, spec: Campaign) -> str:
    table = {name: value for name, value in desk.table(spec).items() if name not in _FIXED}
    return tomli_w.dumps(table)


def _read(text: str, before: Mapping[str, Any]) -> dict[str, Any]:
    """The keys to change; one that is gone from the text goes back to its default. Raises BadConfig."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadConfig([("text", str(error))]) from None
    faults = [(name, "is not changed here") for name in sorted(_FIXED & set(table))]
    if faults:
        raise BadConfig(faults)
    return {**{name: None for name in before if name not in _FIXED}, **table}
