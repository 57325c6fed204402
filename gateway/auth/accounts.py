"""Signing in and out, passwords, and who gets a token (R200–R204): the use cases over users, tokens and throttles.

Passwords are hashed outside any transaction, since hashing takes longer than every write of a payment together.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway import audit
from gateway.auth import tokens, users
from gateway.auth.passwords import Hasher, check_strength, one_time_password
from gateway.auth.principal import Principal, TokenKind, check_scope
from gateway.auth.throttle import LOGIN, login_subject
from gateway.auth.tokens import API_DAYS, LIFETIME, Holder, Issued, TokenKeys
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.ids import IdFactory, RandomBytes
from gateway.contract.store import Row, Store, Tx

MOST_DAYS: Final = 3650
RECENT: Final = timedelta(minutes=5)
"""How long a password that was given counts as given just now (R205)."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """The use cases; their parts are shared by all threads of a process.

    `reauth_above_fen`: from which value on a recent password is asked for, 0 never; `longest_login`: when a login ends
    however often it was refreshed.
    """

    store: Store
    keys: TokenKeys
    hasher: Hasher
    ids: IdFactory
    random: RandomBytes
    reauth_above_fen: int = 0
    longest_login: timedelta = timedelta(hours=12)

    # -- whoever asks -----------------------------------------------------------------------------------------------

    def authenticate(self, text: str, now: datetime, kinds: Collection[TokenKind]) -> Principal:
        """Whoever holds this token, if its kind is among `kinds`; asked of the store each time, so it dies at once.

        Raises Refused: `unauthorized` (401), `password_change_required` (403). Raises StoreTrouble.
        """

        def ask(tx: Tx) -> tuple[Principal, bool]:
            principal = tokens.authenticate(tx, self.keys, text, now, kinds)
            return principal, tokens.is_rested(tx, principal.token_id, principal.kind, now)

        principal, rested = self.store.read(ask)
        if rested:
            self.store.write_later(lambda tx: tokens.note_use(tx, principal.token_id, now))
        return principal

    # -- signing in and out -----------------------------------------------------------------------------------------

    def login(self, name: str, password: str, address: str, now: datetime, kind: TokenKind = "login") -> Issued:
        """A token for whoever knows the password; `session` for a browser's cookie.

        Raises Refused: `unauthorized` (401, the same for an unknown name), `password_change_required` (403, only after
        the right one-time password), `too_many` (429, `retry_after_s`), `busy` (503).
        """
        user = self._known(name, password, address, now)

        def enter(tx: Tx) -> Issued | None:
            current = _unchanged(tx, user)
            LOGIN.uncount(tx, now, login_subject(name, address))
            if current["must_change"]:
                return None
            return self._issue(tx, now, kind, _holder(current), confirmed_at=to_text(now))

        issued = self.store.write(enter)
        if issued is None:
            raise Refused("password_change_required", 403, "set a password of your own first")
        return issued

    def logout(self, principal: Principal, now: datetime) -> None:
        """End the token that was used to ask. A second time changes nothing."""
        self.store.write(lambda tx: tokens.revoke(tx, principal.token_id, now))

    def refresh(self, principal: Principal, now: datetime) -> Issued:
        """A new token for the old one, which is dead from then on; of two at once one wins.

        A login lives another two hours, but never beyond `longest_login` after its password; an API token keeps the end
        that it was made with. Raises Refused `unauthorized`.
        """

        def swap(tx: Tx) -> Issued:
            row = tokens.find(tx, principal.token_id)
            if row is None or not tokens.revoke(tx, principal.token_id, now):
                raise tokens.unauthorized()
            holder = Holder(row["name"], row["role"], row["circle"], row["merchant"], row["user_name"])
            begun_at = row["begun_at"] or row["created_at"]
            end = from_text(begun_at) + self.longest_login
            if row["kind"] == "api":
                end = from_text(row["expires_at"])
            elif end <= now:
                raise tokens.unauthorized()
            else:
                end = min(end, now + LIFETIME[row["kind"]])
            confirmed_at = row["confirmed_at"]
            return self._issue(tx, now, row["kind"], holder, end, begun_at=begun_at, confirmed_at=confirmed_at)

        return self.store.write(swap)

    def change_password(self, name: str, password: str, new_password: str, address: str, now: datetime) -> None:
        """Replace a password, a one-time password too; every earlier token and session of the user is dead.

        Raises Refused: `weak_password` (422), `unauthorized` (401), `too_many` (429, `retry_after_s`), `busy` (503).
        """
        check_strength(new_password, password)
        user = self._known(name, password, address, now)
        new_hash = self.hasher.hash(new_password)

        def change(tx: Tx) -> None:
            if not users.set_password(tx, name, user["password_hash"], new_hash):
                raise tokens.unauthorized()
            LOGIN.uncount(tx, now, login_subject(name, address))
            ended = tokens.revoke_of_user(tx, name, now)
            audit.record(tx, now, name, "user.password", name, after={"tokens_ended": ended})

        self.store.write(change)

    # -- a password once more (R205) --------------------------------------------------------------------------------

    def most_without_password(self, principal: Principal, now: datetime) -> int | None:
        """The value in fen that this caller may move as he stands; None where nothing bounds him."""
        given = principal.confirmed_at
        recent = given is not None and timedelta(0) <= now - from_text(given) <= RECENT
        return None if recent or not self.reauth_above_fen else self.reauth_above_fen

    def reauthenticate(self, principal: Principal, name: str, password: str, address: str, now: datetime) -> datetime:
        """Note that a password was given for the token that is asked with; until when that counts.

        A user's token takes his own password; a program's that of a user who may do all that it may, which is audited.
        Raises Refused: `unauthorized` (401), `too_many` (429, `retry_after_s`), `busy` (503).
        """
        user = self._known(name, password, address, now)

        def note(tx: Tx) -> None:
            current = _unchanged(tx, user)
            row = tokens.find(tx, principal.token_id)
            if row is None or not _vouches(current, row) or not tokens.confirm(tx, principal.token_id, now):
                raise tokens.unauthorized()
            LOGIN.uncount(tx, now, login_subject(name, address))
            if row["user_name"] is None:
                audit.record(tx, now, name, "token.confirm", principal.token_id, after={"name": row["name"]})

        self.store.write(note)
        return now + RECENT

    def vouch(self, name: str, password: str, address: str, now: datetime) -> Principal:
        """Whoever has this password, for one act on somebody else's device; he is not signed in there.

        Raises Refused: `unauthorized` (401), `too_many` (429, `retry_after_s`), `busy` (503).
        """
        user = self._known(name, password, address, now)

        def check(tx: Tx) -> Row:
            current = _unchanged(tx, user)
            if current["must_change"]:
                raise tokens.unauthorized()
            LOGIN.uncount(tx, now, login_subject(name, address))
            return current

        found = self.store.write(check)
        return Principal(name, "session", found["role"], found["circle"], found["merchant"], "", to_text(now))

    def _known(self, name: str, password: str, address: str, now: datetime) -> Row:
        """The user who has this password. Counts the try before anything is hashed."""
        self.store.write(lambda tx: LOGIN.count(tx, now, login_subject(name, address)))
        user = self.store.read(lambda tx: users.find(tx, name))
        enabled = user is not None and not user["disabled"]
        if not self.hasher.verify(user["password_hash"] if user is not None and enabled else None, password):
            raise tokens.unauthorized()
        assert user is not None  # nobody's password never fits
        return user

    # -- what operators do ------------------------------------------------------------------------------------------

    def create_user(
        self, name: str, role: str, circle: str | None, merchant: str | None, now: datetime, by: str
    ) -> str:
        """Make a user; his one-time password, which is nowhere kept.

        Raises Refused: `bad_name` or `bad_scope` (422), `user_exists` (409).
        """
        users.check_user(name, role, circle, merchant)
        password = one_time_password(self.random)
        password_hash = self.hasher.hash(password)

        def make(tx: Tx) -> None:
            users.add(tx, name, role, circle or None, merchant or None, password_hash, now)
            shown = {"role": role, "circle": circle or None, "merchant": merchant or None}
            audit.record(tx, now, by, "user.create", name, after=shown)

        self.store.write(make)
        return password

    def disable_user(self, name: str, now: datetime, by: str) -> None:
        """Let a user in no more, at once. Raises Refused `not_found` (404)."""

        def close(tx: Tx) -> None:
            if not users.disable(tx, name):
                raise Refused("not_found", 404, "no such user, or disabled before")
            tokens.revoke_of_user(tx, name, now)
            audit.record(tx, now, by, "user.disable", name)

        self.store.write(close)

    def users(self) -> list[Row]:
        """Every user by name, without hashes."""
        return self.store.read(users.every)

    def create_token(
        self,
        name: str,
        role: str,
        circle: str | None,
        merchant: str | None,
        now: datetime,
        by: str,
        *,
        days: int = API_DAYS,
    ) -> Issued:
        """Make an API token. Raises Refused `bad_name` or `bad_scope`, or `bad_days` (1 to 3650), all 422."""
        users.check_name(name)
        check_scope(role, circle, merchant)
        if not 1 <= days <= MOST_DAYS:
            raise Refused("bad_days", 422, f"a token lives 1 to {MOST_DAYS} days")
        holder = Holder(name, role, circle or None, merchant or None)

        def make(tx: Tx) -> Issued:
            issued = self._issue(tx, now, "api", holder, now + timedelta(days=days))
            shown = {"name": name, "role": role, "circle": holder.circle, "merchant": holder.merchant}
            audit.record(tx, now, by, "token.create", issued.id, after={**shown, "until": to_text(issued.expires_at)})
            return issued

        return self.store.write(make)

    def revoke_token(self, token_id: str, now: datetime, by: str) -> None:
        """End a token of any kind, in every process at once. Raises Refused `not_found` (404)."""

        def end(tx: Tx) -> None:
            if not tokens.revoke(tx, token_id, now):
                raise Refused("not_found", 404, "no such token, or ended before")
            audit.record(tx, now, by, "token.revoke", token_id)

        self.store.write(end)

    def tokens(self) -> list[Row]:
        """Every API token, newest first, without digests."""
        return self.store.read(tokens.api_tokens)

    def _issue(
        self,
        tx: Tx,
        now: datetime,
        kind: TokenKind,
        holder: Holder,
        expires_at: datetime | None = None,
        *,
        begun_at: str | None = None,
        confirmed_at: str | None = None,
    ) -> Issued:
        return tokens.issue(
            tx,
            self.ids,
            self.random,
            self.keys,
            now,
            kind,
            holder,
            expires_at,
            begun_at=begun_at,
            confirmed_at=confirmed_at,
        )


def _unchanged(tx: Tx, user: Row) -> Row:
    """The user as he is now, if the password that was checked is still his. Raises Refused `unauthorized`."""
    current = users.find(tx, user["name"])
    if current is None or current["disabled"] or current["password_hash"] != user["password_hash"]:
        raise tokens.unauthorized()
    return current


def _holder(user: Row) -> Holder:
    return Holder(user["name"], user["role"], user["circle"], user["merchant"], user["name"])


def _vouches(user: Row, token: Row) -> bool:
    """Whether this user's password may be given for this token: his own, or a program's of no more than his scope."""
    if user["must_change"]:
        return False
    if token["user_name"] is not None:
        return bool(token["user_name"] == user["name"])
    as_user = Principal(user["name"], "session", user["role"], user["circle"], user["merchant"], "")
    return as_user.may(token["role"]) and all(user[bound] in {None, token[bound]} for bound in ("circle", "merchant"))
