"""Long work that outlives whoever asked for it: queued in the store, done by a worker, its progress written down.

    id_ = jobs.start(tx, runtime.ids, now, "resend", {"channel": "shop-wechat"}, who.name, circle="lane")

A worker leases a job and calls its kind with a `Progress`, which it calls at every row or small batch. A worker that
dies lets the lease run out and another begins the kind anew, so a kind finds out by its own state what is done already
(`rows_of`, or the objects it changes).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.contract.clock import Clock, from_text, to_text
from gateway.contract.ids import IdFactory
from gateway.contract.store import Row, Store, Tx
from gateway.runtime import Runtime

LEASE: Final = timedelta(seconds=60)
"""How long a worker may be silent about a job before another takes it up."""
KEPT_FOR: Final = timedelta(days=30)
"""How long an ended job, its result and its rows stay."""
MOST_TRIES: Final = 5
"""Takers of one job: what has killed so many workers would kill the next one too."""

_WRITE_EVERY_S: Final = 0.5
_ESTIMATE_FROM_PERCENT: Final = 5


class Cancelled(Exception):
    """Raised by `Progress`: a person asked to stop. A kind lets it through; what is done stays done."""


class Lost(Exception):
    """Raised by `Progress`: another worker holds the job, or this one is being stopped. A kind lets it through."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands."""

    id: str
    kind: str
    params: Mapping[str, Any]
    state: str
    done: int
    total: int
    base: int
    result: Mapping[str, Any]
    error: str
    by: str
    circle: str | None
    merchant: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    tries: int
    is_stopping: bool

    @property
    def is_open(self) -> bool:
        """Whether more will become of it."""
        return self.state in {"queued", "running"}

    def left_s(self, now: datetime) -> int | None:
        """About how many seconds are left; None before a twentieth is done, when any number would be a guess."""
        fresh = self.done - self.base
        if self.state != "running" or self.started_at is None or fresh <= 0:
            return None
        if self.done * 100 < self.total * _ESTIMATE_FROM_PERCENT:
            return None
        per_one = max((now - self.started_at).total_seconds(), 0) / fresh
        return round(per_one * max(self.total - self.done, 0))


def start(
    tx: Tx,
    ids: IdFactory,
    now: datetime,
    kind: str,
    params: Mapping[str, Any],
    by: str,
    *,
    circle: str | None = None,
    merchant: str | None = None,
    once: str | None = None,
) -> str:
    """Queue a job; its id. With `once` (the request id of a form) a second start of the same gives the first's id.

    `circle` and `merchant` bound who may look at it; neither: those who see the whole house. `params` hold no secret.
    """
    row = tx.one(
        "INSERT INTO jobs (id, once, kind, params, state, by, circle, merchant, created_at) "
        "VALUES (:id, :once, :kind, :params, 'queued', :by, :circle, :merchant, :now) "
        "ON CONFLICT (once) WHERE once IS NOT NULL DO UPDATE SET once = :once RETURNING id",
        {
            "id": ids.new("job", now),
            "once": f"{by}:{kind}:{once}" if once else None,
            "kind": kind,
            "params": json.dumps(params, sort_keys=True, ensure_ascii=False),
            "by": by,
            "circle": circle,
            "merchant": merchant,
            "now": to_text(now),
        },
    )
    assert row is not None
    return str(row["id"])


def look(tx: Tx, id_: str) -> Job | None:
    """The job of this id."""
    row = tx.one("SELECT * FROM jobs WHERE id = :id", {"id": id_})
    return _job(row) if row is not None else None


def newest(tx: Tx, kind: str, most: int) -> list[Job]:
    """The latest jobs of one kind, newest first."""
    rows = tx.all("SELECT * FROM jobs WHERE kind = :kind ORDER BY id DESC LIMIT :most", {"kind": kind, "most": most})
    return [_job(row) for row in rows]


def cancel(tx: Tx, now: datetime, id_: str) -> bool:
    """Stop it: at once while it waits, at its next row when it runs. False when it has ended already."""
    at_once = tx.run(
        "UPDATE jobs SET state = 'cancelled', ended_at = :now WHERE id = :id AND state = 'queued'",
        {"id": id_, "now": to_text(now)},
    )
    return bool(at_once) or bool(
        tx.run("UPDATE jobs SET stopping = 1 WHERE id = :id AND state = 'running'", {"id": id_})
    )


# -- rows -------------------------------------------------------------------------------------------------------------


def note_row(tx: Tx, job: str, name: str, outcome: str, detail: str = "") -> None:
    """What became of one row of a job; the first word about it stands. `detail` holds no secret, no openid."""
    tx.run(
        "INSERT INTO job_rows (job, name, outcome, detail) VALUES (:job, :name, :outcome, :detail) "
        "ON CONFLICT (job, name) DO NOTHING",
        {"job": job, "name": name, "outcome": outcome, "detail": detail[:300]},
    )


def rows_of(tx: Tx, job: str, after: str = "", most: int = 50) -> list[Row]:
    """(name, outcome, detail) of a job's rows behind `after`, by name."""
    return tx.all(
        "SELECT name, outcome, detail FROM job_rows WHERE job = :job AND name > :after ORDER BY name LIMIT :most",
        {"job": job, "after": after, "most": most},
    )


