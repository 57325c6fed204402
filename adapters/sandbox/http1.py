"""One HTTP/1.1 request off a stream, kept byte for byte: what a till's server saw, not what a library made of it.

The framing rules are those of RFC 9112: `Content-Length`, or `chunked`, never both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Final, Literal

MAX_LINE: Final = 65_536
MAX_HEADERS: Final = 200
MAX_BODY: Final = 128 * 1024 * 1024

Framing = Literal["none", "length", "chunked"]

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e\x80-\xff]+) HTTP/1\.([01])\Z")
_HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*\Z", re.DOTALL)
_LENGTH = re.compile(rb"[0-9]{1,15}\Z")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it stood on the wire. `target` and `header_lines` are raw (no line ends), order and case kept.

    `body` is what was sent, chunk framing taken off; `framing` says how its end was told.
    """

    method: str
    target: bytes
    minor: int
    header_lines: tuple[bytes, ...]
    body: bytes
    framing: Framing

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """(name, value) pairs in order, names as they came, outer white space of values dropped (Latin-1)."""
        return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in _pairs(self.header_lines))

    def values(self, name: str) -> tuple[str, ...]:
        """Every value of a header, letter case of its name ignored, in order."""
        wanted = name.lower()
        return tuple(value for key, value in self.headers if key.lower() == wanted)

    @property
    def keeps_alive(self) -> bool:
        """Whether the client means to send another request on this connection."""
        return self.minor == 1 and all("close" not in value.lower() for value in self.values("connection"))


def read_request(stream: BinaryIO, go_on: Callable[[], None]) -> Request | None:
    """The next request of `stream`; None where the stream ends before one began.

    `go_on` is called before the body is read when the client waits for `100 Continue`. Raises ValueError for bytes
    that are not a request or end within one.
    """
    first = stream.readline(MAX_LINE)
    if not first:
        return None
    match = _REQUEST_LINE.match(_without_end(first))
    if match is None:
        raise ValueError("not a request line")
    lines = _header_lines(stream)
    pairs = _pairs(lines)
    if any(name.lower() == b"expect" and value.lower() == b"100-continue" for name, value in pairs):
        go_on()
    framing, body = _body(stream, pairs)
    return Request(
        method=match.group(1).decode("ascii"),
        target=match.group(2),
        minor=int(match.group(3)),
        header_lines=lines,
        body=body,
        framing=framing,
    )


def _without_end(line: bytes) -> bytes:
    if not line.endswith(b"\r\n"):
        raise ValueError("a line without CRLF, or too long")
    return line[:-2]


def _header_lines(stream: BinaryIO) -> tuple[bytes, ...]:
    lines: list[bytes] = []
    while line := _without_end(stream.readline(MAX_LINE)):
        lines.append(line)
        if len(lines) > MAX_HEADERS:
            raise ValueError("too many headers")
    return tuple(lines)


def _pairs(lines: tuple[bytes, ...]) -> list[tuple[bytes, bytes]]:
    pairs = []
    for line in lines:
        match = _HEADER_LINE.match(line)
        if match is None:
            raise ValueError("not a header line")
        pairs.append((match.group(1), match.group(2)))
    return pairs


def _body(stream: BinaryIO, pairs: list[tuple[bytes, bytes]]) -> tuple[Framing, bytes]:
    lengths = [value for name, value in pairs if name.lower() == b"content-length"]
    codings = [value.lower() for name, value in pairs if name.lower() == b"transfer-encoding"]
    if codings:
        # Both at once, or any other coding, is how requests are smuggled past a relay: a test must see it fail.
        if lengths or codings != [b"chunked"]:
            raise ValueError("contradictory or unknown framing")
        return "chunked", _chunks(stream)
    if not lengths:
        return "none", b""
    if len(lengths) > 1 or not _LENGTH.match(lengths[0]):
        raise ValueError("not a content length")
    return "length", _exactly(stream, int(lengths[0]))


def _chunks(stream: BinaryIO) -> bytes:
    parts: list[bytes] = []
    total = 0
    while True:
        match = _CHUNK_SIZE.match(_without_end(stream.readline(MAX_LINE)))
        if match is None:
            raise ValueError("not a chunk size")
        size = int(match.group(1), 16)
        if size == 0:
            _header_lines(stream)  # trailers: read off the wire, they belong to no body
            return b"".join(parts)
        total += size
        if total > MAX_BODY:
            raise ValueError("body too large")
        parts.append(_exactly(stream, size))
        if stream.read(2) != b"\r\n":
            raise ValueError("a chunk without its end")


def _exactly(stream: BinaryIO, size: int) -> bytes:
    if size > MAX_BODY:
        raise ValueError("body too large")
    data = stream.read(size)
    if len(data) != size:
        raise ValueError("the body ended early")
    return data
