"""The hub's calls of the API: data out with a cursor, records in, deliveries and their retry (contract section 6).

Whoever calls needs an operator's token, and a grant for each model; a model without his grant is 403, an unknown one
404, and lists hold what he is granted alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from campaigns.data_hub import archive, deliveries, tables
from campaigns.data_hub.archive import Given, Kept, keep
from campaigns.data_hub.models import LARGEST, Model, definition, is_kept
from campaigns.data_hub.settings import HubSettings, Selection
from gateway.contract.campaign_kind import Reply, Request, Route
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx

KIND: Final = "data_hub"
_PAGE: Final = 100
_MOST_PAGE: Final = 500
_LONGEST_KEY: Final = 200
_LONGEST_CURSOR: Final = 200
_LONGEST_SOURCE: Final = 100
_MOST_AT_ONCE: Final = 200
_BATCH_BYTES: Final = 1024 * 1024


# -- who may ----------------------------------------------------------------------------------------------------------


def granted(settings: HubSettings, name: str) -> list[Model]:
    """The models that this caller may use."""
    return [model for model in settings.models.values() if name in model.grants]


def _model(request: Request, selection: Selection | None = None) -> Model:
    """The model that is asked for. Raises Refused `not_found` (404), `no_grant` (403)."""
    settings: HubSettings = request.campaign.settings
    model = settings.models.get(request.values["model"])
    if model is None:
        raise Refused("not_found", 404)
    by_selection = selection is not None and request.caller.name in selection.grants
    if request.caller.name not in model.grants and not by_selection:
        raise Refused("no_grant", 403, "this name is not granted the model")
    return model


def _invalid(**fields: str) -> Refused:
    return Refused("invalid", 422, fields=fields)


# -- data out ---------------------------------------------------------------------------------------------------------


def data(_tx: Tx | None, house: House, request: Request) -> Reply:
    """`GET /models/<model>/data`: archived records in order; `campaign` selects version and fields (R210, R215)."""
    selection = _selection(house, request)
    model = _model(request, selection)
    after = _number(request.query, "cursor", 0, 2**62)
    most = _number(request.query, "limit", _PAGE, _MOST_PAGE, least=1)
    window = house.store.read(lambda tx: archive.read(tx, request.campaign.slug, model, after, most, selection))
    return Reply(200, {"items": window.items, "next": window.next, "cursor": window.cursor})


def _selection(house: House, request: Request) -> Selection | None:
    """What the named campaign, one of this circle, selects of the model. Raises Refused `not_found`, `not_live`."""
    slug = request.query.get("campaign", "")
    if not slug:
        return None
    found = next((one for one in house.campaigns(KIND) if one.slug == slug), None)
    if found is None or found.circle != request.campaign.circle:
        raise Refused("not_found", 404)
    settings: HubSettings = found.settings
    selection = settings.select.get(request.values["model"])
    if selection is None:
        raise Refused("not_found", 404)
    if not found.is_open(request.now):
        raise Refused("not_live", 409, "the campaign is not live")
    return selection


def _number(query: Mapping[str, str], name: str, default: int, most: int, least: int = 0) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most):  # noqa: PLR2004 - 64 bits
        raise _invalid(**{name: "is none that was given"} if name == "cursor" else {name: f"is {least} to {most}"})
    return int(text)


def models(tx: Tx, _house: House, request: Request) -> Reply:
    """`GET /models`: the models that the caller is granted, as they stand, with the versions that are stored."""
    own = granted(request.campaign.settings, request.caller.name)
    return Reply(200, {"items": [_told(tx, request, model) for model in own]})


def one_model(tx: Tx, _house: House, request: Request) -> Reply:
    """`GET /models/<model>`."""
    return Reply(200, _told(tx, request, _model(request)))


def _told(tx: Tx, request: Request, model: Model) -> dict[str, Any]:
    stored = tables.versions(tx, request.campaign.slug, model.id)
    versions = [{name: row[name] for name in ("version", "revision", "hash", "created_at")} for row in stored]
    return {"model": model.id, "version": model.version, **definition(model), "versions": versions}


# -- records in -------------------------------------------------------------------------------------------------------


def add(tx: Tx, house: House, request: Request) -> Reply:
    """`POST /models/<model>/records`: one record; 201, or 200 where its key and version are there already."""
    model = _open_model(request)
    given = _given(request.body, _own(request.body, {"key", "version", "data", "source", "cursor"}))
    kept = keep(tx, house, request.campaign, model, given, request.now)
    _note_source(tx, request, model, given.source, int(kept.is_new))
    return Reply(201 if kept.is_new else 200, _answer(kept))


def add_many(tx: Tx, house: House, request: Request) -> Reply:
    """`POST /models/<model>/batches`: up to 200 records, each taken or refused by itself; 200 with a word for each."""
    model = _open_model(request)
    fields = _own(request.body, {"records", "source", "cursor"})
    found = request.body.get("records")
    if not isinstance(found, list) or not 1 <= len(found) <= _MOST_AT_ONCE:
        fields["records"] = f"must be a list of 1 to {_MOST_AT_ONCE} records"
    source = _source(request.body, fields)
    if fields:
        raise _invalid(**fields)
    items, new = [], 0
    for one in found or ():
        try:
            with tx.savepoint():
                if not isinstance(one, dict):
                    raise _invalid(record="must be an object")
                plain = _given({**one, "source": source} if source else one, _own(one, {"key", "version", "data"}))
                kept = keep(tx, house, request.campaign, model, plain, request.now)
        except Refused as refused:
            items.append({"status": refused.status, "code": refused.code, **refused.facts})
            continue
        new += kept.is_new
        items.append({"status": 201 if kept.is_new else 200, **_answer(kept)})
    _note_source(tx, request, model, source, new)
    return Reply(200, {"items": items})


def _open_model(request: Request) -> Model:
    model = _model(request)
    if not request.campaign.is_open(request.now):
        raise Refused("not_live", 409, "the campaign is not live")
    return model


def _own(body: Mapping[str, Any], known: set[str]) -> dict[str, str]:
    return {name[:_LONGEST_KEY]: "no such field" for name in list(body)[: archive.MOST_FAULTS] if name not in known}


def _given(body: Mapping[str, Any], fields: dict[str, str]) -> Given:
    """A record of a body. Raises Refused `invalid` with every fault; `fields` are those that are known already."""
    key, version, content = body.get("key"), body.get("version"), body.get("data")
    if not (isinstance(key, str) and 0 < len(key) <= _LONGEST_KEY and is_kept(key)):
        fields["key"] = f"must be text of 1 to {_LONGEST_KEY} characters"
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version <= LARGEST:
        fields["version"] = "must be a whole number from 0"
    if not isinstance(content, dict):
        fields["data"] = "must be an object"
    source = _source(body, fields)
    if fields:
        raise _invalid(**fields)
    assert isinstance(key, str)
    assert isinstance(version, int)
    assert isinstance(content, dict)
    return Given(key, version, content, source)


def _source(body: Mapping[str, Any], fields: dict[str, str]) -> str:
    for name, longest in (("source", _LONGEST_SOURCE), ("cursor", _LONGEST_CURSOR)):
        value = body.get(name, "")
        if not isinstance(value, str) or len(value) > longest or not is_kept(value):
            fields[name] = f"must be text of at most {longest} characters"
    if body.get("cursor") and not body.get("source"):
        fields.setdefault("source", "is required beside a cursor")
    return body["source"] if isinstance(body.get("source"), str) else ""


def _note_source(tx: Tx, request: Request, model: Model, source: str, new: int) -> None:
    if source:
        cursor = str(request.body.get("cursor", ""))
        tables.note_source(tx, request.campaign.slug, model.id, source, cursor, new, request.now)


def _answer(kept: Kept) -> dict[str, Any]:
    told = {"record": kept.row["id"], "hash": kept.row["hash"], "state": kept.row["state"]}
    if kept.row["state"] == "dropped":
        told["handler"] = kept.row["reason"]
    return {**told, "differs": True} if kept.differs else told


def sources(tx: Tx, _house: House, request: Request) -> Reply:
    """`GET /models/<model>/sources`: how far each source has come, so that it can go on from there (R215)."""
    model = _model(request)
    rows = tables.sources(tx, request.campaign.slug, model.id)
    names = ("source", "cursor", "records", "updated_at")
    return Reply(200, {"items": [{name: row[name] for name in names} for row in rows]})


# -- deliveries -------------------------------------------------------------------------------------------------------


def delivery_list(tx: Tx, _house: House, request: Request) -> Reply:
    """`GET /deliveries?state=&target=&cursor=`: newest first, of the models that the caller is granted."""
    state, target = request.query.get("state", ""), request.query.get("target", "")
    if state not in {"", *tables.DELIVERY_STATES}:
        raise _invalid(state=f"is one of {', '.join(tables.DELIVERY_STATES)}")
    most = _number(request.query, "limit", _PAGE, _MOST_PAGE, least=1)
    own = [model.id for model in granted(request.campaign.settings, request.caller.name)]
    before = request.query.get("cursor", "")
    rows = tables.deliveries(tx, request.campaign.slug, own, state, target, before, most + 1)
    return Reply(200, {"items": _deliveries(rows[:most]), "next": rows[most - 1]["id"] if len(rows) > most else None})


def retry(tx: Tx, house: House, request: Request) -> Reply:
    """`POST /deliveries/<delivery>/retry`: pending once more and tried at once; one that is done stays done."""
    settings: HubSettings = request.campaign.settings
    known = tables.delivery(tx, request.campaign.slug, request.values["delivery"])
    if known is None:
        raise Refused("not_found", 404)
    if known["model"] not in {model.id for model in granted(settings, request.caller.name)}:
        raise Refused("no_grant", 403, "this name is not granted the model")
    row = deliveries.retry(tx, house, request.campaign, known["id"], request.caller.name, request.now)
    return Reply(200, _deliveries([row])[0])


def _deliveries(rows: Sequence[Row]) -> list[dict[str, Any]]:
    names = ("record", "target", "state", "tries", "model", "key", "version", "error", "tried_at")
    return [{"delivery": row["id"], **{name: row[name] for name in names}} for row in rows]


ROUTES: Final = (
    Route("GET", "/models", models, role="operator"),
    Route("GET", "/models/<model>", one_model, role="operator"),
    Route("GET", "/models/<model>/data", data, role="operator", outside=True),
    Route("POST", "/models/<model>/records", add, role="operator"),
    Route("POST", "/models/<model>/batches", add_many, role="operator", most_bytes=_BATCH_BYTES),
    Route("GET", "/models/<model>/sources", sources, role="operator"),
    Route("GET", "/deliveries", delivery_list, role="operator"),
    Route("POST", "/deliveries/<delivery>/retry", retry, role="operator"),
)
