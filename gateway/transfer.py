"""Moving an installation from its SQLite file to PostgreSQL: every row, counted and compared, all of it or nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from gateway.contract.errors import DrainageError
from gateway.contract.store import Row, Store, Tx

_PAGE: Final = 500
_ROWS_AT_ONCE: Final = 100


class TransferBroken(DrainageError):
    """The target is not fit for a copy, or what arrived is not what was sent. The target is as it was before."""


@dataclass(frozen=True, slots=True)
class Copied:
    """One table: how many rows, and a checksum over all of them that does not depend on their order."""

    table: str
    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    key: tuple[str, ...]


def transfer(source: Store, target: Store) -> list[Copied]:
    """Copy every table of `source`, a SQLite store, into `target`, migrated and empty; what was copied, by table.

    One snapshot is read and one transaction written, so a copy that breaks leaves nothing behind. Raises
    TransferBroken, StoreUnavailable. What others write to `source` meanwhile is not in the copy.
    """
    return source.read(lambda read: target.write(lambda write: _copy_all(read, write)))


def _copy_all(source: Tx, target: Tx) -> list[Copied]:
    tables = _tables(source)
    for table in tables:
        if target.one(f"SELECT 1 AS one FROM {table.name} LIMIT 1") is not None:
            raise TransferBroken(f"the target is not empty: {table.name} holds rows; give a fresh database")
    return [_copy(source, target, table) for table in tables]


def _copy(source: Tx, target: Tx, table: _Table) -> Copied:
    sent = _Sum()
    for page in _pages(source, table):
        sent.add(page)
        for start in range(0, len(page), _ROWS_AT_ONCE):
            _insert(target, table.name, page[start : start + _ROWS_AT_ONCE])
    arrived = _Sum()
    for page in _pages(target, table):
        arrived.add(page)
    if (sent.rows, sent.checksum) != (arrived.rows, arrived.checksum):
        raise TransferBroken(
            f"{table.name}: {sent.rows} rows were sent and {arrived.rows} arrived, or others than sent"
        )
    return Copied(table.name, sent.rows, sent.checksum)


def _tables(tx: Tx) -> list[_Table]:
    """The tables of a SQLite store, but for SQLite's own and the list of migrations, which the target has by itself."""
    names = tx.all("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    wanted = [row["name"] for row in names if not row["name"].startswith(("_", "sqlite_"))]
    return [_Table(name, _key(tx, name)) for name in wanted]


def _key(tx: Tx, table: str) -> tuple[str, ...]:
    rows = tx.all("SELECT name FROM pragma_table_info(:table) WHERE pk > 0 ORDER BY pk", {"table": table})
    if not rows:
        raise TransferBroken(f"{table} has no primary key to read it by")
    return tuple(row["name"] for row in rows)


def _pages(tx: Tx, table: _Table) -> Iterator[list[dict[str, Any]]]:
    """All rows, a page at a time, each page found by the key that the last one ended with."""
    columns = ", ".join(table.key)
    marks = ", ".join(f":k{place}" for place in range(len(table.key)))
    last: Mapping[str, Any] = {}
    while True:
        after = f"WHERE ({columns}) > ({marks})" if last else ""
        rows = tx.all(
            f"SELECT * FROM {table.name} {after} ORDER BY {columns} LIMIT :most",
            {**{f"k{place}": last[name] for place, name in enumerate(table.key) if last}, "most": _PAGE},
        )
        if not rows:
            return
        page = [_plain(row) for row in rows]
        yield page
        last = page[-1]


def _insert(tx: Tx, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = list(rows[0])
    lines = ", ".join(
        f"({', '.join(f':c{line}_{place}' for place in range(len(columns)))})" for line in range(len(rows))
    )
    params = {f"c{line}_{place}": row[name] for line, row in enumerate(rows) for place, name in enumerate(columns)}
    tx.run(f"INSERT INTO {table} ({', '.join(columns)}) VALUES {lines}", params)


def _plain(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in row.keys()}  # noqa: SIM118 - a Row iterates over its values


class _Sum:
    """Counts rows and adds up their digests."""

    def __init__(self) -> None:
        self.rows = 0
        self._total = 0

    def add(self, page: Sequence[Mapping[str, Any]]) -> None:
        for row in page:
            spelled = {name: {"hex": value.hex()} if isinstance(value, bytes) else value for name, value in row.items()}
            digest = sha256(json.dumps(spelled, sort_keys=True).encode()).digest()
            self._total = (self._total + int.from_bytes(digest, "big")) % (1 << 256)
            self.rows += 1

    @property
    def checksum(self) -> str:
        return f"{self._total:064x}"
