"""`/s/<shop>`: the code on a shop's tables (R261). It leads a customer to his gifts and a newcomer to joining."""

from __future__ import annotations

from flask import Blueprint, abort, g, redirect, render_template, url_for
from werkzeug.wrappers import Response

from gateway import people, tagging
from gateway.catalog.directory import Directory
from gateway.catalog.specs import Circle, Merchant
from gateway.contract.errors import Refused
from gateway.contract.store import Tx
from gateway.runtime import Runtime
from gateway.web.pages import browser, customer, wallet
from gateway.web.pages.chrome import guard

Answer = str | Response


class ShopPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def show(self, shop: str) -> Answer:
        """GET: after his wallet has told who he is, one who is known goes on to his gifts. Tags nobody."""
        runtime = self._runtime
        _, circle = self._place(runtime.directory(), shop)
        visitor = self._visitor(circle, shop)

        def ask(tx: Tx) -> tagging.Standing:
            who = people.look_up(tx, visitor.person)
            return tagging.standing(tx, circle.slug, who, g.now) if who is not None else tagging.UNTAGGED

        mine = customer.to("me.home") if customer.has("me.home") else ""
        if runtime.store.read(ask).state == "tagged":
            return redirect(mine or customer.to("invite.outcome", outcome="already_tagged"), 302)
        return render_template("shop.html", circle=circle, mine=mine)

    def join(self, shop: str) -> Answer:
        """POST: he joins by himself; the shop's merchant is his source."""
        runtime = self._runtime
        merchant, circle = self._place(runtime.directory(), shop)
        visitor = self._visitor(circle, shop)
        try:
            outcome = runtime.sharing.join(circle, merchant.slug, visitor.person, f"shop:{shop}", g.now)
        except Refused:
            # Signed in as someone who has been forgotten since: he is asked anew who he is.
            customer.leave()
            return redirect(url_for(".show", shop=shop), 303)
        return redirect(customer.to("invite.outcome", outcome=outcome), 303)

    def _visitor(self, circle: Circle, shop: str) -> customer.Customer:
        here = url_for(".show", shop=shop)
        paid_at = wallet.channel_at(self._runtime.directory(), shop)
        return wallet.ask(self._runtime, wallet.Want(circle.slug, target=here, shown=here, channel=paid_at))

    def _place(self, directory: Directory, slug: str) -> tuple[Merchant, Circle]:
        shop = directory.shop(slug)
        merchant = directory.merchant(shop.merchant) if shop is not None else None
        circle = directory.circle_of(merchant.slug) if merchant is not None else None
        if merchant is None or circle is None:
            browser.count_failed_look_up(self._runtime)
            abort(404)
        return merchant, circle


def shop_blueprint(runtime: Runtime) -> Blueprint:
    """The shop's code, under the name `shop`."""
    pages = ShopPages(runtime)
    blueprint = guard(Blueprint("shop", __name__), runtime)
    blueprint.add_url_rule("/s/<shop>", "show", pages.show, methods=["GET"])
    blueprint.add_url_rule("/s/<shop>", "join", pages.join, methods=["POST"])
    return blueprint
