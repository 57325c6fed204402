"""`/admin`: what needs doing now, and how today goes beside the same weekday last week."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from flask import g, render_template, url_for
from flask_babel import gettext as _

from gateway import overview
from gateway.auth import Principal
from gateway.catalog.directory import Directory
from gateway.contract.store import Tx
from gateway.overview import Overview, Scope
from gateway.reading import day
from gateway.reading.day import Stretch
from gateway.runtime import Runtime
from gateway.web.admin.door import Answer, Room
from gateway.web.admin.menu import menu
from gateway.web.admin.parked import channels_of
from gateway.web.admin.periods import zone_of
from gateway.web.pages.language import language
from gateway.web.pages.wording import count, money, share

_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Tile:
    """A number of today, its change in words, and the list behind it."""

    label: str
    value: str
    exact: str
    change: str
    address: str


class OverviewPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:
        """What there is to do, and today's numbers."""
        directory, now = self._runtime.directory(), g.now
        merchants, channels, zone = who.merchants(directory), channels_of(who, directory), zone_of(who, directory)
        midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        scope = Scope(merchants, who.circles(directory))

        end = now + timedelta(milliseconds=1)

        def read(tx: Tx) -> tuple[Overview, int, Stretch, Stretch | None]:
            today = day.read(tx, merchants, midnight, end)
            # Up to the same minute: a morning is not compared with a whole day.
            before = None
            if day.has_before(tx, merchants, end - _WEEK):
                before = day.read(tx, merchants, midnight - _WEEK, end - _WEEK)
            return overview.read(tx, directory, scope, now), _parked(tx, channels), today, before

        house, parked, today, before = self._runtime.store.read(read)
        return render_template(
            "admin/overview.html",
            todo=_todo(directory, house, parked),
            tiles=_tiles(today, before, midnight - _WEEK),
            has_any=before is not None or bool(today.payments),
            rooms=menu(who),
            zone=zone,
        )


def overview_room(runtime: Runtime) -> Room:
    """The first page, under the name `admin_overview`."""
    pages = OverviewPages(runtime)
    room = Room("overview", __name__, runtime)
    room.add("", "index", pages.index, role="manager")
    return room


def _parked(tx: Tx, channels: Collection[str] | None) -> int:
    rows = tx.all("SELECT topic, object, count(*) AS n FROM outbox WHERE state = 'parked' GROUP BY topic, object")
    return sum(
        int(row["n"]) for row in rows if channels is None or (row["topic"] == "relay" and row["object"] in channels)
    )


def _todo(directory: Directory, house: Overview, parked: int) -> list[dict[str, Any]]:
    """What waits for somebody: the worst first. Each leads to its list."""
    found: list[dict[str, Any]] = []

    def add(state: str, words: str, address: str) -> None:
        found.append({"state": state, "words": words, "address": address})

    if house.incidents:
        add("bad", _("%(n)s 个未处理的事件", n=len(house.incidents)), url_for("admin_incidents.index"))
    if parked:
        add("bad", _("%(n)s 条通知没有送达", n=parked), url_for("admin_parked.index"))
    for one in house.channels:
        name = f"{one.name}（{one.slug}）"
        words = {
            "down": _("%(name)s：密钥无法读取", name=name) if one.trouble else _("%(name)s：渠道中断", name=name),
            "unverified": _("%(name)s：还没有收到通知", name=name),
            "paused": _("%(name)s：渠道已暂停", name=name),
        }.get(one.state)
        if words:
            add("bad" if one.state == "down" else "warn", words, url_for("status.status"))
    for budget in house.budgets:
        if budget.is_low:
            circle = directory.circle(budget.circle)
            spent = share(budget.consumed_fen + budget.reserved_fen, budget.total_fen)
            name = circle.name if circle is not None else budget.circle
            add("warn", _("%(name)s：预算已用 %(share)s", name=name, share=spent), url_for("status.status"))
    return found


def _tiles(today: Stretch, before: Stretch | None, then: datetime) -> list[Tile]:
    weekday = (_("周一"), _("周二"), _("周三"), _("周四"), _("周五"), _("周六"), _("周日"))[then.weekday()]

    def tile(label: str, name: str, **filters: str) -> Tile:
        n = getattr(today, name)
        is_money = name.endswith("_fen")
        change = ""
        if before is not None:
            delta = n - getattr(before, name)
            shown = money(abs(delta)) if is_money else f"{abs(delta):,}"
            sign = "+" if delta > 0 else "−" if delta < 0 else "±"
            change = _("比上%(weekday)s %(change)s", weekday=weekday, change=f"{sign}{shown}")
        value = money(n) if is_money else count(n, language())
        exact = money(n) if is_money else f"{n:,}"
        return Tile(label, value, exact, change, url_for("admin_payments.index", day="today", **filters))  # type: ignore[arg-type]

    return [
        tile(_("付款"), "payments"),
        tile(_("金额"), "amount_fen"),
        tile(_("首次到店"), "first", state="first"),
        tile(_("发链接"), "linked", state="gift"),
        tile(_("已领取"), "claimed", state="gift"),
        tile(_("已核销"), "redeemed", state="gift"),
    ]
