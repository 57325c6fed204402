"""The kind `group_buy`: the seam's one class, which hands everything on to its rooms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from campaigns.group_buy import api, deals, pages, personal, reminders, tables, videos
from campaigns.group_buy.settings import Settings, load_settings
from gateway.contract.campaign import (
    CampaignView,
    CoreEvent,
    CouponRedeemed,
    OrderEnded,
    OrderLate,
    OrderPaid,
    Verdict,
)
from gateway.contract.campaign_kind import CampaignKind, Deed, Pages, Route, Sweep
from gateway.contract.house import Catalogue, House
from gateway.contract.money import Fen
from gateway.contract.store import Tx


class GroupBuyKind:
    """团购: a deal with visiting times, the queue told in time, and a video of the visit."""

    slug: Final = "group_buy"
    migrations: Final = tables.MIGRATIONS
    routes: Sequence[Route] = api.ROUTES
    sweeps: Sequence[Sweep] = (
        reminders.send_due,
        deals.pass_times,
        deals.end_deals,
        videos.process_again,
        videos.expire,
    )
    pages: Pages | None = pages.PAGES

    @property
    def deeds(self) -> Mapping[str, Deed]:
        """What the worker does for it."""
        return {videos.PROCESS: videos.process, videos.FORGET: videos.forget}

    def load_settings(self, table: Mapping[str, Any]) -> Settings:
        """See `settings.load_settings`."""
        return load_settings(table)

    def faults(self, campaign: CampaignView, catalogue: Catalogue) -> Iterable[tuple[str, str]]:
        """What it sells must be there, of its circle, and of a merchant it counts at who has a shop to come to."""
        settings: Settings = campaign.settings
        item = catalogue.item(settings.item)
        merchant = catalogue.merchant(item.merchant) if item is not None else None
        if item is None or merchant is None:
            yield "item", f"there is no item {settings.item}"
            return
        if merchant.circle != campaign.circle or not campaign.includes(merchant.slug):
            yield "item", f"{settings.item} is of a merchant that the campaign is not for"
        if not catalogue.shops(merchant.slug):
            yield "item", f"{merchant.slug} has no shop where guests could come"

    def funding(self, campaign: CampaignView) -> Fen:  # noqa: ARG002 - the seam's shape
        """Nothing: it sells."""
        return Fen(0)

    def take(self, tx: Tx, house: House, campaign: CampaignView, event: CoreEvent, now: datetime) -> Verdict | None:
        """What its orders and their coupons go through."""
        if isinstance(event, OrderPaid):
            return deals.hear_paid(tx, house, campaign, event, now)
        if isinstance(event, OrderLate):
            return deals.hear_late(tx, campaign, event)
        if isinstance(event, OrderEnded):
            return deals.hear_ended(tx, campaign, event, now)
        if isinstance(event, CouponRedeemed):
            return deals.hear_redeemed(tx, campaign, event, now)
        return None

    def copy_for(self, tx: Tx, house: House, persons: Sequence[str]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """His orders, times, tickets, and what is known of his films."""
        del house
        return personal.copy_for(tx, persons)

    def forget(self, tx: Tx, house: House, persons: Sequence[str], now: datetime) -> int:
        """His films are withdrawn with every file, his tickets are nobody's; how many rows."""
        return personal.forget(tx, house, persons, now)

    def counts(self, tx: Tx, campaign: CampaignView) -> Mapping[str, int]:
        """How many orders stand where, and how many videos are shown."""
        return tables.counts(tx, campaign.slug)


kind: Final = GroupBuyKind()
_seam: CampaignKind = kind
