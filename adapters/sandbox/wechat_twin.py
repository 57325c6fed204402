"""WeChat's side of its wallet: the sign-in page, the code's exchange, JSAPI orders and refunds, answered as documented.

It checks the merchant's signature on every call, keeps each number with the facts it came with, and signs each 2xx with
its own key. An order is kept under kind `order` by the merchant's number, a refund under `refund`, a sign-in code under
`code`, a prepay id under `handle`, a transfer under `transfer`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from adapters.sandbox import wechat_transfers as transfers
from adapters.sandbox.made import beijing, random_digits, random_word, signer, sub_merchant
from adapters.sandbox.twin import BAD_GATEWAY, DROPPED, take_fault
from adapters.sandbox.wechat_orders import Desk, caller_fault, errcode, failing, told
from crypto import rsa
from gateway.contract.ids import system_random
from gateway.contract.wallet import Platform, Reply, SignInFailed, TwinAnswer, TwinRequest, TwinState

_CODE_LIVES: Final = timedelta(minutes=5)
_STATE: Final = re.compile(r"[a-zA-Z0-9]{1,128}\Z", re.ASCII)
_CALLS: Final = (
    ("POST", re.compile(r"/v3/pay/(?:partner/)?transactions/jsapi\Z"), "prepay"),
    ("GET", re.compile(r"/v3/pay/(?:partner/)?transactions/out-trade-no/([0-9A-Za-z_*-]{1,32})\Z"), "query"),
    ("POST", re.compile(r"/v3/pay/(?:partner/)?transactions/out-trade-no/([0-9A-Za-z_*-]{1,32})/close\Z"), "close"),
    ("POST", re.compile(r"/v3/refund/domestic/refunds\Z"), "refund"),
    ("GET", re.compile(r"/v3/refund/domestic/refunds/([0-9A-Za-z_*|@-]{1,64})\Z"), "query_refund"),
    ("POST", re.compile(r"/v3/fund-app/mch-transfer/transfer-bills\Z"), "transfer"),
    (
        "GET",
        re.compile(r"/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/([0-9A-Za-z]{1,32})\Z"),
        "query_transfer",
    ),
)
_EXCHANGE_FAULTS: Final = ("40029", "40163", "42003", "40125", "-1")


class WechatTwin:
    """The twin. `faults` names, by call, what it can be made to play beside what every call knows."""

    slug: Final[Platform] = "wechat"
    faults: Final[Mapping[str, tuple[str, ...]]] = {
        "authorize": ("no_code", "10003", "10005"),
        "exchange": (*_EXCHANGE_FAULTS, "snapshot_user"),
        "prepay": ("PARAM_ERROR", "SIGN_ERROR", "SYSTEM_ERROR", "unknown_serial", "old_timestamp", "signtest"),
        "query": ("ORDER_NOT_EXIST", "FREQUENCY_LIMITED", "unknown_serial", "old_timestamp", "signtest"),
        "close": ("ORDER_PAID", "ORDER_NOT_EXIST", "SYSTEM_ERROR", "unknown_serial", "old_timestamp", "signtest"),
        "refund": (
            "NOT_ENOUGH",
            "SYSTEM_ERROR",
            "RESOURCE_NOT_EXISTS",
            "unknown_serial",
            "old_timestamp",
            "signtest",
        ),
        "query_refund": (
            "PROCESSING",
            "ABNORMAL",
            "CLOSED",
            "RESOURCE_NOT_EXISTS",
            "unknown_serial",
            "old_timestamp",
            "signtest",
        ),
        "transfer": (
            "ACCEPTED",
            "PARAM_ERROR",
            "INVALID_REQUEST",
            "NO_AUTH",
            "NOT_ENOUGH",
            "FREQUENCY_LIMITED",
            "SYSTEM_ERROR",
            "unknown_serial",
            "old_timestamp",
            "signtest",
        ),
        "query_transfer": (
            "NOT_FOUND",
            "FREQUENCY_LIMITED",
            *transfers.ENDS,
            "unknown_serial",
            "old_timestamp",
            "signtest",
        ),
        "pay": ("cancel", "fail", "late"),
    }

    def new_keys(self, keys: Mapping[str, Any]) -> tuple[Mapping[str, str], Mapping[str, Any]]:
        """(`private_key`, `serial` of WeChat Pay), and a wallet table that trusts them, for the channel's own app.

        `keys` may be a v3 or a v2 channel's, a merchant's or a service provider's. Fresh each time.
        """
        pem = rsa.new_private_key()
        serial = f"PUB_KEY_ID_01{random_digits(32, system_random)}"
        table: dict[str, Any] = {
            "app_secret": random_word(32, system_random),
            "merchant_private_key": rsa.new_private_key(),
            "merchant_serial": random_digits(40, system_random),
            "public_keys": {serial: rsa.public_pem(signer(pem))},
        }
        sub = sub_merchant(keys)
        if "sp_mchid" in keys or sub is not None:
            table |= {
                "appid": str(keys.get("sp_appid", keys.get("appid"))),
                "sp_mchid": str(keys.get("sp_mchid", keys.get("mchid"))),
                "sp_appid": str(keys.get("sp_appid", keys.get("appid"))),
            }
            table |= {"sub_mchid": sub} if sub is not None else {}
            table |= {"sub_appid": str(keys["sub_appid"])} if "sub_appid" in keys else {}
        else:
            table |= {"appid": str(keys["appid"]), "mchid": str(keys["mchid"]), "transfer_scene": "1000"}
        return {"private_key": pem, "serial": serial}, table

    def authorize(
        self,
        wallet: Mapping[str, Any],
        query: Mapping[str, str],
        openid: str,
        state: TwinState,
        now: datetime,
        code: str,
    ) -> str:
        """Back to `redirect_uri` with `code` and `state`. Raises SignInFailed with the error page's number."""
        fault = take_fault(state, "authorize")
        if fault in ("10003", "10005"):
            raise SignInFailed(fault)
        if query.get("appid") != wallet["appid"]:
            raise SignInFailed("10013")
        for name, wanted, page in (("response_type", "code", "10012"), ("scope", "snsapi_base", "10005")):
            if query.get(name) != wanted:
                raise SignInFailed(page)
        target = query.get("redirect_uri", "")
        if not urlsplit(target).netloc:
            raise SignInFailed("10011" if not target else "10003")
        told_state = query.get("state", "")
        if told_state and not _STATE.match(told_state):
            raise SignInFailed("10010")
        back = {"state": told_state}
        if fault != "no_code":
            state.put("code", code, {"openid": openid, "appid": wallet["appid"], "at": now.timestamp()})
            back = {"code": code, **back}
        return f"{target}{'&' if '?' in target else '?'}{urlencode(back)}"

    def answer(
        self,
        private: Mapping[str, str],
        wallet: Mapping[str, Any],
        request: TwinRequest,
        state: TwinState,
        now: datetime,
    ) -> TwinAnswer:
        """Answer one call; a path that is none of the platform's is a 404."""
        if (request.method, request.path) == ("GET", "/sns/oauth2/access_token"):
            return TwinAnswer(_exchange(wallet, request, state, now))
        for method, pattern, call in _CALLS:
            match = pattern.match(request.path)
            if match is None or method != request.method:
                continue
            fault = take_fault(state, call)
            if fault == "bad_gateway":
                return TwinAnswer(BAD_GATEWAY)
            wrong = caller_fault(wallet, request, now)
            desk = Desk(private, wallet, state, now, fault)
            handle = partial(transfers.handle, desk) if call in transfers.CALLS else desk.handle
            answer = TwinAnswer(wrong) if wrong is not None else handle(call, request, match.groups())
            return TwinAnswer(DROPPED, answer.events) if fault == "drop" else answer
        return TwinAnswer(failing(404, "RESOURCE_NOT_EXISTS"))

    def pay(self, private: Mapping[str, str], handle: str, openid: str, state: TwinState, now: datetime) -> TwinAnswer:
        """`get_brand_wcpay_request:ok`, `:cancel` or `:fail`; only the first paid anything.

        Of a transfer's handle the same of `requestMerchantTransfer`: the payee takes the money.
        """
        desk = Desk(private, {}, state, now, take_fault(state, "pay"))
        return transfers.confirm(desk, handle, openid) or desk.pay(handle, openid)


