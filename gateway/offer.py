"""Which items a payer is offered (004-c5, R039–R043): pure, and the same for the same seed.

Two steps, since the first depends on the catalogue alone and is worth keeping: `eligible` finds what a payment at one
merchant may ever give; `choose` drops what is gone or already held and draws by weight.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from gateway.catalog.specs import Item, Relation


@dataclass(frozen=True, slots=True)
class Eligible:
    """What may be given at one merchant: his own items, others' that he prefers, others' that he allows.

    `dropped` counts what was left out, by reason: `paused`, `weight`, `consent`, `relation`.
    """

    own: tuple[Item, ...]
    preferred: tuple[Item, ...]
    allowed: tuple[Item, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, out of how many, and why the others were not."""

    items: tuple[Item, ...]
    considered: int
    dropped: Mapping[str, int]
    seed: str

    @property
    def value_fen(self) -> int:
        """What the chosen items are worth together, in fen."""
        return sum(item.value_fen for item in self.items)


def eligible(merchant: str, items: Iterable[Item], relation: Callable[[str], Relation]) -> Eligible:
    """Sort a circle's items by what a payment at `merchant` may give.

    `relation(other)` is how `merchant` (giver) stands to `other` (taker), `block` holding in both directions already
    (R040). An item is offered elsewhere only with its own merchant's consent, which is its `offer` (R043).
    """
    own: list[Item] = []
    preferred: list[Item] = []
    allowed: list[Item] = []
    dropped: dict[str, int] = {}
    for item in items:
        if item.paused:
            _count(dropped, "paused")
        elif item.weight <= 0:
            _count(dropped, "weight")
        elif item.merchant == merchant:
            if item.offer == "elsewhere":
                _count(dropped, "consent")
            else:
                own.append(item)
        elif item.offer == "own":
            _count(dropped, "consent")
        elif (stand := relation(item.merchant)) == "block":
            _count(dropped, "relation")
        else:
            (preferred if stand == "prefer" else allowed).append(item)
    return Eligible(tuple(own), tuple(preferred), tuple(allowed), dropped)


def choose(
    among: Eligible, *, gone: Collection[str], held: Collection[str], own: int, elsewhere: int, seed: str
) -> Choice:
    """Draw `own` of the merchant's own items and `elsewhere` of others', preferred ones first.

    `gone`: slugs out of stock; `held`: slugs the person already has unused. At most one item of an
    `exclusive_group` per link, across merchants. An empty result means `no_inventory` (R042).
    """
    dropped = dict(among.dropped)
    groups: set[str] = set()
    picked: list[Item] = []
    considered = sum(dropped.values())
    for pools, wanted in (((among.own,), own), ((among.preferred, among.allowed), elsewhere)):
        left = wanted
        for pool in pools:
            considered += len(pool)
            for item in _ranked(pool, seed):
                reason = _why_not(item, gone, held, groups)
                if reason is None and left <= 0:
                    reason = "enough"
                if reason is not None:
                    _count(dropped, reason)
                    continue
                picked.append(item)
                left -= 1
                if item.exclusive_group:
                    groups.add(item.exclusive_group)
    return Choice(tuple(picked), considered, dropped, seed)


def _why_not(item: Item, gone: Collection[str], held: Collection[str], groups: Collection[str]) -> str | None:
    if item.slug in gone:
        return "stock"
    if item.slug in held:
        return "held"
    if item.exclusive_group and item.exclusive_group in groups:
        return "exclusive_group"
    return None


def _ranked(pool: tuple[Item, ...], seed: str) -> list[Item]:
    """A weighted shuffle: each item draws an exponential time with its weight as rate, the earliest goes first.

    (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006.)
    """
    if len(pool) < 2:  # noqa: PLR2004 - one item has one order
        return list(pool)
    return sorted(pool, key=lambda item: -math.log(_uniform(seed, item.slug)) / item.weight)


def _uniform(seed: str, slug: str) -> float:
    """A number in (0, 1] that depends on seed and slug alone."""
    number = int.from_bytes(blake2b(slug.encode(), key=seed.encode()[:64], digest_size=7).digest(), "big")
    return (number + 1) / 2**56


def _count(counts: dict[str, int], reason: str) -> None:
    counts[reason] = counts.get(reason, 0) + 1
