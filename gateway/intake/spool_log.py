"""An append-only log in one preallocated file, shared by processes, emptied by one reader at a time.

Layout. Two header slots of 512 bytes hold (generation, sequence, head); writes alternate between them, so that one is
whole whenever the machine stops. Records begin at 4096, each aligned to 16 bytes: magic, generation, length, CRC-32 of
all that, payload. Sixteen zero bytes follow the last one. Where the log ends is found by walking the records, never
read from a field, so an append is one write and one sync. The first generation is random, so that no file is taken
for another; emptying the log raises it, which makes every old record in the file invalid at once.

A file lock orders the appenders. It is taken on a descriptor opened for each use: descriptors inherited over a fork
would share their lock.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.contract.ids import RandomBytes, system_random

_SLOT_MAGIC: Final = b"DRNSPL1\n"
_SLOT: Final = struct.Struct(">8sIQQ")
_SLOT_BYTES: Final = 512
_START: Final = 4096
_FRAME_MAGIC: Final = b"DRec"
_FRAME: Final = struct.Struct(">4sIII")
_ALIGN: Final = 16
_GENERATIONS: Final = 0xFFFFFFFF
_END: Final = bytes(_ALIGN)
_SCAN: Final = 1 << 20
_LOCK_POLL_S: Final = 0.002


class LogFull(Exception):
    """No room for the payload."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A record in the file from `start` to `end`; `payload` is None for a damaged stretch between good records."""

    start: int
    end: int
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class _Header:
    generation: int
    sequence: int
    head: int


