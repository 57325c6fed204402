"""`/redeem` and `/v/<code>`: a clerk uses a coupon (核销), sees the answer large, and a manager may undo it.

Works as a plain form. Every rendered form carries a request id, so that a form sent twice is one redemption; the same
code scanned again by the same device within ten seconds is the same scan, not a second one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from flask import Blueprint, g, make_response, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from crypto.tokens import looks_like_token, new_token
from gateway.auth import Principal
from gateway.auth.throttle import UNKNOWN_CODE
from gateway.catalog.directory import Directory
from gateway.catalog.specs import Shop
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.money import MAX_FEN, fen_of_yuan
from gateway.contract.store import Tx
from gateway.redeeming import Bill, Clerk
from gateway.runtime import Runtime
from gateway.web.pages import scans, staff
from gateway.web.pages.cards import shop_name
from gateway.web.pages.chrome import guard
from gateway.web.pages.refusals import request_id
from linkgen.codes import normalise

Answer = str | Response | tuple[str, int]

SAME_SCAN: Final = timedelta(seconds=10)
_MOST_SHOPS: Final = 100
_LONGEST_REASON: Final = 200
_KINDS: Final[Mapping[str, str]] = {
    "already_redeemed": "already",
    "expired": "expired",
    "wrong_merchant": "other_shop",
    "no_such_coupon": "unknown",
    "not_yet_valid": "not_yet",
    "below_minimum": "below",
    "void": "void",
    "reserved": "reserved",
}
"""A refusal's code → the kind of big result that tells it."""


@dataclass(frozen=True, slots=True)
class Result:
    """The big result: its kind, and what its one line of fact needs."""

    kind: str
    status: int = 200
    code: str = ""
    title: str = ""
    fen: int = 0
    min_spend_fen: int = 0
    at: str = ""
    shop: str = ""
    by: str = ""
    merchant: str = ""
    valid_to: str = ""
    can_undo: bool = False


class RedeemPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def redeem(self) -> Answer:
        """GET: the form, with a coupon to look at when `code` is given. POST: use it."""
        who = staff.require(self._runtime, "clerk")
        directory = self._runtime.directory()
        code = normalise(_code_of(request.values.get("code", "")))
        if request.method == "GET":
            result = self._look(directory, who, code) if code else None
            return self._form(directory, who, result, code if result and result.kind == "preview" else "")
        try:
            bill = self._bill(directory, who)
        except ValueError:
            faults = {"amount": _("账单金额请写成 26.00 这样")}
            return self._form(directory, who, None, code, faults=faults, status=422)
        result = self._use(directory, who, code, bill)
        if result.kind not in {"used_now", "already"}:
            kept = [scans.as_kept(g.now, result.kind, code), *session.get("misses", [])]
            session["misses"] = kept[: scans.SHOWN]
        return self._form(directory, who, result, "")

    def undo(self) -> Answer:
        """A manager takes a redemption back within a day, with a reason (R062)."""
        who = staff.require(self._runtime, "manager")
        directory = self._runtime.directory()
        code, reason = normalise(request.form.get("code", "")), request.form.get("reason", "").strip()
        if not 0 < len(reason) <= _LONGEST_REASON:
            return self._form(directory, who, None, "", faults={"reason": _("请填写撤销原因")}, status=422)
        try:
            self._runtime.redeeming.reverse(code, self._clerk(directory, who), reason, g.now)
        except Refused as refused:
            kind = {"too_late": "too_late", "not_redeemed": "not_redeemed"}.get(refused.code, "unknown")
            return self._form(directory, who, Result(kind, refused.status, code), "")
        session.pop("scan", None)
        return self._form(directory, who, Result("reversed", 200, code, title=self._name(code)), "")

    def address_of_code(self, code: str) -> Answer:
        """`/v/<code>`, what a coupon's QR code says: staff go on to redeem it, anyone else is told to show it."""
        if staff.signed_in(self._runtime) is not None:
            return redirect(url_for("redeem.redeem", code=normalise(code)), 303)
        return make_response(render_template("show_staff.html"))

    # -- using one --------------------------------------------------------------------------------------------------

    def _look(self, directory: Directory, who: Principal, code: str) -> Result:
        try:
            shown = self._runtime.redeeming.look(code, self._clerk(directory, who), g.now)
        except Refused as refused:
            return self._refusal(directory, who, code, refused)
        if shown["state"] == "claimed":
            return self._of_coupon(directory, "preview", code, shown)
        word = {"redeemed": "already_redeemed"}.get(shown["state"], shown["state"])
        return self._refusal(directory, who, code, Refused(word, 200, redeemed=shown["redeemed"]))

    def _use(self, directory: Directory, who: Principal, code: str, bill: Bill) -> Result:
        clerk = self._clerk(directory, who)
        key = self._request_key(code, bill)
        try:
            try:
                shown = self._runtime.redeeming.redeem(code, clerk, key, bill, g.now)
            except Refused as refused:
                if refused.code != "idempotency_key_reused":
                    raise
                # The form of an earlier scan, brought back by the browser and filled with another code.
                key = new_token(self._runtime.random)
                shown = self._runtime.redeeming.redeem(code, clerk, key, bill, g.now)
        except Refused as refused:
            return self._refusal(directory, who, code, refused)
        session["scan"] = [code, _bill_text(bill), key, to_text(g.now)]
        return self._of_coupon(directory, "used_now", code, shown)

    def _request_key(self, code: str, bill: Bill) -> str:
        """The form's request id, or that of the same scan a moment ago."""
        last = session.get("scan")
        if last and last[:2] == [code, _bill_text(bill)] and g.now - from_text(last[3]) <= SAME_SCAN:
            return str(last[2])
        key = request.form.get("key", "")
        return key if looks_like_token(key) else new_token(self._runtime.random)

    def _of_coupon(self, directory: Directory, kind: str, code: str, shown: Mapping[str, Any]) -> Result:
        def read(tx: Tx) -> tuple[str, int]:
            return scans.coupon_name(tx, code), scans.discount_of(tx, code)

        title, discount = self._runtime.store.read(read)
        owner = directory.merchant(shown["merchant"])
        return Result(
            kind,
            code=code,
            title=title,
            fen=discount or shown["value_fen"],
            min_spend_fen=shown["min_spend_fen"],
            merchant=owner.name if owner is not None else shown["merchant"],
            valid_to=shown["valid_to"],
        )

    def _refusal(self, directory: Directory, who: Principal, code: str, refused: Refused) -> Result:
        kind = _KINDS.get(refused.code)
        if kind is None:
            raise refused
        if kind == "unknown":
            # Guessing codes is slowed down for each session by itself; Refused 429 ends the request.
            now = g.now
            self._runtime.store.write(lambda tx: UNKNOWN_CODE.count(tx, now, who.token_id))
            return Result(kind, refused.status, code)
        if kind == "other_shop":
            owner = directory.merchant(str(refused.facts.get("merchant", "")))
            return Result(kind, refused.status, code, merchant=owner.name if owner is not None else "")
        used = refused.facts.get("redeemed") or {}
        shown = self._runtime.redeeming.look(code, self._clerk(directory, who), g.now)
        recent = bool(used) and g.now - from_text(used["at"]) <= timedelta(hours=24)
        return Result(
            kind,
            refused.status,
            code,
            title=self._name(code),
            fen=shown["value_fen"],
            min_spend_fen=shown["min_spend_fen"],
            at=used.get("at") or shown["valid_from"],
            shop=shop_name(directory, used.get("shop")),
            by=used.get("by") or "",
            valid_to=shown["valid_to"],
            can_undo=kind == "already" and recent and who.may("manager"),
        )

    # -- showing it -------------------------------------------------------------------------------------------------

    def _form(
        self,
        directory: Directory,
        who: Principal,
        result: Result | None,
        code: str,
        *,
        faults: Mapping[str, str] | None = None,
        status: int | None = None,
    ) -> Answer:
        merchants, now = who.merchants(directory), g.now
        done = self._runtime.store.read(lambda tx: scans.redemptions(tx, directory, merchants, now))
        missed = scans.failed(session.get("misses", []), now)
        shops = _shops(directory, merchants)
        chosen = session.get("shop") or (shops[0].slug if len(shops) == 1 else "")
        page = render_template(
            "redeem.html",
            me=who,
            place=_place(directory, who),
            result=result,
            code=code,
            faults=faults or {},
            key=new_token(self._runtime.random),
            shops=shops,
            shop=chosen,
            scans=scans.newest(done, missed),
            may_undo=who.may("manager"),
            zone=directory.zone(chosen or (shops[0].slug if shops else None)),
        )
        return page, status or (result.status if result is not None else 200)

    def _bill(self, directory: Directory, who: Principal) -> Bill:
        """What the form says of the bill. Raises ValueError for an amount that is none."""
        text = request.form.get("amount", "").strip().replace(",", "").replace("¥", "")
        amount = fen_of_yuan(text) if text else None
        if amount is not None and not 0 < amount <= MAX_FEN:
            raise ValueError("not an amount")
        slug = request.form.get("shop", "")
        known = {shop.slug for shop in _shops(directory, who.merchants(directory))}
        if slug in known:
            session["shop"] = slug
        return Bill(amount, None, slug if slug in known else None)

    def _clerk(self, directory: Directory, who: Principal) -> Clerk:
        return Clerk(who.name, who.merchants(directory), request_id(self._runtime))

    def _name(self, code: str) -> str:
        return self._runtime.store.read(lambda tx: scans.coupon_name(tx, code))


def redeem_blueprint(runtime: Runtime) -> Blueprint:
    """Redeeming, under the name `redeem`."""
    pages = RedeemPages(runtime)
    blueprint = guard(Blueprint("redeem", __name__), runtime)
    add = blueprint.add_url_rule
    add("/redeem", "redeem", pages.redeem, methods=["GET", "POST"])
    add("/redeem/undo", "undo", pages.undo, methods=["POST"])
    add("/v/<code>", "address_of_code", pages.address_of_code)
    return blueprint


def _code_of(text: str) -> str:
    """A code as typed or scanned; a scanner that reads our QR code gives the whole address."""
    _head, mark, tail = text.rpartition("/v/")
    return tail if mark else text


def _shops(directory: Directory, merchants: frozenset[str] | None) -> list[Shop]:
    shops = directory.catalog.shops.values()
    return [shop for shop in shops if merchants is None or shop.merchant in merchants][:_MOST_SHOPS]


def _place(directory: Directory, who: Principal) -> str:
    """Whose till it is, for the head of the page."""
    merchant = directory.merchant(who.merchant) if who.merchant else None
    circle = directory.circle(who.circle) if who.circle else None
    return merchant.name if merchant is not None else circle.name if circle is not None else ""


def _bill_text(bill: Bill) -> str:
    return f"{bill.amount_fen}:{bill.shop}"
