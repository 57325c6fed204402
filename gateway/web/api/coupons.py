"""Coupons at the till: look, use, take back, merge scans kept without a line (R060, R062, R064)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint, request

from gateway.auth.throttle import UNKNOWN_CODE
from gateway.contract.errors import Refused
from gateway.offline import Offline, Settled
from gateway.redeeming import Bill, Clerk
from gateway.runtime import Runtime
from gateway.web.api.guard import name_request, principal
from gateway.web.api.models import Conflicts, Coupon, KeptScans, RedeemBill, Reversal, ScansSettled
from gateway.web.api.surface import Surface

_KEY: Final = re.compile(r"[!-~]{1,200}\Z", re.ASCII)


def coupons_blueprint(surface: Surface) -> Blueprint:
    """`/coupons/<code>`, `/scans`, and what can be done with them."""
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

    offline = Offline(runtime.store, runtime.redeeming)

    @blueprint.post("/scans")
    @surface.operation("clerk", "coupons", ScansSettled, refusals=(404, 429))
    def scans(json: KeptScans) -> dict[str, Any]:
        """Merge scans that a till made without a line: each nonce is settled once, nothing is used twice."""
        kept = json.as_scans(lambda slug: _bill(runtime, RedeemBill(shop=slug)).shop)
        token, place = principal().token_id, principal().merchant
        done = offline.merge(kept, json.sent_at, _clerk(runtime), place, token, runtime.clock())
        return {"results": [_settled(one) for one in done]}

    @blueprint.get("/scans/conflicts")
    @surface.operation("clerk", "coupons", Conflicts)
    def scan_conflicts() -> dict[str, Any]:
        """Kept scans that did not go through and that no manager has looked at."""
        listed = offline.conflicts(_clerk(runtime))
        more = ("tail", "by", "merged_at")
        return {"items": [{**_settled(one), **{name: getattr(one, name) for name in more}} for one in listed]}

    @blueprint.post("/scans/<nonce>/acknowledge")
    @surface.operation("manager", "coupons", status=204, refusals=(404,))
    def scan_acknowledge(nonce: str) -> tuple[str, int]:
        """Take a conflict from the list: it was looked at."""
        offline.acknowledge(nonce, _clerk(runtime), runtime.clock())
        return "", 204

    return blueprint


def _settled(one: Settled) -> dict[str, Any]:
    first = one.first
    return {
        "nonce": one.nonce,
        "outcome": one.outcome,
        "reason": one.reason,
        "at": one.at,
        "shop": one.shop,
        "redeemed": {"at": first.at, "shop": first.shop, "by": first.by} if first is not None else None,
        "merchant": one.owner,
    }


def _clerk(runtime: Runtime) -> Clerk:
    who = principal()
    most_fen = runtime.accounts.most_without_password(who, runtime.clock())
    return Clerk(who.name, who.merchants(runtime.directory()), name_request(runtime), most_fen)


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
