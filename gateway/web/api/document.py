"""The API's own description: `openapi.json` for programs, `docs` for people, both made from the code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, render_template

from gateway.web.api.guard import open_to
from gateway.web.api.messages import MESSAGES
from gateway.web.api.surface import Surface


def document_blueprint(surface: Surface) -> Blueprint:
    """`/openapi.json` and `/docs`, open to whoever asks."""
    blueprint = Blueprint("document", __name__, template_folder="templates")

    @blueprint.get("/openapi.json")
    @open_to("open")
    def openapi() -> Response:
        return jsonify(surface.document())

    @blueprint.get("/docs")
    @open_to("open")
    def docs() -> Response:
        document = surface.document()
        page = render_template(
            "api/docs.html", info=document["info"], calls=_calls(document), objects=_objects(document), codes=MESSAGES
        )
        response = make_response(page)
        response.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
        return response

    return blueprint


def _calls(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "method": method.upper(),
            "path": path,
            "summary": operation["summary"],
            "role": operation["x-role"],
            "parameters": operation["parameters"],
            "body": _model(operation.get("requestBody", {})),
            "answers": [(status, _model(answer)) for status, answer in sorted(operation["responses"].items())],
        }
        for path, methods in sorted(document["paths"].items())
        for method, operation in sorted(methods.items())
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
