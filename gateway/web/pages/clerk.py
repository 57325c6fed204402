"""`/till/<shop>/clerk`: what the screen shows and whether it is there, the last payments, and how each can be shown.

Every button is that of one form, so that the part that changes holds no form token and costs nothing while it stays.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from flask import Response, abort, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from gateway.auth import Principal
from gateway.catalog.directory import Directory
from gateway.catalog.specs import Shop
from gateway.contract.clock import to_text
from gateway.contract.ids import floor_id
from gateway.contract.store import Row, Tx
from gateway.delivery import screens, showings, till
from gateway.delivery.till import Place, Showing, Till
from gateway.runtime import Runtime
from gateway.web.pages import staff
from gateway.web.pages.fragments import fragment
from linkgen import qr
from linkgen.urls import claim_url

Answer = str | AnyResponse | tuple[str, int]

SHOWN: Final = 20
EVERY_S: Final = 2
BACK: Final = timedelta(days=1)
_CODE: Final = "pairing"


@dataclass(frozen=True, slots=True)
class Line:
    """One payment as the clerk sees it; nothing of the payer.

    `gift`: the state of its link, "" for none; `reason`: why there is none, as a stable word; `link`: "" where there
    is nothing to show any more.
    """

    at: str
    amount_fen: int
    wallet: str
    gift: str
    reason: str
    link: str
    is_showing: bool


@dataclass(frozen=True, slots=True)
class Desk:
    """A clerk at a shop's till."""

    who: Principal
    directory: Directory
    shop: Shop
    place: Place


class ClerkPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def shops(self) -> Answer:
        """The shops whose till the signed-in member of staff may see; straight to the only one."""
        who = staff.require(self._runtime, "clerk")
        directory = self._runtime.directory()
        found = [shop for shop in directory.catalog.shops.values() if sees(directory, who, shop)]
        if len(found) == 1:
            return redirect(url_for("till.clerk", shop=found[0].slug), 303)
        named = sorted(((_merchant(directory, shop), shop) for shop in found), key=lambda pair: (pair[0], pair[1].name))
        return render_template("till_shops.html", me=who, shops=named)

    def view(self, shop: str) -> Answer:
        """The whole page."""
        desk = self._desk(shop)
        now = g.now
        devices = self._runtime.store.read(lambda tx: screens.of_shop(tx, desk.shop.slug))
        return render_template(
            "till_clerk.html",
            me=desk.who,
            every=EVERY_S,
            code=self._code(desk),
            address=origin(self._runtime) + url_for("till.till", shop=desk.shop.slug),
            devices=devices,
            connected_since=to_text(now - till.CONNECTED_FOR),
            **self._values(desk),
        )

    def live(self, shop: str) -> Answer:
        """The part that changes."""
        desk = self._desk(shop)
        return fragment(render_template("_till_clerk.html", **self._values(desk)))

    def tell(self, shop: str) -> Answer:
        """Show this one, take away what is shown, or let new gifts show themselves or not."""
        desk = self._desk(shop)
        runtime, now, slug = self._runtime, g.now, desk.shop.slug
        wanted, auto, is_hide = request.form.get("show", ""), request.form.get("auto", ""), "hide" in request.form

        def act(tx: Tx) -> bool:
            if auto in {"on", "off"}:
                till.set_auto(tx, slug, auto=auto == "on")
            elif is_hide:
                till.hide(tx, slug, now)
            elif wanted == till.SHOP_CODE:
                till.pick(tx, slug, wanted, now)
            else:
                gift = till.gift_at(tx, desk.place, wanted)
                if gift is None or not gift.is_open(now):
                    return False
                till.pick(tx, slug, wanted, now)
            return True

        if not runtime.store.write(act):
            abort(404)
        return redirect(url_for("till.clerk", shop=slug), 303)

    def screens(self, shop: str) -> Answer:
        """Make a pairing code for a new screen, or send one away."""
        desk = self._desk(shop)
        runtime, now, slug, by = self._runtime, g.now, desk.shop.slug, desk.who.name
        gone = request.form.get("revoke", "")
        if gone:
            if not runtime.store.write(lambda tx: screens.revoke(tx, slug, gone, by, now)):
                abort(404)
        else:
            code = runtime.store.write(lambda tx: screens.make_code(tx, runtime.random, slug, by, now))
            # In the signed session of whoever made it, so that it can be shown again and stands in no address.
            session[_CODE] = [slug, code, to_text(now + screens.CODE_LIVES)]
        return redirect(url_for("till.clerk", shop=slug) + "#screens", 303)

    def printed(self, shop: str, link: str) -> Answer:
        """One link's code, or the shop's own, as a strip of paper."""
        desk = self._desk(shop)
        runtime, now = self._runtime, g.now
        gift = None
        if link != till.SHOP_CODE:
            gift = runtime.store.read(lambda tx: till.gift_at(tx, desk.place, link))
            if gift is None or not gift.is_open(now):
                abort(404)
            id_, merchant = gift.link, gift.merchant
            runtime.store.write_later(lambda tx: showings.note_shown(tx, now, id_, "receipt", merchant))
        return render_template("till_print.html", gift=gift, link=link, **_names(desk))

    def image(self, shop: str, link: str) -> Answer:
        """The code for a strip of paper, or the shop's own."""
        desk = self._desk(shop)
        runtime, now = self._runtime, g.now
        if link == till.SHOP_CODE:
            return png(shop_url(runtime, desk.shop.slug))
        gift = runtime.store.read(lambda tx: till.gift_at(tx, desk.place, link))
        if gift is None or not gift.is_open(now):
            abort(404)
        return png(claim_url(origin(runtime), runtime.link_keys.token(gift.link, gift.key_id)))

    # -- what it needs ----------------------------------------------------------------------------------------------

    def _desk(self, slug: str) -> Desk:
        """The clerk and his shop; another's shop and one that is none are 404 alike."""
        who = staff.require(self._runtime, "clerk")
        directory = self._runtime.directory()
        shop = directory.shop(slug)
        if shop is None or not sees(directory, who, shop):
            abort(404)
        return Desk(who, directory, shop, till.place_of(directory, shop))

    def _values(self, desk: Desk) -> dict[str, Any]:
        now = g.now

        def read(tx: Tx) -> tuple[Till, Showing, list[Row]]:
            told = till.till_of(tx.one("SELECT * FROM tills WHERE shop = :shop", {"shop": desk.shop.slug}))
            return told, till.look(tx, [desk.place], now)[desk.shop.slug], _payments(tx, desk.place, now - BACK)

        told, showing, rows = self._runtime.store.read(read)
        circle = desk.directory.circle_of(desk.shop.merchant)
        return {
            **_names(desk),
            "auto": told.auto,
            "is_connected": told.is_connected(now),
            "showing": showing,
            "lines": _lines(rows, showing, to_text(now)),
            "minimum_fen": circle.min_amount_fen if circle is not None else 0,
        }

    def _code(self, desk: Desk) -> str:
        """The pairing code that this clerk made a moment ago, while it is good; "" for none."""
        kept, now = session.get(_CODE), g.now
        if not isinstance(kept, list) or kept[0] != desk.shop.slug or kept[2] <= to_text(now):
            return ""
        code = str(kept[1])
        good = self._runtime.store.read(lambda tx: screens.is_good(tx, desk.shop.slug, code, now))
        if not good:
            session.pop(_CODE)
        return code if good else ""


