"""The pages that people see, one module a surface, and what they share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import Blueprint, Flask

from gateway.runtime import Runtime
from gateway.web.campaign_views import register_files
from gateway.web.pages.buy import buy_blueprint
from gateway.web.pages.campaigns import campaigns_blueprint
from gateway.web.pages.chrome import set_up_chrome
from gateway.web.pages.claim import claim_blueprint
from gateway.web.pages.customer import customer_pages
from gateway.web.pages.invite import invite_blueprint
from gateway.web.pages.join import join_blueprint
from gateway.web.pages.language import set_up_language
from gateway.web.pages.login import login_blueprint
from gateway.web.pages.me import gift_blueprint, me_blueprint
from gateway.web.pages.payout import payout_blueprint
from gateway.web.pages.redeem import redeem_blueprint
from gateway.web.pages.refusals import set_up_refusals
from gateway.web.pages.shop import shop_blueprint
from gateway.web.pages.slip import slip_blueprint
from gateway.web.pages.status import status_blueprint
from gateway.web.pages.till import till_blueprint
from gateway.web.pages.wallet import wallet_blueprint

__all__ = ["CUSTOMER_ROOMS", "register_pages"]

CUSTOMER_ROOMS: Final[tuple[Callable[[Runtime], Blueprint], ...]] = (
    claim_blueprint,
    invite_blueprint,
    shop_blueprint,
    wallet_blueprint,
    buy_blueprint,
    me_blueprint,
    gift_blueprint,
    slip_blueprint,
    payout_blueprint,
    campaigns_blueprint,
)
"""The pages that customers see; the sandbox mounts them once more under each guest's phone."""


def register_pages(app: Flask, runtime: Runtime) -> None:
    """Add every page to `app`, whose root is `gateway/web`. Call it after the API has taken its own paths."""
    set_up_language(app, [kind.pages.folder for kind in runtime.registry.campaigns.values() if kind.pages is not None])
    set_up_chrome(app, runtime)
    set_up_refusals(app, runtime)
    register_files(app, runtime.registry)
    app.register_blueprint(customer_pages(runtime, "customer", CUSTOMER_ROOMS))
    for make in (
        login_blueprint,
        join_blueprint,
        redeem_blueprint,
        status_blueprint,
        till_blueprint,
    ):
        app.register_blueprint(make(runtime))
