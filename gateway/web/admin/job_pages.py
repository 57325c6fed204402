"""`/admin/jobs/<id>`: how far a piece of long work is, the way to stop it, and the way to its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flask import abort, current_app, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway import jobs
from gateway.auth import Principal
from gateway.contract.store import Tx
from gateway.jobs import Job
from gateway.runtime import Runtime
from gateway.web.admin.door import JOBS, Answer, Room, noting
from gateway.web.pages.fragments import fragment

EVERY_S: Final = 2
_ROWS: Final = 50


@dataclass(frozen=True, slots=True)
class JobKind:
    """What people read about a kind: its title, its result's address if there is one, words for its rows."""

    title: Callable[[], str]
    result: Callable[[Job], str | None] = lambda _job: None
    outcome: Callable[[str], str] = lambda word: word


class JobPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def show(self, who: Principal, job_id: str) -> Answer:
        """The page, which refreshes itself while the job is open."""
        return render_template("admin/job.html", every=EVERY_S, **self._values(who, job_id))

    def live(self, who: Principal, job_id: str) -> Answer:
        """The part that changes."""
        return fragment(render_template("admin/_job.html", **self._values(who, job_id)))

    def cancel(self, who: Principal, job_id: str) -> Answer:
        """Stop it at its next row."""
        job, now, note = self.find(who, job_id), g.now, noting(self._runtime, who)

        def write(tx: Tx) -> bool:
            stopped = jobs.cancel(tx, now, job.id)
            if stopped:
                note(tx, "job.cancel", job.id, after={"kind": job.kind, "done": job.done})
            return stopped

        if not self._runtime.store.write(write):
            flash(_("任务已经结束，没有可以停止的。"), "warn")
        return redirect(url_for("admin_jobs.show", job_id=job.id), 303)

    def find(self, who: Principal, job_id: str) -> Job:
        """The job, if it lies in the scope of `who`; else 404."""
        job = self._runtime.store.read(lambda tx: jobs.look(tx, job_id))
        if job is None or not may_see(self._runtime, who, job):
            abort(404)
        return job

    def _values(self, who: Principal, job_id: str) -> dict[str, object]:
        job = self.find(who, job_id)
        after = request.args.get("after", "")
        rows = self._runtime.store.read(lambda tx: jobs.rows_of(tx, job.id, after, _ROWS + 1))
        counts = self._runtime.store.read(lambda tx: jobs.row_counts(tx, job.id))
        kind = kind_of(job)
        following = url_for(".show", job_id=job.id, after=rows[_ROWS - 1]["name"]) if len(rows) > _ROWS else ""
        return {
            "job": job,
            "title": kind.title(),
            "result": kind.result(job) if job.state == "done" else None,
            "rows": [(row["name"], kind.outcome(row["outcome"]), row["detail"]) for row in rows[:_ROWS]],
            "counts": [(kind.outcome(word), n) for word, n in sorted(counts.items())],
            "following": following,
            "zone": self._runtime.directory().zone(None),
        }


def may_see(runtime: Runtime, who: Principal, job: Job) -> bool:
    """Whether a job is in the scope of `who`: one of no merchant and no circle is for those who see everything."""
    directory = runtime.directory()
    if job.merchant is not None:
        circle = directory.circle_of(job.merchant)
        return circle is not None and who.sees(job.circle or circle.slug, job.merchant)
    circles = who.circles(directory)
    return who.may("operator") and (circles is None or job.circle in circles)


def kind_of(job: Job) -> JobKind:
    """What people read about the job's kind; its bare name where no room says more."""
    known: dict[str, JobKind] = current_app.extensions.get(JOBS, {})
    return known.get(job.kind) or JobKind(lambda: job.kind)


def jobs_room(runtime: Runtime) -> Room:
    """Jobs, under the name `admin_jobs`. It has no list: each job is reached from the page that began it."""
    pages = JobPages(runtime)
    room = Room("jobs", __name__, runtime)
    room.add("/jobs/<job_id>", "show", pages.show, role="manager")
    room.add("/jobs/<job_id>/live", "live", pages.live, role="manager")
    room.add("/jobs/<job_id>/cancel", "cancel", pages.cancel, role="manager", methods=("POST",))
    return room
