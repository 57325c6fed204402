"""Tokens (R200–R203): signed claims that mean nothing without their row in the store.

The text is `drainage_` + claims + `.` + HMAC-SHA256, both in URL-safe base64. The claims tell whose it is and how long
(kid, jti, iat, exp, name, role); the algorithm is fixed here and stands in no claim. The row, found by `jti`, holds the
text's SHA-256 and whether it was revoked, so a token dies in every process at once, a stolen database holds none, and a
stolen key makes none: 128 random bits of each text are known to nobody else.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from crypto.mac import equal, hmac_sha256
from crypto.tokens import new_token, token_digest
from gateway.auth.principal import Principal, TokenKind
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.ids import IdFactory, RandomBytes
from gateway.contract.store import Row, Tx

PREFIX: Final = "drainage_"
API_DAYS: Final = 90
LIFETIME: Final[Mapping[TokenKind, timedelta]] = {
    "api": timedelta(days=API_DAYS),
    "login": timedelta(hours=2),
    "session": timedelta(hours=12),
}
"""How long each kind lives: a program's, a login's (R203), and a browser's session, which is a shift at the till."""

_LONGEST: Final = 2000
_SKEW: Final = timedelta(minutes=10)
_USED_EVERY: Final[Mapping[TokenKind, timedelta]] = {
    "api": timedelta(hours=1),
    "login": timedelta(minutes=5),
    "session": timedelta(minutes=5),
}
"""How old the note of a token's last use may grow before it is written again."""
_SHOWN: Final = (
    "id, kind, user_name, name, role, circle, merchant, created_at, expires_at, revoked_at, last_used_at, begun_at, "
    "confirmed_at"
)


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """Signing keys by id; `active` signs new tokens, the others keep older ones good until they are taken away."""

    keys: Mapping[str, bytes]
    active: str

    def __repr__(self) -> str:
        return f"TokenKeys(active={self.active!r})"


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token. Its `text` is shown once and is nowhere kept."""

    id: str
    expires_at: datetime
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose a token is: a user (`user` is his name, `name` the same), or a program that an operator named."""

    name: str
    role: str
    circle: str | None = None
    merchant: str | None = None
    user: str | None = None


def issue(
    tx: Tx,
    ids: IdFactory,
    random: RandomBytes,
    keys: TokenKeys,
    now: datetime,
    kind: TokenKind,
    holder: Holder,
    expires_at: datetime | None = None,
    *,
    begun_at: str | None = None,
    confirmed_at: str | None = None,
) -> Issued:
    """Make a token and its row. It ends at `expires_at`, by default after its kind's lifetime.

    `begun_at`: when the chain of tokens that it continues began, by default now; `confirmed_at`: when its holder last
    gave a password.
    """
    id_ = ids.new("tk", now)
    expires_at = from_text(to_text(expires_at or now + LIFETIME[kind]))
    claims = {
        "kid": keys.active,
        "jti": id_,
        "iat": int(now.timestamp()),
        "exp": int(expires_at.timestamp()),
        "name": holder.name,
        "role": holder.role,
        "rnd": new_token(random),
    }
    body = PREFIX + _base64(json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode())
    text = f"{body}.{_base64(hmac_sha256(keys.keys[keys.active], body.encode()))}"
    tx.run(
        "INSERT INTO tokens (id, digest, kind, user_name, name, role, circle, merchant, created_at, expires_at, "
        "begun_at, confirmed_at) VALUES (:id, :digest, :kind, :user, :name, :role, :circle, :merchant, :now, "
        ":expires, :begun, :confirmed)",
        {
            "id": id_,
            "digest": token_digest(text),
            "kind": kind,
            "user": holder.user,
            "name": holder.name,
            "role": holder.role,
            "circle": holder.circle,
            "merchant": holder.merchant,
            "now": to_text(now),
            "expires": to_text(expires_at),
            "begun": begun_at or to_text(now),
            "confirmed": confirmed_at,
        },
    )
    return Issued(id_, expires_at, text)


def authenticate(tx: Tx, keys: TokenKeys, text: str, now: datetime, kinds: Collection[TokenKind]) -> Principal:
    """Whoever holds this text. A user's role and scope are those that he has now, not those of when he signed in.

    Raises Refused: `unauthorized` (401) whatever is wrong, `password_change_required` (403) for a user who must.
    """
    claims = _claims(keys, text)
    row = tx.one(
        "SELECT t.id, t.digest, t.kind, t.name, t.user_name, t.role, t.circle, t.merchant, t.expires_at, t.revoked_at, "
        "t.confirmed_at, u.name AS known, u.role AS user_role, u.circle AS user_circle, u.merchant AS user_merchant, "
        "u.disabled, u.must_change FROM tokens t LEFT JOIN users u ON u.name = t.user_name WHERE t.id = :id",
        {"id": str(claims["jti"])},
    )
    if row is None or not equal(bytes(row["digest"]), token_digest(text)) or row["kind"] not in kinds:
        raise unauthorized()
    made_at = claims["iat"]
    over = row["expires_at"] <= to_text(now) or claims["exp"] <= now.timestamp()
    # A clock that was far ahead must not have made a token for the far future.
    if over or row["revoked_at"] is not None or made_at > (now + _SKEW).timestamp():
        raise unauthorized()
    if row["user_name"] is None:
        return _principal(row, row["role"], row["circle"], row["merchant"])
    if row["known"] is None or row["disabled"]:
        raise unauthorized()
    if row["must_change"]:
        raise Refused("password_change_required", 403, "set a password of your own first")
    return _principal(row, row["user_role"], row["user_circle"], row["user_merchant"])


