"""Ids: UUIDv7 (RFC 9562 section 5.7) as 32 hexadecimal digits behind a prefix that says what it names.

Time-ordered, so that rows born together lie together in the store; made from a clock and a random source that are
passed in, so that tests repeat.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

RandomBytes = Callable[[int], bytes]
"""`n` → n unpredictable bytes. `system_random` in production, a seeded source in tests."""


def system_random(n: int) -> bytes:
    """`n` bytes from the operating system."""
    return os.urandom(n)


_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def base32(number: int, width: int) -> str:
    """The low `width` Crockford base32 digits of a number, small letters: text that a person may have to type."""
    digits = []
    for _ in range(width):
        digits.append(_ALPHABET[number & 31])
        number >>= 5
    return "".join(reversed(digits))


class IdFactory:
    """Makes ids that never go backwards within one process, whatever the clock does. Safe between threads."""

    def __init__(self, random: RandomBytes = system_random) -> None:
        self._random = random
        self._lock = threading.Lock()
        self._last = 0

    def new(self, prefix: str, now: datetime) -> str:
        """A fresh id such as `p_0199…`. `now` gives its time part, to the millisecond."""
        tail = int.from_bytes(self._random(8), "big") & ((1 << 62) - 1)
        # 48 bits of milliseconds and 12 bits that count within one: kept increasing per process.
        stamp = int(now.timestamp() * 1000) << 12
        with self._lock:
            stamp = max(stamp, self._last + 1)
            self._last = stamp
        number = ((stamp >> 12) << 80) | (0x7 << 76) | ((stamp & 0xFFF) << 64) | (0b10 << 62) | tail
        return f"{prefix}_{number:032x}"


def floor_id(prefix: str, moment: datetime) -> str:
    """The smallest id of this prefix that `moment` could have made: rows below it are older."""
    return f"{prefix}_{int(moment.timestamp() * 1000) << 80:032x}"
