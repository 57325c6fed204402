"""What a person may ask for (PIPL, R016): to see what is kept, and to be forgotten.

Forgetting takes away every identity and every stored request that carried one. The history of money stays, under a
person id that leads to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from gateway import audit, links, tagging
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.store import Store, Tx
from gateway.people import Person, in_group, look_up

_BATCH: Final = 500
Copying = Callable[[Tx, Sequence[str]], Mapping[str, Any]]
Forgetting = Callable[[Tx, Sequence[str], datetime], int]


def known_about(tx: Tx, person: str) -> dict[str, Any]:
    """What is kept of a person, without the values he is known by. Raises Refused `not_found`."""
    who = _known(tx, person)
    marks, params = in_group(who)
    identities = tx.all(
        f"SELECT provider, app_id, id_type, created_at FROM identities WHERE person IN ({marks}) ORDER BY created_at",
        params,
    )
    tags = tx.all(f"SELECT * FROM tags WHERE person IN ({marks}) ORDER BY created_at", params)
    merges = tx.all(
        f"SELECT id, winner, loser, reason, done_at, undone_at FROM merges "
        f"WHERE winner IN ({marks}) OR loser IN ({marks}) ORDER BY id",
        params,
    )
    return {
        "person": who.id,
        "also": list(who.group[1:]),
        "identities": [dict(row) for row in identities],
        "tags": [
            {
                "circle": tag["circle"],
                "state": tag["state"],
                "source": {"type": tag["source_type"], "id": tag["source_id"], "mode": tag["mode"]},
                "created_at": tag["created_at"],
                "expires_at": tag["expires_at"],
            }
            for tag in tags
        ],
        "merges": [dict(row) for row in merges],
    }


def copy_for(tx: Tx, person: str, also: Copying = lambda _tx, _persons: {}) -> dict[str, Any]:
    """All that is kept of a person, for himself: readable, complete, and with nobody else in it.

    Who brought him is `a shop` with its name or `a friend` without one; `also` adds what campaigns keep.
    Raises Refused `not_found`.
    """
    who = _known(tx, person)
    marks, params = in_group(who)

    def rows(sql: str) -> list[dict[str, Any]]:
        return [dict(row) for row in tx.all(sql.replace("{marks}", marks), params)]

    tags = rows(
        "SELECT circle, state, CASE source_type WHEN 'payee' THEN source_id ELSE '' END AS shop_that_brought_you, "
        "mode, created_at, expires_at, closed_at FROM tags WHERE person IN ({marks}) ORDER BY created_at, id"
    )
    return {
        "known_by": rows(
            "SELECT provider, id_type, created_at FROM identities WHERE person IN ({marks}) ORDER BY created_at"
        ),
        "tags": tags,
        "left": rows("SELECT circle, since FROM suppressions WHERE person IN ({marks}) ORDER BY circle"),
        "payments": rows(
            "SELECT transaction_id, provider, circle, merchant, shop, amount_fen, refunded_fen, currency, paid_at "
            "FROM payments WHERE person IN ({marks}) ORDER BY id"
        ),
        "links": rows(
            "SELECT circle, merchant, purpose, items, state, created_at, expires_at, opened_at, claimed_at, closed_at "
            "FROM links WHERE person IN ({marks}) ORDER BY id"
        ),
        "coupons": rows(
            "SELECT code, circle, merchant, name, kind, state, claimed_at, valid_to, closed_at, closed_reason "
            "FROM coupons WHERE person IN ({marks}) ORDER BY claimed_at, code"
        ),
        "used": rows(
            "SELECT r.coupon, r.shop, r.at, r.discount_fen, r.amount_fen, r.transaction_id FROM redemptions r "
            "JOIN coupons c ON c.code = r.coupon WHERE c.person IN ({marks}) AND r.reversed_at IS NULL ORDER BY r.id"
        ),
        "orders": rows(
            "SELECT id, circle, merchant, item, quantity, amount_fen, state, created_at, paid_at "
            "FROM orders WHERE person IN ({marks}) ORDER BY id"
        ),
        "payouts": rows(
            "SELECT id, circle, campaign, way, shown, amount_fen, state, reason, created_at, moved_at "
            "FROM payouts WHERE person IN ({marks}) ORDER BY id"
        ),
        "invitations": rows(
            "SELECT circle, created_at, expires_at, revoked_at FROM shares WHERE person IN ({marks}) ORDER BY id"
        ),
        "given_away": rows(
            "SELECT circle, state, made_at, expires_at, closed_at FROM handovers WHERE giver IN ({marks}) ORDER BY id"
        ),
        **also(tx, who.group),
    }


def circles_of(tx: Tx, person: Person) -> list[str]:
    """Every circle that keeps something of a person, or that he left."""
    marks, params = in_group(person)
    tables = ("tags", "suppressions", "payments", "links", "coupons")
    union = " UNION ".join(f"SELECT circle FROM {table} WHERE person IN ({marks})" for table in tables)
    return [str(row["circle"]) for row in tx.all(f"SELECT circle FROM ({union}) known ORDER BY circle", params)]


def forget(
    store: Store, person: str, by: str, now: datetime, also: Forgetting = lambda _tx, _persons, _now: 0
) -> dict[str, int]:
    """Erase a person; how many identities, stored requests and open links went. Raises Refused `not_found`.

    `also` erases what campaigns keep of him, in the same transaction as his identities.

    Stored requests go in batches of their own, so that a long history holds nobody up; the identities go last, so
    that a run which is cut off can be run again.
    """
    who = store.read(lambda tx: _known(tx, person))
    marks, params = in_group(who)
    payments = store.read(lambda tx: tx.all(f"SELECT id FROM payments WHERE person IN ({marks})", params))
    requests = 0
    for start in range(0, len(payments), _BATCH):
        batch = [row["id"] for row in payments[start : start + _BATCH]]
        requests += store.write(partial(_empty_requests, payments=batch))

    def erase(tx: Tx) -> dict[str, int]:
        again = _known(tx, person)
        marks, params = in_group(again)
        closed = sum(
            links.close(tx, link, now, "revoked", "forgotten")
            for link in links.of_person(tx, again, most=10_000)
            if link["state"] in {"issued", "opened"}
        )
        for row in tx.all(f"SELECT DISTINCT circle FROM tags WHERE person IN ({marks}) AND state = 'active'", params):
            tagging.revoke(tx, row["circle"], again, now, "forgotten")
        tx.run(
            f"UPDATE shares SET revoked_at = :now WHERE person IN ({marks}) AND revoked_at IS NULL",
            {**params, "now": to_text(now)},
        )
        also(tx, again.group, now)
        identities = tx.run(f"DELETE FROM identities WHERE person IN ({marks})", params)
        tx.run(f"UPDATE persons SET forgotten_at = :now WHERE id IN ({marks})", {**params, "now": to_text(now)})
        audit.record(tx, now, by, "person.forget", again.id, after={"identities": identities, "links": closed})
        return {"identities": identities, "requests": requests, "links": closed}

    return store.write(erase)


def _empty_requests(tx: Tx, *, payments: list[str]) -> int:
    params = {f"p{number}": payment for number, payment in enumerate(payments)}
    marks = ", ".join(f":{name}" for name in params)
    return tx.run(f"UPDATE deliveries SET sealed = NULL WHERE payment IN ({marks}) AND sealed IS NOT NULL", params)


def _known(tx: Tx, person: str) -> Person:
    who = look_up(tx, person)
    if who is None:
        raise Refused("not_found", 404, "no such person")
    return who
