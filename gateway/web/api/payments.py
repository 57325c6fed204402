"""Payments: one with every decision about it (R076), or page by page."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any, Final

from flask import Blueprint

from gateway.catalog.directory import Directory
from gateway.contract.clock import from_text
from gateway.contract.errors import Refused
from gateway.contract.store import Row, Tx
from gateway.reading import payments
from gateway.reading.links import LinkView
from gateway.runtime import Runtime
from gateway.web.api.guard import principal, public_url
from gateway.web.api.models import PageQuery, Payment, PaymentPage, PaymentQuery
from gateway.web.api.surface import Surface

JUST_NOW: Final = timedelta(seconds=6)
"""Longer than the longest relay: after it a note that is not there will not come."""

NOTE_PATIENCE_S: Final = 0.5
_LOOK_AGAIN_S: Final = 0.02
_PREFIX: Final = "pay_"
"""What every payment's id begins with; a cursor is the rest of the last one shown, so that any cursor is a place."""


def payments_blueprint(surface: Surface) -> Blueprint:
    """`/payments` and `/payments/<transaction_id>`."""
    blueprint = Blueprint("payments", __name__)
    runtime = surface.runtime

    @blueprint.get("/payments/<transaction_id>")
    @surface.operation("manager", "payments", Payment, refusals=(404, 409))
    def payment(transaction_id: str, query: PaymentQuery) -> dict[str, Any]:
        """One payment with its tag, its links, and every decision's reason."""
        directory, asker = runtime.directory(), principal()

        def read(tx: Tx) -> tuple[dict[str, Any], bool]:
            rows = [
                row
                for row in payments.find(tx, transaction_id, query.provider)
                if asker.sees(row["circle"], row["merchant"])
            ]
            if not rows:
                raise Refused("not_found", 404)
            if len(rows) > 1:
                raise Refused("ambiguous", 409, providers=sorted({row["provider"] for row in rows}))
            shown = payments.as_json(tx, rows, directory, link_view(runtime))[0]
            return shown, relay_note_is_due(rows[0], directory, runtime.clock())

        shown, is_due = runtime.store.read(read)
        end = time.monotonic() + NOTE_PATIENCE_S
        while is_due and time.monotonic() < end:
            time.sleep(_LOOK_AGAIN_S)
            shown, is_due = runtime.store.read(read)
        return shown

    @blueprint.get("/payments")
    @surface.operation("manager", "payments", PaymentPage)
    def payment_list(query: PageQuery) -> dict[str, Any]:
        """Payments in your scope, newest first, 50 a page."""
        directory = runtime.directory()
        before = None if query.cursor is None else _PREFIX + query.cursor
        merchants = principal().merchants(directory)

        def read(tx: Tx) -> dict[str, Any]:
            rows, last = payments.page(tx, merchants, before)
            items = payments.as_json(tx, rows, directory, link_view(runtime))
            return {"items": items, "next": None if last is None else last.removeprefix(_PREFIX)}

        return runtime.store.read(read)

    return blueprint


def relay_note_is_due(payment: Row, directory: Directory, now: datetime) -> bool:
    """Whether the POS's answer to a payment that has just come is still on its way into the store.

    It is written behind the answer that the platform gets. Whoever asks within that moment waits for it.
    """
    if payment["relay_state"] != "none" or now - from_text(payment["received_at"]) > JUST_NOW:
        return False
    channel = directory.channel(payment["channel"])
    return channel is not None and bool(channel.upstream) and channel.spec.answer == "mirror"


def link_view(runtime: Runtime) -> LinkView:
    """How links are shown to this request."""
    return LinkView(runtime.link_keys, public_url(runtime), runtime.clock())
