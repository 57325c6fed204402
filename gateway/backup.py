"""Backup and restore of a home on SQLite: one file with a consistent copy of the store, taken while it serves.

The file is a tar: the database (SQLite's own online copy), `config.toml`, the sandbox's keys, and `secret.key`, without
which nothing of it can be read. It is therefore as secret as the home; `with_key=False` leaves the key out for those
who keep it elsewhere. A PostgreSQL store is backed up by PostgreSQL's own tools.
"""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from gateway.contract.errors import DrainageError
from gateway.home import Home
from gateway.store.engine import sqlite3

_DATABASE: Final = "drainage.db"
_COUNTED: Final = ("payments", "refunds", "persons", "identities", "tags", "links", "coupons", "transfers", "audit")
_PAGES_AT_ONCE: Final = 1000
_OWNER_ONLY: Final = 0o600


class BackupBroken(DrainageError):
    """The file is no backup of ours, is damaged, or does not fit the home."""


def backup(home: Home, database: Path, target: Path, *, with_key: bool = True) -> Mapping[str, int]:
    """Write `target` (0600), whole or not at all; rows by table in it. Raises BackupBroken, OSError."""
    with tempfile.TemporaryDirectory(dir=target.absolute().parent) as folder:
        copy = Path(folder) / _DATABASE
        _copy(database, copy)
        counts = check_database(copy)
        staged = Path(folder) / "backup.tar"
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        with os.fdopen(descriptor, "wb") as out:
            with tarfile.open(fileobj=out, mode="w") as tar:
                tar.add(copy, _DATABASE)
                for path in _beside(home, with_key=with_key):
                    tar.add(path, str(path.relative_to(home.root)))
            out.flush()
            os.fsync(out.fileno())
        staged.replace(target)
    return counts


def restore(home: Home, locate: Callable[[Path], Path], source: Path) -> Mapping[str, int]:
    """Bring an empty home back from `source`; rows by table. Raises BackupBroken, BadConfig, OSError.

    `locate` reads a folder's `config.toml` and gives the store's file in the home: the home's own settings count, or
    the backup's where it has none. Everything is checked before the first file is put in its place. A home that has a
    store already is left alone.
    """
    home.create()
    with tempfile.TemporaryDirectory(dir=home.root) as folder:
        staged = Path(folder)
        names = _unpack(source, staged)
        database = locate(home.root if home.config_file.exists() else staged)
        if database.exists():
            raise BackupBroken("this home has a store already; restore into an empty one")
        counts = check_database(staged / _DATABASE)
        _check_key(home, staged / "secret.key")
        for name in sorted(names - {_DATABASE}):
            place = home.root / name
            if not place.exists():
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                (staged / name).replace(place)
        # The database last: a home with a store is a home that was restored whole.
        (staged / _DATABASE).replace(database)
    return counts


def _check_key(home: Home, staged: Path) -> None:
    """One of the two has the key, and if both do it is the same."""
    if not home.secret_file.exists():
        if not staged.exists():
            raise BackupBroken("the backup holds no secret.key; put yours into the home first")
    elif staged.exists() and home.secret_file.read_bytes() != staged.read_bytes():
        raise BackupBroken("this home has another secret.key than the backup")


def check_database(path: Path) -> Mapping[str, int]:
    """Rows by table, after SQLite's own check of every page. Raises BackupBroken."""
    try:
        connection: Any = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
            if verdict != "ok":
                raise BackupBroken(f"the database is damaged: {verdict}")
            return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _COUNTED}
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise BackupBroken(f"this is no database of ours: {error}") from error


def _copy(database: Path, target: Path) -> None:
    """SQLite's online backup: a consistent copy, a thousand pages at a time, while others read and write."""
    try:
        source: Any = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        copy: Any = sqlite3.connect(str(target))
        try:
            source.backup(copy, pages=_PAGES_AT_ONCE)
            # A copy that is read from one file alone.
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()
        finally:
            copy.close()
            source.close()
    except sqlite3.Error as error:
        raise BackupBroken(f"the store can't be copied: {error}") from error


def _beside(home: Home, *, with_key: bool) -> list[Path]:
    found = [path for path in (home.config_file, *sorted((home.root / "sandbox").glob("*.json"))) if path.is_file()]
    if with_key and home.secret_file.is_file():
        found.append(home.secret_file)
    return found


def _unpack(source: Path, staged: Path) -> set[str]:
    """The members that are ours, as plain files; anything else in the tar makes it foreign."""
    names = set()
    try:
        with tarfile.open(source) as tar:
            for member in tar:
                plain = member.name in {_DATABASE, "config.toml", "secret.key"}
                sandbox = member.name.startswith("sandbox/") and member.name.count("/") == 1
                if not member.isreg() or not (plain or sandbox) or ".." in member.name:
                    raise BackupBroken(f"this is no backup of ours: it holds {member.name!r}")
                content = tar.extractfile(member)
                place = staged / member.name
                place.parent.mkdir(mode=0o700, exist_ok=True)
                descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
                with os.fdopen(descriptor, "wb") as out, content or io.BytesIO() as data:
                    while piece := data.read(1 << 20):
                        out.write(piece)
                names.add(member.name)
    except tarfile.TarError as error:
        raise BackupBroken(f"this is no backup of ours: {error}") from error
    if _DATABASE not in names:
        raise BackupBroken("this is no backup of ours: it holds no database")
    return names
