"""The shape of a deployment's settings: one frozen value a section of `config.toml`, each key with its check.

A check takes the value as TOML or JSON gave it and returns what the key holds. It raises ValueError with a message
that never repeats the value, since the wrong field may hold the right secret.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.checks import Check, flag, list_of, number, one_of, text, whole
from gateway.contract.secret import Secret

Network = IPv4Network | IPv6Network

MIB: Final = 1024 * 1024
_DEFAULT_STORE: Final = Secret("sqlite:///drainage.db")
_NO_URL: Final = Secret("")
_THIS_MACHINE: Final = IPv4Network("127.0.0.1/32")
_LOOPBACK: Final = IPv4Network("127.0.0.0/8")


def _network(value: Any) -> Network:
    try:
        return ip_network(text()(value))
    except ValueError:
        raise ValueError("must be a network such as 10.0.0.0/8, host bits zero") from None


_networks: Final = list_of(_network, "networks")


def _base_url(value: Any) -> str:
    url = text()(value)
    if not url:
        return ""
    parts = urlsplit(url)  # raises ValueError by itself for a broken port or bracket
    if parts.scheme not in {"http", "https"} or not parts.hostname or (parts.port == 0):
        raise ValueError("must be an address such as https://pay.example.com")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("must hold no user, query or fragment")
    if parts.path.strip("/"):
        raise ValueError("must hold no path: links are made short by it")
    return f"{parts.scheme}://{parts.netloc}"


def _url_with(*schemes: str) -> Check:
    """A URL that may carry a password, so it is kept as a Secret and never repeated."""

    def check(value: Any) -> Secret[str]:
        url = text()(value)
        if url and not url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return Secret(url)

    return check


def _store_url(value: Any) -> Secret[str]:
    url: Secret[str] = _url_with("sqlite", "postgresql")(value)
    if url.reveal().removeprefix("sqlite:///") == "":
        raise ValueError("must name a database, such as sqlite:///drainage.db")
    return url


def _setting(default: Any, check: Check) -> Any:
    return field(default=default, metadata={"check": check})


@dataclass(frozen=True, slots=True)
class Server:
    """`base_url` without a slash at its end ("" until known); `trusted_proxies`: whose X-Forwarded-For is believed."""

    base_url: str = _setting("", _base_url)
    trusted_proxies: tuple[Network, ...] = _setting((_THIS_MACHINE,), _networks)


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """`url`: `sqlite:///FILE`, relative to the home, or `postgresql://…`."""

    url: Secret[str] = _setting(_DEFAULT_STORE, _store_url)  # noqa: RUF009 - a Secret never changes


@dataclass(frozen=True, slots=True)
class Redis:
    """`url` "" means none: nothing needs it."""

    url: Secret[str] = _setting(_NO_URL, _url_with("redis", "rediss", "unix"))  # noqa: RUF009 - as above


@dataclass(frozen=True, slots=True)
class Relay:
    """`allow`: non-global ranges that an upstream may lie in; `upstream_concurrency`: calls at once, per process."""

    allow: tuple[Network, ...] = _setting((_LOOPBACK,), _networks)
    upstream_concurrency: int = _setting(8, whole(1, 1000))


@dataclass(frozen=True, slots=True)
class Sandbox:
    """`clock_offset_s` moves `now` in every process, so that deadlines can be tried; sandbox only."""

    enabled: bool = _setting(default=False, check=flag())
    clock_offset_s: int = _setting(0, whole(-10 * 366 * 86_400, 10 * 366 * 86_400))


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """Where bytes wait while the store is down: `path` relative to the home, `bytes` its preallocated size."""

    path: str = _setting("spool.bin", text(1))
    bytes: int = _setting(64 * MIB, whole(MIB, 64 * 1024 * MIB))


@dataclass(frozen=True, slots=True)
class Security:
    """The bucket of unverified traffic per source address and channel: `unverified_burst` at once, then a rate.

    `reauth_above_fen`: value-moving acts above it want a password given within five minutes; 0: never. `login_hours`:
    when a login ends however often it was refreshed.
    """

    unverified_burst: int = _setting(120, whole(1, 1_000_000))
    unverified_per_second: float = _setting(2.0, number(0.01, 1_000_000))
    reauth_above_fen: int = _setting(100_000, whole(0, 10_000_000_000))
    login_hours: int = _setting(12, whole(2, 168))


@dataclass(frozen=True, slots=True)
class Retention:
    """How long raw payloads, quarantine and audit are kept, in days; `quarantine_bytes` is its quota on disk."""

    raw_days: int = _setting(30, whole(1, 3650))
    quarantine_days: int = _setting(3, whole(1, 3650))
    audit_days: int = _setting(1095, whole(1, 36_500))
    quarantine_bytes: int = _setting(256 * MIB, whole(MIB, 1024 * 1024 * MIB))


@dataclass(frozen=True, slots=True)
class Status:
    """`public`: whether who is not signed in sees how the house does (its health and incidents, no numbers)."""

    public: bool = _setting(default=False, check=flag())


@dataclass(frozen=True, slots=True)
class Live:
    """`sse_max`: streams that one process keeps open at once; each holds a thread. 0: pages ask again and again."""

    sse_max: int = _setting(8, whole(0, 200))


@dataclass(frozen=True, slots=True)
class Plugins:
    """`allow`: distributions beside our own whose plug-ins are loaded; `*` stands for every installed one."""

    allow: tuple[str, ...] = _setting(("*",), list_of(text(1)))


@dataclass(frozen=True, slots=True)
class Log:
    """`level` of the log on stderr."""

    level: str = _setting("info", one_of("debug", "info", "warning", "error"))


@dataclass(frozen=True, slots=True)
class Config:
    """Every section of `config.toml`, defaults filled in."""

    server: Server = Server()
    store: StoreSettings = StoreSettings()
    redis: Redis = Redis()
    relay: Relay = Relay()
    sandbox: Sandbox = Sandbox()
    spool: SpoolSettings = SpoolSettings()
    security: Security = Security()
    retention: Retention = Retention()
    live: Live = Live()
    status: Status = Status()
    plugins: Plugins = Plugins()
    log: Log = Log()
