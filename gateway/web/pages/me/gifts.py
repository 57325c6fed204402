"""Handing a coupon on: the giver's pages below `/me`, and `/g/<token>`, where a friend takes it."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, Response, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from gateway import handover
from gateway.contract.errors import Refused
from gateway.contract.store import Row, Tx
from gateway.runtime import Runtime
from gateway.web.pages import browser, cards, customer
from gateway.web.pages.fragments import fragment
from gateway.web.pages.me.coupon import origin
from gateway.web.pages.me.home import card_of
from gateway.web.pages.me.visitor import Names, Visitor, visitor, watcher
from linkgen import qr

Answer = str | AnyResponse | tuple[str, int]


class GiftPages:
    """What the giver sees."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._names = Names(runtime.keyring.names_key())

    def add_to(self, blueprint: Blueprint) -> None:
        """Give the views their addresses."""
        add = blueprint.add_url_rule
        add("/me/coupons/<name>/give", "give", self.ask, methods=["GET"])
        add("/me/coupons/<name>/give", "make", self.make, methods=["POST"])
        add("/me/gifts/<gift>", "given", self.show, methods=["GET"])
        add("/me/gifts/<gift>/live", "given_live", self.live)
        add("/me/gifts/<gift>/qr.png", "given_image", self.image)
        add("/me/gifts/<gift>/back", "take_back", self.take_back, methods=["POST"])

    def ask(self, name: str) -> Answer:
        """GET: what handing on means, and the button; where it stands already, to that page."""
        runtime = self._runtime
        here = visitor(runtime)
        coupon = self._coupon(here, name)
        standing = runtime.store.read(lambda tx: handover.of_coupon(tx, coupon["code"]))
        if standing is not None and standing["giver"] in here.who.group:
            return redirect(url_for(".given", gift=standing["id"]))
        return self._asking(name, coupon)

    def make(self, name: str) -> Answer:
        """POST: the gift link, once; then to its page."""
        runtime = self._runtime
        here = visitor(runtime)
        coupon = self._coupon(here, name)
        try:
            gift = runtime.handing_over.make(runtime.directory(), coupon["code"], here.who.id, g.now)
        except Refused:
            return self._asking(name, self._coupon(here, name))
        return redirect(url_for(".given", gift=gift), 303)

    def show(self, gift: str) -> str:
        """How the gift stands: its link while it waits, and what became of it."""
        return render_template("me/given.html", **self._shown(visitor(self._runtime), gift))

    def live(self, gift: str) -> AnyResponse:
        """The part that turns when a friend takes it."""
        return fragment(render_template("me/_given.html", **self._shown(watcher(self._runtime), gift)))

    def image(self, gift: str) -> Response:
        """The QR code of the gift link, for a friend who stands beside."""
        found = self._given(watcher(self._runtime), gift)
        if found.state != "made":
            abort(404)
        return Response(qr.png(self._address(found)), mimetype="image/png")

    def take_back(self, gift: str) -> AnyResponse:
        """POST: the giver wants it back; where a friend was quicker the page says so."""
        here = visitor(self._runtime)
        self._runtime.handing_over.take_back(gift, here.who.id, g.now)
        return redirect(url_for(".given", gift=gift), 303)

    def _coupon(self, here: Visitor, name: str) -> Row:
        coupon = self._runtime.store.read(lambda tx: self._names.find(tx, here.who, name))
        if coupon is None:
            abort(404)
        return coupon

    def _given(self, here: Visitor, gift: str) -> handover.Gift:
        return self._runtime.handing_over.given(gift, here.who.id, g.now)

    def _address(self, gift: handover.Gift) -> str:
        return f"{origin(self._runtime)}/g/{self._runtime.handing_over.token(gift.row)}"

    def _asking(self, name: str, coupon: Row) -> Answer:
        directory = self._runtime.directory()

        def read(tx: Tx) -> tuple[cards.Card, bool]:
            return card_of(tx, directory, coupon, g.now), handover.may_be_given(tx, directory, coupon, g.now)

        card, allowed = self._runtime.store.read(read)
        circle = directory.circle(coupon["circle"])
        values = {"card": card, "allowed": allowed, "name": name, "days": handover.GIFT_DAYS, "circle": circle}
        return render_template("me/give.html", zone=directory.zone(None), **values), 200 if allowed else 409

    def _shown(self, here: Visitor, gift: str) -> dict[str, object]:
        runtime = self._runtime
        directory = runtime.directory()
        found = self._given(here, gift)
        card = runtime.store.read(lambda tx: cards.of_coupon(tx, directory, found.coupon, g.now))
        his = found.coupon["person"] in here.who.group
        if found.state in {"made", "taken"}:
            # Of what became of it later the giver learns nothing, and its code is the taker's.
            card = replace(card, state="reserved" if found.state == "made" else "given", code="", reason="gift")
        return {
            "gift": found.row,
            "state": found.state,
            "card": replace(card, used_at=found.row["closed_at"] or "", used_shop="") if not his else card,
            "coupon": url_for(".coupon", name=self._names.of(found.coupon["code"])) if his else "",
            "link": self._address(found) if found.state == "made" else "",
            "circle": directory.circle(found.row["circle"]),
            "zone": directory.zone(None),
        }


