"""Where a request goes: an upstream's URL taken apart, and the request target put together again byte for byte."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from gateway.contract.errors import DrainageError, Refused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_DEFAULT_PORT: Final = {"http": 80, "https": 443}
_HIGHEST_PORT: Final = 65535
_LONGEST_NAME: Final = 253
_PLAIN = re.compile(r"[\x21-\x7e]+\Z", re.ASCII)
_NAME = re.compile(
    r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z"
)
# A host whose last label is a number is an IPv4 address in some notation (WHATWG URL standard, "ends in a number"):
# 127.1, 0x7f000001 and 2130706433 are all the loopback for a resolver. Only the dotted quad is taken.
_NUMERIC_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\Z", re.ASCII)
_SENDABLE = re.compile(r"[\x21-\x7e\x80-\xff]*\Z")
_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)


class BadUpstream(DrainageError):
    """An upstream's URL that does not hold. `reason` is a stable word, the text a message for a person.

    Reasons: url, scheme, userinfo, host, port, fragment, address, plain_http.
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Target:
    """An upstream's URL in parts. `path` is `""` or begins with `/`, percent-encoding as written; `query` likewise."""

    secure: bool
    host: str
    port: int
    path: str
    query: str | None

    @property
    def literal(self) -> Address | None:
        """The address when the host is one; None for a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def host_header(self) -> str:
        """The value of `Host`: brackets around IPv6, the port unless it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORT["https" if self.secure else "http"] else f"{host}:{self.port}"

    @property
    def origin(self) -> Target:
        """The same server without path and query."""
        return Target(self.secure, self.host, self.port, "", None)

    def join(self, tail: str, query: str | None) -> str:
        """The request target: own path, then `tail` as it came, then own query and `query`.

        `tail` is `""` or begins with `/`. Raises Refused (400 `bad_path`) for a tail that cannot stand in a request
        line, or whose dot segments climb out of the own path: behind the gateway the rest of a POS may be private.
        """
        if (tail and not tail.startswith("/")) or not _SENDABLE.match(tail) or not _SENDABLE.match(query or ""):
            raise Refused("bad_path", 400, "the path cannot be passed on")
        if self.path and _climbs(tail):
            raise Refused("bad_path", 400, "the path climbs out of the notification address")
        queries = [part for part in (self.query, query) if part is not None]
        path = self.path + tail or "/"
        return path + ("?" + "&".join(queries) if queries else "")


def parse_url(url: str) -> Target:
    """An http(s) URL → its parts. Raises BadUpstream; says nothing about whether the address is allowed."""
    # First of all: urlsplit silently drops tabs and line ends, so what it saw would not be what was written.
    if not _PLAIN.match(url) or "\\" in url:
        raise BadUpstream("url", "an upstream is a URL of plain ASCII characters (names as xn--…, paths as %XX)")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as fault:
        raise BadUpstream("port" if "port" in str(fault).lower() else "host", "no such host or port") from fault
    scheme = parts.scheme
    if scheme not in _DEFAULT_PORT or not url[len(scheme) :].startswith("://"):
        raise BadUpstream("scheme", "an upstream begins with https:// or http://")
    if "@" in parts.netloc:
        raise BadUpstream("userinfo", "an upstream holds no user name or password")
    if "#" in url:
        raise BadUpstream("fragment", "an upstream has no #fragment")
    if port is not None and not 1 <= port <= _HIGHEST_PORT:
        raise BadUpstream("port", "a port is 1 to 65535")
    query = parts.query if "?" in url else None
    path = "" if parts.path == "/" else parts.path
    return Target(scheme == "https", _host(parts.netloc), port or _DEFAULT_PORT[scheme], path, query)


def raw_target(environ: Mapping[str, Any]) -> str:
    """The request target as the client wrote it (gunicorn's `RAW_URI`), in origin form or `*`.

    A server that does not tell it gets the nearest spelling of what it decoded. The absolute form, which every server
    must take (RFC 9112 section 3.2.2), loses its scheme and authority.
    """
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if not raw:
        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        raw = quote(path.encode("latin-1"), safe="/!$&'()*+,;=:@~-._") or "/"
        if environ.get("QUERY_STRING"):
            raw += "?" + environ["QUERY_STRING"]
    target = str(raw)
    absolute = _ABSOLUTE.match(target)
    if absolute:
        target = target[absolute.end() :]
        target = target if target.startswith("/") else "/" + target
    return target


def split_target(target: str) -> tuple[str, str | None]:
    """A request target → (path, query); query None when there is no `?`, `""` when nothing follows it."""
    path, mark, query = target.partition("?")
    return path, query if mark else None


def _host(netloc: str) -> str:
    if netloc.startswith("["):
        inside = netloc[1:].partition("]")[0]
        try:
            address = ipaddress.IPv6Address(inside)
        except ValueError as fault:
            raise BadUpstream("host", "what stands in brackets is an IPv6 address") from fault
        if address.scope_id is not None:
            raise BadUpstream("host", "an address with a scope (%…) means another machine on every machine")
        return str(address)
    host = netloc.partition(":")[0].lower()
    if _NUMERIC_END.match(host):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError as fault:
            raise BadUpstream("host", "an IPv4 address is four decimal numbers") from fault
    name = host.removesuffix(".")
    if not _NAME.match(name) or len(name) > _LONGEST_NAME or _NUMERIC_END.match(name):
        raise BadUpstream("host", "no such host name is possible")
    return name


def _climbs(tail: str) -> bool:
    """Whether some server could read `tail` as leading above where it begins.

    Read as the most generous server would: `%2e` and `%2f` decoded, backslashes as slashes (IIS), `..;x` as `..`
    (Tomcat), empty segments as none (nginx's merge_slashes).
    """
    depth = 0
    for segment in unquote(tail, "latin-1").replace("\\", "/").split("/"):
        name = segment.partition(";")[0]
        if name == "..":
            depth -= 1
            if depth < 0:
                return True
        elif name not in ("", "."):
            depth += 1
    return False