def _principal(row: Row, role: str, circle: str | None, merchant: str | None) -> Principal:
    return Principal(row["name"], row["kind"], role, circle, merchant, row["id"], row["confirmed_at"])


def revoke(tx: Tx, token_id: str, now: datetime) -> bool:
    """End a token; False when there is none or it was ended before."""
    return bool(
        tx.run(
            "UPDATE tokens SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL",
            {"now": to_text(now), "id": token_id},
        )
    )


def confirm(tx: Tx, token_id: str, now: datetime) -> bool:
    """Note that a password was just given for a token; False when there is none or it was ended."""
    return bool(
        tx.run(
            "UPDATE tokens SET confirmed_at = :now WHERE id = :id AND revoked_at IS NULL",
            {"now": to_text(now), "id": token_id},
        )
    )


def revoke_of_user(tx: Tx, user: str, now: datetime) -> int:
    """End every token and session of a user; how many."""
    return tx.run(
        "UPDATE tokens SET revoked_at = :now WHERE user_name = :user AND revoked_at IS NULL",
        {"now": to_text(now), "user": user},
    )


def find(tx: Tx, token_id: str) -> Row | None:
    """A token's row, without its digest."""
    return tx.one(f"SELECT {_SHOWN} FROM tokens WHERE id = :id", {"id": token_id})


def api_tokens(tx: Tx) -> list[Row]:
    """The tokens that operators made for programs, newest first, ended ones too; without their digests."""
    return tx.all(f"SELECT {_SHOWN} FROM tokens WHERE kind = 'api' ORDER BY id DESC")


def is_rested(tx: Tx, token_id: str, kind: TokenKind, now: datetime) -> bool:
    """Whether its last use was noted long ago or never: enough to find programs and devices that nobody needs."""
    row = tx.one(
        "SELECT 1 AS yes FROM tokens WHERE id = :id AND (last_used_at IS NULL OR last_used_at < :then)",
        {"id": token_id, "then": to_text(now - _USED_EVERY[kind])},
    )
    return row is not None


def note_use(tx: Tx, token_id: str, now: datetime) -> None:
    """Remember that it is in use."""
    tx.run("UPDATE tokens SET last_used_at = :now WHERE id = :id", {"now": to_text(now), "id": token_id})


def live_of_user(tx: Tx, user: str, now: datetime) -> list[Row]:
    """A user's live sessions and logins, newest first, each with the `device` that it was opened with or None."""
    shown = ", ".join(f"t.{name.strip()}" for name in _SHOWN.split(","))
    return tx.all(
        f"SELECT {shown}, d.device FROM tokens t LEFT JOIN session_devices d ON d.token = t.id "
        "WHERE t.user_name = :user AND t.revoked_at IS NULL AND t.expires_at > :now ORDER BY t.id DESC",
        {"user": user, "now": to_text(now)},
    )


def last_seen(tx: Tx) -> dict[str, str]:
    """When each user's newest session was used last, by name; whoever has never been seen is not in it."""
    rows = tx.all(
        "SELECT user_name, max(coalesce(last_used_at, created_at)) AS at FROM tokens WHERE user_name IS NOT NULL "
        "GROUP BY user_name"
    )
    return {row["user_name"]: row["at"] for row in rows}


def note_device(tx: Tx, token_id: str, device: str) -> None:
    """Remember what a session was opened with, in a few words."""
    tx.run(
        "INSERT INTO session_devices (token, device) VALUES (:token, :device) ON CONFLICT (token) DO NOTHING",
        {"token": token_id, "device": device[:60]},
    )


def _claims(keys: TokenKeys, text: str) -> dict[str, Any]:
    """The claims of a text that we signed. Raises Refused `unauthorized` for any other."""
    body, dot, signature = text.partition(".")
    if len(text) > _LONGEST or not text.isascii() or not text.startswith(PREFIX) or not dot:
        raise unauthorized()
    try:
        claims = json.loads(base64.urlsafe_b64decode(body.removeprefix(PREFIX) + "=="))
        key = keys.keys[claims["kid"]]
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError):
        raise unauthorized() from None
    # Nothing of the claims but the key's name has been used so far; from here on they are ours.
    if not equal(_base64(hmac_sha256(key, body.encode())).encode(), signature.encode()):
        raise unauthorized()
    return dict(claims)


def unauthorized() -> Refused:
    """The one answer to whoever is not let in: it tells nothing of the reason (R202, R204)."""
    return Refused("unauthorized", 401, "sign in with a good token, or a name and its password")


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
