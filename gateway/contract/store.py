"""The seam under every rule that keeps something: one transaction, a few verbs, SQL in the subset both dialects share.

SQL uses named parameters (`:name`); the PostgreSQL driver translates them. Both know TEXT, INTEGER (64 bits) and BLOB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, TypeVar

T = TypeVar("T")
Params = Mapping[str, Any]


class Row(Protocol):
    """A result row: values by column name."""

    def __getitem__(self, column: str, /) -> Any: ...

    def keys(self) -> Any:
        """The column names."""


class Tx(Protocol):
    """An open transaction. All its work becomes durable together, or none of it."""

    @property
    def dialect(self) -> Literal["sqlite", "postgres"]:
        """Which driver is underneath; for maintenance only, no rule asks."""

    def run(self, sql: str, params: Params | None = None, /) -> int:
        """Execute; the number of rows changed."""

    def one(self, sql: str, params: Params | None = None, /) -> Row | None:
        """Execute; the first row, or None."""

    def all(self, sql: str, params: Params | None = None, /) -> list[Row]:
        """Execute; every row."""

    def lock(self, name: str, /) -> None:
        """Hold `name` until the transaction ends, so that two deciders about one thing follow each other.

        SQLite has one writer and needs nothing; PostgreSQL takes an advisory lock. Take several in sorted order.
        """

    def savepoint(self) -> AbstractContextManager[None]:
        """Work inside that fails is undone alone; the error goes on to the caller, who may swallow it."""


Work = Callable[[Tx], T]


class Store(Protocol):
    """Where everything durable lives. Safe between threads; made before or after a fork, used after it."""

    def write(self, work: Callable[[Tx], T], /, *, timeout: float | None = None) -> T:
        """Run `work` in a transaction, committed and synced before this returns.

        An exception of `work` undoes its own changes and is raised here. StoreUnavailable when the store fails;
        StoreBusy after `timeout` seconds (the work may then still be committed later). `work` may run more than
        once, so it must not do anything outside the transaction; no network inside.
        """

    def write_later(self, work: Callable[[Tx], object], /) -> None:
        """Queue `work`; returns at once. It joins the next transaction; its failure is logged and nothing more."""

    def read(self, work: Callable[[Tx], T], /) -> T:
        """Run `work` on a consistent snapshot. It must not write. StoreUnavailable when the store fails."""

    def close(self) -> None:
        """Finish queued work and let go of every connection."""
