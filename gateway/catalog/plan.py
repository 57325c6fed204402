"""What an apply would change, and the catalogue it would leave. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from gateway.catalog.specs import Campaign, Catalog, KindName, Spec

Action = Literal["created", "changed", "unchanged", "removed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One object before and after; None where it is not there."""

    kind: KindName
    slug: str
    action: Action
    before: Spec | None
    after: Spec | None


def merge(stored: Catalog, wanted: Catalog, named: Collection[tuple[str, str]], *, prune: bool) -> Catalog:
    """The stored objects with the wanted ones in place of those of the same kind and slug.

    What the file names replaces what is stored even where it could not be read (it is then in `named` alone). With
    `prune` nothing stays that the file does not name. A campaign that exists keeps the state it was made with: a
    running one is moved by its own calls, never by an apply.
    """
    kept = [] if prune else [spec for kind, spec in stored.specs() if (kind, spec.slug) not in named]
    return Catalog.of([*kept, *(_settled(spec, stored) for _, spec in wanted.specs())])


def plan(stored: Catalog, merged: Catalog, named: Collection[tuple[str, str]]) -> list[Change]:
    """The changes from `stored` to `merged`: one for each object named by the file, and one for each removed."""
    before = {(kind, spec.slug): spec for kind, spec in stored.specs()}
    after = {(kind, spec.slug): spec for kind, spec in merged.specs()}
    changes = [_change(kind, slug, before.get((kind, slug)), spec) for (kind, slug), spec in after.items()]
    told = [change for change in changes if (change.kind, change.slug) in named]
    gone = [
        Change(kind, slug, "removed", spec, None) for (kind, slug), spec in before.items() if (kind, slug) not in after
    ]
    return told + gone


def _change(kind: KindName, slug: str, before: Spec | None, after: Spec) -> Change:
    if before is None:
        return Change(kind, slug, "created", None, after)
    return Change(kind, slug, "unchanged" if before == after else "changed", before, after)


def _settled(spec: Spec, stored: Catalog) -> Spec:
    known = stored.campaigns.get(spec.slug) if isinstance(spec, Campaign) else None
    return dataclasses.replace(spec, state=known.state) if known is not None and isinstance(spec, Campaign) else spec