def _exchange(wallet: Mapping[str, Any], request: TwinRequest, state: TwinState, now: datetime) -> Reply:
    fault = take_fault(state, "exchange")
    if fault == "bad_gateway":
        return BAD_GATEWAY
    if fault in _EXCHANGE_FAULTS:
        return errcode(int(fault))
    kept, wrong = _spend(wallet, request, state, now)
    if kept is None:
        return errcode(wrong)
    if fault == "drop":
        return DROPPED
    answer: dict[str, Any] = {
        "access_token": f"SANDBOX_{beijing(now, '%Y%m%d%H%M%S')}",
        "expires_in": 7200,
        "refresh_token": f"SANDBOX_{beijing(now, '%Y%m%d%H%M%S')}",
        "openid": kept["openid"],
        "scope": "snsapi_base",
    }
    if fault == "snapshot_user":
        answer["is_snapshotuser"] = 1
    return told(answer)


def _spend(
    wallet: Mapping[str, Any], request: TwinRequest, state: TwinState, now: datetime
) -> tuple[Mapping[str, Any] | None, int]:
    """(what is kept of the code, 0), which no later call gets; or (None, why not)."""
    given = {name: values[0] for name, values in parse_qs(request.query).items()}
    code = given.get("code", "")
    kept = state.get("code", code) if code else None
    checks = (
        (given.get("appid") == wallet["appid"], 40013),
        (given.get("secret") == wallet["app_secret"], 40125),
        (given.get("grant_type") == "authorization_code", 40002),
        (bool(code), 41008),
        (kept is not None, 40029),
        (kept is not None and now.timestamp() - float(kept["at"]) < _CODE_LIVES.total_seconds(), 42003),
    )
    wrong = next((number for right, number in checks if not right), 0)
    if wrong or not state.add("code_used", code, {"at": now.timestamp()}):
        return None, wrong or 40163
    return kept, 0


twin = WechatTwin()
