"""What must hold for channels: their merchant and shop, their keys as the adapter reads them, the hosts they share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.catalog.specs import Catalog, Channel
from gateway.catalog.surroundings import Surroundings
from gateway.checks import suggestion, toml_path
from gateway.contract.adapter import Adapter
from gateway.contract.errors import BadConfig
from gateway.contract.wallet import Platform

Fault = tuple[str, str]

_PAIRS: Final[Mapping[Platform, frozenset[str]]] = {
    "wechat": frozenset({"appid", "app_secret"}),
    "alipay": frozenset({"app_id", "app_private_key"}),
}
"""The names of a `wallet` table that every wallet of a platform has."""

_NAMES: Final[Mapping[Platform, str]] = {"wechat": "WeChat", "alipay": "Alipay"}
_ANY_TWIN: Final = "http://twin.invalid/sandbox/platform/any"


def channel_faults(channel: Channel, catalog: Catalog, surroundings: Surroundings) -> Iterator[Fault]:
    """The faults of one channel beside the others'; that what it names exists is looked at elsewhere."""
    path = toml_path("channel", channel.slug)
    shop = catalog.shops.get(channel.shop)
    if shop is not None and shop.merchant != channel.merchant:
        yield f"{path}.shop", f"{channel.shop} is a shop of another merchant"
    yield from _sub_merchants(channel, catalog, path)
    if channel.upstream:
        refusal = surroundings.check_upstream(channel.upstream)
        if refusal is not None:
            yield f"{path}.upstream", refusal
    if channel.hosts and (channel.intake != "relay" or not channel.upstream):
        yield f"{path}.hosts", 'forwards what comes to the upstream: needs intake = "relay" and an upstream'
    if channel.notify_paths and not channel.hosts:
        yield f"{path}.notify_paths", "are paths on hosts; give hosts too"
    if channel.hosts_default and not channel.hosts:
        yield f"{path}.hosts_default", "speaks of hosts; give hosts too"
    yield from _adapter(channel, path, surroundings)
    if channel.wallet:
        yield from _wallet(channel, f"{path}.wallet", surroundings)


def wallet_platform(wallet: Mapping[str, Any]) -> Platform:
    """Whose wallet a `wallet` table is for, by its names."""
    return "alipay" if _PAIRS["alipay"] & set(wallet) and not _PAIRS["wechat"] & set(wallet) else "wechat"


def wallet_pair_faults(wallet: Mapping[str, Any], path: str) -> list[Fault]:
    """The faults of a `wallet` table that lacks the two texts which every wallet of its platform has."""
    known = sorted(_PAIRS["wechat"] | _PAIRS["alipay"])
    faults = [
        (f"{path}.{name}", "must be text") for name in known if name in wallet and not isinstance(wallet[name], str)
    ]
    if any(pair <= set(wallet) for pair in _PAIRS.values()):
        return faults
    misspelt = [
        (f"{path}.{toml_path(name)}", f"no such key{suggestion(name, known)}")
        for name in wallet
        if name not in known and suggestion(name, known)
    ]
    if not misspelt:
        shapes = ", or ".join(f"{' and '.join(sorted(names))} ({_NAMES[whose]})" for whose, names in _PAIRS.items())
        faults.append((path, f"must hold {shapes}"))
    return faults + misspelt


def _wallet(channel: Channel, path: str, surroundings: Surroundings) -> Iterator[Fault]:
    """What a wallet's own plug-in finds fault with; where none is installed, only the names that all have."""
    wallet = channel.wallet
    seam = surroundings.registry.wallets.get(wallet_platform(wallet))
    if seam is None:
        known = sorted(_PAIRS["wechat"] | _PAIRS["alipay"])
        for name in wallet:
            if name not in known:
                yield f"{path}.{toml_path(name)}", f"no such key{suggestion(name, known)}"
        return
    # The twin's address is put in when the catalogue is read, since it moves with `base_url`.
    values = {**wallet, "endpoint": _ANY_TWIN} if channel.sandbox else wallet
    try:
        seam.load(values, keys_table(channel))
    except BadConfig as refused:
        for key, message in refused.faults:
            yield f"{path}.{key}" if key else path, message
    except Exception as error:  # noqa: BLE001 - a third party's plug-in; its text may hold a key, so it is not told
        yield path, f"the wallet plug-in failed on it ({type(error).__name__})"


