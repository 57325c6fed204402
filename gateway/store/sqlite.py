"""SQLite underneath: one writer thread a process that commits many callers' work with one sync (group commit).

Callers hand over a function and wait; the writer drains its queue, opens one `BEGIN IMMEDIATE`, runs each function in
a savepoint of its own, commits with `synchronous=FULL`, and wakes them all. Between processes a lock file gives the
turns, since SQLite's own busy wait is not fair and starves one side.

The file is opened only if it exists, and its identity is looked at before every batch: a database that was moved
away must not swallow answered events in an unlinked file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast

import structlog

from gateway.contract.errors import StoreBusy, StoreUnavailable
from gateway.contract.store import Params, Row, Tx
from gateway.store.engine import sqlite3
from gateway.store.forks import after_fork

T = TypeVar("T")
log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

BATCH: Final = 128
"""The most pieces of work that share one commit; a bound on what one failure of the disk takes with it."""

WAL_LIMIT: Final = 64 * 1024 * 1024
"""Beyond this a process checkpoints by itself: the background worker, whose job it is, must be gone."""

# What SQLite says when the fault is not in our statement (https://www.sqlite.org/rescode.html, primary codes).
_STORE_FAULTS: Final = frozenset({3, 5, 6, 8, 10, 11, 13, 14, 15, 22, 23, 26})


class SqliteTx:
    """An open transaction on one connection."""

    dialect: Literal["sqlite"] = "sqlite"

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(self, sql: str, params: Params | None = None, /) -> int:
        """See `Tx.run`."""
        return cast("int", self._connection.execute(sql, params or {}).rowcount)

    def one(self, sql: str, params: Params | None = None, /) -> Row | None:
        """See `Tx.one`."""
        return cast("Row | None", self._connection.execute(sql, params or {}).fetchone())

    def all(self, sql: str, params: Params | None = None, /) -> list[Row]:
        """See `Tx.all`."""
        return cast("list[Row]", self._connection.execute(sql, params or {}).fetchall())

    def lock(self, name: str, /) -> None:
        """Nothing to do: a writing transaction is alone."""

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """See `Tx.savepoint`."""
        execute = self._connection.execute
        execute("SAVEPOINT inner_work")
        try:
            yield
        except BaseException:
            # A full disk may have rolled everything back already; then there is no savepoint to go back to.
            if self._connection.in_transaction:
                execute("ROLLBACK TO inner_work")
                execute("RELEASE inner_work")
            raise
        execute("RELEASE inner_work")


class _Job:
    """One caller's work on its way through the writer; nobody waits for one that is `unattended`."""

    __slots__ = ("done", "error", "result", "unattended", "work")

    def __init__(self, work: Callable[[Tx], Any], *, unattended: bool = False) -> None:
        self.work = work
        self.unattended = unattended
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()


class SqliteStore:
    """`Store` on one SQLite file. `path` must exist: `gateway.store.migrate` makes it."""

    def __init__(self, path: Path) -> None:
        self._name = str(path)
        self._inherited: list[threading.local] = []
        self._readers = threading.local()
        self._forget()
        after_fork(self._forget)

    def _forget(self) -> None:
        """Start with nothing: no thread and no connection of a parent process is ours."""
        # Kept, for a connection that is dropped is closed, and closing would touch the parent's locks and log.
        self._inherited.append(self._readers)
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._readers = threading.local()

    # -- the callers' side ------------------------------------------------------------------------------------------

    def write(self, work: Callable[[Tx], T], /, *, timeout: float | None = None) -> T:
        """See `Store.write`."""
        job = _Job(work)
        self._submit(job)
        if not job.done.acquire(timeout=-1 if timeout is None else timeout):
            raise StoreBusy(f"not committed within {timeout} s")
        if job.error is not None:
            raise job.error
        return cast("T", job.result)

    def write_later(self, work: Callable[[Tx], object], /) -> None:
        """See `Store.write_later`."""
        self._submit(_Job(work, unattended=True))

    def read(self, work: Callable[[Tx], T], /) -> T:
        """See `Store.read`."""
        identity = _identity(self._name)
        connection = getattr(self._readers, "connection", None)
        if connection is None or self._readers.identity != identity:
            self._drop_reader()
            connection = _open(self._name)
            connection.execute("PRAGMA query_only = 1")
            self._readers.connection, self._readers.identity = connection, identity
        try:
            connection.execute("BEGIN")
            try:
                return work(SqliteTx(connection))
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            if _is_store_fault(error):
                self._drop_reader()
                raise StoreUnavailable(str(error)) from error
            raise

    def close(self) -> None:
        """See `Store.close`. This thread's reading connection goes too; other threads' go with their threads."""
        self._drop_reader()
        with self._lock:
            writer, self._writer = self._writer, None
            if writer is not None:
                self._jobs.put(None)
        if writer is not None:
            writer.join()

    def _drop_reader(self) -> None:
        connection = getattr(self._readers, "connection", None)
        self._readers.connection = None
        if connection is not None:
            connection.close()

    def _submit(self, job: _Job) -> None:
        # Under the lock, so that no work comes to a queue behind the word that closes it.
        with self._lock:
            if self._writer is None:
                self._jobs = queue.SimpleQueue()
                self._writer = threading.Thread(
                    target=_write_loop, args=(self._name, self._jobs), name="store-writer", daemon=True
                )
                self._writer.start()
            self._jobs.put(job)


