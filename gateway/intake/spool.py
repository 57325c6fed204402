"""Where notifications wait when the store cannot take them (R019): sealed, synced, in order, until it can.

Appending needs no free disk (the file is preallocated), no store and no other process. Draining hands out each record
at least once: a crash between its handling and the note of that hands it out again, which the events' unique key
makes harmless (R009).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.contract.adapter import RawNotification
from gateway.contract.clock import from_text
from gateway.contract.errors import DrainageError
from gateway.intake.spool_log import Entry, LogFull, SpoolLog

Seal = Callable[[bytes, bytes], bytes]
"""(data, associated data) → the other form of the data: sealed, or opened again."""

_ASSOCIATED: Final = b"drainage spool record 1"
_BATCH_BYTES: Final = 1 << 20


class SpoolFull(DrainageError):
    """No room left: the notification is not kept."""


class SpoolFailed(DrainageError):
    """The disk, the file or a key failed. After an append: the notification is not known to be kept."""


@dataclass(frozen=True, slots=True)
class Record:
    """A notification that waits. `source` is the peer's address, None when not known."""

    delivery_id: str
    channel: str
    raw: RawNotification
    source: str | None


@dataclass(frozen=True, slots=True)
class Drained:
    """What one drain did: records handed out and done, and bytes that could not be read back (disk damage)."""

    handed: int
    damaged_bytes: int


class Spool:
    """One file for all processes of a gateway. Safe between threads and processes, and over forks.

    `path`: the file, made (mode 0600) and filled to `limit_bytes` when absent. `seal` and `open_` keep what is in it
    from whoever reads the disk; `open_` raises for bytes it did not seal. Raises SpoolFailed when it cannot be made.
    """

    def __init__(self, path: Path, limit_bytes: int, seal: Seal, open_: Seal) -> None:
        self._seal = seal
        self._open = open_
        with _disk("preparing"):
            self._log = SpoolLog(path, limit_bytes)

    def append(self, record: Record) -> None:
        """Keep `record`; durable when this returns. Raises SpoolFull, SpoolFailed."""
        sealed = self._seal(_encoded(record), _ASSOCIATED)
        with _disk("appending"):
            try:
                self._log.append(sealed)
            except LogFull:
                raise SpoolFull("the spool is full") from None

    def drain(self, handle: Callable[[Record], None]) -> Drained:
        """Hand every waiting record to `handle`, oldest first, those appended meanwhile included.

        What `handle` raises ends the drain and is raised here; that record and all behind it stay. While another
        drain runs anywhere, nothing is done. Raises SpoolFailed for a record that does not open: nothing is skipped
        for a missing key. A stretch damaged on the disk is passed over and counted.
        """
        handed = damaged = 0
        with ExitStack() as stack:
            with _disk("locking"):
                alone = stack.enter_context(self._log.reader())
            while alone and (batch := self._waiting()):
                for entry in batch:
                    if entry.payload is None:
                        damaged += entry.end - entry.start
                    else:
                        handle(self._opened(entry.payload))
                        handed += 1
                    with _disk("noting progress"):
                        self._log.done(entry)
        return Drained(handed, damaged)

    def bytes_used(self) -> int:
        """Bytes waiting, framing included. Raises SpoolFailed."""
        with _disk("reading"):
            return self._log.bytes_used()

    def is_empty(self) -> bool:
        """Whether nothing waits. Raises SpoolFailed."""
        return not self.bytes_used()

    def _waiting(self) -> list[Entry]:
        with _disk("reading"):
            return self._log.waiting(_BATCH_BYTES)

    def _opened(self, payload: bytes) -> Record:
        try:
            plain = self._open(payload, _ASSOCIATED)
        except Exception as fault:
            # Whatever the keys' owner raises: nothing may be skipped for a missing key, so the drain ends here.
            raise SpoolFailed(f"a record does not open: {type(fault).__name__}") from fault
        return _decoded(plain)


@contextmanager
def _disk(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise SpoolFailed(f"{doing}: {fault.strerror or fault}") from fault


def _encoded(record: Record) -> bytes:
    """Length of the facts (4 bytes), the facts as JSON, the body as it is."""
    raw = record.raw
    facts = json.dumps(
        {
            "delivery_id": record.delivery_id,
            "channel": record.channel,
            "source": record.source,
            "method": raw.method,
            "path_tail": raw.path_tail,
            "headers": raw.headers,
            "received_at": raw.received_at.isoformat(),
        }
    ).encode()
    return len(facts).to_bytes(4, "big") + facts + raw.body


def _decoded(plain: bytes) -> Record:
    # Sealed by us and opened by our key, so its shape needs no suspicion.
    length = int.from_bytes(plain[:4], "big")
    facts: dict[str, Any] = json.loads(plain[4 : 4 + length])
    raw = RawNotification(
        method=facts["method"],
        path_tail=facts["path_tail"],
        headers=tuple((name, value) for name, value in facts["headers"]),
        body=plain[4 + length :],
        received_at=from_text(facts["received_at"]),
    )
    return Record(facts["delivery_id"], facts["channel"], raw, facts["source"])
