"""Changing a few objects of the stored catalogue by the very rules of an apply file: all of it, or nothing.

An edit says which keys of an object's table get which value; what it does not name stays, secrets too, which are laid
back as references and never leave the store. Whoever edits has looked at the object before: the stamp of what he saw
comes along, and an object that has moved meanwhile is not overwritten.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from gateway.catalog.apply import Workshop, with_sandbox_keys
from gateway.catalog.encoding import SecretId, encode, to_json
from gateway.catalog.export import table_of
from gateway.catalog.fields import SLUG
from gateway.catalog.parse import read
from gateway.catalog.plan import Change, merge, plan
from gateway.catalog.references import Sources
from gateway.catalog.rules import faults_of
from gateway.catalog.specs import Catalog, KindName, Spec
from gateway.catalog.storage import LOCK, Stored, load, save, secret_id, version_of
from gateway.checks import toml_path
from gateway.contract.errors import BadConfig, Refused, StoreBusy
from gateway.contract.store import Tx

_TRIES: Final = 5
_STAMP_LENGTH: Final = 20
_LONGEST_SLUG: Final = 63

Fault = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Edit:
    """What becomes of one object. `values` None removes it; a value None in it takes the key back to its default.

    `stamp` is that of the object as the editor saw it, "" for one that is to be made.
    """

    kind: KindName
    slug: str
    values: Mapping[str, Any] | None
    stamp: str = ""


class Moved(Refused):
    """The object is not what the editor saw. `now` is what is stored, None when it is gone."""

    def __init__(self, kind: str, slug: str, now: Spec | None) -> None:
        self.kind = kind
        self.slug = slug
        self.now = now
        super().__init__("moved_on", 409, "it was changed by someone else meanwhile")


Editing = Callable[[Stored, SecretId], Sequence[Edit]]
"""The edits to make, given what is stored. May raise Refused; is asked anew when the catalogue moves meanwhile."""


def edit(
    editing: Editing | Sequence[Edit],
    workshop: Workshop,
    now: datetime,
    check: Callable[[Tx, Sequence[Change]], Sequence[Fault]] = lambda _tx, _changes: (),
) -> list[Change]:
    """Make the edits, each with its audit row; what changed.

    `check` may find more faults inside the transaction that writes (what is spent already, for one). Raises BadConfig
    with every fault by its TOML path, Moved, whatever `editing` raises, StoreBusy, StoreUnavailable.
    """
    name = secret_id(workshop.vault)
    for _ in range(_TRIES):
        stored = workshop.store.read(lambda tx: load(tx, workshop.vault))
        edits = editing(stored, name) if callable(editing) else editing
        changes = prepare(edits, stored, workshop)
        if not changes:
            return []
        workshop.sandbox_keys.keep()
        if workshop.store.write(_writing(changes, stored.version, workshop, now, check)):
            return changes
    raise StoreBusy("the catalogue was changed by another all the while")


def prepare(edits: Sequence[Edit], stored: Stored, workshop: Workshop) -> list[Change]:
    """The changes that the edits come to; writes nothing. Raises BadConfig with every fault, Moved."""
    name = secret_id(workshop.vault)
    known = {(kind, spec.slug): spec for kind, spec in stored.catalog.specs()}
    faults: list[Fault] = []
    tables: dict[str, dict[str, Any]] = {}
    gone: set[tuple[str, str]] = set()
    for one in edits:
        before = known.get((one.kind, one.slug))
        if before is not None and not one.stamp:
            faults.append((toml_path(one.kind, one.slug), "is there already; take another name"))
            continue
        if (stamp_of(before, name) if before is not None else "") != one.stamp:
            raise Moved(one.kind, one.slug, before)
        if one.values is None:
            gone.add((one.kind, one.slug))
            continue
        table = {**(table_of(before, name) if before is not None else {}), **one.values}
        tables.setdefault(one.kind, {})[one.slug] = {key: value for key, value in table.items() if value is not None}
    told = read(tables, Sources(_no_file, {}, stored.secret))
    kept = Catalog.of(spec for kind, spec in stored.catalog.specs() if (kind, spec.slug) not in gone)
    merged = merge(kept, with_sandbox_keys(told.catalog, workshop), told.named, prune=False)
    faults += told.faults
    found = faults_of(merged, told.named, workshop.surroundings)
    if found:
        # What was wrong before (an adapter that was uninstalled) must not stand in the way of another merchant's edit.
        old = set(faults_of(stored.catalog, (), workshop.surroundings))
        own = tuple(f"{toml_path(kind, slug)}." for kind, slug in told.named)
        faults += [fault for fault in found if fault not in old or fault[0].startswith(own)]
    if faults:
        raise BadConfig(faults)
    return [change for change in plan(stored.catalog, merged, told.named | gone) if change.action != "unchanged"]


def stamp_of(spec: Spec, name: SecretId) -> str:
    """A short word that is the same exactly while the object is the same, its secrets included."""
    values, _ = encode(spec, name)
    return sha256(to_json({"slug": spec.slug, **values}).encode()).hexdigest()[:_STAMP_LENGTH]


def stamp_of_all(specs: Sequence[Spec], name: SecretId) -> str:
    """The same for several objects, in the order given."""
    return sha256(" ".join(stamp_of(spec, name) for spec in specs).encode()).hexdigest()[:_STAMP_LENGTH]


def fresh_slug(wanted: str, taken: Mapping[str, object]) -> str:
    """A name near `wanted` that is nobody's yet and fit for the file."""
    base = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")[: _LONGEST_SLUG - 6] or "x"
    number, slug = 1, base
    while slug in taken:
        number += 1
        slug = f"{base}-{number}"
    return str(SLUG(slug))


def _writing(
    changes: list[Change],
    version: int,
    workshop: Workshop,
    now: datetime,
    check: Callable[[Tx, Sequence[Change]], Sequence[Fault]],
) -> Callable[[Tx], bool]:
    def work(tx: Tx) -> bool:
        tx.lock(LOCK)
        if version_of(tx) != version:
            return False
        faults = check(tx, changes)
        if faults:
            raise BadConfig(faults)
        save(tx, changes, workshop.vault, now, workshop.audit)
        return True

    return work


def _no_file(_name: str) -> str:
    """A form has no folder of its own to read files from."""
    raise ValueError("files cannot be named here; give the value itself")
