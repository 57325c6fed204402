"""The hub's table in the apply file: models of fields, chains, targets, who is granted, what other campaigns select."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

from campaigns.data_hub.handlers import chain_faults
from campaigns.data_hub.models import LARGEST, LONGEST_TEXT, TYPES, Field, Model, Rule, fits, is_kept
from gateway.contract.errors import BadConfig

TargetKind = Literal["http", "sqlite", "redis"]
ROW_COLUMNS: Final = ("key", "version", "hash")
"""What every row of a SQLite target holds beside its fields."""

_MODEL: Final = re.compile(r"(?!sqlite_)[a-z0-9][a-z0-9_.-]{0,62}", re.ASCII)
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)
_FILE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\.db", re.ASCII)
_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:-]{0,63}", re.ASCII)
_URL: Final = re.compile(r"[!-~]{1,490}", re.ASCII)
_MOST: Final[Mapping[str, int]] = {"models": 100, "fields": 200, "chain": 50, "targets": 20, "grants": 100}
_LONGEST_NAME: Final = 100
_MOST_CHOICES: Final = 200
_MOST_DAYS: Final = 36_500


@dataclass(frozen=True, slots=True)
class Target:
    """Where records are written. `url`: of `http` and `redis` ("" for the house's own Redis); `file`: of `sqlite`.

    `prefix` begins the names of a `redis` target's keys.
    """

    name: str
    kind: TargetKind
    url: str = field(default="", repr=False)
    file: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """What a campaign selects of a model (R210): a version, fields (() for all), who may read by it. 0: the newest."""

    version: int = 0
    fields: tuple[str, ...] = ()
    grants: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class HubSettings:
    """The settings of one hub."""

    models: Mapping[str, Model]
    targets: Mapping[str, Target]
    select: Mapping[str, Selection]


Faults = list[tuple[str, str]]


def load_settings(table: Mapping[str, Any]) -> HubSettings:
    """The kind's own part of its table → its settings. Raises BadConfig with every fault, paths relative to it."""
    faults: Faults = []
    part = _Part("", table, faults)
    part.only("models", "targets", "grants", "select")
    grants = part.names("grants")
    targets = {name: _target(one) for name, one in part.tables("targets", _SLUG, "small letters, digits, _ and -")}
    models = {
        name: _model(name, one, targets, grants)
        for name, one in part.tables("models", _MODEL, "small letters, digits, _, - and ., not beginning sqlite_")
    }
    select = {name: _selection(one) for name, one in part.tables("select", _MODEL, "the id of a model")}
    if not models and not select and not faults:
        faults.append(("models", "needs at least one model, or select one of another hub"))
    if faults:
        raise BadConfig(faults)
    return HubSettings(models, targets, select)


class _Part:
    """One table while it is read: each reader gives a value that can be gone on with, and notes what is wrong."""

    def __init__(self, path: str, table: Mapping[str, Any], faults: Faults) -> None:
        self.path = path
        self.table = table
        self._faults = faults

    def fault(self, key: str, words: str) -> None:
        self._faults.append((f"{self.path}.{key}" if self.path else key, words))

    def only(self, *known: str) -> None:
        for key in self.table:
            if key not in known:
                self.fault(key, f"no such key; there are {', '.join(known)}")

    def tables(self, key: str, pattern: re.Pattern[str], words: str) -> Iterator[tuple[str, _Part]]:
        """Each named table under a key."""
        found = self.table.get(key, {})
        if not isinstance(found, dict):
            self.fault(key, "must be a table of tables")
            return
        if len(found) > _MOST.get(key, _MOST["models"]):
            self.fault(key, f"must have at most {_MOST.get(key, _MOST['models'])} entries")
            return
        for name, one in found.items():
            if pattern.fullmatch(name) is None:
                self.fault(f"{key}.{name}", f"must have a name of {words}, at most 63 characters")
            elif not isinstance(one, dict):
                self.fault(f"{key}.{name}", "must be a table")
            else:
                yield name, _Part(f"{self.path}.{key}.{name}" if self.path else f"{key}.{name}", one, self._faults)

    def value(self, key: str, default: Any, holds: Callable[[Any], bool], words: str) -> Any:
        """A value that holds, else the default."""
        if key not in self.table:
            return default
        if not holds(self.table[key]):
            self.fault(key, words)
            return default
        return self.table[key]

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        found = self.value(
            key, default, lambda it: _is_whole(it, low, high), f"must be a whole number, {low} to {high}"
        )
        return int(found)

    def names(self, key: str) -> tuple[str, ...]:
        """A list of names."""
        most = _MOST.get(key, _MOST["fields"])
        return tuple(
            self.value(
                key,
                (),
                lambda it: isinstance(it, list) and len(it) <= most and all(map(_is_name, it)),
                f"must be a list of at most {most} names",
            )
        )

    def mapping(self, key: str) -> dict[str, str]:
        """A table of names."""
        return dict(
            self.value(
                key,
                {},
                lambda it: isinstance(it, dict) and all(map(_is_name, it.values())),
                "must be a table TARGET = name there",
            )
        )


def _is_whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable() and is_kept(value)


# -- targets ----------------------------------------------------------------------------------------------------------


def _target(part: _Part) -> Target:
    name = part.path.rpartition(".")[2]
    kind = part.table.get("kind")
    if kind == "http":
        part.only("kind", "url")
        return Target(name, "http", url=_url(part, ("http", "https"), required=True))
    if kind == "sqlite":
        part.only("kind", "file")
        words = "must be a plain file name such as crm.db, of small letters, digits, _ and -"
        file = part.value("file", f"{name}.db", lambda it: isinstance(it, str) and bool(_FILE.fullmatch(it)), words)
        return Target(name, "sqlite", file=file)
    if kind == "redis":
        part.only("kind", "url", "prefix")
        words = "must be at most 63 letters, digits, and _ . : -"
        prefix = part.value(
            "prefix", "drainage:", lambda it: isinstance(it, str) and bool(_PREFIX.fullmatch(it)), words
        )
        return Target(name, "redis", url=_url(part, ("redis", "rediss"), required=False), prefix=prefix)
    part.fault("kind", "must be one of http, sqlite, redis")
    return Target(name, "http")


def _url(part: _Part, schemes: tuple[str, ...], *, required: bool) -> str:
    if required and "url" not in part.table:
        part.fault("url", "is required")
        return ""
    words = f"must be an address such as {schemes[0]}://127.0.0.1:9100/in" if required else "must be a redis:// address"
    return str(part.value("url", "", lambda it: isinstance(it, str) and _is_address(it, schemes), words))


def _is_address(url: str, schemes: tuple[str, ...]) -> bool:
    if _URL.fullmatch(url) is None:
        return False
    try:
        split: SplitResult = urlsplit(url)
        return split.scheme in schemes and bool(split.hostname) and split.port != 0 and not split.fragment
    except ValueError:
        return False


# -- models -----------------------------------------------------------------------------------------------------------


def _model(id_: str, part: _Part, targets: Mapping[str, Target], grants: tuple[str, ...]) -> Model:
    part.only("version", "fields", "chain", "targets", "grants", "key_as", "keep_days")
    own = part.names("targets")
    for name in own:
        if name not in targets:
            part.fault("targets", f"{name} is no target of this hub")
    fields = {key: _field(key, one, own) for key, one in part.tables("fields", _FIELD, "letters, digits and _")}
    if not fields and isinstance(part.table.get("fields", {}), dict) and not part.table.get("fields"):
        part.fault("fields", "needs at least one field")
    key_as = part.mapping("key_as")
    for name in key_as:
        if name not in own:
            part.fault(f"key_as.{name}", "is no target of this model")
    _names_at_targets(part, own, targets, fields, key_as)
    return Model(
        id_,
        part.whole("version", 1, 1, 1_000_000),
        fields,
        _chain(part),
        tuple(dict.fromkeys(own)),
        frozenset({*grants, *part.names("grants")}),
        key_as,
        part.whole("keep_days", 0, 0, _MOST_DAYS),
    )


def _chain(part: _Part) -> tuple[Mapping[str, Any], ...]:
    chain = part.value(
        "chain",
        [],
        lambda it: isinstance(it, list) and len(it) <= _MOST["chain"],
        f"must be a list of at most {_MOST['chain']} handlers",
    )
    for place, words in chain_faults(chain):
        part.fault(place, words)
    return tuple(chain)


def _field(key: str, part: _Part, targets: tuple[str, ...]) -> Field:
    part.only("module", "type", "required", "map", "rule")
    module = part.value("module", "", _is_name, "must be the name of a module")
    type_ = part.value("type", "text", lambda it: isinstance(it, str) and it in TYPES, f"must be {' | '.join(TYPES)}")
    if "type" not in part.table:
        part.fault("type", "is required")
    required = bool(part.value("required", 0, lambda it: isinstance(it, bool), "must be true or false"))
    names = part.mapping("map")
    for name in names:
        if name not in targets:
            part.fault(f"map.{name}", "is no target of this model")
    return Field(key, module, type_, required, names, _rule(part, type_))


_RULES: Final[Mapping[str, tuple[str, ...]]] = {
    "int": ("min", "max", "one_of"),
    "text": ("longest", "one_of"),
    "bool": (),
    "time": (),
}


def _rule(outer: _Part, type_: Any) -> Rule:
    table = outer.value("rule", {}, lambda it: isinstance(it, dict), "must be a table")
    faults: Faults = []
    part = _Part("rule", table, faults)
    known = _RULES[type_]
    for key in table:
        if key not in known:
            part.fault(key, f"is no rule of type {type_}; there are {', '.join(known) or 'none'}")
    low, high, longest = (part.table.get(key) for key in ("min", "max", "longest"))
    for key, value in (("min", low), ("max", high)):
        if key in known and value is not None and not _is_whole(value, -LARGEST, LARGEST):
            part.fault(key, "must be a whole number")
    if "longest" in known and longest is not None and not _is_whole(longest, 1, LONGEST_TEXT):
        part.fault("longest", f"must be a whole number, 1 to {LONGEST_TEXT}")
    one_of = part.value(
        "one_of",
        [],
        lambda it: isinstance(it, list) and 0 < len(it) <= _MOST_CHOICES and all(fits(type_, one) for one in it),
        f"must be a list of at most {_MOST_CHOICES} values of type {type_}",
    )
    if not faults and low is not None and high is not None and low > high:
        part.fault("max", "must not be below min")
    for path, words in faults:
        outer.fault(path, words)
    return Rule() if faults else Rule(low, high, longest, tuple(one_of))


def _names_at_targets(
    part: _Part,
    own: tuple[str, ...],
    targets: Mapping[str, Target],
    fields: Mapping[str, Field],
    key_as: Mapping[str, str],
) -> None:
    """No two things may have one name at a target, and a table's columns have names of columns."""
    for name in dict.fromkeys(own):
        target = targets.get(name)
        mapped = {f"fields.{key}.map.{name}": one.map[name] for key, one in fields.items() if name in one.map}
        mapped = mapped or {f"fields.{key}": key for key in fields}
        if name in key_as:
            mapped[f"key_as.{name}"] = key_as[name]
        is_table = target is not None and target.kind == "sqlite"
        seen = set(ROW_COLUMNS) if is_table else set()
        for place, there in mapped.items():
            if is_table and _FIELD.fullmatch(there) is None:
                part.fault(place, "must be the name of a column: letters, digits and _")
            # A table's columns know no capitals.
            spelled = there.lower() if is_table else there
            if spelled in seen:
                part.fault(place, f"{there} is there twice at {name}")
            seen.add(spelled)


def _selection(part: _Part) -> Selection:
    part.only("version", "fields", "grants")
    return Selection(part.whole("version", 0, 0, 1_000_000), part.names("fields"), frozenset(part.names("grants")))
