"""Alipay's side of its wallet: the sign-in page, the code's exchange, trades, refunds, transfers, as documented.

It checks the app's signature on every call, keeps each number with the facts it came with, and signs each answer. A
trade is kept under kind `order` by the merchant's number, a refund under `refund` by both numbers, a sign-in code under
`code`, a trade number under `handle`, a transfer under `transfer`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from adapters.sandbox.alipay_trades import Desk
from adapters.sandbox.made import signer
from adapters.sandbox.twin import BAD_GATEWAY, DROPPED, take_fault
from crypto import certs, rsa
from crypto.errors import SignatureMismatch
from gateway.contract.wallet import Platform, SignInFailed, TwinAnswer, TwinRequest, TwinState

_CALLS: Final = {
    "alipay.system.oauth.token": "exchange",
    "alipay.trade.create": "prepay",
    "alipay.trade.query": "query",
    "alipay.trade.close": "close",
    "alipay.trade.refund": "refund",
    "alipay.trade.fastpay.refund.query": "query_refund",
    "alipay.fund.trans.uni.transfer": "transfer",
    "alipay.fund.trans.common.query": "query_transfer",
}
_CODE_LIVES: Final = timedelta(minutes=3)
_PUBLIC: Final = {"format": "JSON", "charset": "utf-8", "sign_type": "RSA2", "version": "1.0"}
_STATE_LONGEST: Final = 100
_MADE_AT: Final = datetime(2026, 1, 1, tzinfo=timezone.utc)
"""When the sandbox's certificates begin; nobody looks at their time, only at their numbers."""


class AlipayTwin:
    """The twin. `faults` names, by call, what it can be made to play beside what every call knows."""

    slug: Final[Platform] = "alipay"
    faults: Final[Mapping[str, tuple[str, ...]]] = {
        "authorize": ("no_code", "foreign_state", "foreign_app"),
        "exchange": ("isv.code-invalid", "isv.invalid-signature", "isp.unknow-error", "user_id", "unsigned"),
        "prepay": ("ACQ.BUYER_NOT_EXIST", "isv.invalid-signature", "isp.unknow-error", "unsigned"),
        "query": ("ACQ.TRADE_NOT_EXIST", "ACQ.SYSTEM_ERROR", "unsigned"),
        "close": ("ACQ.TRADE_NOT_EXIST", "ACQ.SYSTEM_ERROR", "unsigned"),
        "refund": ("fund_change_N", "ACQ.SYSTEM_ERROR", "ACQ.TRADE_NOT_EXIST", "isp.unknow-error", "unsigned"),
        "query_refund": ("empty", "ACQ.SYSTEM_ERROR", "unsigned"),
        "transfer": (
            "DEALING",
            "PAYER_BALANCE_NOT_ENOUGH",
            "PAYEE_NOT_EXIST",
            "isv.missing-app-cert-sn",
            "isp.unknow-error",
            "SYSTEM_ERROR",
            "unsigned",
        ),
        "query_transfer": ("ORDER_NOT_EXIST", "FAIL", "SYSTEM_ERROR", "unsigned"),
        "pay": ("cancel", "fail", "late"),
    }

    def new_keys(self, keys: Mapping[str, Any]) -> tuple[Mapping[str, str], Mapping[str, Any]]:
        """(`private_key` of Alipay), and a wallet table that trusts it, for the channel's own app. Fresh each time.

        The app is in certificate mode, which transfers want; Alipay's answers are still proven by its public key.
        """
        pem, own = rsa.new_private_key(), rsa.new_private_key()
        table = {
            "app_id": str(keys["app_id"]),
            "app_private_key": own,
            "app_certificate": certs.self_signed(signer(own), "sandbox app", serial=2, now=_MADE_AT),
            "root_certificate": certs.self_signed(signer(pem), "sandbox root", serial=1, now=_MADE_AT),
            "public_keys": [rsa.public_pem(signer(pem))],
            "sign_type": "RSA2",
        }
        return {"private_key": pem}, table

    def authorize(
        self,
        wallet: Mapping[str, Any],
        query: Mapping[str, str],
        openid: str,
        state: TwinState,
        now: datetime,
        code: str,
    ) -> str:
        """Back to `redirect_uri` with `auth_code` and `state`.

        Raises SignInFailed with the name of the parameter that Alipay's error page would speak of.
        """
        fault = take_fault(state, "authorize")
        target, told_state = query.get("redirect_uri", ""), query.get("state", "")
        for name, right in (
            ("app_id", query.get("app_id") == wallet["app_id"]),
            ("scope", query.get("scope") == "auth_base"),
            ("redirect_uri", urlsplit(target).scheme in ("http", "https") and bool(urlsplit(target).netloc)),
            ("state", len(told_state) <= _STATE_LONGEST),
        ):
            if not right:
                raise SignInFailed(name)
        back = {"app_id": wallet["app_id"], "source": "alipay_wallet", "scope": "auth_base"}
        if fault == "foreign_app":
            back["app_id"] = "2021000000000000"
        if fault != "no_code":
            state.put("code", code, {"openid": openid, "at": now.timestamp(), "lives_s": _CODE_LIVES.total_seconds()})
            back["auth_code"] = code
        if told_state:
            back["state"] = told_state[::-1] + "0" if fault == "foreign_state" else told_state
        return f"{target}{'&' if '?' in target else '?'}{urlencode(back)}"

    def answer(
        self,
        private: Mapping[str, str],
        wallet: Mapping[str, Any],
        request: TwinRequest,
        state: TwinState,
        now: datetime,
    ) -> TwinAnswer:
        """Answer one call. All of them come to one path; what the query has and what the body has are one form."""
        pairs = [
            pair
            for text in (request.query, request.body.decode("utf-8", "replace"))
            for pair in parse_qsl(text, keep_blank_values=True)
        ]
        params = dict(pairs)
        method = params.get("method", "")
        call = _CALLS.get(method, "")
        fault = take_fault(state, call) if call else ""
        if fault == "bad_gateway":
            return TwinAnswer(BAD_GATEWAY)
        desk = Desk(private, method, state, now, fault)
        wrong = _wrong(wallet, request, params, doubled=len(params) != len(pairs))
        if wrong or not call:
            return TwinAnswer(desk.error("40002", wrong or "isv.invalid-method"))
        answer = desk.handle(call, params)
        return TwinAnswer(DROPPED, answer.events) if fault == "drop" else answer

    def pay(self, private: Mapping[str, str], handle: str, openid: str, state: TwinState, now: datetime) -> TwinAnswer:
        """`resultCode` 9000, 6001 (cancelled) or 4000 (failed); only the first paid anything."""
        return Desk(private, "", state, now, take_fault(state, "pay")).pay(handle, openid)


def _wrong(wallet: Mapping[str, Any], request: TwinRequest, params: Mapping[str, str], *, doubled: bool) -> str:
    """Why the gateway refuses the call before looking at what it asks, "" for a right one."""
    if (request.method, request.path) != ("POST", "/gateway.do") or doubled:
        return "isv.invalid-parameter"
    if params.get("app_id") != wallet["app_id"]:
        return "isv.invalid-app-id"
    if any(params.get(name) != value for name, value in _PUBLIC.items()) or "" in params.values():
        return "isv.invalid-parameter"
    text = "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "sign")
    try:
        signature = base64.b64decode(params.get("sign", ""), validate=True)
        rsa.verify_sha256(signer(wallet["app_private_key"]).public, signature, text.encode())
    except (SignatureMismatch, ValueError):
        return "isv.invalid-signature"
    return ""


twin = AlipayTwin()
