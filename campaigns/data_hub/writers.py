"""Writing a record to a target: an address, a SQLite file, a Redis (R214). Each way may be gone twice for one record.

Every writer gives "" when the target has it, else a stable word for what went wrong; none raises for what a target
does. `is_targets_fault` tells a target that is down from one that does not want this record.
"""

from __future__ import annotations

import base64
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from campaigns.data_hub.models import Model, canonical
from campaigns.data_hub.settings import Target
from crypto.mac import hmac_sha256
from gateway.contract.house import Catalogue, House

_TIMEOUT_S: Final = 5.0
_OK: Final = range(200, 300)
_CLIENT: Final = range(400, 500)
_NOT_THIS_RECORD: Final = frozenset({400, 406, 409, 411, 412, 413, 415, 422, 428, 431})
"""Statuses by which a receiver refuses one record and not everybody (RFC 9110, section 15.5)."""
_COLUMNS: Final = {"int": "INTEGER", "bool": "INTEGER", "text": "TEXT", "time": "TEXT"}
_DEFAULT_PORT: Final = 6379

_SET_NEWER: Final = """
local known = redis.call('HGET', KEYS[1], 'version')
if known and tonumber(known) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'hash', ARGV[2], 'data', ARGV[3])
return 1
"""
"""A hash a key of the model; an older version never replaces a newer one."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One record on its way to a target; `data` is already in the target's words."""

    delivery: str
    campaign: str
    key: str
    version: int
    hash: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a try. `error` "" when it was written; `is_targets_fault`: nobody's record would fare better."""

    error: str = ""
    is_targets_fault: bool = False


def write(house: House, target: Target, model: Model, parcel: Parcel, now: datetime) -> Tried:
    """Write a parcel to its target. Outside any transaction."""
    if target.kind == "http":
        return _to_http(house, target, model, parcel, now)
    if target.kind == "sqlite":
        return _to_sqlite(house.files("data_hub"), target, model, parcel)
    return _to_redis(house, target, model, parcel)


# -- an address -------------------------------------------------------------------------------------------------------


def signing_key(house: House, campaign: str, target: str) -> bytes:
    """The key that this target's messages are signed with: derived, so that no file holds it."""
    return house.blind(f"{campaign}/{target}", "data_hub/signing")


def secret_text(key: bytes) -> str:
    """A signing key as a receiver's library takes it (Standard Webhooks 1.0)."""
    return "whsec_" + base64.b64encode(key).decode()


def _to_http(house: House, target: Target, model: Model, parcel: Parcel, now: datetime) -> Tried:
    body = canonical(parcel.data)
    seconds = int(now.timestamp())
    signed = hmac_sha256(
        signing_key(house, parcel.campaign, target.name), f"{parcel.delivery}.{seconds}.".encode() + body
    )
    headers = [
        ("Idempotency-Key", parcel.delivery),
        ("X-Drainage-Model", model.id),
        ("X-Drainage-Key", quote(parcel.key, safe="")),
        ("X-Drainage-Version", str(parcel.version)),
        ("X-Drainage-Hash", parcel.hash),
        ("webhook-id", parcel.delivery),
        ("webhook-timestamp", str(seconds)),
        ("webhook-signature", f"v1,{base64.b64encode(signed).decode()}"),
    ]
    status, error = house.post_json(target.url, headers, body)
    if status is None:
        return Tried(error or "broken", is_targets_fault=True)
    if status in _OK:
        return Tried()
    return Tried(f"status {status}", is_targets_fault=status not in _NOT_THIS_RECORD)


# -- a file -----------------------------------------------------------------------------------------------------------


def sqlite_file(folder: Path, campaign: str, target: Target) -> Path:
    """Where a SQLite target lies: always within the kind's own folder."""
    return folder / campaign / target.file


def _to_sqlite(folder: Path, target: Target, model: Model, parcel: Parcel) -> Tried:
    path = sqlite_file(folder, parcel.campaign, target)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made here, so that nobody but us can read it whatever the umask is.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        with closing(sqlite3.connect(path, timeout=_TIMEOUT_S)) as file, file:  # noqa: TID251 - not the store: a file for others
            _upsert(file, target, model, parcel)
    except (OSError, sqlite3.Error) as error:
        return Tried(type(error).__name__, is_targets_fault=True)
    return Tried()


def _upsert(file: sqlite3.Connection, target: Target, model: Model, parcel: Parcel) -> None:
    """A row a key and version. Names were checked when the settings were read; they are quoted all the same."""
    table = _quoted(model.id)
    file.execute(
        f"CREATE TABLE IF NOT EXISTS {table} (key TEXT NOT NULL, version INTEGER NOT NULL, hash TEXT NOT NULL, "
        "PRIMARY KEY (key, version))"
    )
    there = {str(row[1]).lower() for row in file.execute(f"PRAGMA table_info({table})")}
    for name, type_ in _columns(target, model).items():
        if name.lower() not in there:
            # A field that was added to the model since (R211).
            file.execute(f"ALTER TABLE {table} ADD COLUMN {_quoted(name)} {type_}")
    values = {"key": parcel.key, "version": parcel.version, "hash": parcel.hash, **parcel.data}
    names = list(values)
    changed = ", ".join(f"{_quoted(name)} = excluded.{_quoted(name)}" for name in names[2:])
    file.execute(
        f"INSERT INTO {table} ({', '.join(map(_quoted, names))}) VALUES ({', '.join('?' for _ in names)}) "
        f"ON CONFLICT (key, version) DO UPDATE SET {changed}",
        list(values.values()),
    )


def _columns(target: Target, model: Model) -> dict[str, str]:
    mapped = {
        known.map[target.name]: _COLUMNS[known.type] for known in model.fields.values() if target.name in known.map
    }
    found = mapped or {key: _COLUMNS[known.type] for key, known in model.fields.items()}
    return {**found, model.key_as[target.name]: "TEXT"} if target.name in model.key_as else found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# -- a Redis ----------------------------------------------------------------------------------------------------------


def has_redis() -> bool:
    """Whether the library is installed."""
    return find_spec("redis") is not None


def redis_refusal(catalogue: Catalogue, url: str) -> str | None:
    """Why a Redis may not be called, by the same rule as any other address; None for one that may."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return catalogue.refuses(f"http://{host}:{parts.port or _DEFAULT_PORT}/")


def redis_key(target: Target, model: Model, key: str) -> str:
    """The name under which a record's newest version lies."""
    return f"{target.prefix}{model.id}:{key}"


def _to_redis(house: House, target: Target, model: Model, parcel: Parcel) -> Tried:
    url = target.url or house.redis_url
    if not url or not has_redis():
        return Tried("no_redis", is_targets_fault=True)
    # The house's own Redis is the operator's setting; an address of the apply file is vetted as every other.
    if target.url and redis_refusal(house.catalogue(), url) is not None:
        return Tried("forbidden_address", is_targets_fault=True)
    import redis

    try:
        client = redis.Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        with closing(client):
            client.eval(
                _SET_NEWER,
                1,
                redis_key(target, model, parcel.key),
                str(parcel.version),
                parcel.hash,
                canonical(parcel.data).decode(),
            )
    except redis.TimeoutError:
        return Tried("timeout", is_targets_fault=True)
    except redis.ConnectionError:
        return Tried("refused", is_targets_fault=True)
    except (redis.RedisError, OSError, ValueError) as error:
        return Tried(type(error).__name__, is_targets_fault=True)
    return Tried()
