"""Bringing a store's schema up to date: idempotent, safe with several processes at once, interrupted or not."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlite_utils import Database, Migrations

from gateway.contract.errors import StoreUnavailable
from gateway.store.dialect import postgres_ddl
from gateway.store.engine import sqlite3
from gateway.store.schema import CORE, Step


def migrate_sqlite(path: Path, *, name: str = "core", steps: Sequence[Step] = CORE) -> list[str]:
    """Apply what is missing, making the file (0600) if need be; the names of the steps applied.

    Raises StoreUnavailable. One transaction: a process that dies half-way leaves the old schema.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        lock = os.open(f"{path}.turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailable(str(error)) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection = sqlite3.connect(str(path), isolation_level=None, timeout=10)
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            # sqlite-utils opens a deferred transaction of its own, in which two starting processes would collide.
            connection.execute("BEGIN IMMEDIATE")
            try:
                applied = _apply(Database(connection, strict=True), name, steps)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return applied
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreUnavailable(str(error)) from error
    finally:
        os.close(lock)


def _apply(db: Database, name: str, steps: Sequence[Step]) -> list[str]:
    migrations = Migrations(f"drainage_{name}")
    for step in steps:

        def run(database: Database, statements: tuple[str, ...] = step.statements) -> None:
            for statement in statements:
                database.execute(statement)

        migrations(name=step.name)(run)
    pending = [migration.name for migration in migrations.pending(db)]
    migrations.apply(db)
    return pending


def migrate_postgres(dsn: str, *, name: str = "core", steps: Sequence[Step] = CORE) -> list[str]:
    """Apply what is missing to a PostgreSQL database; the names of the steps applied. Raises StoreUnavailable."""
    import psycopg

    try:
        with psycopg.connect(dsn) as connection:
            return _apply_postgres(connection, name, steps)
    except psycopg.OperationalError as error:
        raise StoreUnavailable(str(error)) from error


def _apply_postgres(connection: Any, name: str, steps: Sequence[Step]) -> list[str]:
    # Held to the end of the transaction: gateways that start together follow each other.
    connection.execute("SELECT pg_advisory_xact_lock(7496033)")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS drainage_migrations (set_name TEXT, step TEXT, PRIMARY KEY (set_name, step))"
    )
    done = {
        row[0]
        for row in connection.execute("SELECT step FROM drainage_migrations WHERE set_name = %s", (name,)).fetchall()
    }
    pending = [step for step in steps if step.name not in done]
    for step in pending:
        for statement in step.statements:
            connection.execute(postgres_ddl(statement))
        connection.execute("INSERT INTO drainage_migrations VALUES (%s, %s)", (name, step.name))
    return [step.name for step in pending]
