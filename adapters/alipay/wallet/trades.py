"""Trades: made, asked about, closed. Amounts are yuan with two decimals, times Beijing's.

Fields: `AlipayTradeCreateModel` and its neighbours in alipay/alipay-sdk-java-all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Final

from adapters.alipay.wallet.calls import CLOCK, Declined, answered, malformed, signed_call
from adapters.alipay.wallet.keys import WalletKeys
from gateway.contract.clock import BEIJING
from gateway.contract.events import Payer
from gateway.contract.money import MAX_FEN, Fen, fen_of_yuan, yuan_of_fen
from gateway.contract.wallet import Call, CallFailed, Purchase, Reply, Trade, TradeState

CREATE: Final = "alipay.trade.create"
QUERY: Final = "alipay.trade.query"
CLOSE: Final = "alipay.trade.close"
_SUBJECT: Final = 128
_NUMBER: Final = re.compile(r"[0-9A-Za-z_]{1,64}\Z", re.ASCII)
_WORD: Final = re.compile(r"[!-~]{1,128}\Z", re.ASCII)
_NOTIFY_URL: Final = re.compile(r"https?://[!-~]{1,247}\Z", re.ASCII)
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\Z", re.ASCII)
_LARGEST: Final = 10_000_000_000
_BUYERS: Final = {"alipay_open_id": "buyer_open_id", "alipay_user_id": "buyer_id"}

# Refused by the application gateway before the trade's own rules were asked.
_GATE: Final = frozenset({"40001", "40002", "40003", "40006"})
# A trade that was never made cannot be paid, so a refusal of its making is final. ACQ.TRADE_HAS_SUCCESS is not among
# them: asking tells.
_CREATE_FAILED: Final = frozenset(
    {
        "ACQ.BUYER_NOT_EXIST",
        "ACQ.INVALID_PARAMETER",
        "ACQ.ACCESS_FORBIDDEN",
        "ACQ.EXIST_FORBIDDEN_WORD",
        "ACQ.PARTNER_ERROR",
        "ACQ.TOTAL_FEE_EXCEED",
        "ACQ.CONTEXT_INCONSISTENT",
        "ACQ.TRADE_HAS_CLOSE",
        "ACQ.BUYER_SELLER_EQUAL",
        "ACQ.TRADE_BUYER_NOT_MATCH",
        "ACQ.BUYER_ENABLE_STATUS_FORBID",
        "ACQ.SELLER_BEEN_BLOCKED",
    }
)
_NOT_FOUND: Final = "ACQ.TRADE_NOT_EXIST"
_PAID: Final = ("TRADE_SUCCESS", "TRADE_FINISHED")


def prepay(keys: WalletKeys, purchase: Purchase, now: datetime) -> Call:
    """`alipay.trade.create`. The same purchase always makes the same `biz_content`.

    Raises CallFailed `unfit` for what Alipay could never take.
    """
    buyer = _BUYERS.get(purchase.payer.id_type)
    if buyer is None or purchase.payer.app_id != keys.app_id:
        raise CallFailed("unfit", "the payer is known by another app")
    if not _NOTIFY_URL.match(purchase.notify_url):
        raise CallFailed("unfit", "notify_url")
    content = {
        "out_trade_no": number(purchase.out_trade_no),
        "total_amount": yuan(purchase.amount_fen),
        "subject": plain(purchase.description, _SUBJECT) or "商品",
        buyer: purchase.payer.value,
        "time_expire": purchase.expires_at.astimezone(BEIJING).strftime(CLOCK),
    }
    return signed_call(keys, CREATE, now, content=content, notify_url=purchase.notify_url)


def prepaid(keys: WalletKeys, reply: Reply) -> str:
    """The `trade_no`. Raises CallFailed, CallUnknown."""
    told = answered(keys, reply, CREATE)
    if isinstance(told, Declined):
        final = told.code in _GATE or (told.code == "40004" and told.sub_code in _CREATE_FAILED)
        raise told.error(final=final)
    _succeeded(told)
    return _word(told, "trade_no")


def query(keys: WalletKeys, out_trade_no: str, now: datetime) -> Call:
    """By the merchant's number."""
    return signed_call(keys, QUERY, now, content={"out_trade_no": number(out_trade_no)})


