"""When a payout is looked at again. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

_STEPS: Final = (5, 10, 20, 40, 60, 120, 300, 300, 600)
_LATER: Final = 1800

WITHOUT_TILL: Final = timedelta(hours=1)
"""A payout whose channel is gone or cannot send is tried again after this."""

UNKNOWN_ALARM: Final = timedelta(hours=1)
"""A payout of which its platform says nothing for so long is an operator's matter."""

OVERDUE: Final = timedelta(hours=26)
"""WeChat Pay gives the payee 24 hours and may close later than that; a transfer open for longer is looked into."""


def next_look(asked: int, now: datetime) -> datetime:
    """After the `asked`-th look: within seconds at first, later each half hour."""
    return now + timedelta(seconds=_STEPS[asked] if asked < len(_STEPS) else _LATER)
