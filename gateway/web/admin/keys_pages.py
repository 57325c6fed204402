"""`/admin/keys`: which keys there are, by name and fingerprint, since when, in use or not; no value is ever shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway.auth import Principal
from gateway.catalog.storage import seal_again
from gateway.contract.store import Row, Tx
from gateway.runtime import Runtime
from gateway.web.admin.channel_state import KeyAge, key_ages
from gateway.web.admin.desk import desk_of
from gateway.web.admin.door import Answer, Room
from gateway.web.admin.periods import zone_of


@dataclass(frozen=True, slots=True)
class ChannelKeys:
    """One channel's keys; `proven_at`: when a notification last held by them, "" for never."""

    slug: str
    merchant: str
    merchant_name: str
    paused: bool
    keys: Sequence[KeyAge]
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
                    key_ages(tx, one, desk.table(one), now),
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
    room.add("/keys/rotate", "rotate", pages.rotate, role="admin", methods=("POST",))
    return room


def _proven_at(tx: Tx, channel: str, merchant: str) -> str:
    """When the channel's last payment came in: it was verified and opened by the channel's keys."""
    row = tx.one(
        "SELECT received_at FROM payments WHERE merchant = :merchant AND channel = :channel ORDER BY id DESC LIMIT 1",
        {"merchant": merchant, "channel": channel},
    )
    return str(row["received_at"]) if row is not None else ""
