"""双向激励 as the gateway finds it: its settings, tables, calls, pages, and what it does when a payment comes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from campaigns.two_sided import api, firings, listing, pages, people, settings, tables
from gateway.contract.campaign import CampaignView, CoreEvent, PaymentReceived, RefundReceived, Verdict
from gateway.contract.campaign_kind import Deed, Pages, Route, Sweep
from gateway.contract.house import Catalogue, House
from gateway.contract.money import Fen
from gateway.contract.store import Tx


class TwoSidedKind:
    """The kind; see `gateway.contract.campaign_kind.CampaignKind`."""

    slug = "two_sided"
    migrations: Sequence[tuple[str, Sequence[str]]] = tables.MIGRATIONS
    routes: Sequence[Route] = api.ROUTES
    deeds: Mapping[str, Deed] = {}
    sweeps: Sequence[Sweep] = (firings.forget_refused,)
    pages: Pages | None = pages.PAGES

    def load_settings(self, table: Mapping[str, Any]) -> settings.Settings:
        """The kind's own keys → settings. Raises BadConfig."""
        return settings.load_settings(table)

    def faults(self, campaign: CampaignView, catalogue: Catalogue) -> Iterable[tuple[str, str]]:
        """Shops and merchants that are not there, or not of this campaign."""
        chosen: settings.Settings = campaign.settings
        for shop in chosen.clerks:
            facts = catalogue.shop(shop)
            if facts is None or not _has(campaign, catalogue, facts.merchant):
                yield f"clerks.{shop}", "is no shop of this campaign"
        for merchant in chosen.own_persons:
            if not _has(campaign, catalogue, merchant):
                yield f"own_persons.{merchant}", "is no merchant of this campaign"

    def funding(self, _campaign: CampaignView) -> Fen:
        """Nothing: the budget bounds it as it goes."""
        return Fen(0)

    def take(self, tx: Tx, house: House, campaign: CampaignView, event: CoreEvent, now: datetime) -> Verdict | None:
        """A payment may fire, a refund takes back."""
        if isinstance(event, PaymentReceived):
            return firings.on_payment(tx, house, campaign, event, now)
        if isinstance(event, RefundReceived):
            return firings.on_refund(tx, house, campaign, event, now)
        return None

    def prepared(self, past: Tx, campaign: CampaignView) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Codes, who takes part, and merchants' own persons: what a trial on past days begins with."""
        return {table: listing.rows_of(past, table, campaign.slug) for table in tables.BY_STAFF}

    def copy_for(self, tx: Tx, house: House, persons: Sequence[str]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Whose own person he is, and what his payments brought him."""
        del house
        return people.copy_for(tx, tuple(persons))

    def forget(self, tx: Tx, house: House, persons: Sequence[str], now: datetime) -> int:
        """He is nobody's own person any more; how many rows."""
        del house, now
        return people.forget(tx, tuple(persons))

    def counts(self, tx: Tx, campaign: CampaignView) -> Mapping[str, int]:
        """Codes, merchants, outcomes, sums."""
        return listing.counts(tx, campaign.slug)


def _has(campaign: CampaignView, catalogue: Catalogue, merchant: str) -> bool:
    facts = catalogue.merchant(merchant)
    return facts is not None and facts.circle == campaign.circle and campaign.includes(merchant)


kind = TwoSidedKind()
