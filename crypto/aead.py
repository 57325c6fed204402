"""AES-GCM, as WeChat Pay v3 uses it (`AEAD_AES_256_GCM`): ciphertext with its 16-byte tag at the end."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto.errors import DecryptFailed, KeyMaterialError

_KEY_SIZES: Final = (16, 32)


class Aead:
    """One key with its cipher context kept. Share it between threads."""

    __slots__ = ("_decrypt", "_encrypt")

    def __init__(self, key: bytes) -> None:
        """`key` has 32 bytes (16 in one published vector). Raises KeyMaterialError otherwise."""
        if len(key) not in _KEY_SIZES:
            raise KeyMaterialError(f"a key of {len(key)} bytes; 32 are wanted")
        cipher = AESGCM(key)
        self._decrypt = cipher.decrypt
        self._encrypt = cipher.encrypt

    def open(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """The plaintext. Raises DecryptFailed when key, nonce, tag or associated data do not fit."""
        try:
            return self._decrypt(nonce, sealed, aad)
        except (InvalidTag, ValueError):  # ValueError: a nonce under 8 or over 128 bytes
            raise DecryptFailed from None

    def seal(self, nonce: bytes, plain: bytes, aad: bytes) -> bytes:
        """Ciphertext and tag. A nonce is never used twice under one key: the caller sees to that.

        Raises ValueError for a nonce under 8 or over 128 bytes.
        """
        return self._encrypt(nonce, plain, aad)

    def __repr__(self) -> str:
        return "Aead(…)"
