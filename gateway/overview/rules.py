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
DOWN_AFTER: Final = 3
"""Times its usual silence, a channel counts as cut off."""
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


Cause = Literal["keys", "breaker", "not_answering", "silent", "refused", "slow", "unanswered", "quiet"]
"""Why a channel is not simply well; `silent` is beyond all custom, `quiet` longer than usual."""


@dataclass(frozen=True, slots=True)
class Point:
    """A stretch of the rate's curve: when it begins, and events a minute; None where nothing is known."""

    at: datetime
    per_minute: float | None


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """One channel's line. `per_minute` over the last five minutes; `refused`: bad signatures since midnight.

    `cause` says why it is not well, and `since` since when, as far as that is known. `usual` is how long it is silent
    at most at this hour, None while that is not known.
    """

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
    circle: str = ""
    cause: Cause | None = None
    since: datetime | None = None
    usual: timedelta | None = None
    points: Sequence[Point] = ()


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
    """Something open that an operator must hear of. `channel` is a channel's slug or "".

    `said`: what staff said about it, oldest first: (at, by whom, seen or closed, cause).
    """

    kind: str
    channel: str
    n: int
    since: datetime
    last_at: datetime
    id: str = ""
    said: Sequence[tuple[str, str, str, str]] = ()


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
    last_closed: datetime | None = None


def channel_state(
    live: LiveChannel,
    last_at: datetime | None,
    refused: int,
    relay: RelayFigures,
    now: datetime,
    *,
    is_broken: bool,
    usual: timedelta | None = None,
) -> State:
    """Pure: how a channel does. `usual`: how long it is silent at most at this hour, None while that is not known.

    A shop may be closed, so silence is a fault only where it is three times what is usual.
    """
    return judge(live, last_at, refused, relay, now, is_broken=is_broken, usual=usual)[0]


def judge(
    live: LiveChannel,
    last_at: datetime | None,
    refused: int,
    relay: RelayFigures,
    now: datetime,
    *,
    is_broken: bool,
    usual: timedelta | None = None,
) -> tuple[State, Cause | None]:
    """Pure: how a channel does, and why if not well."""
    if live.spec.paused:
        return "paused", None
    broken = _broken(live, last_at, relay, now, is_broken=is_broken, usual=usual)
    if broken is not None:
        return "down", broken
    if last_at is None:
        return ("unverified", None) if not refused else ("attention", "refused")
    ill = _ill(refused, relay)
    if ill is not None:
        return "attention", ill
    return ("quiet", "quiet") if now - last_at > max(usual or QUIET_AFTER, QUIET_AFTER) else ("ok", None)


def _ill(refused: int, relay: RelayFigures) -> Cause | None:
    if refused:
        return "refused"
    if _below(relay.answered, relay.tried, _FINE_PERCENT):
        return "unanswered"
    return "slow" if relay.p95_ms is not None and relay.p95_ms > SLOW_MS else None


def _broken(
    live: LiveChannel,
    last_at: datetime | None,
    relay: RelayFigures,
    now: datetime,
    *,
    is_broken: bool,
    usual: timedelta | None,
) -> Cause | None:
    if live.trouble:
        return "keys"
    if is_broken:
        return "breaker"
    if relay.tried_now >= _ENOUGH_TRIES and _below(relay.answered_now, relay.tried_now, _BROKEN_PERCENT):
        return "not_answering"
    if last_at is not None and usual is not None and now - last_at > DOWN_AFTER * max(usual, QUIET_AFTER):
        return "silent"
    return None


def worst(states: Sequence[State], *, trouble: bool) -> State:
    """Pure: what stands at the head of the page. `trouble` is what is wrong beside the channels."""
    order: tuple[State, ...] = ("down", "attention", "paused")
    for state in order:
        if state in states or (state == "attention" and trouble):
            return state
    return "ok" if any(state in {"ok", "quiet"} for state in states) else "unverified"


def _below(part: int, whole: int, percent: int) -> bool:
    return whole > 0 and part * 100 < whole * percent
