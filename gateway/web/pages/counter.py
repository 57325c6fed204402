"""What a clerk does with one code at the counter, and what the big result then says: no page of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from flask import g, request, session
from flask_babel import gettext as _

from crypto.tokens import looks_like_token, new_token
from gateway.auth import Principal
from gateway.auth.throttle import UNKNOWN_CODE
from gateway.auth.tokens import unauthorized
from gateway.catalog.directory import Directory
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.store import Tx
from gateway.redeeming import REVERSIBLE_FOR, Bill, Clerk
from gateway.runtime import Runtime
from gateway.web.pages import scans
from gateway.web.pages.browser import address
from gateway.web.pages.cards import shop_name
from gateway.web.pages.refusals import request_id

SAME_SCAN: Final = timedelta(seconds=10)
_KINDS: Final[Mapping[str, str]] = {
    "already_redeemed": "already",
    "expired": "expired",
    "wrong_merchant": "other_shop",
    "no_such_coupon": "unknown",
    "not_yet_valid": "not_yet",
    "below_minimum": "below",
    "void": "void",
    "reserved": "reserved",
    "reauthentication_required": "password",
}
"""A refusal's code → the kind of big result that tells it."""


@dataclass(frozen=True, slots=True)
class Result:
    """The big result: its kind, and what its one line of fact and its form need.

    `act`: what a password is asked for, `redeem` or `undo`; `limit_fen`: above what. `asks` is whether it holds a form.
    """

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
    act: str = "redeem"
    limit_fen: int = 0
    reason: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Counter:
    """One request at the counter: the runtime, the catalogue of this moment, and who stands there."""

    runtime: Runtime
    directory: Directory
    who: Principal

    def clerk(self) -> Clerk:
        """Whoever asks, with what he may move as he stands."""
        most_fen = self.runtime.accounts.most_without_password(self.who, g.now)
        return Clerk(self.who.name, self.who.merchants(self.directory), request_id(self.runtime), most_fen)

    def look(self, code: str, bill: Bill | None = None) -> Result:
        """What the coupon would do; nothing is used."""
        try:
            shown = self.runtime.redeeming.look(code, self.clerk(), g.now)
        except Refused as refused:
            return self.refusal(code, refused)
        word = ""
        if shown["state"] != "claimed":
            word = {"redeemed": "already_redeemed"}.get(shown["state"], shown["state"])
        elif shown["valid_from"] > to_text(g.now):
            word = "not_yet_valid"
        elif bill is not None and bill.amount_fen is not None and bill.amount_fen < shown["min_spend_fen"]:
            word = "below_minimum"
        if word:
            # Nothing was asked for that could be refused: the page is as good as any.
            return self.refusal(code, Refused(word, 200, redeemed=shown["redeemed"]))
        return self._of_coupon("preview", code, shown)

    def use(self, code: str, bill: Bill) -> Result:
        """Use the coupon; the same scan by the same device within ten seconds shows the first answer again."""
        clerk, key = self.clerk(), self._request_key(code, bill)
        try:
            try:
                shown = self.runtime.redeeming.redeem(code, clerk, key, bill, g.now)
            except Refused as refused:
                if refused.code != "idempotency_key_reused":
                    raise
                # The form of an earlier scan, brought back by the browser and filled with another code.
                key = new_token(self.runtime.random)
                shown = self.runtime.redeeming.redeem(code, clerk, key, bill, g.now)
        except Refused as refused:
            return self.refusal(code, refused)
        session["scan"] = [code, bill_text(bill), key, to_text(g.now)]
        return self._of_coupon("used_now", code, shown)

    def is_same_scan(self, code: str, bill: Bill) -> bool:
        """Whether this device used this very code a moment ago."""
        last: list[str] = session.get("scan") or ["", "", "", to_text(g.now)]
        return last[:2] == [code, bill_text(bill)] and g.now - from_text(last[3]) <= SAME_SCAN

    def asks_first(self, result: Result) -> bool:
        """Whether the merchant wants a coupon shown before it is used: the till's, for an operator the coupon's."""
        merchant = self.directory.merchant(self.who.merchant or result.merchant)
        return merchant is not None and merchant.confirm_first

    def undo(self, code: str, reason: str, clerk: Clerk) -> Result:
        """Take a redemption back; the coupon can be used again."""
        try:
            self.runtime.redeeming.reverse(code, clerk, reason, g.now)
        except Refused as refused:
            if refused.code == "reauthentication_required":
                asked = self.refusal(code, refused)
                return replace(asked, act="undo", reason=reason)
            kind = {"too_late": "too_late", "not_redeemed": "not_redeemed"}.get(refused.code, "unknown")
            return Result(kind, refused.status, code)
        session.pop("scan", None)
        return Result("reversed", 200, code, title=self.name(code))

    def manager(self, name: str, password: str) -> Clerk:
        """A manager who gives his password on this device, for one act within both their scopes.

        Raises Refused: `unauthorized` (401) also for one who is no manager, `too_many` (429), `busy` (503).
        """
        found = self.runtime.accounts.vouch(name, password, address(self.runtime), g.now)
        if not found.may("manager"):
            raise unauthorized()
        his, here = found.merchants(self.directory), self.who.merchants(self.directory)
        both = his if here is None else here if his is None else his & here
        return Clerk(found.name, both, request_id(self.runtime), device_of=self.who.name)

    def confirm_password(self, password: str) -> Counter:
        """The same, after the password of whoever is signed in was given. Raises Refused like `manager`."""
        accounts = self.runtime.accounts
        accounts.reauthenticate(self.who, self.who.name, password, address(self.runtime), g.now)
        return replace(self, who=replace(self.who, confirmed_at=to_text(g.now)))

    def refusal(self, code: str, refused: Refused) -> Result:
        """The big result of a refusal. Raises it again where no result tells it; counts a code that is none."""
        kind = _KINDS.get(refused.code)
        if kind is None:
            raise refused
        if kind == "unknown":
            # Guessing codes is slowed down for each session by itself; Refused 429 ends the request.
            now = g.now
            self.runtime.store.write(lambda tx: UNKNOWN_CODE.count(tx, now, self.who.token_id))
            return Result(kind, refused.status, code)
        if kind == "other_shop":
            owner = self.directory.merchant(str(refused.facts.get("merchant", "")))
            return Result(kind, refused.status, code, merchant=owner.name if owner is not None else "")
        used = refused.facts.get("redeemed") or {}
        shown = self.runtime.redeeming.look(code, self.clerk(), g.now)
        recent = bool(used) and g.now - from_text(used["at"]) <= REVERSIBLE_FOR
        return Result(
            kind,
            refused.status,
            code,
            title=self.name(code),
            fen=shown["value_fen"],
            min_spend_fen=shown["min_spend_fen"],
            at=used.get("at") or shown["valid_from"],
            shop=shop_name(self.directory, used.get("shop")),
            by=used.get("by") or "",
            valid_to=shown["valid_to"],
            can_undo=kind == "already" and recent,
            limit_fen=int(refused.facts.get("limit_fen", 0)),
        )

    def name(self, code: str) -> str:
        """The name that a coupon was made with."""
        return self.runtime.store.read(lambda tx: scans.coupon_name(tx, code))

    def _request_key(self, code: str, bill: Bill) -> str:
        """The form's request id, or that of the same scan a moment ago."""
        if self.is_same_scan(code, bill):
            return str(session["scan"][2])
        key = request.form.get("key", "")
        return key if looks_like_token(key) else new_token(self.runtime.random)

    def _of_coupon(self, kind: str, code: str, shown: Mapping[str, Any]) -> Result:
        def read(tx: Tx) -> tuple[str, int]:
            return scans.coupon_name(tx, code), scans.discount_of(tx, code)

        title, discount = self.runtime.store.read(read)
        return Result(
            kind,
            code=code,
            title=title,
            fen=discount or shown["value_fen"],
            min_spend_fen=shown["min_spend_fen"],
            merchant=shown["merchant"],
            valid_to=shown["valid_to"],
        )


def bill_text(bill: Bill) -> str:
    """A bill in a few characters, to tell two apart."""
    return f"{bill.amount_fen}:{bill.shop}"


def why_no_password(refused: Refused) -> str:
    """The words beside a password that was not taken."""
    match refused.code:
        case "too_many":
            words = _("操作太频繁，请 %(n)s 秒后再试", n=refused.facts.get("retry_after_s", 60))
        case "busy":
            words = _("现在登录的人太多，请稍后再试")
        case _unknown:
            words = _("用户名或密码不对")
    return str(words)
