"""Buckets of unverified traffic that several machines share in Redis, which may go and come back (R244)."""

from __future__ import annotations

import socket

import pytest
import redis

from gateway.app import build_buckets
from gateway.intake import shared_bucket
from gateway.intake.bucket import Buckets
from gateway.intake.shared_bucket import RESTS_S, SharedBuckets
from tests.support.crowd import in_threads
from tests.support.redis_server import RedisServer
from tests.support.world import World

BURST = 6
SLOW = 0.01
"""Tokens a second: none comes back while a test runs."""


@pytest.fixture(scope="module")
def server():
    made = RedisServer()
    yield made
    made.stop()


@pytest.fixture
def client(server):
    with redis.Redis.from_url(server.url) as made:
        made.flushall()
        yield made


@pytest.fixture
def machines(server, client, tmp_path):
    """Three machines' buckets: files of their own, one Redis."""
    return [machine(server.url, tmp_path / f"{n}") for n in range(3)]


def machine(url, path, *, burst=BURST, per_second=SLOW):
    return SharedBuckets(url, burst, per_second, Buckets(path, burst, per_second))


def taken(buckets, count, source="192.0.2.1", channel="c", now=0.0):
    return sum(buckets.take(source, channel, now) for _ in range(count))


def test_r244_machines_count_together(machines):
    assert [taken(one, 4) for one in machines] == [4, 2, 0]


def test_sources_and_channels_count_apart(machines):
    assert taken(machines[0], 9) == BURST
    assert taken(machines[1], 9, source="192.0.2.2") == BURST
    assert taken(machines[1], 9, channel="d") == BURST


def test_r244_many_hands_take_no_more_than_there_is(machines):
    got = in_threads([lambda n=n: taken(machines[n % 3], 5) for n in range(12)])
    assert sum(got) == BURST


def test_tokens_come_back_by_rate(server, client, tmp_path):
    fast = machine(server.url, tmp_path / "a", per_second=1_000_000)
    assert taken(fast, 50) == 50


def test_a_bucket_is_forgotten_when_it_would_be_full_and_holds_no_address(machines, client):
    machines[0].take("192.0.2.1", "c", 0.0)
    (key,) = client.keys("*")
    assert b"192.0.2.1" not in key
    assert 100_000 <= client.pttl(key) <= 102_000


def test_a_source_may_be_any_text(machines):
    assert taken(machines[0], 9, source="\udcff\0 ; drop") == BURST


def test_r244_each_machine_counts_alone_while_redis_is_away_and_together_when_it_is_back(server, machines):
    assert [taken(one, 4) for one in machines] == [4, 2, 0]
    server.kill()
    try:
        # Their own tables are full: nothing was counted there while Redis did it.
        assert [taken(one, 9, now=10.0) for one in machines] == [BURST] * 3
    finally:
        server.start()
    # It rests for a while after a fault, and Redis comes back empty.
    assert [taken(one, 9, now=10.0 + RESTS_S - 0.1) for one in machines] == [0] * 3
    assert [taken(one, 4, now=10.0 + RESTS_S) for one in machines] == [4, 2, 0]


def test_a_redis_that_says_nothing_is_asked_once(tmp_path, monkeypatch):
    """It listens and never answers; a short wait in place of the real one, so that the test has none."""
    monkeypatch.setattr(shared_bucket, "ANSWERS_WITHIN_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        one = machine(f"redis://127.0.0.1:{mute.getsockname()[1]}/0", tmp_path / "a")
        assert taken(one, 9) == BURST
        mute.settimeout(1)
        mute.accept()[0].close()
        mute.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            mute.accept()


@pytest.mark.parametrize("answer", [b"-LOADING not yet\r\n", b"-OOM no memory\r\n", b"garbage\r\n"])
def test_a_redis_that_answers_with_a_fault_is_as_good_as_none(answer, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = machine(f"redis://127.0.0.1:{server.getsockname()[1]}/0", tmp_path / "a")

        def speak():
            line, _ = server.accept()
            with line:
                line.settimeout(2)
                while line.recv(4096):
                    line.sendall(answer)

        got = in_threads([lambda: taken(one, 9), lambda: _quietly(speak)])
    assert got[0] == BURST


def _quietly(work):
    try:
        work()
    except OSError:
        return


@pytest.fixture
def built(tmp_path, monkeypatch):
    """What the application makes of a home's settings."""

    def make(url):
        world = World(tmp_path)
        world.close()
        with world.home.config_file.open("a") as file:
            file.write(f'[redis]\nurl = "{url}"\n' if url else "")
        again = world.another_runtime()
        try:
            return build_buckets(again)
        finally:
            again.store.close()

    return make


def test_the_application_shares_only_where_redis_is_set(built, server, client):
    assert isinstance(built(server.url), SharedBuckets)


def test_nothing_needs_redis(built):
    assert isinstance(built(""), Buckets)


def test_without_the_library_each_machine_counts_by_itself(built, server, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    assert isinstance(built(server.url), Buckets)
