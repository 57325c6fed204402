"""A kind of campaign with an ear at its door: it is the kind in all, and notes what it was told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.contract.campaign import CampaignView, CoreEvent, Verdict
from gateway.contract.campaign_kind import CampaignKind, Deed, Pages, Route, Sweep
from gateway.contract.house import Catalogue, House
from gateway.contract.money import Fen
from gateway.contract.store import Tx


@dataclass(frozen=True, slots=True)
class Heard:
    """One call of `take`: how the campaign stood, the event, when, and what it answered."""

    campaign: CampaignView
    event: CoreEvent
    now: datetime
    verdict: Verdict | None


class Listening:
    """`inner` in all but that `heard` grows; `around`, where set, plays each `take` instead."""

    def __init__(self, inner: CampaignKind) -> None:
        self.inner = inner
        self.heard: list[Heard] = []
        self.house: House | None = None
        self.fails = False
        self.around: Callable[[Tx, Callable[[], Verdict | None]], Verdict | None] | None = None

    @property
    def slug(self) -> str:
        """As the kind."""
        return self.inner.slug

    @property
    def migrations(self) -> Sequence[tuple[str, Sequence[str]]]:
        """As the kind."""
        return self.inner.migrations

    def load_settings(self, table: Mapping[str, Any]) -> Any:
        """As the kind."""
        return self.inner.load_settings(table)

    def faults(self, campaign: CampaignView, catalogue: Catalogue) -> Iterable[tuple[str, str]]:
        """As the kind."""
        return self.inner.faults(campaign, catalogue)

    def funding(self, campaign: CampaignView) -> Fen:
        """As the kind."""
        return self.inner.funding(campaign)

    def take(self, tx: Tx, house: House, campaign: CampaignView, event: CoreEvent, now: datetime) -> Verdict | None:
        """As the kind, noted. Raises RuntimeError after the kind's own work where `fails` is set."""
        self.house = house

        def once() -> Verdict | None:
            return self.inner.take(tx, house, campaign, event, now)

        verdict = self.around(tx, once) if self.around is not None else once()
        self.heard.append(Heard(campaign, event, now, verdict))
        if self.fails:
            raise RuntimeError("a kind that fails after it has written")
        return verdict

    @property
    def routes(self) -> Sequence[Route]:
        """As the kind."""
        return self.inner.routes

    @property
    def deeds(self) -> Mapping[str, Deed]:
        """As the kind."""
        return self.inner.deeds

    @property
    def sweeps(self) -> Sequence[Sweep]:
        """As the kind."""
        return self.inner.sweeps

    def counts(self, tx: Tx, campaign: CampaignView) -> Mapping[str, int]:
        """As the kind."""
        return self.inner.counts(tx, campaign)

    @property
    def pages(self) -> Pages | None:
        """As the kind."""
        return self.inner.pages
