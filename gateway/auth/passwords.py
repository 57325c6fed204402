"""Passwords: argon2id, one-time passwords, the rule for weak ones (R204).

Hashing is made to be dear, so a bound keeps strangers who guess from taking a process's threads and memory: some work,
a few wait, the rest are sent away at once.
"""

from __future__ import annotations

import base64
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.contract.errors import Refused
from gateway.contract.ids import RandomBytes, base32

SHORTEST: Final = 12
LONGEST: Final = 1000
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_ONE_TIME_BYTES: Final = 10
_GROUP: Final = 4


class Hasher:
    """Hashes and checks passwords; one a process. The defaults are OWASP's first choice for argon2id.

    (OWASP Password Storage Cheat Sheet: m=19456 KiB, t=2, p=1.) `at_once` hashes are worked on together, `most` callers
    are let in; whoever comes beyond that is refused, so that most threads stay free for payments.
    """

    def __init__(
        self, *, time_cost: int = 2, memory_kib: int = 19_456, parallelism: int = 1, at_once: int = 2, most: int = 8
    ) -> None:
        self._argon2 = PasswordHasher(
            time_cost=time_cost,
            memory_cost=memory_kib,
            parallelism=parallelism,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
            type=Type.ID,
        )
        # A well-formed hash that no password has: an unknown name costs what a known one does.
        self._nobody = (
            f"$argon2id$v=19$m={memory_kib},t={time_cost},p={parallelism}"
            f"${_unpadded(bytes(_SALT_BYTES))}${_unpadded(bytes(_HASH_BYTES))}"
        )
        self._working = threading.BoundedSemaphore(at_once)
        self._inside = threading.BoundedSemaphore(most)

    def hash(self, password: str) -> str:
        """The text to store. Raises Refused `busy` (503)."""
        with self._turn():
            return self._argon2.hash(_octets(password))

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether `password` is the one that `stored` was made from. With None the same work, and False.

        Raises Refused `busy` (503).
        """
        with self._turn():
            try:
                return self._argon2.verify(stored or self._nobody, _octets(password)) and stored is not None
            except (VerificationError, InvalidHashError):
                return False

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._inside.acquire(blocking=False):
            raise Refused("busy", 503, "too many sign-ins at once; try again", retry_after_s=1)
        try:
            with self._working:
                yield
        finally:
            self._inside.release()


def one_time_password(random: RandomBytes) -> str:
    """80 random bits as `xxxx-xxxx-xxxx-xxxx`, in letters and digits that are read out without mistakes."""
    text = base32(int.from_bytes(random(_ONE_TIME_BYTES), "big"), _ONE_TIME_BYTES * 8 // 5)
    return "-".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))


def check_strength(password: str, old: str) -> None:
    """Raises Refused `weak_password` (422): under 12 characters, over 1000, or the old one again."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Refused("weak_password", 422, f"a password has {SHORTEST} to {LONGEST} characters")
    if _octets(password) == _octets(old):
        raise Refused("weak_password", 422, "the new password is the old one")


def _octets(password: str) -> bytes:
    # One keyboard sends é as one character, another as two (RFC 8265 section 4.2: NFC).
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _unpadded(raw: bytes) -> str:
    return base64.b64encode(raw).rstrip(b"=").decode()
