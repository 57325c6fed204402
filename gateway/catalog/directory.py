"""The catalogue as the running gateway looks things up in it: immutable, everything worked out beforehand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Final, TypeVar

from gateway.catalog.channel_rules import keys_table, wallet_platform
from gateway.catalog.registry import Registry, provider_of
from gateway.catalog.rules import directions
from gateway.catalog.specs import (
    Campaign,
    Catalog,
    Channel,
    Circle,
    Item,
    Merchant,
    Offer,
    Relation,
    Shop,
    Webhook,
)
from gateway.catalog.zones import zone_named
from gateway.contract.adapter import Ack, Adapter, Outcome, RawNotification
from gateway.contract.clock import BEIJING
from gateway.contract.errors import BadConfig, UnknownKey
from gateway.contract.events import Event
from gateway.contract.wallet import Platform, Wallet

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class LiveWallet:
    """Who a customer signs in with: the platform, the channel that it was written for, and its values (secret).

    `seam` is None and `trouble` says why where nobody can sign in by it: its plug-in is gone or its values don't load.
    `endpoint` is where the sandbox's twin stands in for the platform, "" for the platform itself.
    """

    platform: Platform
    channel: str
    values: Mapping[str, Any] = field(repr=False)
    seam: Wallet | None = field(default=None, repr=False)
    keys: Any = field(default=None, repr=False)
    endpoint: str = ""
    trouble: str = ""

    @property
    def app_id(self) -> str:
        """The app that its openids belong to; two wallets of one app tell the same of a customer."""
        return str(self.values.get("appid") or self.values.get("app_id") or "")


@dataclass(frozen=True, slots=True)
class LiveChannel:
    """A channel with all that it refers to. `upstream` "" means that no POS answers for us.

    `trouble` is "" or why its keys don't load; its adapter then refuses whatever comes, so that it is relayed and
    kept in quarantine, and the merchant gets his callbacks all the same.
    """

    spec: Channel
    merchant: Merchant
    circle: Circle
    shop: Shop | None
    adapter: Adapter
    keys: Any = field(repr=False)
    provider: str
    upstream: str
    wallet: LiveWallet | None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class LiveHost:
    """A host in transparent reverse-proxy mode: who takes in which path, and whose upstream gets the rest."""

    takers: Mapping[str, LiveChannel]
    default: LiveChannel

    def channel_for(self, path: str) -> tuple[LiveChannel, bool]:
        """(whose upstream gets a request for `path`, whether it is taken in as a notification as well)."""
        taker = self.takers.get(path)
        return (self.default, False) if taker is None else (taker, True)


class Directory:
    """Look-ups over one version of the catalogue. What is not there is None, an empty tuple, or the default."""

    def __init__(
        self, version: int, catalog: Catalog, registry: Registry, *, sandbox_enabled: bool, base_url: str = ""
    ) -> None:
        """Work everything out. `catalog` has been through the rules; keys that don't load close their channel only.

        `base_url` is where the sandbox's twins of wallet platforms are found.
        """
        self.version: Final = version
        self.catalog: Final = catalog
        self._wallets = _wallets(catalog, registry, base_url if sandbox_enabled else "")
        self._channels = _live_channels(catalog, registry, self._wallets, sandbox_enabled=sandbox_enabled)
        self._hosts = _hosts(self._channels.values())
        self._items = _by_circle(catalog, catalog.items.values())
        self._relations = {way: pair.relation for pair in catalog.pairs.values() for way in directions(pair)}
        self._offers = {offer.circle: offer for offer in catalog.offers.values()}
        self._campaigns = _grouped((campaign.circle, campaign) for campaign in catalog.campaigns.values())
        self._webhooks = _grouped(
            (("circle", hook.circle) if hook.circle else ("merchant", hook.merchant), hook)
            for _, hook in sorted(catalog.webhooks.items())
        )
        self._zones = {shop.slug: zone_named(shop.timezone) for shop in catalog.shops.values()}

    def channels(self) -> Iterable[LiveChannel]:
        """Every channel that is served, by slug."""
        return self._channels.values()

    def channel(self, slug: str) -> LiveChannel | None:
        """The channel, or None: unknown, or a sandbox channel where the sandbox is not enabled."""
        return self._channels.get(slug)

    def merchant_for(self, channel: LiveChannel, sub_mch_id: str | None) -> Merchant | None:
        """Whose payment it is: the channel's merchant, or the one its `sub_merchants` name; None for a stranger's."""
        mapped = channel.spec.sub_merchants
        if not mapped or sub_mch_id is None:
            return channel.merchant
        return self.catalog.merchants.get(mapped.get(sub_mch_id, ""))

    def host(self, name: str) -> LiveHost | None:
        """The channels on a host, named in small letters without a port; None for a host of our own."""
        return self._hosts.get(name)

    def circle(self, slug: str) -> Circle | None:
        """The circle of that name."""
        return self.catalog.circles.get(slug)

    def merchant(self, slug: str) -> Merchant | None:
        """The merchant of that name."""
        return self.catalog.merchants.get(slug)

    def shop(self, slug: str) -> Shop | None:
        """The shop of that name."""
        return self.catalog.shops.get(slug)

    def circle_of(self, merchant: str) -> Circle | None:
        """The circle that a merchant belongs to."""
        found = self.catalog.merchants.get(merchant)
        return self.catalog.circles.get(found.circle) if found else None

    def items_of(self, circle: str) -> tuple[Item, ...]:
        """Every item of the circle's merchants, paused ones too, by slug."""
        return self._items.get(circle, ())

    def item(self, slug: str) -> Item | None:
        """The item of that name, paused or not."""
        return self.catalog.items.get(slug)

    def relation(self, giver: str, taker: str) -> Relation:
        """How `giver` treats `taker` (R040): what their pair says, `allow` without one, `block` across circles."""
        merchants = self.catalog.merchants
        if giver not in merchants or taker not in merchants or merchants[giver].circle != merchants[taker].circle:
            return "block"
        return self._relations.get((giver, taker), "allow")

    def offer(self, circle: str) -> Offer:
        """The circle's numbers of the core rule; the defaults, under an empty slug, when it has none."""
        return self._offers.get(circle) or Offer(slug="", circle=circle)

    def campaigns_of(self, circle: str) -> tuple[Campaign, ...]:
        """The circle's campaigns, whatever their state, by slug."""
        return self._campaigns.get(circle, ())

    def wallets_of(self, circle: str) -> tuple[LiveWallet, ...]:
        """Every wallet that customers of the circle may sign in with."""
        return self._wallets.get(circle, ())

    def wallets(self) -> tuple[tuple[str, LiveWallet], ...]:
        """Every wallet there is, each with its circle's slug, by circle."""
        return tuple((circle, wallet) for circle, found in sorted(self._wallets.items()) for wallet in found)

    def wallet_of(self, circle: str, channel: str) -> LiveWallet | None:
        """The wallet that was written for this channel of the circle."""
        return next((wallet for wallet in self.wallets_of(circle) if wallet.channel == channel), None)

    def wallet_for(self, circle: str, platforms: Collection[Platform], channel: str | None = None) -> LiveWallet | None:
        """The wallet by which a customer of `circle` signs in, of one of these platforms; None where there is none.

        With `channel`, the one whose openids a payment through that channel has told comes first.
        """
        usable = [wallet for wallet in self.wallets_of(circle) if wallet.seam and wallet.platform in platforms]
        paid = self._channels.get(channel or "")
        wanted = paid.wallet if paid is not None else None
        return next((wallet for wallet in usable if wallet == wanted), usable[0] if usable else None)

    def webhooks_for(self, circle: str, merchant: str) -> tuple[Webhook, ...]:
        """Who is told of what happens at a merchant of a circle: an empty tuple, at no cost, where nobody is."""
        if not self._webhooks:
            return ()
        return self._webhooks.get(("circle", circle), ()) + self._webhooks.get(("merchant", merchant), ())

    def zone(self, shop: str | None) -> tzinfo:
        """The zone that a shop's times are shown in; China's for none and for one that is not there."""
        return self._zones.get(shop or "", BEIJING)


