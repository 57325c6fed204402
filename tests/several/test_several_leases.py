"""Two workers and one outbox: a slow till's batch outlasts its lease, and still nothing is sent by both (R241, R244)."""

from __future__ import annotations

import pytest

from gateway import outbox
from gateway.app import build_relay, build_spool
from gateway.relay import Guard
from gateway.worker import ENOUGH_S, LEASE_S, Worker
from tests.support.world import World

ROWS = 7
SLOW_S = 15


@pytest.fixture
def world(tmp_path, store_url):
    made = World(tmp_path, store_url=store_url)
    yield made
    made.close()


def worker_of(runtime, deed):
    made = Worker(runtime, build_relay(runtime, Guard(())), build_spool(runtime))
    made._deeds = {"push": deed}
    return made


def owe(world, count=ROWS):
    def put(tx):
        for n in range(count):
            outbox.put(tx, world.runtime.ids, world.clock(), "push", f"t{n}", {"n": n})

    world.store.write(put)


def states(world):
    return world.all("SELECT state, tries, leased_until FROM outbox ORDER BY id")


def test_r241_r244_a_batch_that_outlasts_its_lease_is_not_done_twice(world):
    owe(world)
    heard = []
    quick = worker_of(world.another_runtime(), lambda payload, _now: heard.append(("quick", payload["n"])))

    def slow(payload, _now):
        heard.append(("slow", payload["n"]))
        world.clock.move(seconds=SLOW_S)
        # The other machine looks for work all the time.
        quick.pass_once()

    assert worker_of(world.runtime, slow).pass_once() >= 1
    assert [n for who, n in heard if who == "slow"] == [0, 1, 2]
    quick.finish_due()
    assert sorted(n for _, n in heard) == list(range(ROWS))
    assert {(row["state"], row["tries"], row["leased_until"]) for row in states(world)} == {("done", 1, None)}


def test_what_is_begun_in_time_ends_within_the_lease():
    """The longest deed is a call to a till or a platform, of ten seconds at the most."""
    assert ENOUGH_S + 10 < LEASE_S


def test_giving_back_leaves_alone_what_another_worker_holds_by_now(world):
    owe(world, 2)
    first = world.store.write(lambda tx: outbox.lease(tx, world.clock(), LEASE_S, 10))
    world.clock.move(seconds=LEASE_S + 1)
    second = world.store.write(lambda tx: outbox.lease(tx, world.clock(), LEASE_S, 1))
    world.store.write(lambda tx: outbox.done(tx, world.clock(), first[1]["id"]))
    world.store.write(lambda tx: outbox.give_back(tx, first))
    held, done = states(world)
    assert (held["state"], held["tries"], held["leased_until"]) == ("due", 2, second[0]["leased_until"])
    assert (done["state"], done["tries"]) == ("done", 1)
