"""Throttles: counted together by every process, for each subject by itself, gone with their window (R056, R204)."""

from datetime import timedelta

import pytest

from gateway.auth.throttle import LOGIN, UNKNOWN_CODE, UNKNOWN_LINK, login_subject, source
from gateway.contract import Refused


def count(world, throttle, *subjects):
    world.store.write(lambda tx: throttle.count(tx, world.clock(), *subjects))


def test_R204_ten_tries_in_a_quarter_of_an_hour(world):
    for _ in range(10):
        count(world, LOGIN, "a")
    with pytest.raises(Refused) as refused:
        count(world, LOGIN, "a")
    assert (refused.value.code, refused.value.status) == ("too_many", 429)
    wait = refused.value.facts["retry_after_s"]
    assert 0 < wait <= 900
    world.clock.move(seconds=wait - 1)
    with pytest.raises(Refused):
        count(world, LOGIN, "a")
    world.clock.move(seconds=1)
    count(world, LOGIN, "a")


def test_R056_one_of_two_subjects_is_enough_to_be_refused_and_then_neither_is_counted(world):
    for number in range(10):
        count(world, UNKNOWN_LINK, "address", f"session-{number}")
    for _ in range(3):
        with pytest.raises(Refused):
            count(world, UNKNOWN_LINK, "fresh session", "address")
    for _ in range(10):
        count(world, UNKNOWN_LINK, "fresh session", "other address")


def test_checking_counts_nothing(world):
    for _ in range(100):
        world.store.read(lambda tx: UNKNOWN_CODE.check(tx, world.clock(), "token"))
    for _ in range(30):
        count(world, UNKNOWN_CODE, "token")
    with pytest.raises(Refused):
        world.store.read(lambda tx: UNKNOWN_CODE.check(tx, world.clock(), "token"))


def test_what_was_no_guess_is_given_back(world):
    for _ in range(50):
        count(world, LOGIN, "a")
        world.store.write(lambda tx: LOGIN.uncount(tx, world.clock(), "a"))


def test_a_strangers_text_is_kept_as_a_digest_of_fixed_length(world):
    count(world, LOGIN, login_subject("canary-name" * 5000 + "\ud800\x00", "192.0.2.1"))
    row = world.one("SELECT name, expires_at FROM counters")
    assert len(row["name"]) < 80
    assert "canary" not in row["name"]
    assert row["expires_at"] > (world.clock() - timedelta(seconds=1)).isoformat()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("", "", True),
        ("unix:", "nonsense", False),
    ],
)
def test_who_is_counted_as_one(one, other, same):
    assert (source(one) == source(other)) is same


def test_account_and_address_do_not_run_into_each_other():
    assert login_subject("a\n192.0.2.1", "") != login_subject("a", "192.0.2.1")
