"""The hub in the console: its models, what is archived, where it went and how the targets do.

What a record holds is shown to whoever is granted its model, and to nobody else; its key, its hash and where it went to
every operator of the circle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from campaigns.data_hub import deliveries, tables
from campaigns.data_hub.models import Model, Rule
from campaigns.data_hub.settings import HubSettings, Target
from campaigns.data_hub.writers import secret_text, signing_key
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import ConsolePage, GoTo, Pages, Seen, Show, Visit
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx

_PAGE: Final = 50
_LONGEST_ID: Final = 64


def show_models(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """`/models`: every model with its fields, chain and stored versions."""
    settings: HubSettings = campaign.settings

    def look(tx: Tx) -> dict[str, list[dict[str, Any]]]:
        return {id_: [_plain(row) for row in tables.versions(tx, campaign.slug, id_)] for id_ in settings.models}

    stored = house.store.read(look)
    rows = [_model(model, stored[id_], _name(visit)) for id_, model in sorted(settings.models.items())]
    selected = [
        {"model": id_, "version": one.version, "fields": one.fields} for id_, one in sorted(settings.select.items())
    ]
    return Show("data_hub/models.html", {**_frame(house, campaign, "models"), "rows": rows, "selected": selected})


def show_records(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """`/records?model=&before=`: one model's archive, newest first, with what became of each record."""
    settings: HubSettings = campaign.settings
    chosen = visit.query.get("model", "")
    model = settings.models.get(chosen) or next(iter(settings.models.values()), None)
    before = visit.query.get("before", "")
    before_seq = int(before) if before.isascii() and before.isdecimal() and len(before) < 19 else 0  # noqa: PLR2004 - 64 bits

    def look(tx: Tx) -> tuple[list[Row], Mapping[str, Sequence[Row]], list[Row]]:
        if model is None:
            return [], {}, []
        rows = tables.records_before(tx, campaign.slug, model.id, before_seq, _PAGE + 1)
        sources = tables.sources(tx, campaign.slug, model.id)
        return rows, tables.deliveries_of(tx, [row["id"] for row in rows[:_PAGE]]), sources

    rows, went, sources = house.store.read(look)
    may_read = model is not None and _name(visit) in model.grants
    frame = _frame(house, campaign, "records")
    following = ""
    if model is not None and len(rows) > _PAGE:
        following = _address(frame["base"], "/records", model=model.id, before=str(rows[_PAGE - 1]["seq"]))
    values = {
        "model": model.id if model is not None else "",
        "models": [
            (id_, _address(frame["base"], "/records", model=id_), model is not None and id_ == model.id)
            for id_ in sorted(settings.models)
        ],
        "rows": [_record(row, went[row["id"]], may_read=may_read) for row in rows[:_PAGE]],
        "sources": [_plain(row) for row in sources],
        "may_read": may_read,
        "following": following,
    }
    return Show("data_hub/records.html", {**frame, **values})


