"""Parked things sent once more: what a run would do, told beforehand, and the run itself.

The rehearsal and the run choose by the same function, and the run is given exactly the ids that the rehearsal showed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from gateway import audit, incidents, jobs, outbox
from gateway.catalog.directory import Directory
from gateway.contract.clock import from_text
from gateway.contract.store import Row, Tx
from gateway.jobs import Progress
from gateway.relay import Relay
from gateway.replay import hand_over
from gateway.runtime import Runtime

NAME: Final = "resend"
MOST: Final = 5000
"""At most so many in one run."""
RATES: Final = (1, 5, 20)
"""Things a second that may be chosen: a till that was down need not be flooded."""
_MARGIN: Final = timedelta(seconds=60)
"""Taken off the life of a signature, so that what is begun in time also arrives in time."""


@dataclass(frozen=True, slots=True)
class Group:
    """What is chosen by: parked things of one topic for one target with one error. None: whatever it is."""

    topic: str | None = None
    object: str | None = None
    error: str | None = None

    def holds(self, row: Row) -> bool:
        """Whether a parked row belongs to it."""
        return (
            self.topic in {None, row["topic"]}
            and self.object in {None, row["object"]}
            and self.error in {None, row["last_error"] or ""}
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do: the rows to send, oldest first, and why the others would be left."""

    send: Sequence[Row]
    skipped: Sequence[tuple[Row, str]]
    more: bool

    @property
    def digest(self) -> str:
        """A word for exactly these ids, to tell whether the plan is still what was shown."""
        return sha256("\n".join(row["id"] for row in self.send).encode()).hexdigest()[:16]

    def reasons(self) -> dict[str, int]:
        """How many are left, by reason."""
        counts: dict[str, int] = {}
        for _row, reason in self.skipped:
            counts[reason] = counts.get(reason, 0) + 1
        return counts


def plan(tx: Tx, directory: Directory, channels: Iterable[str] | None, groups: Sequence[Group], now: datetime) -> Plan:
    """What of the parked things in these groups (none: all) would be sent now.

    `channels` bounds what may be seen; None stands for everything, also for what concerns no channel.
    """
    seen = None if channels is None else frozenset(channels)
    send: list[Row] = []
    skipped: list[tuple[Row, str]] = []
    rows = tx.all("SELECT * FROM outbox WHERE state = 'parked' ORDER BY id LIMIT :most", {"most": MOST + 1})
    for row in rows[:MOST]:
        if seen is not None and (row["topic"] != "relay" or row["object"] not in seen):
            continue
        if groups and not any(group.holds(row) for group in groups):
            continue
        reason = why_not(tx, directory, row, now)
        if reason:
            skipped.append((row, reason))
        else:
            send.append(row)
    return Plan(send, skipped, len(rows) > MOST)


def why_not(tx: Tx, directory: Directory, row: Row, now: datetime) -> str:
    """Why a parked row cannot be sent now: `gone`, `paused` or `stale`; "" when it can."""
    if row["topic"] != "relay":
        return ""
    channel = directory.channel(row["object"])
    delivery = tx.one(
        "SELECT received_at, CASE WHEN sealed IS NULL THEN 0 ELSE 1 END AS kept FROM deliveries WHERE id = :id",
        {"id": json.loads(row["payload"]).get("delivery")},
    )
    if channel is None or not channel.upstream or delivery is None or not delivery["kept"]:
        return "gone"
    if channel.spec.paused:
        return "paused"
    stale_after = getattr(channel.adapter, "stale_after_s", None)
    if stale_after is not None and now - from_text(delivery["received_at"]) >= timedelta(seconds=stale_after) - _MARGIN:
        return "stale"
    return ""


class Resend:
    """The kind: sends what its parameters name, one after another, at the rate that was chosen."""

    def __init__(self, relay: Relay, sleep: Callable[[float], None] = time.sleep) -> None:
        self._relay = relay
        self._sleep = sleep

    def __call__(self, runtime: Runtime, params: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        """`params`: ids, rate (a second). The result counts what became of them; each has its row."""
        ids: list[str] = params["ids"]
        job = progress.job
        known = runtime.store.read(lambda tx: {row["name"] for row in jobs.rows_of(tx, job.id, most=len(ids) + 1)})
        for number, id_ in enumerate(ids, 1):
            if id_ not in known:
                if number > 1:
                    self._sleep(1 / max(int(params["rate"]), 1))
                outcome, detail = self._one(runtime, id_)
                self._note(runtime, job, id_, outcome, detail)
            progress(number, len(ids))
        return {"outcomes": runtime.store.read(lambda tx: jobs.row_counts(tx, job.id))}

    def _one(self, runtime: Runtime, id_: str) -> tuple[str, str]:
        now, directory = runtime.clock(), runtime.directory()

        def look(tx: Tx) -> tuple[Row | None, str]:
            row = tx.one("SELECT * FROM outbox WHERE id = :id", {"id": id_})
            if row is None or row["state"] != "parked":
                return None, "done_already"
            return row, why_not(tx, directory, row, now)

        row, reason = runtime.store.read(look)
        if row is None or reason:
            return reason, ""
        if row["topic"] != "relay":
            return "queued" if runtime.store.write(lambda tx: outbox.again(tx, now, id_)) else "done_already", ""
        tried = hand_over(runtime, self._relay, json.loads(row["payload"])["delivery"], now, replay=True)
        return tried.verdict, tried.detail

    @staticmethod
    def _note(runtime: Runtime, job: jobs.Job, id_: str, outcome: str, detail: str) -> None:
        now = runtime.clock()

        def write(tx: Tx) -> None:
            jobs.note_row(tx, job.id, id_, outcome, detail)
            if outcome not in {"accepted", "queued"}:
                return
            row = tx.one("SELECT object, topic FROM outbox WHERE id = :id", {"id": id_})
            if row is None:
                return
            if outcome == "accepted":
                outbox.done(tx, now, id_)
            audit.record(tx, now, job.by, "parked.replay", id_, after={"object": row["object"], "job": job.id})
            left = tx.one(
                "SELECT 1 AS one FROM outbox WHERE state = 'parked' AND object = :object LIMIT 1",
                {"object": row["object"]},
            )
            if left is None:
                incidents.close(tx, now, "parked", row["object"])

        runtime.store.write(write)