def _write_loop(name: str, jobs: queue.SimpleQueue[_Job | None]) -> None:
    writer = _Writer(name)
    closing = False
    while not closing and (first := jobs.get()) is not None:
        batch = [first]
        closing = writer.commit(batch, jobs)
        for job in batch:
            if job.unattended and job.error is not None:
                log.error("queued_write_failed", exc_info=job.error)
            job.done.release()
    writer.drop()


def _take_more(batch: list[_Job], jobs: queue.SimpleQueue[_Job | None]) -> bool:
    """Fill the batch with all that waits by now; True when the store is closing."""
    while len(batch) < BATCH:
        try:
            job = jobs.get_nowait()
        except queue.Empty:
            break
        if job is None:
            return True
        batch.append(job)
    return False


class _Writer:
    """The one connection of this process that writes; opened again whenever the file changes or fails."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._connection: Any = None
        self._identity: tuple[int, int] | None = None
        self._turns: _Turns | None = None

    def commit(self, batch: list[_Job], jobs: queue.SimpleQueue[_Job | None]) -> bool:
        """One synced transaction for the batch and for all that came while its turn was awaited. Raises nothing.

        Each job gets its result or its error. True when the store is closing.
        """
        closing = False
        try:
            if self._turns is None:
                self._turns = _Turns(self._name + ".turn")
            with self._turns:
                closing = _take_more(batch, jobs)
                identity = _identity(self._name)
                if self._connection is None or identity != self._identity:
                    self._drop_connection()
                    self._connection, self._identity = _open(self._name), identity
                _commit(self._connection, batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, each waiting caller must hear of it
            for job in batch:
                job.result, job.error = None, error if isinstance(error, StoreUnavailable) else _unavailable(error)
            self.drop()
        else:
            self._bound_wal()
        return closing

    def drop(self) -> None:
        """Let go of everything; the next commit opens it anew, the lock file included, which may have moved too."""
        self._drop_connection()
        if self._turns is not None:
            self._turns.close()
            self._turns = None

    def _drop_connection(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _bound_wal(self) -> None:
        try:
            size = os.stat(self._name + "-wal").st_size  # noqa: PTH116 - a Path here costs more than the call
        except OSError:
            return
        if size > WAL_LIMIT:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


class _Turns:
    """A lock file between the processes that write: whoever waits gets the next turn."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._fd)


def _commit(connection: Any, batch: list[_Job]) -> None:
    """One transaction for the whole batch. A job that fails is undone alone; a failing disk fails them all."""
    execute = connection.execute
    execute("BEGIN IMMEDIATE")
    tx = SqliteTx(connection)
    try:
        for job in batch:
            execute("SAVEPOINT job")
            try:
                job.result = job.work(tx)
            except sqlite3.Error as error:
                if _is_store_fault(error) or not connection.in_transaction:
                    raise
                job.error = error
            except BaseException as error:  # noqa: BLE001 - handed to the caller who waits for it
                job.error = error
            if job.error is not None:
                execute("ROLLBACK TO job")
            execute("RELEASE job")
        execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                execute("ROLLBACK")
        raise StoreUnavailable(str(error)) from error


def _open(name: str) -> Any:
    """A connection in autocommit mode to a file that must exist. Raises StoreUnavailable."""
    uri = "file:" + name.replace("%", "%25").replace("?", "%3f").replace("#", "%23") + "?mode=rw"
    try:
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5, cached_statements=512
        )
    except sqlite3.Error as error:
        raise StoreUnavailable(str(error)) from error
    connection.row_factory = sqlite3.Row
    try:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "wal_autocheckpoint = 0",
            "cache_size = -65536",
            "temp_store = MEMORY",
            "mmap_size = 0",
        ):
            connection.execute("PRAGMA " + pragma).fetchall()
    except sqlite3.Error as error:
        connection.close()
        raise StoreUnavailable(str(error)) from error
    return connection


def _identity(name: str) -> tuple[int, int]:
    """Device and inode of the file, so that a file put in its place is noticed. Raises StoreUnavailable."""
    try:
        found = os.stat(name)  # noqa: PTH116 - a Path here costs more than the call
    except OSError as error:
        raise StoreUnavailable(str(error)) from error
    return found.st_dev, found.st_ino


def _unavailable(error: Exception) -> StoreUnavailable:
    fault = StoreUnavailable(str(error))
    fault.__cause__ = error
    return fault


def _is_store_fault(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF) in _STORE_FAULTS


def checkpoint(path: Path) -> None:
    """Move the write-ahead log into the database file. For the background worker. Raises StoreUnavailable."""
    connection = _open(str(path))
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as error:
        raise StoreUnavailable(str(error)) from error
    finally:
        connection.close()
