"""What old interfaces still demand: MD5, AES in ECB mode, AES in CBC mode without a MAC. Never for anything of ours."""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from crypto.errors import DecryptFailed, KeyMaterialError

_BLOCK: Final = 16
_KEY_SIZES: Final = (16, 24, 32)


def md5_hex(data: bytes) -> str:
    """MD5 as 32 lower-case hexadecimal characters (WeChat Pay v2 signs with it)."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def ecb_decrypt(key: bytes, data: bytes) -> bytes:
    """AES-ECB with PKCS #7 padding: WeChat Pay v2's `req_info`. Raises DecryptFailed, KeyMaterialError."""
    return _decrypt(key, modes.ECB(), data)  # noqa: S305 - theirs to choose


def ecb_encrypt(key: bytes, plain: bytes) -> bytes:
    """The inverse of `ecb_decrypt`. Raises KeyMaterialError."""
    return _encrypt(key, modes.ECB(), plain)  # noqa: S305 - theirs to choose


def cbc_decrypt(key: bytes, data: bytes) -> bytes:
    """AES-CBC with sixteen zero bytes as IV: Alipay's `encrypt_type` AES. Raises DecryptFailed, KeyMaterialError."""
    return _decrypt(key, modes.CBC(bytes(_BLOCK)), data)


def cbc_encrypt(key: bytes, plain: bytes) -> bytes:
    """The inverse of `cbc_decrypt`. Raises KeyMaterialError."""
    return _encrypt(key, modes.CBC(bytes(_BLOCK)), plain)


def cbc_prefixed_decrypt(key: bytes, data: bytes) -> bytes:
    """AES-CBC with the IV as the first sixteen bytes: Alipay's AES_V2. Raises DecryptFailed, KeyMaterialError."""
    if len(data) < 2 * _BLOCK:
        raise DecryptFailed
    return _decrypt(key, modes.CBC(data[:_BLOCK]), data[_BLOCK:])


def cbc_prefixed_encrypt(key: bytes, plain: bytes, iv: bytes) -> bytes:
    """The inverse of `cbc_prefixed_decrypt`; `iv` is sixteen random bytes. Raises KeyMaterialError, ValueError."""
    return iv + _encrypt(key, modes.CBC(iv), plain)


def _decrypt(key: bytes, mode: modes.ECB | modes.CBC, data: bytes) -> bytes:
    if not data or len(data) % _BLOCK:
        raise DecryptFailed
    context = Cipher(_algorithm(key), mode).decryptor()
    padded = context.update(data) + context.finalize()
    unpadder = padding.PKCS7(_BLOCK * 8).unpadder()
    try:
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise DecryptFailed from None


def _encrypt(key: bytes, mode: modes.ECB | modes.CBC, plain: bytes) -> bytes:
    padder = padding.PKCS7(_BLOCK * 8).padder()
    padded = padder.update(plain) + padder.finalize()
    context = Cipher(_algorithm(key), mode).encryptor()
    return context.update(padded) + context.finalize()


def _algorithm(key: bytes) -> algorithms.AES:
    if len(key) not in _KEY_SIZES:
        raise KeyMaterialError(f"an AES key of {len(key)} bytes")
    return algorithms.AES(key)
