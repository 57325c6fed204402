"""PostgreSQL underneath: the same statements, a pool of connections, one transaction a piece of work.

READ COMMITTED with `Tx.lock` for deciders, unique indexes as the last word; deadlocks and serialization failures are
tried again, which is why work must not reach outside its transaction.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any, Final, Literal, TypeVar, cast
from zlib import crc32

import psycopg
import structlog
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from gateway.contract.errors import StoreBusy, StoreUnavailable
from gateway.contract.store import Params, Row, Tx
from gateway.store.dialect import postgres_sql
from gateway.store.forks import after_fork

T = TypeVar("T")
log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

TRIES: Final = 5
POOL_WAIT_S: Final = 5.0
"""How long a caller without a time of his own waits for a connection."""

_TRY_AGAIN: Final = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)


class PostgresTx:
    """An open transaction on one pooled connection."""

    dialect: Literal["postgres"] = "postgres"

    def __init__(self, connection: psycopg.Connection[dict[str, Any]], deadline: float | None = None) -> None:
        """`deadline`: a `time.monotonic()` after which no statement is begun any more; StoreBusy is raised instead."""
        self._connection = connection
        self._deadline = deadline

    def run(self, sql: str, params: Params | None = None, /) -> int:
        """See `Tx.run`."""
        return self._execute(sql, params).rowcount

    def one(self, sql: str, params: Params | None = None, /) -> Row | None:
        """See `Tx.one`."""
        return cast("Row | None", self._execute(sql, params).fetchone())

    def all(self, sql: str, params: Params | None = None, /) -> list[Row]:
        """See `Tx.all`."""
        return cast("list[Row]", self._execute(sql, params).fetchall())

    def lock(self, name: str, /) -> None:
        """See `Tx.lock`: an advisory lock that ends with the transaction."""
        self._execute("SELECT pg_advisory_xact_lock(:space, :name)", {"space": 0x647261, "name": _lock_number(name)})

    def savepoint(self) -> contextlib.AbstractContextManager[None]:
        """See `Tx.savepoint`."""
        return self._savepoint()

    @contextlib.contextmanager
    def _savepoint(self) -> Iterator[None]:
        with self._connection.transaction():
            yield

    def _execute(self, sql: str, params: Params | None) -> psycopg.Cursor[dict[str, Any]]:
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise StoreBusy("the time for this work is over")
        return self._connection.execute(postgres_sql(sql).encode(), params or {})


class PostgresStore:
    """`Store` on a PostgreSQL database. Connections are made after the fork, on first use."""

    def __init__(self, dsn: str, *, connections: int = 16) -> None:
        self._dsn = dsn
        self._connections = connections
        self._inherited: list[object] = []
        self._pool: ConnectionPool[psycopg.Connection[dict[str, Any]]] | None = None
        self._forget()
        after_fork(self._forget)

    def _forget(self) -> None:
        """Start with nothing: no thread and no connection of a parent process is ours."""
        # Kept, for a pool that is dropped says goodbye to the server on its parent's connections.
        self._inherited.append(self._pool)
        self._lock = threading.Lock()
        self._pool = None
        self._later: SimpleQueue[Callable[[Tx], object] | None] = SimpleQueue()
        self._later_thread: threading.Thread | None = None

    def write(self, work: Callable[[Tx], T], /, *, timeout: float | None = None) -> T:
        """See `Store.write`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for _ in range(TRIES):
            # A deadlock or serialization failure: whoever was in the way has been served, so try again.
            with contextlib.suppress(*_TRY_AGAIN):
                return self._write_once(work, deadline)
        raise StoreBusy(f"in somebody's way {TRIES} times")

    def _write_once(self, work: Callable[[Tx], T], deadline: float | None) -> T:
        with self._connection(deadline) as connection:
            if deadline is not None:
                # No statement may wait longer than what is left; 0 would mean for ever.
                left = max(1, int((deadline - time.monotonic()) * 1000))
                connection.execute(b"SET LOCAL statement_timeout = %d" % left)
            return work(PostgresTx(connection, deadline))

    def write_later(self, work: Callable[[Tx], object], /) -> None:
        """See `Store.write_later`."""
        # Under the lock, so that no work comes to a queue behind the word that closes it.
        with self._lock:
            if self._later_thread is None:
                self._later = SimpleQueue()
                self._later_thread = threading.Thread(
                    target=self._later_loop, args=(self._later,), name="store-later", daemon=True
                )
                self._later_thread.start()
            self._later.put(work)

    def _later_loop(self, jobs: SimpleQueue[Callable[[Tx], object] | None]) -> None:
        while (work := jobs.get()) is not None:
            try:
                self.write(work)
            except Exception:
                log.exception("queued_write_failed")

    def read(self, work: Callable[[Tx], T], /) -> T:
        """See `Store.read`."""
        with self._connection(None) as connection:
            connection.execute(b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            return work(PostgresTx(connection))

    def close(self) -> None:
        """See `Store.close`."""
        with self._lock:
            later, self._later_thread = self._later_thread, None
            if later is not None:
                self._later.put(None)
        if later is not None:
            later.join()
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _opened_pool(self) -> ConnectionPool[psycopg.Connection[dict[str, Any]]]:
        with self._lock:
            if self._pool is None:
                self._pool = ConnectionPool(
                    self._dsn,
                    min_size=1,
                    max_size=self._connections,
                    open=True,
                    kwargs={"row_factory": dict_row},
                    check=ConnectionPool.check_connection,
                )
            return self._pool

    @contextlib.contextmanager
    def _connection(self, deadline: float | None) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        """A connection inside a transaction. A lost server is StoreUnavailable, a busy pool or a lock StoreBusy."""
        wait = POOL_WAIT_S if deadline is None else max(0.001, deadline - time.monotonic())
        try:
            with self._opened_pool().connection(timeout=wait) as connection, connection.transaction():
                yield connection
        except PoolTimeout as error:
            raise StoreBusy("no connection within the time") from error
        except PoolClosed as error:
            raise StoreUnavailable("the store is closed") from error
        except psycopg.errors.QueryCanceled as error:
            raise StoreBusy("not done within the time") from error
        except _TRY_AGAIN:
            raise
        except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction) as error:
            raise StoreUnavailable(str(error)) from error


def _lock_number(name: str) -> int:
    """A name as a signed 32-bit number. Two names that share one only wait for each other needlessly."""
    return crc32(name.encode()) - 2**31
