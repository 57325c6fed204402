"""`/admin/incidents`: what went wrong, who is at it, and why it was closed."""

from __future__ import annotations

import re
from typing import Any, Final

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway.auth import Principal
from gateway.catalog.directory import Directory
from gateway.contract.clock import to_text
from gateway.contract.store import Row, Tx
from gateway.reading.links import in_list
from gateway.runtime import Runtime
from gateway.web.admin.addresses import paging
from gateway.web.admin.door import Answer, Room, noting
from gateway.web.admin.parked import channels_of, target_name
from gateway.web.admin.periods import zone_of
from gateway.web.pages.roles import guest

_PAGE: Final = 50
_LONGEST_CAUSE: Final = 300
_CURSOR: Final = re.compile(r"inc_[0-9a-f]{32}\Z")


class IncidentPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:
        """Open ones, or (`state=closed`) what is over; newest first."""
        directory = self._runtime.directory()
        channels = channels_of(who, directory)
        is_closed = request.args.get("state") == "closed"
        before = request.args.get("before", "")
        before = before if _CURSOR.match(before) else ""
        rows = self._runtime.store.read(lambda tx: _page(tx, channels, is_closed=is_closed, before=before))
        edge = rows[_PAGE - 1]["id"] if len(rows) > _PAGE else ""
        return render_template(
            "admin/incidents.html",
            rows=[shown(directory, row) for row in rows[:_PAGE]],
            is_closed=is_closed,
            states=[
                (_("未处理"), url_for(".index"), not is_closed),
                (_("已关闭"), url_for(".index", state="closed"), is_closed),
            ],
            following=paging(".index", request.args, ("state",), "before", edge),
            zone=zone_of(who, directory),
        )

    def show(self, who: Principal, incident: str) -> Answer:
        """One, with what staff said about it."""
        return self._page(who, incident, {})

    def see(self, who: Principal, incident: str) -> Answer:
        """Say that somebody is at it."""
        self._find(who, incident)
        now, note = g.now, noting(self._runtime, who)

        def write(tx: Tx) -> None:
            if _say(tx, incident, "seen", to_text(now), who.name, ""):
                note(tx, "incident.seen", incident)

        self._runtime.store.write(write)
        return redirect(url_for(".show", incident=incident), 303)

    def close(self, who: Principal, incident: str) -> Answer:
        """Close it with its cause. Should the same happen again, it opens as a new one."""
        row = self._find(who, incident)
        cause = request.form.get("cause", "").strip()
        if not 0 < len(cause) <= _LONGEST_CAUSE:
            return self._page(who, incident, {"cause": _("请填写原因")}), 422
        now, note = g.now, noting(self._runtime, who)

        def write(tx: Tx) -> bool:
            changed = tx.run(
                "UPDATE incidents SET closed_at = :now WHERE id = :id AND closed_at IS NULL",
                {"now": to_text(now), "id": incident},
            )
            if changed:
                _say(tx, incident, "closed", to_text(now), who.name, cause)
                facts = {"kind": row["kind"], "cause": cause}
                note(tx, "incident.close", incident, before={"state": "open"}, after=facts)
            return bool(changed)

        if not self._runtime.store.write(write):
            flash(_("事件刚才已经关闭。"), "warn")
        return redirect(url_for(".show", incident=incident), 303)

    # -- finding it ---------------------------------------------------------------------------------------------------

    def _find(self, who: Principal, incident: str) -> Row:
        channels = channels_of(who, self._runtime.directory())
        row = self._runtime.store.read(lambda tx: tx.one("SELECT * FROM incidents WHERE id = :id", {"id": incident}))
        if row is None or (channels is not None and row["subject"] not in channels):
            abort(404)
        return row

    def _page(self, who: Principal, incident: str, faults: dict[str, str]) -> str:
        directory, row = self._runtime.directory(), self._find(who, incident)
        said = self._runtime.store.read(
            lambda tx: tx.all("SELECT * FROM incident_notes WHERE incident = :id ORDER BY at", {"id": incident})
        )
        return render_template(
            "admin/incident.html",
            one=shown(directory, row),
            said=[dict(note) for note in said],
            is_seen=any(note["said"] == "seen" for note in said),
            faults=faults,
            zone=zone_of(who, directory),
        )


def incidents_room(runtime: Runtime) -> Room:
    """Incidents, under the name `admin_incidents`."""
    pages = IncidentPages(runtime)
    room = Room("incidents", __name__, runtime)
    room.add("/incidents", "index", pages.index, role="manager")
    room.add("/incidents/<incident>", "show", pages.show, role="manager")
    room.add("/incidents/<incident>/seen", "see", pages.see, role="manager", methods=("POST",))
    room.add("/incidents/<incident>/close", "close", pages.close, role="manager", methods=("POST",))
    return room


def shown(directory: Directory, row: Row) -> dict[str, Any]:
    """An incident for a page. Persons in its subject are pseudonyms."""
    subject = str(row["subject"])
    if row["kind"] == "ring":
        about = " + ".join(guest(person) for person in subject.split("+"))
    elif directory.channel(subject) is not None:
        about = target_name(directory, "relay", subject)
    else:
        about = subject
    return {
        "id": row["id"],
        "kind": row["kind"],
        "about": about,
        "detail": row["detail"],
        "n": row["n"],
        "first_at": row["first_at"],
        "last_at": row["last_at"],
        "closed_at": row["closed_at"],
        "search": subject if row["kind"] == "refund_excess" else "",
    }


def _page(tx: Tx, channels: frozenset[str] | None, *, is_closed: bool, before: str) -> list[Row]:
    where = [f"closed_at IS {'NOT ' if is_closed else ''}NULL"]
    params: dict[str, Any] = {"most": _PAGE + 1}
    if channels is not None:
        marks, more = in_list(sorted(channels) or ["-"])
        where.append(f"subject IN ({marks})")
        params |= more
    if before:
        where.append("id < :before")
        params["before"] = before
    return tx.all(f"SELECT * FROM incidents WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT :most", params)


def _say(tx: Tx, incident: str, said: str, at: str, by: str, cause: str) -> bool:
    return bool(
        tx.run(
            "INSERT INTO incident_notes (incident, said, at, by, cause) VALUES (:incident, :said, :at, :by, :cause) "
            "ON CONFLICT (incident, said) DO NOTHING",
            {"incident": incident, "said": said, "at": at, "by": by, "cause": cause},
        )
    )
