"""The schema comes up to date once, whoever starts it, however it was interrupted, alike on both databases (R244)."""

from __future__ import annotations

import stat

import psycopg
import pytest

from gateway.contract.errors import BadConfig, StoreUnavailable
from gateway.store import migrate_store, open_store
from gateway.store.migrate import migrate_postgres, migrate_sqlite
from gateway.store.schema import CORE, Step
from tests.store import hands
from tests.support.crowd import in_processes
from tests.support.databases import opened

ALL = [step.name for step in CORE]
MORE = (Step("9001_more", ("CREATE TABLE more (a INTEGER) STRICT", "CREATE INDEX more_a ON more (a)")),)
BROKEN = (Step("9002_broken", ("CREATE TABLE half (a INTEGER) STRICT", "CREATE TABLE half (a INTEGER) STRICT")),)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request, tmp_path):
    """A database without any table; the file is not even there."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'fresh.db'}"
    return request.getfixturevalue("postgres_server").new_database(empty=True)


def _migrate(url, tmp_path, steps=CORE):
    if url.startswith("sqlite"):
        return migrate_sqlite(tmp_path / "fresh.db", steps=steps)
    return migrate_postgres(url, steps=steps)


def _tables(url):
    """table → {column: (not null, in the primary key)}, without the drivers' own book-keeping."""
    store = opened(url)

    def look(tx):
        if tx.dialect == "sqlite":
            tables = [r["name"] for r in tx.all("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            return {
                table: {
                    row["name"]: (bool(row["notnull"]) or row["pk"] > 0, row["pk"] > 0)
                    for row in tx.all(f"PRAGMA table_info({table})")
                }
                for table in tables
                if not table.startswith(("_sqlite", "sqlite_"))
            }
        keys = {
            (row["t"], row["c"])
            for row in tx.all(
                "SELECT k.table_name AS t, k.column_name AS c FROM information_schema.table_constraints o "
                "JOIN information_schema.key_column_usage k ON k.constraint_name = o.constraint_name "
                "WHERE o.constraint_type = 'PRIMARY KEY' AND o.table_schema = 'public'"
            )
        }
        tables = {}
        for row in tx.all(
            "SELECT table_name AS t, column_name AS c, is_nullable AS n FROM information_schema.columns "
            "WHERE table_schema = 'public' AND table_name <> 'drainage_migrations'"
        ):
            tables.setdefault(row["t"], {})[row["c"]] = (row["n"] == "NO", (row["t"], row["c"]) in keys)
        return tables

    found = store.read(look)
    store.close()
    return found


def _indexes(url):
    store = opened(url)
    sqlite = r"SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND substr(tbl_name, 1, 7) <> '_sqlite'"
    postgres = "SELECT indexname AS name FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%_key' AND indexname NOT LIKE '%_pkey'"
    found = store.read(lambda tx: {row["name"] for row in tx.all(sqlite if tx.dialect == "sqlite" else postgres)})
    store.close()
    return found


def test_a_fresh_store_gets_every_step_once(empty_url, tmp_path):
    assert _migrate(empty_url, tmp_path) == ALL
    assert _migrate(empty_url, tmp_path) == []
    assert _migrate(empty_url, tmp_path, CORE + MORE) == ["9001_more"]
    assert _migrate(empty_url, tmp_path, CORE + MORE) == []


def test_an_interrupted_step_leaves_the_old_schema_and_runs_again(empty_url, tmp_path):
    _migrate(empty_url, tmp_path)
    before = _tables(empty_url)
    with pytest.raises((psycopg.Error, StoreUnavailable)):
        _migrate(empty_url, tmp_path, CORE + MORE + BROKEN)
    assert _tables(empty_url) == before
    healed = (Step("9002_broken", BROKEN[0].statements[:1]),)
    assert _migrate(empty_url, tmp_path, CORE + MORE + healed) == ["9001_more", "9002_broken"]
    assert set(_tables(empty_url)) == {*before, "more", "half"}


def test_a_first_migration_that_breaks_leaves_nothing(empty_url, tmp_path):
    with pytest.raises((psycopg.Error, StoreUnavailable)):
        _migrate(empty_url, tmp_path, CORE + BROKEN)
    assert _tables(empty_url) == {}
    assert _migrate(empty_url, tmp_path) == ALL


def test_processes_that_start_together_follow_each_other(empty_url):
    applied = in_processes(3, hands.migrate_at_once, empty_url)
    assert sorted(applied, key=len) == [[], [], ALL]


def test_data_outlives_a_migration(empty_url, tmp_path):
    _migrate(empty_url, tmp_path)
    store = opened(empty_url)
    store.write(lambda tx: tx.run(hands.PUT, {"name": "a", "value": "1"}))
    _migrate(empty_url, tmp_path, CORE + MORE)
    assert store.read(lambda tx: tx.one("SELECT value FROM meta"))["value"] == "1"
    store.close()


def test_two_sets_of_steps_do_not_know_each_other(empty_url, tmp_path):
    """A campaign brings its own set, whose names may repeat the core's."""
    _migrate(empty_url, tmp_path)
    steps = (Step("0001_catalog", ("CREATE TABLE own_things (a TEXT) STRICT",)),)
    if empty_url.startswith("sqlite"):
        assert migrate_sqlite(tmp_path / "fresh.db", name="own", steps=steps) == ["0001_catalog"]
    else:
        assert migrate_postgres(empty_url, name="own", steps=steps) == ["0001_catalog"]
    assert "own_things" in _tables(empty_url)


@pytest.mark.postgres
def test_both_databases_have_the_same_tables_columns_keys_and_indexes(sqlite_url, postgres_server):
    # A fresh one: those that are handed round may hold what campaign kinds have added.
    postgres_url = postgres_server.new_database()
    assert _tables(sqlite_url) == _tables(postgres_url)
    assert _indexes(sqlite_url) == _indexes(postgres_url)


def test_the_file_is_its_owners_alone(tmp_path):
    migrate_sqlite(tmp_path / "fresh.db")
    for name in ("fresh.db", "fresh.db.turn"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_step_names_are_unique_and_in_order():
    assert sorted(set(ALL)) == ALL


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://x", "", "drainage.db", "sqlite:/drainage.db"])
def test_an_unknown_url_is_a_fault_of_the_settings(url, tmp_path):
    for use in (open_store, migrate_store):
        with pytest.raises(BadConfig) as bad:
            use(url, tmp_path)
        assert [path for path, _ in bad.value.faults] == ["store.url"]


def test_a_file_that_cannot_be_a_database_is_unavailable(tmp_path):
    (tmp_path / "fresh.db").write_bytes(b"no database " * 500)
    with pytest.raises(StoreUnavailable):
        migrate_sqlite(tmp_path / "fresh.db")
    with pytest.raises(StoreUnavailable):
        migrate_sqlite(tmp_path / "no" / "folder" / "fresh.db")


@pytest.mark.postgres
def test_a_server_that_is_not_there_is_unavailable():
    with pytest.raises(StoreUnavailable):
        migrate_postgres("postgresql://postgres@127.0.0.1:1/none?connect_timeout=2")
