"""The archive: a record comes in once a key and version, is assembled and checked, archived, and only then owed (R213).

What came is never changed afterwards; whoever reads follows the numbers of the archive with a cursor (R215).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from campaigns.data_hub import tables
from campaigns.data_hub.handlers import Dropped, HandlerFailed, assemble
from campaigns.data_hub.models import Model, canonical, in_shape, record_faults
from campaigns.data_hub.settings import Selection
from gateway.contract.campaign import CampaignView
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx

DELIVER: Final = "deliver"
"""The deed that writes a record to a target."""
GIVE_UP_AFTER: Final = timedelta(days=3)
MOST_FAULTS: Final = 50
_LONGEST_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class Given:
    """A record as its source gave it."""

    key: str
    version: int
    data: Mapping[str, Any]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A record in the archive. `differs`: it was there before, and what came now was something else."""

    row: Mapping[str, Any]
    is_new: bool
    differs: bool = False


def keep(tx: Tx, house: House, campaign: CampaignView, model: Model, given: Given, now: datetime) -> Kept:
    """Archive a record and owe it to its targets; the one that is there already, where its key and version are.

    Raises Refused: `invalid` (422, the fields), `handler_failed` (422, `handler`, `detail`).
    """
    tx.lock(tables.lock_name(campaign.slug, model.id))
    hash_given = _hash(given.data)
    known = tables.record_of_key(tx, campaign.slug, model.id, given.key, given.version)
    if known is not None:
        return Kept(_columns(known), is_new=False, differs=known["given"] != hash_given)
    made, dropped_by = _assembled(model, given.data)
    faults = dict(list(record_faults(model, made))[:MOST_FAULTS]) if made is not None else {}
    if faults:
        raise Refused("invalid", 422, fields={name[:_LONGEST_NAME]: why for name, why in faults.items()})
    id_ = house.ids.new("dr", now)
    row = {
        "id": id_,
        "campaign": campaign.slug,
        "model": model.id,
        "key": given.key,
        "version": given.version,
        "seq": tables.next_number(tx, campaign.slug, model.id),
        "model_version": model.version,
        "revision": tables.stored_revision(tx, campaign.slug, model, now),
        "state": "archived" if made is not None else "dropped",
        "reason": dropped_by,
        "data": canonical(made).decode() if made is not None else None,
        "hash": _hash(made) if made is not None else hash_given,
        "given": hash_given,
        "source": given.source,
        "created_at": to_text(now),
    }
    tables.add_record(tx, row)
    for target in model.targets if made is not None else ():
        delivery = house.ids.new("dd", now)
        tables.add_delivery(tx, delivery, campaign.slug, model.id, id_, target, now)
        owe(tx, house, campaign, delivery, 1, now)
    return Kept(row, is_new=True)


def owe(tx: Tx, house: House, campaign: CampaignView, delivery: str, round_: int, now: datetime) -> None:
    """Have the worker write a delivery; of several rounds only the last one counts."""
    payload = {"delivery": delivery, "round": round_}
    house.owe(tx, campaign, DELIVER, delivery, payload, now, give_up_after=GIVE_UP_AFTER)


def _assembled(model: Model, data: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str | None]:
    """(what the chain made, None), or (None, the handler that left it out). Raises Refused `handler_failed`."""
    try:
        return assemble(model.chain, data), None
    except Dropped as dropped:
        return None, dropped.handler
    except HandlerFailed as failed:
        words = f"the handler {failed.handler} refused the record"
        raise Refused("handler_failed", 422, words, handler=failed.handler, detail=failed.detail) from None


def _hash(data: Mapping[str, Any]) -> str:
    """The canonical hash. Raises Refused `invalid` for numbers and texts that no store keeps."""
    try:
        return sha256(canonical(data)).hexdigest()
    except TypeError:
        raise Refused("invalid", 422, fields={"data": "holds a number or a text that cannot be kept"}) from None


def _columns(row: Row) -> Mapping[str, Any]:
    return {name: row[name] for name in row.keys()}  # noqa: SIM118 - a row is no mapping


# -- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """A page of a model's data. `next` None at the end; `cursor`: from where to go on later."""

    items: Sequence[Mapping[str, Any]]
    next: str | None
    cursor: str


def read(tx: Tx, campaign: str, model: Model, after: int, most: int, selection: Selection | None) -> Window:
    """Archived records from the one after `after`, as they are or as a selection shows them (R210).

    With a selection, records that do not hold under its version are left out. Raises Refused `not_found` for a version
    that never was.
    """
    shape = _shape(tx, campaign, model, selection) if selection is not None else None
    rows = tables.records_after(tx, campaign, model.id, after, most + 1)
    items = []
    for row in rows[:most]:
        data: dict[str, Any] | None = json.loads(row["data"])
        if shape is not None and selection is not None and data is not None:
            data = in_shape(shape, data, selection.fields)
        if data is not None:
            items.append(
                {
                    "key": row["key"],
                    "version": row["version"],
                    "data": data,
                    "record": row["id"],
                    "hash": row["hash"],
                    "model_version": row["model_version"],
                    "at": row["created_at"],
                }
            )
    cursor = str(rows[:most][-1]["seq"]) if rows else str(after)
    return Window(items, cursor if len(rows) > most else None, cursor)


def _shape(tx: Tx, campaign: str, model: Model, selection: Selection) -> Model:
    if selection.version in {0, model.version}:
        return model
    found = tables.model_of_version(tx, campaign, model.id, selection.version)
    if found is None:
        raise Refused("not_found", 404)
    return found


# -- the worker's sweeps ----------------------------------------------------------------------------------------------


def store_definitions(tx: Tx, _house: House, campaign: CampaignView, now: datetime, _most: int) -> int:
    """Store each model's definition that is not stored yet, whether or not a record has come (R211); how many."""
    missing = [model for model in campaign.settings.models.values() if not tables.is_stored(tx, campaign.slug, model)]
    for model in sorted(missing, key=lambda one: str(one.id)):
        tx.lock(tables.lock_name(campaign.slug, model.id))
        tables.stored_revision(tx, campaign.slug, model, now)
    return len(missing)


def forget_old(tx: Tx, _house: House, campaign: CampaignView, now: datetime, most: int) -> int:
    """Delete the records of models that keep theirs for so many days; how many."""
    did = 0
    for model in campaign.settings.models.values():
        if model.keep_days and did < most:
            did += tables.forget(tx, campaign.slug, model.id, now - timedelta(days=model.keep_days), most - did)
    return did
