"""The hub's tables: definitions by version, the archive, deliveries, how each target and source does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from campaigns.data_hub.models import Model, definition, from_definition
from gateway.contract.clock import to_text
from gateway.contract.jsontext import json_text
from gateway.contract.store import Row, Tx

TABLES: Final = (
    # A definition never changes once it is stored: what was archived under it stays explainable. `revision` counts the
    # definitions that were applied under one version.
    """CREATE TABLE data_hub_models (
        campaign TEXT NOT NULL,
        model TEXT NOT NULL,
        version INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        definition TEXT NOT NULL,
        hash TEXT NOT NULL,
        created_at TEXT NOT NULL,
        PRIMARY KEY (campaign, model, version, revision)
    ) STRICT""",
    # The last number given in each model's archive. Its row is held until the commit, so that numbers follow commits
    # and a reader with a cursor misses nothing.
    """CREATE TABLE data_hub_counters (
        campaign TEXT NOT NULL,
        model TEXT NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (campaign, model)
    ) STRICT""",
    # state: archived | dropped (by a handler: `data` is NULL). `given` is the hash of what came, `hash` that of what is
    # archived.
    """CREATE TABLE data_hub_records (
        id TEXT PRIMARY KEY,
        campaign TEXT NOT NULL,
        model TEXT NOT NULL,
        key TEXT NOT NULL,
        version INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        model_version INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        state TEXT NOT NULL,
        reason TEXT,
        data TEXT,
        hash TEXT NOT NULL,
        given TEXT NOT NULL,
        source TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT""",
    """CREATE UNIQUE INDEX data_hub_records_key ON data_hub_records (campaign, model, key, version)""",
    """CREATE UNIQUE INDEX data_hub_records_seq ON data_hub_records (campaign, model, seq)""",
    # state: pending | done | failed. `round` counts the times somebody asked for it: only the last one's try counts.
    """CREATE TABLE data_hub_deliveries (
        id TEXT PRIMARY KEY,
        campaign TEXT NOT NULL,
        model TEXT NOT NULL,
        record TEXT NOT NULL,
        target TEXT NOT NULL,
        state TEXT NOT NULL,
        round INTEGER NOT NULL DEFAULT 1,
        tries INTEGER NOT NULL DEFAULT 0,
        error TEXT,
        created_at TEXT NOT NULL,
        tried_at TEXT,
        done_at TEXT
    ) STRICT""",
    """CREATE UNIQUE INDEX data_hub_deliveries_record ON data_hub_deliveries (record, target)""",
    """CREATE INDEX data_hub_deliveries_state ON data_hub_deliveries (campaign, state, id)""",
    # `next_at`: until then nobody calls a target that has failed again and again.
    """CREATE TABLE data_hub_targets (
        campaign TEXT NOT NULL,
        target TEXT NOT NULL,
        failures INTEGER NOT NULL DEFAULT 0,
        failing_since TEXT,
        next_at TEXT,
        ok_at TEXT,
        error TEXT,
        PRIMARY KEY (campaign, target)
    ) STRICT""",
    """CREATE TABLE data_hub_sources (
        campaign TEXT NOT NULL,
        model TEXT NOT NULL,
        source TEXT NOT NULL,
        cursor TEXT NOT NULL,
        records INTEGER NOT NULL DEFAULT 0,
        updated_at TEXT NOT NULL,
        PRIMARY KEY (campaign, model, source)
    ) STRICT""",
)

MIGRATIONS: Final = (("data_hub_1", TABLES),)

DELIVERY_STATES: Final = ("pending", "done", "failed")
_DELIVERY: Final = (
    "SELECT d.*, r.key, r.version, r.hash, r.data, r.model_version, r.revision FROM data_hub_deliveries d "
    "JOIN data_hub_records r ON r.id = d.record"
)


# -- definitions ------------------------------------------------------------------------------------------------------


def lock_name(campaign: str, model: str) -> str:
    """What to lock while a model's archive or definitions are written."""
    return f"data_hub:{campaign}:{model}"


def stored_revision(tx: Tx, campaign: str, model: Model, now: datetime) -> int:
    """The revision under which a model's present definition is stored; it is stored where it is new.

    The caller holds `lock_name`.
    """
    text, hash_ = _definition(model)
    last = _last_revision(tx, campaign, model)
    if last is not None and last["hash"] == hash_:
        return int(last["revision"])
    revision = 1 if last is None else int(last["revision"]) + 1
    tx.run(
        "INSERT INTO data_hub_models (campaign, model, version, revision, definition, hash, created_at) "
        "VALUES (:campaign, :model, :version, :revision, :definition, :hash, :now)",
        {
            "campaign": campaign,
            "model": model.id,
            "version": model.version,
            "revision": revision,
            "definition": text,
            "hash": hash_,
            "now": to_text(now),
        },
    )
    return revision


def is_stored(tx: Tx, campaign: str, model: Model) -> bool:
    """Whether a model's present definition is the one that was stored last under its version."""
    last = _last_revision(tx, campaign, model)
    return last is not None and last["hash"] == _definition(model)[1]


def _definition(model: Model) -> tuple[str, str]:
    text = json_text(definition(model))
    return text, sha256(text.encode()).hexdigest()


def _last_revision(tx: Tx, campaign: str, model: Model) -> Row | None:
    return tx.one(
        "SELECT revision, hash FROM data_hub_models WHERE campaign = :campaign AND model = :model "
        "AND version = :version ORDER BY revision DESC LIMIT 1",
        {"campaign": campaign, "model": model.id, "version": model.version},
    )


def versions(tx: Tx, campaign: str, model: str) -> list[Row]:
    """Every stored definition of a model, newest first."""
    return tx.all(
        "SELECT version, revision, definition, hash, created_at FROM data_hub_models "
        "WHERE campaign = :campaign AND model = :model ORDER BY version DESC, revision DESC",
        {"campaign": campaign, "model": model},
    )


def model_of_version(tx: Tx, campaign: str, model: str, version: int) -> Model | None:
    """A model as it was last stored under this version; None where it never was."""
    row = tx.one(
        "SELECT definition FROM data_hub_models WHERE campaign = :campaign AND model = :model AND version = :version "
        "ORDER BY revision DESC LIMIT 1",
        {"campaign": campaign, "model": model, "version": version},
    )
    return from_definition(model, version, json.loads(row["definition"])) if row is not None else None


# -- records ----------------------------------------------------------------------------------------------------------


def next_number(tx: Tx, campaign: str, model: str) -> int:
    """The next number in a model's archive; its row is held until the transaction ends."""
    row = tx.one(
        "INSERT INTO data_hub_counters (campaign, model, seq) VALUES (:campaign, :model, 1) "
        "ON CONFLICT (campaign, model) DO UPDATE SET seq = data_hub_counters.seq + 1 RETURNING seq",
        {"campaign": campaign, "model": model},
    )
    assert row is not None  # an insert or an update, always one row
    return int(row["seq"])


def record_of_key(tx: Tx, campaign: str, model: str, key: str, version: int) -> Row | None:
    """The record of a key and version."""
    return tx.one(
        "SELECT * FROM data_hub_records WHERE campaign = :campaign AND model = :model AND key = :key "
        "AND version = :version",
        {"campaign": campaign, "model": model, "key": key, "version": version},
    )


def add_record(tx: Tx, values: Mapping[str, Any]) -> None:
    """Write a record; `values` holds every column."""
    names = list(values)
    tx.run(
        f"INSERT INTO data_hub_records ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})", values
    )


def records_after(tx: Tx, campaign: str, model: str, after: int, most: int) -> list[Row]:
    """Archived records in the order of their numbers, from the one after `after`."""
    return tx.all(
        "SELECT * FROM data_hub_records WHERE campaign = :campaign AND model = :model AND seq > :after "
        "AND state = 'archived' ORDER BY seq LIMIT :most",
        {"campaign": campaign, "model": model, "after": after, "most": most},
    )


def records_before(tx: Tx, campaign: str, model: str, before: int, most: int) -> list[Row]:
    """Records of any state, newest first, below the number `before` (0: from the newest on)."""
    return tx.all(
        "SELECT * FROM data_hub_records WHERE campaign = :campaign AND model = :model "
        "AND (:before = 0 OR seq < :before) ORDER BY seq DESC LIMIT :most",
        {"campaign": campaign, "model": model, "before": before, "most": most},
    )


def forget(tx: Tx, campaign: str, model: str, before: datetime, most: int) -> int:
    """Delete records that came before `before` and of which nothing waits to be delivered; how many."""
    rows = tx.all(
        "SELECT id FROM data_hub_records r WHERE campaign = :campaign AND model = :model AND created_at < :before "
        "AND NOT EXISTS (SELECT 1 FROM data_hub_deliveries d WHERE d.record = r.id AND d.state = 'pending') "
        "ORDER BY seq LIMIT :most",
        {"campaign": campaign, "model": model, "before": to_text(before), "most": most},
    )
    for row in rows:
        tx.run("DELETE FROM data_hub_deliveries WHERE record = :id", {"id": row["id"]})
        tx.run("DELETE FROM data_hub_records WHERE id = :id", {"id": row["id"]})
    return len(rows)


# -- deliveries -------------------------------------------------------------------------------------------------------


def add_delivery(tx: Tx, id_: str, campaign: str, model: str, record: str, target: str, now: datetime) -> None:
    """A record is to be written to a target."""
    tx.run(
        "INSERT INTO data_hub_deliveries (id, campaign, model, record, target, state, created_at) "
        "VALUES (:id, :campaign, :model, :record, :target, 'pending', :now)",
        {
            "id": id_,
            "campaign": campaign,
            "model": model,
            "record": record,
            "target": target,
            "now": to_text(now),
        },
    )


def delivery(tx: Tx, campaign: str, id_: str) -> Row | None:
    """A delivery of this campaign with its record."""
    return tx.one(f"{_DELIVERY} WHERE d.id = :id AND d.campaign = :campaign", {"id": id_, "campaign": campaign})


def deliveries(
    tx: Tx, campaign: str, models: Iterable[str], state: str, target: str, before: str, most: int
) -> list[Row]:
    """Deliveries of these models, newest first; "" for any state and target, and for the beginning."""
    named = {f"model_{place}": model for place, model in enumerate(models)}
    if not named:
        return []
    # Written out rather than ":state = '' OR …", so that each database can use its index.
    asked = {"d.state": state, "d.target": target}
    conditions = [f"{column} = :{column[2:]}" for column, value in asked.items() if value]
    conditions += ["d.id < :before"] if before else []
    return tx.all(
        f"{_DELIVERY} WHERE d.campaign = :campaign AND d.model IN ({', '.join(f':{name}' for name in named)}) "
        + "".join(f"AND {condition} " for condition in conditions)
        + "ORDER BY d.id DESC LIMIT :most",
        {"campaign": campaign, **named, "state": state, "target": target, "before": before, "most": most},
    )


def deliveries_of(tx: Tx, records: Sequence[str]) -> dict[str, list[Row]]:
    """The deliveries of each of these records."""
    named = {f"record_{place}": record for place, record in enumerate(records)}
    found: dict[str, list[Row]] = {record: [] for record in records}
    if named:
        for row in tx.all(
            "SELECT id, record, target, state, tries, error FROM data_hub_deliveries "
            f"WHERE record IN ({', '.join(f':{name}' for name in named)}) ORDER BY target",
            named,
        ):
            found[row["record"]].append(row)
    return found


def settle(tx: Tx, id_: str, round_: int, error: str, now: datetime) -> bool:
    """Note what became of a try; `error` "" when it was written. False where it is done or was asked for anew."""
    return bool(
        tx.run(
            "UPDATE data_hub_deliveries SET state = :state, tries = tries + 1, error = :error, tried_at = :now, "
            "done_at = :done WHERE id = :id AND round = :round AND state <> 'done'",
            {
                "id": id_,
                "round": round_,
                "state": "failed" if error else "done",
                "error": error or None,
                "now": to_text(now),
                "done": None if error else to_text(now),
            },
        )
    )


def ask_again(tx: Tx, id_: str) -> int | None:
    """A delivery that is not done is pending once more; its new round, None where it is done."""
    row = tx.one(
        "UPDATE data_hub_deliveries SET state = 'pending', round = round + 1 WHERE id = :id AND state <> 'done' "
        "RETURNING round",
        {"id": id_},
    )
    return int(row["round"]) if row is not None else None


def counts(tx: Tx, campaign: str) -> dict[str, int]:
    """How many records and deliveries there are, by state."""
    found = dict.fromkeys(("records", "dropped", "pending", "done", "failed"), 0)
    for row in tx.all(
        "SELECT state, count(*) AS n FROM data_hub_records WHERE campaign = :campaign GROUP BY state",
        {"campaign": campaign},
    ):
        found["records" if row["state"] == "archived" else "dropped"] = int(row["n"])
    for row in tx.all(
        "SELECT state, count(*) AS n FROM data_hub_deliveries WHERE campaign = :campaign GROUP BY state",
        {"campaign": campaign},
    ):
        found[row["state"]] = int(row["n"])
    return found


# -- targets and sources ----------------------------------------------------------------------------------------------


def target_state(tx: Tx, campaign: str, target: str) -> Row | None:
    """How a target does; None before its first try."""
    return tx.one(
        "SELECT * FROM data_hub_targets WHERE campaign = :campaign AND target = :target",
        {"campaign": campaign, "target": target},
    )


def target_counts(tx: Tx, campaign: str) -> dict[str, dict[str, int]]:
    """How many deliveries each target has, by state."""
    found: dict[str, dict[str, int]] = {}
    for row in tx.all(
        "SELECT target, state, count(*) AS n FROM data_hub_deliveries WHERE campaign = :campaign "
        "GROUP BY target, state",
        {"campaign": campaign},
    ):
        found.setdefault(row["target"], {})[row["state"]] = int(row["n"])
    return found


def target_answered(tx: Tx, campaign: str, target: str, now: datetime) -> None:
    """A target took a record."""
    tx.run(
        "INSERT INTO data_hub_targets (campaign, target, ok_at) VALUES (:campaign, :target, :now) "
        "ON CONFLICT (campaign, target) DO UPDATE SET failures = 0, failing_since = NULL, next_at = NULL, "
        "ok_at = :now, error = NULL",
        {"campaign": campaign, "target": target, "now": to_text(now)},
    )


def target_failed(tx: Tx, campaign: str, target: str, error: str, now: datetime) -> int:
    """A target did not answer as it should; how many times in a row."""
    row = tx.one(
        "INSERT INTO data_hub_targets (campaign, target, failures, failing_since, error) "
        "VALUES (:campaign, :target, 1, :now, :error) ON CONFLICT (campaign, target) DO UPDATE SET "
        "failures = data_hub_targets.failures + 1, failing_since = coalesce(data_hub_targets.failing_since, :now), "
        "error = :error RETURNING failures",
        {"campaign": campaign, "target": target, "now": to_text(now), "error": error},
    )
    assert row is not None  # an insert or an update, always one row
    return int(row["failures"])


def rest_target(tx: Tx, campaign: str, target: str, until: datetime | None) -> None:
    """Leave a target alone until then; None: it may be called at once."""
    tx.run(
        "UPDATE data_hub_targets SET next_at = :until WHERE campaign = :campaign AND target = :target",
        {"campaign": campaign, "target": target, "until": to_text(until) if until is not None else None},
    )


def note_source(tx: Tx, campaign: str, model: str, source: str, cursor: str, records: int, now: datetime) -> None:
    """A source has come this far; "" keeps the cursor that it told before."""
    tx.run(
        "INSERT INTO data_hub_sources (campaign, model, source, cursor, records, updated_at) "
        "VALUES (:campaign, :model, :source, :cursor, :records, :now) ON CONFLICT (campaign, model, source) "
        "DO UPDATE SET cursor = CASE WHEN :cursor = '' THEN data_hub_sources.cursor ELSE :cursor END, "
        "records = data_hub_sources.records + :records, updated_at = :now",
        {
            "campaign": campaign,
            "model": model,
            "source": source,
            "cursor": cursor,
            "records": records,
            "now": to_text(now),
        },
    )


def sources(tx: Tx, campaign: str, model: str) -> list[Row]:
    """Every source of a model, by name."""
    return tx.all(
        "SELECT source, cursor, records, updated_at FROM data_hub_sources "
        "WHERE campaign = :campaign AND model = :model ORDER BY source",
        {"campaign": campaign, "model": model},
    )
