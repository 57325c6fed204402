"""推荐人返利 as the gateway finds it: its settings, tables, calls, pages, sweeps, and what payments do to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from campaigns.referral import api, binding, pages, rewarding, settings, tables
from gateway.contract.campaign import CampaignView, CoreEvent, PaymentReceived, RefundReceived, Verdict
from gateway.contract.campaign_kind import Deed, Pages, Route, Sweep
from gateway.contract.house import Catalogue, House
from gateway.contract.money import Fen
from gateway.contract.store import Tx


class ReferralKind:
    """The kind; see `gateway.contract.campaign_kind.CampaignKind`."""

    slug = "referral"
    migrations: Sequence[tuple[str, Sequence[str]]] = tables.MIGRATIONS
    routes: Sequence[Route] = api.ROUTES
    deeds: Mapping[str, Deed] = {}
    sweeps: Sequence[Sweep] = (rewarding.give_due, rewarding.expire)
    pages: Pages | None = pages.PAGES

    def load_settings(self, table: Mapping[str, Any]) -> settings.Settings:
        """The kind's own keys → settings. Raises BadConfig."""
        return settings.load_settings(table)

    def faults(self, campaign: CampaignView, catalogue: Catalogue) -> Iterable[tuple[str, str]]:
        """Items that are not there, or another circle's."""
        chosen: settings.Settings = campaign.settings
        for key in ("referrer_item", "referred_item"):
            slug = getattr(chosen.terms, key)
            item = catalogue.item(slug) if slug else None
            merchant = catalogue.merchant(item.merchant) if item is not None else None
            if slug and (merchant is None or merchant.circle != campaign.circle):
                yield key, "is no item of this circle"

    def funding(self, _campaign: CampaignView) -> Fen:
        """Nothing: the budget bounds it as it goes."""
        return Fen(0)

    def take(self, tx: Tx, house: House, campaign: CampaignView, event: CoreEvent, now: datetime) -> Verdict | None:
        """A friend's payment may qualify him, its refund undoes that."""
        if isinstance(event, PaymentReceived):
            return rewarding.on_payment(tx, house, campaign, event, now)
        if isinstance(event, RefundReceived):
            return rewarding.on_refund(tx, house, campaign, event, now)
        return None

    def copy_for(self, tx: Tx, house: House, persons: Sequence[str]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """When each of his browsers was first seen; what names them is a hash that tells nobody anything."""
        del house
        return binding.copy_for(tx, tuple(persons))

    def forget(self, tx: Tx, house: House, persons: Sequence[str], now: datetime) -> int:
        """His browsers are forgotten, and his invitations end; how many rows."""
        del house
        return binding.forget(tx, tuple(persons), now)

    def counts(self, tx: Tx, campaign: CampaignView) -> Mapping[str, int]:
        """How many invitations, and friends in each state."""
        found = dict.fromkeys(
            ("invitations", "scanned", "review", "bound", "qualified", "rewarded", "rejected", "expired"), 0
        )
        row = tx.one(
            "SELECT count(*) AS n FROM referral_invitations WHERE campaign = :campaign", {"campaign": campaign.slug}
        )
        found["invitations"] = int(row["n"]) if row is not None else 0
        rows = tx.all(
            "SELECT state, count(*) AS n FROM referral_bindings WHERE campaign = :campaign GROUP BY state",
            {"campaign": campaign.slug},
        )
        return found | {row["state"]: int(row["n"]) for row in rows}


kind = ReferralKind()
