"""The host of campaign modules: who hears of an event, in which order, and what becomes of a module that fails.

Each campaign hears in its own savepoint: one that raises is undone alone, an operator is told, and neither the payment
nor another campaign feels it (R245).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import structlog

from gateway import incidents
from gateway.campaigning import states
from gateway.campaigning.house import GatewayHouse
from gateway.catalog import campaign_states, wording
from gateway.catalog.campaign_states import Standing
from gateway.catalog.campaign_views import view_of
from gateway.catalog.directory import Directory
from gateway.catalog.registry import Registry
from gateway.catalog.specs import Campaign
from gateway.contract.campaign import (
    CampaignView,
    CoreEvent,
    OrderEnded,
    OrderLate,
    OrderPaid,
    PaymentReceived,
    PayoutMoved,
    State,
    Verdict,
)
from gateway.contract.campaign_kind import CampaignKind, KeepsPeople
from gateway.contract.clock import Clock
from gateway.contract.errors import BadConfig, Refused, StoreTrouble
from gateway.contract.house import House
from gateway.contract.store import Tx

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

FAILED: Final = Verdict("refused", "campaign_failed")
_NOT_BEGUN: Final = frozenset({"draft"})


class CampaignHost:
    """All campaigns of one process. Safe between threads.

    `known` gives the directory without a look at the store, since it is asked inside transactions.
    """

    def __init__(
        self,
        registry: Registry,
        known: Callable[[], Directory | None],
        clock: Clock,
        house: Callable[[], GatewayHouse],
    ) -> None:
        self._registry = registry
        self._known = known
        self._clock = clock
        self._house = house
        self._loaded: tuple[int, Mapping[str, tuple[Campaign, CampaignKind, Any]]] = (-1, {})

    @property
    def house(self) -> GatewayHouse:
        """What the gateway does for campaigns."""
        return self._house()

    def kind(self, slug: str) -> CampaignKind | None:
        """The installed kind of that name."""
        return self._registry.campaigns.get(slug)

    # -- looking ----------------------------------------------------------------------------------------------------

    def of_circle(self, tx: Tx, circle: str, now: datetime) -> list[CampaignView]:
        """The circle's campaigns whose kind is installed, by slug."""
        loaded = self._loads()
        specs = [spec for spec, _, _ in loaded.values() if spec.circle == circle]
        if not specs:
            return []
        stood = campaign_states.standings(tx, circle)
        return [_view(loaded[spec.slug], stood.get(spec.slug), now) for spec in specs]

    def find(self, tx: Tx, slug: str, now: datetime) -> CampaignView | None:
        """The campaign of that name; None where there is none, or its kind is not installed."""
        loaded = self._loads().get(slug)
        return _view(loaded, campaign_states.standing(tx, loaded[0]), now) if loaded is not None else None

    def of_kind(self, kind: str) -> Sequence[CampaignView]:
        """Every campaign of a kind. Outside a transaction."""
        loaded = {slug: one for slug, one in self._loads().items() if one[0].kind == kind}
        if not loaded:
            return ()
        now = self._clock()

        def views(tx: Tx) -> list[CampaignView]:
            return [_view(one, campaign_states.standing(tx, one[0]), now) for one in loaded.values()]

        return self.house.store.read(views)

    def slugs(self) -> Sequence[str]:
        """Every campaign whose kind is installed, by name."""
        return tuple(self._loads())

    def _loads(self) -> Mapping[str, tuple[Campaign, CampaignKind, Any]]:
        """Every campaign with its kind and its settings, read once a version of the catalogue."""
        directory = self._known()
        if directory is None:
            return {}
        version, loaded = self._loaded
        if version == directory.version:
            return loaded
        fresh = {}
        for slug, spec in sorted(directory.catalog.campaigns.items()):
            kind = self._registry.campaigns.get(spec.kind)
            if kind is None:
                log.warning("campaign_without_kind", campaign=slug, kind=spec.kind)
                continue
            try:
                fresh[slug] = (spec, kind, kind.load_settings(spec.settings))
            except BadConfig as refused:
                # Written by another version of the module; it rests until its table is right again.
                log.warning("campaign_closed", campaign=slug, faults=[path for path, _ in refused.faults])
        self._loaded = (directory.version, fresh)
        return fresh

    # -- hearing ----------------------------------------------------------------------------------------------------

    def hear(self, tx: Tx, event: CoreEvent, now: datetime) -> list[tuple[str, Verdict]]:
        """Tell every campaign that the event concerns; what each made of it, those that it did not concern left out."""
        loaded = self._loads()
        if not loaded:
            return []
        heard = []
        for view in self._concerned(tx, event, now):
            verdict = self._tell(tx, loaded[view.slug][1], view, event, now)
            if verdict is not None:
                heard.append((view.slug, verdict))
        return heard

    def _concerned(self, tx: Tx, event: CoreEvent, now: datetime) -> list[CampaignView]:
        if isinstance(event, OrderLate | OrderEnded | PayoutMoved) or (isinstance(event, OrderPaid) and event.campaign):
            found = self.find(tx, event.campaign, now)
            return [found] if found is not None else []
        views = self.of_circle(tx, event.circle, now)
        if isinstance(event, PaymentReceived | OrderPaid):
            return [view for view in views if view.is_open(now) and view.includes(event.merchant)]
        return [view for view in views if view.state not in _NOT_BEGUN]

    def _tell(self, tx: Tx, kind: CampaignKind, view: CampaignView, event: CoreEvent, now: datetime) -> Verdict | None:
        try:
            with tx.savepoint():
                return kind.take(tx, self.house, view, event, now)
        except StoreTrouble:
            raise
        except Exception as failure:
            # A module's fault must cost nobody his payment, his coupon or another campaign's reward.
            log.exception("campaign_failed", campaign=view.slug, told=type(event).__name__)
            incidents.raise_(tx, self.house.ids, now, "campaign_failed", view.slug, type(failure).__name__)
            return FAILED

    # -- moving -----------------------------------------------------------------------------------------------------

    def move(self, tx: Tx, slug: str, to: State, who: str, now: datetime) -> CampaignView:
        """Bring a campaign to another state; how it stands then.

        Raises Refused: `not_found` 404, `bad_transition`, `underfunded`, `wording` 409.
        """
        directory, loaded, view = self._known(), self._loads().get(slug), self.find(tx, slug, now)
        if directory is None or loaded is None or view is None:
            raise Refused("not_found", 404)
        if to in states.FUNDED:
            wording.refuse(directory.catalog, loaded[0])
        states.move(tx, loaded[0], view, to, loaded[1].funding(view), who, now)
        return self.find(tx, slug, now) or view

    def sweep(self, tx: Tx, now: datetime, most: int) -> int:
        """Begin and end campaigns by the clock, and let each end what has run out; how much was done."""
        did = 0
        for slug, (spec, kind, _) in self._loads().items():
            view = self.find(tx, slug, now)
            if view is None or view.state in _NOT_BEGUN:
                continue
            did += self._by_clock(tx, spec, kind, view, now)
            for sweep in kind.sweeps:
                try:
                    with tx.savepoint():
                        did += sweep(tx, self.house, view, now, most)
                except StoreTrouble:
                    raise
                except Exception as failure:
                    log.exception("campaign_sweep_failed", campaign=slug)
                    incidents.raise_(tx, self.house.ids, now, "campaign_failed", slug, type(failure).__name__)
        return did

    def _by_clock(self, tx: Tx, spec: Campaign, kind: CampaignKind, view: CampaignView, now: datetime) -> int:
        stored = campaign_states.standing(tx, spec).state
        if view.state in {"live", "paused"} and view.ends_at is not None and view.ends_at <= now:
            states.move(tx, spec, view, "ended", 0, "gateway", now)
        elif stored == "scheduled" and view.state == "live":
            states.move(tx, spec, view, "live", kind.funding(view), "gateway", now)
        elif view.state in states.FUNDED:
            return self._fund_late(tx, kind, view, now)
        else:
            return 0
        return 1

    def _fund_late(self, tx: Tx, kind: CampaignKind, view: CampaignView, now: datetime) -> int:
        """One that the file made live has never been moved there: its funding is held now, once."""
        needed = kind.funding(view)
        if not needed or not view.budget_fen or states.was_funded(tx, view):
            return 0
        try:
            states.fund(tx, view, needed)
        except Refused:
            incidents.raise_(tx, self.house.ids, now, "campaign_underfunded", view.slug, str(needed))
            return 0
        return 1

    # -- a person's own (R016) --------------------------------------------------------------------------------------

    def copy_for(self, tx: Tx, persons: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """What the modules keep of one human, for himself, by table."""
        kept: dict[str, list[dict[str, Any]]] = {}
        for slug, kind in self._registry.campaigns.items():
            if isinstance(kind, KeepsPeople):
                for table, rows in kind.copy_for(tx, self.house, persons).items():
                    kept[f"{slug}.{table}"] = [dict(row) for row in rows]
        return kept

    def forget(self, tx: Tx, persons: Sequence[str], now: datetime) -> int:
        """Have the modules erase what names him; how many rows."""
        kinds = self._registry.campaigns.values()
        return sum(kind.forget(tx, self.house, persons, now) for kind in kinds if isinstance(kind, KeepsPeople))

    # -- doing ------------------------------------------------------------------------------------------------------

    def do(self, envelope: Mapping[str, Any], now: datetime) -> str | None:
        """The outbox's deed: what a campaign owes. None when done, else what went wrong."""
        view = self.house.store.read(lambda tx: self.find(tx, envelope["campaign"], now))
        if view is None:
            return None
        deed = self._loads()[view.slug][1].deeds.get(envelope["deed"])
        if deed is None:
            return f"{view.kind} does no {envelope['deed']}"
        return deed(self.house, view, envelope["payload"], now)


def _view(loaded: tuple[Campaign, CampaignKind, Any], standing: Standing | None, now: datetime) -> CampaignView:
    spec, _, settings = loaded
    return view_of(spec, settings, standing or Standing(spec.state, 1), now)


def _as_house(house: GatewayHouse) -> House:
    """The type checker's proof that the house is what the seam says."""
    return house
