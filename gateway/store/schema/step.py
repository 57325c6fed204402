"""One migration: a name that is never reused, and the statements it runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """`statements` run in order, in one transaction, once per store."""

    name: str
    statements: tuple[str, ...]
