"""One SQL text for two databases: `:name` becomes what psycopg wants, and only where it is a parameter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.dialect import postgres_ddl, postgres_sql


@pytest.mark.parametrize(
    ("written", "translated"),
    [
        ("SELECT 1", "SELECT 1"),
        ("WHERE a = :a AND b=:b_2", "WHERE a = %(a)s AND b=%(b_2)s"),
        ("VALUES (:id,:id)", "VALUES (%(id)s,%(id)s)"),
        ("SELECT n::text, :n::bigint", "SELECT n::text, %(n)s::bigint"),
        ("WHERE name LIKE 'a%' AND b = :b", "WHERE name LIKE 'a%%' AND b = %(b)s"),
        ("SELECT 7 % :n", "SELECT 7 %% %(n)s"),
        ("SELECT '12:30' AS t", "SELECT '12:30' AS t"),
        ("SELECT a:b", "SELECT a:b"),
        ("SELECT :A", "SELECT :A"),
        ("", ""),
    ],
)
def test_parameters_and_percent_signs(written, translated):
    assert postgres_sql(written) == translated


@given(st.text(alphabet="ab:%_ '(),=1", max_size=40))
def test_whatever_is_written_psycopg_is_never_shown_a_percent_sign_of_ours(text):
    without_ours = postgres_sql(text).replace("%%", "")
    for piece in without_ours.split("%")[1:]:
        name, _, rest = piece.partition(")")
        assert name.startswith("(")
        assert rest.startswith("s")


def test_the_database_agrees_on_percent_signs_and_casts(store):
    row = store.read(
        lambda tx: tx.one(
            "SELECT CASE WHEN 'a%b' LIKE 'a%' THEN 7 % CAST(:n AS INTEGER) ELSE 0 END AS n, CAST(:s AS TEXT) AS s",
            {"n": 4, "s": "50% :n %(n)s"},
        )
    )
    assert (row["n"], row["s"]) == (3, "50% :n %(n)s")


def test_tables_lose_what_only_sqlite_knows():
    ddl = """CREATE TABLE t (
        a INTEGER NOT NULL, b BLOB, integers TEXT
    ) STRICT, WITHOUT ROWID"""
    assert postgres_ddl(ddl).split() == "CREATE TABLE t ( a BIGINT NOT NULL, b BYTEA, integers TEXT )".split()
    assert postgres_ddl("CREATE INDEX i ON t (a) WHERE b IS NULL") == "CREATE INDEX i ON t (a) WHERE b IS NULL"
