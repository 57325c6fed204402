"""`/admin/channels`: how each stream of notifications does, its pause, its tests, and the way to leave."""

from __future__ import annotations

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway.auth import Principal
from gateway.catalog.directory import Directory, LiveChannel
from gateway.catalog.edit import Edit, Moved
from gateway.catalog.storage import load
from gateway.contract.store import Tx
from gateway.overview import Scope
from gateway.overview import read as read_overview
from gateway.runtime import Runtime
from gateway.setup import selftest
from gateway.web.admin import channel_checks
from gateway.web.admin.channel_state import day_by_hour, key_ages, notices
from gateway.web.admin.desk import Desk, desk_of
from gateway.web.admin.door import Answer, Room, noting
from gateway.web.pages.fragments import fragment

_LONGEST_REASON = 200


class ChannelPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:
        """Every channel in scope with its pill."""
        desk = desk_of(self._runtime, who)
        directory = self._runtime.directory()
        scope, now = Scope(who.merchants(directory), who.circles(directory)), g.now
        seen = self._runtime.store.read(lambda tx: read_overview(tx, directory, scope, now))
        states = {one.slug: one for one in seen.channels}
        channels = desk.channels()

        def ages(tx: Tx) -> dict[str, bool]:
            return {one.slug: any(key.is_old for key in key_ages(tx, one, desk.table(one), now)) for one in channels}

        rows = [(one, desk.catalog.merchants[one.merchant], states.get(one.slug)) for one in channels]
        return render_template("admin/channels.html", rows=rows, old=self._runtime.store.read(ages), zone=desk.zone)

    def channel(self, who: Principal, slug: str) -> Answer:
        """One channel: a day by the hour, its last notices, checks, keys' ages."""
        desk = desk_of(self._runtime, who)
        spec = desk.channel(slug)
        live = self._live(slug)
        now, zone = g.now, self._runtime.directory().zone(spec.shop)
        store = self._runtime.store
        return render_template(
            "admin/channel.html",
            **channel_checks.values(self._runtime, live, zone, now),
            live=live,
            merchant=desk.catalog.merchants[spec.merchant],
            address=notify_address(self._runtime, slug),
            hours=store.read(lambda tx: day_by_hour(tx, spec, now, zone)),
            notices=store.read(lambda tx: notices(tx, spec)),
            ages=store.read(lambda tx: key_ages(tx, spec, desk.table(spec), now)),
            stamp=desk.stamp(spec),
        )

    def live(self, who: Principal, slug: str) -> Answer:
        """The checks by themselves, asked every two seconds."""
        desk = desk_of(self._runtime, who)
        spec = desk.channel(slug)
        zone = self._runtime.directory().zone(spec.shop)
        values = channel_checks.values(self._runtime, self._live(slug), zone, g.now)
        return fragment(render_template("admin/_checks.html", **values))

    def test(self, who: Principal, slug: str) -> Answer:
        """Run the self-test, or send the test notification."""
        desk_of(self._runtime, who).channel(slug)
        live = self._live(slug)
        kind = request.form.get("kind")
        if kind == "notice":
            selftest.send_test(self._runtime, live, g.now, who.name)
        elif kind == "self":
            selftest.run_self_test(self._runtime, live, g.now, who.name)
        else:
            abort(400)
        back = request.form.get("back")
        if back == "setup":
            return redirect(url_for("admin_setup.step", step="channel", merchant=live.merchant.slug, channel=slug), 303)
        return redirect(url_for(".channel", slug=slug), 303)

    def pause(self, who: Principal, slug: str) -> Answer:
        """Pause or resume, with a reason; the reason stands in the audit log."""
        desk = desk_of(self._runtime, who)
        spec = desk.channel(slug)
        reason = request.form.get("reason", "").strip()[:_LONGEST_REASON]
        is_pausing = request.form.get("to") == "paused"
        if not reason:
            flash(_("没有改动：请写一句原因"), "bad")
        elif spec.paused == is_pausing:
            flash(_("没有改动：别人刚刚已经这样做了"), "warn")
        else:
            note = noting(self._runtime, who)
            action = "channel.paused" if is_pausing else "channel.resumed"
            edit = Edit("channel", slug, {"paused": is_pausing}, request.form.get("stamp") or "none")
            try:
                desk.save([edit], lambda tx: note(tx, action, f"channel.{slug}", after={"reason": reason}))
                flash(_("已暂停：通知照常转发，不再记录和发券") if is_pausing else _("已恢复"))
            except Moved:
                flash(_("内容已被他人修改"), "warn")
        return redirect(url_for(".channel", slug=slug), 303)

    def _live(self, slug: str) -> LiveChannel:
        """The channel as it is served; 404 for a sandbox channel where the sandbox is off."""
        return fresh_channel(self._runtime, slug) or abort(404)


def fresh_channel(runtime: Runtime, slug: str) -> LiveChannel | None:
    """The channel as it is stored this moment, loaded as the directory loads it; None where it is not served.

    The directory may be half a second old, and the keys that were saved a moment ago are those to be proven.
    """
    vault = runtime.keyring.reload()
    stored = runtime.store.read(lambda tx: load(tx, vault))
    known = runtime.directory()
    if known.version == stored.version:
        return known.channel(slug)
    enabled = runtime.config.sandbox.enabled
    return Directory(stored.version, stored.catalog, runtime.registry, sandbox_enabled=enabled).channel(slug)


def notify_address(runtime: Runtime, slug: str) -> str:
    """Where the platform is to send a channel's notifications."""
    return f"{runtime.base_url}/notify/{slug}"


def may_edit(desk: Desk) -> bool:
    """Whether whoever is signed in may write keys and addresses: whose word is believed is the operator's to say."""
    return desk.who.may("operator")


def channels_room(runtime: Runtime) -> Room:
    """Channels, under the name `admin_channels`."""
    pages = ChannelPages(runtime)
    room = Room("channels", __name__, runtime)
    room.add("/channels", "index", pages.index, role="manager")
    room.add("/channels/<slug>", "channel", pages.channel, role="manager")
    room.add("/channels/<slug>/checks", "live", pages.live, role="manager")
    room.add("/channels/<slug>/test", "test", pages.test, role="manager", methods=("POST",))
    room.add("/channels/<slug>/pause", "pause", pages.pause, role="manager", methods=("POST",))
    return room