class TakerPages:
    """What the friend sees. The token leaves the address as soon as he has signed in."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._names = Names(runtime.keyring.names_key())

    def add_to(self, blueprint: Blueprint) -> None:
        """Give the views their addresses."""
        add = blueprint.add_url_rule
        add("/g/<token>", "show", self.arrive, methods=["GET"])
        add("/g", "show_kept", self.show, methods=["GET"])
        add("/g", "take", self.take, methods=["POST"])

    def arrive(self, token: str) -> AnyResponse:
        """GET with the token: sign in with a wallet of the coupon's circle, then go on without the token."""
        gift = self._look(token, kept=False)
        visitor(self._runtime, gift.row["circle"])
        return redirect(url_for(".show_kept", n=browser.keep_link(token, self._runtime)))

    def show(self) -> Answer:
        """GET: what the friend gives. Changes nothing."""
        token = self._kept()
        gift = self._look(token, kept=True)
        here = visitor(self._runtime, gift.row["circle"])
        if gift.row["giver"] in here.who.group:
            return redirect(customer.to("me.given", gift=gift.row["id"]))
        if gift.state == "taken":
            return self._to_coupon(here, gift.row["taker"], gift.coupon["code"])
        directory = self._runtime.directory()
        card = self._runtime.store.read(lambda tx: cards.of_coupon(tx, directory, gift.coupon, g.now))
        return render_template(
            "me/gift.html",
            card=replace(card, state="offer", code="", reason=""),
            until=gift.row["expires_at"],
            number=request.args.get("n", ""),
            circle=directory.circle(gift.row["circle"]),
            zone=directory.zone(None),
        )

    def take(self) -> AnyResponse:
        """POST: take it, once; then to the coupon."""
        token = self._kept()
        runtime = self._runtime
        gift = self._look(token, kept=True)
        here = visitor(runtime, gift.row["circle"])
        try:
            code = runtime.handing_over.take(token, here.who.id, g.now)
        except Refused as refused:
            if refused.code == "own_gift":
                return redirect(customer.to("me.given", gift=gift.row["id"]), 303)
            abort(refused.status)
        return redirect(customer.to("me.coupon", name=self._names.of(code)), 303)

    def _to_coupon(self, here: Visitor, taker: str, code: str) -> AnyResponse:
        if taker not in here.who.group:
            abort(404)
        return redirect(customer.to("me.coupon", name=self._names.of(code)))

    @staticmethod
    def _kept() -> str:
        token = browser.kept_link(request.args.get("n"))
        if token is None:
            abort(404)
        return token

    def _look(self, token: str, *, kept: bool) -> handover.Gift:
        try:
            return self._runtime.handing_over.look(token, g.now)
        except Refused as refused:
            if not kept:
                browser.count_failed_look_up(self._runtime)
            abort(refused.status)
