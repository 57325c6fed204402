"""`/admin/delivery`: today's figures of each way to the payer's phone, its last error in words, and the switches."""

from __future__ import annotations

from datetime import datetime, time

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway.auth import Principal
from gateway.contract.errors import Refused
from gateway.contract.store import Tx
from gateway.delivery import showings, ways
from gateway.delivery.showings import Figures
from gateway.delivery.ways import WAYS, Modes
from gateway.runtime import Runtime
from gateway.web.admin.door import Answer, Room
from gateway.web.admin.periods import zone_of
from gateway.web.pages.refusals import request_id
from gateway.web.pages.ways_words import WORDS, mode_name, way_name


class DeliveryPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:
        """Figures of the payments since midnight, and each merchant's switches."""
        directory, now = self._runtime.directory(), g.now
        zone, merchants = zone_of(who, directory), who.merchants(directory)
        since = datetime.combine(now.astimezone(zone).date(), time(), zone)

        def read(tx: Tx) -> tuple[list[Figures], Modes]:
            return showings.figures(tx, merchants, since, now), ways.modes(tx, merchants)

        figures, modes = self._runtime.store.read(read)
        known = [one for one in directory.catalog.merchants.values() if merchants is None or one.slug in merchants]
        return render_template(
            "admin/delivery.html",
            figures=figures,
            switches=[
                (
                    one,
                    [
                        (way.name, modes.of(one.slug, way.name), [(mode, mode_name(mode)) for mode in way.modes])
                        for way in WAYS
                    ],
                )
                for one in known
            ],
            zone=zone,
            **WORDS,
        )

    def switch(self, who: Principal) -> Answer:
        """Set one way of one merchant."""
        directory, now, number = self._runtime.directory(), g.now, request_id(self._runtime)
        merchant = directory.merchant(request.form.get("merchant", ""))
        if merchant is None or not who.sees(merchant.circle, merchant.slug):
            abort(404)
        way, mode = request.form.get("way", ""), request.form.get("mode", "")
        try:
            before = self._runtime.store.write(
                lambda tx: ways.switch(tx, now, merchant.slug, way, mode, who.name, request_id=number)
            )
        except Refused:
            abort(400)
        if before == mode:
            flash(_("没有改动。"), "warn")
        else:
            flash(_("%(shop)s 的%(way)s：%(mode)s", shop=merchant.name, way=way_name(way), mode=mode_name(mode)))
        return redirect(url_for(".index"), 303)


def delivery_room(runtime: Runtime) -> Room:
    """Ways to the payer, under the name `admin_delivery`."""
    pages = DeliveryPages(runtime)
    room = Room("delivery", __name__, runtime)
    room.add("/delivery", "index", pages.index, role="manager")
    room.add("/delivery/switch", "switch", pages.switch, role="manager", methods=("POST",))
    return room