def queried(keys: WalletKeys, reply: Reply) -> Trade:
    """How the trade stands. Raises CallUnknown.

    TRADE_CLOSED is an order that timed out, or one that was given back whole; the time of payment tells them apart.
    """
    told = answered(keys, reply, QUERY)
    if isinstance(told, Declined):
        if told.sub_code == _NOT_FOUND:
            return Trade("not_found")
        raise told.error()
    _succeeded(told)
    status = told.get("trade_status")
    if status == "WAIT_BUYER_PAY":
        return Trade("unpaid")
    if status == "TRADE_CLOSED" and not told.get("send_pay_date"):
        return Trade("closed")
    if status != "TRADE_CLOSED" and status not in _PAID:
        raise malformed("trade_status")
    return Trade("paid", _word(told, "trade_no"), _fen(told), _paid_at(told), _payers(keys, told))


def close(keys: WalletKeys, out_trade_no: str, now: datetime) -> Call:
    """By the merchant's number."""
    return signed_call(keys, CLOSE, now, content={"out_trade_no": number(out_trade_no)})


def closed(keys: WalletKeys, reply: Reply) -> TradeState:
    """`closed` or `not_found`. Raises CallUnknown, also where it is paid or closed already: one code for both."""
    told = answered(keys, reply, CLOSE)
    if isinstance(told, Declined):
        if told.sub_code == _NOT_FOUND:
            return "not_found"
        raise told.error()
    _succeeded(told)
    return "closed"


def number(text: str) -> str:
    """A merchant's number. Raises CallFailed `unfit`."""
    if not _NUMBER.match(text):
        raise CallFailed("unfit", "number")
    return text


def yuan(fen: int) -> str:
    """A whole positive amount in yuan. Raises CallFailed `unfit`, also for more than a trade may have."""
    if type(fen) is not int or not 0 < fen <= min(MAX_FEN, _LARGEST):
        raise CallFailed("unfit", "amount")
    return yuan_of_fen(fen)


def plain(text: str, longest: int) -> str:
    """Without the signs that a subject must not have (their wide forms instead) and without control characters."""
    wide = text.translate({ord("/"): "／", ord("="): "＝", ord("&"): "＆"})
    return "".join(sign if sign.isprintable() else " " for sign in wide).strip()[:longest]


def _succeeded(told: Mapping[str, Any]) -> None:
    """A trade's answer says so; only the sign-in's does not."""
    if told.get("code") != "10000":
        raise malformed("no code")


def _word(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str) or not _WORD.match(value):
        raise malformed(name)
    return value


def _fen(told: Mapping[str, Any]) -> Fen:
    value = told.get("total_amount")
    if not isinstance(value, str):
        raise malformed("total_amount")
    try:
        return fen_of_yuan(value)
    except ValueError:
        raise malformed("total_amount") from None


def _paid_at(told: Mapping[str, Any]) -> datetime:
    value = told.get("send_pay_date")
    if not isinstance(value, str) or not _TIME.match(value):
        raise malformed("send_pay_date")
    try:
        return datetime.fromisoformat(f"{value}+08:00").astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise malformed("send_pay_date") from None


def _payers(keys: WalletKeys, told: Mapping[str, Any]) -> tuple[Payer, ...]:
    found = []
    for name, kind in (("buyer_open_id", "alipay_open_id"), ("buyer_user_id", "alipay_user_id")):
        if told.get(name) not in (None, ""):
            found.append(Payer(keys.app_id, kind, _word(told, name)))
    return tuple(found)
