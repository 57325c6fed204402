"""An apply file's text → the objects it names. Only what can be told from each table alone is checked here.

Whether the objects fit each other and what is stored is the business of `rules`, which looks at the merged whole.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.catalog.channel_rules import wallet_pair_faults
from gateway.catalog.encoding import owner_of
from gateway.catalog.fields import FIELDS, SLUG, plain, read_object
from gateway.catalog.references import Sources
from gateway.catalog.specs import KINDS, Catalog, KindName, Spec
from gateway.checks import suggestion, toml_path
from gateway.contract.errors import BadConfig

MAX_FILE: Final = 4 * 1024 * 1024


@dataclass(slots=True)
class ApplyFile:
    """What was read: the objects as far as they could be, every (kind, slug) that is named, and the faults so far."""

    catalog: Catalog
    named: frozenset[tuple[str, str]]
    faults: list[tuple[str, str]] = field(default_factory=list)


def parse(text: str, sources: Sources) -> ApplyFile:
    """Read the text of an apply file; `sources` reads what its keys refer to.

    Faults are collected, not raised, so that those of the whole can be told together. Raises BadConfig only when the
    text is no TOML at all.
    """
    return read(_tables(text), sources)


def read(tables: Mapping[str, Any], sources: Sources) -> ApplyFile:
    """The same for tables that are no text any more: kind → slug → table."""
    faults: list[tuple[str, str]] = []
    named: set[tuple[str, str]] = set()
    found: list[Spec] = []
    for kind, objects in tables.items():
        if kind not in KINDS:
            faults.append((toml_path(kind), f"no such table{suggestion(kind, KINDS)}"))
        elif not isinstance(objects, dict):
            faults.append((kind, f"must be written [{kind}.NAME]"))
    for kind in KINDS:
        objects = tables.get(kind)
        if not isinstance(objects, dict):
            continue
        for slug, table in objects.items():
            named.add((kind, slug))
            spec = _object(kind, slug, table, sources, faults)
            if spec is not None:
                found.append(spec)
    return ApplyFile(Catalog.of(found), frozenset(named), faults)


def _tables(text: str) -> Mapping[str, Any]:
    if len(text) > MAX_FILE:
        raise BadConfig([("", f"the file is larger than {MAX_FILE // 1024 // 1024} MiB")])
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadConfig([("", f"not TOML: {error}")]) from None
    except RecursionError:
        raise BadConfig([("", "not an apply file: nested too deeply")]) from None


def _object(kind: KindName, slug: str, table: Any, sources: Sources, faults: list[tuple[str, str]]) -> Spec | None:
    path = toml_path(kind, slug)
    if not isinstance(table, dict):
        faults.append((path, f"must be a table, written [{path}]"))
        return None
    try:
        SLUG(slug)
    except ValueError as error:
        faults.append((path, str(error)))
    before = len(faults)
    extra: dict[str, Any] = {}
    rest = dict(table)
    if kind == "channel":
        extra = _channel_secrets(slug, rest, sources, faults)
    elif kind == "webhook":
        for key in ("secret", "previous_secret"):
            if key in rest:
                rest[key] = sources.value(rest[key], owner_of(kind, slug), f"{path}.{key}", faults)
    elif kind == "campaign":
        extra = {"settings": _campaign_settings(slug, rest, faults)}
    elif kind == "pair" and rest.get("relation") == "block" and rest.get("both", False) is False:
        # `block` always holds both ways (R040), whatever the table says of the way back.
        rest["both"] = True
    if len(faults) > before:
        # Keys or settings that could not be read: their own rules would only say again that they are missing.
        read_object(kind, slug, rest, extra, faults)
        return None
    return read_object(kind, slug, rest, extra, faults)


def _channel_secrets(
    slug: str, rest: dict[str, Any], sources: Sources, faults: list[tuple[str, str]]
) -> dict[str, Any]:
    """Take `keys` and `wallet` out of a channel's table and read what they refer to."""
    keys = sources.resolve(rest.pop("keys", {}), slug, "keys", faults)
    wallet = sources.resolve(rest.pop("wallet", {}), slug, "wallet", faults)
    # A sandbox channel's is made, and what its file gives is laid over that.
    if wallet and rest.get("sandbox") is not True:
        faults += wallet_pair_faults(wallet, toml_path("channel", slug, "wallet"))
    return {"keys": keys, "wallet": wallet}


def _campaign_settings(slug: str, rest: dict[str, Any], faults: list[tuple[str, str]]) -> dict[str, Any]:
    """Take a campaign's own keys out of its table; its module checks them."""
    settings: dict[str, Any] = {}
    for key in [key for key in rest if key not in FIELDS["campaign"]]:
        try:
            settings[key] = plain(rest.pop(key))
        except ValueError as error:
            faults.append((toml_path("campaign", slug, key), str(error)))
    return settings
