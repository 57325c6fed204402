"""The data hub under the campaigns' common contract."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import campaigns.data_hub as data_hub_package
from campaigns.conformance import CampaignContract, Stage, Step
from campaigns.data_hub.handlers import assemble
from campaigns.data_hub.kind import kind as data_hub
from campaigns.data_hub.models import canonical, digest, for_target, record_faults
from campaigns.data_hub.settings import load_settings
from tests.support.both import OnBothDatabases

TABLE = tomllib.loads("""
[models.visit]
version = 1
grants = ["operator-lane", "admin-all"]
chain = [{ handler = "rename", from = "amt", to = "amount_fen" }]
targets = ["lake"]
[models.visit.fields.amount_fen]
module = "payment"
type = "int"
required = true
map = { lake = "amount" }
[targets.lake]
kind = "sqlite"
file = "visits.db"
""")


def push(key: str, version: int = 1, fen: int = 100) -> Step:
    """A record comes in."""

    def step(stage: Stage) -> object:
        return stage.call("POST", "/models/visit/records", {"key": key, "version": version, "data": {"amt": fen}})

    return step


def changed(path: str, value: Any) -> Mapping[str, Any]:
    """TABLE with one value changed."""
    table = copy.deepcopy(TABLE)
    *way, last = path.split("/")
    part = table
    for name in way:
        part = part[name]
    part[last] = value
    return table


def worked_sum() -> list[str]:
    """The README's example, as its own table makes it of what the till pushes there."""
    text = (Path(data_hub_package.__file__).parent / "README.md").read_text("utf-8")
    table = tomllib.loads(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0])["campaign"]["hub"]
    pushed = json.loads(re.findall(r"```json\n(.*?)```", text, re.DOTALL)[0])
    model = load_settings({name: table[name] for name in ("models", "targets")}).models["visit"]
    made = assemble(model.chain, pushed["data"])
    assert list(record_faults(model, made)) == []
    sent = {**for_target(model, "crm", made), model.key_as["crm"]: pushed["key"]}
    row = for_target(model, "books", made)
    return [
        canonical(made).decode(),
        digest(made)[:16],
        json.dumps(sent, separators=(",", ":")),
        f"`{pushed['key']}, {pushed['version']}, …, {row['amount_fen']}, {row['total_fen']}`",
        f"{made['amount_fen']} + {made['tip_fen']} = {made['total_fen']}",
    ]


class TestDataHub(OnBothDatabases, CampaignContract):
    """R210–R215 as every campaign holds them: it gives nothing away, so that there is nothing to take back."""

    kind = data_hub
    gives = False
    worked_sum: Sequence[str] = worked_sum()

    def settings(self) -> Mapping[str, Any]:
        return TABLE

    def bad_settings(self) -> Iterable[tuple[Mapping[str, Any], str]]:
        yield changed("models/visit/version", 0), "models.visit.version"
        yield changed("models/visit/chain", [{"handler": "eval"}]), "models.visit.chain.0.handler"
        yield changed("models/visit/fields/amount_fen/type", "money"), "models.visit.fields.amount_fen.type"
        yield changed("models/visit/targets", ["erp"]), "models.visit.targets"
        yield changed("targets/lake/file", "../../drainage.db"), "targets.lake.file"

    def rewarding_events(self) -> Sequence[Step]:
        return (
            push("v-1"),
            push("v-2", fen=200),
            push("v-1", version=2, fen=300),
            lambda stage: stage.work(),
            lambda stage: stage.call("GET", "/models/visit/data", wants=200),
            push("v-1"),
            lambda stage: stage.later(minutes=5),
        )

    def bodies(self) -> Mapping[str, Mapping[str, Any]]:
        record = {"key": "v-1", "version": 1, "data": {"amt": 100}, "source": "till", "cursor": "c-1"}
        return {
            "POST /models/<model>/records": record,
            "POST /models/<model>/batches": {"records": [{"key": "v-2", "version": 1, "data": {"amt": 5}}]},
        }
