"""The relay itself: one request to the POS, byte for byte, one answer or one RelayFailed, by one deadline (R012)."""

from __future__ import annotations

import functools
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from gateway.contract.adapter import Headers, RawNotification
from gateway.relay.breaker import Breaker, BreakerState
from gateway.relay.errors import RelayFailed
from gateway.relay.gate import Gate
from gateway.relay.guard import Guard
from gateway.relay.headers import Hop, length_framing, request_head
from gateway.relay.names import Patience
from gateway.relay.target import Target, parse_url
from gateway.relay.wire import Deadline, Head, Wire

_TIMEOUT_MS: Final = range(200, 4001)


@dataclass(frozen=True, slots=True)
class Upstream:
    """A channel's POS. `name` (the channel) keys breaker and bulkhead, so that no two channels share a fate."""

    name: str
    target: Target
    timeout_s: float

    @classmethod
    def of(cls, name: str, url: str, timeout_ms: int = 3500) -> Self:
        """From the channel's settings. Raises BadUpstream for the URL, ValueError for `timeout_ms` not in 200…4000."""
        if timeout_ms not in _TIMEOUT_MS:
            raise ValueError("timeout_ms is 200 to 4000")
        return cls(name, parse_url(url), timeout_ms / 1000)

    @property
    def origin(self) -> Upstream:
        """The same POS addressed by whole paths, as transparent mode does."""
        return type(self)(self.name, self.target.origin, self.timeout_s)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the POS said. `headers` as they came, hop-by-hop ones included; `body` unframed and otherwise untouched.

    `ms` is how long it took, whole milliseconds.
    """

    status: int
    headers: Headers
    body: bytes
    ms: int


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """Per upstream and process."""

    slots: int = 8
    patience_s: float = 0.5
    failures_to_open: int = 5
    trial_every_s: float = 3.0
    answer_bytes: int = 1 << 20


class Relay:
    """Forwards requests. One per process, shared by its threads.

    `breaker_changed(name, state)` and `finished(name, outcome, seconds)`, outcome `answered` or a FailureKind, are
    called on the request's thread, outside any lock. `tls` verifies certificates by the system's authorities unless
    another context is given.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        limits: RelayLimits = RelayLimits(),
        tls: ssl.SSLContext | None = None,
        breaker_changed: Callable[[str, BreakerState], None] = lambda _name, _state: None,
        finished: Callable[[str, str, float], None] = lambda _name, _outcome, _seconds: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._guard = guard
        self._limits = limits
        self._tls = tls or ssl.create_default_context()
        self._breaker_changed = breaker_changed
        self._finished = finished
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._gates: dict[str, tuple[Target, Gate]] = {}

    def forward(
        self,
        upstream: Upstream,
        raw: RawNotification,
        *,
        query: str | None = None,
        hop: Hop = Hop(),
        verified: bool = True,
    ) -> Answer:
        """Hand `raw` to the POS; its answer. Redirects are answers like any other and are not followed.

        `query` is what followed `?`, None without one. `verified`: whether the platform's signature held; what any
        stranger can send gets half the bulkhead and no say in opening the breaker. Raises RelayFailed, and Refused
        (400) for a path, method or header that cannot be passed on.
        """
        target = upstream.target.join(raw.path_tail, query)
        framing = length_framing(raw.method, len(raw.body))
        head = request_head(raw.method, target, upstream.target.host_header, raw.headers, hop, framing)
        began = self._monotonic()
        outcome = "broken"
        try:
            # The wait for a slot is part of the caller's time; half of it stays for the POS.
            deadline = Deadline(upstream.timeout_s, self._monotonic)
            with self._gate(upstream).passage(verified=verified, at_most_s=upstream.timeout_s / 2):
                answered, body = self._exchange(upstream, raw.method, head + raw.body, deadline)
            outcome = "answered"
        except RelayFailed as failed:
            outcome = failed.kind
            raise
        finally:
            seconds = self._monotonic() - began
            self._finished(upstream.name, outcome, seconds)
        return Answer(answered.status, answered.headers, body, int(seconds * 1000))

    def breaker_is_open(self, name: str) -> bool:
        """Whether the breaker of the upstream `name` is open in this process."""
        with self._lock:
            _, gate = self._gates.get(name, (None, None))
        return gate is not None and gate.is_open

    def _exchange(self, upstream: Upstream, method: str, request: bytes, deadline: Patience) -> tuple[Head, bytes]:
        target = upstream.target
        addresses = self._guard.resolve(target, deadline)
        with Wire.connect(addresses, target.host, self._tls if target.secure else None, deadline) as wire:
            wire.send(request)
            head = wire.head(method)
            body = bytearray()
            if head.length is not None and head.length > self._limits.answer_bytes:
                raise RelayFailed("broken", "the answer is too large")
            for piece in wire.body(head):
                body += piece
                if len(body) > self._limits.answer_bytes:
                    raise RelayFailed("broken", "the answer is too large")
            return head, bytes(body)

    def _gate(self, upstream: Upstream) -> Gate:
        origin = upstream.target.origin
        with self._lock:
            known, gate = self._gates.get(upstream.name, (None, None))
            if gate is not None and known == origin:
                return gate
            # Another address is another POS: what the old one did says nothing about it.
            was_open = gate is not None and gate.is_open
            gate = Gate(
                Breaker(self._limits.failures_to_open, self._limits.trial_every_s),
                self._limits.slots,
                self._limits.patience_s,
                functools.partial(self._breaker_changed, upstream.name),
                self._monotonic,
            )
            self._gates[upstream.name] = (origin, gate)
        if was_open:
            self._breaker_changed(upstream.name, "closed")
        return gate
