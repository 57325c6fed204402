"""Giving money back. The same refund number may be sent again at any time, and no money goes twice.

Source: Alipay's pages of `alipay.trade.refund` and `alipay.trade.fastpay.refund.query`; the second says of "10000" that
the question was answered, and only `refund_status` that the money went.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from adapters.alipay.wallet.calls import Declined, answered, malformed, signed_call
from adapters.alipay.wallet.keys import WalletKeys
from adapters.alipay.wallet.trades import number, plain, yuan
from gateway.contract.wallet import Call, CallFailed, GiveBack, RefundState, Reply

REFUND: Final = "alipay.trade.refund"
QUERY: Final = "alipay.trade.fastpay.refund.query"
_REASON: Final = 80
_NUMBER: Final = re.compile(r"[0-9A-Za-z_-]{1,64}\Z", re.ASCII)
_NOT_FOUND: Final = "ACQ.TRADE_NOT_EXIST"

# What the gateway itself refuses (40001 to 40006) is not among them, nor ACQ.DISCORDANT_REPEAT_REQUEST: an earlier try
# under the same number may have gone through.
_FAILED: Final = frozenset(
    {
        "ACQ.TRADE_NOT_EXIST",
        "ACQ.SELLER_BALANCE_NOT_ENOUGH",
        "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL",
        "ACQ.REASON_TRADE_BEEN_FREEZEN",
        "ACQ.TRADE_HAS_FINISHED",
        "ACQ.TRADE_STATUS_ERROR",
        "ACQ.TRADE_NOT_ALLOW_REFUND",
        "ACQ.REFUND_FEE_ERROR",
        "ACQ.NOT_ALLOW_PARTIAL_REFUND",
        "ACQ.INVALID_PARAMETER",
        "ACQ.BUYER_ERROR",
    }
)


def refund(keys: WalletKeys, give_back: GiveBack, now: datetime) -> Call:
    """The same refund always makes the same `biz_content`. Raises CallFailed `unfit`."""
    if give_back.refund_fen > give_back.total_fen:
        raise CallFailed("unfit", "amount")
    content = {**_both(give_back), "refund_amount": yuan(give_back.refund_fen)}
    reason = plain(give_back.reason, _REASON)
    if reason:
        content["refund_reason"] = reason
    return signed_call(keys, REFUND, now, content=content)


def refunded(keys: WalletKeys, reply: Reply) -> RefundState:
    """`done` where this very call moved the money; `pending` where it did not (sent before, or not yet).

    Raises CallFailed, CallUnknown.
    """
    told = answered(keys, reply, REFUND)
    if isinstance(told, Declined):
        raise told.error(final=told.code == "40004" and told.sub_code in _FAILED)
    if told.get("code") != "10000":
        raise malformed("no code")
    change = told.get("fund_change")
    if change not in ("Y", "N"):
        raise malformed("fund_change")
    return "done" if change == "Y" else "pending"


def query_refund(keys: WalletKeys, give_back: GiveBack, now: datetime) -> Call:
    """By the order's and the refund's numbers."""
    return signed_call(keys, QUERY, now, content=_both(give_back))


def refund_queried(keys: WalletKeys, reply: Reply) -> RefundState:
    """`done`, `pending` or `not_found`; the last is an answer that tells of no refund. Raises CallUnknown."""
    told = answered(keys, reply, QUERY)
    if isinstance(told, Declined):
        if told.sub_code == _NOT_FOUND:
            return "not_found"
        raise told.error()
    if told.get("code") != "10000":
        raise malformed("no code")
    status = told.get("refund_status")
    if status == "REFUND_SUCCESS":
        return "done"
    # Old answers told the sum and no status; whether that is a refund done is for the next try under this number.
    return "pending" if status or told.get("refund_amount") else "not_found"


def _both(give_back: GiveBack) -> dict[str, str]:
    if not _NUMBER.match(give_back.out_refund_no):
        raise CallFailed("unfit", "number")
    return {"out_trade_no": number(give_back.out_trade_no), "out_request_no": give_back.out_refund_no}
