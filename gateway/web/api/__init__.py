"""The JSON API under `/api/v1`: `register_api` is all that the application calls."""

from __future__ import annotations

from flask import Blueprint, Flask

from gateway.runtime import Runtime
from gateway.web.api.access import access_blueprint
from gateway.web.api.campaigns import campaigns_blueprint
from gateway.web.api.circles import circles_blueprint
from gateway.web.api.coupons import coupons_blueprint
from gateway.web.api.document import document_blueprint
from gateway.web.api.guard import finish, principal, protect
from gateway.web.api.notifications import notifications_blueprint
from gateway.web.api.orders import orders_blueprint
from gateway.web.api.payments import payments_blueprint
from gateway.web.api.surface import new_surface

__all__ = ["principal", "protect", "register_api"]


def register_api(app: Flask, runtime: Runtime) -> None:
    """Add the API to an application. Its calls are guarded here, and by nothing else of the application."""
    surface = new_surface(runtime)
    api = Blueprint("api", __name__, url_prefix="/api/v1")
    protect(api, runtime)
    for part in (
        access_blueprint,
        campaigns_blueprint,
        circles_blueprint,
        coupons_blueprint,
        document_blueprint,
        notifications_blueprint,
        orders_blueprint,
        payments_blueprint,
    ):
        api.register_blueprint(part(surface))
    app.register_blueprint(api)
    finish(app, runtime)
