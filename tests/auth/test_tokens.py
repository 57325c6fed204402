"""Tokens: signed claims that mean nothing without their row, dead at once in every worker (R200–R203)."""

import base64
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.mac import hmac_sha256
from gateway.auth import bearer_principal, tokens
from gateway.auth.tokens import PREFIX, Holder, TokenKeys
from gateway.contract import Refused
from gateway.contract.ids import IdFactory, system_random
from tests.support.world import BASE_URL, START

KINDS = {"api", "login", "session"}
KEYS = TokenKeys({"1": b"k" * 32}, "1")


def ask(world, text, kinds=KINDS, runtime=None):
    return (runtime or world.runtime).accounts.authenticate(text, world.clock(), kinds)


def refusal(world, text, kinds=KINDS):
    with pytest.raises(Refused) as caught:
        ask(world, text, kinds)
    assert (caught.value.code, caught.value.status) == ("unauthorized", 401)
    return str(caught.value)


def claims_of(text):
    return json.loads(base64.urlsafe_b64decode(text.removeprefix(PREFIX).split(".")[0] + "=="))


def signed(claims, key):
    body = PREFIX + base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{body}.{base64.urlsafe_b64encode(hmac_sha256(key, body.encode())).rstrip(b'=').decode()}"


def test_R200_R203_the_claims_tell_whose_it_is_and_how_long(world):
    text = world.token("manager", name="till-7")
    claims = claims_of(text)
    assert set(claims) == {"kid", "jti", "iat", "exp", "name", "role", "rnd"}
    assert (claims["name"], claims["role"], claims["kid"]) == ("till-7", "manager", "1")
    assert claims["exp"] - claims["iat"] == 90 * 86_400
    principal = ask(world, text)
    assert (principal.name, principal.role, principal.merchant, principal.token_id) == (
        "till-7",
        "manager",
        "hotpot",
        claims["jti"],
    )


def test_R203_a_stolen_key_makes_no_token(world):
    """Claims signed with the right key, for a row that is there, are refused: its 128 random bits are missing."""
    text = world.token("clerk")
    key = world.home.master_key().derive("api tokens 1")
    for change in ({}, {"rnd": "A" * 22}, {"role": "admin"}, {"exp": 2**40}):
        refusal(world, signed({**claims_of(text), **change}, key))


def test_R202_every_wrong_token_gets_the_same_answer(world):
    good = world.token("clerk")
    body, mac = good.split(".")
    claims = claims_of(good)
    expired = world.runtime.accounts.create_token(
        "old", "clerk", None, "hotpot", world.clock() - timedelta(days=2), "tests", days=1
    )
    revoked = world.runtime.accounts.create_token("gone", "clerk", None, "hotpot", world.clock(), "tests")
    world.runtime.accounts.revoke_token(revoked.id, world.clock(), "tests")
    wrong = [
        "",
        ".",
        "x",
        good[:-1],
        good + "A",
        good + ".x",
        body,
        body + ".",
        "." + mac,
        good.removeprefix(PREFIX),
        PREFIX + "." + mac,
        PREFIX + "é." + mac,
        PREFIX + "A" * 5000 + "." + mac,
        good.swapcase(),
        signed(claims, b"another key" * 3),
        signed({**claims, "kid": "2"}, b"k" * 32),
        signed({**claims, "kid": ["1"]}, b"k" * 32),
        signed([1], b"k" * 32),
        signed("1", b"k" * 32),
        signed({**claims, "alg": "none"}, b""),
        PREFIX + base64.urlsafe_b64encode(b"[" * 900).decode() + "." + mac,
        expired.text,
        revoked.text,
    ]
    assert len({refusal(world, text) for text in wrong}) == 1


@given(st.integers(min_value=0), st.characters(min_codepoint=33, max_codepoint=126))
def test_R202_any_single_character_changed_is_refused(place, other):
    store = {}

    class Tx:
        def run(self, _sql, params):
            store.update(params)

        def one(self, _sql, _params):
            pytest.fail("the store was asked about a text that we never signed")

    text = tokens.issue(
        Tx(), IdFactory(system_random), system_random, KEYS, START, "api", Holder("n", "clerk", None, "m")
    ).text
    place %= len(text)
    changed = text[:place] + other + text[place + 1 :]
    if changed != text:
        with pytest.raises(Refused):
            tokens.authenticate(Tx(), KEYS, changed, START, KINDS)


def test_R203_a_login_token_lives_two_hours_and_not_longer(world):
    world.user("li", "clerk", merchant="hotpot")
    issued = world.runtime.accounts.login("li", "canary password of tests", "192.0.2.1", world.clock())
    assert issued.expires_at == world.clock() + timedelta(hours=2)
    world.clock.move(hours=1, minutes=59, seconds=59)
    assert ask(world, issued.text).name == "li"
    world.clock.move(seconds=1)
    refusal(world, issued.text)


