"""One exchange of HTTP/1.1 with an upstream, as bytes on a socket (RFC 9112).

Written here rather than taken from `http.client`, which is made for friendly servers: it reads a whole header block
through an e-mail parser that stops at the first odd line, takes `+5` for a length, knows 100 as the only interim
answer, and its timeout starts anew with every byte. Here every wait asks `patience` how long it may be, and whatever
is not an answer becomes a RelayFailed. Lenient only where tills in the field need it: bare line feeds, folded
headers, no reason phrase.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from gateway.contract.adapter import Headers
from gateway.relay.errors import RelayFailed
from gateway.relay.guard import Pinned
from gateway.relay.names import Patience

_PIECE: Final = 65536
_HEAD_LIMIT: Final = 65536
_CHUNK_LINE_LIMIT: Final = 4096
_INTERIM_LIMIT: Final = 8
_SWITCHING_PROTOCOLS: Final = 101
_FIRST_FINAL: Final = 200
_ENOUGH_TO_TELL: Final = len(b"HTTP/1.1 100")
_BODILESS: Final = (204, 304)

_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9][ \t]+([1-9][0-9]{2})(?:[ \t].*)?\Z", re.DOTALL)
_INTERIM = re.compile(rb"HTTP/1\.[0-9][ \t]+1")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:(.*)\Z", re.DOTALL)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;.*)?\Z", re.DOTALL)
_LENGTH = re.compile(r"[0-9]{1,15}\Z", re.ASCII)


class Deadline:
    """A moment by which all must be done: a Patience that runs out, however the waits are spread."""

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._at = monotonic() + seconds

    def __call__(self) -> float:
        """Seconds left, more than 0. Raises RelayFailed `timeout` when there are none."""
        left = self._at - self._monotonic()
        if left <= 0:
            raise RelayFailed("timeout", "the deadline has passed")
        return left


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of a final answer. `length`: bytes of body; None when chunks or the end of the stream say."""

    status: int
    headers: Headers
    length: int | None
    chunked: bool


