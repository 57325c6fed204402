"""Deliveries: each target of a record by itself, pending → done or failed, tried again by the worker (R214).

A target that does not answer rests after a few failures, so that it holds up neither the worker nor other targets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from campaigns.data_hub import archive, tables
from campaigns.data_hub.models import Model, for_target
from campaigns.data_hub.settings import HubSettings
from campaigns.data_hub.writers import Parcel, Tried, write
from gateway.contract.campaign import CampaignView
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx

RESTING: Final = "resting"
REST_AFTER: Final = 3
"""From so many failures in a row on a target rests."""
_REST: Final = timedelta(seconds=15)
_LONGEST_REST: Final = timedelta(minutes=10)
_DOUBLINGS: Final = 10
_ASLEEP: Final = frozenset({"draft", "scheduled", "paused"})


def deliver(house: House, campaign: CampaignView, payload: Mapping[str, Any], now: datetime) -> str | None:
    """The worker's deed: write one record to one target; None when nothing is left to do, else what went wrong."""
    if campaign.state in _ASLEEP:
        return campaign.state
    settings: HubSettings = campaign.settings

    def look(tx: Tx) -> tuple[Row | None, Row | None, Model | None]:
        row = tables.delivery(tx, campaign.slug, payload["delivery"])
        if row is None or row["state"] == "done" or row["round"] != payload["round"]:
            return None, None, None
        model = settings.models.get(row["model"])
        if model is None or model.version != row["model_version"]:
            # As it was under the record's own version: its fields are those of then.
            model = tables.model_of_version(tx, campaign.slug, row["model"], row["model_version"])
        return row, tables.target_state(tx, campaign.slug, row["target"]), model

    row, stood, model = house.store.read(look)
    if row is None:
        return None
    target = settings.targets.get(row["target"])
    if target is None or model is None:
        # Nothing that trying again could mend; somebody who brings the target back asks for it.
        house.store.write(lambda tx: tables.settle(tx, row["id"], row["round"], "no_such_target", now))
        return None
    if stood is not None and stood["next_at"] is not None and stood["next_at"] > to_text(now):
        return RESTING
    data = for_target(model, target.name, json.loads(row["data"]))
    if target.name in model.key_as:
        data[model.key_as[target.name]] = row["key"]
    parcel = Parcel(row["id"], campaign.slug, row["key"], row["version"], row["hash"], data)
    tried = write(house, target, model, parcel, now)
    house.store.write(lambda tx: _note(tx, campaign.slug, row, tried, now))
    return tried.error or None


def _note(tx: Tx, campaign: str, row: Row, tried: Tried, now: datetime) -> None:
    tables.settle(tx, row["id"], row["round"], tried.error, now)
    if not tried.error:
        tables.target_answered(tx, campaign, row["target"], now)
    if not tried.is_targets_fault:
        return
    failures = tables.target_failed(tx, campaign, row["target"], tried.error, now)
    if failures >= REST_AFTER:
        tables.rest_target(tx, campaign, row["target"], now + rest_after(failures))


def rest_after(failures: int) -> timedelta:
    """How long a target is left alone after so many failures in a row."""
    return min(_LONGEST_REST, _REST * (1 << min(failures - REST_AFTER, _DOUBLINGS)))


def retry(tx: Tx, house: House, campaign: CampaignView, id_: str, who: str, now: datetime) -> Row:
    """Have a delivery tried at once; one that is done stays done. Raises Refused `not_found`."""
    row = tables.delivery(tx, campaign.slug, id_)
    if row is None:
        raise Refused("not_found", 404)
    round_ = tables.ask_again(tx, id_)
    if round_ is None:
        return row
    tables.rest_target(tx, campaign.slug, row["target"], None)
    archive.owe(tx, house, campaign, id_, round_, now)
    house.audit(tx, who, "data_hub.retry", id_, row["state"], "pending", now)
    found = tables.delivery(tx, campaign.slug, id_)
    assert found is not None  # it was there a moment ago
    return found
