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
from adapters.wechat_v3.wire import count, instant, read_object, word, words
from crypto.errors import DecryptFailed
from gateway.contract import (
    Event,
    Ignored,
    Malformed,
    Payer,
    PaymentEvent,
    RefundEvent,
    Undecryptable,
)

_ALGORITHM: Final = "AEAD_AES_256_GCM"
_PAID: Final = "TRANSACTION.SUCCESS"
_REFUNDED: Final = "REFUND.SUCCESS"
_REFUND: Final = "REFUND."
_OPENID: Final = "openid"
_LONGEST_SEALED: Final = 1 << 20


def event_of(body: Genuine, keys: Keys) -> Event:
    """What the notification tells.

    A plain payment is TRANSACTION.SUCCESS whose resource is a `transaction` in the state SUCCESS. The same event type
    also carries profit sharing (`original_type`), combined orders, parking and contract debits: genuine, and Ignored,
    with the reason. Raises Malformed, and Undecryptable when no APIv3 key of the channel opens the resource.
    """
    envelope = read_object(body)
    event_id = word(envelope, "id")
    event_type = word(envelope, "event_type")
    if event_type == _PAID:
        resource = _resource(envelope)
        if resource.get("original_type") != "transaction":
            return Ignored(event_type, "original_type", event_id)
        return _payment(_opened(resource, keys), keys, event_id)
    if event_type == _REFUNDED:
        return _refund(_opened(_resource(envelope), keys), keys, event_id)
    return Ignored(event_type, "refund_failed" if event_type.startswith(_REFUND) else "event_type", event_id)


def _resource(envelope: Mapping[str, Any]) -> Mapping[str, Any]:
    resource = envelope.get("resource")
    if type(resource) is not dict:
        raise Malformed("no resource")
    return resource


def _opened(resource: Mapping[str, Any], keys: Keys) -> Mapping[str, Any]:
    """The decrypted JSON object; every APIv3 key of the channel is tried."""
    if resource.get("algorithm") != _ALGORITHM:
        raise Malformed("the resource is not encrypted with AEAD_AES_256_GCM")
    try:
        sealed = binascii.a2b_base64(word(resource, "ciphertext", _LONGEST_SEALED), strict_mode=True)
    except ValueError:
        raise Malformed("ciphertext is not base64") from None
    nonce = word(resource, "nonce").encode()
    aad = (words(resource, "associated_data") or "").encode()
    for aead in keys.aeads:
        try:
            plain = aead.open(nonce, sealed, aad)
        except DecryptFailed:
            continue
        return read_object(plain)
    raise Undecryptable("no APIv3 key of this channel opens the resource")


def _payment(told: Mapping[str, Any], keys: Keys, event_id: str) -> PaymentEvent | Ignored:
    other = _other_kind(told)
    if other is not None:
        return Ignored(_PAID, other, event_id)
    sub_mch_id = words(told, "sub_mchid") if keys.partner else None
    if not _ours(told, keys, sub_mch_id) or told.get("sp_appid" if keys.partner else "appid") != keys.app_id:
        return Ignored(_PAID, "foreign_merchant", event_id)
    sub_app_id = words(told, "sub_appid") if keys.partner else None
    if sub_app_id is not None and keys.sub_app_id is not None and sub_app_id != keys.sub_app_id:
        return Ignored(_PAID, "foreign_merchant", event_id)
    if told.get("trade_state") != "SUCCESS":
        return Ignored(_PAID, "unpaid", event_id)
    amount = told.get("amount")
    if type(amount) is not dict:
        raise Malformed("no amount")
    scene = told.get("scene_info")
    return PaymentEvent(
        "wechat",
        keys.mch_id,
        sub_mch_id,
        word(told, "transaction_id"),
        words(told, "out_trade_no"),
        _payers(told, keys, sub_app_id or keys.sub_app_id),
        count(amount, "total"),
        count(amount, "payer_total") if "payer_total" in amount else None,
        words(amount, "currency") or "CNY",
        instant(word(told, "success_time")),
        words(told, "trade_type"),
        words(scene, "device_id") if type(scene) is dict else None,
        None,
        words(told, "attach"),
        event_id,
    )


def _other_kind(told: Mapping[str, Any]) -> str | None:
    """Why this is no plain payment of one payer at one merchant, though it shares event and resource type."""
    if "combine_mchid" in told or "sub_orders" in told or "combine_payer_info" in told:
        return "combined_order"
    if told.get("trade_scene") == "PARKING":
        return "parking"
    if told.get("trade_type") == "PAP":
        return "papay"
    return None


def _payers(told: Mapping[str, Any], keys: Keys, sub_app_id: str | None) -> tuple[Payer, ...]:
    """Every openid of the one payer, each under the appid that it belongs to."""
    payer = told.get("payer")
    if payer is None:
        return ()
    if type(payer) is not dict:
        raise Malformed("payer is not an object")
    if not keys.partner:
        openid = words(payer, _OPENID)
        return (Payer(keys.app_id, _OPENID, openid),) if openid else ()
    found = []
    for app_id, value in ((keys.app_id, words(payer, "sp_openid")), (sub_app_id, words(payer, "sub_openid"))):
        if app_id and value:
            found.append(Payer(app_id, _OPENID, value))
    return tuple(found)


def _refund(told: Mapping[str, Any], keys: Keys, event_id: str) -> RefundEvent | Ignored:
    sub_mch_id = words(told, "sub_mchid") if keys.partner else None
    if not _ours(told, keys, sub_mch_id):
        return Ignored(_REFUNDED, "foreign_merchant", event_id)
    if told.get("refund_status") != "SUCCESS":
        return Ignored(_REFUNDED, "refund_failed", event_id)
    amount = told.get("amount")
    if type(amount) is not dict:
        raise Malformed("no amount")
    return RefundEvent(
        provider="wechat",
        mch_id=keys.mch_id,
        sub_mch_id=sub_mch_id,
        transaction_id=word(told, "transaction_id"),
        out_trade_no=words(told, "out_trade_no"),
        refund_id=word(told, "refund_id"),
        refund_fen=count(amount, "refund"),
        refunded_total_fen=None,  # WeChat Pay tells of one refund, never of their sum
        refunded_at=instant(word(told, "success_time")),
        event_id=event_id,
    )


def _ours(told: Mapping[str, Any], keys: Keys, sub_mch_id: str | None) -> bool:
    if keys.partner:
        return told.get("sp_mchid") == keys.mch_id and sub_mch_id in keys.sub_mch_ids
    return told.get("mchid") == keys.mch_id and "sp_mchid" not in told
