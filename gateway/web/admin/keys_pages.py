"""`/admin/keys`: which keys there are, by name and fingerprint, since when, in use or not; no value is ever shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway.auth import Principal
from gateway.catalog.edit import Edit, Moved
from gateway.catalog.specs import Channel
from gateway.catalog.storage import seal_again
from gateway.contract.clock import to_text
from gateway.contract.errors import BadConfig
from gateway.contract.store import Row, Tx
from gateway.runtime import Runtime
from gateway.web.admin import key_changes
from gateway.web.admin.channel_forms import MOST_BYTES, channel_faults
from gateway.web.admin.channel_state import KeyAge, key_ages
from gateway.web.admin.desk import Desk, desk_of
from gateway.web.admin.door import Answer, Room
from gateway.web.admin.periods import zone_of

TOGETHER: Final = timedelta(hours=24)
"""So long both are good after a replacement: a platform may still send with the old one."""


@dataclass(frozen=True, slots=True)
class ChannelKeys:
    """One channel's keys, each with whether it can be replaced with both good together, and taken out.

    `proven_at`: when a payment last was verified by them, "" for never.
    """

    slug: str
    merchant: str
    merchant_name: str
    paused: bool
    keys: Sequence[tuple[KeyAge, bool, bool]]
    proven_at: str


class KeysPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:
        """Every channel's keys in scope; the house's data keys for whoever sees the whole house."""
        return self._page(who, {})

    def rotate(self, who: Principal) -> Answer:
        """Make a new data key and seal with it from now on; what older ones sealed stays readable."""
        if request.form.get("typed", "").strip().lower() != "rotate":
            return self._page(who, {"typed": _("请填写 %(n)s 来确认", n="rotate")}), 422
        runtime, now = self._runtime, g.now
        key_id = runtime.store.write(lambda tx: runtime.keyring.rotate(tx, now, who.name))
        vault = runtime.keyring.reload()
        runtime.store.write(lambda tx: seal_again(tx, vault))
        flash(_("新的数据密钥 %(key)s 已启用；旧数据仍可读。", key=key_id))
        return redirect(url_for(".index"), 303)

    def replacing(self, who: Principal, slug: str, name: str) -> Answer:
        """The form of a new key. It shows nothing of the old one."""
        desk = desk_of(self._runtime, who)
        spec = self._replaceable(desk, slug, name)
        return self._form(desk, spec, name, {}, "")

    def replace(self, who: Principal, slug: str, name: str) -> Answer:
        """Add the new key beside the old one; what was typed is never filled in again."""
        desk = desk_of(self._runtime, who)
        spec = self._replaceable(desk, slug, name)
        table = desk.table(spec)["keys"]
        value, faults = _typed()
        key_id = request.form.get("key_id", "").strip()[:100]
        if not value and not faults:
            faults["value"] = _("请填写新的密钥")
        if key_changes.is_named(table, name) and (not key_id or key_id in table[name]):
            faults["key_id"] = _("请填写新公钥的序列号（与旧的不同）")
        if faults:
            return self._form(desk, spec, name, faults, key_id), 422
        values = {"keys": key_changes.added(table, name, value, key_id)}
        try:
            desk.save([Edit("channel", slug, values, request.form.get("stamp") or "none")])
        except BadConfig as refused:
            told = channel_faults(refused.faults, slug, spec.adapter)
            words = next(iter(told.values()), _("这个密钥用不了"))
            return self._form(desk, spec, name, {"value": words}, key_id), 422
        except Moved:
            flash(_("内容已被他人修改"), "warn")
        else:
            flash(_("新密钥已加入，旧的同时有效。24 小时后可以移除旧的。"))
        return redirect(url_for(".index"), 303)

    def remove(self, who: Principal, slug: str, name: str) -> Answer:
        """Take an old key out, a day after the newest came."""
        desk, now = desk_of(self._runtime, who), g.now
        spec = self._replaceable(desk, slug, name)
        table, fingerprint = desk.table(spec)["keys"], request.form.get("key", "")
        ages = self._runtime.store.read(lambda tx: key_ages(tx, spec, desk.table(spec), now))
        told = _told(table, ages, to_text(now - TOGETHER))
        may = any(age.name == name and age.key_id == fingerprint and is_over for age, _can, is_over in told)
        left = key_changes.removed(table, name, fingerprint)
        if not may or left is None:
            flash(_("没有改动：新密钥加入满 24 小时后才能移除旧的，最后一把不能移除。"), "warn")
            return redirect(url_for(".index"), 303)
        try:
            desk.save([Edit("channel", slug, {"keys": left}, request.form.get("stamp") or desk.stamp(spec))])
        except (BadConfig, Moved):
            flash(_("内容已被他人修改"), "warn")
        else:
            flash(_("旧密钥 %(key)s 已移除。", key=fingerprint))
        return redirect(url_for(".index"), 303)

    @staticmethod
    def _replaceable(desk: Desk, slug: str, name: str) -> Channel:
        spec = desk.channel(slug)
        if not key_changes.is_replaceable(name) or not key_changes.count(desk.table(spec)["keys"], name):
            abort(404)
        return spec

    @staticmethod
    def _form(desk: Desk, spec: Channel, name: str, faults: dict[str, str], key_id: str) -> str:
        return render_template(
            "admin/key.html",
            channel=spec,
            merchant=desk.catalog.merchants[spec.merchant].name,
            name=name,
            is_named=key_changes.is_named(desk.table(spec)["keys"], name),
            key_id=key_id,
            stamp=desk.stamp(spec),
            faults=faults,
        )

    def _page(self, who: Principal, faults: dict[str, str]) -> str:
        desk, now, directory = desk_of(self._runtime, who), g.now, self._runtime.directory()
        is_whole = who.merchants(directory) is None

        def read(tx: Tx) -> tuple[list[ChannelKeys], list[Row]]:
            told = [
                ChannelKeys(
                    one.slug,
                    one.merchant,
                    desk.catalog.merchants[one.merchant].name,
                    one.paused,
                    _told(desk.table(one)["keys"], key_ages(tx, one, desk.table(one), now), to_text(now - TOGETHER)),
                    _proven_at(tx, one.slug, one.merchant),
                )
                for one in desk.channels()
            ]
            data = tx.all("SELECT id, active, created_at FROM data_keys ORDER BY created_at DESC, id DESC")
            return told, data if is_whole else []

        channels, data_keys = self._runtime.store.read(read)
        return render_template(
            "admin/keys.html",
            channels=channels,
            data_keys=data_keys,
            faults=faults,
            zone=zone_of(who, directory),
        )


def keys_room(runtime: Runtime) -> Room:
    """Keys, under the name `admin_keys`."""
    pages = KeysPages(runtime)
    room = Room("keys", __name__, runtime)
    room.add("/keys", "index", pages.index, role="operator")
    room.add("/keys/<slug>/<name>", "replacing", pages.replacing, role="operator")
    room.add("/keys/<slug>/<name>", "replace", pages.replace, role="operator", methods=("POST",))
    room.add("/keys/<slug>/<name>/remove", "remove", pages.remove, role="operator", methods=("POST",))
    room.add("/keys/rotate", "rotate", pages.rotate, role="admin", methods=("POST",))
    return room


def _proven_at(tx: Tx, channel: str, merchant: str) -> str:
    """When the channel's last payment came in: it was verified and opened by the channel's keys."""
    row = tx.one(
        "SELECT received_at FROM payments WHERE merchant = :merchant AND channel = :channel ORDER BY id DESC LIMIT 1",
        {"merchant": merchant, "channel": channel},
    )
    return str(row["received_at"]) if row is not None else ""


def _told(table: dict[str, Any], ages: Sequence[KeyAge], before: str) -> list[tuple[KeyAge, bool, bool]]:
    """Each key with whether it can be replaced, and whether it may be taken out: a newer one came before `before`."""
    found = []
    for age in ages:
        others = [one for one in ages if one.name == age.name and one.key_id != age.key_id]
        own = age.since or ""
        is_over = any(one.since is not None and own < one.since <= before for one in others)
        found.append((age, key_changes.is_replaceable(age.name) and bool(key_changes.count(table, age.name)), is_over))
    return found


def _typed() -> tuple[str, dict[str, str]]:
    """The new key as it was typed or sent as a file, and what is wrong with that."""
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        return request.form.get("value", "").strip(), {}
    body = upload.stream.read(MOST_BYTES + 1)
    try:
        text = body.decode("utf-8").strip() if len(body) <= MOST_BYTES else "\0"
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return "", {"value": _("这不是 PEM 文本文件")}
    return text, {}