class _Closed:
    """Stands in for an adapter that is gone or whose keys don't load: it reads nothing and asks to try again later."""

    def __init__(self, slug: str, adapter: Adapter | None) -> None:
        self.slug = slug
        self._adapter = adapter

    def load_keys(self, table: Mapping[str, Any]) -> Any:  # noqa: ARG002 - the seam's signature
        """Refuse any."""
        raise BadConfig([("", f"the adapter {self.slug} cannot be used")])

    def parse(self, raw: RawNotification, keys: Any, now: datetime) -> Event:  # noqa: ARG002 - the seam's signature
        """Refuse any, as one whose key is not held: it is relayed and kept in quarantine."""
        raise UnknownKey("the channel's own keys don't load")

    def ack(self, outcome: Outcome, event: Event | None = None) -> Ack:
        """The adapter's own words where there is one."""
        wanted: Outcome = "try_later" if outcome == "refused" else outcome
        return self._adapter.ack(wanted, event) if self._adapter is not None else Ack(503, (), b"")


def _live_channels(
    catalog: Catalog, registry: Registry, wallets: Mapping[str, tuple[LiveWallet, ...]], *, sandbox_enabled: bool
) -> dict[str, LiveChannel]:
    live = {}
    for slug, spec in sorted(catalog.channels.items()):
        if spec.sandbox and not sandbox_enabled:
            # Its platform's keys lie in the home: outside the sandbox whoever reads them could make payments (R073).
            continue
        merchant = catalog.merchants[spec.merchant]
        circle = catalog.circles[merchant.circle]
        adapter, keys, trouble = _load_keys(spec, registry)
        provider = provider_of(registry.adapters.get(spec.adapter, adapter))
        live[slug] = LiveChannel(
            spec=spec,
            merchant=merchant,
            circle=circle,
            shop=catalog.shops.get(spec.shop),
            adapter=adapter,
            keys=keys,
            provider=provider,
            upstream=spec.upstream if spec.intake == "relay" else "",
            wallet=_wallet_for(spec, provider, wallets.get(circle.slug, ())),
            trouble=trouble,
        )
    return live


