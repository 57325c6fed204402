"""Giving money back. An accepted refund is no more than that: only a question, or the notification, says it is done.

Shapes: wechatpay-go `services/refunddomestic`; which codes are final: go-pay/gopay `examples/wechat/wx_RefundV3.go`.
The same refund number may be sent again at any time, and no money goes twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from adapters.wechat_v3.wallet.calls import Declined, answered, malformed, signed_call
from adapters.wechat_v3.wallet.keys import WalletKeys
from adapters.wechat_v3.wallet.orders import amount, cut, number
from gateway.contract.wallet import Call, CallFailed, GiveBack, RefundState, Reply

_PATH: Final = "/v3/refund/domestic/refunds"
_REFUND_NUMBER: Final = re.compile(r"[0-9A-Za-z_-]{1,64}\Z", re.ASCII)
_REASON_BYTES: Final = 80

# SIGN_ERROR is not among them: an earlier try under the same number may have gone through with better keys.
_FAILED: Final = frozenset(
    {
        "USER_ACCOUNT_ABNORMAL",
        "NOT_ENOUGH",
        "INVALID_REQUEST",
        "NO_AUTH",
        "RESOURCE_NOT_EXISTS",
        "PARAM_ERROR",
        "MCH_NOT_EXISTS",
    }
)
_NOT_FOUND: Final = frozenset({"RESOURCE_NOT_EXISTS", "REFUNDNOTEXIST"})
_STATES: Final[Mapping[str, RefundState]] = {
    "SUCCESS": "done",
    "PROCESSING": "pending",
    "CLOSED": "closed",
    "ABNORMAL": "abnormal",
}


def refund(keys: WalletKeys, give_back: GiveBack, now: datetime, nonce: str) -> Call:
    """The same refund always makes the same body. Raises CallFailed `unfit` for more than was paid, and the like."""
    if amount(give_back.refund_fen) > amount(give_back.total_fen):
        raise CallFailed("unfit", "amount")
    body: dict[str, Any] = {
        **_sub_merchant(keys),
        "out_trade_no": number(give_back.out_trade_no),
        "out_refund_no": number(give_back.out_refund_no, _REFUND_NUMBER),
        "amount": {"refund": give_back.refund_fen, "total": give_back.total_fen, "currency": "CNY"},
    }
    reason = cut(give_back.reason, _REASON_BYTES)
    if reason:
        body["reason"] = reason
    return signed_call(keys, "POST", _PATH, body, now, nonce)


def refunded(keys: WalletKeys, reply: Reply, now: datetime) -> RefundState:
    """`done` when it says so at once, else `pending`: whatever else it may say, the question will tell.

    Raises CallFailed, CallUnknown.
    """
    told = answered(keys, reply, now)
    if isinstance(told, Declined):
        raise told.error(final=told.code in _FAILED)
    return "done" if _state(told) == "done" else "pending"


def query_refund(keys: WalletKeys, give_back: GiveBack, now: datetime, nonce: str) -> Call:
    """By our own refund number."""
    path = f"{_PATH}/{number(give_back.out_refund_no, _REFUND_NUMBER)}"
    asked = "".join(f"?sub_mchid={sub}" for sub in _sub_merchant(keys).values())
    return signed_call(keys, "GET", path + asked, None, now, nonce)


def refund_queried(keys: WalletKeys, reply: Reply, now: datetime) -> RefundState:
    """How it stands. Raises CallUnknown."""
    told = answered(keys, reply, now)
    if isinstance(told, Declined):
        if told.code in _NOT_FOUND:
            return "not_found"
        raise told.error()
    return _state(told)


def _state(told: Mapping[str, Any]) -> RefundState:
    status = told.get("status")
    state = _STATES.get(status) if isinstance(status, str) else None
    if state is None:
        raise malformed("status")
    return state


def _sub_merchant(keys: WalletKeys) -> dict[str, str]:
    if not keys.partner:
        return {}
    if not keys.sub_mch_id:
        raise CallFailed("unfit", "the wallet names no sub_mchid")
    return {"sub_mchid": keys.sub_mch_id}
