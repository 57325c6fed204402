"""What editing the catalogue needs in one home: by whose name, under which keys, by which rules."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from gateway import audit
from gateway.catalog.apply import Workshop
from gateway.catalog.edit import Fault
from gateway.catalog.plan import Change
from gateway.catalog.sandbox_keys import SandboxKeyring
from gateway.catalog.specs import Offer
from gateway.catalog.storage import Shown
from gateway.catalog.surroundings import Surroundings
from gateway.checks import toml_path
from gateway.contract.money import yuan_of_fen
from gateway.contract.store import Tx
from gateway.relay import BadUpstream, Guard
from gateway.runtime import Runtime


def workshop(runtime: Runtime, who: str, request_id: str | None = None) -> Workshop:
    """The workshop of this home; each change's audit row names `who` and the request. Raises StoreTrouble."""
    guard = Guard(runtime.config.relay.allow)

    def check_upstream(url: str) -> str | None:
        try:
            guard.check_literal(url)
        except BadUpstream as refused:
            return str(refused)
        return None

    def note(tx: Tx, action: str, name: str, before: Shown, after: Shown) -> None:
        audit.record(tx, runtime.clock(), who, action, name, before=before, after=after, request_id=request_id)

    return Workshop(
        store=runtime.store,
        vault=runtime.keyring.reload(),
        surroundings=Surroundings(
            runtime.registry,
            runtime.config.sandbox.enabled,
            check_upstream,
            urlsplit(runtime.config.server.base_url).hostname or "",
        ),
        sandbox_keys=SandboxKeyring(runtime.home, runtime.registry.platforms),
        audit=note,
    )


def spent(tx: Tx, circle: str, day: str) -> dict[str, tuple[int, int]]:
    """(used, held) in fen of each budget of a circle's offer: `budget_fen`, `budget_fen_per_day`, `source_budget_fen`.

    `day` is today in the shops' zone, such as 2026-11-22.
    """
    names = {
        "budget_fen": f"offer:{circle}",
        "budget_fen_per_day": f"offer:{circle}:{day}",
        "source_budget_fen": f"source:{circle}",
    }
    found = {}
    for key, name in names.items():
        row = tx.one("SELECT reserved_fen, consumed_fen FROM budgets WHERE name = :name", {"name": name})
        found[key] = (int(row["consumed_fen"]), int(row["reserved_fen"])) if row is not None else (0, 0)
    return found


def money_only_down_to_used(tx: Tx, changes: Sequence[Change], day: str) -> list[Fault]:
    """Faults of offers whose budgets would fall below what is used and held already (R075); 0 means no limit."""
    faults = []
    for change in changes:
        if not isinstance(change.after, Offer):
            continue
        for key, (used, held) in spent(tx, change.after.circle, day).items():
            wanted = getattr(change.after, key)
            if 0 < wanted < used + held:
                path = f"{toml_path('offer', change.slug)}.{key}"
                faults.append((path, f"is below what is used and held already, {yuan_of_fen(used + held)}"))
    return faults
