"""The API's own description: `openapi.json` for programs, `docs` for people, all made from the code.

`docs` is everything on one page, `docs/<object>` one object's calls, `docs/errors` every code with its cure; in the
language of `?lang=`, else of the browser.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, Response, jsonify, make_response, render_template, request, url_for

from gateway.contract.campaign_kind import Route
from gateway.contract.errors import Refused
from gateway.web.api.codes import codes
from gateway.web.api.guard import open_to
from gateway.web.api.samples import curl
from gateway.web.api.surface import Surface
from gateway.web.api.titles import CALLS, OBJECTS, WORDS

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def document_blueprint(surface: Surface) -> Blueprint:
    """`/openapi.json` and `/docs`, open to whoever asks."""
    blueprint = Blueprint("document", __name__, template_folder="templates")

    @blueprint.get("/openapi.json")
    @open_to("open")
    def openapi() -> Response:
        return jsonify(surface.document())

    def page(template: str, **values: Any) -> Response:
        lang = _language()
        others = {"zh": url_for(request.endpoint or "", **{**(request.view_args or {}), "lang": "zh"})}
        others["en"] = url_for(request.endpoint or "", **{**(request.view_args or {}), "lang": "en"})
        sandbox = "/sandbox" if surface.runtime.config.sandbox.enabled else ""
        words = {name: pair[lang == "zh"] for name, pair in WORDS.items()}
        objects = [(tag, pair[lang == "zh"]) for tag, pair in OBJECTS.items()]
        style = url_for("static", filename="css/base.css"), url_for("static", filename="css/docs.css")
        response = make_response(
            render_template(
                template,
                lang=lang,
                words=words,
                objects=objects,
                others=others,
                sandbox=sandbox,
                style=style,
                script=url_for("static", filename="js/copy.js"),
                **values,
            )
        )
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Content-Language"] = "zh-CN" if lang == "zh" else "en"
        response.headers["Vary"] = "Accept-Language"
        return response

    @blueprint.get("/docs")
    @open_to("open")
    def docs() -> Response:
        document = surface.document()
        return page(
            "api/docs.html",
            info=document["info"],
            calls=_calls(document),
            models=_objects(document),
            codes={one.code: one.meaning for one in codes()},
        )

    @blueprint.get("/docs/errors")
    @open_to("open")
    def docs_errors() -> Response:
        return page("api/errors.html", codes=codes())

    @blueprint.get("/docs/<tag>")
    @open_to("open")
    def docs_object(tag: str) -> Response:
        if tag not in OBJECTS:
            raise Refused("not_found", 404)
        document, zh = surface.document(), _language() == "zh"
        calls = [call for call in _calls(document) if call["tag"] == tag]
        if zh:
            calls = [{**call, "summary": CALLS.get(call["name"], call["summary"])} for call in calls]
        wanted = _reached(document, {name for call in calls for name in call["models"]})
        models = [model for model in _objects(document) if model["name"] in wanted]
        kinds = _kinds(surface) if tag == "campaigns" else None
        return page("api/object.html", tag=tag, title=OBJECTS[tag][zh], calls=calls, models=models, kinds=kinds)

    return blueprint


def _calls(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "method": method.upper(),
            "path": path,
            "name": operation["operationId"],
            "tag": operation["tags"][0],
            "curl": curl(method.upper(), path, operation, document["components"]["schemas"]),
            "models": {
                name
                for name in (_model(operation.get("requestBody", {})), *map(_model, operation["responses"].values()))
                if name
            },
            "summary": operation["summary"],
            "role": operation["x-role"],
            "parameters": operation["parameters"],
            "body": _model(operation.get("requestBody", {})),
            "answers": [(status, _model(answer)) for status, answer in sorted(operation["responses"].items())],
        }
        for path, methods in sorted(document["paths"].items())
        for method, operation in sorted(methods.items())
    ]


def _kinds(surface: Surface) -> list[tuple[str, list[Route]]]:
    """Each installed kind of campaign with those of its calls that this gateway answers."""
    runtime = surface.runtime
    return [
        (slug, [route for route in kind.routes if runtime.config.sandbox.enabled or not route.sandbox])
        for slug, kind in sorted(runtime.registry.campaigns.items())
    ]


def _objects(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "about": schema.get("description", ""),
            "fields": [
                (field, _type(shape), field in schema.get("required", []))
                for field, shape in schema.get("properties", {}).items()
            ],
        }
        for name, schema in sorted(document["components"]["schemas"].items())
    ]


def _language() -> str:
    """`zh` or `en`."""
    wanted = request.args.get("lang", "")
    if wanted[:2] in {"zh", "en"}:
        return wanted[:2]
    return request.accept_languages.best_match(["en", "zh"]) or "en"


def _reached(document: Mapping[str, Any], names: set[str]) -> set[str]:
    """These models and all that they are made of."""
    schemas, found, ahead = document["components"]["schemas"], set[str](), set(names)
    while ahead:
        name = ahead.pop()
        found.add(name)
        refs = re.findall(r"#/components/schemas/(\w+)", json.dumps(schemas.get(name, {})))
        ahead |= set(refs) - found
    return found


def _model(part: Mapping[str, Any]) -> str:
    schema = part.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _type(shape: Mapping[str, Any]) -> str:
    """A field's type in a few words."""
    found = str(shape.get("const", shape.get("type", "anything")))
    if "$ref" in shape:
        found = str(shape["$ref"]).rpartition("/")[2]
    elif "anyOf" in shape:
        found = " or ".join(_type(one) for one in shape["anyOf"])
    elif "enum" in shape:
        found = " | ".join(str(word) for word in shape["enum"])
    elif found == "array":
        found = f"list of {_type(shape.get('items', {}))}"
    elif isinstance(shape.get("additionalProperties"), Mapping):
        found = f"object of {_type(shape['additionalProperties'])}"
    return found
