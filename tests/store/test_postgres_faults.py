"""A server that is gone, restarts, refuses to write, or keeps somebody waiting (R244)."""

from __future__ import annotations

import threading

import psycopg
import pytest

from gateway.contract.errors import StoreBusy, StoreTrouble, StoreUnavailable
from gateway.store.postgres import TRIES, PostgresStore
from tests.support.databases import PostgresServer

pytestmark = pytest.mark.postgres
PUT = "INSERT INTO meta (name, value) VALUES (:name, :value)"


@pytest.fixture
def store(postgres_url):
    made = PostgresStore(postgres_url, connections=4)
    yield made
    made.close()


def _put(store, name, timeout=None):
    store.write(lambda tx: tx.run(PUT, {"name": name, "value": "x"}), timeout=timeout)


def _names(store):
    return [row["name"] for row in store.read(lambda tx: tx.all("SELECT name FROM meta ORDER BY name"))]


def test_a_lock_that_somebody_holds_is_busy_in_time(store, postgres_url):
    """R019: the caller gets his thread back; here nothing of the work stays behind."""
    _put(store, "a")
    with psycopg.connect(postgres_url) as holder:
        holder.execute("UPDATE meta SET value = 'held' WHERE name = 'a'")
        with pytest.raises(StoreBusy):
            store.write(lambda tx: tx.run("UPDATE meta SET value = 'y' WHERE name = 'a'"), timeout=0.1)
        with pytest.raises(StoreBusy):
            store.write(lambda tx: tx.run("UPDATE meta SET value = 'y' WHERE name = 'a'"), timeout=0)
        holder.rollback()
    assert store.read(lambda tx: tx.one("SELECT value FROM meta"))["value"] == "x"


def test_many_short_statements_do_not_add_up_past_the_time(store):
    """The time is the work's, not each statement's."""

    def crawl(tx):
        for _ in range(1000):
            tx.one("SELECT pg_sleep(0.02)")

    with pytest.raises(StoreBusy):
        store.write(crawl, timeout=0.1)


def test_no_free_connection_is_busy(store):
    inside, go = threading.Barrier(5), threading.Event()
    threads = [
        threading.Thread(target=lambda: store.write(lambda tx: (inside.wait(10), go.wait(10)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    inside.wait(10)
    with pytest.raises(StoreBusy):
        _put(store, "a", timeout=0.1)
    go.set()
    for thread in threads:
        thread.join()
    _put(store, "b")
    assert _names(store) == ["b"]


def test_two_that_wait_for_each_other_are_both_served(store):
    """A deadlock is tried again; the work may run twice and is committed once."""
    for name in ("a", "b"):
        _put(store, name)
    met = threading.Barrier(2)
    runs = []

    def swap(first, second):
        def work(tx):
            runs.append(first)
            tx.run("UPDATE meta SET value = value || :me WHERE name = :name", {"me": first, "name": first})
            if len(runs) <= 2:
                met.wait(10)
            tx.run("UPDATE meta SET value = value || :me WHERE name = :name", {"me": first, "name": second})

        return work

    threads = [threading.Thread(target=lambda pair=pair: store.write(swap(*pair))) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    values = [row["value"] for row in store.read(lambda tx: tx.all("SELECT value FROM meta"))]
    assert sorted("".join(sorted(value)) for value in values) == ["abx", "abx"]
    assert len(runs) >= 3


def test_somebody_always_in_the_way_is_busy_in_the_end(store):
    runs = []

    def unlucky(tx):
        runs.append(1)
        tx.run(PUT, {"name": "a", "value": "x"})
        raise psycopg.errors.SerializationFailure

    with pytest.raises(StoreBusy):
        store.write(unlucky)
    assert len(runs) == TRIES
    assert _names(store) == []


def test_a_database_that_only_reads_is_unavailable_for_writing(postgres_url):
    store = PostgresStore(postgres_url + "?options=-c%20default_transaction_read_only%3Don")
    with pytest.raises(StoreUnavailable):
        _put(store, "a")
    assert _names(store) == []
    store.close()


@pytest.mark.parametrize("tail", ["nowhere_to_be_found", "postgres"])
def test_a_database_that_is_not_ours_is_an_error_not_a_hang(postgres_server, tail, monkeypatch):
    monkeypatch.setattr("gateway.store.postgres.POOL_WAIT_S", 0.2)
    store = PostgresStore(postgres_server.url(tail))
    with pytest.raises(Exception, match=r"(?i)connection|meta"):
        _names(store)
    store.close()


def test_a_server_that_dies_is_trouble_and_its_return_is_noticed():
    server = PostgresServer()
    try:
        store = PostgresStore(server.new_database())
        _put(store, "a")
        server.crash_and_return()
        # The connections of the pool are dead; each is looked at before it is handed out.
        _put(store, "b")
        assert _names(store) == ["a", "b"]
        with pytest.raises(StoreUnavailable):
            store.write(lambda tx: tx.one("SELECT pg_terminate_backend(pg_backend_pid())"))
        _put(store, "c")
        url = server.url("test_1")
    finally:
        server.stop()
    with pytest.raises(StoreTrouble):
        _put(store, "lost", timeout=0.3)
    store.close()
    late = PostgresStore(url)
    with pytest.raises(StoreTrouble):
        _put(late, "lost", timeout=0.3)
    late.close()


def test_a_closed_store_opens_again(store):
    _put(store, "a")
    store.close()
    store.close()
    _put(store, "b")
    assert _names(store) == ["a", "b"]
