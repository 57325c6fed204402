"""What the sandbox till has seen: numbered requests in memory and, where asked for, a JSON line each in a file."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from adapters.sandbox.http1 import Request
from gateway.contract.clock import Clock, to_text


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request with its number, counted from 1, and the moment it was complete (aware UTC)."""

    number: int
    at: datetime
    request: Request

    def as_json(self) -> dict[str, Any]:
        """The record as the log and the control path show it; the body in base64, its SHA-256 in hex."""
        request = self.request
        return {
            "n": self.number,
            "at": to_text(self.at),
            "method": request.method,
            "target": request.target.decode("latin-1"),
            "headers": [list(pair) for pair in request.headers],
            "framing": request.framing,
            "body_base64": base64.b64encode(request.body).decode("ascii"),
            "body_sha256": hashlib.sha256(request.body).hexdigest(),
        }


class Journal:
    """Remembers the newest `keep` requests. Safe between threads. `open` before use where there is a `log`."""

    def __init__(self, clock: Clock, *, log: Path | None, keep: int) -> None:
        self._clock = clock
        self._path = log
        self._file: BinaryIO | None = None
        self._recorded: deque[Recorded] = deque(maxlen=keep)
        self._count = 0
        self._changed = threading.Condition()

    def open(self) -> None:
        """Open the log for appending. Raises OSError."""
        if self._path is not None:
            self._file = self._path.open("ab")

    def close(self) -> None:
        """Close the log; what is remembered stays."""
        with self._changed:
            log, self._file = self._file, None
        if log is not None:
            log.close()

    def add(self, request: Request) -> None:
        """Number, remember and log a request, and wake who waits for it."""
        with self._changed:
            self._count += 1
            recorded = Recorded(self._count, self._clock(), request)
            self._recorded.append(recorded)
            if self._file is not None:
                self._file.write(json.dumps(recorded.as_json(), ensure_ascii=True).encode() + b"\n")
                self._file.flush()
            self._changed.notify_all()

    def since(self, number: int) -> tuple[Recorded, ...]:
        """The remembered records numbered above `number`, oldest first."""
        with self._changed:
            return tuple(recorded for recorded in self._recorded if recorded.number > number)

    def wait_for(self, count: int, timeout_s: float) -> None:
        """Return once `count` requests have come since the start. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._count >= count, timeout_s):
                raise TimeoutError(f"{self._count} of {count} requests came")
