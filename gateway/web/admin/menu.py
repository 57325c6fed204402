"""The console's menu: what there is, where it is, and whom it is shown to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import current_app, url_for
from flask_babel import gettext as _

from gateway.auth import Principal
from gateway.web.admin.door import ROLES


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the menu."""

    room: str
    title: str
    address: str


_ROOMS: Final = (
    "overview",
    "payments",
    "campaigns",
    "payouts",
    "items",
    "merchants",
    "channels",
    "pairs",
    "offers",
    "people",
    "parked",
    "incidents",
    "audit",
    "staff",
    "keys",
    "delivery",
    "webhooks",
    "export",
)
"""In the order of the menu. A room is shown once its blueprint `admin_<room>` has a page `index`."""


def menu(who: Principal) -> list[Entry]:
    """The rooms that `who` may enter, in their order."""
    roles = current_app.extensions.get(ROLES, {})
    titles = _titles()
    found = []
    for room in _ROOMS:
        role = roles.get((f"admin_{room}.index", "GET"))
        if role is not None and who.may(role):
            found.append(Entry(room, titles[room], url_for(f"admin_{room}.index")))
    return found


def doors() -> list[tuple[str, str]]:
    """(title, lowest role that may enter) of every room that there is, in the order of the menu."""
    roles, titles = current_app.extensions.get(ROLES, {}), _titles()
    found = ((titles[room], roles.get((f"admin_{room}.index", "GET"))) for room in _ROOMS)
    return [(title, role) for title, role in found if role is not None]


def _titles() -> dict[str, str]:
    return {
        "overview": _("概览"),
        "payments": _("付款"),
        "campaigns": _("活动"),
        "payouts": _("出款"),
        "items": _("物品"),
        "merchants": _("商户"),
        "channels": _("渠道"),
        "pairs": _("互推"),
        "offers": _("发放规则"),
        "people": _("人"),
        "parked": _("未送达"),
        "incidents": _("事件"),
        "audit": _("审计"),
        "staff": _("员工"),
        "keys": _("密钥"),
        "delivery": _("送达方式"),
        "webhooks": _("回调推送"),
        "export": _("导出"),
    }
