"""Token buckets for unverified traffic, one per source address and channel, shared by the processes of one machine.

A fixed table in a mapped file under `run/`: a bucket is a slot found by a hash. Two sources that share a slot share
its tokens, which can only make them be kept less; what the platforms sign is never counted.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
from hashlib import blake2b
from pathlib import Path
from typing import Final

_SLOTS: Final = 4096
_SLOT: Final = struct.Struct("<dd")  # tokens used up, seconds of the monotonic clock when that was true


class Buckets:
    """`burst` at once, refilled by `per_second`. Safe between threads and processes."""

    def __init__(self, path: Path, burst: int, per_second: float) -> None:
        self._path = path
        self._burst = burst
        self._per_second = per_second
        self._lock = threading.Lock()
        self._opened: tuple[int, int, mmap.mmap] | None = None

    def take(self, source: str, channel: str, monotonic_now: float) -> bool:
        """One token of this source and channel; False when there is none.

        `monotonic_now`: seconds of the system-wide monotonic clock, which starts anew at boot: a slot from the future
        is one from before the boot, and full again.
        """
        place = blake2b(f"{source}\0{channel}".encode("utf-8", "surrogateescape"), digest_size=4).digest()
        offset = int.from_bytes(place, "big") % _SLOTS * _SLOT.size
        with self._lock:
            descriptor, table = self._table()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                used, then = _SLOT.unpack_from(table, offset)
                passed = monotonic_now - then
                used = max(0.0, used - passed * self._per_second) if passed >= 0 else 0.0
                if used + 1 > self._burst:
                    return False
                _SLOT.pack_into(table, offset, used + 1, monotonic_now)
                return True
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _table(self) -> tuple[int, mmap.mmap]:
        """The mapped file; opened anew after a fork, since a lock is shared by those who share a descriptor."""
        if self._opened is None or self._opened[0] != os.getpid():
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.ftruncate(descriptor, _SLOTS * _SLOT.size)
            self._opened = (os.getpid(), descriptor, mmap.mmap(descriptor, _SLOTS * _SLOT.size))
        return self._opened[1], self._opened[2]
