"""`/admin/webhooks`: who is told of events, what was sent and taken, a test, and sending once more (R074)."""

from __future__ import annotations

import json
import re
from datetime import datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from crypto.tokens import new_token
from gateway.auth import Principal
from gateway.catalog.directory import Directory
from gateway.catalog.specs import Webhook
from gateway.contract.clock import to_text
from gateway.contract.store import Row, Tx
from gateway.runtime import Runtime
from gateway.web.admin.door import Answer, Room, noting
from gateway.web.admin.periods import zone_of
from gateway.webhooks.events import put
from gateway.webhooks.sending import again, switch_on

_PAGE: Final = 50
_STATES: Final = ("due", "done", "parked", "dropped")
_CURSOR: Final = re.compile(r"[0-9TZ:.-]{24}_wm_[0-9a-f]{32}\Z")


class WebhookPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:
        """The receivers in scope."""
        directory = self._runtime.directory()
        hooks = [hook for hook in directory.catalog.webhooks.values() if _sees(who, directory, hook)]
        rows = self._runtime.store.read(lambda tx: [_figures(tx, hook) for hook in hooks])
        return render_template("admin/webhooks.html", rows=rows, zone=zone_of(who, directory))

    def show(self, who: Principal, slug: str) -> Answer:
        """One receiver and its messages, newest first."""
        return self._page(who, slug, {})

    def test(self, who: Principal, slug: str) -> Answer:
        """Owe it a test message; it goes the way of all others."""
        hook, now, note = self._find(who, slug), g.now, noting(self._runtime, who)
        object_ = f"test_{new_token(self._runtime.random)}"
        body = {"type": "webhook.test", "timestamp": to_text(now), "data": {"webhook": hook.slug}}

        def write(tx: Tx) -> None:
            put(tx, now, hook.slug, "webhook.test", object_, json.dumps(body, separators=(",", ":")))
            note(tx, "webhook.test", hook.slug)

        self._runtime.store.write(write)
        flash(_("测试推送已排队，几秒后刷新这一页看结果。"))
        return redirect(url_for(".show", slug=slug), 303)

    def switch_on(self, who: Principal, slug: str) -> Answer:
        """Call it again."""
        hook, now, note = self._find(who, slug), g.now, noting(self._runtime, who)

        def write(tx: Tx) -> None:
            if switch_on(tx, now, hook.slug):
                note(tx, "webhook.on", hook.slug)

        self._runtime.store.write(write)
        flash(_("已恢复推送。"))
        return redirect(url_for(".show", slug=slug), 303)

    def replay(self, who: Principal, slug: str) -> Answer:
        """Send one message once more, or all of some days."""
        hook, now, note = self._find(who, slug), g.now, noting(self._runtime, who)
        one = request.form.get("id", "")[:64]
        chosen: dict[str, str] = {"id_": one}
        if not one:
            zone = zone_of(who, self._runtime.directory())
            try:
                first = datetime.combine(datetime.fromisoformat(request.form["from"]).date(), time(), zone)
                last = datetime.combine(datetime.fromisoformat(request.form["to"]).date(), time(), zone)
                chosen = {"since": to_text(first), "until": to_text(last + timedelta(days=1))}
            except (ValueError, KeyError, OverflowError):
                return self._page(who, slug, {"from": _("请选择开始和结束日期")}), 422
            if last < first:
                return self._page(who, slug, {"to": _("结束日期早于开始日期")}), 422

        def write(tx: Tx) -> int:
            n = again(tx, now, hook.slug, **chosen)
            if n:
                note(tx, "webhook.replay", hook.slug, after={**chosen, "n": n})
            return n

        n = self._runtime.store.write(write)
        flash(_("%(n)s 条已排队重发，编号不变。", n=n) if n else _("没有可以重发的。"), "message" if n else "warn")
        return redirect(url_for(".show", slug=slug), 303)

    def _find(self, who: Principal, slug: str) -> Webhook:
        directory = self._runtime.directory()
        hook = directory.catalog.webhooks.get(slug)
        return hook if hook is not None and _sees(who, directory, hook) else abort(404)

    def _page(self, who: Principal, slug: str, faults: dict[str, str]) -> str:
        hook, directory = self._find(who, slug), self._runtime.directory()
        state = request.args.get("state", "")
        state = state if state in _STATES else ""
        before = request.args.get("before", "")
        before = before if _CURSOR.match(before) else ""
        figures = self._runtime.store.read(lambda tx: _figures(tx, hook))
        rows = self._runtime.store.read(lambda tx: _messages(tx, hook.slug, state, before))
        edge = f"{rows[_PAGE - 1]['created_at']}_{rows[_PAGE - 1]['id']}" if len(rows) > _PAGE else ""
        kept: dict[str, Any] = {"state": state} if state else {}
        return render_template(
            "admin/webhook.html",
            one=figures,
            rows=[dict(row) for row in rows[:_PAGE]],
            states=[(_("全部"), url_for(".show", slug=slug), not state)]
            + [(state_name(name), url_for(".show", slug=slug, state=name), name == state) for name in _STATES],
            state=state,
            state_name=state_name,
            following=url_for(".show", slug=slug, before=edge, **kept) if edge else "",
            faults=faults,
            values=request.form,
            zone=zone_of(who, directory),
        )