class SpoolLog:
    """The log at `path`, of `size` bytes, made when absent. Every method raises OSError when the disk fails.

    `lock_wait_s`: how long to wait for other appenders before OSError says that the lock is busy.
    """

    def __init__(self, path: Path, size: int, lock_wait_s: float = 0.5, random: RandomBytes = system_random) -> None:
        self._random = random
        self._path = path
        self._size = max(size, _START + 2 * _ALIGN)
        self._lock_wait_s = lock_wait_s
        # Where this process last saw the log end, by generation: a place to begin walking, never trusted to be the end.
        self._seen = (-1, _START)
        self._prepare()

    def append(self, payload: bytes) -> None:
        """Durable when this returns. Raises LogFull."""
        with self._locked() as fd:
            header = _read_header(fd)
            tail = self._clean_tail(fd, header)
            frame = _FRAME.pack(_FRAME_MAGIC, header.generation, len(payload), _crc(header.generation, payload))
            blob = frame + payload + bytes(-len(payload) % _ALIGN)
            if tail + len(blob) + _ALIGN > os.fstat(fd).st_size:
                raise LogFull
            _write(fd, blob + _END, tail)
            os.fdatasync(fd)
            self._seen = (header.generation, tail + len(blob))

    def bytes_used(self) -> int:
        """Bytes between the first record not yet done and the end. Takes no lock."""
        with self._opened() as fd:
            header = _read_header(fd)
            return self._tail(fd, header) - header.head

    def waiting(self, most: int) -> list[Entry]:
        """The next records not yet done, in order, until they hold `most` bytes; at least one when there is any."""
        entries = []
        with self._locked() as fd:
            header = _read_header(fd)
            total = 0
            for entry in _walk(fd, header.generation, header.head):
                entries.append(entry)
                total += entry.end - entry.start
                if total >= most:
                    break
        return entries

    def done(self, entry: Entry) -> None:
        """`entry`, the first of those waiting, need not be handed out again: durable when this returns.

        After the last one the file is empty. For the one reader alone (`reader`).
        """
        with self._locked() as fd:
            header = _read_header(fd)
            if self._clean_tail(fd, header) > entry.end:
                _write_header(fd, _Header(header.generation, header.sequence + 1, entry.end))
            else:
                _write(fd, _END, _START)
                _write_header(fd, _Header((header.generation + 1) & _GENERATIONS, header.sequence + 1, _START))
            os.fdatasync(fd)

    @contextmanager
    def reader(self) -> Iterator[bool]:
        """True inside for the one reader there may be, False while there is another."""
        fd = os.open(f"{self._path}.reader", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(fd)

    def _tail(self, fd: int, header: _Header) -> int:
        """Where the log ends."""
        generation, tail = self._seen
        tail = max(tail, header.head) if generation == header.generation else header.head
        for entry in _walk(fd, header.generation, tail):
            tail = entry.end
        self._seen = (header.generation, tail)
        return tail

    def _clean_tail(self, fd: int, header: _Header) -> int:
        """As `_tail`, under the lock: what a dead appender left there is cleared, so that nobody searches it again."""
        tail = self._tail(fd, header)
        if os.pread(fd, _ALIGN, tail) not in (_END, b""):
            _write(fd, _END, tail)
        return tail

    @contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            # Somebody tidied it away under a running gateway; what was in it is gone, what comes must not be.
            self._prepare()
            fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        with self._opened() as fd:
            self._lock(fd)
            yield fd

    def _lock(self, fd: int) -> None:
        give_up = time.monotonic() + self._lock_wait_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= give_up:
                    raise
                time.sleep(_LOCK_POLL_S)
            else:
                return

    def _prepare(self) -> None:
        """Make the file or check that it is ours, and take its room on the disk now, while there is some."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock(fd)
            if os.fstat(fd).st_size < self._size:
                os.posix_fallocate(fd, 0, self._size)
            if not any(os.pread(fd, _START, 0)):
                _write_header(fd, _Header(int.from_bytes(self._random(4), "big"), 1, _START))
                os.fsync(fd)
                _sync_folder(self._path.parent)
            _read_header(fd)
        finally:
            os.close(fd)


def _walk(fd: int, generation: int, at: int) -> Iterator[Entry]:
    """Every record of `generation` from `at` on, damaged stretches between them included."""
    while True:
        payload = _frame_at(fd, generation, at)
        if payload is not None:
            end = at + _FRAME.size + len(payload) + -len(payload) % _ALIGN
        else:
            after = _next_frame(fd, generation, at)
            if after is None:
                return
            end = after
        yield Entry(at, end, payload)
        at = end


def _frame_at(fd: int, generation: int, at: int) -> bytes | None:
    frame = os.pread(fd, _FRAME.size, at)
    if len(frame) < _FRAME.size:
        return None
    magic, born, length, crc = _FRAME.unpack(frame)
    if magic != _FRAME_MAGIC or born != generation or at + _FRAME.size + length > os.fstat(fd).st_size:
        return None
    payload = os.pread(fd, length, at + _FRAME.size)
    return payload if len(payload) == length and _crc(generation, payload) == crc else None


def _next_frame(fd: int, generation: int, at: int) -> int | None:
    """Where the next whole record after `at` begins; None at the end of the log.

    Zero bytes are the end as `append` leaves it. Anything else is the torn end of an append that was never confirmed,
    or damage on the disk, and then whole records may follow.
    """
    if os.pread(fd, _ALIGN, at) in (_END, b""):
        return None
    wanted = struct.pack(">4sI", _FRAME_MAGIC, generation)
    position = at + _ALIGN
    while piece := os.pread(fd, _SCAN, position):
        found = piece.find(wanted)
        while found >= 0:
            if found % _ALIGN == 0 and _frame_at(fd, generation, position + found) is not None:
                return position + found
            found = piece.find(wanted, found + 1)
        position += _SCAN
    return None


def _crc(generation: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(struct.pack(">II", generation, len(payload))))


def _read_header(fd: int) -> _Header:
    valid = []
    for slot in (0, 1):
        data = os.pread(fd, _SLOT.size + 4, slot * _SLOT_BYTES)
        if len(data) == _SLOT.size + 4 and zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "big"):
            magic, generation, sequence, head = _SLOT.unpack(data[:-4])
            if magic == _SLOT_MAGIC:
                valid.append(_Header(generation, sequence, head))
    if not valid:
        raise OSError("not a spool file, or its header is damaged")
    return max(valid, key=lambda header: header.sequence)


def _write_header(fd: int, header: _Header) -> None:
    data = _SLOT.pack(_SLOT_MAGIC, header.generation, header.sequence, header.head)
    _write(fd, data + zlib.crc32(data).to_bytes(4, "big"), header.sequence % 2 * _SLOT_BYTES)


def _write(fd: int, data: bytes, at: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, at)
        rest, at = rest[written:], at + written


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
