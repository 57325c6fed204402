"""The zones in which shops' times are shown."""

from __future__ import annotations

from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.catalog.specs import DEFAULT_ZONE
from gateway.contract.clock import BEIJING


def zone_named(name: str) -> tzinfo:
    """A zone by name; China's, and what this machine does not know, as a fixed offset that needs no zone files."""
    if name == DEFAULT_ZONE:
        return BEIJING
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return BEIJING
