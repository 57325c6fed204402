"""Persons and the identities they are known by (R007, R008, R016).

An identity is (provider, app_id, value); it is looked up by a keyed hash and lies sealed. One event may carry several
identities of one person; where two of them were two persons before, those are one from then on. A merge points the
younger at the older and moves nothing, so undoing it loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from crypto.vault import Vault
from gateway import audit
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.events import Payer
from gateway.contract.ids import IdFactory
from gateway.contract.store import Tx


@dataclass(frozen=True, slots=True)
class Person:
    """`id` is the one to write down; `group` holds it and every id merged into it, to look things up by."""

    id: str
    group: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity on the way into the store: blind index and sealed value, made outside the transaction."""

    blind: bytes
    provider: str
    app_id: str
    id_type: str
    sealed: bytes


def identities(vault: Vault, provider: str, payers: Sequence[Payer]) -> tuple[Identity, ...]:
    """What a platform told about a payer, in the form the store keeps it."""
    found = {}
    for payer in payers:
        blind = vault.blind(provider, payer.app_id, payer.value)
        sealed = vault.seal(payer.value.encode(), blind)
        found[blind] = Identity(blind, provider, payer.app_id, payer.id_type, sealed)
    return tuple(found.values())


def recognise(tx: Tx, ids: IdFactory, now: datetime, known_by: Sequence[Identity]) -> Person:
    """The person behind these identities, made if new, merged if they were several. `known_by` is not empty."""
    for blind in sorted(identity.blind for identity in known_by):
        tx.lock(f"identity:{blind.hex()}")
    found: list[str] = []
    absorbed = 0
    missing = []
    for identity in known_by:
        row = tx.one(
            "SELECT coalesce(p.merged_into, p.id) AS person, p.absorbed, p.merged_into FROM identities i "
            "JOIN persons p ON p.id = i.person WHERE i.blind = :blind",
            {"blind": identity.blind},
        )
        if row is None:
            missing.append(identity)
        else:
            # A person that was merged away knows nothing of what its winner absorbed: ask again below.
            absorbed |= row["absorbed"] or (1 if row["merged_into"] is not None else 0)
            if row["person"] not in found:
                found.append(row["person"])
    if not found:
        person = ids.new("p", now)
        tx.run("INSERT INTO persons (id, created_at) VALUES (:id, :now)", {"id": person, "now": to_text(now)})
    else:
        person = min(found)
        for other in sorted(found):
            if other != person:
                merge(tx, ids, now, winner=person, loser=other, by="gateway", reason="one payment names both")
                absorbed = 1
    for identity in missing:
        tx.run(
            "INSERT INTO identities (blind, person, provider, app_id, id_type, sealed, created_at) "
            "VALUES (:blind, :person, :provider, :app_id, :id_type, :sealed, :now)",
            {
                "blind": identity.blind,
                "person": person,
                "provider": identity.provider,
                "app_id": identity.app_id,
                "id_type": identity.id_type,
                "sealed": identity.sealed,
                "now": to_text(now),
            },
        )
    return _with_group(tx, person) if absorbed else Person(person, (person,))


def is_known(tx: Tx, known_by: Sequence[Identity]) -> bool:
    """Whether any of these identities is kept."""
    return any(
        tx.one("SELECT person FROM identities WHERE blind = :blind", {"blind": identity.blind}) is not None
        for identity in known_by
    )


def look_up(tx: Tx, person: str) -> Person | None:
    """The person with this id, or the one it was merged into; None when there is none."""
    row = tx.one("SELECT id, merged_into, absorbed FROM persons WHERE id = :id", {"id": person})
    if row is None:
        return None
    if row["merged_into"] is None and not row["absorbed"]:
        return Person(person, (person,))
    return _with_group(tx, row["merged_into"] or row["id"])


def find(tx: Tx, vault: Vault, provider: str, app_id: str, value: str) -> Person | None:
    """The person known by this identity; None when nobody is."""
    row = tx.one("SELECT person FROM identities WHERE blind = :blind", {"blind": vault.blind(provider, app_id, value)})
    return look_up(tx, row["person"]) if row is not None else None


def _with_group(tx: Tx, person: str) -> Person:
    rows = tx.all("SELECT id FROM persons WHERE merged_into = :id ORDER BY id", {"id": person})
    return Person(person, (person, *(row["id"] for row in rows)))


def in_group(person: Person) -> tuple[str, dict[str, str]]:
    """`(":g0, :g1", {"g0": …})`, to write `person IN (…)` with named parameters."""
    params = {f"g{number}": id_ for number, id_ in enumerate(person.group)}
    return ", ".join(f":{name}" for name in params), params


