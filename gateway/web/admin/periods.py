"""Periods in addresses: `day=today|yesterday|7|30`, or `from=` and `to=` as dates, on the clock of whoever looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final

from flask_babel import gettext as _

from gateway.auth import Principal
from gateway.catalog.directory import Directory

PRESETS: Final[Mapping[str, tuple[int, int]]] = {"today": (0, 0), "yesterday": (1, 1), "7": (6, 0), "30": (29, 0)}
"""Each preset's first and last day, counted back from today."""
_LATEST: Final = date(9998, 12, 31)


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` up to but without `until`; None where it is open. `preset` names it, else the dates stand."""

    since: datetime | None = None
    until: datetime | None = None
    preset: str = ""
    first: str = ""
    last: str = ""


def period(values: Mapping[str, str], now: datetime, zone: tzinfo, faults: dict[str, str]) -> Period:
    """The period that an address names; what is wrong with it is put into `faults` and left out."""
    preset = values.get("day", "")
    today = now.astimezone(zone).date()
    if preset in PRESETS:
        back, until = PRESETS[preset]
        first, last = today - timedelta(days=back), today - timedelta(days=until)
        return Period(_midnight(first, zone), _midnight(last + timedelta(days=1), zone), preset)
    texts = {name: values.get(name, "").strip() for name in ("from", "to")}
    days: dict[str, date | None] = {}
    for name, text in texts.items():
        try:
            days[name] = date.fromisoformat(text) if text else None
        except ValueError:
            days[name] = None
        if text and (days[name] is None or days[name] > _LATEST):  # type: ignore[operator]
            faults[name] = _("日期请写成 2026-11-22 这样")
            days[name] = None
    first_day, last_day = days["from"], days["to"]
    if first_day is not None and last_day is not None and last_day < first_day:
        faults["to"] = _("结束日期不能早于开始日期")
        last_day = None
    return Period(
        _midnight(first_day, zone) if first_day is not None else None,
        _midnight(last_day + timedelta(days=1), zone) if last_day is not None else None,
        "",
        texts["from"],
        texts["to"],
    )


def preset_links(current: str, address: Callable[[str], str]) -> list[tuple[str, str, bool]]:
    """The presets as links for the component: words, address, whether it is the present one."""
    words = {"today": _("今天"), "yesterday": _("昨天"), "7": _("7 天"), "30": _("30 天")}
    return [(words[name], address(name), name == current) for name in PRESETS]


def zone_of(who: Principal, directory: Directory) -> tzinfo:
    """The clock of whoever looks: that of his merchant's first shop, else China's."""
    if who.merchant is not None:
        for shop in directory.catalog.shops.values():
            if shop.merchant == who.merchant:
                return directory.zone(shop.slug)
    return directory.zone(None)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone)