def _adapter(channel: Channel, path: str, surroundings: Surroundings) -> Iterator[Fault]:
    registry = surroundings.registry
    adapter = registry.adapters.get(channel.adapter)
    if adapter is None:
        known = ", ".join(sorted(registry.adapters)) or "none"
        yield f"{path}.adapter", f"is not installed; installed: {known}{suggestion(channel.adapter, registry.adapters)}"
        return
    if channel.sandbox and not surroundings.sandbox_enabled:
        yield f"{path}.sandbox", "needs [sandbox] enabled = true in config.toml"
    elif channel.sandbox and channel.adapter not in registry.platforms:
        yield f"{path}.sandbox", f"no sandbox platform is installed for {channel.adapter}"
    else:
        # A sandbox channel's keys are made, so where they cannot be there is nothing to find fault with.
        yield from _keys(channel, adapter, path)
    stale_after_s = getattr(adapter, "stale_after_s", None)
    if channel.answer == "ack" and stale_after_s is not None:
        yield (
            f"{path}.answer",
            f'"ack" relays later, yet a {channel.adapter} signature goes stale after {stale_after_s} s; say "mirror"',
        )


def keys_table(channel: Channel) -> Mapping[str, Any]:
    """The table an adapter loads a channel's keys from: what was written, and the sub-merchants' ids where mapped."""
    if not channel.sub_merchants:
        return channel.keys
    return {**channel.keys, "sub_mchids": sorted(channel.sub_merchants)}


def _keys(channel: Channel, adapter: Adapter, path: str) -> Iterator[Fault]:
    if "sub_mchids" in channel.keys:
        yield f"{path}.keys.sub_mchids", f"is made from [{path}.sub_merchants]; write that table"
        return
    try:
        adapter.load_keys(keys_table(channel))
    except BadConfig as refused:
        for key, message in refused.faults:
            if key == "sub_mchids" or key.startswith("sub_mchids."):
                yield f"{path}.sub_merchants", message
            else:
                yield f"{path}.keys.{key}" if key else f"{path}.keys", message
    except Exception as error:  # noqa: BLE001 - a third party's adapter; its text may hold a key, so it is not told
        yield f"{path}.keys", f"the adapter {channel.adapter} failed on them ({type(error).__name__})"


def _sub_merchants(channel: Channel, catalog: Catalog, path: str) -> Iterator[Fault]:
    own = catalog.merchants.get(channel.merchant)
    for sub_mch_id, slug in channel.sub_merchants.items():
        merchant = catalog.merchants.get(slug)
        if own is not None and merchant is not None and merchant.circle != own.circle:
            # A channel's payments are tagged in one circle; another circle takes a channel of its own.
            yield f"{path}.sub_merchants.{toml_path(sub_mch_id)}", f"{slug} is in another circle than {own.slug}"


def host_faults(catalog: Catalog, own_host: str) -> Iterator[Fault]:
    """The faults of hosts that channels share, or that are our own."""
    sharing: dict[str, list[Channel]] = defaultdict(list)
    for channel in catalog.channels.values():
        for host in channel.hosts:
            sharing[host].append(channel)
            if own_host and host == own_host.lower():
                yield f"{toml_path('channel', channel.slug)}.hosts", f"{host} is the gateway's own, see base_url"
    for host, channels in sharing.items():
        takers: dict[str, Channel] = {}
        for channel in channels:
            for notify_path in channel.notify_paths:
                first = takers.setdefault(notify_path, channel)
                if first is not channel:
                    where = f"{toml_path('channel', channel.slug)}.notify_paths"
                    yield where, f"channel.{first.slug} takes {notify_path} on {host} already"
        marked = [channel for channel in channels if channel.hosts_default]
        if len(channels) > 1 and len(marked) != 1:
            wrong = (marked or channels)[-1]
            said = "more than one" if marked else "none"
            yield (
                f"{toml_path('channel', wrong.slug)}.hosts_default",
                f"{len(channels)} channels share {host}: exactly one must be its default, {said} is",
            )
