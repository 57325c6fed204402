"""R241 what we owe the outside world is done at least once, or parked and seen; incidents count up while they last."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway import incidents, outbox
from gateway.contract.ids import IdFactory
from tests.support.builders import START
from tests.support.crowd import in_processes, in_threads
from tests.support.databases import opened

IDS = IdFactory()


def _owe(store, now=START, **more):
    return store.write(lambda tx: outbox.put(tx, IDS, now, "relay", "hotpot", {"delivery": "d_1"}, **more))


def _lease(store, now=START, most=10):
    return store.write(lambda tx: outbox.lease(tx, now, 60, most))


def _row(store, id_):
    return store.read(lambda tx: tx.one("SELECT * FROM outbox WHERE id = :id", {"id": id_}))


def _fail(store, row, now):
    return store.write(lambda tx: outbox.failed(tx, now, row, "connection refused"))


def test_R241_it_is_leased_once_and_again_when_the_worker_died(store):
    id_ = _owe(store)
    assert [row["id"] for row in _lease(store)] == [id_]
    assert _lease(store) == []
    assert _lease(store, START + timedelta(seconds=59)) == []
    again = _lease(store, START + timedelta(seconds=60))
    assert [(row["id"], row["tries"]) for row in again] == [(id_, 2)]


def test_R241_nothing_is_leased_before_it_is_due(store):
    id_ = _owe(store, due_at=START + timedelta(minutes=5))
    assert _lease(store, START + timedelta(minutes=4)) == []
    assert [row["id"] for row in _lease(store, START + timedelta(minutes=5))] == [id_]


def test_R241_the_oldest_first_and_no_more_than_asked_for(store):
    ids = [_owe(store, START + timedelta(seconds=number)) for number in (3, 1, 2)]
    later = START + timedelta(minutes=1)
    assert [row["id"] for row in _lease(store, later, 2)] == [ids[1], ids[2]]
    assert [row["id"] for row in _lease(store, later, 2)] == [ids[0]]


def test_R241_what_failed_waits_longer_each_time_and_is_parked_in_the_end(store):
    id_ = _owe(store, give_up_after=timedelta(seconds=20))
    now, waits = START, []
    while True:
        (row,) = _lease(store, now)
        state = _fail(store, row, now)
        if state == "parked":
            break
        due = _row(store, id_)["due_at"]
        waits.append(due)
        assert _lease(store, now) == []
        now += outbox.backoff(row["tries"])
    assert len(waits) == 4  # after 1, 3, 8 and 18 seconds; the next would be beyond 20
    assert [row["id"] for row in store.read(outbox.parked)] == [id_]
    assert _lease(store, now + timedelta(days=30)) == []
    assert store.read(outbox.depth) == 0


def test_R241_a_single_try_that_failed_is_nobodys_business(store):
    id_ = _owe(store)
    (row,) = _lease(store)
    store.write(lambda tx: outbox.drop(tx, START, id_, "x" * 1000))
    assert (_row(store, id_)["state"], len(_row(store, id_)["last_error"])) == ("done", 300)
    assert store.read(outbox.parked) == []
    assert row["payload"] == '{"delivery": "d_1"}'


def test_R241_done_is_done(store):
    id_ = _owe(store)
    assert store.read(outbox.depth) == 1
    _lease(store)
    store.write(lambda tx: outbox.done(tx, START, id_))
    assert store.read(outbox.depth) == 0
    assert _lease(store, START + timedelta(days=1)) == []


def test_R241_a_worker_that_comes_back_late_does_not_undo_what_another_did(store):
    id_ = _owe(store)
    (slow,) = _lease(store)
    (quick,) = _lease(store, START + timedelta(seconds=60))
    store.write(lambda tx: outbox.done(tx, START, quick["id"]))
    _fail(store, slow, START + timedelta(seconds=61))
    assert _row(store, id_)["state"] == "done"


def test_R241_a_clock_that_jumps_back_only_makes_it_wait(store):
    id_ = _owe(store)
    (row,) = _lease(store)
    _fail(store, row, START - timedelta(days=1))
    assert [row["id"] for row in _lease(store, START)] == [id_]


def _work(gate, number, url):
    store = opened(url)
    gate.wait()
    got = in_threads([lambda: [row["id"] for row in _lease(store, START, 7)] for _ in range(6)])
    store.close()
    return [id_ for ids in got for id_ in ids]


def test_R241_parallel_workers_in_two_processes_never_lease_one_row_twice(store, store_url):
    ids = [_owe(store) for _ in range(30)]
    leased = in_processes(2, _work, store_url)
    leased += [row["id"] for row in _lease(store, START, 50)]  # what nobody got, for they looked at the same rows
    assert sorted(leased) == sorted(ids)


def _raise(store, now=START, kind="undecryptable", subject="hotpot", detail="x"):
    store.write(lambda tx: incidents.raise_(tx, IDS, now, kind, subject, detail))


def _open(store):
    return [(row["kind"], row["subject"], row["n"], row["detail"]) for row in store.read(incidents.open_ones)]


def test_one_open_incident_counts_up_and_a_new_one_opens_after_it_was_closed(store):
    for minute in range(3):
        _raise(store, START + timedelta(minutes=minute), detail=f"d{minute}")
    _raise(store, subject="sweets")
    assert _open(store) == [("undecryptable", "hotpot", 3, "d2"), ("undecryptable", "sweets", 1, "x")]
    assert store.write(lambda tx: incidents.close(tx, START, "undecryptable", "hotpot"))
    assert not store.write(lambda tx: incidents.close(tx, START, "undecryptable", "hotpot"))
    _raise(store)
    assert sorted(_open(store)) == [("undecryptable", "hotpot", 1, "x"), ("undecryptable", "sweets", 1, "x")]


def test_a_long_detail_is_cut(store):
    _raise(store, detail="文" * 2000)
    assert len(_open(store)[0][3]) == 500


@pytest.mark.parametrize("count", [40])
def test_parallel_reports_are_one_incident(store, count):
    in_threads([lambda: _raise(store) for _ in range(count)])
    assert [row[2] for row in _open(store)] == [count]
