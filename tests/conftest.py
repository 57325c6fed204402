"""What every area's tests may ask for: a store on each of the two databases, fresh and migrated."""

from __future__ import annotations

import pytest

from tests.support.databases import PostgresServer, SqliteFiles, opened


@pytest.fixture(scope="session")
def postgres_server():
    """A throw-away PostgreSQL server of this test process. Skips where its programs are missing."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def sqlite_files(tmp_path_factory):
    return SqliteFiles(tmp_path_factory.mktemp("sqlite-template"))


@pytest.fixture
def sqlite_url(sqlite_files, tmp_path):
    """The URL of a fresh migrated SQLite file."""
    return sqlite_files.new_database(tmp_path)


@pytest.fixture
def postgres_url(postgres_server):
    """The URL of a fresh migrated PostgreSQL database."""
    url = postgres_server.take()
    yield url
    postgres_server.give_back(url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request):
    """The URL of a fresh migrated database: the test runs on both kinds (R244)."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def store(store_url):
    """A store on a fresh migrated database: the test runs on both kinds (R244)."""
    made = opened(store_url)
    yield made
    made.close()
