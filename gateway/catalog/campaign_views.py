"""Campaigns and the catalogue as a campaign module sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Protocol

from gateway.catalog.campaign_states import Standing
from gateway.catalog.specs import Campaign, Catalog
from gateway.contract.campaign import CampaignView, State
from gateway.contract.clock import from_text
from gateway.contract.house import ItemFacts, MerchantFacts, ShopFacts
from gateway.contract.money import Fen


class _Zones(Protocol):
    def __call__(self, shop: str | None, /) -> tzinfo: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """The `Catalogue` of the seam over a catalogue, stored or on its way in."""

    catalog: Catalog
    zones: _Zones
    check: Callable[[str], str | None]

    def item(self, slug: str) -> ItemFacts | None:
        """The item of that name."""
        item = self.catalog.items.get(slug)
        if item is None:
            return None
        value = item.value_fen or item.cap_fen
        return ItemFacts(
            slug=item.slug,
            merchant=item.merchant,
            name=item.name,
            kind=item.kind,
            value_fen=value,
            price_fen=item.price_fen,
            stock=item.stock,
            paused=item.paused,
            valid_days=item.valid_days,
        )

    def merchant(self, slug: str) -> MerchantFacts | None:
        """The merchant of that name."""
        found = self.catalog.merchants.get(slug)
        return MerchantFacts(found.slug, found.circle, found.name, found.paused) if found is not None else None

    def shop(self, slug: str) -> ShopFacts | None:
        """The shop of that name."""
        found = self.catalog.shops.get(slug)
        return ShopFacts(found.slug, found.merchant, found.name) if found is not None else None

    def shops(self, merchant: str) -> list[ShopFacts]:
        """A merchant's shops, by name."""
        found = sorted(self.catalog.shops.values(), key=lambda shop: shop.slug)
        return [ShopFacts(shop.slug, shop.merchant, shop.name) for shop in found if shop.merchant == merchant]

    def zone(self, shop: str | None) -> tzinfo:
        """The zone that a shop's times are shown in."""
        return self.zones(shop)

    def refuses(self, url: str) -> str | None:
        """Why an address may not be called by us; None for one that may."""
        return self.check(url)


def view_of(spec: Campaign, settings: Any, standing: Standing, now: datetime) -> CampaignView:
    """A campaign as it stands at `now`: one that is scheduled is live from its start, whoever has noted it or not."""
    starts_at = from_text(spec.starts_at) if spec.starts_at else None
    ends_at = from_text(spec.ends_at) if spec.ends_at else None
    return CampaignView(
        slug=spec.slug,
        kind=spec.kind,
        circle=spec.circle,
        merchants=frozenset(spec.merchants),
        state=effective(standing.state, starts_at, now),
        version=standing.version,
        starts_at=starts_at,
        ends_at=ends_at,
        budget_fen=Fen(spec.budget_fen),
        budget_fen_per_day=Fen(spec.budget_fen_per_day),
        settings=settings,
    )


def effective(state: State, starts_at: datetime | None, now: datetime) -> State:
    """Pure: the state at `now` of one that was last moved to `state`."""
    return "live" if state == "scheduled" and starts_at is not None and starts_at <= now else state
