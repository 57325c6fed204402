"""When the outbox looks again at an unpaid order and at a refund. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

_ORDER_STEPS: Final = (5, 10, 20, 40)
_ORDER_LATER: Final = 60
_REFUND_STEPS: Final = (15, 60, 60, 60, 60, 300, 600, 1200)
_REFUND_LATER: Final = 1800

BETWEEN_REFUNDS: Final = timedelta(seconds=61)
"""WeChat Pay wants a minute between two partial refunds of one payment."""

DECLINED_AGAIN: Final = timedelta(hours=1)
"""A refund that the platform declined (no balance, say) is sent again under its own number after this."""


def next_order_look(asked: int, now: datetime, expires_at: datetime) -> datetime:
    """After the `asked`-th look: seconds while the order is young, then each minute, and at the end of its hold."""
    step = _ORDER_STEPS[asked] if asked < len(_ORDER_STEPS) else _ORDER_LATER
    due = now + timedelta(seconds=step)
    return expires_at if now < expires_at < due else due


def next_refund_look(asked: int, now: datetime) -> datetime:
    """After the `asked`-th look: soon, each minute for five, then rarely; a bank card takes days."""
    return now + timedelta(seconds=_REFUND_STEPS[asked] if asked < len(_REFUND_STEPS) else _REFUND_LATER)
