"""Passwords: what is kept, what is weak, and that guessing does not take a process's threads (R204)."""

import pytest

from gateway.auth.passwords import Hasher, check_strength, one_time_password
from gateway.contract import Refused
from tests.support.world import cheap_hasher

GOOD = "correct horse battery"


def test_R204_what_is_kept_is_argon2id_and_never_the_password():
    hasher = cheap_hasher()
    kept = [hasher.hash(GOOD), hasher.hash(GOOD)]
    assert all(text.startswith("$argon2id$v=19$m=8,t=1,p=1$") for text in kept)
    assert kept[0] != kept[1]
    assert not any(GOOD in text for text in kept)


def test_R204_defaults_are_those_that_owasp_names():
    assert Hasher().hash(GOOD).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize(
    "tried", ["", "x", GOOD + " ", GOOD.upper(), GOOD[:-1], "\ud800", "\x00", "x" * 100_000, GOOD + "\x00"]
)
def test_R204_a_wrong_password_is_refused(tried):
    hasher = cheap_hasher()
    assert not hasher.verify(hasher.hash(GOOD), tried)


@pytest.mark.parametrize("tried", ["", GOOD, "\ud800", "AAAA"])
def test_R204_nobody_has_no_password_that_fits(tried):
    assert not cheap_hasher().verify(None, tried)


def test_R204_an_unknown_name_costs_the_same_work():
    """The stand-in hash names the parameters of a real one, so checking it does what checking that does."""
    hasher = cheap_hasher(time_cost=2, memory_kib=64)
    assert hasher._nobody.rsplit("$", 2)[0] == hasher.hash(GOOD).rsplit("$", 2)[0]
    assert len(hasher._nobody) == len(hasher.hash(GOOD))


@pytest.mark.parametrize("kept", ["", "plain", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$AA$AA", "$2b$12$abc"])
def test_a_damaged_hash_fits_nothing(kept):
    assert not cheap_hasher().verify(kept, GOOD)


def test_one_text_typed_on_two_keyboards_is_one_password():
    hasher = cheap_hasher()
    assert hasher.verify(hasher.hash("café-des-artistes"), "cafe\u0301-des-artistes")


def test_beyond_the_bound_callers_are_sent_away_at_once():
    hasher = cheap_hasher(most=1)
    with hasher._turn(), pytest.raises(Refused) as refused:
        hasher.verify(None, GOOD)
    assert (refused.value.code, refused.value.status, refused.value.facts["retry_after_s"]) == ("busy", 503, 1)
    assert not hasher.verify(None, GOOD)


@pytest.mark.parametrize("new", ["", "x", "elevenchars", "x" * 11, "十一个字的密码还不够长", "x" * 1001])
def test_R204_short_and_endless_passwords_are_weak(new):
    with pytest.raises(Refused) as refused:
        check_strength(new, "another one")
    assert (refused.value.code, refused.value.status) == ("weak_password", 422)
    assert not new or new not in str(refused.value)


def test_R204_the_old_password_is_no_new_one():
    with pytest.raises(Refused, match="old one"):
        check_strength("café-des-artistes", "cafe\u0301-des-artistes")


@pytest.mark.parametrize("new", ["x" * 12, "x" * 1000, "十二个字的密码就已经够长了"])
def test_R204_twelve_characters_are_enough(new):
    assert check_strength(new, GOOD) is None


def test_a_one_time_password_holds_all_that_was_random():
    made = {one_time_password(lambda n, first=first: bytes([first]) + bytes(n - 1)) for first in range(256)}
    assert len(made) == 256
    assert all(len(text) == 19 and len(text.replace("-", "")) == 16 for text in made)
    assert len(one_time_password(lambda n: b"\xff" * n)) == 19
