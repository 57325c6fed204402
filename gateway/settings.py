"""The shape of a deployment's settings: one frozen value a section of `config.toml`, each key with its check.

A check takes the value as TOML or JSON gave it and returns what the key holds. It raises ValueError with a message
that never repeats the value, since the wrong field may hold the right secret.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.contract.secret import Secret

Network = IPv4Network | IPv6Network
Check = Callable[[Any], Any]

MIB: Final = 1024 * 1024
_DEFAULT_STORE: Final = Secret("sqlite:///drainage.db")
_NO_URL: Final = Secret("")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")  # noqa: TRY004 - one kind of fault for the caller
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - as above
    return value


def _whole(low: int, high: int) -> Check:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return check


def _number(low: float, high: float) -> Check:
    def check(value: Any) -> float:
        # `not low <= value` also catches TOML's nan.
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return float(value)

    return check


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(part, str) and part for part in value):
        raise ValueError("must be a list of texts")
    return tuple(value)


def _networks(value: Any) -> tuple[Network, ...]:
    found = []
    for place, part in enumerate(_texts(value)):
        try:
            found.append(ip_network(part))
        except ValueError:
            raise ValueError(f"entry {place + 1} must be a network such as 10.0.0.0/8, host bits zero") from None
    return tuple(found)


def _one_of(*choices: str) -> Check:
    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return str(value)

    return check


def _base_url(value: Any) -> str:
    text = _text(value)
    if not text:
        return ""
    parts = urlsplit(text)  # raises ValueError by itself for a broken port or bracket
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
        text = _text(value)
        if text and not text.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return Secret(text)

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
    trusted_proxies: tuple[Network, ...] = _setting((), _networks)


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

    allow: tuple[Network, ...] = _setting((), _networks)
    upstream_concurrency: int = _setting(8, _whole(1, 1000))


@dataclass(frozen=True, slots=True)
class Sandbox:
    """`clock_offset_s` moves `now` in every process, so that deadlines can be tried; sandbox only."""

    enabled: bool = _setting(default=False, check=_flag)
    clock_offset_s: int = _setting(0, _whole(-10 * 366 * 86_400, 10 * 366 * 86_400))


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """Where bytes wait while the store is down: `path` relative to the home, `bytes` its preallocated size."""

    path: str = _setting("spool.bin", _text)
    bytes: int = _setting(64 * MIB, _whole(MIB, 64 * 1024 * MIB))


@dataclass(frozen=True, slots=True)
class Security:
    """The bucket of unverified traffic per source address and channel: `unverified_burst` at once, then a rate."""

    unverified_burst: int = _setting(120, _whole(1, 1_000_000))
    unverified_per_second: float = _setting(2.0, _number(0.01, 1_000_000))


@dataclass(frozen=True, slots=True)
class Retention:
    """How long raw payloads, quarantine and audit are kept, in days; `quarantine_bytes` is its quota on disk."""

    raw_days: int = _setting(30, _whole(1, 3650))
    quarantine_days: int = _setting(3, _whole(1, 3650))
    audit_days: int = _setting(1095, _whole(1, 36_500))
    quarantine_bytes: int = _setting(256 * MIB, _whole(MIB, 1024 * 1024 * MIB))


@dataclass(frozen=True, slots=True)
class Plugins:
    """`allow`: distributions beside our own whose plug-ins are loaded; `*` stands for every installed one."""

    allow: tuple[str, ...] = _setting(("*",), _texts)


@dataclass(frozen=True, slots=True)
class Log:
    """`level` of the log on stderr."""

    level: str = _setting("info", _one_of("debug", "info", "warning", "error"))


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
    plugins: Plugins = Plugins()
    log: Log = Log()
