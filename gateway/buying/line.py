"""Calling a platform: one call, its answer read by the wallet; a platform that is away is left alone for a moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from gateway.buying.tills import Till
from gateway.calls import Carrier
from gateway.contract.ids import RandomBytes
from gateway.contract.wallet import Call, CallUnknown, Reply

T = TypeVar("T")
QUIET: Final = timedelta(seconds=10)
_NONCE_BYTES: Final = 16


@dataclass(slots=True)
class Line:
    """The way to all platforms of one process. Safe between threads."""

    carrier: Carrier
    random: RandomBytes
    _quiet: dict[str, datetime] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(
        self,
        till: Till,
        now: datetime,
        make: Callable[[str], Call],
        read: Callable[[Any, Reply, datetime], T],
    ) -> T:
        """Send what `make(nonce)` gives and read the answer. Raises CallFailed, CallUnknown.

        `make` and `read` are the wallet's; an answer that cannot be read says nothing.
        """
        try:
            return read(till.keys, self.carrier(make(self.random(_NONCE_BYTES).hex())), now)
        except CallUnknown as unknown:
            if unknown.code == "not_reached":
                with self._lock:
                    self._quiet[till.slug] = now + QUIET
            raise

    def is_quiet(self, till: Till, now: datetime) -> bool:
        """Whether this channel's platform was out of reach just now, so that work behind it need not wait again."""
        with self._lock:
            until = self._quiet.get(till.slug)
        return until is not None and now < until
