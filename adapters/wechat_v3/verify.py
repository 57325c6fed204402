r"""Did WeChat Pay send these bytes, now, to someone who trusts that key?

The signed text is `{Wechatpay-Timestamp}\n{Wechatpay-Nonce}\n{body}\n`, the body as it came and the last newline
included; RSA PKCS #1 v1.5 over SHA-256, base64 in `Wechatpay-Signature`; the key is named by `Wechatpay-Serial`; five
minutes away from the clock is too much. Source: wechatpay-go `core/auth/validators/wechat_pay_validator.go`,
`core/auth/verifiers/`, `core/consts/const.go`.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NewType, Protocol

from adapters.wechat_v3.keys import PUBLIC_KEY_PREFIX
from crypto.certs import normal_serial
from crypto.errors import SignatureMismatch
from crypto.rsa import PublicKey, verify_sha256
from gateway.contract import (
    BadSignature,
    Headers,
    Malformed,
    RawNotification,
    SignatureProbe,
    StaleTimestamp,
    UnknownKey,
)

Genuine = NewType("Genuine", bytes)
"""A body that WeChat Pay signed, within its time. Only `verify` makes one."""


class Signers(Protocol):
    """Keys of whatever is held, as far as a signature is concerned."""

    @property
    def verifiers(self) -> Mapping[str, PublicKey]:
        """What `Wechatpay-Serial` may say → its key (see `keys.Keys`)."""


WINDOW_S: Final = 300
_PROBE: Final = "WECHATPAY/SIGNTEST/"
_ALGORITHM: Final = "WECHATPAY2-SHA256-RSA2048"
_SIGNATURE: Final = "Wechatpay-Signature"
_TIMESTAMP: Final = "Wechatpay-Timestamp"
_NONCE: Final = "Wechatpay-Nonce"
_SERIAL: Final = "Wechatpay-Serial"
_TYPE: Final = "Wechatpay-Signature-Type"
_WANTED: Final = {name.lower(): name for name in (_SIGNATURE, _TIMESTAMP, _NONCE, _SERIAL, _TYPE)}
_NAMES: Final = frozenset(_WANTED.values())
_PREFIX: Final = "wechatpay-"
_MAX_SECONDS_DIGITS: Final = 12


def verify(raw: RawNotification, keys: Signers, now: datetime) -> Genuine:
    """The body, proven. `now` is aware.

    Raises SignatureProbe, BadSignature (missing, repeated, another algorithm, wrong), UnknownKey, Malformed (a
    timestamp that is no number), and StaleTimestamp for what is signed rightly but 300 s or more away, past or future.
    """
    found = _headers(raw.headers)
    try:
        signature, timestamp, nonce, serial = found[_SIGNATURE], found[_TIMESTAMP], found[_NONCE], found[_SERIAL]
    except KeyError as missing:
        raise BadSignature(f"no header {missing.args[0]}") from None
    if signature.startswith(_PROBE):
        raise SignatureProbe("WeChat Pay checks that wrong signatures are refused")
    # A missing type is RSA, as in wechatpay-go core/notify; anything else (SM2) is not something we can check.
    if found.get(_TYPE, _ALGORITHM) != _ALGORITHM:
        raise BadSignature("another signature type")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _MAX_SECONDS_DIGITS):
        raise Malformed("the timestamp is not a number of seconds")
    key = _key(keys, serial)
    try:
        # A newline in the nonce would let the border between nonce and body move under one signature.
        if "\n" in nonce:
            raise BadSignature("the nonce has a newline")
        head = f"{timestamp}\n{nonce}\n".encode("latin-1")
        verify_sha256(key, binascii.a2b_base64(signature, strict_mode=True), b"%b%b\n" % (head, raw.body))
    except SignatureMismatch:
        raise BadSignature("does not verify") from None
    except ValueError:  # base64 and latin-1 both
        raise BadSignature("not in the form of a signature") from None
    if abs(now.timestamp() - int(timestamp)) >= WINDOW_S:
        raise StaleTimestamp(f"{WINDOW_S} s or more from the clock")
    return Genuine(raw.body)


def _headers(headers: Headers) -> dict[str, str]:
    """Ours among the headers, under the names above, letter case ignored. Raises BadSignature when one is repeated.

    Asking name by name costs as much as decrypting, so the usual case is settled in a few steps: no two names are
    equal, and as many speak of Wechatpay in any letter case as there are of ours in the usual one.
    """
    found = dict(headers)
    if len(found) == len(headers) and found.keys() >= _NAMES and "\n".join(found).lower().count(_PREFIX) == len(_NAMES):
        return found
    found = {}
    for name, value in headers:
        ours = _WANTED.get(name.lower())
        if ours is not None:
            if ours in found:
                raise BadSignature(f"header {ours} is repeated")
            found[ours] = value
    return found


def _key(keys: Signers, serial: str) -> PublicKey:
    key = keys.verifiers.get(serial)
    # A serial is a number: its letter case and leading zeros differ between what shows it. A key id is not.
    if key is None:
        number = normal_serial(serial)
        if not number.startswith(PUBLIC_KEY_PREFIX):
            key = keys.verifiers.get(number)
    if key is None:
        raise UnknownKey("Wechatpay-Serial names a key that this channel does not hold")
    return key
