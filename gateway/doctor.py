"""`drainage check`: a line for each thing that has to be right, and what to do where it is not."""

from __future__ import annotations

import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gateway import audit, payouts
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import BadConfig, StoreTrouble
from gateway.contract.store import Tx
from gateway.heartbeat import SILENT_AFTER, worker_state
from gateway.ledger import book
from gateway.relay import Guard, RelayFailed, Upstream
from gateway.runtime import Runtime
from gateway.store import sqlite_path
from gateway.store.engine import sqlite3

FREE_BYTES: Final = 512 * 1024 * 1024
_CLOCK_SLACK: Final = timedelta(minutes=10)
_WAL_RESET_FIXED: Final = (3, 51, 3)
_WAL_RESET_SINCE: Final = (3, 7, 0)
_CONNECT_S: Final = 2.0
_OVERDUE: Final = "SELECT id FROM outbox WHERE state = 'due' AND due_at < :then LIMIT 1"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, whether it is right, and what was found."""

    name: str
    ok: bool
    detail: str


def examine(runtime: Runtime) -> Iterator[Finding]:
    """Every finding, one at a time; nothing is changed."""
    yield _secret_modes(runtime)
    yield _disk(runtime)
    database = sqlite_path(runtime.config.store.url.reveal(), runtime.home.root)
    if database is not None:
        yield _sqlite_version()
    try:
        yield runtime.store.read(lambda tx: _clock(tx, runtime))
        yield runtime.store.read(_ledger)
        yield runtime.store.read(_audit)
        runtime.vault()
        yield Finding("data keys", ok=True, detail="the store opens with this secret.key")
    except (StoreTrouble, LookupError) as trouble:
        yield Finding("store", ok=False, detail=str(trouble))
        return
    yield _worker(runtime)
    yield from _channels(runtime)


def _secret_modes(runtime: Runtime) -> Finding:
    try:
        runtime.home.master_key()
    except BadConfig as fault:
        return Finding("secret.key", ok=False, detail=str(fault))
    is_open = stat.S_IMODE(runtime.home.secret_file.stat().st_mode) & 0o077
    return Finding("secret.key", not is_open, "open to others: chmod 600" if is_open else "closed to others")


def _disk(runtime: Runtime) -> Finding:
    free = shutil.disk_usage(runtime.home.root).free
    return Finding("disk", free >= FREE_BYTES, f"{free // 1024 // 1024} MiB free")


def _sqlite_version() -> Finding:
    version = sqlite3.sqlite_version
    number = tuple(int(part) for part in version.split("."))
    # Several processes in WAL mode can corrupt the file there (fixed in 3.51.3, https://www.sqlite.org/wal.html).
    risky = _WAL_RESET_SINCE <= number < _WAL_RESET_FIXED
    return Finding("SQLite", not risky, f"{version}; install pysqlite3" if risky else version)


def _clock(tx: Tx, runtime: Runtime) -> Finding:
    last = tx.one("SELECT received_at FROM deliveries ORDER BY id DESC LIMIT 1")
    if last is not None and from_text(last["received_at"]) > runtime.clock() + _CLOCK_SLACK:
        return Finding("clock", ok=False, detail=f"behind the last notification, which came {last['received_at']}")
    return Finding("clock", ok=True, detail=f"{runtime.clock():%Y-%m-%d %H:%M:%S} UTC")


def _ledger(tx: Tx) -> Finding:
    faults = [*book.faults(tx), *payouts.faults(tx)]
    return Finding("ledger", not faults, "sums to zero" if not faults else "; ".join(faults))


def _audit(tx: Tx) -> Finding:
    broken = audit.first_broken(tx)
    return Finding("audit log", broken is None, "chain intact" if broken is None else f"broken at row {broken}")


def _worker(runtime: Runtime) -> Finding:
    state = worker_state(runtime.home.run_dir, runtime.clock())
    if state == "none":
        # A home that never served (fresh, restored) owes nothing yet; one that owes and has no worker is at fault.
        overdue = to_text(runtime.clock() - SILENT_AFTER)
        late = runtime.store.read(lambda tx: tx.one(_OVERDUE, {"then": overdue}))
        return Finding("worker", late is None, "not started yet" if late is None else "never seen, and work is overdue")
    return Finding("worker", state == "ok", "alive" if state == "ok" else "silent for a minute")


def _channels(runtime: Runtime) -> Iterator[Finding]:
    guard = Guard(runtime.config.relay.allow)
    for channel in runtime.directory().channels():
        slug = channel.spec.slug
        yield Finding(f"channel {slug}: keys", not channel.trouble, channel.trouble or "they load")
        if channel.upstream:
            yield _reachable(guard, slug, channel.upstream, channel.spec.timeout_ms)
    for _, wallet in runtime.directory().wallets():
        yield Finding(
            f"channel {wallet.channel}: wallet", not wallet.trouble, wallet.trouble or "customers can sign in"
        )


def _reachable(guard: Guard, slug: str, url: str, timeout_ms: int) -> Finding:
    name = f"channel {slug}: till"
    try:
        pinned = guard.resolve(Upstream.of(slug, url, timeout_ms).target, lambda: _CONNECT_S)
    except RelayFailed as failed:
        return Finding(name, ok=False, detail=str(failed))
    for place in pinned:
        try:
            with closing(socket.create_connection((place.address, place.port), timeout=_CONNECT_S)):
                return Finding(name, ok=True, detail="reachable")
        except OSError:
            continue
    return Finding(name, ok=False, detail="not reachable")
