"""JSON as it comes over the wire, read without trust: one small question a function, Malformed for no answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, Final

import orjson

from gateway.contract import Fen, Malformed
from gateway.contract.money import MAX_FEN

LONGEST: Final = 1024
"""Characters of all kept values together: the platform's longest (`attach`, openid) have 128 each, and an index row
of the store could not hold 60,000."""


def read_object(raw: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8.

    Raises Malformed for anything else, and for a name given twice, since readers disagree on which one counts.
    """
    try:
        value = orjson.loads(raw)
        if type(value) is not dict:
            raise Malformed("not a JSON object")
        # The fast decoder keeps the last of two equal names silently and a careful one costs ten times as much. Text
        # that comes out again as it went in had no doubles; that is how the platform writes, so few need the second.
        if orjson.dumps(value) != raw:
            json.loads(raw, object_pairs_hook=_refuse_doubles)
    except (ValueError, TypeError, RecursionError):  # TypeError: nested deeper than the encoder goes
        raise Malformed("not JSON") from None
    return value


def texts(values: Iterable[Any]) -> list[Any]:
    """The same values, each a text or falsy (absent, null, empty).

    Raises Malformed when one is something else, when they are too long together, or hold U+0000, which PostgreSQL
    does not keep. They are looked at as one text: one by one costs more than the decryption does.
    """
    found = list(values)
    try:
        joined = "".join(filter(None, found))
    except TypeError:
        raise Malformed("not a text where one is wanted") from None
    if len(joined) > LONGEST or "\0" in joined:
        raise Malformed("texts that are too long, or hold a zero character")
    return found


def count(told: Mapping[str, Any], name: str) -> Fen:
    """An amount in fen. Raises Malformed unless it is a true integer from 0 to `MAX_FEN`.

    A bool, a float (also what orjson makes of integers over 64 bits) and a string are none.
    """
    value = told.get(name)
    if type(value) is not int or not 0 <= value <= MAX_FEN:
        raise Malformed(f"no usable amount {name}")
    return Fen(value)


def instant(text: str) -> datetime:
    """RFC 3339 with a zone → aware UTC. Raises Malformed otherwise."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise Malformed("a time without a zone")
        return moment.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise Malformed("not a time") from None


def _refuse_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Malformed("a name is given twice")
    return made
