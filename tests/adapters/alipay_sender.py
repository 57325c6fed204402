"""A small Alipay for tests: signs any fields by any rule, in any charset. Written apart from the sandbox platform."""

import base64
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from urllib.parse import quote_plus

from adapters.alipay import adapter
from crypto import certs, rsa
from gateway.contract import RawNotification

VECTORS = Path(__file__).parents[1] / "vectors" / "alipay"
RECEIVED = datetime(2026, 3, 1, 4, 0, 7, tzinfo=timezone.utc)
FIELDS = {
    "gmt_create": "2026-03-01 11:59:58",
    "charset": "utf-8",
    "seller_email": "till@example.com",
    "subject": "王老火锅",
    "body": "",
    "buyer_id": "2088102169481075",
    "buyer_open_id": "074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5",
    "notify_id": "2026030100222120000068450559358070",
    "fund_bill_list": '[{"amount":"12.80","fundChannel":"ALIPAYACCOUNT"}]',
    "notify_type": "trade_status_sync",
    "trade_status": "TRADE_SUCCESS",
    "buyer_pay_amount": "12.30",
    "app_id": "2021000000000001",
    "seller_id": "2088531891668739",
    "gmt_payment": "2026-03-01 12:00:00",
    "notify_time": "2026-03-01 12:00:05",
    "version": "1.0",
    "out_trade_no": "till-7/42",
    "total_amount": "12.80",
    "trade_no": "2026030122001468450512505578",
    "passback_params": "table=7",
}
SIGN = {"RSA2": rsa.sign_sha256, "RSA": rsa.sign_sha1}
DROPS = {"v1": {"sign", "sign_type"}, "v2": {"sign"}}


def private_key(name="alipay"):
    """One key per name and test run: making one takes a while."""
    return _made(name)


@cache
def _made(_name):
    return rsa.load_private_key(rsa.new_private_key())


@cache
def certificate(name, serial):
    return certs.self_signed(
        private_key(name), f"Alipay {name}", serial=serial, now=datetime(2026, 1, 1, tzinfo=timezone.utc)
    )


def table(**changes):
    """A `keys` table that trusts the sender; None takes a name out."""
    right = {
        "app_id": FIELDS["app_id"],
        "seller_id": FIELDS["seller_id"],
        "public_keys": [rsa.public_pem(private_key())],
        **changes,
    }
    return {name: value for name, value in right.items() if value is not None}


def encoded(pairs, charset="utf-8"):
    return "&".join(f"{name}={quote_plus(value.encode(charset))}" for name, value in pairs).encode()


def signed_bytes(fields, charset="utf-8", rule="v1", leave_out=()):
    dropped = DROPS[rule] | set(leave_out)
    return "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name not in dropped).encode(charset)


def send(fields=None, *, key=None, sign_type="RSA2", digest=None, encoding=None, rule="v1", leave_out=(), **changes):
    """A notification of `FIELDS` with `changes` (None takes a field out), signed over what is sent."""
    told = {name: value for name, value in {**(fields or FIELDS), **changes}.items() if value is not None}
    charset = encoding or told.get("charset", "utf-8")
    if sign_type is not None:
        told["sign_type"] = sign_type
    text = signed_bytes(told, charset, rule, leave_out)
    signature = SIGN[digest or sign_type](key or private_key(), text)
    told["sign"] = base64.b64encode(signature).decode()
    return raw(encoded(told.items(), charset))


def raw(body):
    headers = (("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),)
    return RawNotification("POST", "", headers, body, RECEIVED)


def parse(notification, keys=None):
    """Parsed years later: no time window applies."""
    keys = keys or adapter.load_keys(table())
    return adapter.parse(notification, keys, RECEIVED + timedelta(days=1))


def with_body(notification, old, new):
    """The body with `old`, which stands in it once, replaced."""
    assert notification.body.count(old) == 1, old
    return replace(notification, body=notification.body.replace(old, new))


def vector(name):
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))
