"""JSON as the store keeps it: compact text with sorted keys, so that equal values are equal text."""

from __future__ import annotations

from typing import Any

import orjson


def json_text(value: Any) -> str:
    """A JSON value as text. Raises TypeError (orjson's) for what is none."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
