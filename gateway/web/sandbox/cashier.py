"""The sandbox's cashier: what a wallet shows when a page asks it for money, as a page on the guest's own phone.

Paying goes the real way: the platform's twin takes it, and tells us by a signed notification.
"""

from __future__ import annotations

import json
from typing import Final

from flask import Blueprint, abort, g, redirect, render_template, request, session
from werkzeug.wrappers import Response

from gateway import orders
from gateway.buying import Buying, rows
from gateway.contract.errors import Refused
from gateway.contract.store import Row, Tx
from gateway.runtime import Runtime
from gateway.tills import till_of
from gateway.web.pages import customer
from gateway.web.pages.chrome import guard
from gateway.web.pages.me.visitor import Visitor, visitor
from gateway.web.sandbox.desk import openid_of
from gateway.web.sandbox.platform import deliver, stage_of

Answer = str | Response | tuple[str, int]

MOVES: Final = frozenset({"pay", "cancel", "fail", "late"})
_SAID: Final = "cashier"


class CashierPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._buying = Buying(runtime)

    def show(self, order: str) -> Answer:
        """GET: the sum, and what a customer may do about it."""
        found, bought = self._find(visitor(self._runtime), order)
        if bought["state"] != "announced":
            return redirect(customer.to("buy.show", order=order), 303)
        item = self._runtime.directory().item(found["item"])
        till = till_of(self._runtime.directory(), bought["channel"])
        return render_template(
            "buy/cashier.html",
            order=found,
            name=item.name if item is not None else found["item"],
            platform=till.wallet.slug if till is not None else "",
            said=session.pop(customer.slot(_SAID), ""),
        )

    def press(self, order: str) -> Answer:
        """POST: one of `MOVES`; then back to the order's page, which finds out by itself."""
        runtime = self._runtime
        move = request.form.get("move", "")
        if move not in MOVES:
            abort(400)
        _, bought = self._find(visitor(runtime), order)
        if move in {"pay", "late"} and bought["state"] == "announced":
            try:
                stage = stage_of(runtime, bought["channel"])
            except Refused:
                abort(404)
            if move == "late":
                self._buying.lapse(bought["number"], g.now)
            answer = stage.twin.pay(stage.private, bought["handle"], openid_of(g.guest), stage.state, g.now)
            deliver(runtime, stage.channel, answer.events, g.now)
            if not answer.events:
                session[customer.slot(_SAID)] = _word(answer.reply.body)
                return redirect(customer.to("cashier.show", order=order), 303)
        elif move == "fail":
            session[customer.slot(_SAID)] = "fail"
            return redirect(customer.to("cashier.show", order=order), 303)
        return redirect(customer.to("buy.show", order=order), 303)

    def _find(self, here: Visitor, order: str) -> tuple[Row, Row]:
        """The guest's own order at a sandbox channel, and its number at the platform."""

        def read(tx: Tx) -> tuple[Row, Row | None]:
            return orders.order_of(tx, order), rows.purchase_of(tx, order)

        found, bought = self._runtime.store.read(read)
        channel = self._runtime.directory().channel(bought["channel"]) if bought is not None else None
        if found["person"] not in here.who.group or bought is None or channel is None or not channel.spec.sandbox:
            abort(404)
        return found, bought


def cashier_blueprint(runtime: Runtime) -> Blueprint:
    """The cashier, under the name `cashier`; for the sandbox's phones alone."""
    pages = CashierPages(runtime)
    blueprint = guard(Blueprint("cashier", __name__), runtime)
    add = blueprint.add_url_rule
    add("/cashier/<order>", "show", pages.show, methods=["GET"])
    add("/cashier/<order>", "press", pages.press, methods=["POST"])
    return blueprint


def _word(body: bytes) -> str:
    """What the bridge would have told the page, as one word."""
    try:
        told = json.loads(body)
    except ValueError:
        return "fail"
    return "cancel" if isinstance(told, dict) and "cancel" in str(told.get("err_msg", "")) else "fail"
