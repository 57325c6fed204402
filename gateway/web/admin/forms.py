"""Forms over the catalogue: a form's fields as values, read into an object's table, its faults told beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from flask import request
from flask_babel import gettext as _

from gateway.catalog.edit import Fault
from gateway.contract.money import MAX_FEN, fen_of_yuan, yuan_of_fen

Sort = Literal["text", "yuan", "whole", "choice", "flag"]

_WHOLE: Final = re.compile(r"[0-9]{1,10}\Z", re.ASCII)
_RANGE: Final = re.compile(r"must be a whole number from ([0-9]+) to ([0-9]+)\Z")
_LENGTH: Final = re.compile(r"must have ([0-9]+) to ([0-9]+) characters\Z")
_BELOW_USED: Final = re.compile(r"is below what is used and held already, ([0-9.]+)\Z")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form: the key of the object's table, its label, and how it is written.

    `yuan` is typed as 12.80 and kept in fen. An empty field takes the key back to its default.
    """

    key: str
    label: str
    sort: Sort = "text"
    hint: str = ""
    choices: Sequence[tuple[str, str]] = ()
    required: bool = False
    unit: str = ""


@dataclass(slots=True)
class Filled:
    """A form as it was sent: `values` for the table, `shown` to be filled in again, `faults` by field."""

    values: dict[str, Any] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def read_form(fields: Sequence[Field]) -> Filled:
    """The form that was sent, read by its fields. A field that cannot be read is a fault and gives no value."""
    filled = Filled()
    for one in fields:
        text = request.form.get(one.key, "").strip()
        filled.shown[one.key] = text
        if one.sort == "flag":
            filled.values[one.key] = bool(text)
            continue
        if not text:
            if one.required:
                filled.faults[one.key] = _("请填写%(label)s", label=one.label)
            else:
                filled.values[one.key] = None
            continue
        _read(one, text, filled)
    return filled


def _read(one: Field, text: str, filled: Filled) -> None:
    if one.sort == "yuan":
        try:
            fen = fen_of_yuan(text.removeprefix("¥").replace(",", ""))
        except ValueError:
            fen = None
        if fen is None or fen > MAX_FEN:
            filled.faults[one.key] = _("%(label)s：请写金额，如 12.80", label=one.label)
        else:
            filled.values[one.key] = int(fen)
    elif one.sort == "whole":
        if _WHOLE.match(text) is None:
            filled.faults[one.key] = _("%(label)s：请写整数", label=one.label)
        else:
            filled.values[one.key] = int(text)
    elif one.sort == "choice" and text not in {value for value, _words in one.choices}:
        filled.faults[one.key] = _("%(label)s：请从列表里选", label=one.label)
    else:
        filled.values[one.key] = text


def shown_of(fields: Sequence[Field], table: Mapping[str, Any]) -> dict[str, str]:
    """What the fields of a form hold for an object's table."""
    return {one.key: _shown(one, table.get(one.key)) for one in fields}


def _shown(one: Field, value: Any) -> str:
    if value is None or value is False:
        return ""
    if one.sort == "yuan":
        return yuan_of_fen(value)
    return "1" if value is True else str(value)


def told(faults: Sequence[Fault], path: str, fields: Sequence[Field], elsewhere: str = "form") -> dict[str, str]:
    """Faults of the rules, by field of a form over the object at `path`; those of no field under `elsewhere`."""
    labels = {one.key: one.label for one in fields}
    found: dict[str, str] = {}
    for where, why in faults:
        key = where.removeprefix(f"{path}.")
        name = key if key in labels else elsewhere
        label = labels.get(key, "")
        words = in_words(why)
        found.setdefault(name, f"{label}：{words}" if label else f"{words} ({where})" if where else words)
    return found


def in_words(why: str) -> str:
    """A rule's message in the page's language; one that has no translation as it is."""
    if match := _RANGE.match(why):
        return str(_("请写 %(low)s 到 %(high)s 的整数", low=match[1], high=match[2]))
    if match := _LENGTH.match(why):
        return str(_("请写 %(low)s 到 %(high)s 个字", low=match[1], high=match[2]))
    if match := _BELOW_USED.match(why):
        return str(_("最低可调到已用加占用的 ¥%(least)s", least=match[1]))
    known = {
        "is required": _("请填写"),
        "must not be empty": _("请填写"),
        "must hold no control characters": _("不能有换行或控制字符"),
        "must be a name of small letters, digits and dashes, at most 63 of them": _(
            "只能用小写字母、数字和短横线，最多 63 个"
        ),
        "is there already; take another name": _("这个代号已经有了，请换一个"),
        "cannot stand beside value_fen; give one of them": _("面值和折扣只能填一个"),
        "caps a percentage; give percent_off too": _("封顶只用于折扣，请先填折扣"),
        "must be a time zone such as Asia/Shanghai": _("请写时区，如 Asia/Shanghai"),
        "must be a time zone that this machine knows, such as Asia/Shanghai": _("请写时区，如 Asia/Shanghai"),
        "must be an address such as http://127.0.0.1:9001/pay/wx": _("请写完整地址，如 https://pos.example.cn/notify"),
    }
    return str(known.get(why, why))
