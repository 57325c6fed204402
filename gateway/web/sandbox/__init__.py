"""The sandbox: a till, a phone and the POS's record on one page, with no real money; only where it is enabled."""

from __future__ import annotations

from typing import Any

from flask import Flask, g

from gateway.runtime import Runtime
from gateway.web.pages import CUSTOMER_ROOMS
from gateway.web.pages.chrome import frame_policy
from gateway.web.pages.customer import customer_pages
from gateway.web.sandbox.cashier import cashier_blueprint
from gateway.web.sandbox.desk import read_desk
from gateway.web.sandbox.platform import platform_blueprint
from gateway.web.sandbox.tap import tap_blueprint
from gateway.web.sandbox.views import sandbox_blueprint

__all__ = ["register_sandbox"]

_PHONE = "/sandbox/phone/<guest>"


def register_sandbox(app: Flask, runtime: Runtime) -> None:
    """Add the sandbox's pages to `app`; without `[sandbox] enabled` there are none (404)."""
    if not runtime.config.sandbox.enabled:
        return
    app.config["SANDBOX"] = True
    app.register_blueprint(sandbox_blueprint(runtime))
    app.register_blueprint(platform_blueprint(runtime))
    _mount_phone(app, runtime)


def _mount_phone(app: Flask, runtime: Runtime) -> None:
    """The customer's pages once more, under each guest's phone, where the sandbox page may frame them."""
    phone = customer_pages(runtime, "phone", (*CUSTOMER_ROOMS, cashier_blueprint, tap_blueprint))

    @phone.url_value_preprocessor
    def take_guest(endpoint: str | None, values: dict[str, Any] | None) -> None:  # noqa: ARG001 - Flask's signature
        guest = (values or {}).pop("guest", "")
        g.guest = guest
        g.paid_at = lambda: read_desk(runtime.home).last_channel(guest)

    @phone.url_defaults
    def give_guest(endpoint: str, values: dict[str, Any]) -> None:  # noqa: ARG001 - Flask's signature
        values.setdefault("guest", g.get("guest", ""))

    @phone.before_request
    def may_be_framed() -> None:
        frame_policy(frame_ancestors="'self'")

    app.register_blueprint(phone, url_prefix=_PHONE)
