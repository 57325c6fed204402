"""Keeping personal data and secrets at rest: a master key outside the store, data keys wrapped under it inside.

Sealed bytes: version (1 byte, 0x01) | length of the key id (1 byte) | key id | nonce (12 bytes) | ciphertext and tag,
AES-256-GCM. What stands before the nonce is part of the associated data, so it cannot be altered either. Random
96-bit nonces are good for 2**32 messages a key (NIST SP 800-38D section 8.3); rotate the data key long before.

Looking up goes by `blind`: equal inputs give equal bytes, and without the index key nothing can be told from them.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Mapping
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crypto.aead import Aead
from crypto.errors import DecryptFailed, KeyMaterialError, UnknownDataKey
from crypto.mac import hmac_sha256

KEY_BYTES: Final = 32
_VERSION: Final = 1
_NONCE: Final = 12
_TAG: Final = 16
_BLIND_BYTES: Final = 16
_PSEUDONYM_DIGITS: Final = 12
_MASTER_PREFIX: Final = "drainage-master-1:"


class MasterKey:
    """The one secret kept outside the store; everything else is derived from it or wrapped under it."""

    __slots__ = ("_key", "_wrapper")

    def __init__(self, key: bytes) -> None:
        """`key` has 32 bytes. Raises KeyMaterialError otherwise."""
        if len(key) != KEY_BYTES:
            raise KeyMaterialError(f"a master key of {len(key)} bytes; {KEY_BYTES} are wanted")
        self._key = key
        self._wrapper = Aead(self.derive("wrap data keys"))

    @classmethod
    def new(cls, random: Callable[[int], bytes]) -> MasterKey:
        """A fresh one from `random`, which gives that many unpredictable bytes."""
        return cls(random(KEY_BYTES))

    @classmethod
    def from_text(cls, text: str) -> MasterKey:
        """The inverse of `to_text`; white space around is dropped. Raises KeyMaterialError."""
        body = text.strip()
        if not body.startswith(_MASTER_PREFIX):
            raise KeyMaterialError("not the text of a master key")
        try:
            key = binascii.a2b_base64(body.removeprefix(_MASTER_PREFIX), strict_mode=True)
        except ValueError:
            raise KeyMaterialError("not the text of a master key") from None
        return cls(key)

    def to_text(self) -> str:
        """One line for the key file: this is the secret itself."""
        return f"{_MASTER_PREFIX}{base64.b64encode(self._key).decode()}\n"

    def derive(self, label: str) -> bytes:
        """32 bytes for the purpose `label`: HKDF-SHA256 (RFC 5869) without salt; other labels tell nothing of it."""
        return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=label.encode()).derive(self._key)

    def wrap(self, key_id: str, data_key: bytes, random: Callable[[int], bytes]) -> bytes:
        """`data_key` sealed for storing, bound to its id."""
        nonce = random(_NONCE)
        return nonce + self._wrapper.seal(nonce, data_key, key_id.encode())

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        """The inverse of `wrap`. Raises DecryptFailed: another master key, another id, damaged bytes."""
        return self._wrapper.open(wrapped[:_NONCE], wrapped[_NONCE:], key_id.encode())

    def __repr__(self) -> str:
        return "MasterKey(…)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a MasterKey is not pickled")


class Vault:
    """Seals under the active data key, opens under any that is held. Share it between threads."""

    __slots__ = ("_active", "_contexts", "_head", "_index_key", "_random")

    def __init__(
        self,
        data_keys: Mapping[str, bytes],
        active: str,
        index_key: bytes,
        *,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """`data_keys`: id → 32 bytes; `active`: the id to seal with; `index_key`: 32 bytes that never rotate.

        Raises KeyMaterialError when a key has another length, an id is empty or too long, or `active` is not held.
        """
        for key_id, key in data_keys.items():
            if len(key) != KEY_BYTES:
                raise KeyMaterialError(f"data key {key_id!r} has {len(key)} bytes; {KEY_BYTES} are wanted")
            if not 0 < len(key_id.encode()) < 256:  # noqa: PLR2004 - its length is one byte
                raise KeyMaterialError("a data key's id has 1 to 255 bytes")
        if active not in data_keys:
            raise KeyMaterialError(f"the active data key {active!r} is not held")
        if len(index_key) != KEY_BYTES:
            raise KeyMaterialError(f"an index key of {len(index_key)} bytes; {KEY_BYTES} are wanted")
        self._contexts = {key_id: Aead(key) for key_id, key in data_keys.items()}
        self._active = self._contexts[active]
        name = active.encode()
        self._head = bytes((_VERSION, len(name))) + name
        self._index_key = index_key
        self._random = random

    def seal(self, plain: bytes, aad: bytes) -> bytes:
        """`plain` encrypted under the active key and bound to `aad` (say, the column and row it belongs to)."""
        head = self._head
        nonce = self._random(_NONCE)
        return head + nonce + self._active.seal(nonce, plain, head + aad)

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        """The inverse of `seal`. Raises UnknownDataKey when its key is not held, else DecryptFailed."""
        key_id, end = _head_of(sealed)
        context = self._contexts.get(key_id)
        if context is None:
            raise UnknownDataKey(key_id)
        return context.open(sealed[end : end + _NONCE], sealed[end + _NONCE :], sealed[:end] + aad)

    def key_id_of(self, sealed: bytes) -> str:
        """The id of the data key that `sealed` was made with, held or not. Raises DecryptFailed for other bytes."""
        return _head_of(sealed)[0]

    def blind(self, *parts: str) -> bytes:
        """16 bytes to look `parts` up by. Each part carries its length, so that moving a border changes the result."""
        return self._keyed(b"blind", parts)[:_BLIND_BYTES]

    def pseudonym(self, *parts: str) -> str:
        """12 hexadecimal digits that stand for `parts` in logs; unrelated to `blind`, so a log opens no index."""
        return self._keyed(b"pseudonym", parts).hex()[:_PSEUDONYM_DIGITS]

    def _keyed(self, purpose: bytes, parts: tuple[str, ...]) -> bytes:
        message = [purpose]
        for part in parts:
            raw = part.encode()
            message += (len(raw).to_bytes(4, "big"), raw)
        return hmac_sha256(self._index_key, b"".join(message))

    def __repr__(self) -> str:
        return f"Vault(<{len(self._contexts)} data keys>)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Vault is not pickled")


def _head_of(sealed: bytes) -> tuple[str, int]:
    """(key id, where the nonce begins). Raises DecryptFailed for bytes of another shape."""
    try:
        end = 2 + sealed[1]
        if sealed[0] != _VERSION or end == 2 or len(sealed) < end + _NONCE + _TAG:  # noqa: PLR2004 - an empty id
            raise DecryptFailed
        return sealed[2:end].decode(), end
    except (IndexError, UnicodeDecodeError):
        raise DecryptFailed from None
