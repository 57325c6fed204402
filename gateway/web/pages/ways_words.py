"""The ways to the payer in a page's words: their names, what became of a link on them, and what went wrong."""

from __future__ import annotations

from typing import Final

from flask_babel import gettext as _

from gateway.delivery.showings import Reach


def way_name(way: str) -> str:
    """What a way is called; its own name for one unknown to this version."""
    names = {"slip": _("小票页"), "till": _("收银屏"), "receipt": _("打印的码"), "wallet": _("券包")}
    return str(names.get(way, way))


def mode_name(mode: str) -> str:
    """What a position of a way's switch is called."""
    names = {"on": _("开"), "off": _("关"), "always": _("总是显示我们的页面")}
    return str(names.get(mode, mode))


def state_name(state: str) -> str:
    """What became of a link on a way, in a word or two."""
    names = {"queued": _("等待显示"), "shown": _("已显示"), "failed": _("没能显示"), "expired": _("没有显示过")}
    return str(names.get(state, state))


def error_words(error: str) -> str:
    """Why a way failed, and what follows from it; "" for no error."""
    if not error:
        return ""
    words = {
        "two_at_once": _("10 秒内有两笔有券的付款，屏幕没有自动显示"),
        "too_late": _("小票页先打开，付款通知来晚了"),
    }
    return str(words.get(error, error))


def line_of(reach: Reach) -> str:
    """One line of a payment's timeline: `小票页 已显示`."""
    said = f"{way_name(reach.way)} {state_name(reach.state)}"
    return f"{said}：{error_words(reach.error)}" if reach.error else said


WORDS: Final = {"way_name": way_name, "mode_name": mode_name, "state_name": state_name, "error_words": error_words}
"""For templates."""
