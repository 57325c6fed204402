"""The handlers that a chain may name, pure: each takes a record and gives it on changed, or drops or refuses it (R212).

Handlers come from this registry and from nowhere else: a stored definition names one, it never brings code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Data = dict[str, Any]
_DIGITS: Final = 18
"""Longer numbers are none: 64 bits hold every number of so many digits."""
_LARGEST: Final = 10**_DIGITS


class HandlerFailed(Exception):
    """A handler refused a record; the chain stops here. `handler` is its name, `detail` why."""

    def __init__(self, handler: str, detail: str) -> None:
        self.handler = handler
        self.detail = detail
        super().__init__(f"{handler}: {detail}")


class Dropped(Exception):
    """A handler left a record out, as its definition says."""

    def __init__(self, handler: str) -> None:
        self.handler = handler
        super().__init__(handler)


# -- settings ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a handler: what it may hold, and the words for what it may not."""

    holds: Callable[[Any], bool]
    words: str
    required: bool = True


def is_whole(value: Any) -> bool:
    """Whether it is a whole number of a size that every store keeps; true and 2.0 are none."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 100  # noqa: PLR2004 - as long as any name in an apply file


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, bool)) or is_whole(value)


_FIELD: Final = Setting(_is_name, "must be the name of a field")
_SCALAR: Final = Setting(_is_scalar, "must be text, a whole number, true or false")
_WHOLE: Final = Setting(is_whole, "must be a whole number")
_UNIT: Final = Setting(lambda value: is_whole(value) and value > 0, "must be a whole number above 0")
_KEPT: Final = Setting(lambda value: is_whole(value) and 0 <= value <= 20, "must be a whole number from 0 to 20")  # noqa: PLR2004 - see the words
_NAMES: Final = Setting(
    lambda value: isinstance(value, list) and bool(value) and all(map(_is_name, value)), "must be a list of fields"
)
_TABLE: Final = Setting(
    lambda value: isinstance(value, dict) and bool(value) and all(map(_is_scalar, value.values())),
    "must be a table of text, whole numbers, true or false",
)


@dataclass(frozen=True, slots=True)
class Handler:
    """A handler: the settings it takes, and what it does."""

    settings: Mapping[str, Setting]
    work: Callable[[Data, Mapping[str, Any]], Data]


# -- the handlers -----------------------------------------------------------------------------------------------------


def _same(found: Any, wanted: Any) -> bool:
    # 0 and false are equal in Python, and are two things in JSON; so are 0 and 0.0 to whoever reads the archive.
    return type(found) is type(wanted) and bool(found == wanted)


def _number(handler: str, data: Data, name: str) -> int | None:
    """The whole number in a field, None where there is nothing. Raises HandlerFailed for anything else."""
    value = data.get(name)
    if value is not None and not is_whole(value):
        raise HandlerFailed(handler, f"{name} is no whole number")
    return value


def _bounded(handler: str, name: str, value: int) -> int:
    if abs(value) >= _LARGEST:
        raise HandlerFailed(handler, f"{name} becomes too large")
    return value


def _rename(data: Data, rule: Mapping[str, Any]) -> Data:
    if rule["from"] not in data or rule["from"] == rule["to"]:
        return data
    if rule["to"] in data:
        raise HandlerFailed("rename", f"{rule['to']} is there already")
    return {(rule["to"] if key == rule["from"] else key): value for key, value in data.items()}


def _drop_if(data: Data, rule: Mapping[str, Any]) -> Data:
    if rule["field"] in data and _same(data[rule["field"]], rule["equals"]):
        raise Dropped("drop_if")
    return data


def _fail_if(data: Data, rule: Mapping[str, Any]) -> Data:
    if rule["field"] in data and _same(data[rule["field"]], rule["equals"]):
        raise HandlerFailed("fail_if", f"{rule['field']} must not have this value")
    return data


def _default(data: Data, rule: Mapping[str, Any]) -> Data:
    return data if data.get(rule["field"]) is not None else {**data, rule["field"]: rule["value"]}


def _remove(data: Data, rule: Mapping[str, Any]) -> Data:
    return {key: value for key, value in data.items() if key != rule["field"]}


def _require(data: Data, rule: Mapping[str, Any]) -> Data:
    if data.get(rule["field"]) is None:
        raise HandlerFailed("require", f"{rule['field']} is missing")
    return data


def _trim(data: Data, rule: Mapping[str, Any]) -> Data:
    value = data.get(rule["field"])
    return {**data, rule["field"]: value.strip()} if isinstance(value, str) else data


def _to_int(data: Data, rule: Mapping[str, Any]) -> Data:
    value = data.get(rule["field"])
    if value is None or is_whole(value):
        return data
    digits = value.removeprefix("-") if isinstance(value, str) else ""
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS):
        raise HandlerFailed("to_int", f"{rule['field']} is no whole number")
    return {**data, rule["field"]: int(value)}


def _scale(data: Data, rule: Mapping[str, Any]) -> Data:
    value = _number("scale", data, rule["field"])
    if value is None:
        return data
    return {**data, rule["field"]: _bounded("scale", rule["field"], value * rule["by"])}


def _round_to(data: Data, rule: Mapping[str, Any]) -> Data:
    """To the nearest multiple; half goes away from zero, as a cashier rounds."""
    value = _number("round_to", data, rule["field"])
    if value is None:
        return data
    unit = rule["unit"]
    rounded = (2 * abs(value) + unit) // (2 * unit) * unit
    return {**data, rule["field"]: _bounded("round_to", rule["field"], rounded if value >= 0 else -rounded)}


def _sum(data: Data, rule: Mapping[str, Any]) -> Data:
    """Fields that are not there count as 0; with none of them there is no sum."""
    numbers = [value for name in rule["fields"] if (value := _number("sum", data, name)) is not None]
    return {**data, rule["into"]: _bounded("sum", rule["into"], sum(numbers))} if numbers else data


def _mask(data: Data, rule: Mapping[str, Any]) -> Data:
    """All but the last `keep` characters become stars; a text that is no longer than that is hidden whole."""
    value = data.get(rule["field"])
    if value is None:
        return data
    if not isinstance(value, str):
        raise HandlerFailed("mask", f"{rule['field']} is no text")
    shown = value[len(value) - rule["keep"] :] if 0 < rule["keep"] < len(value) else ""
    return {**data, rule["field"]: "*" * (len(value) - len(shown)) + shown}


def _map_values(data: Data, rule: Mapping[str, Any]) -> Data:
    """A text's or number's word in the table; one that the table does not know becomes `other`, else it fails."""
    value = data.get(rule["field"])
    if value is None:
        return data
    spelled = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    known = isinstance(value, (str, bool)) or is_whole(value)
    if known and spelled in rule["values"]:
        return {**data, rule["field"]: rule["values"][spelled]}
    if "other" in rule:
        return {**data, rule["field"]: rule["other"]}
    raise HandlerFailed("map_values", f"{rule['field']} has a value that is not in the table")


_OPTIONAL_SCALAR: Final = Setting(_SCALAR.holds, _SCALAR.words, required=False)

HANDLERS: Final[Mapping[str, Handler]] = {
    "rename": Handler({"from": _FIELD, "to": _FIELD}, _rename),
    "drop_if": Handler({"field": _FIELD, "equals": _SCALAR}, _drop_if),
    "fail_if": Handler({"field": _FIELD, "equals": _SCALAR}, _fail_if),
    "default": Handler({"field": _FIELD, "value": _SCALAR}, _default),
    "remove": Handler({"field": _FIELD}, _remove),
    "require": Handler({"field": _FIELD}, _require),
    "trim": Handler({"field": _FIELD}, _trim),
    "to_int": Handler({"field": _FIELD}, _to_int),
    "scale": Handler({"field": _FIELD, "by": _WHOLE}, _scale),
    "round_to": Handler({"field": _FIELD, "unit": _UNIT}, _round_to),
    "sum": Handler({"fields": _NAMES, "into": _FIELD}, _sum),
    "mask": Handler({"field": _FIELD, "keep": _KEPT}, _mask),
    "map_values": Handler({"field": _FIELD, "values": _TABLE, "other": _OPTIONAL_SCALAR}, _map_values),
}
"""By the name that a chain gives."""


def chain_faults(chain: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """(place such as `chain.0.from`, why) for each thing wrong with a chain."""
    for place, rule in enumerate(chain):
        if not isinstance(rule, Mapping):
            yield f"chain.{place}", "must be a table with a handler"
            continue
        handler = HANDLERS.get(str(rule.get("handler")))
        if handler is None:
            yield f"chain.{place}.handler", f"is none of {', '.join(HANDLERS)}"
            continue
        for name, setting in handler.settings.items():
            if name not in rule:
                if setting.required:
                    yield f"chain.{place}.{name}", "is missing"
            elif not setting.holds(rule[name]):
                yield f"chain.{place}.{name}", setting.words
        for name in sorted(set(rule) - set(handler.settings) - {"handler"}):
            yield f"chain.{place}.{name}", "is not a setting of this handler"


def assemble(chain: Sequence[Mapping[str, Any]], data: Mapping[str, Any]) -> Data:
    """A record after every handler of the chain, in order. Raises HandlerFailed, Dropped."""
    made = dict(data)
    for rule in chain:
        made = HANDLERS[rule["handler"]].work(made, rule)
    return made
