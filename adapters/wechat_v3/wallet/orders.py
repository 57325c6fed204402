"""JSAPI orders: announced, handed to the page's bridge, asked about, closed.

Shapes: wechatpay-go `services/payments/jsapi` and `services/partnerpayments/jsapi`; the answer to a query has the
shape of the notification's plaintext. The bridge: JsapiInvoke in `wechatpay-apiv3/wechatpay-skills`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from adapters.wechat_v3.wallet.calls import Declined, answered, malformed, signed, signed_call
from adapters.wechat_v3.wallet.keys import WalletKeys
from adapters.wechat_v3.wire import count, instant, texts
from gateway.contract.clock import BEIJING
from gateway.contract.errors import Malformed
from gateway.contract.events import Payer
from gateway.contract.money import MAX_FEN
from gateway.contract.wallet import Call, CallFailed, CallUnknown, Purchase, Reply, Trade, TradeState

ORDER_NUMBER: Final = re.compile(r"[0-9A-Za-z_]{6,32}\Z", re.ASCII)
_HANDLE: Final = re.compile(r"[!-~]{1,64}\Z", re.ASCII)
_DESCRIPTION_BYTES: Final = 127
_NOTIFY_URL: Final = re.compile(r"https?://[!-~]{1,247}\Z", re.ASCII)
_RFC3339: Final = "%Y-%m-%dT%H:%M:%S+08:00"

# An order that was never announced cannot be paid, so a refusal of its announcement is final. Not among them:
# ORDERPAID (asking will tell), and whatever may pass (FREQUENCY_LIMITED, SYSTEM_ERROR).
_PREPAY_FAILED: Final = frozenset(
    {
        "PARAM_ERROR",
        "INVALID_REQUEST",
        "SIGN_ERROR",
        "NO_AUTH",
        "APPID_MCHID_NOT_MATCH",
        "MCH_NOT_EXISTS",
        "OUT_TRADE_NO_USED",
        "ORDER_CLOSED",
        "RULE_LIMIT",
        "RULELIMIT",
    }
)
_NOT_FOUND: Final = frozenset({"ORDER_NOT_EXIST", "ORDERNOTEXIST"})
_PAID: Final = frozenset({"ORDER_PAID", "ORDERPAID"})
_CLOSED: Final = frozenset({"ORDER_CLOSED", "ORDERCLOSED"})
_STATES: Final[Mapping[str, TradeState]] = {
    "SUCCESS": "paid",
    "REFUND": "paid",  # some of it was given back; the money had come
    "NOTPAY": "unpaid",
    "USERPAYING": "unpaid",
    "PAYERROR": "unpaid",
    "CLOSED": "closed",
    "REVOKED": "closed",
}


def prepay(keys: WalletKeys, purchase: Purchase, now: datetime, nonce: str) -> Call:
    """`/v3/pay/transactions/jsapi`, or the partner's. The same purchase always makes the same body.

    Raises CallFailed `unfit` for what WeChat could never take: another app's payer, no whole amount, a number or an
    address out of bounds, no one to pay.
    """
    body: dict[str, Any] = {
        **_payee(keys),
        "description": cut(purchase.description, _DESCRIPTION_BYTES) or "商品",
        "out_trade_no": number(purchase.out_trade_no),
        "notify_url": purchase.notify_url,
        "amount": {"total": amount(purchase.amount_fen), "currency": "CNY"},
        "payer": _payer(keys, purchase.payer),
        "time_expire": purchase.expires_at.astimezone(BEIJING).strftime(_RFC3339),
    }
    if not _NOTIFY_URL.match(purchase.notify_url) or any(sign in purchase.notify_url for sign in "?#"):
        raise CallFailed("unfit", "notify_url")
    return signed_call(keys, "POST", f"{_root(keys)}/jsapi", body, now, nonce)


def prepaid(keys: WalletKeys, reply: Reply, now: datetime) -> str:
    """The `prepay_id`, good for two hours. Raises CallFailed, CallUnknown."""
    told = answered(keys, reply, now)
    if isinstance(told, Declined):
        raise told.error(final=told.code in _PREPAY_FAILED)
    handle = told.get("prepay_id")
    if not isinstance(handle, str) or not _HANDLE.match(handle):
        raise malformed("no prepay_id")
    return handle


def bridge(keys: WalletKeys, handle: str, now: datetime, nonce: str) -> Mapping[str, str]:
    """Signed are appId, timeStamp, nonceStr and package, a line each; the time is a text."""
    timestamp, package = str(int(now.timestamp())), f"prepay_id={handle}"
    text = f"{keys.app_id}\n{timestamp}\n{nonce}\n{package}\n"
    return {
        "appId": keys.app_id,
        "timeStamp": timestamp,
        "nonceStr": nonce,
        "package": package,
        "signType": "RSA",
        "paySign": signed(keys, text.encode()),
    }


def query(keys: WalletKeys, out_trade_no: str, now: datetime, nonce: str) -> Call:
    """By the merchant's number."""
    asked = f"sp_mchid={keys.mch_id}&sub_mchid={keys.sub_mch_id}" if keys.partner else f"mchid={keys.mch_id}"
    return signed_call(keys, "GET", f"{_order(keys, out_trade_no)}?{asked}", None, now, nonce)


