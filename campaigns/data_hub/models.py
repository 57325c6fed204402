"""What a model is made of, pure: fields with types and rules, a check of records, what each target calls a field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Literal

import orjson

FieldType = Literal["int", "text", "bool", "time"]
LONGEST_TEXT: Final = 4000
LARGEST: Final = 2**53 - 1
"""The largest whole number that every JSON reader keeps (RFC 8259, section 6)."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a field's value must hold beside its type (R211); None and () bound nothing."""

    min: int | None = None
    max: int | None = None
    longest: int | None = None
    one_of: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """One field: the module it comes from, its type, its name at each target, and its rule (R211)."""

    key: str
    module: str
    type: FieldType
    required: bool = False
    map: Mapping[str, str] = field(default_factory=dict)
    rule: Rule = Rule()


@dataclass(frozen=True, slots=True)
class Model:
    """A version of a model: its fields by key, its chain of handlers in order, its targets, who may use it.

    `key_as`: under which name a target is given the record's key among the fields. `keep_days`: after so many days
    records are deleted, 0 never.
    """

    id: str
    version: int
    fields: Mapping[str, Field]
    chain: tuple[Mapping[str, Any], ...]
    targets: tuple[str, ...]
    grants: frozenset[str]
    key_as: Mapping[str, str] = field(default_factory=dict)
    keep_days: int = 0


# -- records ----------------------------------------------------------------------------------------------------------


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_TEXT and is_kept(value)


def _is_time(value: Any) -> bool:
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def is_kept(text: str) -> bool:
    """Whether every store can keep a text: no zero character, no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


_CHECKS: Final[Mapping[FieldType, tuple[Callable[[Any], bool], str]]] = {
    "int": (_is_whole, "must be a whole number"),
    "text": (_is_text, f"must be text of at most {LONGEST_TEXT} characters"),
    "bool": (lambda value: isinstance(value, bool), "must be true or false"),
    "time": (_is_time, "must be an RFC 3339 time with an offset"),
}
TYPES: Final = tuple(_CHECKS)


def fits(type_: FieldType, value: Any) -> bool:
    """Whether a value is of a type."""
    return _CHECKS[type_][0](value)


def record_faults(model: Model, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(field, why) for each thing wrong with a record; a field that the model does not know is one."""
    for key in data:
        if key not in model.fields:
            yield key, "no such field"
    for key, known in model.fields.items():
        value = data.get(key)
        if value is None:
            if known.required:
                yield key, "is required"
            continue
        if not fits(known.type, value):
            yield key, _CHECKS[known.type][1]
            continue
        why = _beyond(known.rule, value)
        if why is not None:
            yield key, why


def _beyond(rule: Rule, value: Any) -> str | None:
    """Why a value of the right type breaks its field's rule."""
    if rule.min is not None and value < rule.min:
        return f"must be at least {rule.min}"
    if rule.max is not None and value > rule.max:
        return f"must be at most {rule.max}"
    if rule.longest is not None and len(value) > rule.longest:
        return f"must be text of at most {rule.longest} characters"
    if rule.one_of and value not in rule.one_of:
        return f"must be one of {', '.join(map(str, rule.one_of))}"
    return None


def canonical(data: Mapping[str, Any]) -> bytes:
    """The one spelling of a record: keys sorted, no blanks, UTF-8 (R213). Raises TypeError for what JSON has not."""
    return orjson.dumps(dict(data), option=orjson.OPT_SORT_KEYS)


def digest(data: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical spelling, in hex. Raises TypeError as `canonical` does."""
    return sha256(canonical(data)).hexdigest()


def for_target(model: Model, target: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a target wants it: the fields that are mapped to it, under its names (R214).

    A target of the model to which no field is mapped gets every field under its own name.
    """
    mapped = {key: known.map[target] for key, known in model.fields.items() if target in known.map}
    if not mapped and target in model.targets:
        mapped = {key: key for key in model.fields}
    return {name: data[key] for key, name in mapped.items() if key in data}


def in_shape(model: Model, data: Mapping[str, Any], only: Sequence[str] = ()) -> dict[str, Any] | None:
    """A record as a version of its model shows it, or those fields of it alone (R210).

    None where it does not hold under that version: a field it requires is missing, or is of another type.
    """
    shown = {key: value for key, value in data.items() if key in model.fields}
    if any(True for _ in record_faults(model, shown)):
        return None
    return {key: value for key, value in shown.items() if not only or key in only}


# -- definitions ------------------------------------------------------------------------------------------------------


def definition(model: Model) -> dict[str, Any]:
    """What is stored of a version: fields, chain, targets. Who may use it is no part of it."""
    return {
        "fields": {key: _stored(known) for key, known in model.fields.items()},
        "chain": [dict(rule) for rule in model.chain],
        "targets": list(model.targets),
        "key_as": dict(model.key_as),
    }


def _stored(known: Field) -> dict[str, Any]:
    rule = {
        "min": known.rule.min,
        "max": known.rule.max,
        "longest": known.rule.longest,
        "one_of": list(known.rule.one_of) or None,
    }
    return {
        "module": known.module,
        "type": known.type,
        "required": known.required,
        "map": dict(known.map),
        "rule": {name: value for name, value in rule.items() if value is not None},
    }


def from_definition(id_: str, version: int, stored: Mapping[str, Any]) -> Model:
    """The inverse of `definition`, with nobody granted."""
    fields = {
        key: Field(
            key,
            known["module"],
            known["type"],
            known["required"],
            known["map"],
            Rule(**{**known["rule"], "one_of": tuple(known["rule"].get("one_of", ()))}),
        )
        for key, known in stored["fields"].items()
    }
    chain, targets = tuple(stored["chain"]), tuple(stored["targets"])
    return Model(id_, version, fields, chain, targets, frozenset(), stored.get("key_as", {}))
