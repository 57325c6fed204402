"""One person for the console: his tags with their sources, gifts, coupons, payments and merges, and no identity of his.

What is read is bounded by `circles` (None: all): whoever looks learns nothing of a circle that is not his.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway import people, privacy, tagging
from gateway.contract.clock import to_text
from gateway.contract.store import Row, Tx
from gateway.people import Person, in_group
from gateway.reading.links import in_list
from gateway.tagging import Standing

MOST: Final = 50
"""Rows of each kind; who looks for more has the payments' own page."""
_PERSONS: Final = 50


@dataclass(frozen=True, slots=True)
class Dossier:
    """What one reader may see of a person; every list newest first, `MOST` rows at most."""

    person: Person
    created_at: str
    forgotten_at: str | None
    standings: Sequence[tuple[str, Standing]]
    tags: Sequence[Row]
    links: Sequence[Row]
    coupons: Sequence[Row]
    payments: Sequence[Row]
    merges: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Together:
    """What a merge will do: whose name stays, and what counts as one from then on.

    `resting`: the younger tags, which rest while the two are one; the counts are of both.
    """

    winner: str
    loser: str
    resting: Sequence[Row]
    payments: int
    open_links: int
    usable: int
    left: Sequence[str]


def by_number(tx: Tx, merchants: Collection[str] | None, text: str, code: str) -> list[str]:
    """Persons who paid under this number of the platform or of the shop, or who hold the coupon `code`; by id.

    Only payments at `merchants` and coupons of theirs are looked at, None for all.
    """
    rows = tx.all(
        "SELECT person, merchant FROM payments WHERE transaction_id = :text AND person IS NOT NULL "
        "UNION SELECT person, merchant FROM payments WHERE out_trade_no = :text AND person IS NOT NULL "
        "UNION SELECT person, merchant FROM coupons WHERE code = :code",
        {"text": text, "code": code},
    )
    found = {str(row["person"]) for row in rows if merchants is None or row["merchant"] in merchants}
    known = (people.look_up(tx, person) for person in sorted(found)[:_PERSONS])
    return sorted({who.id for who in known if who is not None})


def look(tx: Tx, person: str, circles: Collection[str] | None, now: datetime) -> Dossier | None:
    """The person with this id, or whom he was merged into; None for one whom no circle of `circles` knows."""
    who = people.look_up(tx, person)
    if who is None:
        return None
    known = privacy.circles_of(tx, who)
    seen = known if circles is None else [circle for circle in known if circle in circles]
    if circles is not None and not seen:
        return None
    row = tx.one("SELECT created_at, forgotten_at FROM persons WHERE id = :id", {"id": who.id})
    assert row is not None
    return Dossier(
        who,
        row["created_at"],
        row["forgotten_at"],
        [(circle, tagging.standing(tx, circle, who, now)) for circle in seen],
        _rows(tx, who, seen, "tags", "created_at DESC, id DESC"),
        _rows(tx, who, seen, "links", "id DESC"),
        _rows(tx, who, seen, "coupons", "claimed_at DESC, origin, item, unit"),
        _rows(tx, who, seen, "payments", "id DESC"),
        merges_of(tx, who),
    )


def merges_of(tx: Tx, who: Person) -> list[Row]:
    """Every merge that this person took part in, undone ones too, newest first."""
    marks, params = in_group(who)
    return tx.all(
        f"SELECT * FROM merges WHERE winner IN ({marks}) OR loser IN ({marks}) ORDER BY id DESC LIMIT {MOST}", params
    )


def together(tx: Tx, one: Person, other: Person, now: datetime) -> Together:
    """What merging these two would do. Changes nothing."""
    winner, loser = sorted((one.id, other.id))
    both = Person(winner, (*one.group, *other.group))
    marks, params = in_group(both)
    tags = tx.all(
        f"SELECT circle, person, source_type, source_id, created_at, expires_at FROM tags WHERE state = 'active' "
        f"AND expires_at > :now AND person IN ({marks}) ORDER BY created_at, id",
        {**params, "now": to_text(now)},
    )
    first: set[str] = set()
    resting = []
    for tag in tags:
        if tag["circle"] in first:
            resting.append(tag)
        first.add(tag["circle"])
    return Together(
        winner,
        loser,
        resting,
        _count(tx, f"payments WHERE person IN ({marks})", params),
        _count(
            tx,
            f"links WHERE person IN ({marks}) AND state IN ('issued', 'opened') AND expires_at > :now",
            {**params, "now": to_text(now)},
        ),
        _count(
            tx,
            f"coupons WHERE person IN ({marks}) AND state IN ('claimed', 'reserved') AND valid_to > :now",
            {**params, "now": to_text(now)},
        ),
        [
            str(row["circle"])
            for row in tx.all(
                f"SELECT DISTINCT circle FROM suppressions WHERE person IN ({marks}) ORDER BY circle", params
            )
        ],
    )


def returning(tx: Tx, merge: str) -> list[Row]:
    """The tags that rest because of this merge, and live again once it is undone."""
    return tx.all(
        "SELECT circle, person, created_at, expires_at FROM tags WHERE merge = :merge AND state = 'merged' "
        "ORDER BY created_at, id",
        {"merge": merge},
    )


def _rows(tx: Tx, who: Person, circles: Sequence[str], table: str, order: str) -> list[Row]:
    if not circles:
        return []
    marks, params = in_group(who)
    places, more = in_list(circles)
    return tx.all(
        f"SELECT * FROM {table} WHERE person IN ({marks}) AND circle IN ({places}) ORDER BY {order} LIMIT {MOST}",
        {**params, **more},
    )


def _count(tx: Tx, what: str, params: dict[str, Any]) -> int:
    row = tx.one(f"SELECT count(*) AS n FROM {what}", params)
    return int(row["n"]) if row is not None else 0
