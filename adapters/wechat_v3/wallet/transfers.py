"""Sending money to customers: 商家转账, which the payee confirms by a tap within 24 hours.

Shapes: the platform's page of 发起转账 (pay.weixin.qq.com/doc/v3/merchant/4013778940); the scene 1000 现金营销 and its
two infos: 4013774588; reasons of failure: 4013774966. Only for a merchant of his own, not through a service provider.
The same number may be sent again with the same contents, and no money goes twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from adapters.wechat_v3.wallet.calls import Declined, answered, malformed, signed_call
from adapters.wechat_v3.wallet.keys import WalletKeys
from adapters.wechat_v3.wallet.orders import amount
from gateway.contract.money import Fen
from gateway.contract.wallet import (
    Call,
    CallFailed,
    CallUnknown,
    Reply,
    Transfer,
    TransferFault,
    TransferStanding,
    TransferState,
)

LEAST_FEN: Final = Fen(10)
MOST_FEN: Final = Fen(199_999)
"""From 2,000 yuan on the platform wants the payee's real name, which we do not know."""

_PATH: Final = "/v3/fund-app/mch-transfer/transfer-bills"
_NUMBER: Final = re.compile(r"[0-9A-Za-z]{6,32}\Z", re.ASCII)
_OPENID: Final = re.compile(r"[!-~]{1,128}\Z", re.ASCII)
_PACKAGE: Final = re.compile(r"[!-~]{1,2048}\Z", re.ASCII)
_WORD: Final = re.compile(r"[0-9A-Za-z_]{1,64}\Z", re.ASCII)
_REMARK: Final = 32
_NOT_FOUND: Final = "NOT_FOUND"
_STATES: Final[Mapping[str, TransferState]] = {
    "ACCEPTED": "accepted",
    "PROCESSING": "accepted",
    "WAIT_USER_CONFIRM": "confirms",
    "TRANSFERING": "accepted",  # the platform's own spelling
    "CANCELING": "accepted",
    "SUCCESS": "done",
    "FAIL": "failed",
    "CANCELLED": "failed",
}
# What is not among them (SYSTEM_ERROR, FREQUENCY_LIMITED, a word that is new) may have gone through.
_REFUSED: Final[Mapping[str, TransferFault]] = {
    "PARAM_ERROR": "declined",
    "INVALID_REQUEST": "declined",
    "NO_AUTH": "permission",
    "USER_ERROR": "permission",
    "NOT_ENOUGH": "balance",
}
_FAULTS: Final[Mapping[str, TransferFault]] = {
    "OVERDUE_CLOSE": "expired",
    "MCH_CANCEL": "cancelled",
    "MERCHANT_REJECT": "cancelled",
    "BUDGET_NOT_ENOUGH": "balance",
    "ACCOUNT_FROZEN": "account",
    "ACCOUNT_NOT_EXIST": "account",
    "PAYEE_ACCOUNT_ABNORMAL": "account",
    "OPENID_INVALID": "account",
    "NAME_NOT_CORRECT": "name",
    "ID_CARD_NOT_CORRECT": "name",
    "REAL_NAME_CHECK_FAIL": "name",
    "DAY_RECEIVED_COUNT_EXCEED": "limit",
    "DAY_RECEIVED_QUOTA_EXCEED": "limit",
    "TRANSFER_QUOTA_EXCEED": "limit",
    "REALNAME_ACCOUNT_RECEIVED_QUOTA_EXCEED": "limit",
    "BLOCK_B2C_USERLIMITAMOUNT_MONTH": "limit",
    "BLOCK_B2C_USERLIMITAMOUNT_BSRULE_MONTH": "limit",
    "TRANSFER_RISK": "risk",
    "PRODUCT_AUTH_CHECK_FAIL": "permission",
    "PAYER_ACCOUNT_ABNORMAL": "permission",
    "RECEIVE_ACCOUNT_NOT_CONFIGURE": "permission",
}


def transfer(keys: WalletKeys, wanted: Transfer, now: datetime, nonce: str) -> Call:
    """Announce it. The same transfer always makes the same body. Raises CallFailed `unfit`."""
    payee = wanted.payee
    if payee.id_type != "openid" or payee.app_id != keys.app_id or not _OPENID.match(payee.value):
        raise CallFailed("unfit", "the payee is known by another app")
    if not keys.transfer_scene:
        raise CallFailed("unfit", "the wallet names no transfer_scene")
    if not LEAST_FEN <= amount(wanted.amount_fen) <= MOST_FEN:
        raise CallFailed("unfit", "amount")
    remark = _cut(wanted.remark) or "奖励"
    body: dict[str, Any] = {
        "appid": keys.app_id,
        "out_bill_no": _number(wanted.number),
        "transfer_scene_id": keys.transfer_scene,
        "openid": payee.value,
        "transfer_amount": wanted.amount_fen,
        "transfer_remark": remark,
        "transfer_scene_report_infos": [
            {"info_type": "活动名称", "info_content": _cut(wanted.title) or remark},
            {"info_type": "奖励说明", "info_content": remark},
        ],
    }
    return signed_call(keys, "POST", _PATH, body, now, nonce)


def transferred(keys: WalletKeys, reply: Reply, now: datetime) -> TransferStanding:
    """`accepted`, `confirms`, `done` or `failed`. Raises CallUnknown."""
    told = answered(keys, reply, now)
    if isinstance(told, Declined):
        if told.code not in _REFUSED:
            raise told.error()
        return TransferStanding("failed", fault=_REFUSED[told.code], detail=told.code)
    return _standing(told)


def query_transfer(keys: WalletKeys, number: str, now: datetime, nonce: str) -> Call:
    """By our own number; the platform knows it for 30 days. Raises CallFailed `unfit`."""
    return signed_call(keys, "GET", f"{_PATH}/out-bill-no/{_number(number)}", None, now, nonce)


def transfer_queried(keys: WalletKeys, reply: Reply, now: datetime) -> TransferStanding:
    """How it stands. Raises CallUnknown, also for another merchant's."""
    told = answered(keys, reply, now)
    if isinstance(told, Declined):
        if told.code == _NOT_FOUND:
            return TransferStanding("not_found")
        raise told.error()
    if told.get("mch_id", told.get("mchid", keys.mch_id)) != keys.mch_id:
        raise CallUnknown("foreign_merchant")
    return _standing(told)


def confirm(keys: WalletKeys, handle: str) -> Mapping[str, str]:
    """What `requestMerchantTransfer` is given."""
    return {"mchId": keys.mch_id, "appId": keys.app_id, "package": handle}


def _standing(told: Mapping[str, Any]) -> TransferStanding:
    state = told.get("state")
    found = _STATES.get(state) if isinstance(state, str) else None
    if found is None:
        raise malformed("state")
    if found == "failed":
        reason = told.get("fail_reason", "")
        word = reason if isinstance(reason, str) and _WORD.match(reason) else str(state)
        known = "cancelled" if state == "CANCELLED" else "declined"
        return TransferStanding("failed", fault=_FAULTS.get(word, known), detail=word)  # type: ignore[arg-type]
    package = told.get("package_info", "")
    if found == "confirms" and isinstance(package, str) and _PACKAGE.match(package):
        return TransferStanding("confirms", handle=package, detail=str(state))
    return TransferStanding(found, detail=str(state))


def _number(text: str) -> str:
    if not _NUMBER.match(text):
        raise CallFailed("unfit", "number")
    return text


def _cut(text: str) -> str:
    """The platform counts characters here; control characters become blanks."""
    return "".join(sign if sign.isprintable() else " " for sign in text).strip()[:_REMARK].strip()
