"""What happened to one payment, moment by moment: told, decided, relayed, linked, claimed, redeemed, given back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway import links
from gateway.contract.store import Row, Tx

_LINK_STEPS = (("created_at", "issued"), ("opened_at", "opened"), ("claimed_at", "claimed"), ("closed_at", "closed"))


def of_payment(tx: Tx, payment: Row) -> list[dict[str, Any]]:
    """`{"at", "what", "detail"}` in order of time; `payment` is its row. Holds no token and no code of a coupon."""
    params = {"payment": payment["id"]}
    events = [
        *_deliveries(tx, params),
        *_relays(tx, params),
        *_refunds(tx, params),
        *_links(tx, params),
        *_showings(tx, params),
        {"at": payment["paid_at"], "what": "paid", "detail": f"{payment['amount_fen']} fen"},
    ]
    return sorted(events, key=lambda event: str(event["at"]))


def _deliveries(tx: Tx, params: dict[str, str]) -> Iterator[dict[str, Any]]:
    for row in tx.all("SELECT received_at, outcome FROM deliveries WHERE payment = :payment ORDER BY id", params):
        yield {"at": row["received_at"], "what": "told", "detail": row["outcome"]}


def _relays(tx: Tx, params: dict[str, str]) -> Iterator[dict[str, Any]]:
    for row in tx.all(
        "SELECT at, outcome, status, ms, replay FROM relay_attempts WHERE payment = :payment ORDER BY id", params
    ):
        said = f"{row['outcome']} {row['status']}" if row["status"] is not None else row["outcome"]
        yield {"at": row["at"], "what": "replayed" if row["replay"] else "relayed", "detail": f"{said}, {row['ms']} ms"}


def _refunds(tx: Tx, params: dict[str, str]) -> Iterator[dict[str, Any]]:
    for row in tx.all("SELECT refunded_at, refund_fen, state FROM refunds WHERE payment = :payment", params):
        yield {"at": row["refunded_at"], "what": "refunded", "detail": f"{row['refund_fen']} fen, {row['state']}"}


def _links(tx: Tx, params: dict[str, str]) -> Iterator[dict[str, Any]]:
    for link in tx.all("SELECT * FROM links WHERE payment = :payment ORDER BY id", params):
        name = f"link {link['id']} for the {links.SHOWN_AS[link['purpose']]}"
        for column, step in _LINK_STEPS:
            if link[column] is not None:
                why = f": {link['closed_reason']}" if column == "closed_at" and link["closed_reason"] else ""
                yield {"at": link[column], "what": step, "detail": f"{name}{why}"}
        yield from _coupons(tx, link)


def _showings(tx: Tx, params: dict[str, str]) -> Iterator[dict[str, Any]]:
    for row in tx.all(
        "SELECT s.* FROM showings s JOIN links l ON l.id = s.link WHERE l.payment = :payment ORDER BY s.first_at",
        params,
    ):
        shown = row["state"] == "shown"
        why = f": {row['error']}" if row["error"] else ""
        yield {
            "at": row["first_at"] if shown else row["last_at"],
            "what": "shown" if shown else "not_shown",
            "detail": f"link {row['link']} by {row['way']}{why}",
        }


def _coupons(tx: Tx, link: Row) -> Iterator[dict[str, Any]]:
    for row in tx.all(
        "SELECT c.item, r.at, r.by, r.reversed_at, r.reversed_by FROM coupons c "
        "JOIN redemptions r ON r.coupon = c.code WHERE c.origin = :link ORDER BY r.id",
        {"link": link["id"]},
    ):
        yield {"at": row["at"], "what": "redeemed", "detail": f"{row['item']} by {row['by']}"}
        if row["reversed_at"] is not None:
            yield {"at": row["reversed_at"], "what": "reversed", "detail": f"{row['item']} by {row['reversed_by']}"}