def merge(tx: Tx, ids: IdFactory, now: datetime, *, winner: str, loser: str, by: str, reason: str) -> str:
    """Make two persons one; the merge's id, by which it can be undone. Both must be nobody's loser.

    Tags: where both have a live one in a circle the older stays (first source wins) and the younger rests as `merged`.
    Raises Refused `not_mergeable`.
    """
    _hold_still(tx, winner, loser)
    rows = tx.all(
        "SELECT id FROM persons WHERE id IN (:winner, :loser) AND merged_into IS NULL",
        {"winner": winner, "loser": loser},
    )
    if winner == loser or len(rows) != 2:  # noqa: PLR2004 - both must stand on their own
        raise Refused("not_mergeable", 409, "a person is unknown, merged already, or the same")
    id_ = ids.new("mrg", now)
    tx.run(
        "UPDATE persons SET merged_into = :winner WHERE id = :loser OR merged_into = :loser",
        {"winner": winner, "loser": loser},
    )
    tx.run("UPDATE persons SET absorbed = 1 WHERE id = :winner", {"winner": winner})
    tx.run(
        "INSERT INTO merges (id, winner, loser, reason, done_at, done_by) "
        "VALUES (:id, :winner, :loser, :reason, :now, :by)",
        {"id": id_, "winner": winner, "loser": loser, "reason": reason, "now": to_text(now), "by": by},
    )
    _rest_younger_tags(tx, _with_group(tx, winner), id_, now)
    audit.record(tx, now, by, "person.merge", winner, after={"merge": id_, "loser": loser, "reason": reason})
    return id_


def _hold_still(tx: Tx, *persons: str) -> None:
    """Nobody recognises these persons, or decides about them, until this transaction ends."""
    known_by: set[bytes] = set()
    for person in persons:
        rows = tx.all(
            "SELECT i.blind FROM identities i JOIN persons p ON p.id = i.person "
            "WHERE p.id = :person OR p.merged_into = :person",
            {"person": person},
        )
        known_by.update(bytes(row["blind"]) for row in rows)
    for blind in sorted(known_by):
        tx.lock(f"identity:{blind.hex()}")
    for person in sorted(persons):
        tx.lock(f"person:{person}")


def _rest_younger_tags(tx: Tx, person: Person, merge_id: str, now: datetime) -> None:
    marks, params = in_group(person)
    seen: set[str] = set()
    for tag in tx.all(
        f"SELECT id, circle FROM tags WHERE state = 'active' AND expires_at > :now AND person IN ({marks}) "
        f"ORDER BY created_at, id",
        {**params, "now": to_text(now)},
    ):
        if tag["circle"] in seen:
            tx.run(
                "UPDATE tags SET state = 'merged', merge = :merge, closed_at = :now WHERE id = :id",
                {"merge": merge_id, "now": to_text(now), "id": tag["id"]},
            )
        seen.add(tag["circle"])


def unmerge(tx: Tx, now: datetime, merge_id: str, by: str) -> None:
    """Undo a merge: the loser stands on its own again, with those it had absorbed and the tags that had to rest.

    Raises Refused `not_found`, `already_undone`, and `merged_since` when the winner took part in a later merge: which
    tags had to rest depends on all before, so merges are undone last first.
    """
    row = tx.one("SELECT winner, loser, undone_at FROM merges WHERE id = :id", {"id": merge_id})
    if row is None:
        raise Refused("not_found", 404, "no such merge")
    if row["undone_at"] is not None:
        raise Refused("already_undone", 409)
    winner, loser = row["winner"], row["loser"]
    _hold_still(tx, winner, loser)
    standing = tx.one("SELECT merged_into FROM persons WHERE id = :id", {"id": loser})
    later = tx.one(
        "SELECT id FROM merges WHERE winner = :winner AND id > :merge AND undone_at IS NULL LIMIT 1",
        {"winner": winner, "merge": merge_id},
    )
    if standing is None or standing["merged_into"] != winner or later is not None:
        raise Refused("merged_since", 409, "undo the later merge first")
    tx.run("UPDATE persons SET merged_into = NULL WHERE id = :loser", {"loser": loser})
    # Whom the loser had absorbed, and whom those had absorbed before, goes with it.
    tx.run(
        "WITH RECURSIVE below (id) AS (SELECT loser FROM merges WHERE winner = :loser AND undone_at IS NULL "
        "UNION SELECT m.loser FROM merges m JOIN below b ON m.winner = b.id WHERE m.undone_at IS NULL) "
        "UPDATE persons SET merged_into = :loser WHERE id IN (SELECT id FROM below)",
        {"loser": loser},
    )
    # A person who was tagged anew meanwhile keeps that tag: one live tag a circle.
    tx.run(
        "UPDATE tags SET state = 'active', merge = NULL, closed_at = NULL WHERE merge = :merge AND state = 'merged' "
        "AND NOT EXISTS (SELECT 1 FROM tags o WHERE o.person = tags.person AND o.circle = tags.circle "
        "AND o.state = 'active')",
        {"merge": merge_id},
    )
    tx.run(
        "UPDATE persons SET absorbed = CASE WHEN EXISTS (SELECT 1 FROM persons o WHERE o.merged_into = :winner) "
        "THEN 1 ELSE 0 END WHERE id = :winner",
        {"winner": winner},
    )
    tx.run(
        "UPDATE merges SET undone_at = :now, undone_by = :by WHERE id = :id",
        {"now": to_text(now), "by": by, "id": merge_id},
    )
    audit.record(tx, now, by, "person.unmerge", winner, after={"merge": merge_id, "loser": loser})
