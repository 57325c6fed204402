"""How campaigns stand (R075): the state that their calls move, and the version that every edit of their table moves.

The rows live and die with the campaign in the catalogue; `gateway.campaigning` moves the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.catalog.specs import Campaign
from gateway.contract.campaign import State
from gateway.contract.clock import to_text
from gateway.contract.errors import BadConfig
from gateway.contract.store import Tx

RESERVED: Final = "funding"
"""The part under which a campaign's funding is reserved in its budget, before it goes live."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A campaign's state as it was last moved, and its version."""

    state: State
    version: int


def budget_name(campaign: str) -> str:
    """The name of a campaign's whole budget."""
    return f"campaign:{campaign}"


def funding_origin(campaign: str) -> str:
    """The origin under which its funding is reserved."""
    return f"funding:{campaign}"


def standings(tx: Tx, circle: str) -> Mapping[str, Standing]:
    """Every campaign of a circle by slug."""
    rows = tx.all("SELECT campaign, state, version FROM campaign_states WHERE circle = :circle", {"circle": circle})
    return {row["campaign"]: Standing(row["state"], row["version"]) for row in rows}


def standing(tx: Tx, spec: Campaign) -> Standing:
    """How one stands; as its table says where nothing is kept of it."""
    row = tx.one("SELECT state, version FROM campaign_states WHERE campaign = :campaign", {"campaign": spec.slug})
    return Standing(row["state"], row["version"]) if row is not None else Standing(spec.state, 1)


def put(tx: Tx, before: Campaign | None, after: Campaign | None, now: datetime) -> None:
    """Follow a change of the catalogue: begin, count an edit, or forget.

    Raises BadConfig where an edit would set a budget below what it has promised and spent (R075).
    """
    if after is None:
        assert before is not None
        tx.run("DELETE FROM campaign_states WHERE campaign = :campaign", {"campaign": before.slug})
        return
    if before is not None and after.budget_fen:
        _check_budget(tx, after)
    tx.run(
        "INSERT INTO campaign_states (campaign, circle, state, version, since) "
        "VALUES (:campaign, :circle, :state, 1, :now) "
        "ON CONFLICT (campaign) DO UPDATE SET version = campaign_states.version + 1, circle = :circle",
        {"campaign": after.slug, "circle": after.circle, "state": after.state, "now": to_text(now)},
    )


def _check_budget(tx: Tx, spec: Campaign) -> None:
    used = tx.one(
        "SELECT reserved_fen + consumed_fen AS fen FROM budgets WHERE name = :name", {"name": budget_name(spec.slug)}
    )
    if used is not None and spec.budget_fen < used["fen"]:
        raise BadConfig([(f"campaign.{spec.slug}.budget_fen", f"is below what is promised and spent: {used['fen']}")])


def set_state(tx: Tx, spec: Campaign, before: State, to: State, now: datetime) -> bool:
    """Move it; False when it does not stand at `before` any more."""
    tx.run(
        "INSERT INTO campaign_states (campaign, circle, state, version, since) "
        "VALUES (:campaign, :circle, :state, 1, :now) ON CONFLICT (campaign) DO NOTHING",
        {"campaign": spec.slug, "circle": spec.circle, "state": before, "now": to_text(now)},
    )
    return bool(
        tx.run(
            "UPDATE campaign_states SET state = :to, since = :now WHERE campaign = :campaign AND state = :before",
            {"campaign": spec.slug, "to": to, "before": before, "now": to_text(now)},
        )
    )
