"""`/till/<shop>`: a second screen that shows the newest unclaimed link of a shop as a QR code, for a minute (R260)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from flask import Blueprint, Response, abort, g, render_template
from werkzeug.wrappers import Response as AnyResponse

from gateway.catalog.directory import Directory
from gateway.catalog.specs import Shop
from gateway.contract.clock import to_text
from gateway.contract.ids import floor_id
from gateway.contract.store import Row, Tx
from gateway.runtime import Runtime
from gateway.web.pages import staff
from gateway.web.pages.chrome import guard
from gateway.web.pages.fragments import fragment
from linkgen import qr
from linkgen.urls import claim_url

Answer = str | AnyResponse | tuple[str, int]

SHOWN_FOR: Final = timedelta(seconds=60)
EVERY_S: Final = 1


@dataclass(frozen=True, slots=True)
class Showing:
    """What the screen shows: `state` idle, link or opened (on the payer's phone)."""

    state: str
    link: str = ""
    amount_fen: int = 0
    paid_at: str = ""


class TillPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def till(self, shop: str) -> Answer:
        """The whole page; `live.js` keeps it in step, and without scripts it loads itself again."""
        directory, found = self._shop(shop)
        return render_template("till.html", every=EVERY_S, **self._values(directory, found))

    def live(self, shop: str) -> Answer:
        """The part that changes."""
        directory, found = self._shop(shop)
        return fragment(render_template("_till.html", **self._values(directory, found)))

    def image(self, shop: str, link: str) -> Answer:
        """The QR code of the link that is being shown, and of no other."""
        _, found = self._shop(shop)
        row = self._newest(found)
        if row is None or row["id"] != link or row["state"] != "issued":
            abort(404)
        token = self._runtime.link_keys.token(row["id"], row["key_id"])
        return Response(qr.png(claim_url(self._runtime.base_url, token)), mimetype="image/png")

    def _shop(self, slug: str) -> tuple[Directory, Shop]:
        """The shop, for its own staff; where the sandbox is enabled, for everyone."""
        runtime = self._runtime
        directory = runtime.directory()
        shop = directory.shop(slug)
        if runtime.config.sandbox.enabled:
            if shop is None:
                abort(404)
            return directory, shop
        who = staff.require(runtime, "clerk")
        circle = directory.circle_of(shop.merchant) if shop is not None else None
        if shop is None or circle is None or not who.sees(circle.slug, shop.merchant):
            abort(404)
        return directory, shop

    def _newest(self, shop: Shop) -> Row | None:
        now = g.now
        return self._runtime.store.read(lambda tx: _newest(tx, shop.slug, now))

    def _values(self, directory: Directory, shop: Shop) -> dict[str, Any]:
        row = self._newest(shop)
        merchant = directory.merchant(shop.merchant)
        return {
            "shop": shop,
            "merchant": merchant.name if merchant is not None else shop.name,
            "zone": directory.zone(shop.slug),
            "showing": _showing(row),
        }


def _newest(tx: Tx, shop: str, now: datetime) -> Row | None:
    """The newest link that a payment at the shop gave its payer within the last minute and that nobody has claimed.

    Ids begin with their time, so only the last minute's links are looked at, however many there are.
    """
    return tx.one(
        "SELECT l.id, l.key_id, l.state, p.amount_fen, p.paid_at FROM links l "
        "LEFT JOIN payments p ON p.id = l.payment "
        "WHERE l.id >= :since AND l.shop = :shop AND l.purpose = 'payer' AND l.state IN ('issued', 'opened') "
        "AND l.expires_at > :now ORDER BY l.id DESC LIMIT 1",
        {"since": floor_id("l", now - SHOWN_FOR), "shop": shop, "now": to_text(now)},
    )


def _showing(row: Row | None) -> Showing:
    if row is None:
        return Showing("idle")
    state = "opened" if row["state"] == "opened" else "link"
    return Showing(state, row["id"], row["amount_fen"] or 0, row["paid_at"] or "")


def till_blueprint(runtime: Runtime) -> Blueprint:
    """The second screen, under the name `till`."""
    pages = TillPages(runtime)
    blueprint = guard(Blueprint("till", __name__), runtime)
    add = blueprint.add_url_rule
    add("/till/<shop>", "till", pages.till)
    add("/till/<shop>/live", "live", pages.live)
    add("/till/<shop>/qr/<link>.png", "image", pages.image)
    return blueprint
