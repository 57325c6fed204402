"""The channel's `keys` table → parsed keys, or every fault of it at once."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from crypto import certs, rsa
from crypto.errors import KeyMaterialError
from gateway.contract import BadConfig, Secret

NAMES: Final = frozenset(
    {
        "app_id",
        "seller_id",
        "seller_email",
        "public_keys",
        "certificates",
        "sign_type",
        "aes_key",
        "app_private_key",
    }
)
AES_KEY_BYTES: Final = 16

# Alipay's keys of the old RSA type have 1024 bits, those of RSA2 2048. Only who configures RSA takes the short ones.
_MIN_BITS: Final = {"RSA2": rsa.MIN_BITS, "RSA": 1024}
_VERIFY: Final = {"RSA2": rsa.verify_sha256, "RSA": rsa.verify_sha1}

Verify = Callable[[rsa.PublicKey, bytes, bytes], None]
Fault = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Keys:
    """What `parse` needs of one channel, ready to compare: identifiers as the bytes in which they arrive.

    `mch_id` (the seller) and `payer_app_id` are the same as text, for the events.
    `plain` are Alipay's public keys, `by_sn` those out of certificates by their `alipay_cert_sn`, `every` both in
    the order in which they are tried. `verify` belongs to the configured `sign_type`; the sender has no say in it.
    `aes_key` and `app_private_key` are for calls of our own.
    """

    app_id: bytes
    seller_id: bytes
    seller_email: bytes | None
    sign_type: bytes
    plain: tuple[rsa.PublicKey, ...]
    by_sn: Mapping[bytes, rsa.PublicKey]
    every: tuple[rsa.PublicKey, ...]
    verify: Verify = field(repr=False)
    aes_key: Secret[bytes] | None
    app_private_key: rsa.PrivateKey | None
    mch_id: str
    payer_app_id: str


def load(table: Mapping[str, Any]) -> Keys:
    """The `keys` table, secrets already read to strings → Keys. Raises BadConfig with every fault, paths relative."""
    faults: list[Fault] = [(str(name), "unknown name") for name in table if name not in NAMES]
    app_id = _word(table, "app_id", faults)
    seller_id = _word(table, "seller_id", faults)
    seller_email = _word(table, "seller_email", faults) if "seller_email" in table else None
    sign_type = table.get("sign_type", "RSA2")
    if not isinstance(sign_type, str) or sign_type not in _VERIFY:
        faults.append(("sign_type", "RSA2 or RSA"))
        sign_type = "RSA2"
    bits = _MIN_BITS[sign_type]
    plain = public_keys(table, bits, faults)
    by_sn = certificates(table, bits, faults)
    if not table.get("public_keys") and not table.get("certificates"):
        faults.append(("public_keys", "Alipay's public keys are wanted here, or its certificates in `certificates`"))
    aes_key = _aes_key(table, faults)
    private = private_key(table, bits, faults)
    if faults:
        raise BadConfig(faults)
    return Keys(
        app_id=app_id,
        seller_id=seller_id,
        seller_email=seller_email,
        sign_type=sign_type.encode("ascii"),
        plain=plain,
        by_sn=by_sn,
        every=(*plain, *by_sn.values()),
        verify=_VERIFY[sign_type],
        aes_key=aes_key,
        app_private_key=private,
        mch_id=seller_id.decode("ascii"),
        payer_app_id=app_id.decode("ascii"),
    )


def _word(table: Mapping[str, Any], name: str, faults: list[Fault]) -> bytes:
    value = table.get(name)
    word = value.strip() if isinstance(value, str) else ""
    if not word or not word.isascii() or not word.isprintable() or " " in word:
        faults.append((name, "missing" if value is None else "a word of ASCII characters is wanted"))
        return b""
    return word.encode("ascii")


def _texts(table: Mapping[str, Any], name: str, faults: list[Fault]) -> list[tuple[str, str]]:
    """The strings of a list with their paths; whatever is no string is a fault."""
    value = table.get(name, [])
    if not isinstance(value, (list, tuple)):
        faults.append((name, "a list is wanted"))
        return []
    found = []
    for index, text in enumerate(value):
        path = f"{name}[{index}]"
        if isinstance(text, str):
            found.append((path, text))
        else:
            faults.append((path, "a string is wanted"))
    return found


def public_keys(table: Mapping[str, Any], bits: int, faults: list[Fault]) -> tuple[rsa.PublicKey, ...]:
    """The keys under `public_keys`; what is wrong with them is added to `faults`."""
    found = []
    for path, text in _texts(table, "public_keys", faults):
        try:
            found.append(rsa.load_public_key(text, min_bits=bits))
        except KeyMaterialError as error:
            faults.append((path, str(error)))
    return tuple(found)


def certificates(table: Mapping[str, Any], bits: int, faults: list[Fault]) -> dict[bytes, rsa.PublicKey]:
    """Certificates by SN. The operator's upload is the trust: no chain is built and no expiry judged, so that a
    certificate which lapsed overnight does not turn genuine payments away before its successor is put in.
    """  # noqa: D205 - one thought
    found: dict[bytes, rsa.PublicKey] = {}
    for path, text in _texts(table, "certificates", faults):
        try:
            certificate = certs.load_certificate(text)
            found[certs.alipay_cert_sn(certificate).encode("ascii")] = certificate.public_key(min_bits=bits)
        except KeyMaterialError as error:
            faults.append((path, str(error)))
    return found


def _aes_key(table: Mapping[str, Any], faults: list[Fault]) -> Secret[bytes] | None:
    if "aes_key" not in table:
        return None
    try:
        key = base64.b64decode("".join(table["aes_key"].split()), validate=True)
    except (AttributeError, binascii.Error, ValueError):
        key = b""
    if len(key) != AES_KEY_BYTES:
        faults.append(("aes_key", "16 bytes in base64 are wanted, as Alipay's console shows them"))
        return None
    return Secret(key)


def private_key(table: Mapping[str, Any], bits: int, faults: list[Fault]) -> rsa.PrivateKey | None:
    """The key under `app_private_key`, if there; what is wrong with it is added to `faults`."""
    if "app_private_key" not in table:
        return None
    text = table["app_private_key"]
    if not isinstance(text, str):
        faults.append(("app_private_key", "a string is wanted"))
        return None
    try:
        return rsa.load_private_key(text, min_bits=bits)
    except KeyMaterialError as error:
        faults.append(("app_private_key", str(error)))
        return None