def sees(directory: Directory, who: Principal, shop: Shop) -> bool:
    """Whether the shop lies in his scope."""
    circle = directory.circle_of(shop.merchant)
    return circle is not None and who.sees(circle.slug, shop.merchant)


def origin(runtime: Runtime) -> str:
    """Where customers reach us."""
    return runtime.base_url or request.host_url.rstrip("/")


def shop_url(runtime: Runtime, shop: str) -> str:
    """The address in the shop's own code (R261)."""
    return f"{origin(runtime)}/s/{shop}"


def png(text: str) -> Response:
    """A QR code of `text`, large enough for a screen across a counter."""
    return Response(qr.png(text, scale=10), mimetype="image/png")


def _merchant(directory: Directory, shop: Shop) -> str:
    found = directory.merchant(shop.merchant)
    return found.name if found is not None else shop.merchant


def _names(desk: Desk) -> dict[str, Any]:
    return {
        "shop": desk.shop,
        "merchant": _merchant(desk.directory, desk.shop),
        "zone": desk.directory.zone(desk.shop.slug),
    }


def _payments(tx: Tx, place: Place, since: datetime) -> list[Row]:
    """The place's newest payments with their payers' links. A look back of a day bounds it at a quiet shop."""
    return tx.all(
        "SELECT p.paid_at, p.amount_fen, p.provider, p.decisions, l.id, l.state, l.expires_at, l.closed_reason "
        "FROM payments p LEFT JOIN links l ON l.payment = p.id AND l.purpose = 'payer' "
        "WHERE p.merchant = :merchant AND p.id >= :since AND (p.shop = :shop OR (p.shop IS NULL AND :alone = 1)) "
        "ORDER BY p.id DESC LIMIT :most",
        {
            "merchant": place.merchant,
            "since": floor_id("pay", since),
            "shop": place.shop,
            "alone": int(place.alone),
            "most": SHOWN,
        },
    )


def _lines(rows: Sequence[Row], showing: Showing, now: str) -> list[Line]:
    shown = showing.gift.link if showing.state in {"link", "opened"} and showing.gift is not None else ""
    found = []
    for row in rows:
        state = row["state"] or ""
        is_open = state in {"issued", "opened"} and row["expires_at"] > now
        if state in {"issued", "opened"} and not is_open:
            state = "expired"
        if state == "revoked" and row["closed_reason"] == "refunded":
            state = "refunded"
        reason = "" if state else _reason(row["decisions"])
        found.append(
            Line(
                row["paid_at"],
                row["amount_fen"],
                row["provider"],
                state,
                reason,
                row["id"] if is_open else "",
                bool(row["id"]) and row["id"] == shown,
            )
        )
    return found


def _reason(decisions: str) -> str:
    """Why a payment gave its payer no link: the link's own rule, else the tag's."""
    by_rule = {one["rule"]: one["reason"] for one in json.loads(decisions)}
    return str(by_rule.get("payer_link") or by_rule.get("tag") or "")
