"""A genuine body → what it tells. Only what `verify` returned comes in here.

Field names: wechatpay-go `services/payments/models.go`, `services/partnerpayments/models.go`; refunds: the platform's
refund-result notice (in `wechatpay-im/website` `webhook/v3/REFUND.SUCCESS.md`). Envelope: 回调通知处理.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any, Final

from adapters.wechat_v3.keys import Keys
from adapters.wechat_v3.verify import Genuine
from adapters.wechat_v3.wire import count, instant, read_object, texts
from crypto.errors import DecryptFailed
from gateway.contract import Event, Ignored, Malformed, Payer, PaymentEvent, RefundEvent, Undecryptable

_ALGORITHM: Final = "AEAD_AES_256_GCM"
_PAID: Final = "TRANSACTION.SUCCESS"
_REFUNDED: Final = "REFUND.SUCCESS"
_OPENID: Final = "openid"
_PAYMENT_TEXTS: Final = (
    "transaction_id",
    "out_trade_no",
    "success_time",
    "trade_type",
    "attach",
    "sub_mchid",
    "sub_appid",
)
_REFUND_TEXTS: Final = ("transaction_id", "out_trade_no", "success_time", "refund_id", "sub_mchid")
_COMBINED: Final = frozenset(("combine_mchid", "sub_orders", "combine_payer_info"))


def event_of(body: Genuine, keys: Keys) -> Event:
    """What the notification tells.

    A plain payment is TRANSACTION.SUCCESS whose resource is a `transaction` in the state SUCCESS. The same event type
    also carries profit sharing (`original_type`), combined orders, parking and contract debits: genuine, and Ignored,
    with the reason. Raises Malformed, and Undecryptable when no APIv3 key of the channel opens the resource.
    """
    envelope = read_object(body)
    event_id, event_type = texts((envelope.get("id"), envelope.get("event_type")))
    if not event_id or not event_type:
        raise Malformed("no id or no event_type")
    if event_type not in (_PAID, _REFUNDED):
        return Ignored(event_type, "refund_failed" if event_type.startswith("REFUND.") else "event_type", event_id)
    resource = envelope.get("resource")
    if type(resource) is not dict:
        raise Malformed("no resource")
    if event_type == _REFUNDED:
        return _refund(_opened(resource, keys), keys, event_id)
    if resource.get("original_type") != "transaction":
        return Ignored(event_type, "original_type", event_id)
    return _payment(_opened(resource, keys), keys, event_id)


def _opened(resource: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
    """The decrypted JSON object; every APIv3 key of the channel is tried."""
    if resource.get("algorithm") != _ALGORITHM:
        raise Malformed("the resource is not encrypted with AEAD_AES_256_GCM")
    try:
        sealed = binascii.a2b_base64(resource["ciphertext"], strict_mode=True)
        nonce, aad = resource["nonce"].encode(), (resource.get("associated_data") or "").encode()
    except (KeyError, ValueError, TypeError, AttributeError):
        raise Malformed("ciphertext, nonce or associated_data is not what it should be") from None
    for aead in keys.aeads:
        try:
            plain = aead.open(nonce, sealed, aad)
        except DecryptFailed:
            continue
        return read_object(plain)
    raise Undecryptable("no APIv3 key of this channel opens the resource")


def _payment(told: Mapping[str, Any], keys: Keys, event_id: str) -> PaymentEvent | Ignored:
    reason = _why_not(told, keys)
    if reason is not None:
        return Ignored(_PAID, reason, event_id)
    payer, scene, amount = told.get("payer") or {}, told.get("scene_info") or {}, told.get("amount")
    if not type(payer) is type(scene) is type(amount) is dict:
        raise Malformed("payer, scene_info or amount is not an object")
    (
        transaction_id,
        out_trade_no,
        success_time,
        trade_type,
        attach,
        sub_mch_id,
        sub_app_id,
        device_id,
        currency,
        openid,
        sub_openid,
    ) = texts(
        (
            *map(told.get, _PAYMENT_TEXTS),
            scene.get("device_id"),
            amount.get("currency"),
            payer.get("sp_openid" if keys.partner else _OPENID),
            payer.get("sub_openid"),
        )
    )
    if not transaction_id or not success_time:
        raise Malformed("no transaction_id or no success_time")
    payers: tuple[Payer, ...] = (Payer(keys.app_id, _OPENID, openid),) if openid else ()
    if keys.partner:
        sub_app_id = sub_app_id or keys.sub_app_id
        if sub_openid and sub_app_id:
            payers += (Payer(sub_app_id, _OPENID, sub_openid),)
    return PaymentEvent(
        "wechat",
        keys.mch_id,
        sub_mch_id if keys.partner else None,
        transaction_id,
        out_trade_no or None,
        payers,
        count(amount, "total"),
        count(amount, "payer_total") if "payer_total" in amount else None,
        currency or "CNY",
        instant(success_time),
        trade_type or None,
        device_id or None,
        None,  # the shop that the order named is not told again
        attach or None,
        event_id,
    )


def _why_not(told: Mapping[str, Any], keys: Keys) -> str | None:
    """Why this is no paid, plain payment of one payer at this merchant, though event and resource type say so."""
    if not told.keys().isdisjoint(_COMBINED):
        return "combined_order"
    if told.get("trade_scene") == "PARKING":
        return "parking"
    if told.get("trade_type") == "PAP":  # a debit under a standing contract
        return "papay"
    if not _ours(told, keys) or told.get("sp_appid" if keys.partner else "appid") != keys.app_id:
        return "foreign_merchant"
    if keys.sub_app_id is not None and told.get("sub_appid") not in (None, "", keys.sub_app_id):
        return "foreign_merchant"
    return None if told.get("trade_state") == "SUCCESS" else "unpaid"


def _refund(told: Mapping[str, Any], keys: Keys, event_id: str) -> RefundEvent | Ignored:
    if not _ours(told, keys):
        return Ignored(_REFUNDED, "foreign_merchant", event_id)
    if told.get("refund_status") != "SUCCESS":
        return Ignored(_REFUNDED, "refund_failed", event_id)
    amount = told.get("amount")
    transaction_id, out_trade_no, success_time, refund_id, sub_mch_id = texts(map(told.get, _REFUND_TEXTS))
    if not transaction_id or not refund_id or not success_time or type(amount) is not dict:
        raise Malformed("no transaction_id, refund_id, success_time or amount")
    return RefundEvent(
        provider="wechat",
        mch_id=keys.mch_id,
        sub_mch_id=sub_mch_id if keys.partner else None,
        transaction_id=transaction_id,
        out_trade_no=out_trade_no or None,
        refund_id=refund_id,
        refund_fen=count(amount, "refund"),
        refunded_total_fen=None,  # WeChat Pay tells of one refund, never of their sum
        refunded_at=instant(success_time),
        event_id=event_id,
    )


def _ours(told: Mapping[str, Any], keys: Keys) -> bool:
    if keys.partner:
        sub_mch_id = told.get("sub_mchid")
        return told.get("sp_mchid") == keys.mch_id and type(sub_mch_id) is str and sub_mch_id in keys.sub_mch_ids
    return told.get("mchid") == keys.mch_id and "sp_mchid" not in told
