"""Values that the tests share."""

from __future__ import annotations

from typing import Final

from hypothesis import settings

NOT_AMOUNTS: Final = (
    1.5,
    1e2,
    -1,
    "-1.00",
    "1e2",
    "1,00",
    "0x10",
    "１",
    "",
    " ",
    "NaN",
    None,
    True,
    [1],
    10**13,
    2**64,
)
"""What no platform may mean by an amount in fen."""

SETTINGS: Final = settings(database=None, deadline=None, max_examples=60, derandomize=True)
"""Repeatable, with nothing kept between runs, and no limit on time."""