def row_counts(tx: Tx, job: str) -> dict[str, int]:
    """How many rows of a job came out which way."""
    rows = tx.all("SELECT outcome, count(*) AS n FROM job_rows WHERE job = :job GROUP BY outcome", {"job": job})
    return {row["outcome"]: int(row["n"]) for row in rows}


# -- the worker's side ------------------------------------------------------------------------------------------------


def lease(tx: Tx, now: datetime) -> Job | None:
    """The oldest job that waits or was left behind, now the caller's; None when there is none."""
    rows = tx.all(
        "SELECT id FROM jobs WHERE state IN ('queued', 'running') AND (leased_until IS NULL OR leased_until <= :now) "
        "ORDER BY id LIMIT 20",
        {"now": to_text(now)},
    )
    for row in rows:
        # The condition is asked again: another worker may have been quicker.
        got = tx.one(
            "UPDATE jobs SET state = 'running', tries = tries + 1, started_at = :now, base = done, "
            "leased_until = :until WHERE id = :id AND state IN ('queued', 'running') "
            "AND (leased_until IS NULL OR leased_until <= :now) RETURNING *",
            {"id": row["id"], "now": to_text(now), "until": to_text(now + LEASE)},
        )
        if got is not None:
            return _job(got)
    return None


def end(
    tx: Tx, now: datetime, job: Job, state: str, *, result: Mapping[str, Any] | None = None, error: str = ""
) -> bool:
    """The taker's last word: done, failed or cancelled. False when the job is no longer his."""
    return bool(
        tx.run(
            "UPDATE jobs SET state = :state, result = :result, error = :error, ended_at = :now, leased_until = NULL "
            "WHERE id = :id AND state = 'running' AND tries = :tries",
            {
                "state": state,
                "result": json.dumps(result, sort_keys=True, ensure_ascii=False) if result is not None else None,
                "error": error[:300] or None,
                "now": to_text(now),
                "id": job.id,
                "tries": job.tries,
            },
        )
    )


def hand_back(tx: Tx, job: Job) -> None:
    """The taker is stopped in order: the next worker need not wait for the lease to end."""
    tx.run(
        "UPDATE jobs SET state = 'queued', leased_until = NULL, tries = tries - 1 "
        "WHERE id = :id AND state = 'running' AND tries = :tries",
        {"id": job.id, "tries": job.tries},
    )


def sweep(tx: Tx, now: datetime, most: int) -> int:
    """Drop a batch of jobs that ended long ago, with their rows; how many."""
    rows = tx.all(
        "SELECT id FROM jobs WHERE ended_at < :before ORDER BY ended_at LIMIT :most",
        {"before": to_text(now - KEPT_FOR), "most": most},
    )
    for row in rows:
        tx.run("DELETE FROM job_rows WHERE job = :id", {"id": row["id"]})
        tx.run("DELETE FROM jobs WHERE id = :id", {"id": row["id"]})
    return len(rows)


class Progress:
    """A kind's way to say how far it is and to hear that it should stop: `progress(120, 480)` at every row."""

    def __init__(
        self, store: Store, clock: Clock, job: Job, *, monotonic: Callable[[], float], told_to_stop: Callable[[], bool]
    ) -> None:
        self.job = job
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._told_to_stop = told_to_stop
        self._written_at: float | None = None

    def __call__(self, done: int, total: int) -> None:
        """Note it, written at most twice a second. Raises Cancelled, Lost, StoreTrouble."""
        if self._told_to_stop():
            raise Lost
        at = self._monotonic()
        if self._written_at is None or at - self._written_at >= _WRITE_EVERY_S or done >= total:
            self._written_at = at
            row = self._store.write(lambda tx: self._write(tx, done, total))
        else:
            row = self._store.read(lambda tx: tx.one(f"SELECT stopping FROM jobs WHERE {_MINE}", self._mine()))
        if row is None:
            raise Lost
        if row["stopping"]:
            # What is done is told to the row, however long ago it was written last.
            self._store.write(lambda tx: self._write(tx, done, total))
            raise Cancelled

    def _write(self, tx: Tx, done: int, total: int) -> Row | None:
        return tx.one(
            f"UPDATE jobs SET done = :done, total = :total, leased_until = :until WHERE {_MINE} RETURNING stopping",
            {**self._mine(), "done": done, "total": total, "until": to_text(self._clock() + LEASE)},
        )

    def _mine(self) -> dict[str, Any]:
        return {"id": self.job.id, "tries": self.job.tries}


_MINE: Final = "id = :id AND state = 'running' AND tries = :tries"

Kind = Callable[[Runtime, Mapping[str, Any], Progress], Mapping[str, Any]]
"""Does one kind of job, given its parameters; the result, small and fit for a page. Begun anew after a crash."""


def _job(row: Row) -> Job:
    return Job(
        id=row["id"],
        kind=row["kind"],
        params=json.loads(row["params"]),
        state=row["state"],
        done=row["done"],
        total=row["total"],
        base=row["base"],
        result=json.loads(row["result"]) if row["result"] else {},
        error=row["error"] or "",
        by=row["by"],
        circle=row["circle"],
        merchant=row["merchant"],
        created_at=from_text(row["created_at"]),
        started_at=from_text(row["started_at"]) if row["started_at"] else None,
        ended_at=from_text(row["ended_at"]) if row["ended_at"] else None,
        tries=row["tries"],
        is_stopping=bool(row["stopping"]),
    )
