"""Reading a WSGI environ: who sent it, and its body within a bound."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.contract.errors import DrainageError
from gateway.settings import Network

LOOPBACK: Final[tuple[Network, ...]] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


class TooLarge(DrainageError):
    """The body is larger than the bound; the rest of it was not read."""


def read_body(environ: Mapping[str, Any], limit: int) -> bytes:
    """The whole body, at most `limit` bytes, by Content-Length or to its end when chunked. Raises TooLarge."""
    stream = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH")
    if length:
        wanted = int(length)  # the server has refused what is no number
        if wanted > limit:
            raise TooLarge
        return bytes(stream.read(wanted)) if wanted else b""
    if not environ.get("wsgi.input_terminated"):
        return b""
    pieces = []
    left = limit + 1
    while left > 0 and (piece := stream.read(left)):
        pieces.append(piece)
        left -= len(piece)
    if left <= 0:
        raise TooLarge
    return b"".join(pieces)


def client_address(environ: Mapping[str, Any], trusted: Sequence[Network]) -> str:
    """The address of whoever sent this: the peer, or what the trusted proxies in front of us say of him.

    Read from the right: each address that is itself a trusted proxy is stepped over; the first that is not is he.
    """
    peer = str(environ.get("REMOTE_ADDR", ""))
    forwarded = environ.get("HTTP_X_FORWARDED_FOR")
    if not forwarded or not is_within(peer, trusted):
        return peer
    told = [part.strip() for part in str(forwarded).split(",") if part.strip()]
    for address in reversed(told):
        try:
            ipaddress.ip_address(address)
        except ValueError:
            return peer
        peer = address
        if not is_within(address, trusted):
            break
    return peer


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether a text is an address in one of these networks."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
