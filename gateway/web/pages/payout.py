"""`/payout/<payout>`: money for a customer that he takes with a tap in his wallet's own browser (R113).

What that browser answers proves nothing: the page shows our own state, which follows the platform's word.
"""

from __future__ import annotations

from typing import Any, Final, cast

from flask import Blueprint, Response, abort, g, render_template, request, session
from werkzeug.wrappers import Response as AnyResponse

from gateway import outbox
from gateway.contract.store import Row
from gateway.contract.wallet import Transfers
from gateway.payouts import rows
from gateway.payouts.story import SEND, can_send
from gateway.runtime import Runtime
from gateway.tills import till_of
from gateway.web.pages import customer
from gateway.web.pages.chrome import guard
from gateway.web.pages.fragments import fragment
from gateway.web.pages.me.visitor import Visitor, visitor, watcher
from gateway.web.pages.user_agent import kind_of

Answer = str | AnyResponse | tuple[str, int]

EVERY_S: Final = 2
SLOW_S: Final = 15
SLOW_AFTER_S: Final = 60
SAID: Final = "payout_tap"
"""The session's slot for what the sandbox's wallet said."""


class PayoutPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def show(self, payout: str) -> Answer:
        """GET: the sum, how it stands, and where it waits for a tap, the button."""
        runtime, now = self._runtime, g.now
        row = own(runtime, payout)
        if row["state"] in {"sent", "unknown"}:
            # Who looks wants to know: the platform is asked next, and not by the slow beat of a day.
            runtime.store.write(lambda tx: outbox.hurry(tx, now, SEND, payout))
        return render_template(
            "payout.html",
            **self._told(row),
            **self._tap(row),
            said=session.pop(customer.slot(SAID), ""),
            every=EVERY_S,
            slow=SLOW_S,
            slow_after=SLOW_AFTER_S,
        )

    def live(self, payout: str) -> Response:
        """GET: the part that tells how it stands, for the page that lies open."""
        row = _of(watcher(self._runtime), _row(self._runtime, payout))
        return fragment(render_template("_payout.html", **self._told(row)))

    def _told(self, row: Row) -> dict[str, Any]:
        directory = self._runtime.directory()
        waits = row["state"] == "sent" and row["reason"] == rows.CONFIRMS and bool(row["handle"])
        return {
            "payout": row["id"],
            "step": "confirm" if waits else row["state"],
            "reason": row["reason"],
            "way": row["way"],
            "amount_fen": row["amount_fen"],
            "created_at": row["created_at"],
            "moved_at": row["moved_at"],
            "circle": directory.circle(row["circle"]),
            "zone": directory.zone(None),
        }

    def _tap(self, row: Row) -> dict[str, Any]:
        """What the page needs to ask for the tap: the wallet's own bridge, in the sandbox's phone a form."""
        if row["state"] != "sent" or not row["handle"]:
            return {}
        if g.get("guest", ""):
            return {"tap": customer.to("tap.press", payout=row["id"])}
        till = till_of(self._runtime.directory(), row["channel"])
        own = kind_of(request.headers.get("User-Agent", ""))
        if till is None or not can_send(till) or own.platform != till.wallet.slug:
            return {}
        return {"bridge": dict(cast("Transfers", till.wallet).confirm(till.keys, row["handle"]))}


def own(runtime: Runtime, payout: str) -> Row:
    """The payout of whoever looks, signed in by the wallet that pays it; 404 for another's, as for none."""
    row = _row(runtime, payout)
    return _of(visitor(runtime, row["circle"], row["channel"] or None), row)


def _row(runtime: Runtime, payout: str) -> Row:
    row = runtime.store.read(lambda tx: rows.payout(tx, payout)) if rows.is_payout(payout) else None
    if row is None:
        abort(404)
    return row


def _of(here: Visitor, row: Row) -> Row:
    if row["person"] not in here.who.group:
        abort(404)
    return row


def payout_blueprint(runtime: Runtime) -> Blueprint:
    """Payouts of customers, under the name `payout`."""
    pages = PayoutPages(runtime)
    blueprint = guard(Blueprint("payout", __name__), runtime)
    blueprint.context_processor(lambda: {"home": customer.to("me.home")})
    blueprint.add_url_rule("/payout/<payout>", "show", pages.show)
    blueprint.add_url_rule("/payout/<payout>/live", "live", pages.live)
    return blueprint
