"""Who signed it: the one door from a stranger's fields to `Genuine` ones.

Sources: rule v1 is proven by the published notification in alipay/alipay-sdk-nodejs-all `test/alipay.test.ts`
("verify sign should delete sign_type"), rule v2 by its neighbour ("should not delete sign_type").
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from adapters.alipay.form import Form, read_form
from adapters.alipay.keys import Keys
from crypto.errors import SignatureMismatch
from crypto.rsa import PublicKey
from gateway.contract import BadSignature, Malformed, UnknownKey

Rule = Literal["v1", "v2"]

_SN: Final = b"alipay_cert_sn"
_DROPS: Final[dict[Rule, tuple[bytes, ...]]] = {"v1": (b"sign", b"sign_type"), "v2": (b"sign",)}

# Every reading of what is signed, the likeliest first: rule, whether alipay_cert_sn is signed along, what is left out.
# Both readings of alipay_cert_sn are tried: Alipay's Java SDK keeps it in, smartwalle/alipay leaves it out.
Reading = tuple[Rule, bool, tuple[bytes, ...]]
_READINGS: Final[tuple[Reading, ...]] = tuple((rule, True, drops) for rule, drops in _DROPS.items())
_READINGS_WITH_SN: Final[tuple[Reading, ...]] = tuple(
    (rule, signed, drops if signed else (*drops, _SN)) for rule, drops in _DROPS.items() for signed in (True, False)
)

_SIGN_TYPES: Final = frozenset({b"RSA", b"RSA2"})


class Genuine(NamedTuple):
    """Fields whose signature held. Only `verified` makes one.

    `rule` tells the family: `v1` signs payment notifications, `v2` the messages of the application gateway.
    `sn_signed` is false where the signature held only without `alipay_cert_sn`.
    """

    fields: Mapping[bytes, bytes]
    codec: str
    rule: Rule
    sn_signed: bool

    def __repr__(self) -> str:
        return f"Genuine(<{len(self.fields)} fields>, rule={self.rule!r})"


def verified(body: bytes, keys: Keys) -> Genuine:
    """The fields of a body that Alipay signed for this channel.

    Raises Malformed, BadSignature, or UnknownKey where it names a certificate that the channel does not hold.
    """
    form = read_form(body)
    fields = form.fields
    signature = _signature(fields, keys)
    codec = form.codec()
    candidates = _candidates(fields, keys)
    for rule, sn_signed, drops in _READINGS_WITH_SN if _SN in fields else _READINGS:
        text = form.text_without(drops)
        for key in candidates:
            try:
                keys.verify(key, signature, text)
            except SignatureMismatch:
                continue
            _decodes(text, codec)
            return Genuine(fields, codec, rule, sn_signed)
    raise BadSignature("the signature does not verify")


def signed_text(form: Form, rule: Rule) -> bytes:
    """What is signed: every field but `sign` (and under v1 `sign_type`), blank and unknown ones too, sorted by name."""
    return form.text_without(_DROPS[rule])


def _signature(fields: Mapping[bytes, bytes], keys: Keys) -> bytes:
    sign_type = fields.get(b"sign_type")
    if sign_type != keys.sign_type:
        # The sender never chooses the digest, or a broken SHA-1 would do for a channel set to SHA-256.
        if sign_type in _SIGN_TYPES:
            raise BadSignature("sign_type is not the configured one")
        raise BadSignature("sign_type absent or unknown")
    text = fields.get(b"sign")
    if not text:
        raise BadSignature("no signature")
    try:
        signature = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise BadSignature("the signature is not base64") from None
    if base64.b64encode(signature) != text:
        raise BadSignature("the signature is not canonical base64")
    return signature


def _candidates(fields: Mapping[bytes, bytes], keys: Keys) -> tuple[PublicKey, ...]:
    sn = fields.get(_SN)
    if sn is None:
        return keys.every
    named = keys.by_sn.get(sn)
    if named is not None:
        return (named,)
    if keys.plain:
        return keys.plain
    raise UnknownKey("alipay_cert_sn is of no certificate held")


def _decodes(text: bytes, codec: str) -> None:
    """Refuse a message whose bytes are not in the charset it names."""
    if text.isascii():
        return
    try:
        text.decode(codec)
    except UnicodeDecodeError:
        raise Malformed("not in the charset it names") from None
