"""XML as it comes over the wire, read without trust, and the few kinds of value in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Final
from xml.etree.ElementTree import ParseError

from defusedxml.ElementTree import fromstring

from gateway.contract import Fen, Malformed
from gateway.contract.clock import BEIJING
from gateway.contract.money import MAX_FEN

MAX_BODY: Final = 64 * 1024
"""A notification has two or three kilobytes."""
LONGEST: Final = 512
"""Characters of one value that is kept: the platform's longest has 128."""
_WHOLE: Final = re.compile(r"(?:0|[1-9][0-9]{0,12})\Z", re.ASCII)
_DIGITS_14: Final = re.compile(r"[0-9]{14}\Z", re.ASCII)


def read_xml(raw: bytes, root: str) -> dict[str, str]:
    """`<root><name>value</name>…</root>` → values by name, as they stand, empty ones too.

    A DTD is refused before anything in it is looked at: WeChat's own v2 SDK was open to external entities through the
    notification URL (CVE-2018-13439). Raises Malformed for that, for another shape, and for a name given twice.
    """
    if len(raw) > MAX_BODY:
        raise Malformed(f"over {MAX_BODY} bytes")
    try:
        tree = fromstring(raw, forbid_dtd=True)
    except (ParseError, ValueError, LookupError):  # LookupError: an encoding nobody knows
        raise Malformed("not XML, or XML with a DTD") from None
    if tree.tag != root:
        raise Malformed(f"not a <{root}> document")
    values: dict[str, str] = {}
    for child in tree:
        if len(child):
            raise Malformed("nested XML")
        if child.tag in values:
            raise Malformed("a name is given twice")
        values[child.tag] = child.text or ""
    return values


def word(told: Mapping[str, str], name: str) -> str:
    """The text that has to be there. Raises Malformed when it is absent, empty or too long."""
    value = words(told, name)
    if value is None:
        raise Malformed(f"no {name}")
    return value


def words(told: Mapping[str, str], name: str) -> str | None:
    """The text that may be there; absent and empty are None. Raises Malformed when it is too long."""
    value = told.get(name) or None
    if value is not None and len(value) > LONGEST:
        raise Malformed(f"{name} is too long")
    return value


def count(told: Mapping[str, str], name: str) -> Fen:
    """An amount in fen, written as a plain whole number. Raises Malformed otherwise, and above `MAX_FEN`."""
    value = told.get(name, "")
    if _WHOLE.match(value) is None or int(value) > MAX_FEN:
        raise Malformed(f"no usable amount {name}")
    return Fen(int(value))


def paid_time(text: str) -> datetime:
    """`yyyyMMddHHmmss` in Beijing → aware UTC. Raises Malformed otherwise."""
    if _DIGITS_14.match(text) is None:
        raise Malformed("not a time")
    return _beijing(f"{text[:8]}T{text[8:]}")


def refund_time(text: str) -> datetime:
    """`yyyy-MM-dd HH:mm:ss` in Beijing → aware UTC. Raises Malformed otherwise."""
    if len(text) != len("2020-01-04 18:34:24"):
        raise Malformed("not a time")
    return _beijing(text)


def _beijing(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            raise Malformed("not a time of Beijing")
        return moment.replace(tzinfo=BEIJING).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise Malformed("not a time") from None
