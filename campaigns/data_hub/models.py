"""What a model is made of, pure: fields with types, a check of records against them, what each target calls a field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Literal

import orjson

FieldType = Literal["int", "text", "bool", "time"]
LONGEST_TEXT: Final = 4000
_LARGEST: Final = 2**53 - 1
"""The largest whole number that every JSON reader keeps (RFC 8259, section 6)."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: the module it comes from, its type, and its name at each target (R211)."""

    key: str
    module: str
    type: FieldType
    required: bool = False
    map: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Model:
    """A version of a model: its fields by key, its chain of handlers in order, its targets, who may use it."""

    id: str
    version: int
    fields: Mapping[str, Field]
    chain: tuple[Mapping[str, Any], ...]
    targets: tuple[str, ...]
    grants: frozenset[str]


def _is_time(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


_CHECKS: Final[Mapping[FieldType, tuple[Callable[[Any], bool], str]]] = {
    "int": (
        lambda value: isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST,
        "must be a whole number",
    ),
    "text": (
        lambda value: isinstance(value, str) and len(value) <= LONGEST_TEXT,
        f"must be text of at most {LONGEST_TEXT} characters",
    ),
    "bool": (lambda value: isinstance(value, bool), "must be true or false"),
    "time": (_is_time, "must be an RFC 3339 time with an offset"),
}


def record_faults(model: Model, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(field, why) for each thing wrong with a record; a field that the model does not know is one."""
    for key in data:
        if key not in model.fields:
            yield key, "no such field"
    for key, known in model.fields.items():
        if data.get(key) is None:
            if known.required:
                yield key, "is required"
            continue
        holds, words = _CHECKS[known.type]
        if not holds(data[key]):
            yield key, words


def canonical(data: Mapping[str, Any]) -> bytes:
    """The one spelling of a record: keys sorted, no blanks, UTF-8 (R213)."""
    return orjson.dumps(dict(data), option=orjson.OPT_SORT_KEYS)


def digest(data: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical spelling, in hex."""
    return sha256(canonical(data)).hexdigest()


def for_target(model: Model, target: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a target wants it: only the fields that are mapped to it, under its names (R214)."""
    return {known.map[target]: data[key] for key, known in model.fields.items() if target in known.map and key in data}
