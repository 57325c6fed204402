"""The outbox (R241): what we owe the outside world, written in the transaction that made us owe it.

The worker leases a row, does it, and marks it done, or due again later, or parked. A lease that ends without a word
(the worker died) makes the row due again, so everything here is done at least once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.contract.clock import to_text
from gateway.contract.ids import IdFactory
from gateway.contract.store import Row, Tx

RELAY_FOR: Final = timedelta(hours=24)
"""How long a channel that answers by itself tries to reach the POS before it parks (contract section 5)."""

_STEPS: Final = (1, 2, 5, 10, 30, 60, 180, 600, 1800, 3600)
"""Seconds between tries; the last one repeats."""


def backoff(tries: int) -> timedelta:
    """How long to wait after the `tries`-th failed try (1 is the first)."""
    return timedelta(seconds=_STEPS[min(max(tries, 1), len(_STEPS)) - 1])


def put(
    tx: Tx,
    ids: IdFactory,
    now: datetime,
    topic: str,
    object_: str,
    payload: Mapping[str, Any],
    *,
    give_up_after: timedelta | None = None,
    due_at: datetime | None = None,
) -> str:
    """Owe one thing; its id. `object_` is what it concerns, for the eyes of whoever finds it parked."""
    id_ = ids.new("ob", now)
    tx.run(
        "INSERT INTO outbox (id, topic, object, payload, state, due_at, give_up_at, created_at) "
        "VALUES (:id, :topic, :object, :payload, 'due', :due, :give_up, :now)",
        {
            "id": id_,
            "topic": topic,
            "object": object_,
            "payload": json.dumps(payload, sort_keys=True),
            "due": to_text(due_at or now),
            "give_up": to_text(now + give_up_after) if give_up_after is not None else None,
            "now": to_text(now),
        },
    )
    return id_


def owe_relay(tx: Tx, ids: IdFactory, now: datetime, delivery: str, channel: str, *, once: bool) -> str:
    """Owe the POS a notification: by our schedule for a day, or (`once`) one try, for what was refused."""
    payload = {"delivery": delivery, "once": once}
    return put(tx, ids, now, "relay", channel, payload, give_up_after=timedelta() if once else RELAY_FOR)


def lease(tx: Tx, now: datetime, seconds: int, most: int) -> list[Row]:
    """Up to `most` due rows, leased for `seconds`, oldest first."""
    due = tx.all(
        "SELECT id FROM outbox WHERE state = 'due' AND due_at <= :now "
        "AND (leased_until IS NULL OR leased_until <= :now) ORDER BY due_at, id LIMIT :most",
        {"now": to_text(now), "most": most},
    )
    leased = []
    for row in due:
        # The condition is asked again: another worker may have been quicker.
        got = tx.one(
            "UPDATE outbox SET leased_until = :until, tries = tries + 1 WHERE id = :id AND state = 'due' "
            "AND due_at <= :now AND (leased_until IS NULL OR leased_until <= :now) RETURNING *",
            {"until": to_text(now + timedelta(seconds=seconds)), "id": row["id"], "now": to_text(now)},
        )
        if got is not None:
            leased.append(got)
    return leased


def give_back(tx: Tx, rows: Iterable[Row]) -> int:
    """Leased rows that were not begun are due again at once, for any worker, as if never leased; how many."""
    return sum(
        tx.run(
            "UPDATE outbox SET leased_until = NULL, tries = tries - 1 "
            "WHERE id = :id AND state = 'due' AND leased_until = :until",
            {"id": row["id"], "until": row["leased_until"]},
        )
        for row in rows
    )


def hurry(tx: Tx, now: datetime, topic: str, object_: str) -> int:
    """What is owed of this topic about this object is due now, unless somebody is at it; how many rows."""
    return tx.run(
        "UPDATE outbox SET due_at = :now WHERE topic = :topic AND object = :object AND state = 'due' "
        "AND due_at > :now AND leased_until IS NULL",
        {"now": to_text(now), "topic": topic, "object": object_},
    )


def done(tx: Tx, now: datetime, id_: str) -> None:
    """It is done."""
    tx.run(
        "UPDATE outbox SET state = 'done', done_at = :now, leased_until = NULL, last_error = NULL WHERE id = :id",
        {"now": to_text(now), "id": id_},
    )


def failed(tx: Tx, now: datetime, row: Row, error: str) -> str:
    """It failed: due again later, or parked when its time is over; the new state.

    A worker whose lease had run out may come with this after another has done it: then it stays done.
    """
    again = now + backoff(row["tries"])
    state = "due" if row["give_up_at"] is None or to_text(again) <= row["give_up_at"] else "parked"
    changed = tx.run(
        "UPDATE outbox SET state = :state, due_at = :due, leased_until = NULL, last_error = :error "
        "WHERE id = :id AND state = 'due'",
        {"state": state, "due": to_text(again), "error": error[:300], "id": row["id"]},
    )
    return state if changed else "done"


def drop(tx: Tx, now: datetime, id_: str, why: str) -> None:
    """It will not be done, and nobody need look at it (a single try that failed)."""
    tx.run(
        "UPDATE outbox SET state = 'done', done_at = :now, leased_until = NULL, last_error = :why WHERE id = :id",
        {"now": to_text(now), "why": why[:300], "id": id_},
    )


def again(tx: Tx, now: datetime, id_: str) -> bool:
    """A parked thing is due once more, by its own schedule and for as long as at first; False when it is not parked."""
    return bool(
        tx.run(
            "UPDATE outbox SET state = 'due', due_at = :now, give_up_at = :until, tries = 0, leased_until = NULL "
            "WHERE id = :id AND state = 'parked'",
            {"now": to_text(now), "until": to_text(now + RELAY_FOR), "id": id_},
        )
    )


def parked(tx: Tx, most: int = 500) -> list[Row]:
    """What could not be delivered, oldest first."""
    return tx.all("SELECT * FROM outbox WHERE state = 'parked' ORDER BY id LIMIT :most", {"most": most})


def depth(tx: Tx) -> int:
    """How many things are still owed."""
    row = tx.one("SELECT count(*) AS n FROM outbox WHERE state = 'due'")
    return int(row["n"]) if row is not None else 0
