"""Payments: one with every decision about it (R076), or page by page."""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint

from gateway.contract.errors import Refused
from gateway.contract.store import Tx
from gateway.reading import payments
from gateway.reading.links import LinkView
from gateway.runtime import Runtime
from gateway.web.api.guard import principal, public_url
from gateway.web.api.models import PageQuery, Payment, PaymentPage, PaymentQuery
from gateway.web.api.surface import Surface

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

        def read(tx: Tx) -> dict[str, Any]:
            rows = [
                row
                for row in payments.find(tx, transaction_id, query.provider)
                if asker.sees(row["circle"], row["merchant"])
            ]
            if not rows:
                raise Refused("not_found", 404)
            if len(rows) > 1:
                raise Refused("ambiguous", 409, providers=sorted({row["provider"] for row in rows}))
            return payments.as_json(tx, rows, directory, link_view(runtime))[0]

        return runtime.store.read(read)

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


def link_view(runtime: Runtime) -> LinkView:
    """How links are shown to this request."""
    return LinkView(runtime.link_keys, public_url(runtime), runtime.clock())
