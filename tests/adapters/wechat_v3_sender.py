"""WeChat Pay's side, for tests: signs and encrypts with keys of our own, and lets one fault in at a time."""

import base64
import functools
import json
from datetime import datetime, timedelta, timezone

from crypto import certs, rsa
from crypto.aead import Aead
from gateway.contract import RawNotification

SENT = datetime(2026, 11, 22, 4, 5, 6, tzinfo=timezone.utc)
APIV3_KEY = "k3yForTests-0123456789abcdefGHIJ"
KEY_ID = "PUB_KEY_ID_0119000001092026112200111200000001"
OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"

ENVELOPE = {
    "id": "EV-2018022511223320873",
    "create_time": "2026-11-22T12:05:06+08:00",
    "resource_type": "encrypt-resource",
    "event_type": "TRANSACTION.SUCCESS",
    "summary": "支付成功",
}
TRANSACTION = {
    "mchid": "1900000109",
    "appid": "wxd678efh567hg6787",
    "out_trade_no": "1217752501201407033233368018",
    "transaction_id": "1217752501201407033233368018",
    "trade_type": "JSAPI",
    "trade_state": "SUCCESS",
    "trade_state_desc": "支付成功",
    "bank_type": "CMC",
    "attach": "till 3",
    "success_time": "2026-11-22T12:05:03+08:00",
    "payer": {"openid": OPENID},
    "amount": {"total": 1280, "payer_total": 1000, "currency": "CNY", "payer_currency": "CNY"},
    "scene_info": {"device_id": "013467007045764"},
}
PARTNER = {
    **{k: v for k, v in TRANSACTION.items() if k not in ("mchid", "appid")},
    "sp_mchid": "1230000109",
    "sp_appid": "wx8888888888888888",
    "sub_mchid": "1900000119",
    "sub_appid": "wxsub0000000000001",
    "payer": {"sp_openid": "oSp-" + OPENID, "sub_openid": "oSub-" + OPENID},
}
REFUND = {
    "mchid": "1900000109",
    "out_trade_no": "1217752501201407033233368018",
    "transaction_id": "1217752501201407033233368018",
    "out_refund_no": "r-1",
    "refund_id": "50200207182018070300011301001",
    "refund_status": "SUCCESS",
    "success_time": "2026-11-23T12:00:00+08:00",
    "user_received_account": "招商银行信用卡0403",
    "amount": {"total": 1280, "refund": 300, "payer_total": 1000, "payer_refund": 300},
}


@functools.cache
def private_key():
    return rsa.load_private_key(rsa.new_private_key())


@functools.cache
def stranger():
    return rsa.load_private_key(rsa.new_private_key())


@functools.cache
def certificate(serial=0x5DEA10EF55877E3CF6C33255C2E7DEFFF7E427EC):
    return certs.self_signed(private_key(), "Tenpay.com sign", serial=serial, now=SENT - timedelta(days=30))


def keys_table(**changed):
    table = {
        "mchid": "1900000109",
        "appid": "wxd678efh567hg6787",
        "apiv3_key": APIV3_KEY,
        "public_keys": {KEY_ID: rsa.public_pem(private_key())},
    }
    table.update(changed)
    return {k: v for k, v in table.items() if v is not None}


def partner_table(**changed):
    return keys_table(
        **{
            "mchid": None,
            "appid": None,
            "sp_mchid": "1230000109",
            "sp_appid": "wx8888888888888888",
            "sub_mchid": "1900000119",
            "sub_appid": "wxsub0000000000001",
            **changed,
        }
    )


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def resource(
    content, *, key=APIV3_KEY, nonce="fdasflkja484", aad="transaction", original_type="transaction", **changed
):
    plain = content if isinstance(content, bytes) else compact(content)
    sealed = Aead(key.encode()).seal(nonce.encode(), plain, (aad or "").encode())
    made = {
        "original_type": original_type,
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": base64.b64encode(sealed).decode(),
        "associated_data": aad,
        "nonce": nonce,
    }
    made.update(changed)
    return {k: v for k, v in made.items() if v is not None}


def body_of(content=None, *, event_type="TRANSACTION.SUCCESS", event_id=ENVELOPE["id"], **how):
    sealed = resource(TRANSACTION if content is None else content, **how)
    return compact({**ENVELOPE, "event_type": event_type, "id": event_id, "resource": sealed})


def signed(
    body,
    *,
    at=SENT,
    serial=KEY_ID,
    nonce="593BEC0C930BF1AFEB40B4A08C8FB242",
    key=None,
    text=None,
    drop=(),
    extra=(),
    **headers,
):
    """`body` with the headers WeChat Pay sends. `text` replaces the signed text, `headers` single values (`_` for `-`)."""
    timestamp = str(int(at.timestamp()))
    if text is None:
        text = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
    values = {
        "Content-Type": "application/json",
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature": base64.b64encode(rsa.sign_sha256(key or private_key(), text)).decode(),
        "Wechatpay-Serial": serial,
        "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
        "Request-ID": "08F78BB5AF0610D30218A0E4C5D20F",
        "User-Agent": "Mozilla/4.0",
    }
    values.update({name.replace("_", "-").title(): value for name, value in headers.items()})
    pairs = tuple((name, value) for name, value in values.items() if name not in drop)
    return RawNotification("POST", "", (*pairs, *extra), body, at)


def notification(content=None, **how):
    """A whole, right notification of `content` (default: the direct payment); `how` goes to where it fits."""
    own = {k: how.pop(k) for k in ("key", "nonce", "aad", "original_type", "event_type", "event_id") if k in how}
    return signed(body_of(content, **own), **how)


def without(content, *names):
    return {k: v for k, v in content.items() if k not in names}
