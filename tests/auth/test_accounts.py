"""Users and signing in: one-time passwords, the throttle, and what ends a token (R200, R203, R204)."""

import threading

import pytest

from gateway import audit
from gateway.contract import Refused
from tests.support.world import PASSWORD

HERE = "192.0.2.1"
NEW = "a longer new password"
KINDS = {"api", "login", "session"}


@pytest.fixture
def accounts(world):
    return world.runtime.accounts


def refused(call, *args, **named):
    with pytest.raises(Refused) as caught:
        call(*args, **named)
    return caught.value.code, caught.value.status


def test_R204_the_first_login_must_replace_the_one_time_password(world, accounts):
    once = accounts.create_user("wang", "clerk", None, "hotpot", world.clock(), "tests")
    assert refused(accounts.login, "wang", once, HERE, world.clock()) == ("password_change_required", 403)
    assert refused(accounts.login, "wang", once + "x", HERE, world.clock()) == ("unauthorized", 401)
    assert refused(accounts.change_password, "wang", once, once, HERE, world.clock()) == ("weak_password", 422)
    accounts.change_password("wang", once, NEW, HERE, world.clock())
    assert refused(accounts.login, "wang", once, HERE, world.clock()) == ("unauthorized", 401)
    principal = accounts.authenticate(accounts.login("wang", NEW, HERE, world.clock()).text, world.clock(), KINDS)
    assert (principal.name, principal.role, principal.merchant, principal.kind) == ("wang", "clerk", "hotpot", "login")


def test_R204_a_token_of_a_user_who_must_change_lets_him_do_nothing_else(world, accounts):
    world.user("wang", "clerk", merchant="hotpot")
    text = accounts.login("wang", PASSWORD, HERE, world.clock()).text
    world.store.write(lambda tx: tx.run("UPDATE users SET must_change = 1"))
    assert refused(accounts.authenticate, text, world.clock(), KINDS) == ("password_change_required", 403)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("nobody", PASSWORD),
        ("", ""),
        ("wang", ""),
        ("wang", PASSWORD + " "),
        ("WANG", PASSWORD),
        ("wang ", PASSWORD),
        ("closed", PASSWORD),
        ("wang' OR 1=1 --", PASSWORD),
        ("n" * 100_000, PASSWORD),
    ],
)
def test_R204_every_wrong_login_gets_the_same_answer(world, accounts, name, password):
    world.user("wang", "clerk", merchant="hotpot")
    world.user("closed", "clerk", merchant="hotpot")
    accounts.disable_user("closed", world.clock(), "tests")
    with pytest.raises(Refused) as caught:
        accounts.login(name, password, HERE, world.clock())
    assert (caught.value.code, caught.value.status, dict(caught.value.facts)) == ("unauthorized", 401, {})
    with pytest.raises(Refused) as other:
        accounts.login("another nobody", "x", HERE, world.clock())
    assert str(caught.value) == str(other.value)


def test_R204_ten_tries_and_then_even_the_right_password_must_wait(world, accounts):
    world.user("wang", "clerk", merchant="hotpot")
    for _ in range(10):
        assert refused(accounts.login, "wang", "wrong", HERE, world.clock()) == ("unauthorized", 401)
    with pytest.raises(Refused) as caught:
        accounts.login("wang", PASSWORD, HERE, world.clock())
    assert (caught.value.code, caught.value.status) == ("too_many", 429)
    assert refused(accounts.change_password, "wang", PASSWORD, NEW, HERE, world.clock()) == ("too_many", 429)
    # Counted in the store: another worker counts on.
    assert refused(world.another_runtime().accounts.login, "wang", PASSWORD, HERE, world.clock())[1] == 429
    # From elsewhere he is not locked out, and other accounts are not from here.
    assert accounts.login("wang", PASSWORD, "192.0.2.2", world.clock()).text
    assert refused(accounts.login, "zhao", "wrong", HERE, world.clock()) == ("unauthorized", 401)
    world.clock.move(seconds=caught.value.facts["retry_after_s"])
    assert accounts.login("wang", PASSWORD, HERE, world.clock()).text


def test_R204_unknown_names_are_throttled_like_known_ones(world, accounts):
    for _ in range(10):
        refused(accounts.login, "nobody", "x", HERE, world.clock())
    assert refused(accounts.login, "nobody", "x", HERE, world.clock()) == ("too_many", 429)


