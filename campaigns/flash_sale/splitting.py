"""Loading a sale, splitting it anew, and proving that nothing of it was lost (R170–R172, R178, R182, R183)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from campaigns.flash_sale import rules, tables
from campaigns.flash_sale.rules import CENTRAL, Shard, Stock
from campaigns.flash_sale.settings import MOST_TOTAL, FlashSaleSettings
from campaigns.flash_sale.tables import Change, Line, Sale
from gateway.contract.campaign import CampaignView
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Tx

LOADED: Final = "stock_loaded"
"""The deed that tells every stock beside the store of a new split."""


def loaded(tx: Tx, house: House, campaign: CampaignView, now: datetime) -> Sale:
    """The sale as it runs; loaded at its first use, once for good: no later version of its file fills it again."""
    known = tables.sale_of(tx, campaign.slug)
    if known is not None:
        return known
    settings: FlashSaleSettings = campaign.settings
    if tables.begin(tx, campaign.slug, settings.shards, campaign.version, now):
        _fill(tx, house, campaign, 1, _parts(settings, settings.total, settings.shards), "load", now)
        house.audit(tx, "flash_sale", "flash_sale.load", campaign.slug, None, f"{settings.total} units", now)
        house.owe(tx, campaign, LOADED, campaign.slug, {"map": 1}, now)
    sale = tables.sale_of(tx, campaign.slug)
    assert sale is not None
    return sale


def _parts(settings: FlashSaleSettings, total: int, shards: int) -> dict[int, int]:
    """Shard → what it gets; all into the central one while the flow switch is off (R171, R174)."""
    if not settings.flow_switch:
        return {CENTRAL: total}
    return {CENTRAL: 0, **dict(enumerate(rules.split(total, shards), start=1))}


def _fill(
    tx: Tx, house: House, campaign: CampaignView, map_: int, parts: dict[int, int], entry: tables.Entry, now: datetime
) -> None:
    for number, part in parts.items():
        tables.new_shard(tx, campaign.slug, map_, number)
        if part:
            line = Line(campaign.slug, map_, number, entry)
            tables.must_move(tx, house.ids, line, Change(left=part), now)


def shards_now(tx: Tx, campaign: CampaignView) -> tuple[Sale | None, tuple[Shard, ...]]:
    """The shards as they stand, or as they will be for a sale that is not loaded yet."""
    sale = tables.sale_of(tx, campaign.slug)
    if sale is not None:
        return sale, tables.shards_of(tx, campaign.slug, sale.map)
    settings: FlashSaleSettings = campaign.settings
    parts = _parts(settings, settings.total, settings.shards)
    return None, tuple(Shard(number, part) for number, part in parts.items())


def told_of(settings: FlashSaleSettings, shards: Sequence[Shard]) -> list[Shard]:
    """The shards that people are shown: the central one only where it is, or has become, one of them."""
    return [
        shard
        for shard in shards
        if shard.number != CENTRAL or not settings.flow_switch or shard.left or shard.held or shard.sold
    ]


def resplit(
    tx: Tx, house: House, campaign: CampaignView, who: str, shards: int | None, total: int | None, now: datetime
) -> Sale:
    """A paused sale goes on with another total or another number of shards, under a new map (R182).

    What is not named is what the apply file says if it has changed since, else what it was. Raises Refused 409
    `not_paused`, `below_sold`, 422 `invalid`.
    """
    if campaign.state != "paused":
        raise Refused("not_paused", 409, state=campaign.state)
    settings: FlashSaleSettings = campaign.settings
    sale = loaded(tx, house, campaign, now)
    before = tables.hold_still(tx, campaign.slug, sale.map)
    # Who waited for the shards may find that the map has gone on meanwhile.
    if not before:
        sale = loaded(tx, house, campaign, now)
        before = tables.hold_still(tx, campaign.slug, sale.map)
    had = rules.stock_of(before)
    newer = campaign.version > sale.version
    count = shards if shards is not None else (settings.shards if newer else sale.shards)
    amount = total if total is not None else (settings.total if newer else had.total)
    faults = {}
    if not 1 <= count <= rules.MOST_SHARDS:
        faults["shards"] = f"must be 1 to {rules.MOST_SHARDS}"
    if not 1 <= amount <= MOST_TOTAL:
        faults["total"] = f"must be 1 to {MOST_TOTAL}"
    if faults:
        raise Refused("invalid", 422, fields=faults)
    try:
        parts = rules.resplit(before, amount, count)
    except ValueError:
        raise Refused("below_sold", 409, sold=had.sold, held=had.held) from None
    number = tables.next_map(tx, campaign.slug, count, campaign.version)
    for shard in before:
        line = Line(campaign.slug, sale.map, shard.number, "resplit")
        tables.must_move(tx, house.ids, line, Change(-shard.left, -shard.held, -shard.sold), now)
    tables.drop_shards(tx, campaign.slug, sale.map)
    left = {CENTRAL: sum(parts)} if not settings.flow_switch else {CENTRAL: 0, **dict(enumerate(parts, start=1))}
    _fill(tx, house, campaign, number, left, "resplit", now)
    # What is sold and held already came from shards that are gone: the central one answers for it from now on.
    line = Line(campaign.slug, number, CENTRAL, "resplit")
    tables.must_move(tx, house.ids, line, Change(held=had.held, sold=had.sold), now)
    told = f"{had.total} units, {sale.shards} shards", f"{amount} units, {count} shards"
    house.audit(tx, who, "flash_sale.resplit", campaign.slug, *told, now)
    house.owe(tx, campaign, LOADED, campaign.slug, {"map": number}, now)
    made = tables.sale_of(tx, campaign.slug)
    assert made is not None
    return made


def rebuild(tx: Tx, house: House, campaign: CampaignView, who: str, now: datetime) -> Sale:
    """Make the shards of a paused sale anew from the journal, should they ever differ from it (R183).

    Raises Refused 409 `not_paused`.
    """
    if campaign.state != "paused":
        raise Refused("not_paused", 409, state=campaign.state)
    sale = loaded(tx, house, campaign, now)
    before = rules.stock_of(tables.hold_still(tx, campaign.slug, sale.map))
    tables.remake(tx, sale)
    after = rules.stock_of(tables.shards_of(tx, campaign.slug, sale.map))
    house.audit(tx, who, "flash_sale.rebuild", campaign.slug, f"{before.left} left", f"{after.left} left", now)
    house.owe(tx, campaign, LOADED, campaign.slug, {"map": sale.map}, now)
    return sale


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the total. `agrees`: shards, journal and reservations, counted apart, say the same (R178)."""

    stock: Stock
    journal: Stock
    reserved_held: int
    reserved_sold: int
    agrees: bool

    @property
    def rest(self) -> int:
        """What was not sold."""
        return self.stock.total - self.stock.sold


def report(tx: Tx, campaign: CampaignView) -> Report:
    """Count the sale three times over."""
    sale, shards = shards_now(tx, campaign)
    if sale is None:
        stock = rules.stock_of(shards)
        return Report(stock, stock, 0, 0, agrees=True)
    stock = rules.stock_of(shards)
    by_journal = tables.journal_sums(tx, campaign.slug, sale.map)
    held, sold = tables.reserved_sums(tx, campaign.slug)
    # A shard that never held anything has no line.
    same = [shard for shard in shards if shard != Shard(shard.number, 0)] == [
        shard for shard in by_journal if shard != Shard(shard.number, 0)
    ]
    agrees = same and (held, sold) == (stock.held, stock.sold)
    return Report(stock, rules.stock_of(by_journal), held, sold, agrees=agrees)
