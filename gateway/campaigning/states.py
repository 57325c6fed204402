"""A campaign's states (R075): moved by its calls and by the clock, its funding reserved before it goes live (R148)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from gateway import audit
from gateway.catalog import campaign_states
from gateway.catalog.campaign_states import RESERVED, budget_name, funding_origin
from gateway.catalog.specs import Campaign
from gateway.contract.campaign import CampaignView, State, may_move
from gateway.contract.clock import BEIJING
from gateway.contract.errors import Refused
from gateway.contract.store import Tx
from gateway.ledger import budget
from gateway.ledger.budget import Budget

FUNDED: Final = frozenset({"scheduled", "live", "paused"})
"""In these states what the campaign's kind says must be funded is held in its budget."""


def budgets_of(campaign: CampaignView, now: datetime) -> Sequence[Budget]:
    """What bounds a campaign: its whole budget and that of the day in Beijing; none where it has none."""
    found = []
    if campaign.budget_fen:
        found.append(Budget(budget_name(campaign.slug), campaign.budget_fen))
    if campaign.budget_fen_per_day:
        day = f"{budget_name(campaign.slug)}:{now.astimezone(BEIJING):%Y-%m-%d}"
        found.append(Budget(day, campaign.budget_fen_per_day))
    return found


def reserve(tx: Tx, campaign: CampaignView, origin: str, parts: Sequence[tuple[str, int]], now: datetime) -> bool:
    """Reserve parts in the campaign's budgets, out of what was funded for it where that was; False: no room."""
    tx.lock(f"budget:{budget_name(campaign.slug)}")
    drawn = _draw(tx, campaign, sum(part for _, part in parts))
    if budget.reserve(tx, budgets_of(campaign, now), origin, parts):
        return True
    _change_hold(tx, campaign, drawn)
    return False


def move(tx: Tx, spec: Campaign, campaign: CampaignView, to: State, funding: int, who: str, now: datetime) -> None:
    """Bring a campaign to another state. Raises Refused 409: `bad_transition`, `underfunded` (`needed_fen`)."""
    tx.lock(f"campaign:{spec.slug}")
    stored = campaign_states.standing(tx, spec).state
    # One that began by the clock is live, whether somebody has noted it or not; noting it is a move to live.
    begun = (stored, campaign.state) == ("scheduled", "live") and to != "live"
    before = campaign.state if begun else stored
    if not may_move(before, to):
        raise Refused("bad_transition", 409, state=before)
    if to in FUNDED and before not in FUNDED:
        fund(tx, campaign, funding)
    if to not in FUNDED:
        budget.give_back(tx, funding_origin(spec.slug), RESERVED)
    if not campaign_states.set_state(tx, spec, stored, to, now):
        raise Refused("bad_transition", 409, state=before)
    audit.record(tx, now, who, "campaign.state", spec.slug, before={"state": before}, after={"state": to})


def fund(tx: Tx, campaign: CampaignView, fen: int) -> None:
    """Hold what its kind says must be there before it goes live. Raises Refused `underfunded` (409, `needed_fen`).

    A campaign without a budget is paid for whatever it costs, and holds nothing.
    """
    if not fen or not campaign.budget_fen or _hold(tx, campaign) is not None:
        return
    origin = funding_origin(campaign.slug)
    tx.run("DELETE FROM budget_holds WHERE origin = :origin AND state = 'returned'", {"origin": origin})
    whole = [Budget(budget_name(campaign.slug), campaign.budget_fen)]
    if not budget.reserve(tx, whole, origin, [(RESERVED, fen)]):
        raise Refused("underfunded", 409, needed_fen=fen)


def was_funded(tx: Tx, campaign: CampaignView) -> bool:
    """Whether its funding has been held at any time, however much of it is left."""
    row = tx.one("SELECT state FROM budget_holds WHERE origin = :origin", {"origin": funding_origin(campaign.slug)})
    return row is not None


def _hold(tx: Tx, campaign: CampaignView) -> int | None:
    row = tx.one(
        "SELECT fen FROM budget_holds WHERE origin = :origin AND item = :item AND state = 'reserved'",
        {"origin": funding_origin(campaign.slug), "item": RESERVED},
    )
    return int(row["fen"]) if row is not None else None


def _draw(tx: Tx, campaign: CampaignView, fen: int) -> int:
    """Let go of up to `fen` of what is held, to be reserved again under its own origin; how much."""
    drawn = min(_hold(tx, campaign) or 0, fen)
    _change_hold(tx, campaign, -drawn)
    return drawn


def _change_hold(tx: Tx, campaign: CampaignView, fen: int) -> None:
    if not fen:
        return
    tx.run(
        "UPDATE budget_holds SET fen = fen + :fen WHERE origin = :origin AND item = :item AND state = 'reserved'",
        {"fen": fen, "origin": funding_origin(campaign.slug), "item": RESERVED},
    )
    tx.run(
        "UPDATE budgets SET reserved_fen = reserved_fen + :fen WHERE name = :name",
        {"fen": fen, "name": budget_name(campaign.slug)},
    )