def test_R204_right_passwords_are_no_guesses(world, accounts):
    world.user("wang", "clerk", merchant="hotpot")
    for _ in range(25):
        assert accounts.login("wang", PASSWORD, HERE, world.clock()).text


def test_R204_parallel_guesses_get_no_more_than_ten(world, accounts):
    world.user("wang", "clerk", merchant="hotpot")
    answers = []
    start = threading.Barrier(24)

    def guess():
        start.wait()
        answers.append(refused(accounts.login, "wang", "wrong", HERE, world.clock()))

    threads = [threading.Thread(target=guess) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [("too_many", 429)] * 14 + [("unauthorized", 401)] * 10


def test_R203_a_new_password_ends_every_token_in_every_worker(world, accounts):
    world.user("wang", "clerk", merchant="hotpot")
    other = world.another_runtime().accounts
    now = world.clock()
    texts = [accounts.login("wang", PASSWORD, HERE, now, kind).text for kind in ("login", "session", "login")]
    api = world.token("clerk")
    accounts.change_password("wang", PASSWORD, NEW, HERE, now)
    assert [refused(other.authenticate, text, now, KINDS)[1] for text in texts] == [401] * 3
    assert other.authenticate(api, now, KINDS).kind == "api"
    assert other.login("wang", NEW, HERE, now).text


def test_R203_a_login_that_raced_with_a_new_password_gets_nothing(world, accounts):
    """The old password was checked, then replaced, then the token was to be made."""
    world.user("wang", "clerk", merchant="hotpot")
    verify = accounts.hasher.verify

    def slow(stored, password):
        fits = verify(stored, password)
        accounts.hasher.verify = verify
        accounts.change_password("wang", PASSWORD, NEW, HERE, world.clock())
        return fits

    accounts.hasher.verify = slow
    assert refused(accounts.login, "wang", PASSWORD, HERE, world.clock()) == ("unauthorized", 401)


def test_R203_of_two_password_changes_at_once_one_wins(world, accounts):
    world.user("wang", "clerk", merchant="hotpot")
    verify = accounts.hasher.verify

    def slow(stored, password):
        fits = verify(stored, password)
        accounts.hasher.verify = verify
        accounts.change_password("wang", PASSWORD, NEW, HERE, world.clock())
        return fits

    accounts.hasher.verify = slow
    answer = refused(accounts.change_password, "wang", PASSWORD, "yet another password", HERE, world.clock())
    assert answer == ("unauthorized", 401)
    assert accounts.login("wang", NEW, HERE, world.clock()).text


def test_R203_logging_out_ends_this_token_alone(world, accounts):
    world.user("wang", "clerk", merchant="hotpot")
    now = world.clock()
    one, two = (accounts.login("wang", PASSWORD, HERE, now).text for _ in range(2))
    principal = accounts.authenticate(one, now, KINDS)
    accounts.logout(principal, now)
    accounts.logout(principal, now)
    assert refused(accounts.authenticate, one, now, KINDS)[1] == 401
    assert accounts.authenticate(two, now, KINDS).name == "wang"


def test_R203_a_refreshed_token_replaces_the_old_one(world, accounts):
    world.user("wang", "clerk", merchant="hotpot")
    old = accounts.login("wang", PASSWORD, HERE, world.clock())
    principal = accounts.authenticate(old.text, world.clock(), KINDS)
    world.clock.move(hours=1)
    new = accounts.refresh(principal, world.clock())
    assert (new.expires_at - old.expires_at).total_seconds() == 3600
    assert refused(accounts.authenticate, old.text, world.clock(), KINDS)[1] == 401
    assert accounts.authenticate(new.text, world.clock(), KINDS).name == "wang"
    assert refused(accounts.refresh, principal, world.clock()) == ("unauthorized", 401)


def test_refreshing_does_not_make_an_api_token_live_longer(world, accounts):
    issued = accounts.create_token("till", "clerk", None, "hotpot", world.clock(), "tests", days=3)
    world.clock.move(days=2)
    new = accounts.refresh(accounts.authenticate(issued.text, world.clock(), KINDS), world.clock())
    assert new.expires_at == issued.expires_at
    principal = accounts.authenticate(new.text, world.clock(), KINDS)
    assert (principal.kind, principal.name, principal.merchant) == ("api", "till", "hotpot")


def test_a_disabled_user_is_out_at_once(world, accounts):
    world.user("wang", "clerk", merchant="hotpot")
    text = accounts.login("wang", PASSWORD, HERE, world.clock()).text
    accounts.disable_user("wang", world.clock(), "tests")
    assert refused(accounts.authenticate, text, world.clock(), KINDS)[1] == 401
    assert refused(accounts.change_password, "wang", PASSWORD, NEW, HERE, world.clock()) == ("unauthorized", 401)
    assert refused(accounts.disable_user, "wang", world.clock(), "tests") == ("not_found", 404)
    assert refused(accounts.disable_user, "nobody", world.clock(), "tests") == ("not_found", 404)


@pytest.mark.parametrize(
    ("name", "role", "circle", "merchant", "code"),
    [
        ("", "clerk", None, "hotpot", "bad_name"),
        (" wang", "clerk", None, "hotpot", "bad_name"),
        ("wa\nng", "clerk", None, "hotpot", "bad_name"),
        ("w" * 65, "clerk", None, "hotpot", "bad_name"),
        ("wang", "clerk", None, None, "bad_scope"),
        ("wang", "manager", "riverside", None, "bad_scope"),
        ("wang", "admin", None, "hotpot", "bad_scope"),
        ("wang", "operator", None, "hotpot", "bad_scope"),
        ("wang", "integrator", None, None, "bad_scope"),
        ("wang", "root", None, None, "bad_scope"),
    ],
)
def test_R072_users_that_are_refused_leave_nothing(world, accounts, name, role, circle, merchant, code):
    assert refused(accounts.create_user, name, role, circle, merchant, world.clock(), "tests") == (code, 422)
    assert accounts.users() == []


def test_a_second_user_of_one_name_is_refused(world, accounts):
    world.user("wang", "clerk", merchant="hotpot")
    again = refused(accounts.create_user, "wang", "admin", None, None, world.clock(), "tests")
    assert again == ("user_exists", 409)
    assert [(row["name"], row["role"], row["must_change"]) for row in accounts.users()] == [("wang", "clerk", 0)]
    assert "password_hash" not in accounts.users()[0].keys()


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_tokens_that_would_live_forever_or_not_at_all_are_refused(world, accounts, days):
    answer = refused(accounts.create_token, "x", "admin", None, None, world.clock(), "tests", days=days)
    assert answer == ("bad_days", 422)
    assert accounts.tokens() == []


def test_revoking_twice_or_nothing_is_told(world, accounts):
    issued = accounts.create_token("x", "admin", None, None, world.clock(), "tests")
    accounts.revoke_token(issued.id, world.clock(), "tests")
    assert refused(accounts.revoke_token, issued.id, world.clock(), "tests") == ("not_found", 404)
    assert refused(accounts.revoke_token, "tk_none", world.clock(), "tests") == ("not_found", 404)


def test_what_operators_do_is_in_the_audit_log_and_no_secret_is(world, accounts):
    once = accounts.create_user("wang", "clerk", None, "hotpot", world.clock(), "boss")
    accounts.change_password("wang", once, NEW, HERE, world.clock())
    issued = accounts.create_token("till", "clerk", None, "hotpot", world.clock(), "boss")
    accounts.revoke_token(issued.id, world.clock(), "boss")
    accounts.disable_user("wang", world.clock(), "boss")
    rows = world.all("SELECT who, action, object, before, after FROM audit WHERE action NOT LIKE 'catalog.%'")
    assert [(row["who"], row["action"]) for row in rows] == [
        ("boss", "user.create"),
        ("wang", "user.password"),
        ("boss", "token.create"),
        ("boss", "token.revoke"),
        ("boss", "user.disable"),
    ]
    told = " ".join(str(value) for row in rows for value in row)
    assert not any(secret in told for secret in (once, NEW, issued.text, "argon2"))
    assert world.store.read(audit.first_broken) is None


def test_no_secret_lies_in_the_database_file(world, accounts):
    once = accounts.create_user("wang", "clerk", None, "hotpot", world.clock(), "boss")
    accounts.change_password("wang", once, NEW, HERE, world.clock())
    texts = [accounts.login("wang", NEW, HERE, world.clock(), kind).text for kind in ("login", "session")]
    world.close()
    kept = b"".join(path.read_bytes() for path in world.home.root.glob("drainage.db*"))
    assert b"wang" in kept
    assert not any(secret.encode() in kept for secret in (once, NEW, PASSWORD, *texts))
    assert not any(text.split(".")[1].encode() in kept for text in texts)