def test_R203_a_token_from_the_far_future_is_refused(world):
    """Made while the clock was a year ahead: it must not outlive what was meant once the clock is right again."""
    issued = world.runtime.accounts.create_token("x", "clerk", None, "hotpot", world.clock() + timedelta(days=365), "t")
    refusal(world, issued.text)
    soon = world.runtime.accounts.create_token("y", "clerk", None, "hotpot", world.clock() + timedelta(minutes=9), "t")
    assert ask(world, soon.text).name == "y"


def test_R203_keys_rotate_and_older_tokens_stay_good(world):
    old = TokenKeys({"1": b"1" * 32}, "1")
    both = TokenKeys({"1": b"1" * 32, "2": b"2" * 32}, "2")
    new_only = TokenKeys({"2": b"2" * 32}, "2")
    holder = Holder("till", "clerk", None, "hotpot")

    def issue(keys):
        runtime = world.runtime
        return world.store.write(
            lambda tx: tokens.issue(tx, runtime.ids, system_random, keys, world.clock(), "api", holder)
        ).text

    before, after = issue(old), issue(both)

    def known(keys, text):
        return world.store.read(lambda tx: tokens.authenticate(tx, keys, text, world.clock(), KINDS)).name

    assert known(both, before) == known(both, after) == known(new_only, after) == "till"
    with pytest.raises(Refused):
        known(new_only, before)
    with pytest.raises(Refused):
        known(old, after)


def test_R203_revoked_in_one_process_is_dead_in_the_other(world):
    other = world.another_runtime()
    text = world.token("manager")
    assert ask(world, text, runtime=other).role == "manager"
    world.runtime.accounts.revoke_token(claims_of(text)["jti"], world.clock(), "tests")
    with pytest.raises(Refused):
        ask(world, text, runtime=other)


def test_a_kind_is_good_only_where_it_is_meant(world):
    """A cookie's session is no bearer token, nor the other way round."""
    world.user("li", "clerk", merchant="hotpot")
    session = world.runtime.accounts.login("li", "canary password of tests", "192.0.2.1", world.clock(), "session")
    assert ask(world, session.text, {"session"}).kind == "session"
    refusal(world, session.text, {"api", "login"})
    refusal(world, world.token("clerk"), {"session"})
    assert bearer_principal(world.runtime.accounts, f"Bearer {session.text}", world.runtime.clock()) is None


@pytest.mark.parametrize("scheme", ["", "Basic ", "Token ", "Bearer", "Bearer  ", "Negotiate "])
def test_R201_only_the_bearer_scheme_counts(world, scheme):
    assert (
        bearer_principal(world.runtime.accounts, scheme + world.token("clerk"), world.runtime.clock()) is None
        or scheme.strip() == "Bearer"
    )
    assert bearer_principal(world.runtime.accounts, scheme, world.runtime.clock()) is None
    assert bearer_principal(world.runtime.accounts, None, world.runtime.clock()) is None


def test_a_users_role_is_the_one_that_he_has_now(world):
    world.user("li", "manager", merchant="hotpot")
    text = world.runtime.accounts.login("li", "canary password of tests", "192.0.2.1", world.clock()).text
    world.store.write(lambda tx: tx.run("UPDATE users SET role = 'clerk', merchant = 'sweets' WHERE name = 'li'"))
    principal = ask(world, text)
    assert (principal.role, principal.merchant) == ("clerk", "sweets")
    world.store.write(lambda tx: tx.run("DELETE FROM users WHERE name = 'li'"))
    refusal(world, text)


def test_its_use_is_noted_to_the_hour(world):
    text = world.token("clerk")
    for _ in range(3):
        ask(world, text)
        world.store.write(lambda _tx: None)
    first = world.one("SELECT last_used_at FROM tokens")["last_used_at"]
    world.clock.move(minutes=59)
    ask(world, text)
    world.store.write(lambda _tx: None)
    assert world.one("SELECT last_used_at FROM tokens")["last_used_at"] == first
    world.clock.move(minutes=2)
    ask(world, text)
    world.store.write(lambda _tx: None)
    assert world.one("SELECT last_used_at FROM tokens")["last_used_at"] > first


def test_nothing_that_is_printed_shows_a_token(world):
    issued = world.runtime.accounts.create_token("x", "clerk", None, "hotpot", world.clock(), "tests")
    assert issued.text not in repr(issued)
    assert "k" * 8 not in repr(KEYS)
    shown = [dict(zip(row.keys(), row, strict=True)) for row in world.runtime.accounts.tokens()]
    assert "digest" not in shown[0]
    assert issued.text not in json.dumps(shown) + BASE_URL
