"""Orders: buying items for a customer, the sandbox's payment of one, giving units back."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from gateway.buying import Buying
from gateway.contract.errors import Refused
from gateway.contract.store import Tx
from gateway.orders import Bought
from gateway.runtime import Runtime
from gateway.web.api.guard import principal
from gateway.web.api.models import GiveBack, NewOrder, OrderMade, OrderState
from gateway.web.api.payments import link_view
from gateway.web.api.surface import Surface


def orders_blueprint(surface: Surface) -> Blueprint:
    """`/orders`; `/orders/<o>/pay` only where the sandbox is enabled."""
    blueprint = Blueprint("orders", __name__)
    runtime = surface.runtime
    buying = Buying(runtime)

    @blueprint.post("/orders")
    @surface.operation("manager", "orders", OrderMade, status=201, refusals=(404, 409))
    def order_new(json: NewOrder) -> tuple[dict[str, Any], int]:
        """An order for an item of a merchant in your circle, on behalf of a customer; its stock is held."""
        directory = runtime.directory()
        item = directory.item(json.item)
        circle = directory.circle_of(item.merchant) if item is not None else None
        _own_circle(runtime, circle.slug if circle is not None else None)
        made = runtime.ordering.create(directory, json.item, json.quantity, json.person, runtime.clock())
        answer = {
            "order": made["id"],
            "state": made["state"],
            "amount_fen": made["amount_fen"],
            "expires_at": made["expires_at"],
        }
        return answer, 201

    if runtime.config.sandbox.enabled:

        @blueprint.post("/orders/<order_id>/pay")
        @surface.operation("manager", "orders", OrderState, refusals=(404,))
        def order_pay(order_id: str) -> dict[str, Any]:
            """The sandbox's wallet pays an order."""
            _known(runtime, order_id)
            return _told(runtime, runtime.ordering.pay(runtime.directory(), order_id, runtime.clock()))

    @blueprint.post("/orders/<order_id>/refund")
    @surface.operation("manager", "orders", OrderState, refusals=(404, 409))
    def order_refund(order_id: str, json: GiveBack) -> dict[str, Any]:
        """Unused units are given back: their coupons are void, their money returns, by the wallet that paid it."""
        _known(runtime, order_id)
        _bounded(runtime, order_id, json.quantity)
        return _told(runtime, buying.refund(order_id, json.quantity, runtime.clock()))

    return blueprint


def _told(runtime: Runtime, bought: Bought) -> dict[str, Any]:
    return {
        "state": bought.state,
        "coupons": list(bought.coupons),
        "link": link_view(runtime).as_json(bought.link) if bought.link is not None else None,
    }


def _bounded(runtime: Runtime, order_id: str, quantity: int) -> None:
    """Raises Refused `reauthentication_required` 401 for more money than goes without a password given just now."""
    most_fen = runtime.accounts.most_without_password(principal(), runtime.clock())
    if most_fen is None:
        return
    row = runtime.store.read(lambda tx: tx.one("SELECT price_fen FROM orders WHERE id = :id", {"id": order_id}))
    if row is not None and row["price_fen"] * quantity > most_fen:
        raise Refused("reauthentication_required", 401, limit_fen=most_fen)


def _known(runtime: Runtime, order_id: str) -> None:
    def circle(tx: Tx) -> str | None:
        row = tx.one("SELECT circle FROM orders WHERE id = :id", {"id": order_id})
        return str(row["circle"]) if row is not None else None

    _own_circle(runtime, runtime.store.read(circle))


def _own_circle(runtime: Runtime, circle: str | None) -> None:
    """Raises Refused `not_found` for nothing, and for what another circle has."""
    circles = principal().circles(runtime.directory())
    if circle is None or (circles is not None and circle not in circles):
        raise Refused("not_found", 404)
