"""Names to addresses, within the time a request has.

The system's resolver knows no deadline: with a dead name server it keeps a caller for half a minute, and a payment
platform waits five seconds. So each look-up runs on a thread of its own, at most one a name, and callers wait for it
only as long as they may.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence

from gateway.relay.errors import RelayFailed

Patience = Callable[[], float]
"""Gives the seconds that may still be spent waiting, more than 0; raises RelayFailed `timeout` when none are left."""

Lookup = Callable[[str], Sequence[str]]
"""A name → its addresses as text. Raises OSError when there are none."""


def system_lookup(host: str) -> list[str]:
    """All stream addresses of `host`, in the system's order of preference, each once."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Names:
    """A small cache before the resolver. Safe between threads.

    An answer serves `fresh_s` seconds; when a newer one cannot be had, it goes on serving for `stale_s`, so that a
    dead name server is not a dead POS. Every address is vetted anew at each use, whatever its age.
    """

    def __init__(
        self,
        lookup: Lookup = system_lookup,
        monotonic: Callable[[], float] = time.monotonic,
        fresh_s: float = 30,
        stale_s: float = 3600,
    ) -> None:
        self._lookup = lookup
        self._monotonic = monotonic
        self._fresh_s = fresh_s
        self._stale_s = stale_s
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._running: dict[str, threading.Event] = {}

    def addresses(self, host: str, patience: Patience) -> tuple[str, ...]:
        """The addresses of `host`. Raises RelayFailed: `refused` when it has none, `timeout` when too late."""
        known = self._remembered(host, self._fresh_s)
        if known is not None:
            return known
        done = self._start(host)
        in_time = done.wait(patience())
        known = self._remembered(host, self._stale_s)
        if known is not None:
            return known
        if not in_time:
            raise RelayFailed("timeout", f"looking up {host}")
        raise RelayFailed("refused", f"no such name: {host}")

    def _remembered(self, host: str, at_most_s: float) -> tuple[str, ...] | None:
        with self._lock:
            at, addresses = self._known.get(host, (0.0, ()))
        return addresses if addresses and self._monotonic() - at < at_most_s else None

    def _start(self, host: str) -> threading.Event:
        with self._lock:
            done = self._running.get(host)
            if done is None:
                done = self._running[host] = threading.Event()
                # A daemon: a look-up that hangs must not keep a stopping process alive.
                threading.Thread(target=self._look_up, args=(host, done), name=f"names-{host}", daemon=True).start()
            return done

    def _look_up(self, host: str, done: threading.Event) -> None:
        addresses: tuple[str, ...] = ()
        try:
            addresses = tuple(self._lookup(host))
        except (OSError, UnicodeError):
            addresses = ()
        finally:
            with self._lock:
                if addresses:
                    self._known[host] = (self._monotonic(), addresses)
                del self._running[host]
            done.set()
