"""What the two dialects do not share, in one place: parameter marks and type words.

Statements are written once, in the subset that SQLite and PostgreSQL both know (`ON CONFLICT`, `RETURNING`, partial
indexes), with `:name` parameters and the types TEXT, INTEGER (64 bits) and BLOB.
"""

from __future__ import annotations

import re
from functools import lru_cache

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")
_TYPES = ((re.compile(r"\bINTEGER\b"), "BIGINT"), (re.compile(r"\bBLOB\b"), "BYTEA"))
_TABLE_OPTIONS = re.compile(r"\)\s*(STRICT|WITHOUT ROWID)(\s*,\s*(STRICT|WITHOUT ROWID))*\s*$")


@lru_cache(maxsize=1024)
def postgres_sql(sql: str) -> str:
    """`:name` → `%(name)s`; a literal `%` is doubled, as psycopg wants it."""
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))


def postgres_ddl(statement: str) -> str:
    """A `CREATE` of ours as PostgreSQL reads it: wider integers, BYTEA, no SQLite table options."""
    for pattern, word in _TYPES:
        statement = pattern.sub(word, statement)
    return _TABLE_OPTIONS.sub(")", statement.rstrip())
