"""The tap with which a guest of the sandbox takes a payout: his wallet's answer, on his own phone."""

from __future__ import annotations

import json
from typing import Final

from flask import Blueprint, abort, g, redirect, request, session
from werkzeug.wrappers import Response

from gateway import outbox
from gateway.contract.errors import Refused
from gateway.payouts.story import SEND
from gateway.runtime import Runtime
from gateway.web.pages import customer
from gateway.web.pages.chrome import guard
from gateway.web.pages.payout import SAID, own
from gateway.web.sandbox.desk import openid_of
from gateway.web.sandbox.platform import stage_of

MOVES: Final = frozenset({"take", "cancel"})


class TapPages:
    """The view over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def press(self, payout: str) -> Response:
        """POST: one of `MOVES`; then back to the payout's page, which finds out by itself."""
        runtime, now = self._runtime, g.now
        move = request.form.get("move", "")
        if move not in MOVES:
            abort(400)
        row = own(runtime, payout)
        if move == "cancel":
            session[customer.slot(SAID)] = "cancel"
        elif row["state"] == "sent" and row["handle"]:
            try:
                stage = stage_of(runtime, row["channel"])
            except Refused:
                abort(404)
            answer = stage.twin.pay(stage.private, row["handle"], openid_of(g.guest), stage.state, now)
            if not _is_ok(answer.reply.body):
                session[customer.slot(SAID)] = "fail"
            runtime.store.write(lambda tx: outbox.hurry(tx, now, SEND, payout))
        return redirect(customer.to("payout.show", payout=payout), 303)


def tap_blueprint(runtime: Runtime) -> Blueprint:
    """The tap, under the name `tap`; for the sandbox's phones alone."""
    pages = TapPages(runtime)
    blueprint = guard(Blueprint("tap", __name__), runtime)
    blueprint.add_url_rule("/payout/<payout>/tap", "press", pages.press, methods=["POST"])
    return blueprint


def _is_ok(body: bytes) -> bool:
    """Whether the wallet's bridge would have told the page so."""
    try:
        told = json.loads(body)
    except ValueError:
        return False
    return isinstance(told, dict) and str(told.get("err_msg", "")).endswith(":ok")
