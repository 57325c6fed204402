"""What the status page knows, as values, and the pure rules that call a channel well or ill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final, Literal

from gateway.catalog.directory import LiveChannel

State = Literal["ok", "attention", "down", "paused", "unverified", "quiet"]

RATE_OVER: Final = timedelta(minutes=5)
RELAY_OVER: Final = timedelta(hours=1)
QUIET_AFTER: Final = timedelta(minutes=15)
SLOW_MS: Final = 2000
WAITING_TOO_LONG: Final = timedelta(seconds=60)
BUDGET_LOW_PERCENT: Final = 90

_ENOUGH_TRIES: Final = 2
_FINE_PERCENT: Final = 99
_BROKEN_PERCENT: Final = 50


@dataclass(frozen=True, slots=True)
class Scope:
    """What the asker may see; None stands for everything."""

    merchants: frozenset[str] | None = None
    circles: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class RelayFigures:
    """Tries to hand notifications to one POS: of the last hour, and of the last five minutes."""

    tried: int = 0
    answered: int = 0
    p95_ms: int | None = None
    tried_now: int = 0
    answered_now: int = 0


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """One channel's line. `per_minute` over the last five minutes; `refused`: bad signatures since midnight."""

    slug: str
    name: str
    adapter: str
    zone: tzinfo
    state: State
    last_at: datetime | None
    per_minute: float
    refused: int
    relay: RelayFigures
    trouble: str


@dataclass(frozen=True, slots=True)
class Funnel:
    """Today's payments and how far each got; every number is part of the one before it."""

    payments: int = 0
    tagged: int = 0
    linked: int = 0
    claimed: int = 0
    redeemed: int = 0


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """One budget in fen; `kind` is offer, day (today's part of it) or source (rewards to bringers)."""

    circle: str
    kind: str
    total_fen: int
    consumed_fen: int
    reserved_fen: int

    @property
    def is_low(self) -> bool:
        """Whether more than nine tenths are spent or promised."""
        return (self.consumed_fen + self.reserved_fen) * 100 > self.total_fen * BUDGET_LOW_PERCENT


@dataclass(frozen=True, slots=True)
class Incident:
    """Something open that an operator must hear of. `channel` is a channel's slug or ""."""

    kind: str
    channel: str
    n: int
    since: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole page."""

    channels: Sequence[ChannelStatus]
    funnel: Funnel
    waiting: int
    waiting_since: datetime | None
    parked: int
    budgets: Sequence[BudgetStatus]
    incidents: Sequence[Incident]
    state: State


def channel_state(
    live: LiveChannel, last_at: datetime | None, refused: int, relay: RelayFigures, now: datetime, *, is_broken: bool
) -> State:
    """Pure: how a channel does. A shop may be closed, so silence alone is never called a fault."""
    if live.spec.paused:
        return "paused"
    failing_now = relay.tried_now >= _ENOUGH_TRIES and _below(relay.answered_now, relay.tried_now, _BROKEN_PERCENT)
    if live.trouble or is_broken or failing_now:
        return "down"
    if last_at is None:
        return "unverified" if not refused else "attention"
    slow = relay.p95_ms is not None and relay.p95_ms > SLOW_MS
    if refused or slow or _below(relay.answered, relay.tried, _FINE_PERCENT):
        return "attention"
    return "quiet" if now - last_at > QUIET_AFTER else "ok"


def worst(states: Sequence[State], *, trouble: bool) -> State:
    """Pure: what stands at the head of the page. `trouble` is what is wrong beside the channels."""
    order: tuple[State, ...] = ("down", "attention", "paused")
    for state in order:
        if state in states or (state == "attention" and trouble):
            return state
    return "ok" if any(state in {"ok", "quiet"} for state in states) else "unverified"


def _below(part: int, whole: int, percent: int) -> bool:
    return whole > 0 and part * 100 < whole * percent
