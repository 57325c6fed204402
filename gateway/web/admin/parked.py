"""`/admin/parked`: what could not be delivered, by target and error; rehearsed, then sent once more as a job."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from crypto.tokens import new_token
from gateway import jobs
from gateway.auth import Principal
from gateway.catalog.directory import Directory
from gateway.chores import resend
from gateway.chores.resend import Group, Plan
from gateway.contract.store import Row, Tx
from gateway.runtime import Runtime
from gateway.web.admin.door import Answer, Room, noting
from gateway.web.admin.job_pages import JobKind
from gateway.web.admin.periods import zone_of

TYPED_FROM: Final = 100
"""Above so many the number has to be typed."""
_SAMPLE: Final = 5
_GROUPS: Final = 100
_LONGEST_GROUP: Final = 500


@dataclass(frozen=True, slots=True)
class Heap:
    """One line of the list: things of one topic for one target with one error."""

    value: str
    target: str
    error: str
    n: int
    oldest: str


class ParkedPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:
        """The groups."""
        directory = self._runtime.directory()
        channels = channels_of(who, directory)
        heaps = self._runtime.store.read(lambda tx: _heaps(tx, directory, channels))
        target = request.args.get("target", "")
        targets = sorted({heap.target for heap in heaps})
        if target:
            heaps = [heap for heap in heaps if heap.target == target]
        return render_template(
            "admin/parked.html",
            heaps=heaps,
            total=sum(heap.n for heap in heaps),
            target=target,
            targets=[("", _("全部")), *((name, name) for name in targets)],
            zone=zone_of(who, directory),
        )

    def rehearse(self, who: Principal) -> Answer:
        """What a run would do; sends nothing."""
        return self._rehearsal(who, request.args, {})

    def replay(self, who: Principal) -> Answer:
        """Begin the run that was rehearsed. What has changed since is shown again instead."""
        directory, now = self._runtime.directory(), g.now
        plan = self._plan(who, directory, request.form)
        if plan.digest != request.form.get("plan", ""):
            flash(_("未送达的内容变了，请再看一遍演练。"), "warn")
            return self._rehearsal(who, request.form, {}), 409
        n = len(plan.send)
        if n == 0:
            abort(400)
        if n > TYPED_FROM and request.form.get("typed", "").strip().replace(",", "") != str(n):
            return self._rehearsal(who, request.form, {"typed": _("请填写 %(n)s 来确认", n=n)}), 422
        rate = request.form.get("rate", "")
        if rate not in {str(known) for known in resend.RATES}:
            return self._rehearsal(who, request.form, {"rate": _("请选择速度")}), 422
        note, runtime = noting(self._runtime, who), self._runtime
        params = {"ids": [row["id"] for row in plan.send], "rate": int(rate)}
        once = request.form.get("key", "")[:64] or None

        def write(tx: Tx) -> str:
            job = jobs.start(
                tx, runtime.ids, now, resend.NAME, params, who.name, circle=who.circle, merchant=who.merchant, once=once
            )
            note(tx, "parked.replay_begin", job, after={"n": n, "rate": int(rate)})
            return job

        return redirect(url_for("admin_jobs.show", job_id=runtime.store.write(write)), 303)

    # -- the plan -----------------------------------------------------------------------------------------------------

    def _plan(self, who: Principal, directory: Directory, values: MultiDict[str, str]) -> Plan:
        channels, groups, now = channels_of(who, directory), groups_of(values), g.now
        return self._runtime.store.read(lambda tx: resend.plan(tx, directory, channels, groups, now))

    def _rehearsal(self, who: Principal, values: MultiDict[str, str], faults: dict[str, str]) -> str:
        directory = self._runtime.directory()
        plan = self._plan(who, directory, values)
        return render_template(
            "admin/rehearsal.html",
            n=len(plan.send),
            skipped=sorted((why_skipped(reason), n) for reason, n in plan.reasons().items()),
            stale=plan.reasons().get("stale", 0),
            sample=[_sampled(directory, row) for row in plan.send[:_SAMPLE]],
            groups=values.getlist("g"),
            plan=plan.digest,
            more=plan.more,
            key=new_token(self._runtime.random),
            rates=[(str(rate), _("每秒 %(n)s 条", n=rate)) for rate in resend.RATES],
            rate=values.get("rate", str(resend.RATES[1])),
            typed_from=TYPED_FROM,
            faults=faults,
            zone=zone_of(who, directory),
        )


def parked_room(runtime: Runtime) -> Room:
    """What is parked, under the name `admin_parked`."""
    pages = ParkedPages(runtime)
    room = Room("parked", __name__, runtime)
    room.add("/parked", "index", pages.index, role="manager")
    room.add("/parked/rehearse", "rehearse", pages.rehearse, role="manager")
    room.add("/parked/replay", "replay", pages.replay, role="manager", methods=("POST",))
    room.job(resend.NAME, JobKind(lambda: _("重放未送达的通知"), outcome=why_skipped))
    return room


def channels_of(who: Principal, directory: Directory) -> frozenset[str] | None:
    """The channels in the scope of `who`; None for everything."""
    merchants = who.merchants(directory)
    if merchants is None:
        return None
    return frozenset(slug for slug, spec in directory.catalog.channels.items() if spec.merchant in merchants)


def groups_of(values: MultiDict[str, str]) -> list[Group]:
    """The groups that a form or an address names; what is none is a group that holds nothing."""
    groups = []
    for text in values.getlist("g")[:_GROUPS]:
        parts = text[:_LONGEST_GROUP].split("|", 2)
        groups.append(Group(*parts) if len(parts) == 3 else Group("-", "-", "-"))  # noqa: PLR2004 - topic, object, error
    return groups


def why_skipped(reason: str) -> str:
    """What became of a row, or why it is left, in words."""
    words = {
        "stale": _("超过 4 分钟，POS 会拒收；等待平台重发"),
        "gone": _("原文或渠道已不在"),
        "paused": _("目标已暂停"),
        "done_already": _("已经送达过"),
        "accepted": _("POS 已收下"),
        "not_accepted": _("POS 没有收下"),
        "failed": _("POS 没有应答"),
        "queued": _("已重新排队"),
    }
    return str(words.get(reason, reason))


def _heaps(tx: Tx, directory: Directory, channels: frozenset[str] | None) -> list[Heap]:
    rows = tx.all(
        "SELECT topic, object, coalesce(last_error, '') AS error, count(*) AS n, min(created_at) AS oldest FROM outbox "
        "WHERE state = 'parked' GROUP BY topic, object, coalesce(last_error, '') "
        "ORDER BY count(*) DESC, object LIMIT 500"
    )
    return [
        Heap(
            f"{row['topic']}|{row['object']}|{row['error']}",
            target_name(directory, row["topic"], row["object"]),
            row["error"],
            int(row["n"]),
            row["oldest"],
        )
        for row in rows
        if channels is None or (row["topic"] == "relay" and row["object"] in channels)
    ]


def target_name(directory: Directory, topic: str, object_: str) -> str:
    """Whom a parked thing is for: the merchant's POS behind a channel, else what it concerns."""
    live = directory.channel(object_) if topic == "relay" else None
    return f"{live.merchant.name} · {object_}" if live is not None else f"{topic} · {object_}"


def _sampled(directory: Directory, row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "target": target_name(directory, row["topic"], row["object"]),
        "at": row["created_at"],
        "error": row["last_error"] or "",
        "tries": row["tries"],
        "delivery": json.loads(row["payload"]).get("delivery", ""),
    }
