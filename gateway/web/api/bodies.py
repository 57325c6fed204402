"""Request bodies: JSON objects without surprises, or a refusal that repeats nothing of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gateway.contract.errors import Refused


def check_body(body: bytes, mimetype: str, *, is_json: bool) -> None:
    """Whether a body may go on to its model; an empty one may.

    Raises Refused: `unsupported_media_type` (415) for another media type, `bad_request` (400) for what is no JSON, or
    no object, names a field twice, holds NaN, a zero character or half a surrogate pair (no store keeps those).
    """
    if not body:
        return
    if not is_json:
        raise Refused("unsupported_media_type", 415, mimetype)
    try:
        value = json.loads(body, object_pairs_hook=_once, parse_constant=_never)
    except (ValueError, RecursionError):
        raise Refused("bad_request", 400) from None
    if not isinstance(value, dict) or not is_storable(value):
        raise Refused("bad_request", 400)


def is_storable(value: Any) -> bool:
    """Whether every text within `value`, keys included, can be kept by any store."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, str) and ("\x00" in part or not _is_utf8(part)):
            return False
        if isinstance(part, Mapping):
            left += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            left += part
    return True


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is there twice")
    return found


def _never(_name: str) -> Any:
    raise ValueError("not a number of JSON")
