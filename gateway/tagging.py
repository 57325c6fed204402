"""Tags (标识, R020–R029): whether a payer is known to a circle, since when, and who brought him.

A tag is per circle and person; the unique index holds "one live tag" under any number of parallel first payments.
An expired or revoked tag counts as none, and the next payment tags anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from gateway.contract.clock import to_text
from gateway.contract.ids import IdFactory
from gateway.contract.store import Row, Tx
from gateway.people import Person, in_group

State = Literal["untagged", "tagged", "opted_out", "untaggable"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a tag comes from (标识来源): a payee's slug (passive) or a payer's person id (active)."""

    type: Literal["payee", "payer"]
    id: str
    mode: Literal["passive", "active"]

    def as_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return {"type": self.type, "id": self.id, "mode": self.mode}


@dataclass(frozen=True, slots=True)
class Standing:
    """How a person stands to a circle; `tag` and `source` when tagged."""

    state: State
    tag: str | None = None
    source: Source | None = None


UNTAGGED = Standing("untagged")
UNTAGGABLE = Standing("untaggable")


def payee(merchant: str) -> Source:
    """The source of a tag that a payment at `merchant` makes."""
    return Source("payee", merchant, "passive")


def payer(person: str) -> Source:
    """The source of a tag that a share of `person` makes, once confirmed."""
    return Source("payer", person, "active")


def standing(tx: Tx, circle: str, person: Person, now: datetime) -> Standing:
    """How `person` stands to `circle` at `now`. An opt-out outweighs a tag."""
    marks, params = in_group(person)
    rows: list[Row] = tx.all(
        f"SELECT 'tag' AS what, id, source_type, source_id, mode, expires_at, created_at FROM tags "
        f"WHERE person IN ({marks}) AND circle = :circle AND state = 'active' "
        f"UNION ALL SELECT 'optout', '', '', '', '', '', '' FROM suppressions "
        f"WHERE person IN ({marks}) AND circle = :circle",
        {**params, "circle": circle},
    )
    if not rows:
        return UNTAGGED
    if any(row["what"] == "optout" for row in rows):
        return Standing("opted_out")
    live = [row for row in rows if row["expires_at"] > to_text(now)]
    if not live:
        return UNTAGGED
    first = min(live, key=lambda row: (row["created_at"], row["id"]))
    return Standing("tagged", first["id"], Source(first["source_type"], first["source_id"], first["mode"]))


def tag(
    tx: Tx, ids: IdFactory, now: datetime, *, circle: str, person: Person, source: Source, origin: str, days: int
) -> str | None:
    """Tag `person` in `circle` for `days`; the tag's id, or None when a live tag was there first (R026, R027).

    `origin` is the payment or share that caused it.
    """
    if len(person.group) > 1:
        # The unique index knows one id only; a merged person may carry the tag under another of his.
        _close_expired(tx, circle, person, now)
        if _has_active(tx, circle, person):
            return None
    row = {
        "id": ids.new("tag", now),
        "circle": circle,
        "person": person.id,
        "source_type": source.type,
        "source_id": source.id,
        "mode": source.mode,
        "origin": origin,
        "now": to_text(now),
        "expires": to_text(now + timedelta(days=days)),
    }
    made = tx.one(_INSERT, row)
    if made is None and _close_expired(tx, circle, person, now):
        made = tx.one(_INSERT, row)
    return str(row["id"]) if made is not None else None


_INSERT: Final = (
    "INSERT INTO tags (id, circle, person, state, source_type, source_id, mode, origin, created_at, expires_at) "
    "VALUES (:id, :circle, :person, 'active', :source_type, :source_id, :mode, :origin, :now, :expires) "
    "ON CONFLICT (person, circle) WHERE state = 'active' DO NOTHING RETURNING id"
)


def _has_active(tx: Tx, circle: str, person: Person) -> bool:
    marks, params = in_group(person)
    found = tx.one(
        f"SELECT id FROM tags WHERE person IN ({marks}) AND circle = :circle AND state = 'active' LIMIT 1",
        {**params, "circle": circle},
    )
    return found is not None


def _close_expired(tx: Tx, circle: str, person: Person, now: datetime) -> int:
    marks, params = in_group(person)
    return tx.run(
        f"UPDATE tags SET state = 'expired', closed_at = :now "
        f"WHERE person IN ({marks}) AND circle = :circle AND state = 'active' AND expires_at <= :now",
        {**params, "circle": circle, "now": to_text(now)},
    )


def revoke(tx: Tx, circle: str, person: Person, now: datetime, reason: str) -> bool:
    """End the live tag, with a reason; whether there was one (R028)."""
    marks, params = in_group(person)
    return bool(
        tx.run(
            f"UPDATE tags SET state = 'revoked', closed_at = :now, closed_reason = :reason "
            f"WHERE person IN ({marks}) AND circle = :circle AND state = 'active'",
            {**params, "circle": circle, "now": to_text(now), "reason": reason},
        )
    )


def opt_out(tx: Tx, circle: str, person: Person, now: datetime) -> None:
    """The customer leaves (退出, R029): no tag, and no tagging until he joins again. Coupons he holds stay good."""
    revoke(tx, circle, person, now, "opted_out")
    tx.run(
        "INSERT INTO suppressions (person, circle, since) VALUES (:person, :circle, :now) "
        "ON CONFLICT (person, circle) DO NOTHING",
        {"person": person.id, "circle": circle, "now": to_text(now)},
    )


def opt_in(tx: Tx, circle: str, person: Person) -> None:
    """The customer joins again; the next payment or share tags."""
    marks, params = in_group(person)
    tx.run(f"DELETE FROM suppressions WHERE person IN ({marks}) AND circle = :circle", {**params, "circle": circle})


def is_ring(tx: Tx, circle: str, one: Person, other: Person) -> bool:
    """Whether each of the two brought the other at some time (A↔B, R038)."""
    return _brought(tx, circle, one, other) and _brought(tx, circle, other, one)


def _brought(tx: Tx, circle: str, source: Person, person: Person) -> bool:
    row = tx.one(
        "SELECT 1 AS yes FROM tags t JOIN persons p ON p.id = t.person "
        "WHERE t.circle = :circle AND t.source_type = 'payer' AND coalesce(p.merged_into, p.id) = :person "
        "AND t.source_id IN (SELECT id FROM persons WHERE id = :source OR merged_into = :source) LIMIT 1",
        {"circle": circle, "person": person.id, "source": source.id},
    )
    return row is not None
