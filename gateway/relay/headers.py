"""Header rules of the relay, both ways (`RFC 9110` section 7.6; the contract's section 5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from gateway.contract.adapter import Headers
from gateway.contract.errors import Refused

_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_REPLACED_OUT: Final = frozenset({"host", "content-length"})
_DROPPED_BACK: Final = frozenset({"date", "server"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z", re.ASCII)
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")
_PSEUDONYM: Final = "1.1 drainage-gateway"


@dataclass(frozen=True, slots=True)
class Hop:
    """Who handed us the request: the peer's address and the scheme he used, for `X-Forwarded-*`. None: not told."""

    source: str | None = None
    scheme: str | None = None


def from_environ(environ: Mapping[str, Any]) -> Headers:
    """The request's headers out of a WSGI environ, as (name, value).

    Names come back in `Wechatpay-Signature` case, since WSGI keeps no case; values are untouched. The server has
    joined repeats by a comma and dropped names with `_`, which it could not tell from `-`.
    """
    headers = [
        (_cased(key[5:]), str(value))
        for key, value in environ.items()
        if key.startswith("HTTP_") and key not in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH")
    ]
    headers += [(_cased(key), str(environ[key])) for key in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(key)]
    return tuple(headers)


def request_head(
    method: str, target: str, host: str, headers: Headers, hop: Hop, framing: tuple[str, str] | None
) -> bytes:
    """The head of the request to the upstream, through its empty line.

    `target` and `host` go in as they are; `headers` are those that came in; `framing` is the one header that says
    how long the body is, None without a body. Raises Refused (400 `bad_request`) for a method or header that cannot
    be written as one.
    """
    if not _TOKEN.match(method) or method == "CONNECT":
        raise Refused("bad_request", 400, "the method cannot be passed on")
    kept = end_to_end(headers)
    present = {name.lower() for name, _ in kept}
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close"]
    for name, value in kept:
        if name.lower() in _REPLACED_OUT or "_" in name:
            continue
        if not _TOKEN.match(name) or not _VALUE.match(value):
            raise Refused("bad_request", 400, "a header cannot be passed on")
        lines.append(f"{name}: {value}")
    lines += _forwarded(headers, present, hop)
    if framing is not None:
        lines.append(": ".join(framing))
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def length_framing(method: str, length: int) -> tuple[str, str] | None:
    """The framing of a body of `length` bytes: said even when empty where the method expects a body."""
    return ("Content-Length", str(length)) if length or method in ("POST", "PUT", "PATCH") else None


def answer_headers(headers: Headers) -> list[tuple[str, str]]:
    """What of an upstream's answer headers goes back: end-to-end ones in order, repeats apart.

    Without Date and Server, which our own server writes, and without Content-Length, which whoever frames the body
    sets.
    """
    return [
        (name, value)
        for name, value in end_to_end(headers)
        if name.lower() not in _DROPPED_BACK and name.lower() != "content-length"
    ]


def end_to_end(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Without hop-by-hop headers, those that `Connection` names included."""
    all_headers = list(headers)
    dropped = set(_HOP_BY_HOP)
    for name, value in all_headers:
        if name.lower() == "connection":
            dropped.update(part.strip().lower() for part in value.split(","))
    return [(name, value) for name, value in all_headers if name.lower() not in dropped]


def _forwarded(headers: Headers, present: set[str], hop: Hop) -> list[str]:
    """Ours, each a line of its own behind those that came: nothing that came is rewritten."""
    lines = [f"Via: {_PSEUDONYM}"]
    if hop.source:
        lines.append(f"X-Forwarded-For: {hop.source}")
    # A proxy in front of us knows better what the client saw.
    if hop.scheme and "x-forwarded-proto" not in present:
        lines.append(f"X-Forwarded-Proto: {hop.scheme}")
    host = next((value for name, value in headers if name.lower() == "host"), "")
    if host and "x-forwarded-host" not in present and _VALUE.match(host):
        lines.append(f"X-Forwarded-Host: {host}")
    return lines


@lru_cache(maxsize=512)
def _cased(key: str) -> str:
    # The platforms send the same dozen names with every request; strangers' push one another out.
    return "-".join(part.capitalize() for part in key.split("_"))
