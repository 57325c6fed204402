"""`/redeem` and `/v/<code>`: a clerk uses a coupon (核销), sees the answer large, and a manager may undo it.

Works as plain forms. Every rendered form carries a request id, so that a form sent twice is one redemption; the same
code scanned again by the same device within ten seconds is the same scan, not a second one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from flask import Blueprint, g, make_response, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from crypto.tokens import new_token
from gateway.auth import Principal
from gateway.catalog.directory import Directory
from gateway.catalog.specs import Shop
from gateway.contract.errors import Refused
from gateway.contract.money import MAX_FEN, fen_of_yuan
from gateway.redeeming import Bill
from gateway.runtime import Runtime
from gateway.web.pages import photo, scans, staff
from gateway.web.pages.chrome import guard, takes
from gateway.web.pages.counter import Counter, Result, why_no_password
from gateway.web.pages.queued import QueuePages
from linkgen.codes import is_code, normalise

Answer = str | Response | tuple[str, int]

_MOST_SHOPS: Final = 100
_LONGEST_REASON: Final = 200
_LONGEST_PASSWORD: Final = 1000
_UNPROCESSABLE: Final = 422
_NO_SCANS: Final = frozenset({"used_now", "already", "preview", "password"})
"""Results that are no failed scan; a redemption stands in the list by itself."""


class RedeemPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def redeem(self) -> Answer:
        """GET: the form, with a coupon to look at when `code` is given. POST: use it."""
        counter = self._counter()
        code = normalise(_code_of(request.values.get("code", "")))
        if request.method == "GET":
            result = counter.look(code) if code else None
            return self._page(counter, result, code if result and result.kind == "preview" else "")
        return self._scanned(counter, code)

    @takes(photo.LIMIT + 64 * 1024)
    def photo(self) -> Answer:
        """A photo of the code, decoded here and kept nowhere; then as if the code had been typed."""
        counter = self._counter()
        sent = request.files.get("photo")
        try:
            found = photo.codes_in(sent.read(photo.LIMIT)) if sent is not None and photo.is_available() else []
        except Refused as refused:
            return self._page(counter, Result(refused.code, refused.status), "")
        codes = list(dict.fromkeys(code for text in found if is_code(code := normalise(_code_of(text)))))
        if len(codes) != 1:
            kind = "many_codes" if codes else "no_code"
            return self._page(counter, Result(kind, _UNPROCESSABLE, number=len(codes)), "")
        return self._scanned(counter, codes[0])

    def undo(self) -> Answer:
        """A redemption is taken back within a day, with a reason (R062): by a manager, here or on a clerk's device."""
        counter = self._counter()
        code, reason = normalise(request.form.get("code", "")), request.form.get("reason", "").strip()
        password = request.form.get("password", "")[:_LONGEST_PASSWORD]
        asked = Result("undo", _UNPROCESSABLE, code, title=counter.name(code), reason=reason)
        if not 0 < len(reason) <= _LONGEST_REASON:
            return self._page(counter, asked, "", faults={"reason": _("请填写撤销原因")})
        try:
            if not counter.who.may("manager"):
                clerk = counter.manager(request.form.get("manager", ""), password)
            else:
                clerk = (counter.confirm_password(password) if password else counter).clerk()
        except Refused as refused:
            asked = replace(asked, status=refused.status)
            return self._page(counter, asked, "", faults={"password": why_no_password(refused)})
        return self._page(counter, counter.undo(code, reason, clerk), "")

    def address_of_code(self, code: str) -> Answer:
        """`/v/<code>`, what a coupon's QR code says: staff go on to redeem it, anyone else is told to show it."""
        if staff.signed_in(self._runtime) is not None:
            return redirect(url_for("redeem.redeem", code=normalise(code)), 303)
        return make_response(render_template("show_staff.html"))

    # -- using one --------------------------------------------------------------------------------------------------

    def _counter(self) -> Counter:
        return Counter(self._runtime, self._runtime.directory(), staff.require(self._runtime, "clerk"))

    def _scanned(self, counter: Counter, code: str) -> Answer:
        """One scan, however it came: asked about first where the merchant wants that, else used."""
        try:
            bill = self._bill(counter)
        except ValueError:
            return self._page(
                counter, None, code, faults={"amount": _("账单金额请写成 26.00 这样")}, status=_UNPROCESSABLE
            )
        password = request.form.get("password", "")[:_LONGEST_PASSWORD]
        if password:
            try:
                counter = counter.confirm_password(password)
            except Refused as refused:
                asked = replace(counter.look(code), kind="password", status=refused.status)
                limit = self._runtime.accounts.reauth_above_fen
                faults = {"password": why_no_password(refused)}
                return self._page(counter, replace(asked, limit_fen=limit), "", faults=faults)
        result = self._first_look(counter, code, bill)
        if result is None or (result.kind == "preview" and not counter.asks_first(result)):
            result = counter.use(code, bill)
        if result.kind not in _NO_SCANS:
            kept = [scans.as_kept(g.now, result.kind, code), *session.get("misses", [])]
            session["misses"] = kept[: scans.SHOWN]
        return self._page(counter, result, "")

    def _first_look(self, counter: Counter, code: str, bill: Bill) -> Result | None:
        """The coupon before it is used, where it may be that somebody wants to see it; None to use it at once."""
        merchants = counter.directory.catalog.merchants
        own = merchants.get(counter.who.merchant or "")
        may_ask = own.confirm_first if own is not None else any(one.confirm_first for one in merchants.values())
        if not may_ask or "confirmed" in request.form or counter.is_same_scan(code, bill):
            return None
        return counter.look(code, bill)

    # -- showing it -------------------------------------------------------------------------------------------------

    def _page(
        self,
        counter: Counter,
        result: Result | None,
        code: str,
        *,
        faults: Mapping[str, str] | None = None,
        status: int | None = None,
    ) -> Answer:
        who, directory, now = counter.who, counter.directory, g.now
        merchants = who.merchants(directory)
        done = self._runtime.store.read(lambda tx: scans.redemptions(tx, directory, merchants, now))
        missed = scans.failed(session.get("misses", []), now)
        shops = _shops(directory, merchants)
        chosen = session.get("shop") or (shops[0].slug if len(shops) == 1 else "")
        page = render_template(
            "redeem.html",
            me=who,
            place=_place(directory, who),
            device=who.merchant or who.circle or "all",
            result=result,
            code=code,
            amount=request.form.get("amount", ""),
            faults=faults or {},
            key=new_token(self._runtime.random),
            shops=shops,
            shop=chosen,
            scans=scans.newest(done, missed),
            conflicts=len(QueuePages(self._runtime).open_conflicts(counter)),
            photos=photo.is_available(),
            zone=directory.zone(chosen or (shops[0].slug if shops else None)),
        )
        return page, status or (result.status if result is not None else 200)

    def _bill(self, counter: Counter) -> Bill:
        """What the form says of the bill. Raises ValueError for an amount that is none."""
        text = request.form.get("amount", "").strip().replace(",", "").replace("¥", "")
        amount = fen_of_yuan(text) if text else None
        if amount is not None and not 0 < amount <= MAX_FEN:
            raise ValueError("not an amount")
        slug = request.form.get("shop", "")
        known = {shop.slug for shop in _shops(counter.directory, counter.who.merchants(counter.directory))}
        if slug in known:
            session["shop"] = slug
        return Bill(amount, None, slug if slug in known else None)


def redeem_blueprint(runtime: Runtime) -> Blueprint:
    """Redeeming, under the name `redeem`."""
    pages, queue = RedeemPages(runtime), QueuePages(runtime)
    blueprint = guard(Blueprint("redeem", __name__), runtime)

    def add(rule: str, endpoint: str, view: Callable[..., Answer], *methods: str) -> None:
        blueprint.add_url_rule(rule, endpoint, view, methods=methods or ("GET",))

    add("/redeem", "redeem", pages.redeem, "GET", "POST")
    add("/redeem/photo", "photo", pages.photo, "POST")
    add("/redeem/undo", "undo", pages.undo, "POST")
    add("/redeem/queued", "queued", queue.queued, "POST")
    add("/redeem/conflicts", "conflicts", queue.conflicts, "GET", "POST")
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
