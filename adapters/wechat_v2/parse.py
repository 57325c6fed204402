"""Proven values → what they tell. Only what `verify` returned comes in here.

Field names: doc/v2/merchant/4011937248, `wechatpay-im/website` `webhook/v2/transaction-success.md` and
`webhook/v2/refund-processed.md`. A notification has no id of its own, so its event id is made of what it tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters.wechat_v2.keys import Keys
from adapters.wechat_v2.verify import Genuine
from adapters.wechat_v2.wire import count, paid_time, refund_time, word, words
from gateway.contract import Event, Ignored, Payer, PaymentEvent, RefundEvent

_OPENID: Final = "openid"
_SUCCESS: Final = "SUCCESS"


def event_of(genuine: Genuine, keys: Keys) -> Event:
    """A payment, a refund, or Ignored with the reason. Raises Malformed."""
    if genuine.kind == "encrypted_event":
        return Ignored(words(genuine.values, "event_type") or genuine.kind, "encrypted_event", genuine.digest)
    if _foreign(genuine.values, keys):
        return Ignored(genuine.kind, "foreign_merchant", genuine.digest)
    if genuine.kind == "refund":
        return _refund(genuine, keys)
    told = genuine.values
    if told.get("return_code") != _SUCCESS or told.get("result_code") != _SUCCESS:
        return Ignored("payment", "unpaid", genuine.digest)
    if told.get("trade_type") == "PAP":
        return Ignored("payment", "papay", genuine.digest)
    transaction_id = word(told, "transaction_id")
    return PaymentEvent(
        provider="wechat",
        mch_id=keys.mch_id,
        sub_mch_id=words(told, "sub_mch_id"),
        transaction_id=transaction_id,
        out_trade_no=words(told, "out_trade_no"),
        payers=_payers(told, keys),
        amount_fen=count(told, "total_fee"),
        payer_total_fen=count(told, "cash_fee") if told.get("cash_fee") else None,
        currency=words(told, "fee_type") or "CNY",
        paid_at=paid_time(word(told, "time_end")),
        trade_type=words(told, "trade_type"),
        device_id=words(told, "device_info"),
        store_id=None,
        attach=words(told, "attach"),
        event_id=f"payment:{transaction_id}",
    )


def _foreign(told: Mapping[str, str], keys: Keys) -> bool:
    """Whether the merchant, the sub-merchant or an appid is not the channel's (R017).

    A sub-merchant on a channel without any means that the channel holds a service provider's ids: not ours to guess.
    """
    if told.get("mch_id") != keys.mch_id or told.get("appid") != keys.app_id:
        return True
    sub_mch_id, sub_app_id = told.get("sub_mch_id") or None, told.get("sub_appid") or None
    if (sub_mch_id not in keys.sub_mch_ids) if keys.sub_mch_ids else (sub_mch_id is not None):
        return True
    return sub_app_id is not None and keys.sub_app_id is not None and sub_app_id != keys.sub_app_id


def _payers(told: Mapping[str, str], keys: Keys) -> tuple[Payer, ...]:
    """Every openid of the one payer, each under the appid that it belongs to."""
    pairs = (
        (keys.app_id, words(told, "openid")),
        (words(told, "sub_appid") or keys.sub_app_id, words(told, "sub_openid")),
    )
    return tuple(Payer(app_id, _OPENID, value) for app_id, value in pairs if app_id and value)


def _refund(genuine: Genuine, keys: Keys) -> RefundEvent | Ignored:
    told = genuine.inner
    if told.get("refund_status") != _SUCCESS:
        return Ignored("refund", "refund_failed", genuine.digest)
    refund_id = word(told, "refund_id")
    return RefundEvent(
        provider="wechat",
        mch_id=keys.mch_id,
        sub_mch_id=words(genuine.values, "sub_mch_id"),
        transaction_id=word(told, "transaction_id"),
        out_trade_no=words(told, "out_trade_no"),
        refund_id=refund_id,
        refund_fen=count(told, "refund_fee"),
        refunded_total_fen=None,  # WeChat Pay tells of one refund, never of their sum
        refunded_at=refund_time(word(told, "success_time")),
        event_id=f"refund:{refund_id}",
    )