def show_deliveries(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """`/deliveries?state=&target=&before=`: how each target does, and every delivery with its retry."""
    settings: HubSettings = campaign.settings
    state = visit.query.get("state", "")
    state = state if state in tables.DELIVERY_STATES else ""
    target = visit.query.get("target", "")
    target = target if target in settings.targets else ""
    before = visit.query.get("before", "")[:_LONGEST_ID]

    def look(tx: Tx) -> tuple[list[Row], dict[str, dict[str, int]], dict[str, Row | None]]:
        rows = tables.deliveries(tx, campaign.slug, settings.models, state, target, before, _PAGE + 1)
        stood = {name: tables.target_state(tx, campaign.slug, name) for name in settings.targets}
        return rows, tables.target_counts(tx, campaign.slug), stood

    rows, counted, stood = house.store.read(look)
    frame = _frame(house, campaign, "deliveries")
    base, kept = frame["base"], {"target": target}
    following = ""
    if len(rows) > _PAGE:
        following = _address(base, "/deliveries", state=state, before=rows[_PAGE - 1]["id"], **kept)
    values = {
        "targets": [
            _target(house, campaign, one, stood[name], counted.get(name, {}), to_text(visit.now))
            for name, one in sorted(settings.targets.items())
        ],
        "rows": [_plain(row) for row in rows[:_PAGE]],
        "state": state,
        "target": target,
        "states": [
            (name, _address(base, "/deliveries", state=name, **kept), name == state)
            for name in ("", *tables.DELIVERY_STATES)
        ],
        "following": following,
    }
    return Show("data_hub/deliveries.html", {**frame, **values})


def retry(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """The form beside a delivery: tried at once."""
    who, id_ = _name(visit), visit.form.get("delivery", "")[:_LONGEST_ID]
    row = house.store.write(lambda tx: deliveries.retry(tx, house, campaign, id_, who, visit.now))
    back = f"/admin/campaigns/{campaign.slug}/deliveries"
    if row["state"] == "done":
        return GoTo(back, notice="这条已经写入，没有再发。")
    return GoTo(back, notice="已排队重试，几秒后刷新看结果。")


def _name(visit: Visit) -> str:
    if visit.caller is None:
        raise Refused("forbidden", 403)
    return visit.caller.name


def _frame(house: House, campaign: CampaignView, here: str) -> dict[str, Any]:
    """What every page of the hub is given."""
    return {
        "campaign": campaign,
        "hub": campaign.slug,
        "base": f"/admin/campaigns/{campaign.slug}",
        "here_page": here,
        "zone": house.catalogue().zone(None),
    }


def _address(base: str, path: str, **query: str) -> str:
    asked = urlencode({name: value for name, value in query.items() if value})
    return f"{base}{path}?{asked}" if asked else f"{base}{path}"


def _plain(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in row.keys()}  # noqa: SIM118 - a row is no mapping


def _model(model: Model, versions: Sequence[Mapping[str, Any]], who: str) -> dict[str, Any]:
    return {
        "id": model.id,
        "version": model.version,
        "fields": [
            {
                "key": known.key,
                "module": known.module,
                "type": known.type,
                "required": known.required,
                "map": sorted(known.map.items()),
                "rule": _bounds(known.rule),
                "longest": known.rule.longest,
            }
            for known in sorted(model.fields.values(), key=lambda one: (not one.required, one.key))
        ],
        "chain": [_step(rule) for rule in model.chain],
        "targets": model.targets,
        "grants": sorted(model.grants),
        "is_granted": who in model.grants,
        "keep_days": model.keep_days,
        "versions": versions,
    }


def _bounds(rule: Rule) -> str:
    """A field's rule in signs, the same in every language: `≥ 0 · ≤ 100`."""
    parts = [
        f"≥ {rule.min}" if rule.min is not None else "",
        f"≤ {rule.max}" if rule.max is not None else "",
        " | ".join(map(str, rule.one_of)),
    ]
    return " · ".join(part for part in parts if part)


def _step(rule: Mapping[str, Any]) -> dict[str, str]:
    settings = {name: value for name, value in rule.items() if name != "handler"}
    return {"handler": rule["handler"], "settings": json.dumps(settings, ensure_ascii=False, sort_keys=True)}


def _record(row: Row, went: Sequence[Row], *, may_read: bool) -> dict[str, Any]:
    shown = ("key", "version", "state", "reason", "hash", "source", "created_at", "model_version")
    content = json.dumps(json.loads(row["data"]), ensure_ascii=False, indent=1) if may_read and row["data"] else ""
    return {**{name: row[name] for name in shown}, "went": [_plain(one) for one in went], "content": content}


def _target(
    house: House, campaign: CampaignView, target: Target, stood: Row | None, counted: Mapping[str, int], now: str
) -> dict[str, Any]:
    resting = stood is not None and stood["next_at"] is not None and stood["next_at"] > now
    failing = stood is not None and stood["failures"] > 0
    is_new = stood is None or (stood["ok_at"] is None and not failing)
    host = urlsplit(target.url).hostname if target.url else ""
    secret = secret_text(signing_key(house, campaign.slug, target.name)) if target.kind == "http" else ""
    return {
        "name": target.name,
        "kind": target.kind,
        # An address may hold a password or a secret path: its host is enough to know it by.
        "where": target.file or host or "",
        "how": "down" if resting else "attention" if failing else "unverified" if is_new else "ok",
        "counts": counted,
        "ok_at": stood["ok_at"] if stood is not None else None,
        "failing_since": stood["failing_since"] if stood is not None else None,
        "next_at": stood["next_at"] if resting and stood is not None else None,
        "error": stood["error"] if stood is not None else None,
        "secret": secret,
    }


PAGES: Final = Pages(
    title="数据治理",
    folder=Path(__file__).parent,
    console=(
        ConsolePage("/models", show_models, role="operator", label="数据模型"),
        ConsolePage("/records", show_records, role="operator", label="归档记录"),
        ConsolePage("/deliveries", show_deliveries, role="operator", label="写入目标"),
        ConsolePage("/deliveries/retry", retry, role="operator", methods=("POST",)),
    ),
)
