"""X.509 certificates as the platforms use them: a serial that names a signing key, and a key inside.

No chain is built: the operator uploads the platform's certificate himself and so vouches for it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from crypto import pem
from crypto.errors import KeyMaterialError
from crypto.rsa import MIN_BITS, PrivateKey, PublicKey, public_key_of

_RSA_SIGNATURES: Final = "1.2.840.113549.1.1"
"""The arc of PKCS #1 (RFC 8017 appendix C): certificates signed with RSA."""
_RSA_SIGNATURES_DER: Final = bytes.fromhex("06092a864886f70d0101")
"""An object identifier of nine bytes that begins with that arc, as DER writes it."""


@dataclass(frozen=True, slots=True, repr=False)
class Certificate:
    """A parsed certificate.

    `serial` is upper-case hexadecimal without leading zeros; times are aware UTC; `issuer` is the issuer's name with
    its parts in reverse order (`CN=…,OU=…,O=…,C=…`, RFC 4514), missing parts left out.
    """

    serial: str
    issuer: str
    not_before: datetime
    not_after: datetime
    signature_oid: str
    der: bytes

    def public_key(self, *, min_bits: int = MIN_BITS) -> PublicKey:
        """The RSA key inside. Raises KeyMaterialError for another kind or a short one."""
        return public_key_of(x509.load_der_x509_certificate(self.der), min_bits=min_bits)

    def __repr__(self) -> str:
        return f"Certificate(serial={self.serial!r})"


def normal_serial(text: str) -> str:
    """A serial as written anywhere → upper-case without leading zeros, for comparing."""
    return text.upper().lstrip("0")


def load_certificate(text: str) -> Certificate:
    """One PEM `CERTIFICATE`, or its bare base64 body. Raises KeyMaterialError for anything else."""
    return _parsed(*pem.single(text))


def load_certificates(text: str) -> list[Certificate]:
    """Every certificate of a bundle, in order. Raises KeyMaterialError when a block is not one."""
    return [_parsed(label, der) for label, der in pem.blocks(text)]


def alipay_cert_sn(certificate: Certificate) -> str:
    """Alipay's `alipay_cert_sn` / `app_cert_sn`: MD5 of issuer and decimal serial, lower-case hexadecimal.

    Rule and vectors: alipay/alipay-sdk-nodejs-all `test/antcertutil.test.ts`. An issuer without an OU simply has no
    OU part (a fixed `CN,OU,O,C` pattern would write `OU=None`).
    """
    text = f"{certificate.issuer}{int(certificate.serial or '0', 16)}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def alipay_root_cert_sn(text: str) -> str:
    """Alipay's `alipay_root_cert_sn` of a PEM bundle: the SNs of its RSA-signed certificates, joined by `_`.

    The published bundle also holds SM2 and ECDSA certificates, which do not count; one of them is encoded so oddly
    that no strict parser takes it, so those are left out before parsing. Raises KeyMaterialError when an RSA-signed
    one does not parse, or when there is none.
    """
    found = [_parsed(label, der) for label, der in pem.blocks(text) if _RSA_SIGNATURES_DER in der]
    numbers = [alipay_cert_sn(one) for one in found if one.signature_oid.startswith(_RSA_SIGNATURES)]
    if not numbers:
        raise KeyMaterialError("no RSA-signed certificate in the bundle")
    return "_".join(numbers)


def self_signed(private: PrivateKey, common_name: str, *, serial: int, now: datetime, days: int = 1825) -> str:
    """A certificate of one's own key as PEM, valid from `now` (aware) for `days`; for the sandbox and tests.

    Raises ValueError for a serial that is not a positive number of at most 159 bits.
    """
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    key = private.for_x509
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return pem.armour("CERTIFICATE", certificate.public_bytes(serialization.Encoding.DER))


def _parsed(label: str, der: bytes) -> Certificate:
    if label not in ("", "CERTIFICATE"):
        raise KeyMaterialError("not a certificate")
    try:
        found = x509.load_der_x509_certificate(der)
        return Certificate(
            serial=f"{found.serial_number:X}",
            issuer=found.issuer.rfc4514_string(),
            not_before=found.not_valid_before_utc,
            not_after=found.not_valid_after_utc,
            signature_oid=found.signature_algorithm_oid.dotted_string,
            der=der,
        )
    except ValueError:
        raise KeyMaterialError("not a certificate") from None
