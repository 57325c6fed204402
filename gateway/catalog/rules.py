"""What must hold between the objects of a catalogue, looked at as a whole: the stored one with the file laid over."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timezone

from gateway.catalog import wording
from gateway.catalog.campaign_states import Standing
from gateway.catalog.campaign_views import Facts, view_of
from gateway.catalog.channel_rules import channel_faults, host_faults
from gateway.catalog.specs import Campaign, Catalog, Circle, Item, Pair
from gateway.catalog.surroundings import Surroundings
from gateway.catalog.zones import zone_named
from gateway.checks import suggestion, toml_path
from gateway.contract.campaign_kind import CampaignKind
from gateway.contract.clock import BEIJING
from gateway.contract.errors import BadConfig

Fault = tuple[str, str]
Named = Collection[tuple[str, str]]


def faults_of(catalog: Catalog, named: Named, surroundings: Surroundings) -> list[Fault]:
    """Every fault between the objects, in the kinds' order; an empty list when all of it holds.

    `named` are (kind, slug) that a file names but that are missing from the catalogue for faults of their own: a
    reference to one of them is no second fault.
    """
    look = _Look(catalog, named)
    faults: list[Fault] = []
    for circle in catalog.circles.values():
        faults += _circle(circle, look)
    for merchant in catalog.merchants.values():
        faults += look.missing("merchant", merchant.slug, "circle", "circle", merchant.circle)
    for shop in catalog.shops.values():
        faults += look.missing("shop", shop.slug, "merchant", "merchant", shop.merchant)
    for channel in catalog.channels.values():
        faults += look.missing("channel", channel.slug, "merchant", "merchant", channel.merchant)
        if channel.shop:
            faults += look.missing("channel", channel.slug, "shop", "shop", channel.shop)
        for sub_mch_id, merchant_slug in channel.sub_merchants.items():
            key = f"sub_merchants.{toml_path(sub_mch_id)}"
            faults += look.missing("channel", channel.slug, key, "merchant", merchant_slug)
        faults += channel_faults(channel, catalog, surroundings)
    faults += host_faults(catalog, surroundings.own_host)
    for item in catalog.items.values():
        faults += look.missing("item", item.slug, "merchant", "merchant", item.merchant)
        faults += _item(item)
    faults += _pairs(catalog, look)
    faults += _offers(catalog, look)
    faults += _campaigns(catalog, look, surroundings)
    faults += _webhooks(catalog, look, surroundings)
    return faults


class _Look:
    """References: does what is named exist, and in which circle does it lie?"""

    def __init__(self, catalog: Catalog, named: Named) -> None:
        self.catalog = catalog
        self._named = named
        self._groups: Mapping[str, Mapping[str, object]] = {
            "circle": catalog.circles,
            "merchant": catalog.merchants,
            "shop": catalog.shops,
            "item": catalog.items,
        }

    def missing(self, kind: str, slug: str, key: str, target_kind: str, target: str) -> list[Fault]:
        """One fault when `target` is nowhere, else none."""
        group = self._groups[target_kind]
        if target in group or (target_kind, target) in self._named:
            return []
        return [(f"{toml_path(kind, slug)}.{key}", f"no {target_kind} named {target}{suggestion(target, group)}")]

    def circle_of_merchant(self, slug: str) -> str | None:
        merchant = self.catalog.merchants.get(slug)
        return merchant.circle if merchant else None

    def circle_of_item(self, slug: str) -> str | None:
        item = self.catalog.items.get(slug)
        return self.circle_of_merchant(item.merchant) if item else None

    def item_in(self, kind: str, slug: str, key: str, item: str, circle: str) -> list[Fault]:
        """Faults of a reference to an item that must lie in `circle`."""
        found = self.circle_of_item(item)
        if found is None or found == circle:
            return self.missing(kind, slug, key, "item", item)
        return [(_path(kind, slug, key), f"{item} belongs to a merchant of another circle")]


def _circle(circle: Circle, look: _Look) -> Iterator[Fault]:
    if circle.welcome_item:
        yield from look.item_in("circle", circle.slug, "welcome_item", circle.welcome_item, circle.slug)
    channels = [
        channel
        for channel in look.catalog.channels.values()
        if look.circle_of_merchant(channel.merchant) == circle.slug
    ]
    if circle.binding == "oauth" and channels and not any(channel.wallet for channel in channels):
        where = _path("channel", channels[0].slug, "wallet")
        yield (
            _path("circle", circle.slug, "binding"),
            f'is "oauth", yet no channel of the circle has a wallet to sign in with; add [{where}] or say "bearer"',
        )


def _item(item: Item) -> Iterator[Fault]:
    if item.value_fen and item.percent_off:
        yield _path("item", item.slug, "percent_off"), "cannot stand beside value_fen; give one of them"
    if item.cap_fen and not item.percent_off:
        yield _path("item", item.slug, "cap_fen"), "caps a percentage; give percent_off too"


def _pairs(catalog: Catalog, look: _Look) -> Iterator[Fault]:
    said: dict[tuple[str, str], Pair] = {}
    for pair in catalog.pairs.values():
        yield from look.missing("pair", pair.slug, "from", "merchant", pair.giver)
        yield from look.missing("pair", pair.slug, "to", "merchant", pair.taker)
        if pair.giver == pair.taker:
            yield _path("pair", pair.slug, "to"), "is the same merchant as from"
            continue
        circles = [look.circle_of_merchant(pair.giver), look.circle_of_merchant(pair.taker)]
        if None not in circles and circles[0] != circles[1]:
            yield _path("pair", pair.slug, "to"), "is in another circle than from"
        for way in directions(pair):
            other = said.setdefault(way, pair)
            if other is not pair:
                yield toml_path("pair", pair.slug), f"{way[0]} → {way[1]} is said by pair.{other.slug} already"
                break


def directions(pair: Pair) -> list[tuple[str, str]]:
    """The (giver, taker) ways that a pair speaks of."""
    way = (pair.giver, pair.taker)
    return [way, way[::-1]] if pair.both else [way]


def _offers(catalog: Catalog, look: _Look) -> Iterator[Fault]:
    of_circle: dict[str, str] = {}
    for offer in catalog.offers.values():
        yield from look.missing("offer", offer.slug, "circle", "circle", offer.circle)
        first = of_circle.setdefault(offer.circle, offer.slug)
        if first != offer.slug:
            yield _path("offer", offer.slug, "circle"), f"has an offer already, offer.{first}; one a circle"
        if offer.source_item:
            yield from look.item_in("offer", offer.slug, "source_item", offer.source_item, offer.circle)


def _campaigns(catalog: Catalog, look: _Look, surroundings: Surroundings) -> Iterator[Fault]:
    registry = surroundings.registry
    for campaign in catalog.campaigns.values():
        yield from look.missing("campaign", campaign.slug, "circle", "circle", campaign.circle)
        for slug in campaign.merchants:
            yield from look.missing("campaign", campaign.slug, "merchants", "merchant", slug)
            if look.circle_of_merchant(slug) not in {None, campaign.circle}:
                yield _path("campaign", campaign.slug, "merchants"), f"{slug} is in another circle"
        if campaign.starts_at and campaign.ends_at and campaign.ends_at <= campaign.starts_at:
            yield _path("campaign", campaign.slug, "ends_at"), "must be after starts_at"
        kind = registry.campaigns.get(campaign.kind)
        if kind is None:
            installed = ", ".join(sorted(registry.campaigns)) or "none"
            yield _path("campaign", campaign.slug, "kind"), f"is not installed; installed kinds: {installed}"
            continue
        try:
            settings = kind.load_settings(campaign.settings)
        except BadConfig as refused:
            for path, message in refused.faults:
                yield ".".join(part for part in (toml_path("campaign", campaign.slug), path) if part), message
            continue
        yield from _beside_the_catalogue(catalog, campaign, kind, settings, surroundings)


def _beside_the_catalogue(
    catalog: Catalog, campaign: Campaign, kind: CampaignKind, settings: object, surroundings: Surroundings
) -> Iterator[Fault]:
    zones = {shop.slug: zone_named(shop.timezone) for shop in catalog.shops.values()}
    facts = Facts(catalog, lambda shop: zones.get(shop or "", BEIJING), surroundings.check_upstream)
    view = view_of(campaign, settings, Standing(campaign.state, 1), datetime.max.replace(tzinfo=timezone.utc))
    for key, message in kind.faults(view, facts):
        yield ".".join(part for part in (toml_path("campaign", campaign.slug), key) if part), message
    needed = kind.funding(view)
    if campaign.state != "draft" and 0 < campaign.budget_fen < needed:
        yield _path("campaign", campaign.slug, "budget_fen"), f"is less than what going live needs: {needed}"
    if campaign.state != "draft" and wording.rule_of(catalog, campaign) == "strict":
        for one in wording.findings_of(catalog, campaign):
            yield ".".join((toml_path("campaign", campaign.slug), one.key)), wording.fault_words(one)


def _webhooks(catalog: Catalog, look: _Look, surroundings: Surroundings) -> Iterator[Fault]:
    for hook in catalog.webhooks.values():
        if bool(hook.circle) == bool(hook.merchant):
            yield toml_path("webhook", hook.slug), "needs either circle or merchant"
        if hook.circle:
            yield from look.missing("webhook", hook.slug, "circle", "circle", hook.circle)
        if hook.merchant:
            yield from look.missing("webhook", hook.slug, "merchant", "merchant", hook.merchant)
        refusal = surroundings.check_upstream(hook.url)
        if refusal is not None:
            yield _path("webhook", hook.slug, "url"), refusal


def _path(kind: str, slug: str, key: str) -> str:
    return f"{toml_path(kind, slug)}.{key}"
