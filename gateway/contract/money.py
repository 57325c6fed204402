"""Money is a whole number of fen (分, a hundredth of a yuan); rates are basis points. No float anywhere."""

from __future__ import annotations

import re
from typing import Final, NewType

Fen = NewType("Fen", int)
Bps = NewType("Bps", int)

MAX_FEN: Final = 10**12
"""Ten billion yuan: above it an amount is a fault, not a payment."""

_YUAN = re.compile(r"(0|[1-9][0-9]{0,9})(?:\.([0-9]{1,2}))?\Z", re.ASCII)


def fen_of_yuan(text: str) -> Fen:
    """`"12"`, `"0.10"`, `"12.5"` → fen. Raises ValueError for anything else (`1e2`, `-1.00`, `0.001`, ` 1`)."""
    match = _YUAN.match(text)
    if match is None:
        raise ValueError("not an amount in yuan with at most two decimals")
    whole, part = match.group(1), (match.group(2) or "").ljust(2, "0")
    return Fen(int(whole) * 100 + int(part))


def yuan_of_fen(fen: int) -> str:
    """Fen → `"12.80"`, always two decimals, a minus sign in front when negative."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def share(amount: Fen, rate: Bps) -> Fen:
    """The part of `amount` that `rate` basis points are, rounded down to the fen."""
    return Fen(amount * rate // 10_000)