def queried(keys: WalletKeys, reply: Reply, now: datetime) -> Trade:
    """How the order stands. Raises CallUnknown, also for another merchant's and for a state that we do not know."""
    told = answered(keys, reply, now)
    if isinstance(told, Declined):
        if told.code in _NOT_FOUND:
            return Trade("not_found")
        raise told.error()
    state = told.get("trade_state")
    found = _STATES.get(state) if isinstance(state, str) else None
    if found is None:
        raise malformed("trade_state")
    if not _ours(keys, told):
        raise CallUnknown("foreign_merchant")
    if found != "paid":
        return Trade(found)
    try:
        return _paid(keys, told)
    except Malformed as error:
        raise malformed(error.detail) from None


def close(keys: WalletKeys, out_trade_no: str, now: datetime, nonce: str) -> Call:
    """Answered with an empty 204, however often."""
    body = {"sp_mchid": keys.mch_id, "sub_mchid": keys.sub_mch_id} if keys.partner else {"mchid": keys.mch_id}
    return signed_call(keys, "POST", f"{_order(keys, out_trade_no)}/close", body, now, nonce)


def closed(keys: WalletKeys, reply: Reply, now: datetime) -> TradeState:
    """`closed`, `paid` or `not_found`. Raises CallUnknown."""
    told = answered(keys, reply, now)
    if not isinstance(told, Declined):
        return "closed"
    if told.code in _PAID:
        return "paid"
    if told.code in _CLOSED:
        return "closed"
    if told.code in _NOT_FOUND:
        return "not_found"
    raise told.error()


def number(text: str, shape: re.Pattern[str] = ORDER_NUMBER) -> str:
    """A merchant's number as it may stand in a path. Raises CallFailed `unfit`."""
    if not shape.match(text):
        raise CallFailed("unfit", "number")
    return text


def amount(fen: int) -> int:
    """A whole positive amount. Raises CallFailed `unfit`."""
    if type(fen) is not int or not 0 < fen <= MAX_FEN:
        raise CallFailed("unfit", "amount")
    return fen


def cut(text: str, longest: int) -> str:
    """As much as fits into that many bytes of UTF-8, whole characters; control characters become blanks."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text).strip()
    return plain.encode(errors="replace")[:longest].decode(errors="ignore")


def _root(keys: WalletKeys) -> str:
    return "/v3/pay/partner/transactions" if keys.partner else "/v3/pay/transactions"


def _order(keys: WalletKeys, out_trade_no: str) -> str:
    return f"{_root(keys)}/out-trade-no/{number(out_trade_no)}"


def _payee(keys: WalletKeys) -> dict[str, str]:
    if not keys.partner:
        return {"appid": keys.app_id, "mchid": keys.mch_id}
    if not keys.sub_mch_id:
        raise CallFailed("unfit", "the wallet names no sub_mchid")
    told = {"sp_appid": keys.sp_app_id, "sp_mchid": keys.mch_id, "sub_mchid": keys.sub_mch_id}
    # WeChat wants the sub-merchant's app where its openid is told.
    return {**told, "sub_appid": keys.app_id} if keys.of_sub_merchant else told


def _payer(keys: WalletKeys, payer: Payer) -> dict[str, str]:
    if payer.id_type != "openid" or payer.app_id != keys.app_id:
        raise CallFailed("unfit", "the payer is known by another app")
    if not keys.partner:
        return {"openid": payer.value}
    return {"sub_openid" if keys.of_sub_merchant else "sp_openid": payer.value}


def _ours(keys: WalletKeys, told: Mapping[str, Any]) -> bool:
    if keys.partner:
        return told.get("sp_mchid") == keys.mch_id and told.get("sub_mchid") == keys.sub_mch_id
    return told.get("mchid") == keys.mch_id


def _paid(keys: WalletKeys, told: Mapping[str, Any]) -> Trade:
    transaction_id, success_time = texts((told.get("transaction_id"), told.get("success_time")))
    money = told.get("amount")
    if not transaction_id or not success_time or not isinstance(money, dict):
        raise Malformed("no transaction_id, success_time or amount")
    if money.get("currency", "CNY") != "CNY":
        raise Malformed("another currency")
    return Trade("paid", transaction_id, count(money, "total"), instant(success_time), _payers(keys, told))


def _payers(keys: WalletKeys, told: Mapping[str, Any]) -> tuple[Payer, ...]:
    payer = told.get("payer")
    if not isinstance(payer, dict):
        return ()
    if keys.partner:
        found = [(keys.sp_app_id, payer.get("sp_openid")), (told.get("sub_appid"), payer.get("sub_openid"))]
    else:
        found = [(told.get("appid"), payer.get("openid"))]
    texts([one for pair in found for one in pair])
    return tuple(Payer(app, "openid", openid) for app, openid in found if app and openid)