def webhooks_room(runtime: Runtime) -> Room:
    """Webhooks, under the name `admin_webhooks`."""
    pages = WebhookPages(runtime)
    room = Room("webhooks", __name__, runtime)
    room.add("/webhooks", "index", pages.index, role="manager")
    room.add("/webhooks/<slug>", "show", pages.show, role="manager")
    room.add("/webhooks/<slug>/test", "test", pages.test, role="manager", methods=("POST",))
    room.add("/webhooks/<slug>/on", "switch_on", pages.switch_on, role="manager", methods=("POST",))
    room.add("/webhooks/<slug>/replay", "replay", pages.replay, role="manager", methods=("POST",))
    return room


def state_name(state: str) -> str:
    """A message's state in a word."""
    words = {"due": _("等待推送"), "done": _("已送达"), "parked": _("未送达"), "dropped": _("已放弃")}
    return str(words.get(state, state))


def _sees(who: Principal, directory: Directory, hook: Webhook) -> bool:
    """A merchant's receiver is his business; a circle's is its operator's, who sees all of its merchants."""
    if hook.merchant:
        circle = directory.circle_of(hook.merchant)
        return circle is not None and who.sees(circle.slug, hook.merchant)
    circles = who.circles(directory)
    return who.may("operator") and who.merchant is None and (circles is None or hook.circle in circles)


def _figures(tx: Tx, hook: Webhook) -> dict[str, Any]:
    counts = {
        row["state"]: int(row["n"])
        for row in tx.all(
            "SELECT state, count(*) AS n FROM messages WHERE webhook = :webhook GROUP BY state", {"webhook": hook.slug}
        )
    }
    row = tx.one("SELECT * FROM receivers WHERE webhook = :webhook", {"webhook": hook.slug})
    how = "ok" if row is not None and row["ok_at"] else "unverified"
    if hook.paused:
        how = "paused"
    elif row is not None and row["off_at"]:
        how = "down"
    elif (row is not None and row["failing_since"]) or counts.get("parked"):
        how = "attention"
    return {
        "slug": hook.slug,
        "host": urlsplit(hook.url).hostname or "",
        "scope": hook.merchant or hook.circle,
        "events": hook.events,
        "how": how,
        "counts": counts,
        "ok_at": row["ok_at"] if row is not None else None,
        "failing_since": row["failing_since"] if row is not None else None,
        "off_at": row["off_at"] if row is not None else None,
        "is_rotating": bool(hook.previous_secret),
    }


def _messages(tx: Tx, webhook: str, state: str, before: str) -> list[Row]:
    where = " AND state = :state" if state else ""
    at, _sep, id_ = before.partition("_")
    if before:
        where += " AND (created_at < :at OR (created_at = :at AND id < :id))"
    return tx.all(
        "SELECT id, event, object, state, created_at, done_at, tries, status, error FROM messages "
        f"WHERE webhook = :webhook{where} ORDER BY created_at DESC, id DESC LIMIT :most",
        {
            "webhook": webhook,
            "most": _PAGE + 1,
            **({"state": state} if state else {}),
            **({"at": at, "id": id_} if before else {}),
        },
    )
