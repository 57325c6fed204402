"""A file that goes away, is replaced, is locked, fills its disk: said as StoreUnavailable or StoreBusy, then recovered."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading

import pytest

from gateway.contract.errors import StoreBusy, StoreUnavailable
from gateway.store.engine import sqlite3
from gateway.store.sqlite import SqliteStore, checkpoint
from tests.support.databases import missing, sqlite_store

PUT = "INSERT INTO meta (name, value) VALUES (:name, :value)"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "d.db"


@pytest.fixture
def store(path):
    path.parent.mkdir()
    made = sqlite_store(path)
    yield made
    made.close()


def _put(store, name, timeout=10.0):
    store.write(lambda tx: tx.run(PUT, {"name": name, "value": "x"}), timeout=timeout)


def _names(store):
    return [row["name"] for row in store.read(lambda tx: tx.all("SELECT name FROM meta ORDER BY name"))]


def _both_fail(store):
    with pytest.raises(StoreUnavailable):
        _put(store, "lost")
    with pytest.raises(StoreUnavailable):
        _names(store)


def test_a_file_that_was_never_made_is_not_made_by_using_it(tmp_path):
    store = SqliteStore(tmp_path / "none.db")
    _both_fail(store)
    assert not (tmp_path / "none.db").exists()
    store.close()


def test_a_folder_that_is_not_there_fails_every_write_and_hangs_none(tmp_path):
    store = SqliteStore(tmp_path / "no" / "such" / "d.db")
    for _ in range(3):
        _both_fail(store)
    store.close()


def test_a_file_moved_away_swallows_nothing_and_serves_again_when_it_is_back(store, path):
    _put(store, "a")
    aside = path.with_name("aside")
    aside.mkdir()
    for name in ("d.db", "d.db-wal", "d.db-shm"):
        shutil.move(path.with_name(name), aside / name)
    _both_fail(store)
    for name in ("d.db", "d.db-wal", "d.db-shm"):
        if (aside / name).exists():
            shutil.move(aside / name, path.with_name(name))
    _put(store, "b")
    assert _names(store) == ["a", "b"]


def test_the_whole_folder_moved_away_and_back(store, path, tmp_path):
    _put(store, "a")
    path.parent.rename(tmp_path / "elsewhere")
    _both_fail(store)
    (tmp_path / "elsewhere").rename(path.parent)
    _put(store, "b")
    assert _names(store) == ["a", "b"]


def test_a_file_put_in_its_place_is_the_store_from_then_on(store, path, tmp_path):
    _put(store, "old")
    assert _names(store) == ["old"]
    other = sqlite_store(tmp_path / "new.db")
    _put(other, "new")
    other.close()
    checkpoint(tmp_path / "new.db")
    for name in ("d.db-wal", "d.db-shm"):
        path.with_name(name).unlink()
    os.replace(tmp_path / "new.db", path)
    assert _names(store) == ["new"]
    _put(store, "newer")
    assert _names(store) == ["new", "newer"]


@pytest.mark.parametrize(
    "content", [b"not a database at all, by no means" * 40, b"SQLite format 3\x00" + b"\xff" * 4096]
)
def test_a_file_that_is_no_database_is_unavailable_not_a_crash(tmp_path, content):
    (tmp_path / "d.db").write_bytes(content)
    store = SqliteStore(tmp_path / "d.db")
    _both_fail(store)
    with pytest.raises(StoreUnavailable):
        checkpoint(tmp_path / "d.db")
    store.close()


def test_a_damaged_page_is_unavailable_not_a_crash(store, path):
    _put(store, "a")
    store.close()
    checkpoint(path)
    raw = bytearray(path.read_bytes())
    raw[4096:] = b"\xa5" * (len(raw) - 4096)
    path.write_bytes(bytes(raw))
    with pytest.raises(StoreUnavailable):
        _names(store)
    with pytest.raises(StoreUnavailable):
        _put(store, "b")


def test_a_file_that_may_not_be_touched_is_unavailable_until_it_may(store, path):
    _put(store, "a")
    store.close()
    path.chmod(0o000)
    was = os.geteuid()
    try:
        if was == 0:
            os.seteuid(65534)  # root may touch everything; nobody may not
        _both_fail(store)
    finally:
        os.seteuid(was)
        path.chmod(0o600)
    _put(store, "c")
    assert _names(store) == ["a", "c"]


def test_a_held_lock_is_busy_and_the_work_comes_late(store, path):
    """R019: past its time the caller goes on; the effect that commits later is fine."""
    _put(store, "a")
    holder = sqlite3.connect(str(path), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy):
        _put(store, "late", timeout=0.1)
    with pytest.raises(StoreBusy):
        _put(store, "later", timeout=0)
    assert _names(store) == ["a"]
    holder.execute("ROLLBACK")
    holder.close()
    _put(store, "z")
    assert _names(store) == ["a", "late", "later", "z"]


def test_work_that_takes_long_makes_its_neighbours_busy_not_lost(store):
    inside, go = threading.Event(), threading.Event()
    slow = threading.Thread(target=lambda: store.write(lambda tx: (inside.set(), go.wait(20))))
    slow.start()
    assert inside.wait(10)
    with pytest.raises(StoreBusy):
        _put(store, "late", timeout=0.05)
    go.set()
    slow.join()
    _put(store, "z")
    assert _names(store) == ["late", "z"]


def test_work_that_ends_the_thread_by_all_means_only_fails(store):
    def leave(tx):
        tx.run(PUT, {"name": "half", "value": "x"})
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        store.write(leave, timeout=10)
    _put(store, "a")
    assert _names(store) == ["a"]


def test_the_log_is_moved_into_the_file_by_the_worker(store, path):
    for number in range(20):
        _put(store, f"n{number:02d}")
    wal = path.with_name("d.db-wal")
    assert wal.stat().st_size > 0
    checkpoint(path)
    assert wal.stat().st_size == 0
    assert len(_names(store)) == 20


def test_a_log_that_grew_too_long_is_moved_by_whoever_sees_it(store, path, monkeypatch):
    """The worker is gone; the file must not fill the disk."""
    monkeypatch.setattr("gateway.store.sqlite.WAL_LIMIT", 50_000)
    for number in range(60):
        _put(store, f"n{number:02d}")
    assert path.with_name("d.db-wal").stat().st_size <= 60_000


def test_every_commit_is_synced(store):
    """Durable when `write` returns: WAL with synchronous=FULL (2), on the connection that writes."""
    pragmas = store.write(
        lambda tx: [tx.one(f"PRAGMA {name}")[name] for name in ("journal_mode", "synchronous", "wal_autocheckpoint")]
    )
    assert pragmas == ["wal", 2, 0]


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        missing("a disk of its own can be mounted by root only")
    mount = tmp_path / "small"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(mount)], check=False, capture_output=True
    )
    if made.returncode != 0:
        missing("tmpfs cannot be mounted here")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def test_a_full_disk_refuses_what_it_cannot_keep_and_keeps_what_it_said(small_disk):
    store = sqlite_store(small_disk / "d.db")
    acknowledged = []

    def fill(number):
        store.write(lambda tx: tx.run(PUT, {"name": f"n{number:05d}", "value": "x" * 20_000}), timeout=10)
        acknowledged.append(f"n{number:05d}")

    with pytest.raises(StoreUnavailable):
        for number in range(1000):
            fill(number)
    assert len(acknowledged) > 10
    with pytest.raises(StoreUnavailable):
        fill(5000)
    assert _names(store) == acknowledged
    # Space comes back: a colleague's file is deleted, or the log is moved into the database.
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    fill(6000)
    assert _names(store) == acknowledged
    store.close()
    reopened = SqliteStore(small_disk / "d.db")
    assert _names(reopened) == acknowledged
    reopened.close()
