"""All that is known of one payment, gathered for the page that explains it: rows, in the order of their time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from gateway import links
from gateway.contract.clock import to_text
from gateway.contract.store import Row, Tx
from gateway.delivery import showings
from gateway.delivery.showings import Reach
from gateway.reading.links import in_list


@dataclass(frozen=True, slots=True)
class Hold:
    """What a link holds or held of one budget, and what that budget has left now."""

    budget: str
    fen: int
    left_fen: int | None


@dataclass(frozen=True, slots=True)
class LinkStory:
    """One link that the payment brought, and how far its customer has come."""

    row: Row
    state: str
    items: Sequence[str]
    choice: Mapping[str, Any]
    holds: Sequence[Hold]
    coupons: Sequence[Row]
    redemptions: Sequence[Row]
    reaches: Sequence[Reach]


@dataclass(frozen=True, slots=True)
class Story:
    """The payment's row (with `payer`, the person it counts for now) and everything that points at it."""

    payment: Row
    decisions: Sequence[Mapping[str, str]]
    source: Mapping[str, str] | None
    tag: Row | None
    deliveries: Sequence[Row]
    relays: Sequence[Row]
    refunds: Sequence[Row]
    links: Sequence[LinkStory]


def of_payment(tx: Tx, payment: str, now: datetime) -> Story | None:
    """The story of the payment with this id of the store; None for an unknown one."""
    row = tx.one(
        "SELECT y.*, coalesce(p.merged_into, y.person) AS payer FROM payments y "
        "LEFT JOIN persons p ON p.id = y.person WHERE y.id = :id",
        {"id": payment},
    )
    if row is None:
        return None
    key = {"payment": payment}
    reaches = showings.of_payment(tx, payment, now)
    return Story(
        payment=row,
        decisions=json.loads(row["decisions"]),
        source=json.loads(row["tag_source"]) if row["tag_source"] else None,
        tag=_tag(tx, row),
        deliveries=tx.all(
            "SELECT id, channel, received_at, outcome, reason, digest FROM deliveries WHERE payment = :payment "
            "ORDER BY id LIMIT 200",
            key,
        ),
        relays=tx.all("SELECT * FROM relay_attempts WHERE payment = :payment ORDER BY id LIMIT 200", key),
        refunds=tx.all("SELECT * FROM refunds WHERE payment = :payment ORDER BY id LIMIT 200", key),
        links=[_link(tx, link, now, reaches) for link in links.of_payment(tx, payment)],
    )


def _tag(tx: Tx, payment: Row) -> Row | None:
    """The tag that held when the payment came: the newest one of its payer made until then."""
    if payment["person"] is None:
        return None
    return tx.one(
        "SELECT * FROM tags WHERE circle = :circle AND person IN (:person, :payer) AND created_at <= :at "
        "ORDER BY id DESC LIMIT 1",
        {
            "circle": payment["circle"],
            "person": payment["person"],
            "payer": payment["payer"],
            "at": decided_at(payment),
        },
    )


def decided_at(payment: Row) -> str:
    """When its rules decided: the time that its id was made from."""
    millis = int(str(payment["id"]).partition("_")[2][:12], 16)
    return to_text(datetime.fromtimestamp(millis / 1000, timezone.utc))


def _link(tx: Tx, link: Row, now: datetime, reaches: Sequence[Reach]) -> LinkStory:
    coupons = links.claimed_coupons(tx, [link["id"]])
    redemptions: list[Row] = []
    if coupons:
        marks, params = in_list([coupon["code"] for coupon in coupons])
        redemptions = tx.all(
            f"SELECT r.*, c.item, c.name, c.merchant FROM redemptions r JOIN coupons c ON c.code = r.coupon "
            f"WHERE r.coupon IN ({marks}) ORDER BY r.id",
            params,
        )
    return LinkStory(
        row=link,
        state=links.state_at(link, now),
        items=links.items_of(link),
        choice=json.loads(link["choice"]),
        holds=_holds(tx, link["id"]),
        coupons=coupons,
        redemptions=redemptions,
        reaches=[reach for reach in reaches if reach.link == link["id"] and reach.at],
    )


def _holds(tx: Tx, link: str) -> list[Hold]:
    rows = tx.all(
        "SELECT h.budget, sum(h.fen) AS fen, b.total_fen, b.reserved_fen, b.consumed_fen FROM budget_holds h "
        "LEFT JOIN budgets b ON b.name = h.budget WHERE h.origin = :link "
        "GROUP BY h.budget, b.total_fen, b.reserved_fen, b.consumed_fen ORDER BY h.budget",
        {"link": link},
    )
    return [
        Hold(
            row["budget"],
            int(row["fen"]),
            row["total_fen"] - row["reserved_fen"] - row["consumed_fen"] if row["total_fen"] is not None else None,
        )
        for row in rows
    ]