def _load_keys(spec: Channel, registry: Registry) -> tuple[Adapter, Any, str]:
    adapter = registry.adapters.get(spec.adapter)
    if adapter is None:
        return _Closed(spec.adapter, None), None, f"the adapter {spec.adapter} is not installed"
    try:
        return adapter, adapter.load_keys(keys_table(spec)), ""
    except BadConfig as refused:
        trouble = "its keys don't load: " + ", ".join(path for path, _ in refused.faults)
    except Exception as error:  # noqa: BLE001 - a third party's adapter; one channel's fault must not stop the others
        trouble = f"the adapter {spec.adapter} failed on its keys ({type(error).__name__})"
    return _Closed(spec.adapter, adapter), None, trouble


def _wallets(catalog: Catalog, registry: Registry, base_url: str) -> dict[str, tuple[LiveWallet, ...]]:
    """Circle → its wallets. A sandbox channel's is there only where the sandbox is, which `base_url` says."""
    return _grouped(
        (catalog.merchants[channel.merchant].circle, _live_wallet(channel, registry, base_url))
        for _, channel in sorted(catalog.channels.items())
        if channel.wallet and (base_url or not channel.sandbox)
    )


def _live_wallet(channel: Channel, registry: Registry, base_url: str) -> LiveWallet:
    platform = wallet_platform(channel.wallet)
    endpoint = f"{base_url}/sandbox/platform/{channel.slug}" if channel.sandbox else ""
    values = {**channel.wallet, "endpoint": endpoint} if endpoint else channel.wallet
    seam = registry.wallets.get(platform)
    keys, trouble = None, f"no wallet is installed for {platform}"
    if seam is not None:
        try:
            keys, trouble = seam.load(values, keys_table(channel)), ""
        except BadConfig as refused:
            seam, trouble = None, "its wallet doesn't load: " + ", ".join(path for path, _ in refused.faults)
        except Exception as error:  # noqa: BLE001 - a third party's plug-in; one wallet's fault must not stop the others
            seam, trouble = None, f"the wallet plug-in failed on it ({type(error).__name__})"
    return LiveWallet(platform, channel.slug, channel.wallet, seam, keys, endpoint, trouble)


def _wallet_for(channel: Channel, provider: str, wallets: tuple[LiveWallet, ...]) -> LiveWallet | None:
    """The channel's own, else one of the circle for the same platform, else any of the circle."""
    ranked: list[Callable[[LiveWallet], bool]] = [
        lambda wallet: wallet.channel == channel.slug,
        lambda wallet: wallet.platform == provider,
        lambda _: True,
    ]
    return next((wallet for fits in ranked for wallet in wallets if fits(wallet)), None)


def _hosts(channels: Iterable[LiveChannel]) -> dict[str, LiveHost]:
    sharing: dict[str, list[LiveChannel]] = defaultdict(list)
    for channel in channels:
        for host in channel.spec.hosts:
            sharing[host].append(channel)
    return {
        host: LiveHost(
            takers={path: channel for channel in sharers for path in channel.spec.notify_paths},
            default=next((channel for channel in sharers if channel.spec.hosts_default), sharers[0]),
        )
        for host, sharers in sharing.items()
    }


def _by_circle(catalog: Catalog, items: Iterable[Item]) -> dict[str, tuple[Item, ...]]:
    return _grouped(
        (catalog.merchants[item.merchant].circle, item) for item in sorted(items, key=lambda item: item.slug)
    )


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, tuple[V, ...]]:
    groups: dict[K, list[V]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return {key: tuple(values) for key, values in groups.items()}
