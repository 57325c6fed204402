"""The kind `micro_merchant` as the gateway finds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from campaigns.micro_merchant import paying, personal, purchases, tables
from campaigns.micro_merchant.api import ROUTES
from campaigns.micro_merchant.pages import PAGES
from campaigns.micro_merchant.settings import Settings, load_settings
from gateway.contract.campaign import CampaignView, CoreEvent, PayoutMoved, Verdict
from gateway.contract.campaign_kind import Deed, Pages, Route, Sweep
from gateway.contract.house import Catalogue, House
from gateway.contract.money import Fen
from gateway.contract.store import Tx


class MicroMerchantKind:
    """微商: rewards for whoever brings a buyer by his own code (R100–R120)."""

    slug = "micro_merchant"
    migrations: Sequence[tuple[str, Sequence[str]]] = tables.MIGRATIONS
    routes: Sequence[Route] = ROUTES
    deeds: Mapping[str, Deed] = {}
    pages: Pages = PAGES

    def load_settings(self, table: Mapping[str, Any]) -> Settings:
        """The kind's own part of its table. Raises BadConfig."""
        return load_settings(table)

    def faults(self, campaign: CampaignView, catalogue: Catalogue) -> Iterable[tuple[str, str]]:
        """Items that are not there, or not of this campaign."""
        settings: Settings = campaign.settings
        named = [("items", item) for item in settings.items]
        if settings.terms.coupon_item:
            named.append(("coupon_item", settings.terms.coupon_item))
        for key, slug in named:
            item = catalogue.item(slug)
            if item is None:
                yield key, f"there is no item {slug}"
                continue
            merchant = catalogue.merchant(item.merchant)
            if merchant is None or merchant.circle != campaign.circle:
                yield key, f"the item {slug} is of another circle"
            elif key == "items" and not campaign.includes(item.merchant):
                yield key, f"the item {slug} is of a merchant that this campaign leaves out"
            elif key == "items" and item.price_fen <= 0:
                yield key, f"the item {slug} has no price"

    def funding(self, campaign: CampaignView) -> Fen:
        """Nothing: each reward is reserved when its purchase is paid."""
        del campaign
        return Fen(0)

    def take(self, tx: Tx, house: House, campaign: CampaignView, event: CoreEvent, now: datetime) -> Verdict | None:
        """Hear of its payouts; purchases come by the API."""
        if not isinstance(event, PayoutMoved):
            return None
        paying.moved(tx, house, campaign, event, now)
        return Verdict("done", f"payout_{event.state}")

    @property
    def sweeps(self) -> Sequence[Sweep]:
        """Rewards whose refund window is over; what was typed for records that are no more."""
        return (purchases.confirm_due, personal.forget_old)

    def copy_for(self, tx: Tx, house: House, persons: Sequence[str]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """His records with what he typed, what he was credited, and what he bought."""
        return personal.copy_for(tx, house, persons)

    def forget(self, tx: Tx, house: House, persons: Sequence[str], now: datetime) -> int:
        """WeChat ID, bank account and name are erased, his code brings nobody any more; how many records."""
        return personal.forget(tx, house, persons, now)

    def counts(self, tx: Tx, campaign: CampaignView) -> Mapping[str, int]:
        """Records by state, purchases, and what is promised and given."""
        states = tables.counted(tx, campaign.slug)
        return {
            **{f"members_{state}": states.get(state, 0) for state in ("applied", "approved", "suspended")},
            **tables.totals(tx, campaign.slug),
        }


kind = MicroMerchantKind()
