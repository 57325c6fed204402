"""Transparent mode: what is no notification, on a host that a channel has given to us, streamed to its POS and back.

Nothing is taken in, nothing kept, no more than a piece is held in memory. Header rules and guard are the relay's. The
breaker is neither asked nor told: a shop window that fails says nothing about payments. A bulkhead of its own keeps
long downloads from taking the threads that notifications need.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from gateway.contract.errors import Refused
from gateway.relay.answer import failure_parts, framing_length, status_line
from gateway.relay.errors import RelayFailed
from gateway.relay.forward import Upstream
from gateway.relay.guard import Guard
from gateway.relay.headers import Hop, answer_headers, from_environ, length_framing, request_head
from gateway.relay.target import raw_target, split_target
from gateway.relay.wire import Deadline, Head, Wire

StartResponse = Callable[[str, list[tuple[str, str]]], object]

_PIECE: Final = 65536
_READ_BEFORE_REFUSING: Final = 1 << 20
_CHUNKED: Final = ("Transfer-Encoding", "chunked")


@dataclass(frozen=True, slots=True)
class ProxyLimits:
    """`slots` per upstream and process; `bytes` each way; seconds without a byte, and for the whole exchange."""

    slots: int = 4
    bytes: int = 100 << 20
    idle_s: float = 30
    whole_s: float = 600


class Proxy:
    """A WSGI application but for the upstream that it is told. One per process, shared by its threads."""

    def __init__(
        self,
        guard: Guard,
        *,
        limits: ProxyLimits = ProxyLimits(),
        tls: ssl.SSLContext | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._guard = guard
        self._limits = limits
        self._tls = tls or ssl.create_default_context()
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._inside: dict[str, int] = {}

    def __call__(
        self, environ: Mapping[str, Any], start_response: StartResponse, upstream: Upstream
    ) -> Iterable[bytes]:
        """Pass the request on to the upstream's origin by its whole path; the answer as it streams in.

        Failures before the answer begins are answered as the relay's are, requests that cannot be passed on with 400
        or 413. Later ones raise RelayFailed out of the iteration, so that the server cuts the connection and nobody
        takes half for the whole.
        """
        with ExitStack() as stack:
            try:
                head, body = self._exchange(environ, upstream, stack)
            except RelayFailed as failed:
                parts = failure_parts(failed)
                _read_rest(environ)
                start_response(parts.status, parts.headers)
                return [parts.body]
            except Refused as refused:
                return _refusal(refused, start_response)
            headers = answer_headers(head.headers)
            length = framing_length(head.status, head.headers, environ["REQUEST_METHOD"], head.length)
            if length is not None:
                headers.append(("Content-Length", length))
            start_response(status_line(head.status), headers)
            return _Stream(body, stack.pop_all().close)

    def _exchange(
        self, environ: Mapping[str, Any], upstream: Upstream, stack: ExitStack
    ) -> tuple[Head, Iterator[bytes]]:
        method, target = environ["REQUEST_METHOD"], upstream.target.origin
        length = _request_length(environ)
        if length is not None and length > self._limits.bytes:
            raise _too_large()
        framing = _CHUNKED if length is None else length_framing(method, length)
        hop = Hop(environ.get("REMOTE_ADDR"), environ.get("wsgi.url_scheme"))
        line = _request_target(environ, upstream)
        request = request_head(method, line, target.host_header, from_environ(environ), hop, framing)
        stack.enter_context(self._slot(upstream.name))
        connecting = Deadline(upstream.timeout_s, self._monotonic)
        addresses = self._guard.resolve(target, connecting)
        tls = self._tls if target.secure else None
        wire = stack.enter_context(Wire.connect(addresses, target.host, tls, connecting))
        wire.patience = self._patience()
        if wire.send(request):
            self._upload(environ, wire, length)
        head = wire.head(method)
        if head.length is not None and head.length > self._limits.bytes:
            raise RelayFailed("broken", "the answer is too large")
        return head, self._capped(wire.body(head))

    def _upload(self, environ: Mapping[str, Any], wire: Wire, length: int | None) -> None:
        """The request's body, piece by piece, until it ends or the upstream answers without waiting for the rest."""
        total = 0
        for piece in _pieces(environ, length):
            total += len(piece)
            if total > self._limits.bytes:
                raise _too_large()
            framed = piece if length is not None else b"%x\r\n%b\r\n" % (len(piece), piece)
            if wire.answers_already() or not wire.send(framed):
                _read_rest(environ)
                return
        if length is None:
            wire.send(b"0\r\n\r\n")

    def _capped(self, body: Iterator[bytes]) -> Iterator[bytes]:
        total = 0
        for piece in body:
            total += len(piece)
            if total > self._limits.bytes:
                raise RelayFailed("broken", "the answer is too large")
            yield piece

    def _patience(self) -> Callable[[], float]:
        whole = Deadline(self._limits.whole_s, self._monotonic)
        return lambda: min(self._limits.idle_s, whole())

    @contextmanager
    def _slot(self, name: str) -> Iterator[None]:
        with self._lock:
            inside = self._inside.get(name, 0)
            if inside >= self._limits.slots:
                raise RelayFailed("bulkhead_full")
            self._inside[name] = inside + 1
        try:
            yield
        finally:
            with self._lock:
                self._inside[name] -= 1


class _Stream:
    """The answer's pieces, and what the server's `close` must free even when it never asked for a piece.

    A class for that reason: a generator that was not begun runs nothing when it is closed.
    """

    def __init__(self, pieces: Iterator[bytes], close: Callable[[], None]) -> None:
        self._pieces = pieces
        self.close = close

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


def _request_target(environ: Mapping[str, Any], upstream: Upstream) -> str:
    raw = raw_target(environ)
    if raw == "*" and environ["REQUEST_METHOD"] == "OPTIONS":
        return raw
    path, query = split_target(raw)
    return upstream.target.origin.join(path, query)


def _request_length(environ: Mapping[str, Any]) -> int | None:
    """Bytes of body to come, 0 for none, None when chunks tell. Raises Refused for a length that is none."""
    text = environ.get("CONTENT_LENGTH") or ""
    if text:
        if not (text.isascii() and text.isdigit()):
            raise Refused("bad_request", 400, "Content-Length is no number")
        return int(text)
    return None if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower() else 0


def _pieces(environ: Mapping[str, Any], length: int | None) -> Iterator[bytes]:
    """The body as it arrives. Raises Refused when it ends early: half a body must not go out as a whole one."""
    read = environ["wsgi.input"].read
    left = length
    while left is None or left > 0:
        piece: bytes = read(_PIECE if left is None else min(_PIECE, left))
        if not piece:
            if left is not None:
                raise Refused("bad_request", 400, "the body ended early")
            return
        if left is not None:
            left -= len(piece)
        yield piece


def _read_rest(environ: Mapping[str, Any]) -> None:
    """Take in what is left of a small body, so that the connection stays usable for the client's next request."""
    left = _READ_BEFORE_REFUSING
    length = environ.get("CONTENT_LENGTH")
    if environ.get("wsgi.input_terminated") and (not length or int(length) <= left):
        while left > 0 and (piece := environ["wsgi.input"].read(_PIECE)):
            left -= len(piece)


def _too_large() -> Refused:
    return Refused("too_large", 413, "the body is larger than what is passed on")


def _refusal(refused: Refused, start_response: StartResponse) -> list[bytes]:
    body = json.dumps({"code": refused.code, "message": str(refused)}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
    start_response(status_line(refused.status), headers)
    return [body]
