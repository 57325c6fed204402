"""The way into one upstream: its bulkhead and its breaker, between threads (R013).

Threads are what a process runs out of. At most `slots` of them are inside at once, of those at most half for
unverified traffic, which any stranger can send. When all are taken, a request for a POS that answers waits a moment,
since a burst of payments is no fault; for one that has begun to fail it is turned away at once.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.relay.breaker import Breaker, BreakerState
from gateway.relay.errors import RelayFailed

Changed = Callable[[BreakerState], None]
"""Told the breaker's new state, on the request's own thread, outside any lock."""


class Gate:
    """One per upstream and process. Safe between threads."""

    def __init__(
        self,
        breaker: Breaker,
        slots: int = 8,
        patience_s: float = 0.5,
        changed: Changed = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._breaker = breaker
        self._slots = slots
        self._patience_s = patience_s
        self._changed = changed
        self._monotonic = monotonic
        self._free = threading.Condition()
        # By whether verified: how many are inside, and who waits for it, first come first.
        self._inside = {True: 0, False: 0}
        self._queue: dict[bool, deque[object]] = {True: deque(), False: deque()}

    @property
    def is_open(self) -> bool:
        """Whether the breaker is open."""
        return self._breaker.is_open

    @contextmanager
    def passage(self, *, verified: bool, at_most_s: float = math.inf) -> Iterator[None]:
        """Inside, the request is on its way; a RelayFailed that is the upstream's counts against it.

        Waits for a slot no longer than `at_most_s`, nor than the gate's own patience.
        Raises RelayFailed `breaker_open` or `bulkhead_full` without going in.
        """
        self._enter(verified, min(at_most_s, self._patience_s))
        failed: bool | None = None
        try:
            yield
            failed = False
        except RelayFailed as fault:
            failed = True if fault.is_the_upstreams else None
            raise
        finally:
            self._leave(verified, failed)

    def _enter(self, verified: bool, wait_s: float) -> None:
        with self._free:
            if not self._breaker.would_admit(self._monotonic(), verified=verified):
                raise RelayFailed("breaker_open")
            if self._queue[verified] or not self._has_room(verified):
                self._wait_in_line(verified, wait_s)
            if not self._breaker.admit(self._monotonic(), verified=verified):
                raise RelayFailed("breaker_open")
            self._inside[verified] += 1

    def _wait_in_line(self, verified: bool, wait_s: float) -> None:
        """First come, first served: a thread that just left would else be back inside before a waiting one wakes."""
        if self._breaker.failures:
            raise RelayFailed("bulkhead_full")
        ticket = object()
        line = self._queue[verified]
        line.append(ticket)
        try:
            if not self._free.wait_for(lambda: line[0] is ticket and self._has_room(verified), wait_s):
                raise RelayFailed("bulkhead_full")
        finally:
            line.remove(ticket)
            self._free.notify_all()

    def _leave(self, verified: bool, failed: bool | None) -> None:
        with self._free:
            self._inside[verified] -= 1
            before = self._breaker.is_open
            if failed:
                self._breaker.failed(self._monotonic(), verified=verified)
            elif failed is False:
                self._breaker.succeeded(verified=verified)
            after = self._breaker.is_open
            self._free.notify_all()
        if before != after:
            self._changed("open" if after else "closed")

    def _has_room(self, verified: bool) -> bool:
        if sum(self._inside.values()) >= self._slots:
            return False
        return verified or (not self._queue[True] and self._inside[False] < max(1, self._slots // 2))
