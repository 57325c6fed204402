"""Why a customer got a gift (R076), in facts that may be told to him: his own payment, his tag, how it was chosen.

Of other people nothing is told: a friend is a friend, and a gift that was handed on says nothing of its giver.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson

from gateway import handover
from gateway.contract.store import Row, Tx
from gateway.links import items_of
from gateway.people import in_group, look_up

Cause = Literal["payment", "thanks", "bought_many", "bought", "friend"]
"""His own payment; a customer whom he brought paid; he bought beyond the preset number; he bought it; given on."""

_CAUSES: Final[Mapping[str, Cause]] = {"payer": "payment", "source": "thanks", "order": "bought_many"}


@dataclass(frozen=True, slots=True)
class Tagged:
    """How he came to be known: by a first payment at `merchant`, or by a friend's invitation (`merchant` "")."""

    merchant: str
    since: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Out of how many items how many were taken, and why the others were not: reason → how many."""

    considered: int
    chosen: int
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Why:
    """The whole answer; `payment` is a row of `payments` that was his own, `order` one of `orders`."""

    cause: Cause
    payment: Row | None = None
    order: Row | None = None
    tagged: Tagged | None = None
    choice: Choice | None = None


def of_link(tx: Tx, link: Row) -> Why:
    """Why this link was given to its person."""
    cause = _CAUSES.get(link["purpose"], "payment")
    # A reward's payment is another customer's, of which nothing is told.
    own = cause == "payment" and link["payment"] is not None
    payment = tx.one("SELECT * FROM payments WHERE id = :id", {"id": link["payment"]}) if own else None
    return Why(
        cause,
        payment=payment,
        tagged=_tagged(tx, link["circle"], link["person"], link["created_at"]),
        choice=_choice(link) if cause != "thanks" else None,
    )


def of_coupon(tx: Tx, coupon: Row) -> Why:
    """Why this coupon is its owner's."""
    gift = handover.of_coupon(tx, coupon["code"])
    if gift is not None and gift["state"] == "taken":
        return Why("friend")
    link = tx.one("SELECT * FROM links WHERE id = :id", {"id": coupon["origin"]})
    if link is not None:
        return of_link(tx, link)
    return Why("bought", order=tx.one("SELECT * FROM orders WHERE id = :id", {"id": coupon["origin"]}))


def _tagged(tx: Tx, circle: str, person: str, at: str) -> Tagged | None:
    """The tag that he bore when the link was made; one that has ended since tells it as well."""
    who = look_up(tx, person)
    if who is None:
        return None
    marks, params = in_group(who)
    tag = tx.one(
        f"SELECT source_type, source_id, created_at FROM tags WHERE circle = :circle AND person IN ({marks}) "
        f"AND created_at <= :at ORDER BY created_at DESC, id DESC LIMIT 1",
        {**params, "circle": circle, "at": at},
    )
    if tag is None:
        return None
    return Tagged(tag["source_id"] if tag["source_type"] == "payee" else "", tag["created_at"])


def _choice(link: Row) -> Choice:
    told: dict[str, Any] = orjson.loads(link["choice"])
    return Choice(int(told.get("considered", 0)), len(items_of(link)), dict(told.get("dropped", {})))
