"""Opening a store by its URL: `sqlite:///file` (relative to the home) or `postgresql://…`."""

from __future__ import annotations

from pathlib import Path

from gateway.contract.errors import BadConfig
from gateway.contract.store import Store
from gateway.store.migrate import migrate_postgres, migrate_sqlite
from gateway.store.sqlite import SqliteStore

__all__ = ["migrate_store", "open_store", "sqlite_path"]

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


def migrate_store(url: str, home: Path) -> list[str]:
    """Bring the schema up to date; the names of the steps applied. Raises StoreUnavailable, BadConfig."""
    path = sqlite_path(url, home)
    if path is not None:
        return migrate_sqlite(path)
    if url.startswith(_POSTGRES):
        return migrate_postgres(url)
    raise BadConfig([("store.url", "neither sqlite:///FILE nor postgresql://…")])
