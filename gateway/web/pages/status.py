"""`/status`: is it working, and if not, since when and what to do (R070). Reads only; works without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, g, render_template, url_for
from werkzeug.wrappers import Response

from gateway import overview
from gateway.auth import Principal
from gateway.catalog.directory import Directory
from gateway.contract.errors import StoreTrouble
from gateway.overview import Scope
from gateway.overview.rules import ChannelStatus, Funnel, Overview, Point
from gateway.runtime import Runtime
from gateway.web.pages import staff
from gateway.web.pages.chrome import guard
from gateway.web.pages.fragments import fragment

Answer = str | Response | tuple[str, int]

EVERY_S: Final = 5
_STEP, _HEIGHT = 9, 24
_FUNNEL_WIDTH: Final = 200


@dataclass(frozen=True, slots=True)
class Curve:
    """A rate's curve as SVG draws it: its lines (a gap ends one), its last point, and its last number."""

    lines: Sequence[str]
    x: int
    y: int
    last: float
    most: float


class StatusPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def status(self) -> Answer:
        """The whole page."""
        me, is_outsider = self._asker()
        return render_template("status.html", me=me, every=EVERY_S, **self._values(me, is_outsider=is_outsider))

    def live(self) -> Answer:
        """The part that changes."""
        me, is_outsider = self._asker()
        return fragment(render_template("_status.html", me=me, **self._values(me, is_outsider=is_outsider)))

    def _asker(self) -> tuple[Principal | None, bool]:
        """(who asks, whether he sees only how the house does).

        Staff see their own scope; where the sandbox is enabled, everyone sees everything; strangers see how the house
        does where the settings say so, and else are led to the sign-in.
        """
        config = self._runtime.config
        if not config.sandbox.enabled and not config.status.public:
            return staff.require(self._runtime, "clerk"), False
        try:
            who = staff.signed_in(self._runtime)
        except StoreTrouble:
            # The page must say that the store is gone, which it cannot while it waits to know who asks.
            who = None
        if config.sandbox.enabled:
            return who, False
        return (who, False) if who is not None and who.may("clerk") else (None, True)

    def _values(self, me: Principal | None, *, is_outsider: bool) -> dict[str, Any]:
        directory = self._runtime.directory()
        scope = Scope()
        # What everyone may see without signing in is not less for who has signed in.
        if me is not None and not self._runtime.config.sandbox.enabled:
            scope = Scope(me.merchants(directory), me.circles(directory))
        zone, now = directory.zone(None), g.now
        values: dict[str, Any] = {"is_outsider": is_outsider, "circles": directory.catalog.circles, "now": now}
        try:
            shown = self._runtime.store.read(lambda tx: overview.read(tx, directory, scope, now))
        except StoreTrouble:
            return {**values, "shown": None, "state": "down", "zone": zone}
        if shown.channels:
            zone = shown.channels[0].zone
        return {
            **values,
            "shown": shown,
            "state": shown.state,
            "zone": zone,
            "whose": _whose(directory, scope),
            "links": _links(me, directory, shown) if not is_outsider else {},
            "curves": {one.slug: curve(one.points) for one in shown.channels},
            "bars": bars(shown.funnel),
            "is_empty": bool(shown.channels) and all(one.last_at is None for one in shown.channels),
        }


def status_blueprint(runtime: Runtime) -> Blueprint:
    """The status page, under the name `status`."""
    pages = StatusPages(runtime)
    blueprint = guard(Blueprint("status", __name__), runtime)
    blueprint.add_url_rule("/status", "status", pages.status)
    blueprint.add_url_rule("/status/live", "live", pages.live)
    return blueprint


def curve(points: Sequence[Point]) -> Curve | None:
    """The curve of these points, from 0 up to the highest; None without any."""
    known = [point.per_minute for point in points if point.per_minute is not None]
    if not known:
        return None
    most = max(*known, 1)
    lines: list[list[str]] = [[]]
    x = y = 0
    last = 0.0
    for number, point in enumerate(points):
        if point.per_minute is None:
            lines.append([])
            continue
        x, last = number * _STEP + 2, point.per_minute
        y = _HEIGHT - round(last / most * (_HEIGHT - 4)) - 2
        lines[-1].append(f"{x},{y}")
    return Curve([" ".join(line) for line in lines if line], x, y, last, most)


def bars(funnel: Funnel) -> list[int]:
    """How wide each step of the funnel is drawn; what is there at all is seen."""
    steps = (funnel.payments, funnel.tagged, funnel.linked, funnel.claimed, funnel.redeemed)
    most = max(*steps, 1)
    return [max(round(n / most * _FUNNEL_WIDTH), 2 if n else 0) for n in steps]


def _whose(directory: Directory, scope: Scope) -> str:
    """Whose status this is, where it is that of one merchant."""
    if scope.merchants is None or len(scope.merchants) != 1:
        return ""
    merchant = directory.merchant(next(iter(scope.merchants)))
    return merchant.name if merchant is not None else ""


def _links(me: Principal | None, directory: Directory, shown: Overview) -> dict[str, str]:
    """Where to go on from here; only what the asker may open."""
    if me is None or not me.may("manager"):
        return {}
    merchants = me.merchants(directory)
    own = [one for one in shown.channels if merchants is None or _owner(directory, one) in merchants]
    return {
        "parked": url_for("admin_parked.index"),
        "incidents": url_for("admin_incidents.index"),
        "setup": url_for("admin_setup.index"),
        **{f"channel:{one.slug}": url_for("admin_channels.channel", slug=one.slug) for one in own},
        **({"first": url_for("admin_channels.channel", slug=own[0].slug)} if own else {}),
        **{f"incident:{one.id}": url_for("admin_incidents.show", incident=one.id) for one in shown.incidents},
    }


def _owner(directory: Directory, one: ChannelStatus) -> str:
    live = directory.channel(one.slug)
    return live.merchant.slug if live is not None else ""
