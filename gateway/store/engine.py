"""The SQLite module in use: pysqlite3 (which bundles a SQLite without the WAL-reset fault) where it is installed.

Its error classes are not those of the standard library's sqlite3, so everything takes them from here.
"""

from __future__ import annotations

from typing import Any

from sqlite_utils.utils import sqlite3 as _sqlite3  # type: ignore[attr-defined]

sqlite3: Any = _sqlite3
