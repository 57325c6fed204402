"""What this package raises. Texts hold no key, no plaintext and no ciphertext.

CryptoError
├── KeyMaterialError      what should be a key or a certificate is not one that may be used
├── SignatureMismatch     the signature is not this key's over these bytes
└── DecryptFailed         the key, the nonce, the associated data or the bytes are wrong; which one is not told
    └── UnknownDataKey    sealed under a data key that this vault does not hold
"""

from __future__ import annotations


class CryptoError(Exception):
    """Root of this package's errors."""


class KeyMaterialError(CryptoError):
    """A key, certificate or token text that cannot be used; the text says why and never repeats it."""


class SignatureMismatch(CryptoError):
    """The signature does not verify."""


class DecryptFailed(CryptoError):
    """The bytes do not open. One text for every cause, so that the cause is no oracle."""

    def __init__(self, message: str = "does not decrypt") -> None:
        super().__init__(message)


class UnknownDataKey(DecryptFailed):
    """The sealed bytes name a data key that is not held; `key_id` is its name."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        super().__init__(f"data key {key_id!r} is not held")
