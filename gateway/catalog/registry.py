"""Which plug-ins are installed: adapters, wallets, their sandbox sides and campaign kinds, found by entry points.

Built-in ones come through the same door as a third party's. Two distributions that name one thing refuse the start,
since which of them verifies money must not depend on the order of a directory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any, Final

from gateway.contract.adapter import Adapter, Platform
from gateway.contract.campaign_kind import CampaignKind
from gateway.contract.errors import BadConfig
from gateway.contract.wallet import Twin, Wallet

OWN_DISTRIBUTION: Final = "drainage-gateway"
ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Registry:
    """Plug-ins by slug. A value, so that tests and tools may pass any."""

    adapters: Mapping[str, Adapter] = field(default_factory=dict)
    platforms: Mapping[str, Platform] = field(default_factory=dict)
    campaigns: Mapping[str, CampaignKind] = field(default_factory=dict)
    wallets: Mapping[str, Wallet] = field(default_factory=dict)
    twins: Mapping[str, Twin] = field(default_factory=dict)


GROUPS: Final[Mapping[str, type[Any]]] = {
    "drainage.adapters": Adapter,
    "drainage.platforms": Platform,
    "drainage.campaigns": CampaignKind,
    "drainage.wallets": Wallet,
    "drainage.wallet_twins": Twin,
}
"""Entry point group → what its members are, in the order of the registry's fields."""


def provider_of(adapter: Adapter) -> str:
    """The name under which payments and identities of this adapter are kept."""
    return str(getattr(adapter, "provider", adapter.slug))


def installed(allow: Sequence[str], found: Iterable[EntryPoint] | None = None) -> Registry:
    """The plug-ins of our own distribution and of those in `allow` (`*`: every one); the rest is not imported.

    `found` are the entry points to choose from, the environment's by default. Raises BadConfig with every fault: a
    name given twice, a plug-in that does not import, one that is not what its group holds.
    """
    faults: list[tuple[str, str]] = []
    allowed = {_same(name) for name in (*allow, OWN_DISTRIBUTION)}
    everything = found if found is not None else (point for group in GROUPS for point in entry_points(group=group))
    chosen = [point for point in everything if ANY in allow or _same(_distribution(point)) in allowed]
    registry = Registry(
        *(_load([point for point in chosen if point.group == group], shape, faults) for group, shape in GROUPS.items())
    )
    if faults:
        raise BadConfig(faults)
    return registry


def kinds_migrations(registry: Registry) -> Mapping[str, Sequence[tuple[str, Sequence[str]]]]:
    """The migrations of every campaign kind, for the store."""
    return {slug: kind.migrations for slug, kind in registry.campaigns.items()}


def _load(points: Iterable[EntryPoint], shape: type[Any], faults: list[tuple[str, str]]) -> dict[str, Any]:
    loaded: dict[str, Any] = {}
    origins: dict[str, EntryPoint] = {}
    for point in points:
        path = f"{point.group}.{point.name}"
        if _was_taken_out(point):
            continue
        try:
            plugin = point.load()
        except Exception as error:  # noqa: BLE001 - a stranger's module may raise anything while it is imported
            faults.append((path, f"of {_distribution(point)} does not import ({type(error).__name__})"))
            continue
        slug = getattr(plugin, "slug", None)
        if not isinstance(plugin, shape) or not isinstance(slug, str):
            faults.append((path, f"of {_distribution(point)} is not what {point.group} holds"))
            continue
        known = origins.setdefault(slug, point)
        # One distribution may be seen twice, through two folders of the path; that is no quarrel.
        if (known.value, _distribution(known)) != (point.value, _distribution(point)):
            names = " and ".join(sorted({_distribution(known), _distribution(point)}))
            faults.append((path, f"two plug-ins call themselves {slug}, of {names}; uninstall one"))
        loaded[slug] = plugin
    return dict(sorted(loaded.items()))


def _was_taken_out(point: EntryPoint) -> bool:
    """Whether it is a campaign module of our own whose folder was removed: the house stands without it."""
    if point.group != "drainage.campaigns" or _distribution(point) != OWN_DISTRIBUTION:
        return False
    try:
        return find_spec(point.module) is None
    except ModuleNotFoundError:
        return True


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unnamed distribution"


def _same(name: str) -> str:
    """A distribution's name as packaging compares them (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
