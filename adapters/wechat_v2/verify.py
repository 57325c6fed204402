"""Did WeChat Pay, or someone else who holds the merchant's API key, make these bytes?

Signed text: every value but `sign` and the empty ones, unknown names too, sorted by name, `k=v` joined by `&`, then
`&key=<API key>`; MD5 of it, or HMAC-SHA256 of it under the same key, as upper-case hexadecimal. Source and vectors:
doc/v2/merchant/4011985891 (`wechatpay-im/website` `guide/digital-signature.md`), `wechatpy` `tests/test_pay.py`.

A refund is not signed: its `req_info` is AES-256-ECB under the hexadecimal MD5 of the API key, and that it opens to a
refund is all the proof there is. Source: `wechatpay-im/website` `webhook/v2/refund-processed.md`.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from adapters.wechat_v2.keys import ApiKey, Keys
from adapters.wechat_v2.wire import read_xml
from crypto.errors import DecryptFailed
from crypto.legacy import ecb_decrypt, md5_hex
from crypto.mac import equal, hmac_sha256, sha256
from gateway.contract import BadSignature, Malformed

_MD5: Final = "MD5"
_HMAC: Final = "HMAC-SHA256"
_TYPE_OF_LENGTH: Final = {32: _MD5, 64: _HMAC}


@dataclass(frozen=True, slots=True, repr=False)
class Genuine:
    """Values that hold the merchant's secret's proof; only `verify` makes one.

    `kind` says what they are; `inner` are a refund's decrypted values; `digest` names the bytes where the platform
    gives a message no id of its own.
    """

    kind: Literal["payment", "refund", "encrypted_event"]
    values: Mapping[str, str]
    inner: Mapping[str, str]
    digest: str


def verify(body: bytes, keys: Keys) -> Genuine:
    """The values, proven.

    An event in v2's third shape (`event_ciphertext`) is under a key that this channel does not have; nothing of it is
    read but its name, and it must name the channel's merchant. Raises Malformed and BadSignature.
    """
    values = read_xml(body, "xml")
    digest = sha256(body).hex()[:32]
    if "req_info" in values:
        return Genuine("refund", values, _opened(values["req_info"], keys), digest)
    if "event_ciphertext" in values and "sign" not in values:
        if values.get("mch_id") != keys.mch_id:
            raise BadSignature("an unsigned event of another merchant")
        return Genuine("encrypted_event", values, {}, digest)
    _check_sign(values, keys)
    return Genuine("encrypted_event" if "event_ciphertext" in values else "payment", values, {}, digest)


def signed_text(values: Mapping[str, str]) -> str:
    """What is signed, without the key at its end."""
    return "&".join(f"{name}={values[name]}" for name in sorted(values) if name != "sign" and values[name] != "")


def sign(values: Mapping[str, str], key: ApiKey, kind: str) -> str:
    """The signature of `values`; `kind` is MD5 or HMAC-SHA256."""
    text = b"%b&key=%b" % (signed_text(values).encode(), key.sign)
    return (md5_hex(text) if kind == _MD5 else hmac_sha256(key.sign, text).hex()).upper()


def _check_sign(values: Mapping[str, str], keys: Keys) -> None:
    given = values.get("sign", "")
    # The notification may leave `sign_type` out although the order was signed with HMAC: the length tells.
    kind = _TYPE_OF_LENGTH.get(len(given))
    if kind is None or values.get("sign_type") not in (None, "", kind):
        raise BadSignature("no signature of a known type")
    if kind == _MD5 and not keys.md5:
        raise BadSignature("this channel wants HMAC-SHA256")
    octets = given.encode()
    if not any(equal(sign(values, key, kind).encode(), octets) for key in keys.api_keys):
        raise BadSignature("does not verify")


def _opened(req_info: str, keys: Keys) -> dict[str, str]:
    try:
        sealed = binascii.a2b_base64("".join(req_info.split()), strict_mode=True)
    except ValueError:
        raise Malformed("req_info is not base64") from None
    for key in keys.api_keys:
        try:
            # A wrong key passes the padding once in 256: that it reads as a refund belongs to the proof.
            return read_xml(ecb_decrypt(key.refund, sealed), "root")
        except (DecryptFailed, Malformed):
            continue
    raise BadSignature("req_info does not open under an API key of this channel")
