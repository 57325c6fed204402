"""`drainage user` and `drainage token`: shown once, within a scope that exists, ended at once (R072)."""

from __future__ import annotations

import json

import pytest

from gateway.contract.errors import Refused
from gateway.runtime import create


@pytest.fixture
def ready(console):
    console.init()
    console.apply()
    return console


def runtime_of(console):
    return create(
        console.home, environ={name: text for name, text in console.env.items() if name.startswith("DRAINAGE_")}
    )


def test_r072_a_user_gets_a_one_time_password_alone_on_stdout(ready):
    password = ready.ok("user", "add", "li", "--role", "clerk", "--merchant", "sweets").out.strip()
    runtime = runtime_of(ready)
    with pytest.raises(Refused) as caught:
        runtime.accounts.login("li", password, "127.0.0.1", runtime.clock())
    assert caught.value.code == "password_change_required"
    rows = json.loads(ready.ok("user", "list", "--json").out)
    assert {row["name"]: row["must_change"] for row in rows} == {"admin": True, "li": True}
    assert "hash" not in json.dumps(rows)
    runtime.store.close()


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (("--role", "clerk"), "needs a merchant"),
        (("--role", "clerk", "--merchant", "nobody"), "no merchant nobody"),
        (("--role", "operator", "--circle", "nowhere"), "no circle nowhere"),
        (("--role", "admin", "--merchant", "sweets"), "bad_scope"),
        (("--role", "operator", "--merchant", "sweets"), "bad_scope"),
    ],
)
def test_r072_a_scope_that_does_not_fit_is_refused(ready, words, word):
    for command in (("user", "add", "li"), ("token", "create", "--name", "li")):
        done = ready.run(*command, *words)
        assert (done.code, done.out) == (1, "")
        assert word in done.err


def test_a_user_is_made_once_and_can_be_shut_out(ready):
    ready.ok("user", "add", "li", "--role", "operator")
    assert "user_exists" in ready.run("user", "add", "li", "--role", "operator").err
    ready.ok("user", "disable", "li")
    assert ready.run("user", "disable", "li").code == 1


def test_an_unknown_role_is_wrong_usage(ready):
    assert ready.run("user", "add", "li", "--role", "king").code == 2
    assert ready.run("user", "add", "li", "--role", "integrator").code == 2
    assert ready.run("token", "create", "--name", "x", "--role", "king").code == 2


def test_a_token_is_printed_once_lives_ninety_days_and_ends_at_once(ready):
    text = ready.ok("token", "create", "--role", "manager", "--merchant", "hotpot", "--name", "pos").out.splitlines()[
        -1
    ]
    runtime = runtime_of(ready)
    principal = runtime.accounts.authenticate(text, runtime.clock(), ("api",))
    assert (principal.role, principal.merchant) == ("manager", "hotpot")
    (row,) = json.loads(ready.ok("token", "list", "--json").out)
    assert (row["name"], row["state"]) == ("pos", "live")
    assert text not in json.dumps(row)
    from gateway.contract.clock import from_text

    assert round((from_text(row["expires_at"]) - runtime.clock()).total_seconds() / 86_400) == 90
    ready.ok("token", "revoke", row["id"])
    with pytest.raises(Refused):
        runtime.accounts.authenticate(text, runtime.clock(), ("api",))
    assert ready.run("token", "revoke", row["id"]).code == 1
    assert json.loads(ready.ok("token", "list", "--json").out)[0]["state"] == "revoked"
    runtime.store.close()


def test_what_the_console_does_is_audited_under_its_user(ready):
    ready.ok("token", "create", "--role", "integrator", "--name", "copy")
    runtime = runtime_of(ready)
    rows = runtime.store.read(lambda tx: tx.all("SELECT who, action FROM audit ORDER BY seq"))
    assert {row["who"].partition(":")[0] for row in rows} == {"console"}
    assert {"user.create", "catalog.created", "token.create"} <= {row["action"] for row in rows}
    runtime.store.close()


def test_a_stored_text_cannot_steer_the_terminal(ready):
    runtime = runtime_of(ready)
    runtime.store.write(lambda tx: tx.run("UPDATE users SET circle = :x", {"x": "\x1b[2J\u202eevil"}))
    runtime.store.close()
    shown = ready.ok("user", "list").out
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "evil" in shown
