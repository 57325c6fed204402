"""`/admin/pairs`: who gives whose items (R040). A grid, rows give and columns take; one shop's list where narrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast

from flask import flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway.auth import Principal
from gateway.catalog.edit import Edit, Moved, fresh_slug, stamp_of, stamp_of_all
from gateway.catalog.encoding import SecretId
from gateway.catalog.rules import directions
from gateway.catalog.specs import Catalog, Circle, Merchant, Pair, Relation
from gateway.catalog.storage import Stored
from gateway.contract.errors import BadConfig
from gateway.contract.ids import floor_id
from gateway.contract.store import Tx
from gateway.runtime import Runtime
from gateway.web.admin.desk import Desk, desk_of
from gateway.web.admin.door import Answer, Room
from gateway.web.admin.forms import told

MOST_IN_GRID: Final = 12
COUNTED_DAYS: Final = 30
_RELATIONS: Final[tuple[Relation, ...]] = ("allow", "prefer", "block")

Way = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Cell:
    """One way from giver to taker: how it stands, whether the taker lets others give anything, the last 30 days."""

    giver: str
    taker: str
    relation: Relation
    consents: bool
    sent: int = 0
    received: int = 0
    used: int = 0

    @property
    def name(self) -> str:
        """The field's name in the form."""
        return f"{self.giver}>{self.taker}"


class PairPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:
        """The grid of one circle; saving tells what changed."""
        desk = desk_of(self._runtime, who)
        circles = desk.circles()
        wanted = request.values.get("circle", circles[0].slug if circles else "")
        if not circles:
            return render_template("admin/pairs.html", circles=[], circle=None)
        circle = desk.circle(wanted)
        faults: dict[str, str] = {}
        if request.method == "POST":
            stamp = request.form.get("stamp", "")
            sent = _sent_ways(_members(desk.catalog, circle.slug))
            try:
                changes = desk.save(lambda stored, name: edits_for(stored, name, circle.slug, stamp, sent))
            except BadConfig as refused:
                faults = told(refused.faults, "pair", [])
            except Moved:
                return self._moved(desk, circle, sent)
            else:
                flash(_("已保存：%(n)s 处改动", n=len(changes)) if changes else _("没有改动"))
                return redirect(url_for(".index", circle=circle.slug, shop=request.form.get("shop") or None), 303)
        return self._page(desk, circle, faults)

    def _page(self, desk: Desk, circle: Circle, faults: Mapping[str, str]) -> Answer:
        members = _members(desk.catalog, circle.slug)
        grid = self._cells(desk, circle, members)
        shop = request.values.get("shop", "")
        known = {one.slug for one in members}
        if shop not in known:
            shop = members[0].slug if members and len(members) > MOST_IN_GRID else ""
        flows = {
            one.slug: (
                sum(cell.sent for cell in grid.values() if cell.giver == one.slug),
                sum(cell.sent for cell in grid.values() if cell.taker == one.slug),
            )
            for one in members
        }
        page = render_template(
            "admin/pairs.html",
            circles=desk.circles(),
            circle=circle,
            members=members,
            grid=grid,
            shop=shop,
            is_big=len(members) > MOST_IN_GRID,
            most=MOST_IN_GRID,
            days=COUNTED_DAYS,
            flows=flows,
            faults=faults,
            stamp=_stamp(desk.catalog, desk.name, circle.slug),
        )
        return (page, 422) if faults else page

    def _moved(self, desk: Desk, circle: Circle, sent: Mapping[Way, Relation]) -> Answer:
        words = {"allow": _("可"), "prefer": _("优先"), "block": _("不")}
        names = {one.slug: one.name for one in _members(desk.catalog, circle.slug)}
        standing = _standing(desk.catalog)
        rows = [
            (f"{names[giver]} → {names[taker]}", words[relation], words[standing.get((giver, taker), "allow")])
            for (giver, taker), relation in sent.items()
            if relation != standing.get((giver, taker), "allow")
        ]
        back = url_for(".index", circle=circle.slug)
        return render_template("admin/moved.html", rows=rows, is_gone=False, back=back), 409

    def _cells(self, desk: Desk, circle: Circle, members: Sequence[Merchant]) -> dict[Way, Cell]:
        since = floor_id("l", g.now - timedelta(days=COUNTED_DAYS))
        counts = self._runtime.store.read(lambda tx: _counts(tx, circle.slug, since))
        consents = {
            one.merchant for one in desk.catalog.items.values() if one.offer != "own" and one.weight and not one.paused
        }
        standing = _standing(desk.catalog)
        return {
            (giver.slug, taker.slug): Cell(
                giver.slug,
                taker.slug,
                standing.get((giver.slug, taker.slug), "allow"),
                taker.slug in consents,
                *counts.get((giver.slug, taker.slug), (0, 0, 0)),
            )
            for giver in members
            for taker in members
            if giver.slug != taker.slug
        }


