"""`/status`: is it working, and if not, since when and what to do (R070). Reads only; works without scripts."""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, g, render_template
from werkzeug.wrappers import Response

from gateway import overview
from gateway.auth import Principal
from gateway.contract.errors import StoreTrouble
from gateway.overview import Scope
from gateway.runtime import Runtime
from gateway.web.pages import staff
from gateway.web.pages.chrome import guard
from gateway.web.pages.fragments import fragment

Answer = str | Response | tuple[str, int]

EVERY_S: Final = 5


class StatusPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def status(self) -> Answer:
        """The whole page."""
        me = self._asker()
        return render_template("status.html", me=me, every=EVERY_S, **self._values(me))

    def live(self) -> Answer:
        """The part that changes."""
        return fragment(render_template("_status.html", **self._values(self._asker())))

    def _asker(self) -> Principal | None:
        """Staff see their own scope; where the sandbox is enabled, everyone sees everything."""
        if not self._runtime.config.sandbox.enabled:
            return staff.require(self._runtime, "clerk")
        try:
            return staff.signed_in(self._runtime)
        except StoreTrouble:
            # The page must say that the store is gone, which it cannot while it waits to know who asks.
            return None

    def _values(self, me: Principal | None) -> dict[str, Any]:
        directory = self._runtime.directory()
        scope = Scope()
        # What everyone may see without signing in is not less for who has signed in.
        if me is not None and not self._runtime.config.sandbox.enabled:
            scope = Scope(me.merchants(directory), me.circles(directory))
        zone, now = directory.zone(None), g.now
        try:
            shown = self._runtime.store.read(lambda tx: overview.read(tx, directory, scope, now))
        except StoreTrouble:
            return {"shown": None, "state": "down", "zone": zone, "circles": {}}
        if shown.channels:
            zone = shown.channels[0].zone
        return {"shown": shown, "state": shown.state, "zone": zone, "circles": directory.catalog.circles}


def status_blueprint(runtime: Runtime) -> Blueprint:
    """The status page, under the name `status`."""
    pages = StatusPages(runtime)
    blueprint = guard(Blueprint("status", __name__), runtime)
    blueprint.add_url_rule("/status", "status", pages.status)
    blueprint.add_url_rule("/status/live", "live", pages.live)
    return blueprint
