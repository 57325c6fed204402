"""Opening a store by its URL: `sqlite:///file` (relative to the home) or `postgresql://…`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.contract.errors import BadConfig
from gateway.contract.store import Store
from gateway.store.migrate import migrate_postgres, migrate_sqlite
from gateway.store.schema import Step
from gateway.store.sqlite import SqliteStore

__all__ = ["Migrations", "migrate_store", "open_store", "sqlite_path"]

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")


def sqlite_path(url: str, home: Path) -> Path | None:
    """The file behind a `sqlite:///` URL, relative to the home; None for another kind of store."""
    return home / url.removeprefix(_SQLITE) if url.startswith(_SQLITE) else None


def open_store(url: str, home: Path) -> Store:
    """The store that `url` names. Nothing is opened before the first use. Raises BadConfig for an unknown URL."""
    path = sqlite_path(url, home)
    if path is not None:
        return SqliteStore(path)
    if url.startswith(_POSTGRES):
        try:
            from gateway.store.postgres import PostgresStore
        except ImportError as error:
            message = "PostgreSQL needs the extra: pip install drainage-gateway[postgres]"
            raise BadConfig([("store.url", message)]) from error
        return PostgresStore(url)
    raise BadConfig([("store.url", "neither sqlite:///FILE nor postgresql://…")])


Migrations = Mapping[str, Sequence[tuple[str, Sequence[str]]]]
"""Campaign kind → its migrations, each (name, statements)."""


def migrate_store(url: str, home: Path, kinds: Migrations | None = None) -> list[str]:
    """Bring the schema up to date, the core's and each campaign kind's; the names of the steps applied.

    Raises StoreUnavailable, BadConfig.
    """
    path = sqlite_path(url, home)
    if path is None and not url.startswith(_POSTGRES):
        raise BadConfig([("store.url", "neither sqlite:///FILE nor postgresql://…")])
    applied = migrate_sqlite(path) if path is not None else migrate_postgres(url)
    for kind, migrations in sorted((kinds or {}).items()):
        steps = [Step(name, tuple(statements)) for name, statements in migrations]
        done = (
            migrate_sqlite(path, name=kind, steps=steps)
            if path is not None
            else migrate_postgres(url, name=kind, steps=steps)
        )
        applied += [f"{kind} {step}" for step in done]
    return applied