def edits_for(stored: Stored, name: SecretId, circle: str, stamp: str, wanted: Mapping[Way, Relation]) -> list[Edit]:
    """The edits that bring a circle's pairs to what a form says; ways that it does not name stay.

    Each two merchants have at most one table where both ways agree, else one a way; `allow` both ways needs none.
    `block` holds both ways whoever said it: of the two ways the one that the form changes speaks for both. Raises
    Moved when the pairs are not those the form was made from.
    """
    catalog = stored.catalog
    if _stamp(catalog, name, circle) != stamp:
        raise Moved("pair", circle, None)
    before = _standing(catalog)
    changed = {way: relation for way, relation in wanted.items() if before.get(way, "allow") != relation}
    edits: list[Edit] = []
    taken: dict[str, object] = dict(catalog.pairs)
    for one, other in sorted({cast("Way", tuple(sorted(way))) for way in changed}):
        ways: tuple[Way, Way] = ((one, other), (other, one))
        after = [changed.get(way, before.get(way, "allow")) for way in ways]
        if "block" in after:
            # A way that stood at block and was changed to something else lifts it; otherwise block wins.
            lifted = any(before.get(way) == "block" and changed.get(way, "block") != "block" for way in ways)
            after = [changed.get(way, "allow") if lifted else "block" for way in ways]
        tables = _tables(ways, after)
        old = [pair for pair in catalog.pairs.values() if set(directions(pair)) & set(ways)]
        for pair in old:
            table = tables.pop(0) if tables else None
            values = {"both": None, "relation": None, **table} if table is not None else None
            edits.append(Edit("pair", pair.slug, values, stamp_of(pair, name)))
        for table in tables:
            slug = fresh_slug(f"{table['from'][:28]}-{table['to'][:28]}", taken)
            taken[slug] = table
            edits.append(Edit("pair", slug, table))
    return edits


def _tables(ways: tuple[Way, Way], after: Sequence[Relation]) -> list[dict[str, Any]]:
    if after[0] == after[1]:
        if after[0] == "allow":
            return []
        return [{"from": ways[0][0], "to": ways[0][1], "both": True, "relation": after[0]}]
    return [
        {"from": way[0], "to": way[1], "relation": relation}
        for way, relation in zip(ways, after, strict=True)
        if relation != "allow"
    ]


def _sent_ways(members: Sequence[Merchant]) -> dict[Way, Relation]:
    """What the form says; a value that is no relation says nothing."""
    known = {one.slug for one in members}
    found: dict[Way, Relation] = {}
    for name, value in request.form.items():
        giver, _arrow, taker = name.partition(">")
        if giver in known and taker in known and giver != taker and value in _RELATIONS:
            found[giver, taker] = value
    return found


def _members(catalog: Catalog, circle: str) -> list[Merchant]:
    return [one for one in catalog.merchants.values() if one.circle == circle]


def _standing(catalog: Catalog) -> dict[Way, Relation]:
    return {way: pair.relation for pair in catalog.pairs.values() for way in directions(pair)}


def _stamp(catalog: Catalog, name: SecretId, circle: str) -> str:
    members = {one.slug for one in _members(catalog, circle)}
    pairs: list[Pair] = [one for one in catalog.pairs.values() if one.giver in members]
    return stamp_of_all(sorted(pairs, key=lambda one: one.slug), name)


def _counts(tx: Tx, circle: str, since: str) -> dict[Way, tuple[int, int, int]]:
    """(links that sent, coupons claimed, coupons used) a way, of links since then."""
    rows = tx.all(
        "SELECT l.merchant AS giver, c.merchant AS taker, count(DISTINCT l.id) AS sent, count(*) AS received, "
        "sum(CASE WHEN c.state = 'redeemed' THEN 1 ELSE 0 END) AS used "
        "FROM links l JOIN coupons c ON c.origin = l.id "
        "WHERE l.id >= :since AND l.circle = :circle AND c.merchant <> l.merchant GROUP BY l.merchant, c.merchant",
        {"since": since, "circle": circle},
    )
    return {(row["giver"], row["taker"]): (int(row["sent"]), int(row["received"]), int(row["used"])) for row in rows}


def pairs_room(runtime: Runtime) -> Room:
    """The grid of pairs, under the name `admin_pairs`."""
    pages = PairPages(runtime)
    room = Room("pairs", __name__, runtime)
    room.add("/pairs", "index", pages.index, role="operator", methods=("GET", "POST"))
    return room
