"""Drafts to try out: a campaign's table as an operator edits it, held against the same rules as an apply file."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

import tomli_w

from gateway.catalog.export import table_of
from gateway.catalog.parse import read
from gateway.catalog.references import Sources
from gateway.catalog.rules import faults_of
from gateway.catalog.specs import Campaign, Catalog
from gateway.catalog.surroundings import Surroundings
from gateway.contract.errors import BadConfig

MOST_DAYS: Final = 31
MOST_TEXT: Final = 20_000

UNBOUNDED_FEN: Final = 10**15
"""Stands for "no budget" in a trial, so that what the draft would promise is counted all the same."""

_FIXED: Final = ("kind", "circle", "state", "starts_at", "ends_at")
"""Keys that a trial sets by itself: the same kind in the same circle, open on the chosen days."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A campaign to try out. `bounded`: whether it has a budget of its own."""

    campaign: Campaign
    bounded: bool


def table_text(campaign: Campaign) -> str:
    """The part of a stored campaign's table that a draft may change, as TOML."""
    table = table_of(campaign, lambda _owner, _secret: "")
    return tomli_w.dumps({key: value for key, value in table.items() if key not in _FIXED})


def draft_of(catalog: Catalog, surroundings: Surroundings, campaign: Campaign, text: str | None) -> Draft:
    """The draft of a campaign that a text describes, None for the campaign as it stands; open whenever it is asked.

    Raises BadConfig with every fault, paths as in an apply file, "" for a text that is no TOML.
    """
    if text is None:
        return _opened(campaign)
    if len(text) > MOST_TEXT:
        raise BadConfig([("", f"has more than {MOST_TEXT} characters")])
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadConfig([("", f"not TOML: {error}")]) from None
    except RecursionError:
        raise BadConfig([("", "nested too deeply")]) from None
    faults = [(f"campaign.{campaign.slug}.{key}", "is not changed in a trial") for key in _FIXED if key in table]
    whole = {**table, "kind": campaign.kind, "circle": campaign.circle}
    read_of = read({"campaign": {campaign.slug: whole}}, Sources(_no_file, {}, lambda _channel, _id: None))
    drafted = read_of.catalog.campaigns.get(campaign.slug)
    faults += read_of.faults
    if drafted is not None and not faults:
        beside = Catalog.of(drafted if spec == campaign else spec for _, spec in catalog.specs())
        own = f"campaign.{campaign.slug}"
        found = faults_of(beside, frozenset({("campaign", campaign.slug)}), surroundings)
        faults += [(path, words) for path, words in found if path == own or path.startswith(f"{own}.")]
    if faults or drafted is None:
        raise BadConfig(faults)
    return _opened(drafted)


def days_of(first: str, last: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """(midnight of the first day, midnight after the last) of days such as 2026-11-22. Raises BadConfig."""
    faults = []
    days: dict[str, datetime] = {}
    for key, text in (("from", first), ("to", last)):
        try:
            days[key] = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone)
        except ValueError:
            faults.append((key, "is no day such as 2026-11-22"))
    if not faults and days["to"] < days["from"]:
        faults.append(("to", "is before the first day"))
    elif not faults and days["to"] - days["from"] >= timedelta(days=MOST_DAYS):
        faults.append(("to", f"is more than {MOST_DAYS} days on"))
    if faults:
        raise BadConfig(faults)
    return days["from"], days["to"] + timedelta(days=1)


def fault_lines(refused: BadConfig, slug: str) -> list[str]:
    """Faults of a draft as lines for a person: its own keys, without the campaign's name before them."""
    lines = []
    for path, words in refused.faults:
        key = path.removeprefix(f"campaign.{slug}").removeprefix(".")
        lines.append(f"{key}: {words}" if key else words)
    return lines


def _opened(campaign: Campaign) -> Draft:
    bounded = bool(campaign.budget_fen)
    budget_fen = campaign.budget_fen or UNBOUNDED_FEN
    return Draft(dataclasses.replace(campaign, state="live", starts_at="", ends_at="", budget_fen=budget_fen), bounded)


def _no_file(_name: str) -> str:
    raise ValueError("a draft reads no files")


def only(catalog: Catalog, draft: Draft) -> Catalog:
    """The catalogue with the draft as its one campaign, and nobody who is told of events."""
    kept: Mapping[str, Any] = {"campaigns": {draft.campaign.slug: draft.campaign}, "webhooks": {}}
    return dataclasses.replace(catalog, **kept)
