"""RSA signatures, PKCS #1 v1.5 (RFC 8017 section 8.2): what WeChat Pay v3 and Alipay sign with.

Verifying raises and returns nothing, so that a result cannot be forgotten. SHA-1 exists for Alipay's old `RSA` type.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric import rsa as _rsa

from crypto import pem
from crypto.errors import KeyMaterialError, SignatureMismatch

MIN_BITS: Final = 2048
"""Both platforms require RSA-2048; a shorter key in a configuration is a mistake or an attack."""

# Stateless, and a microsecond each to make: made once.
_PADDING: Final = padding.PKCS1v15()
_SHA256: Final = hashes.SHA256()
_SHA1: Final = hashes.SHA1()  # noqa: S303 - Alipay's sign_type RSA


class PublicKey:
    """An RSA public key, parsed. Share it between threads."""

    __slots__ = ("_key", "_verify")

    def __init__(self, key: _rsa.RSAPublicKey) -> None:
        self._key = key
        self._verify = key.verify

    @property
    def bits(self) -> int:
        """The length of the modulus."""
        return self._key.key_size

    def to_pem(self) -> str:
        """The key as a PEM `PUBLIC KEY` block."""
        der = self._key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return pem.armour("PUBLIC KEY", der)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key.public_numbers())

    def __repr__(self) -> str:
        return f"PublicKey(<{self.bits} bits>)"


class PrivateKey:
    """An RSA private key, parsed. It never shows itself."""

    __slots__ = ("_key",)

    def __init__(self, key: _rsa.RSAPrivateKey) -> None:
        self._key = key

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey(self._key.public_key())

    @property
    def for_x509(self) -> _rsa.RSAPrivateKey:
        """The library's own object, for `crypto.certs` alone."""
        return self._key

    def __repr__(self) -> str:
        return "PrivateKey(…)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a PrivateKey is not pickled")


def load_public_key(text: str, *, min_bits: int = MIN_BITS) -> PublicKey:
    """PEM `PUBLIC KEY`, PEM `CERTIFICATE`, or the bare base64 body of either → the key.

    Raises KeyMaterialError for anything else, for a key that is not RSA, and for one under `min_bits` bits (only
    published vectors of old have a reason to ask for less).
    """
    label, der = pem.single(text)
    if "PRIVATE" in label:
        raise KeyMaterialError("a private key where a public one is wanted")
    if label == "CERTIFICATE":
        return public_key_of(_certificate(der), min_bits=min_bits)
    if label not in ("", "PUBLIC KEY", "RSA PUBLIC KEY"):
        raise KeyMaterialError(f"a PEM block of another kind ({label})")
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        if label:
            raise KeyMaterialError("not a public key") from None
        return public_key_of(_certificate(der), min_bits=min_bits)
    return _checked(key, min_bits)


def public_key_of(certificate: x509.Certificate, *, min_bits: int = MIN_BITS) -> PublicKey:
    """The RSA key inside a certificate. Raises KeyMaterialError as `load_public_key` does."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise KeyMaterialError("the certificate's key is of an unknown kind") from None
    return _checked(key, min_bits)


def load_private_key(text: str, *, min_bits: int = MIN_BITS) -> PrivateKey:
    """PEM `PRIVATE KEY` or `RSA PRIVATE KEY`, or the bare base64 body → the key.

    Raises KeyMaterialError for anything else: password-protected, not RSA, too short, public.
    """
    label, der = pem.single(text)
    if label == "ENCRYPTED PRIVATE KEY":
        raise KeyMaterialError("a password-protected key is not supported")
    if label not in ("", "PRIVATE KEY", "RSA PRIVATE KEY"):
        raise KeyMaterialError(f"a PEM block of another kind ({label})")
    try:
        key = serialization.load_der_private_key(der, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyMaterialError("not a private key") from None
    if not isinstance(key, _rsa.RSAPrivateKey):
        raise KeyMaterialError("not an RSA key")
    if key.key_size < min_bits:
        raise KeyMaterialError(f"an RSA key of {key.key_size} bits; at least {min_bits} are wanted")
    return PrivateKey(key)


def new_private_key(bits: int = MIN_BITS) -> str:
    """A fresh key as a PEM `PRIVATE KEY` block (PKCS #8, no password)."""
    key = _rsa.generate_private_key(public_exponent=65537, key_size=bits)
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.armour("PRIVATE KEY", der)


def public_pem(private: PrivateKey) -> str:
    """The public half of `private` as a PEM `PUBLIC KEY` block."""
    return private.public.to_pem()


def verify_sha256(key: PublicKey, signature: bytes, message: bytes) -> None:
    """Raises SignatureMismatch unless `signature` is `key`'s over `message`."""
    try:
        key._verify(signature, message, _PADDING, _SHA256)  # noqa: SLF001 - this module's own class
    except InvalidSignature:
        raise SignatureMismatch("the signature does not verify") from None


def verify_sha1(key: PublicKey, signature: bytes, message: bytes) -> None:
    """As `verify_sha256`, over SHA-1: for Alipay's `RSA` type where the channel is configured so, never by default."""
    try:
        key._verify(signature, message, _PADDING, _SHA1)  # noqa: SLF001 - this module's own class
    except InvalidSignature:
        raise SignatureMismatch("the signature does not verify") from None


def sign_sha256(key: PrivateKey, message: bytes) -> bytes:
    """The signature of `message`; PKCS #1 v1.5 has no randomness, so the same bytes give the same signature."""
    return key._key.sign(message, _PADDING, _SHA256)  # noqa: SLF001 - this module's own class


def sign_sha1(key: PrivateKey, message: bytes) -> bytes:
    """As `sign_sha256`, over SHA-1."""
    return key._key.sign(message, _PADDING, _SHA1)  # noqa: SLF001 - this module's own class


def _certificate(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        raise KeyMaterialError("neither a public key nor a certificate") from None


def _checked(key: object, min_bits: int) -> PublicKey:
    if not isinstance(key, _rsa.RSAPublicKey):
        raise KeyMaterialError("not an RSA key")
    if key.key_size < min_bits:
        raise KeyMaterialError(f"an RSA key of {key.key_size} bits; at least {min_bits} are wanted")
    return PublicKey(key)
