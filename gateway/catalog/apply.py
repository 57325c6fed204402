"""Bringing the stored catalogue to what an apply file says: all of it or, at the first fault, nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from crypto.vault import Vault
from gateway.catalog.channel_rules import wallet_platform
from gateway.catalog.parse import parse
from gateway.catalog.plan import Change, merge, plan
from gateway.catalog.references import Sources
from gateway.catalog.registry import provider_of
from gateway.catalog.rules import faults_of
from gateway.catalog.sandbox_keys import SandboxKeyring
from gateway.catalog.specs import Catalog, Channel
from gateway.catalog.storage import LOCK, Audit, Stored, load, save, version_of
from gateway.catalog.surroundings import Surroundings
from gateway.contract.errors import BadConfig, StoreBusy
from gateway.contract.store import Store, Tx

_TRIES: Final = 5
_INSTEAD_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "sp_mchid": ("mchid", "appid"),
    "sp_appid": ("mchid", "appid"),
    "apiv3_keys": ("apiv3_key",),
    "api_keys": ("api_key",),
}
"""Names of a `keys` table that stand instead of others, not beside them."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What applying needs beside the file: where to write, under which keys, by which rules."""

    store: Store
    vault: Vault
    surroundings: Surroundings
    sandbox_keys: SandboxKeyring
    audit: Audit


def prepare(text: str, stored: Stored, sources: Sources, workshop: Workshop, *, prune: bool = False) -> list[Change]:
    """What applying `text` to `stored` would change. Writes nothing. Raises BadConfig with every fault."""
    read = parse(text, sources)
    wanted = with_sandbox_keys(read.catalog, workshop)
    merged = merge(stored.catalog, wanted, read.named, prune=prune)
    faults = read.faults + faults_of(merged, read.named, workshop.surroundings)
    if faults:
        raise BadConfig(faults)
    return plan(stored.catalog, merged, read.named)


def apply(
    text: str,
    sources_of: Callable[[Stored], Sources],
    workshop: Workshop,
    now: datetime,
    *,
    prune: bool = False,
    dry_run: bool = False,
) -> list[Change]:
    """Apply the text of a file; the changes, which with `dry_run` are only what would be.

    `sources_of` makes the reader of references from what is stored. Files are read and keys parsed outside the
    transaction; it then makes sure that the catalogue is still the one that was looked at. Raises BadConfig with every
    fault, StoreBusy when others kept changing the catalogue meanwhile, StoreUnavailable.
    """
    for _ in range(_TRIES):
        stored = workshop.store.read(lambda tx: load(tx, workshop.vault))
        changes = prepare(text, stored, sources_of(stored), workshop, prune=prune)
        if dry_run or all(change.action == "unchanged" for change in changes):
            return changes
        workshop.sandbox_keys.keep()
        if workshop.store.write(_writing(changes, stored.version, workshop, now)):
            return changes
    raise StoreBusy("the catalogue was changed by another all the while")


def _writing(changes: list[Change], version: int, workshop: Workshop, now: datetime) -> Callable[[Tx], bool]:
    def work(tx: Tx) -> bool:
        tx.lock(LOCK)
        if version_of(tx) != version:
            return False
        save(tx, changes, workshop.vault, now, workshop.audit)
        return True

    return work


def laid_over(made: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that a sandbox platform made, with what the file gives in place of its like."""
    replaced = {name for key in given for name in _INSTEAD_OF.get(key, ())}
    return {**{name: value for name, value in made.items() if name not in replaced}, **given}


def with_sandbox_keys(catalog: Catalog, workshop: Workshop) -> Catalog:
    """Sandbox channels with the keys that their platform made beneath those that the file gives."""
    if not workshop.surroundings.sandbox_enabled:
        return catalog
    registry = workshop.surroundings.registry
    filled = {
        slug: _filled(channel, workshop)
        for slug, channel in catalog.channels.items()
        if channel.sandbox and channel.adapter in registry.platforms
    }
    return dataclasses.replace(catalog, channels={**catalog.channels, **filled})


def _filled(channel: Channel, workshop: Workshop) -> Channel:
    registry = workshop.surroundings.registry
    keys = laid_over(workshop.sandbox_keys.keys_of(channel), channel.keys)
    adapter = registry.adapters.get(channel.adapter)
    platform = wallet_platform(channel.wallet) if channel.wallet or adapter is None else provider_of(adapter)
    twin = registry.twins.get(platform)
    made = workshop.sandbox_keys.wallet_of(channel, keys, twin) if twin is not None else {}
    return dataclasses.replace(channel, keys=keys, wallet={**made, **channel.wallet})
