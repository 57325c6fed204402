"""R244: what a unit of work promises, on both databases: all of it or none, alone in its failure, on a snapshot."""

from __future__ import annotations

import threading

import pytest

from gateway.contract.errors import Refused
from tests.support.databases import opened

_PUT = "INSERT INTO meta (name, value) VALUES (:name, :value)"


def _put(tx, name, value="x"):
    return tx.run(_PUT, {"name": name, "value": value})


def _names(store):
    return [row["name"] for row in store.read(lambda tx: tx.all("SELECT name FROM meta ORDER BY name"))]


def test_what_was_written_is_read_back_by_another_store(store, store_url):
    assert store.write(lambda tx: _put(tx, "a", "甲")) == 1
    other = opened(store_url)
    row = other.read(lambda tx: tx.one("SELECT name, value FROM meta WHERE name = :name", {"name": "a"}))
    assert (row["name"], row["value"], sorted(row.keys())) == ("a", "甲", ["name", "value"])
    other.close()


def test_a_failing_work_leaves_nothing_and_its_own_exception_comes_out(store):
    def fail(tx):
        _put(tx, "a")
        _put(tx, "b")
        raise Refused("no", 409, shop="x")

    with pytest.raises(Refused) as refused:
        store.write(fail)
    assert refused.value.facts == {"shop": "x"}
    assert _names(store) == []


def test_a_constraint_that_breaks_is_raised_and_undone(store):
    store.write(lambda tx: _put(tx, "a"))

    def twice(tx):
        _put(tx, "b")
        _put(tx, "a")

    with pytest.raises(Exception, match=r"(?i)unique"):
        store.write(twice)
    assert _names(store) == ["a"]
    store.write(lambda tx: _put(tx, "c"))
    assert _names(store) == ["a", "c"]


@pytest.mark.parametrize(
    "sql", ["SELECT nothing FROM nowhere", "NO SQL AT ALL", "SELECT * FROM meta WHERE name = :name"]
)
def test_a_statement_that_is_wrong_fails_alone(store, sql):
    with pytest.raises(Exception):  # noqa: B017 - each driver has its own class
        store.write(lambda tx: tx.all(sql))
    store.write(lambda tx: _put(tx, "after"))
    assert _names(store) == ["after"]


def test_savepoints_undo_only_what_is_inside_them(store):
    def work(tx):
        _put(tx, "outer")
        for name in ("kept", "dropped"):
            try:
                with tx.savepoint():
                    _put(tx, name)
                    with tx.savepoint():
                        _put(tx, name + "-inner")
                    if name == "dropped":
                        raise KeyError(name)
            except KeyError:
                pass
        _put(tx, "z-last")

    store.write(work)
    assert _names(store) == ["kept", "kept-inner", "outer", "z-last"]


def test_a_broken_constraint_inside_a_savepoint_lets_the_rest_go_on(store):
    def work(tx):
        _put(tx, "a")
        with pytest.raises(Exception, match=r"(?i)unique"), tx.savepoint():
            _put(tx, "b")
            _put(tx, "a")
        _put(tx, "c")

    store.write(work)
    assert _names(store) == ["a", "c"]


def test_reading_cannot_write(store):
    with pytest.raises(Exception, match=r"(?i)read.?only"):
        store.read(lambda tx: _put(tx, "a"))
    assert _names(store) == []


def test_a_read_sees_one_moment_only(store):
    store.write(lambda tx: _put(tx, "a"))
    written = threading.Event()

    def look(tx):
        before = len(tx.all("SELECT name FROM meta"))
        thread = threading.Thread(target=lambda: (store.write(lambda tx: _put(tx, "b")), written.set()))
        thread.start()
        assert written.wait(10)
        thread.join()
        return before, len(tx.all("SELECT name FROM meta"))

    assert store.read(look) == (1, 1)
    assert _names(store) == ["a", "b"]


def test_reading_goes_on_while_somebody_writes(store):
    reading = threading.Event()
    inside = threading.Event()

    def slow(tx):
        _put(tx, "a")
        inside.set()
        assert reading.wait(10)

    thread = threading.Thread(target=lambda: store.write(slow))
    thread.start()
    assert inside.wait(10)
    assert _names(store) == []
    reading.set()
    thread.join()
    assert _names(store) == ["a"]


def test_run_counts_the_rows_it_changed(store):
    store.write(lambda tx: [_put(tx, name) for name in "abc"])
    changed = store.write(lambda tx: tx.run("UPDATE meta SET value = 'y' WHERE name <> :name", {"name": "b"}))
    assert changed == 2
    assert store.write(lambda tx: tx.run("DELETE FROM meta WHERE name = 'nobody'")) == 0
    assert store.read(lambda tx: tx.one("SELECT name FROM meta WHERE name = 'nobody'")) is None


def test_integers_of_64_bits_texts_and_bytes_come_back_as_they_went(store):
    values = {"n": -(2**63), "m": 2**63 - 1, "b": bytes(range(256)), "t": "漢字 '\"%s:name;--"}
    sql = "SELECT CAST(:n AS BIGINT) AS n, CAST(:m AS BIGINT) AS m"
    row = store.read(lambda tx: tx.one(sql, {"n": values["n"], "m": values["m"]}))
    assert (row["n"], row["m"]) == (values["n"], values["m"])
    store.write(
        lambda tx: tx.run(
            "INSERT INTO deliveries (id, channel, received_at, outcome, digest) VALUES (:t, 'c', 'r', 'seen', :b)",
            {"t": values["t"], "b": values["b"]},
        )
    )
    row = store.read(lambda tx: tx.one("SELECT id, digest FROM deliveries"))
    assert (row["id"], bytes(row["digest"])) == (values["t"], values["b"])


def test_a_lock_lets_deciders_follow_each_other(store):
    """Both read before they write; without the lock both would read 0."""
    store.write(lambda tx: _put(tx, "n", "0"))
    gate = threading.Barrier(8)

    def add(tx):
        tx.lock("n")
        row = tx.one("SELECT value FROM meta WHERE name = 'n'")
        tx.run("UPDATE meta SET value = :value WHERE name = 'n'", {"value": str(int(row["value"]) + 1)})

    def caller():
        gate.wait(10)
        for _ in range(5):
            store.write(add)

    threads = [threading.Thread(target=caller) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read(lambda tx: tx.one("SELECT value FROM meta WHERE name = 'n'"))["value"] == "40"


def test_work_that_is_queued_is_done_by_the_time_the_store_is_closed(store, store_url):
    for number in range(50):
        store.write_later(lambda tx, number=number: _put(tx, f"n{number:02d}"))
    store.close()
    other = opened(store_url)
    assert len(_names(other)) == 50
    other.close()


def test_queued_work_that_fails_is_logged_and_harms_nobody(store, capsys):
    store.write_later(lambda tx: _put(tx, "a"))

    def fail(tx):
        _put(tx, "half")
        raise KeyError("canary")

    store.write_later(fail)
    store.write_later(lambda tx: _put(tx, "b"))
    store.close()
    assert "queued_write_failed" in capsys.readouterr().out
    assert _names(store) == ["a", "b"]


def test_a_closed_store_opens_again_and_closing_twice_is_nothing(store):
    store.write(lambda tx: _put(tx, "a"))
    store.close()
    store.close()
    store.write(lambda tx: _put(tx, "b"))
    assert _names(store) == ["a", "b"]
