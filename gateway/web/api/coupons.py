"""Coupons at the till: look, use, take back (R060, R062)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint, request

from gateway.auth.throttle import UNKNOWN_CODE
from gateway.contract.errors import Refused
from gateway.redeeming import Bill, Clerk
from gateway.runtime import Runtime
from gateway.web.api.guard import name_request, principal
from gateway.web.api.models import Coupon, RedeemBill, Reversal
from gateway.web.api.surface import Surface

_KEY: Final = re.compile(r"[!-~]{1,200}\Z", re.ASCII)


def coupons_blueprint(surface: Surface) -> Blueprint:
    """`/coupons/<code>` and what can be done with it."""
    blueprint = Blueprint("coupons", __name__)
    runtime = surface.runtime

    @blueprint.get("/coupons/<code>")
    @surface.operation("clerk", "coupons", Coupon, refusals=(404, 429))
    def coupon(code: str) -> dict[str, Any]:
        """A coupon as it stands now. Another merchant's: 403 `wrong_merchant`, and where it is good."""
        return _counting_guesses(runtime, lambda: runtime.redeeming.look(code, _clerk(runtime), runtime.clock()))

    @blueprint.post("/coupons/<code>/redeem")
    @surface.operation("clerk", "coupons", Coupon, refusals=(404, 409, 410, 429), keyed=True, body_optional=True)
    def coupon_redeem(code: str, json: RedeemBill) -> dict[str, Any]:
        """Use a coupon, once. The same Idempotency-Key gets the same answer."""
        key = request.headers.get("Idempotency-Key", "")
        if not _KEY.match(key):
            raise Refused("idempotency_key_required", 400)
        bill = _bill(runtime, json)
        return _counting_guesses(
            runtime, lambda: runtime.redeeming.redeem(code, _clerk(runtime), key, bill, runtime.clock())
        )

    @blueprint.post("/coupons/<code>/reverse")
    @surface.operation("manager", "coupons", Coupon, refusals=(404, 409, 429))
    def coupon_reverse(code: str, json: Reversal) -> dict[str, Any]:
        """Take a redemption back within 24 hours; the coupon can be used again."""
        return _counting_guesses(
            runtime, lambda: runtime.redeeming.reverse(code, _clerk(runtime), json.reason, runtime.clock())
        )

    return blueprint


def _clerk(runtime: Runtime) -> Clerk:
    who = principal()
    return Clerk(who.name, who.merchants(runtime.directory()), name_request(runtime))


def _bill(runtime: Runtime, json: RedeemBill) -> Bill:
    """Raises Refused `no_such_shop` (404) for a shop that is none of his."""
    if json.shop is not None:
        shop = runtime.directory().shop(json.shop)
        if shop is None or not _clerk(runtime).serves(shop.merchant):
            raise Refused("no_such_shop", 404)
    return Bill(json.amount_fen, json.transaction_id, json.shop)


def _counting_guesses(runtime: Runtime, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run `call`; a token that named too many codes that are none may try no code for the rest of the minute."""
    token, now = principal().token_id, runtime.clock()
    runtime.store.read(lambda tx: UNKNOWN_CODE.check(tx, now, token))
    try:
        return call()
    except Refused as refused:
        if refused.code == "no_such_coupon":
            runtime.store.write(lambda tx: UNKNOWN_CODE.count(tx, now, token))
        raise
