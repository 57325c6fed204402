"""Active tags (主动标识, R025–R026, R038): a share that another opens and confirms makes its owner his source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from crypto.tokens import looks_like_token, token_digest
from gateway import people, tagging
from gateway.catalog.specs import Circle
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.ids import IdFactory
from gateway.contract.store import Row, Store, Tx
from gateway.links import LinkKeys

SHARE_DAYS: Final = 90
Outcome = Literal["tagged", "already_tagged", "self_referral"]


@dataclass(frozen=True, slots=True)
class Share:
    """A share as made: its id and the token of its `/i/<token>`."""

    id: str
    token: str


@dataclass(frozen=True, slots=True)
class Sharing:
    """The use case; its parts are shared by all threads of a process."""

    store: Store
    ids: IdFactory
    link_keys: LinkKeys

    def create(self, person: str, circle: str, now: datetime) -> Share:
        """A new share of `person` in `circle`. Raises Refused `not_found` for an unknown person."""

        def make(tx: Tx) -> Share:
            who = people.look_up(tx, person)
            if who is None:
                raise Refused("not_found", 404, "no such person")
            id_ = self.ids.new("s", now)
            token = self.link_keys.token(id_)
            tx.run(
                "INSERT INTO shares (id, token_digest, key_id, circle, person, created_at, expires_at) "
                "VALUES (:id, :digest, :key, :circle, :person, :now, :expires)",
                {
                    "id": id_,
                    "digest": token_digest(token),
                    "key": self.link_keys.active,
                    "circle": circle,
                    "person": who.id,
                    "now": to_text(now),
                    "expires": to_text(now + timedelta(days=SHARE_DAYS)),
                },
            )
            return Share(id_, token)

        return self.store.write(make)

    def standing(self, person: str, circle: str, now: datetime) -> tuple[Share, str] | None:
        """The person's newest live share in a circle, so that it can be shown again, and when it ends; None without."""

        def find(tx: Tx) -> tuple[Share, str] | None:
            who = people.look_up(tx, person)
            if who is None:
                return None
            marks, params = people.in_group(who)
            row = tx.one(
                f"SELECT * FROM shares WHERE person IN ({marks}) AND circle = :circle AND revoked_at IS NULL "
                f"AND expires_at > :now ORDER BY id DESC LIMIT 1",
                {**params, "circle": circle, "now": to_text(now)},
            )
            if row is None:
                return None
            return Share(row["id"], self.link_keys.token(row["id"], row["key_id"])), str(row["expires_at"])

        return self.store.read(find)

    def revoke(self, person: str, circle: str, now: datetime) -> bool:
        """End every live share of the person in a circle; whether there was one."""

        def end(tx: Tx) -> bool:
            who = people.look_up(tx, person)
            if who is None:
                return False
            marks, params = people.in_group(who)
            return bool(
                tx.run(
                    f"UPDATE shares SET revoked_at = :now WHERE person IN ({marks}) AND circle = :circle "
                    f"AND revoked_at IS NULL",
                    {**params, "circle": circle, "now": to_text(now)},
                )
            )

        return self.store.write(end)

    def look(self, token: str, now: datetime) -> str:
        """The circle that a share invites into. Raises Refused `not_found`; changes nothing."""
        return str(self.store.read(lambda tx: _live(tx, token, now))["circle"])

    def confirm(self, circle: Circle, token: str, known_by: Sequence[people.Identity], now: datetime) -> Outcome:
        """The person known by these identities takes up the share. Raises Refused `not_found`.

        A live tag stays (first source wins, `already_tagged`) unless the circle says `last_touch`. Confirming is an
        act of joining, so it ends an earlier opt-out.
        """
        return self._confirm(circle, token, lambda tx: people.recognise(tx, self.ids, now, known_by), now)

    def confirm_person(self, circle: Circle, token: str, person: str, now: datetime) -> Outcome:
        """The same for a person who has signed in. Raises Refused `not_found` for one that is not there, too."""
        return self._confirm(circle, token, lambda tx: _standing_person(tx, person), now)

    def join(self, circle: Circle, merchant: str, person: str, origin: str, now: datetime) -> Outcome:
        """A person joins by himself at a shop of `merchant`, who then is his source (R261); `origin` names its code.

        A live tag stays whatever the circle says of the last touch: nobody has brought him anew. Ends an earlier
        opt-out. Raises Refused `not_found` for a person that is not there.
        """

        def take_up(tx: Tx) -> Outcome:
            visitor = _standing_person(tx, person)
            tx.lock(f"person:{visitor.id}")
            tagging.opt_in(tx, circle.slug, visitor)
            source = tagging.Source("payee", merchant, "active")
            made = tagging.tag(
                tx,
                self.ids,
                now,
                circle=circle.slug,
                person=visitor,
                source=source,
                origin=origin,
                days=circle.tag_days,
            )
            return "tagged" if made is not None else "already_tagged"

        return self.store.write(take_up)

    def _confirm(self, circle: Circle, token: str, who: Callable[[Tx], people.Person], now: datetime) -> Outcome:

        def take_up(tx: Tx) -> Outcome:
            share = _live(tx, token, now)
            if share["circle"] != circle.slug:
                raise Refused("not_found", 404)
            source = people.look_up(tx, share["person"])
            visitor = who(tx)
            tx.lock(f"person:{visitor.id}")
            outcome: Outcome = "tagged"
            if source is None or source.id == visitor.id:
                outcome = "self_referral"
            else:
                tagging.opt_in(tx, circle.slug, visitor)
                if circle.last_touch:
                    tagging.revoke(tx, circle.slug, visitor, now, "last_touch")
                made = tagging.tag(
                    tx,
                    self.ids,
                    now,
                    circle=circle.slug,
                    person=visitor,
                    source=tagging.payer(source.id),
                    origin=share["id"],
                    days=circle.tag_days,
                )
                outcome = "tagged" if made is not None else "already_tagged"
            tx.run(
                "INSERT INTO share_attempts (id, share, person, outcome, at) "
                "VALUES (:id, :share, :person, :outcome, :now)",
                {
                    "id": self.ids.new("sa", now),
                    "share": share["id"],
                    "person": visitor.id,
                    "outcome": outcome,
                    "now": to_text(now),
                },
            )
            return outcome

        return self.store.write(take_up)


def _standing_person(tx: Tx, person: str) -> people.Person:
    found = people.look_up(tx, person)
    if found is None:
        raise Refused("not_found", 404)
    return found


def _live(tx: Tx, token: str, now: datetime) -> Row:
    share = None
    if looks_like_token(token):
        share = tx.one(
            "SELECT * FROM shares WHERE token_digest = :digest AND revoked_at IS NULL AND expires_at > :now",
            {"digest": token_digest(token), "now": to_text(now)},
        )
    if share is None:
        raise Refused("not_found", 404)
    return share
