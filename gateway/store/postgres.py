"""PostgreSQL underneath: the same statements, a pool of connections, one transaction a piece of work.

READ COMMITTED with `Tx.lock` for deciders, unique indexes as the last word; deadlocks and serialization failures are
tried again, which is why work must not reach outside its transaction.
"""

from __future__ import annotations

import contextlib
import os
import threading
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

T = TypeVar("T")
log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

TRIES: Final = 5


class PostgresTx:
    """An open transaction on one pooled connection."""

    dialect: Literal["postgres"] = "postgres"

    def __init__(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        self._connection = connection

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
        return self._connection.execute(postgres_sql(sql).encode(), params or {})


class PostgresStore:
    """`Store` on a PostgreSQL database. Connections are made after the fork, on first use."""

    def __init__(self, dsn: str, *, connections: int = 16) -> None:
        self._dsn = dsn
        self._connections = connections
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._start = threading.Lock()
        self._pool: ConnectionPool[psycopg.Connection[dict[str, Any]]] | None = None
        self._later: SimpleQueue[Callable[[Tx], object] | None] = SimpleQueue()
        self._later_thread: threading.Thread | None = None

    def write(self, work: Callable[[Tx], T], /, *, timeout: float | None = None) -> T:
        """See `Store.write`."""
        for attempt in range(TRIES):
            try:
                return self._write_once(work, timeout)
            except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
                if attempt == TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _write_once(self, work: Callable[[Tx], T], timeout: float | None) -> T:
        try:
            with self._connection(timeout) as connection:
                if timeout is not None:
                    connection.execute(b"SET LOCAL statement_timeout = %d" % int(timeout * 1000))
                return work(PostgresTx(connection))
        except psycopg.errors.QueryCanceled as error:
            raise StoreBusy(f"not committed within {timeout} s") from error

    def write_later(self, work: Callable[[Tx], object], /) -> None:
        """See `Store.write_later`."""
        self._after_fork()
        with self._start:
            if self._later_thread is None:
                self._later_thread = threading.Thread(target=self._later_loop, name="store-later", daemon=True)
                self._later_thread.start()
        self._later.put(work)

    def _later_loop(self) -> None:
        while (work := self._later.get()) is not None:
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
        if os.getpid() != self._pid:
            return
        if self._later_thread is not None:
            self._later.put(None)
            self._later_thread.join()
            self._later_thread = None
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _after_fork(self) -> None:
        if os.getpid() != self._pid:
            self._reset()

    @contextlib.contextmanager
    def _connection(self, timeout: float | None) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        """A connection inside a transaction. A lost server is StoreUnavailable, a busy pool StoreBusy."""
        self._after_fork()
        try:
            if self._pool is None:
                with self._start:
                    if self._pool is None:
                        self._pool = ConnectionPool(
                            self._dsn,
                            min_size=1,
                            max_size=self._connections,
                            open=True,
                            kwargs={"row_factory": dict_row},
                            check=ConnectionPool.check_connection,
                        )
            with self._pool.connection(timeout=timeout or 5.0) as connection, connection.transaction():
                yield connection
        except PoolTimeout as error:
            raise StoreBusy("no connection within the time") from error
        except PoolClosed as error:
            raise StoreUnavailable("the store is closed") from error
        except (psycopg.errors.QueryCanceled, psycopg.errors.TransactionRollback):
            raise
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise StoreUnavailable(str(error)) from error


def _lock_number(name: str) -> int:
    """A name as a signed 32-bit number. Two names that share one only wait for each other needlessly."""
    return crc32(name.encode()) - 2**31
