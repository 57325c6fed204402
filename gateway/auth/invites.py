"""One-time links by which people set a password of their own: one use, three days, only while their maker still may.

The token is 128 random bits and lies in the store as its digest; it is shown once, to whoever made it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from crypto.tokens import looks_like_token, new_token, token_digest
from gateway import audit
from gateway.auth import tokens, users
from gateway.auth.grants import Scope
from gateway.auth.principal import Principal
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.ids import IdFactory, RandomBytes
from gateway.contract.store import Row, Tx

LIFETIME: Final = timedelta(hours=72)
KEPT_FOR: Final = timedelta(days=30)
"""How long a link that is over stays in lists."""
Kind = Literal["join", "reset"]
_OPEN: Final = "used_at IS NULL AND revoked_at IS NULL"


@dataclass(frozen=True, slots=True)
class Invite:
    """A new link. Its `token` is shown once and is nowhere kept."""

    id: str
    expires_at: datetime
    token: str = field(repr=False)


def make(
    tx: Tx, ids: IdFactory, random: RandomBytes, now: datetime, kind: Kind, name: str, scope: Scope, by: str
) -> Invite:
    """Make a link for `name`; an older open one of the same name ends. The caller has checked who may.

    Raises Refused: `bad_name` or `bad_scope` (422), `user_exists` (409) where a new user is to have a name in use.
    """
    users.check_user(name, scope.role, scope.circle, scope.merchant)
    if kind == "join" and users.find(tx, name) is not None:
        raise Refused("user_exists", 409, "there is a user of that name")
    tx.run("DELETE FROM invites WHERE expires_at < :before", {"before": to_text(now - KEPT_FOR)})
    tx.run(f"UPDATE invites SET revoked_at = :now WHERE name = :name AND {_OPEN}", {"now": to_text(now), "name": name})
    made = Invite(ids.new("inv", now), now + LIFETIME, new_token(random))
    tx.run(
        "INSERT INTO invites (id, digest, kind, name, role, circle, merchant, made_at, made_by, expires_at) "
        "VALUES (:id, :digest, :kind, :name, :role, :circle, :merchant, :now, :by, :expires)",
        {
            "id": made.id,
            "digest": token_digest(made.token),
            "kind": kind,
            "name": name,
            "role": scope.role,
            "circle": scope.circle,
            "merchant": scope.merchant,
            "now": to_text(now),
            "by": by,
            "expires": to_text(made.expires_at),
        },
    )
    return made


def look(tx: Tx, token: str, now: datetime) -> Row | None:
    """The open link with this token; None for one that is unknown, used, ended or out of time."""
    if not looks_like_token(token):
        return None
    return tx.one(
        f"SELECT * FROM invites WHERE digest = :digest AND {_OPEN} AND expires_at > :now",
        {"digest": token_digest(token), "now": to_text(now)},
    )


def take(
    tx: Tx,
    token: str,
    now: datetime,
    password_hash: str,
    may_still: Callable[[Principal, Scope], bool],
    request_id: str | None = None,
) -> str:
    """Use the link up and set the password; the user's name. Of any number at once one gets here.

    `may_still(maker, scope)`: whether whoever made the link may give that scope today. Raises Refused: `not_found`
    (404) for a link that is no more, `user_exists` (409) where somebody has taken the name since.
    """
    row = look(tx, token, now)
    if row is None or not tx.run(
        f"UPDATE invites SET used_at = :now WHERE id = :id AND {_OPEN}", {"now": to_text(now), "id": row["id"]}
    ):
        raise _gone()
    maker, name = users.find(tx, row["made_by"]), row["name"]
    if maker is None or maker["disabled"]:
        raise _gone()
    by = Principal(maker["name"], "session", maker["role"], maker["circle"], maker["merchant"], "")
    if row["kind"] == "join":
        scope = Scope(row["role"], row["circle"], row["merchant"])
        if not may_still(by, scope):
            raise _gone()
        users.add(tx, name, scope.role, scope.circle, scope.merchant, password_hash, now)
        users.settle_password(tx, name, password_hash)
        facts = {"role": scope.role, "circle": scope.circle, "merchant": scope.merchant, "invite": row["id"]}
        audit.record(tx, now, name, "user.join", name, after={**facts, "by": by.name}, request_id=request_id)
        return str(name)
    user = users.find(tx, name)
    if user is None or user["disabled"] or not may_still(by, Scope(user["role"], user["circle"], user["merchant"])):
        raise _gone()
    users.settle_password(tx, name, password_hash)
    ended = tokens.revoke_of_user(tx, name, now)
    facts = {"tokens_ended": ended, "invite": row["id"], "by": by.name}
    audit.record(tx, now, name, "user.password", name, after=facts, request_id=request_id)
    return str(name)


def revoke(tx: Tx, invite: str, now: datetime) -> bool:
    """End a link; False when it was used or ended before."""
    return bool(
        tx.run(f"UPDATE invites SET revoked_at = :now WHERE id = :id AND {_OPEN}", {"now": to_text(now), "id": invite})
    )


def open_ones(tx: Tx, now: datetime) -> list[Row]:
    """The links that can be used, newest first, without their digests."""
    return tx.all(
        f"SELECT id, kind, name, role, circle, merchant, made_at, made_by, expires_at FROM invites "
        f"WHERE {_OPEN} AND expires_at > :now ORDER BY id DESC",
        {"now": to_text(now)},
    )


def find(tx: Tx, invite: str) -> Row | None:
    """A link by its id, without its digest."""
    return tx.one(
        "SELECT id, kind, name, role, circle, merchant, made_at, made_by, expires_at FROM invites WHERE id = :id",
        {"id": invite},
    )


def _gone() -> Refused:
    return Refused("not_found", 404, "no such link, or it is over")
