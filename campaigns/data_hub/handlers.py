"""The handlers that a chain may name, pure: each takes a record and gives it on changed, or drops or refuses it (R212).

Handlers come from this registry and from nowhere else: a stored definition names one, it never brings code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Data = dict[str, Any]


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


@dataclass(frozen=True, slots=True)
class Handler:
    """A handler: the settings it takes (name → type), and what it does."""

    settings: Mapping[str, type | tuple[type, ...]]
    work: Callable[[Data, Mapping[str, Any]], Data]


def _rename(data: Data, rule: Mapping[str, Any]) -> Data:
    if rule["from"] not in data:
        return data
    if rule["to"] in data:
        raise HandlerFailed("rename", f"{rule['to']} is there already")
    return {(rule["to"] if key == rule["from"] else key): value for key, value in data.items()}


def _drop_if(data: Data, rule: Mapping[str, Any]) -> Data:
    # 0 and false are equal in Python, and are two things in JSON.
    found = data.get(rule["field"])
    if (
        rule["field"] in data
        and found == rule["equals"]
        and isinstance(found, bool) == isinstance(rule["equals"], bool)
    ):
        raise Dropped("drop_if")
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
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return data
    if not (isinstance(value, str) and value.isascii() and value.removeprefix("-").isdecimal()):
        raise HandlerFailed("to_int", f"{rule['field']} is no whole number")
    return {**data, rule["field"]: int(value)}


def _scale(data: Data, rule: Mapping[str, Any]) -> Data:
    value = data.get(rule["field"])
    if value is None:
        return data
    if not isinstance(value, int) or isinstance(value, bool):
        raise HandlerFailed("scale", f"{rule['field']} is no whole number")
    return {**data, rule["field"]: value * rule["by"]}


_SCALAR: Final = (int, str, bool)

HANDLERS: Final[Mapping[str, Handler]] = {
    "rename": Handler({"from": str, "to": str}, _rename),
    "drop_if": Handler({"field": str, "equals": _SCALAR}, _drop_if),
    "default": Handler({"field": str, "value": _SCALAR}, _default),
    "remove": Handler({"field": str}, _remove),
    "require": Handler({"field": str}, _require),
    "trim": Handler({"field": str}, _trim),
    "to_int": Handler({"field": str}, _to_int),
    "scale": Handler({"field": str, "by": int}, _scale),
}
"""By the name that a chain gives."""


def chain_faults(chain: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """(place such as `chain.0.from`, why) for each thing wrong with a stored chain."""
    for place, rule in enumerate(chain):
        handler = HANDLERS.get(str(rule.get("handler")))
        if handler is None:
            yield f"chain.{place}.handler", f"is none of {', '.join(HANDLERS)}"
            continue
        for name, kind in handler.settings.items():
            if name not in rule:
                yield f"chain.{place}.{name}", "is missing"
            elif not isinstance(rule[name], kind) or (kind is int and isinstance(rule[name], bool)):
                yield f"chain.{place}.{name}", "is of the wrong type"
        for name in sorted(set(rule) - set(handler.settings) - {"handler"}):
            yield f"chain.{place}.{name}", "is not a setting of this handler"


def assemble(chain: Sequence[Mapping[str, Any]], data: Mapping[str, Any]) -> Data:
    """A record after every handler of the chain, in order. Raises HandlerFailed, Dropped."""
    made = dict(data)
    for rule in chain:
        made = HANDLERS[rule["handler"]].work(made, rule)
    return made
