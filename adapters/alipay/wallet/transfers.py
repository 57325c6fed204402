"""Sending money to customers: `alipay.fund.trans.uni.transfer`, at once and without a tap.

Fields: `AlipayFundTransUniTransferModel`, `Participant` and the two answers' classes in alipay/alipay-sdk-java-all.
Only in certificate mode (`isv.missing-app-cert-sn` otherwise). The same number may be sent again with the same
contents, and no money goes twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from adapters.alipay.wallet.calls import Declined, answered, malformed, signed_call
from adapters.alipay.wallet.keys import WalletKeys
from adapters.alipay.wallet.trades import plain, yuan
from gateway.contract.money import Fen
from gateway.contract.wallet import Call, CallFailed, Reply, Transfer, TransferFault, TransferStanding, TransferState

SEND: Final = "alipay.fund.trans.uni.transfer"
QUERY: Final = "alipay.fund.trans.common.query"
LEAST_FEN: Final = Fen(10)
MOST_FEN: Final = Fen(5_000_000)
"""50,000 yuan to a person at a time."""

_KIND: Final = {"product_code": "TRANS_ACCOUNT_NO_PWD", "biz_scene": "DIRECT_TRANSFER"}
_NUMBER: Final = re.compile(r"[0-9A-Za-z_]{6,64}\Z", re.ASCII)
_PAYEE: Final = re.compile(r"[!-~]{1,128}\Z", re.ASCII)
_WORD: Final = re.compile(r"[0-9A-Za-z_.-]{1,64}\Z", re.ASCII)
_TITLE: Final = 128
_REMARK: Final = 200
_IDENTITIES: Final = {"alipay_open_id": "ALIPAY_OPEN_ID", "alipay_user_id": "ALIPAY_USER_ID"}
_NOT_FOUND: Final = "ORDER_NOT_EXIST"
_STATES: Final[Mapping[str, TransferState]] = {
    "SUCCESS": "done",
    "DEALING": "accepted",
    "WAIT_PAY": "accepted",
    "FAIL": "failed",
    "CLOSED": "failed",
    "REFUND": "failed",  # it had gone out and came back
}
# Whatever is not among them is taken for unknown: names of codes that we could not prove stay out.
_REFUSED: Final[Mapping[str, TransferFault]] = {
    "PAYER_BALANCE_NOT_ENOUGH": "balance",
    "PAYEE_NOT_EXIST": "account",
    "PAYEE_USER_INFO_ERROR": "name",
    "PERMIT_CHECK_PERM_LIMITED": "permission",
    "isv.missing-app-cert-sn": "permission",
}


def transfer(keys: WalletKeys, wanted: Transfer, now: datetime) -> Call:
    """The same transfer always makes the same `biz_content`. Raises CallFailed `unfit`."""
    identity = _IDENTITIES.get(wanted.payee.id_type)
    if identity is None or wanted.payee.app_id != keys.app_id or not _PAYEE.match(wanted.payee.value):
        raise CallFailed("unfit", "the payee is known by another app")
    if not keys.certificate_params:
        raise CallFailed("unfit", "transfers need certificate mode")
    text = yuan(wanted.amount_fen)
    if not LEAST_FEN <= wanted.amount_fen <= MOST_FEN:
        raise CallFailed("unfit", "amount")
    content = {
        "out_biz_no": _number(wanted.number),
        "trans_amount": text,
        **_KIND,
        "order_title": plain(wanted.title, _TITLE) or "奖励",
        "remark": plain(wanted.remark, _REMARK) or "奖励",
        "payee_info": {"identity": wanted.payee.value, "identity_type": identity},
    }
    return signed_call(keys, SEND, now, content=content)


def transferred(keys: WalletKeys, reply: Reply) -> TransferStanding:
    """`done`, `accepted` or `failed`. Raises CallUnknown."""
    told = answered(keys, reply, SEND)
    if isinstance(told, Declined):
        fault = _REFUSED.get(told.sub_code)
        if fault is None:
            raise told.error()
        return TransferStanding("failed", fault=fault, detail=told.sub_code)
    return _standing(told)


def query_transfer(keys: WalletKeys, number: str, now: datetime) -> Call:
    """By our own number. Raises CallFailed `unfit`."""
    return signed_call(keys, QUERY, now, content={"out_biz_no": _number(number), **_KIND})


def transfer_queried(keys: WalletKeys, reply: Reply) -> TransferStanding:
    """How it stands. Raises CallUnknown."""
    told = answered(keys, reply, QUERY)
    if isinstance(told, Declined):
        if told.sub_code == _NOT_FOUND:
            return TransferStanding("not_found")
        raise told.error()
    return _standing(told)


def _standing(told: Mapping[str, Any]) -> TransferStanding:
    if told.get("code") != "10000":
        raise malformed("no code")
    status = told.get("status")
    state = _STATES.get(status) if isinstance(status, str) else None
    if state is None:
        raise malformed("status")
    if state != "failed":
        return TransferStanding(state, detail=str(status))
    code = told.get("error_code", "")
    word = code if isinstance(code, str) and _WORD.match(code) else str(status)
    return TransferStanding("failed", fault=_REFUSED.get(word, "declined"), detail=word)


def _number(text: str) -> str:
    if not _NUMBER.match(text):
        raise CallFailed("unfit", "number")
    return text
