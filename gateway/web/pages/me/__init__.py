"""`/me`: the customer's own pages, below his wallet sign-in. `/g/<token>`: taking a coupon that a friend hands on."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from gateway.runtime import Runtime
from gateway.web.pages import customer
from gateway.web.pages.chrome import guard
from gateway.web.pages.me.coupon import CouponPages
from gateway.web.pages.me.gifts import GiftPages, TakerPages
from gateway.web.pages.me.home import HomePages
from gateway.web.pages.me.invite import InvitingPages
from gateway.web.pages.me.privacy import PrivacyPages

__all__ = ["gift_blueprint", "me_blueprint"]


def me_blueprint(runtime: Runtime) -> Blueprint:
    """The customer's own pages, under the name `me`; `me.home` is where they begin."""
    blueprint = guard(Blueprint("me", __name__), runtime)
    for pages in (HomePages, CouponPages, GiftPages, PrivacyPages, InvitingPages):
        pages(runtime).add_to(blueprint)
    blueprint.context_processor(_neighbours)
    return blueprint


def gift_blueprint(runtime: Runtime) -> Blueprint:
    """What a friend sees who follows a gift link, under the name `gift`."""
    blueprint = guard(Blueprint("gift", __name__), runtime)
    TakerPages(runtime).add_to(blueprint)
    return blueprint


def _neighbours() -> dict[str, Any]:
    """Pages beside ours that the navigation leads to where they exist."""
    return {"orders": customer.to("buy.orders") if customer.has("buy.orders") else ""}
