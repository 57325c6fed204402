"""Notifications that must be refused, for the sandbox page and for tests: one fault each, the rest right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from gateway.contract import Platform, RawNotification, SandboxOrder

FAULTS: Final[Mapping[str, Mapping[str, str]]] = {
    "wechat_v3": {
        "flipped_body": "bad_signature",
        "unsigned": "bad_signature",
        "unknown_serial": "unknown_key",
        "signtest": "signature_probe",
        "stale_time": "stale_timestamp",
    },
    "wechat_v2": {"flipped_body": "bad_signature", "unsigned": "bad_signature"},
    "alipay": {"flipped_body": "bad_signature", "unsigned": "bad_signature"},
}
"""By the adapter's slug: what can be wrong → the `reason` of the refusal. Another platform has none."""

STALE_BY: Final = timedelta(minutes=10)

_SIGNATURE: Final = "wechatpay-signature"
_PLACE: Final = re.compile(rb'(?:"ciphertext":"|<total_fee>|<req_info><!\[CDATA\[|total_amount=)(.)')
_BODY_SIGNATURE: Final = re.compile(rb"<sign>.*?</sign>|&sign=[^&]*")


def faulty_payment(
    platform: Platform, private: Mapping[str, str], keys: Mapping[str, Any], order: SandboxOrder, how: str
) -> RawNotification:
    """A notification of `order` with the fault `how`; `stale_time` is signed rightly, ten minutes too early.

    Raises ValueError for a fault that `FAULTS` does not name for this platform.
    """
    if how not in FAULTS.get(platform.slug, {}):
        raise ValueError(f"{platform.slug} has no fault {how}")
    if how == "stale_time":
        stale = platform.payment(private, keys, replace(order, sent_at=order.sent_at - STALE_BY))
        return replace(stale, received_at=order.sent_at)
    return tamper(platform.payment(private, keys, order), how)


def tamper(raw: RawNotification, how: str) -> RawNotification:
    """`raw` after a stranger's hand: `flipped_body`, `unsigned`, `unknown_serial` or `signtest`.

    Raises ValueError for another word, and where `raw` has nothing of the kind.
    """
    match how:
        case "flipped_body":
            return _flipped(raw)
        case "unsigned":
            kept = tuple(pair for pair in raw.headers if pair[0].lower() != _SIGNATURE)
            return _changed(raw, replace(raw, headers=kept, body=_BODY_SIGNATURE.sub(b"", raw.body)))
        case "unknown_serial":
            return _with_header(raw, "wechatpay-serial", "PUB_KEY_ID_00000000000000000000000000000000000")
        case "signtest":
            # WeChat Pay's own probe begins so, and need not be base64 behind it.
            return _with_header(raw, _SIGNATURE, "WECHATPAY/SIGNTEST/" + "!" * 20)
        case _:
            raise ValueError(f"no such fault: {how}")


def _flipped(raw: RawNotification) -> RawNotification:
    place = _PLACE.search(raw.body)
    if place is None:
        raise ValueError("nothing to flip in this body")
    at = place.start(1)
    other = b"1" if raw.body[at : at + 1] != b"1" else b"2"
    return replace(raw, body=raw.body[:at] + other + raw.body[at + 1 :])


def _with_header(raw: RawNotification, name: str, value: str) -> RawNotification:
    headers = tuple((key, value if key.lower() == name else old) for key, old in raw.headers)
    return _changed(raw, replace(raw, headers=headers))


def _changed(before: RawNotification, after: RawNotification) -> RawNotification:
    if before == after:
        raise ValueError("this notification has nothing of the kind")
    return after
