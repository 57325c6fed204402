"""One coupon of one's own: its codes to show at the till, how it stands, and why it was given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, Response, abort, g, render_template, request
from flask_babel import gettext as _
from markupsafe import Markup

from gateway import handover
from gateway.catalog.directory import Directory
from gateway.contract.store import Row, Tx
from gateway.reading import why
from gateway.runtime import Runtime
from gateway.web.pages import cards
from gateway.web.pages.fragments import fragment
from gateway.web.pages.me.home import card_of
from gateway.web.pages.me.visitor import Names, Visitor, visitor, watcher
from linkgen import qr
from linkgen.bars import code128_svg
from linkgen.codes import grouped

EVERY_S: Final = 3
SLOW_S: Final = 10
SLOW_AFTER_S: Final = 120


class CouponPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._names = Names(runtime.keyring.names_key())

    def add_to(self, blueprint: Blueprint) -> None:
        """Give the views their addresses."""
        add = blueprint.add_url_rule
        add("/me/coupons/<name>", "coupon", self.show)
        add("/me/coupons/<name>/live", "coupon_live", self.live)
        add("/me/coupons/<name>/qr.png", "coupon_image", self.image)
        add("/me/coupons/<name>/why", "why", self.why)

    def show(self, name: str) -> str:
        """The whole page; while it lies open it asks for its part by itself."""
        shown = self._shown(visitor(self._runtime), name)
        return render_template("me/coupon.html", every=EVERY_S, slow=SLOW_S, slow_after=SLOW_AFTER_S, **shown)

    def live(self, name: str) -> Response:
        """The part that turns when a clerk uses the coupon."""
        shown = self._shown(watcher(self._runtime), name)
        return fragment(render_template("me/_coupon.html", **shown))

    def image(self, name: str) -> Response:
        """The QR code for the till. Whose coupon it is decides the session; the address holds no code."""
        coupon = self._coupon(watcher(self._runtime), name)
        return Response(qr.png(f"{origin(self._runtime)}/v/{coupon['code']}"), mimetype="image/png")

    def why(self, name: str) -> str:
        """Payment, tag and choice, a sentence each; of other people nothing."""
        here = visitor(self._runtime)
        directory = self._runtime.directory()

        def read(tx: Tx) -> tuple[why.Why, cards.Card, Row]:
            coupon = self._find(tx, here, name)
            return why.of_coupon(tx, coupon), card_of(tx, directory, coupon, g.now), coupon

        answer, card, coupon = self._runtime.store.read(read)
        return render_template(
            "me/why.html",
            why=answer,
            card=card,
            name=name,
            circle=directory.circle(coupon["circle"]),
            zone=directory.zone(None),
            **_told(directory, answer),
        )

    def _coupon(self, here: Visitor, name: str) -> Row:
        return self._runtime.store.read(lambda tx: self._find(tx, here, name))

    def _find(self, tx: Tx, here: Visitor, name: str) -> Row:
        coupon = self._names.find(tx, here.who, name)
        if coupon is None:
            abort(404)
        return coupon

    def _shown(self, here: Visitor, name: str) -> Mapping[str, Any]:
        runtime, now = self._runtime, g.now
        directory = runtime.directory()

        def read(tx: Tx) -> Mapping[str, Any]:
            coupon = self._find(tx, here, name)
            card = card_of(tx, directory, coupon, now)
            gift = handover.of_coupon(tx, coupon["code"]) if card.state == "reserved" else None
            return {
                "card": card,
                "begins": coupon["valid_from"] if coupon["valid_from"] > coupon["claimed_at"] else "",
                "circle": directory.circle(coupon["circle"]),
                "may_give": handover.may_be_given(tx, directory, coupon, now),
                "gift": gift["id"] if gift is not None else "",
            }

        shown = runtime.store.read(read)
        code = shown["card"].code
        bars = Markup(code128_svg(code, title=_("券码 %(code)s 的条形码", code=grouped(code))))  # noqa: S704 - escaped there
        return {**shown, "bars": bars, "name": name, "zone": directory.zone(None)}


def origin(runtime: Runtime) -> str:
    """Where customers reach us, for addresses in QR codes."""
    return runtime.base_url or request.host_url.rstrip("/")


def _told(directory: Directory, answer: why.Why) -> Mapping[str, str]:
    """The names of the merchants in an answer."""
    paid, bought, tagged = answer.payment, answer.order, answer.tagged
    return {
        "paid_at": _merchant(directory, paid["merchant"]) if paid is not None else "",
        "bought_at": _merchant(directory, bought["merchant"]) if bought is not None else "",
        "tagged_at": _merchant(directory, tagged.merchant) if tagged is not None and tagged.merchant else "",
    }


def _merchant(directory: Directory, slug: str) -> str:
    found = directory.merchant(slug)
    return found.name if found is not None else slug
