"""Sample calls for the documentation: a body that fits a model's schema, and the `curl` that sends it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

_DEEPEST: Final = 6
_PATH: Final = {
    "code": "H7KQ2M9WXT4B5",
    "transaction_id": "4200000000202611220000000001",
    "person_id": "p_0199",
    "order_id": "ord_0199",
    "nonce": "scan-0001",
    "campaign": "CAMPAIGN",
}
_TEXTS: Final = {"username": "小周", "password": "…", "new_password": "…"}


def curl(method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """The command for one operation of the document. `$BASE` and `$TOKEN` are the reader's own."""
    address = re.sub(r"\{(\w+)\}", lambda found: _PATH.get(found.group(1), found.group(1)), path)
    lines = [f'curl -sS -X {method} "$BASE{address}"']
    if operation["x-role"] != "open":
        lines.append('-H "Authorization: Bearer $TOKEN"')
    headers = (one["name"] for one in operation["parameters"] if one["in"] == "header")
    lines += [f'-H "{name}: scan-0001"' for name in headers]
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if schema is not None:
        body = json.dumps(sample(schema, schemas), ensure_ascii=False)
        lines += ["-H 'Content-Type: application/json'", f"-d '{body}'"]
    return " \\\n  ".join(lines)


def sample(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str = "", depth: int = 0) -> Any:
    """A value of this schema; what need not be there is left out."""
    schema = _plain(schema, schemas)
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else schema["enum"][0]
    kind = schema.get("type")
    if kind in {"object", "array"} and depth < _DEEPEST:
        return _many(schema, schemas, name, depth + 1)
    if kind in {"integer", "number"}:
        return max(1, int(schema.get("minimum", 1)))
    return False if kind == "boolean" else _TEXTS.get(name, _PATH.get(name, name or "text"))


def _plain(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema behind references and choices, the first of each."""
    for _step in range(_DEEPEST):
        if "$ref" in schema:
            schema = schemas.get(str(schema["$ref"]).rpartition("/")[2], {})
            continue
        among = next((schema[key] for key in ("anyOf", "oneOf", "allOf") if schema.get(key)), None)
        if among is None:
            break
        schema = among[0]
    return schema


def _many(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str, depth: int) -> Any:
    if schema["type"] == "array":
        return [sample(schema.get("items", {}), schemas, name, depth)]
    required = schema.get("required", [])
    fields = {key: one for key, one in schema.get("properties", {}).items() if key in required}
    return {key: sample(one, schemas, key, depth) for key, one in fields.items()}
