"""The catalogue in the store: a row an object, a channel's secrets sealed beside it, and a version that moves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from crypto.errors import CryptoError
from crypto.vault import Vault
from gateway.catalog import campaign_states, wording
from gateway.catalog.encoding import decode, encode, owner_of, to_json
from gateway.catalog.plan import Change
from gateway.catalog.specs import KINDS, Campaign, Catalog, Item, Spec
from gateway.contract.clock import to_text
from gateway.contract.errors import BadConfig
from gateway.contract.store import Tx

VERSION: Final = "catalog_version"
LOCK: Final = "catalog"

Shown = Mapping[str, Any] | None
Audit = Callable[[Tx, str, str, Shown, Shown], None]
"""(transaction, action, object, before, after): keeps one row about a change; before and after hold no secret."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored: its version, its objects with secrets opened, and each channel's secrets by id."""

    version: int
    catalog: Catalog
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)

    def secret(self, channel: str, key_id: str) -> str | None:
        """The secret of `channel` (or of `webhook.<slug>`) that is stored under `key_id`, or None."""
        return self.secrets.get(channel, {}).get(key_id)


def version_of(tx: Tx) -> int:
    """The number that moves with every change of the catalogue; 0 before the first."""
    row = tx.one("SELECT value FROM meta WHERE name = :name", {"name": VERSION})
    return int(row["value"]) if row is not None else 0


def load(tx: Tx, vault: Vault) -> Stored:
    """Everything stored. Raises BadConfig where a row cannot be opened or read, naming each."""
    faults: list[tuple[str, str]] = []
    specs: list[Spec] = []
    secrets: dict[str, Mapping[str, str]] = {}
    for row in tx.all("SELECT kind, slug, spec, secrets FROM catalog ORDER BY kind, slug"):
        kind, slug = row["kind"], row["slug"]
        if kind not in KINDS:
            # Written by a newer version, which a process of this one must not trip over.
            continue
        try:
            opened = _open(vault, kind, slug, row["secrets"])
            specs.append(decode(kind, slug, json.loads(row["spec"]), opened))
        except (CryptoError, ValueError, KeyError, TypeError) as error:
            faults.append((f"{kind}.{slug}", f"is stored in a form that does not open ({type(error).__name__})"))
            continue
        if opened:
            secrets[owner_of(kind, slug)] = opened
    if faults:
        raise BadConfig(faults)
    return Stored(version_of(tx), Catalog.of(specs), secrets)


def save(tx: Tx, changes: Iterable[Change], vault: Vault, now: datetime, audit: Audit) -> int:
    """Write the changes, an audit row for each, and the new version, which is returned. All in the caller's `tx`.

    Nothing that is unchanged is touched; without any change the version stays. Raises BadConfig for a campaign budget
    below what it has promised.
    """
    moved = [change for change in changes if change.action != "unchanged"]
    for change in moved:
        name = f"{change.kind}.{change.slug}"
        before = _shown(change.before, vault)
        if change.after is None:
            tx.run(
                "DELETE FROM catalog WHERE kind = :kind AND slug = :slug", {"kind": change.kind, "slug": change.slug}
            )
        else:
            _put(tx, change, vault, now)
        audit(tx, f"catalog.{change.action}", name, before, _shown(change.after, vault))
        if change.kind == "item":
            _put_stock(tx, change)
        if isinstance(change.before or change.after, Campaign):
            _put_campaign(tx, change, now)
    version = version_of(tx)
    if moved:
        version += 1
        tx.run(
            "INSERT INTO meta (name, value) VALUES (:name, :value)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            {"name": VERSION, "value": str(version)},
        )
    return version


def seal_again(tx: Tx, vault: Vault) -> int:
    """Seal every secret under the vault's active data key; the number of rows. For key rotation."""
    rows = tx.all("SELECT kind, slug, secrets FROM catalog WHERE secrets IS NOT NULL")
    for row in rows:
        aad = _aad(row["kind"], row["slug"])
        tx.run(
            "UPDATE catalog SET secrets = :secrets WHERE kind = :kind AND slug = :slug",
            {"kind": row["kind"], "slug": row["slug"], "secrets": vault.seal(vault.open(row["secrets"], aad), aad)},
        )
    return len(rows)


def secret_id(vault: Vault) -> Callable[[str, str], str]:
    """How secrets are named where they may be seen: keyed, so that an id tells nothing of the secret."""
    return lambda channel, secret: vault.pseudonym("catalog secret", channel, secret)


def _put(tx: Tx, change: Change, vault: Vault, now: datetime) -> None:
    assert change.after is not None
    values, secrets = encode(change.after, secret_id(vault))
    sealed = vault.seal(to_json(secrets).encode(), _aad(change.kind, change.slug)) if secrets else None
    tx.run(
        "INSERT INTO catalog (kind, slug, spec, secrets, secret_ids, updated_at)"
        " VALUES (:kind, :slug, :spec, :secrets, :secret_ids, :updated_at)"
        " ON CONFLICT (kind, slug) DO UPDATE SET spec = excluded.spec, secrets = excluded.secrets,"
        " secret_ids = excluded.secret_ids, updated_at = excluded.updated_at",
        {
            "kind": change.kind,
            "slug": change.slug,
            "spec": to_json(values),
            "secrets": sealed,
            "secret_ids": json.dumps(sorted(secrets)) if secrets else None,
            "updated_at": to_text(now),
        },
    )


def _put_stock(tx: Tx, change: Change) -> None:
    """Tell the stock counter how many there are. What was taken stays, also of an item that is gone for a while."""
    total = change.after.stock if isinstance(change.after, Item) else 0
    tx.run(
        "INSERT INTO stock (item, total) VALUES (:item, :total)"
        " ON CONFLICT (item) DO UPDATE SET total = excluded.total",
        {"item": change.slug, "total": total},
    )


def _put_campaign(tx: Tx, change: Change, now: datetime) -> None:
    before = change.before if isinstance(change.before, Campaign) else None
    after = change.after if isinstance(change.after, Campaign) else None
    if before is not None and after is not None and campaign_states.standing(tx, before).state in _WATCHED:
        circle = tx.one("SELECT spec FROM catalog WHERE kind = 'circle' AND slug = :slug", {"slug": after.circle})
        wording.refuse_edit(before, after, json.loads(circle["spec"]).get("wording") if circle is not None else None)
    campaign_states.put(tx, before, after, now)


_WATCHED: Final = frozenset({"scheduled", "live", "paused"})
"""In these states an edit is held against the rule on words, as the way there was."""


def _shown(spec: Spec | None, vault: Vault) -> Shown:
    return None if spec is None else encode(spec, secret_id(vault))[0]


def _open(vault: Vault, kind: str, slug: str, sealed: bytes | None) -> dict[str, str]:
    if sealed is None:
        return {}
    opened: dict[str, Any] = json.loads(vault.open(bytes(sealed), _aad(kind, slug)))
    return opened


def _aad(kind: str, slug: str) -> bytes:
    return f"catalog/{kind}/{slug}".encode()
