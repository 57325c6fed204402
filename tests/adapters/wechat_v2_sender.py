"""WeChat Pay v2's side, for tests: signs and encrypts by the published rules, written apart from the adapter's own."""

import base64
import hashlib
import hmac
from datetime import datetime, timezone

from crypto import legacy
from gateway.contract import RawNotification

SENT = datetime(2026, 11, 22, 4, 5, 6, tzinfo=timezone.utc)
API_KEY = "192006250b4c09247ec02edce69f6a2d"
OPENID = "wxd930ea5d5a258f4f-openid"

PAYMENT = {
    "appid": "wx2421b1c4370ec43b",
    "attach": "支付测试",
    "bank_type": "CFT",
    "cash_fee": "1000",
    "device_info": "013467007045764",
    "fee_type": "CNY",
    "is_subscribe": "Y",
    "mch_id": "10000100",
    "nonce_str": "5d2b6c2a8db53831f7eda20af46e531c",
    "openid": OPENID,
    "out_trade_no": "1409811653",
    "result_code": "SUCCESS",
    "return_code": "SUCCESS",
    "time_end": "20261122120503",
    "total_fee": "1280",
    "trade_type": "JSAPI",
    "transaction_id": "1004400740201409030005092168",
}
REFUND = {
    "out_refund_no": "131811191610442717309",
    "out_trade_no": "71106718111915575302817",
    "refund_account": "REFUND_SOURCE_RECHARGE_FUNDS",
    "refund_fee": "300",
    "refund_id": "50000408942018111907145868882",
    "refund_recv_accout": "支付用户零钱",
    "refund_status": "SUCCESS",
    "settlement_refund_fee": "300",
    "settlement_total_fee": "1280",
    "success_time": "2026-11-23 12:00:00",
    "total_fee": "1280",
    "transaction_id": "1004400740201409030005092168",
}


def keys_table(**changed):
    table = {"mchid": "10000100", "appid": "wx2421b1c4370ec43b", "api_key": API_KEY}
    table.update(changed)
    return {name: value for name, value in table.items() if value is not None}


def sign(values, key=API_KEY, kind="MD5"):
    kept = sorted((k, v) for k, v in values.items() if k != "sign" and v != "")
    text = ("&".join(f"{k}={v}" for k, v in kept) + "&key=" + key).encode()
    if kind == "MD5":
        return hashlib.md5(text).hexdigest().upper()
    return hmac.new(key.encode(), text, "sha256").hexdigest().upper()


def xml(values, root="xml"):
    inside = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in values.items())
    return f"<{root}>{inside}</{root}>".encode()


def raw(body, headers=(("Content-Type", "text/xml"),)):
    return RawNotification("POST", "", headers, body, SENT)


def notification(values=None, *, key=API_KEY, kind="MD5", **changed):
    """A signed payment; `changed` sets values before signing, None takes one away."""
    told = {**(PAYMENT if values is None else values), **changed}
    told = {name: value for name, value in told.items() if value is not None}
    return raw(xml({**told, "sign": sign(told, key, kind)}))


def refund(inner=None, *, key=API_KEY, root="root", plain=None, outer=None, **changed):
    told = {**(REFUND if inner is None else inner), **changed}
    told = {name: value for name, value in told.items() if value is not None}
    secret = hashlib.md5(key.encode()).hexdigest().encode()
    sealed = base64.b64encode(legacy.ecb_encrypt(secret, xml(told, root) if plain is None else plain)).decode()
    around = {
        "return_code": "SUCCESS",
        "appid": "wx2421b1c4370ec43b",
        "mch_id": "10000100",
        "nonce_str": "n",
        "req_info": sealed,
    }
    return raw(xml({**around, **(outer or {})}))
