"""Users: the people who sign in with a name and a password. Rows only; hashing is done by the caller, outside."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from gateway.auth.principal import USER_ROLES, check_scope
from gateway.checks import text
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.store import Row, Tx

_NAME: Final = text(1, 64)


def check_user(name: str, role: str, circle: str | None, merchant: str | None) -> None:
    """Raises Refused: `bad_name` or `bad_scope`, both 422. An integrator is a program and no user."""
    check_name(name)
    if role not in USER_ROLES:
        raise Refused("bad_scope", 422, f"a user's role is one of {', '.join(USER_ROLES)}")
    check_scope(role, circle, merchant)


def check_name(name: str) -> None:
    """Raises Refused `bad_name` (422) unless it is 1 to 64 characters on one line, no blank at its ends."""
    try:
        _NAME(name)
    except ValueError as fault:
        raise Refused("bad_name", 422, f"the name {fault}") from None
    if name != name.strip():
        raise Refused("bad_name", 422, "the name must not begin or end with a blank")


def add(
    tx: Tx, name: str, role: str, circle: str | None, merchant: str | None, password_hash: str, now: datetime
) -> None:
    """Write a user who must replace his one-time password. Raises Refused `user_exists` (409)."""
    made = tx.run(
        "INSERT INTO users (name, role, circle, merchant, password_hash, must_change, created_at) "
        "VALUES (:name, :role, :circle, :merchant, :hash, 1, :now) ON CONFLICT (name) DO NOTHING",
        {
            "name": name,
            "role": role,
            "circle": circle,
            "merchant": merchant,
            "hash": password_hash,
            "now": to_text(now),
        },
    )
    if not made:
        raise Refused("user_exists", 409, "there is a user of that name")


def find(tx: Tx, name: str) -> Row | None:
    """The user, his hash included; None for an unknown one."""
    return tx.one("SELECT * FROM users WHERE name = :name", {"name": name})


def every(tx: Tx) -> list[Row]:
    """All users by name, without their hashes."""
    return tx.all("SELECT name, role, circle, merchant, must_change, disabled, created_at FROM users ORDER BY name")


def set_password(tx: Tx, name: str, old_hash: str, new_hash: str) -> bool:
    """Replace the hash that was checked; False when it has been replaced meanwhile, or the user is disabled."""
    return bool(
        tx.run(
            "UPDATE users SET password_hash = :new, must_change = 0 "
            "WHERE name = :name AND password_hash = :old AND disabled = 0",
            {"new": new_hash, "old": old_hash, "name": name},
        )
    )


def disable(tx: Tx, name: str) -> bool:
    """Let a user in no more; False when there is none or he was disabled before."""
    return bool(tx.run("UPDATE users SET disabled = 1 WHERE name = :name AND disabled = 0", {"name": name}))


def settle_password(tx: Tx, name: str, new_hash: str) -> None:
    """Set a password that the user chose by a link of his own: nothing is to be replaced at his first sign-in."""
    tx.run("UPDATE users SET password_hash = :new, must_change = 0 WHERE name = :name", {"new": new_hash, "name": name})


def enable(tx: Tx, name: str) -> bool:
    """Let a user in again; False when there is none or he was not disabled."""
    return bool(tx.run("UPDATE users SET disabled = 0 WHERE name = :name AND disabled = 1", {"name": name}))


def set_scope(tx: Tx, name: str, role: str, circle: str | None, merchant: str | None) -> None:
    """Give a user another role and scope, which his sessions have at once. The caller has checked them."""
    tx.run(
        "UPDATE users SET role = :role, circle = :circle, merchant = :merchant WHERE name = :name",
        {"role": role, "circle": circle, "merchant": merchant, "name": name},
    )
