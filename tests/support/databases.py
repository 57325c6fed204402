"""Real databases for tests: SQLite files copied from a migrated one, and a throw-away PostgreSQL server."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

from gateway.contract.store import Store
from gateway.store import migrate_store, open_store
from gateway.store.sqlite import SqliteStore

REQUIRE_ALL = os.environ.get("REQUIRE_ALL") == "1"
_TEMPLATE = "drainage_template"


def missing(what: str) -> None:
    """Skip for want of `what`; fail where everything is required (REQUIRE_ALL=1)."""
    if REQUIRE_ALL:
        pytest.fail(f"REQUIRE_ALL=1, yet {what}")
    pytest.skip(what)


class PostgresServer:
    """A server of our own on a free port of 127.0.0.1, without fsync; gone with `stop`."""

    def __init__(self) -> None:
        self._bin = _programs()
        self._home = Path(tempfile.mkdtemp(prefix="drainage-postgres-"))
        self._as_postgres: list[str] = []
        if os.geteuid() == 0:
            # The server refuses to run as root.
            shutil.chown(self._home, "postgres", "postgres")
            self._as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        self.port = _free_port()
        self._numbers = 0
        self._emptied: str | None = None
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._home} -c fsync=off "
            f"-c full_page_writes=off -c shared_buffers=32MB -c max_connections=100 -c deadlock_timeout=200ms"
        )
        self._run("pg_ctl", "-w", "-D", self._data, "-l", str(self._home / "log"), "-o", options, "start")
        self._execute(f"CREATE DATABASE {_TEMPLATE}")
        migrate_store(self.url(_TEMPLATE), self._home)

    @property
    def _data(self) -> str:
        return str(self._home / "data")

    def _run(self, program: str, *arguments: str) -> None:
        # pg_ctl's child keeps the streams open, so they must not be pipes.
        subprocess.run(
            [*self._as_postgres, str(self._bin / program), *arguments],
            cwd="/",
            check=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def url(self, database: str) -> str:
        """Where a database is."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self, *, empty: bool = False) -> str:
        """A fresh database, migrated unless `empty`; its URL."""
        self._numbers += 1
        name = f"test_{self._numbers}"
        self._execute(f"CREATE DATABASE {name}" + ("" if empty else f" TEMPLATE {_TEMPLATE}"))
        return self.url(name)

    def take(self) -> str:
        """A migrated database without a row; its URL. One that came back serves again: making one costs more."""
        url, self._emptied = self._emptied, None
        return url or self.new_database()

    def give_back(self, url: str) -> None:
        """Done with what `take` gave. Where somebody still holds it, it is left alone."""
        with psycopg.connect(url) as connection, contextlib.suppress(psycopg.errors.LockNotAvailable):
            connection.execute("SET lock_timeout = '1s'")
            tables = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'drainage_migrations'"
            ).fetchall()
            connection.execute("; ".join(f"DELETE FROM {name}" for (name,) in tables).encode())
            self._emptied = url

    def crash_and_return(self) -> None:
        """As after a power cut: every connection is cut."""
        self._run("pg_ctl", "-w", "-D", self._data, "-m", "immediate", "-l", str(self._home / "log"), "restart")

    def stop(self) -> None:
        """End it at once, and leave nothing behind."""
        self._run("pg_ctl", "-w", "-D", self._data, "-m", "immediate", "stop")
        shutil.rmtree(self._home)


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if found and (found[-1] / "initdb").exists():
        return found[-1]
    on_path = shutil.which("initdb")
    if on_path is None or shutil.which("pg_ctl") is None:
        missing("no PostgreSQL server programs are installed")
    return Path(on_path or "").resolve().parent


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SqliteFiles:
    """Migrated files in a folder, each a copy of the first."""

    def __init__(self, folder: Path) -> None:
        self._template = folder / "template.db"
        migrate_store(f"sqlite:///{self._template}", folder)

    def new_database(self, folder: Path) -> str:
        """A fresh migrated file in `folder`; its URL."""
        path = folder / "drainage.db"
        shutil.copyfile(self._template, path)
        return f"sqlite:///{path}"


def opened(url: str) -> Store:
    """A store on this URL, whose path is absolute."""
    return open_store(url, Path("/"))


def sqlite_store(path: Path) -> SqliteStore:
    """A store on a fresh migrated file at `path`."""
    migrate_store(f"sqlite:///{path}", path.parent)
    return SqliteStore(path)
