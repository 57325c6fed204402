"""`/admin/audit`: who did what, when, before and after; and whether the chain of rows holds (R246)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from flask import g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway import audit, jobs
from gateway.auth import Principal
from gateway.chores import chain
from gateway.contract.clock import to_text
from gateway.contract.store import Row, Tx
from gateway.runtime import Runtime
from gateway.web.admin.addresses import changing, paging
from gateway.web.admin.door import Answer, Room, noting
from gateway.web.admin.job_pages import JobKind
from gateway.web.admin.periods import period, preset_links, zone_of

FILTERS: Final = ("day", "from", "to", "by", "action", "object")
_PAGE: Final = 50
_LOOK_AT: Final = 20_000
_CHECK_AT_ONCE: Final = 2000
_LONGEST: Final = 100
_LARGEST: Final = 2**62


@dataclass(frozen=True, slots=True)
class ChainLine:
    """What the page says about the chain: intact to a row, broken at one, and how much was not looked at."""

    intact_to: int
    broken_at: int | None
    unchecked: int


class AuditPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:
        """The rows, newest first. Who is bound to a circle sees what he did himself."""
        directory = self._runtime.directory()
        zone, faults = zone_of(who, directory), dict[str, str]()
        when = period(request.args, g.now, zone, faults)
        values = {name: request.args.get(name, "").strip()[:_LONGEST] for name in FILTERS}
        before = _number(request.args.get("before", ""))
        since = to_text(when.since) if when.since is not None else ""
        until = to_text(when.until) if when.until is not None else ""
        own = who.name if who.merchants(directory) is not None else ""

        def read(tx: Tx) -> tuple[list[Row], int, ChainLine]:
            rows, edge = _rows(tx, values, since, until, before, own)
            return rows, edge, _chain(tx)

        rows, edge, line = self._runtime.store.read(read)
        address = changing(".index", request.args, FILTERS)
        page = render_template(
            "admin/audit.html",
            rows=[_shown(row) for row in rows],
            line=line,
            values=values,
            faults=faults,
            chips=[(values[name], address(**{name: None})) for name in ("by", "action", "object") if values[name]],
            clear=url_for(".index"),
            presets=preset_links(when.preset, lambda name: address(day=name, **{"from": None, "to": None})),
            is_filtered=any(values.values()),
            is_own=bool(own),
            following=paging(".index", request.args, FILTERS, "before", str(edge) if edge else ""),
            zone=zone,
        )
        return page, 422 if faults else 200

    def check(self, who: Principal) -> Answer:
        """Check the whole chain, as a job."""
        now, runtime, note = g.now, self._runtime, noting(self._runtime, who)

        def write(tx: Tx) -> str:
            job = jobs.start(tx, runtime.ids, now, chain.NAME, {}, who.name)
            note(tx, "audit.check", job)
            return job

        return redirect(url_for("admin_jobs.show", job_id=runtime.store.write(write)), 303)


def audit_room(runtime: Runtime) -> Room:
    """The audit log, under the name `admin_audit`."""
    pages = AuditPages(runtime)
    room = Room("audit", __name__, runtime)
    room.add("/audit", "index", pages.index, role="operator")
    room.add("/audit/check", "check", pages.check, role="admin", methods=("POST",))
    room.job(chain.NAME, JobKind(lambda: _("检查审计链"), lambda _job: url_for("admin_audit.index")))
    return room


def _rows(tx: Tx, values: dict[str, str], since: str, until: str, before: int, own: str) -> tuple[list[Row], int]:
    """(a page of rows that fit, where to go on or 0). At most _LOOK_AT rows are looked at, from `before` back."""
    fits, params = ["1 = 1"], dict[str, Any]()
    for column, sign, value in (
        ("who", "=", values["by"]),
        ("action", "=", values["action"]),
        ("object", "=", values["object"]),
        ("at", ">=", since),
        ("at", "<", until),
        ("who", "=", own),
    ):
        if value:
            key = f"f{len(params)}"
            fits.append(f"r.{column} {sign} :{key}")
            params[key] = value
    looked = "SELECT * FROM audit WHERE seq < :before ORDER BY seq DESC LIMIT :look"
    bounds = {"before": before or _LARGEST, "look": _LOOK_AT}
    rows = tx.all(
        f"SELECT * FROM ({looked}) AS r WHERE {' AND '.join(fits)} ORDER BY r.seq DESC LIMIT :most",
        {**params, **bounds, "most": _PAGE + 1},
    )
    if len(rows) > _PAGE:
        return rows[:_PAGE], int(rows[_PAGE - 1]["seq"])
    end = tx.one(f"SELECT min(seq) AS seq, count(*) AS n FROM (SELECT seq FROM ({looked}) AS s) AS r", bounds)
    return rows, int(end["seq"]) if end is not None and end["n"] == _LOOK_AT else 0


def _chain(tx: Tx) -> ChainLine:
    """What the last whole check found, and on from there as far as is quick."""
    known = audit.kept(tx)
    last = tx.one("SELECT max(seq) AS seq FROM audit")
    end = int(last["seq"]) if last is not None and last["seq"] is not None else 0
    if known is not None and known.broken_at is not None:
        return ChainLine(known.mark.seq, known.broken_at, 0)
    found = audit.check(tx, known.mark if known is not None else audit.beginning(tx), _CHECK_AT_ONCE)
    return ChainLine(found.mark.seq, found.broken_at, end - found.mark.seq if found.broken_at is None else 0)


def _shown(row: Row) -> dict[str, Any]:
    before, after = _facts(row["before"]), _facts(row["after"])
    return {
        "seq": row["seq"],
        "at": row["at"],
        "who": row["who"],
        "action": row["action"],
        "object": row["object"],
        "request_id": row["request_id"] or "",
        "facts": [
            (name, before.get(name), after.get(name), before.get(name) != after.get(name))
            for name in sorted({*before, *after})
        ],
    }


def _facts(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    value = json.loads(text)
    facts = value if isinstance(value, dict) else {"": value}
    return {
        name: one if isinstance(one, str) else json.dumps(one, ensure_ascii=False, sort_keys=True)
        for name, one in facts.items()
    }


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else 0  # noqa: PLR2004 - 64 bits
