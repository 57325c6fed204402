"""What is told of: each event as a row a receiver, written in the transaction of the change that it tells of.

A message holds no person's name or openid, no token and no code: a link's id opens nothing, and a coupon has a name
here that stays the same when it is handed on and from which its code cannot be had.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from gateway.catalog.directory import Directory
from gateway.catalog.specs import Webhook
from gateway.contract.clock import to_text
from gateway.contract.store import Row, Tx

GIVE_UP_AFTER: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Hooks:
    """Who is told, for use cases that are given no directory.

    `fresh` may look at the store, `known` does not: inside a transaction nothing else may be asked.
    """

    fresh: Callable[[], Directory | None] = lambda: None
    known: Callable[[], Directory | None] = lambda: None

    def ready(self) -> None:
        """Before a transaction: follow the catalogue. Raises StoreUnavailable."""
        self.fresh()

    def of(self, circle: str, merchant: str) -> Sequence[Webhook]:
        """Those who are told of a merchant."""
        directory = self.known()
        return directory.webhooks_for(circle, merchant) if directory is not None else ()


def tell(
    tx: Tx, now: datetime, hooks: Sequence[Webhook], event: str, object_: str, data: Mapping[str, Any]
) -> list[str]:
    """Write one message for each of `hooks` that wants the event; their ids.

    The caller has just changed the object, which holds off others until he commits: the numbers follow each other.
    """
    body = json.dumps(
        {"type": event, "timestamp": to_text(now), "data": dict(data)}, ensure_ascii=False, separators=(",", ":")
    )
    return [put(tx, now, hook.slug, event, object_, body) for hook in hooks if not hook.events or event in hook.events]


def put(tx: Tx, now: datetime, webhook: str, event: str, object_: str, body: str) -> str:
    """Write one message; its id, which stays the same however often it is sent."""
    row = tx.one(
        "SELECT coalesce(max(seq), 0) + 1 AS seq FROM messages WHERE webhook = :webhook AND object = :object",
        {"webhook": webhook, "object": object_},
    )
    seq = int(row["seq"]) if row is not None else 1
    id_ = f"wm_{sha256(' '.join((webhook, object_, str(seq), to_text(now))).encode()).hexdigest()[:32]}"
    tx.run(
        "INSERT INTO messages (id, webhook, event, object, seq, body, state, created_at, due_at, give_up_at) "
        "VALUES (:id, :webhook, :event, :object, :seq, :body, 'due', :now, :now, :until)",
        {
            "id": id_,
            "webhook": webhook,
            "event": event,
            "object": object_,
            "seq": seq,
            "body": body,
            "now": to_text(now),
            "until": to_text(now + GIVE_UP_AFTER),
        },
    )
    return id_


def coupon_name(coupon: Row) -> str:
    """A coupon's name in messages: the same for its whole life, and not its code."""
    return f"cp_{sha256(' '.join((coupon['origin'], coupon['item'], str(coupon['unit']))).encode()).hexdigest()[:32]}"


def issued(tx: Tx, now: datetime, hooks: Sequence[Webhook], payment: str) -> None:
    """`link.issued` for each link that a payment brought about."""
    for link in tx.all("SELECT * FROM links WHERE payment = :payment ORDER BY purpose", {"payment": payment}):
        issued_link(tx, now, hooks, link)


def issued_link(tx: Tx, now: datetime, hooks: Sequence[Webhook], link: Row) -> None:
    """`link.issued` for one link."""
    tell(tx, now, hooks, "link.issued", link["id"], {**_link(link), "expires_at": link["expires_at"]})


def claimed(tx: Tx, now: datetime, hooks: Sequence[Webhook], link: Row) -> None:
    """`link.claimed`, with the coupons that it gave."""
    made = tx.all("SELECT * FROM coupons WHERE origin = :origin ORDER BY item, unit", {"origin": link["id"]})
    coupons = [
        {"coupon": coupon_name(row), "item": row["item"], "merchant": row["merchant"], "valid_to": row["valid_to"]}
        for row in made
    ]
    tell(tx, now, hooks, "link.claimed", link["id"], {**_link(link), "coupons": coupons})


def redeemed(tx: Tx, now: datetime, hooks: Sequence[Webhook], coupon: Row, used: Mapping[str, Any]) -> None:
    """`coupon.redeemed`; `used`: shop, at, discount_fen, amount_fen, transaction_id."""
    tell(tx, now, hooks, "coupon.redeemed", coupon_name(coupon), {**_coupon(coupon), **used})


def reversed_(tx: Tx, now: datetime, hooks: Sequence[Webhook], coupon: Row) -> None:
    """`coupon.reversed`; the coupon's state is what it is now: `claimed` again, or `void`."""
    tell(tx, now, hooks, "coupon.reversed", coupon_name(coupon), {**_coupon(coupon), "state": coupon["state"]})


def _link(link: Row) -> dict[str, Any]:
    return {
        "link": link["id"],
        "for": "source" if link["purpose"] == "source" else "payer",
        "circle": link["circle"],
        "merchant": link["merchant"],
        "shop": link["shop"],
        "person": link["person"],
        "payment": link["payment"],
        "items": json.loads(link["items"]),
    }


def _coupon(coupon: Row) -> dict[str, Any]:
    return {
        "coupon": coupon_name(coupon),
        "circle": coupon["circle"],
        "merchant": coupon["merchant"],
        "item": coupon["item"],
        "value_fen": coupon["value_fen"],
    }