class Wire:
    """A connection for one request and its answer. Use as a context manager; it closes whatever happened.

    `patience` is asked before every wait and may be replaced in between.
    """

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        self.patience = patience
        self._sock = sock
        self._buffer = bytearray()

    @classmethod
    def connect(
        cls, addresses: Sequence[Pinned], server_name: str, tls: ssl.SSLContext | None, patience: Patience
    ) -> Self:
        """A connection to the first address that takes one; with `tls`, its certificate checked for `server_name`.

        An address that stays silent costs its share of the time, so that the next one still has some. Raises
        RelayFailed: `refused`, `timeout`, or `broken` when TLS fails.
        """
        last = RelayFailed("refused", "no address")
        for position, pinned in enumerate(addresses):
            share = patience() / (len(addresses) - position)
            try:
                sock = _connected(pinned, share)
            except TimeoutError:
                last = RelayFailed("timeout", "connecting")
            except OSError as fault:
                last = RelayFailed("refused", f"connecting: {fault.strerror or type(fault).__name__}")
            else:
                return cls(_secured(sock, server_name, tls, patience) if tls else sock, patience)
        raise last

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def send(self, data: bytes) -> bool:
        """Write all of it; False when the other side no longer takes any. Raises RelayFailed `timeout`.

        False is no failure yet: a POS may refuse before it has read everything, and its answer counts, not our broken
        pipe. If there is none, `head` says so.
        """
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(self.patience())
            try:
                rest = rest[self._sock.send(rest) :]
            except TimeoutError:
                raise RelayFailed("timeout", "sending") from None
            except OSError:
                return False
        return True

    def answers_already(self) -> bool:
        """Whether a final answer has begun, or the other side hung up, while the request is still being sent."""
        # Not select(): over TLS the socket is readable for the protocol's own messages too.
        self._sock.settimeout(0)
        try:
            data = self._sock.recv(_PIECE)
        except (BlockingIOError, ssl.SSLWantReadError):
            data = None
        except OSError:
            return True
        self._buffer += data or b""
        return data == b"" or (len(self._buffer) >= _ENOUGH_TO_TELL and not _INTERIM.match(self._buffer))

    def head(self, method: str) -> Head:
        """The final answer's head; interim ones (1xx) are passed over. Raises RelayFailed `timeout` or `broken`."""
        for _ in range(_INTERIM_LIMIT):
            status, headers = self._one_head()
            if status >= _FIRST_FINAL:
                length, chunked = _framing(method, status, headers)
                return Head(status, headers, length, chunked)
            if status == _SWITCHING_PROTOCOLS:
                raise RelayFailed("broken", "it switched protocols unasked")
        raise RelayFailed("broken", "interim answers without end")

    def body(self, head: Head) -> Iterator[bytes]:
        """The answer's body in pieces, unframed. Raises RelayFailed `timeout`, or `broken` when it is cut off."""
        if head.chunked:
            return self._chunks()
        return self._to_the_end() if head.length is None else self._exactly(head.length)

    def _one_head(self) -> tuple[int, Headers]:
        status = _STATUS_LINE.match(self._line(_HEAD_LIMIT))
        if status is None:
            raise RelayFailed("broken", "what came back is not HTTP/1")
        budget = _HEAD_LIMIT
        lines: list[bytes] = []
        while line := self._line(budget):
            budget -= len(line) + 1
            if line[:1] in (b" ", b"\t") and lines:
                lines[-1] += b" " + line.strip(b" \t")
            else:
                lines.append(line)
        return int(status.group(1)), tuple(_field(text) for text in lines)

    def _chunks(self) -> Iterator[bytes]:
        while True:
            size = _CHUNK_SIZE.match(self._line(_CHUNK_LINE_LIMIT))
            if size is None:
                raise RelayFailed("broken", "a chunk without a size")
            length = int(size.group(1), 16)
            if not length:
                break
            yield from self._exactly(length)
            if self._line(_CHUNK_LINE_LIMIT):
                raise RelayFailed("broken", "a chunk longer than it said")
        # Trailers are read, so that the answer is whole, and dropped: whoever asked did not ask for them.
        budget = _HEAD_LIMIT
        while line := self._line(budget):
            budget -= len(line) + 1

    def _exactly(self, length: int) -> Iterator[bytes]:
        while length:
            if not self._buffer and not self._fill():
                raise RelayFailed("broken", "the answer was cut off")
            piece = bytes(self._buffer[:length])
            del self._buffer[:length]
            length -= len(piece)
            yield piece

    def _to_the_end(self) -> Iterator[bytes]:
        while self._buffer or self._fill():
            piece = bytes(self._buffer)
            self._buffer.clear()
            yield piece

    def _line(self, limit: int) -> bytes:
        """The next line without its end. Raises RelayFailed `broken` when longer than `limit`, or cut off."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > limit:
                raise RelayFailed("broken", "a line or head too long")
            if not self._fill():
                raise RelayFailed("broken", "the connection ended" if searched else "no answer at all")
        if end > limit:
            raise RelayFailed("broken", "a line or head too long")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.removesuffix(b"\r")

    def _fill(self) -> bool:
        """More bytes into the buffer; False at the end of the stream."""
        self._sock.settimeout(self.patience())
        try:
            data = self._sock.recv(_PIECE)
        except TimeoutError:
            raise RelayFailed("timeout", "waiting for the answer") from None
        except OSError as fault:
            raise RelayFailed("broken", f"receiving: {fault.strerror or type(fault).__name__}") from fault
        self._buffer += data
        return bool(data)


def _connected(pinned: Pinned, timeout_s: float) -> socket.socket:
    sock = socket.socket(pinned.family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect((pinned.address, pinned.port))
        # Small pieces go out at once instead of waiting for an acknowledgement of the one before.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        sock.close()
        raise
    return sock


def _secured(sock: socket.socket, server_name: str, tls: ssl.SSLContext, patience: Patience) -> socket.socket:
    try:
        sock.settimeout(patience())
        return tls.wrap_socket(sock, server_hostname=server_name)
    except TimeoutError:
        sock.close()
        raise RelayFailed("timeout", "TLS handshake") from None
    except ssl.SSLCertVerificationError as fault:
        sock.close()
        raise RelayFailed("broken", f"certificate: {fault.verify_message}") from fault
    except OSError as fault:
        sock.close()
        raise RelayFailed("broken", f"TLS handshake: {type(fault).__name__}") from fault
    except RelayFailed:
        sock.close()
        raise


def _field(line: bytes) -> tuple[str, str]:
    field = _FIELD.match(line)
    if field is None:
        raise RelayFailed("broken", "a line among the headers is none")
    # Control characters are no part of a value; passed on they would be refused by our own server.
    value = _CONTROL.sub(b" ", field.group(2)).strip(b" \t")
    return field.group(1).decode("ascii"), value.decode("latin-1")


def _framing(method: str, status: int, headers: Headers) -> tuple[int | None, bool]:
    """(length, chunked) by RFC 9112 section 6.3. Raises RelayFailed `broken` where two readings are possible."""
    if method == "HEAD" or status in _BODILESS:
        return 0, False
    codings = _listed(headers, "transfer-encoding")
    if codings:
        if [coding.lower() for coding in codings] != ["chunked"]:
            raise RelayFailed("broken", "a transfer coding nobody asked for")
        return None, True
    lengths = set(_listed(headers, "content-length"))
    if not lengths:
        return None, False
    length = lengths.pop()
    if lengths or not _LENGTH.match(length):
        raise RelayFailed("broken", "the answer's length is ambiguous")
    return int(length), False


def _listed(headers: Headers, name: str) -> list[str]:
    return [part.strip() for key, value in headers if key.lower() == name for part in value.split(",")]
