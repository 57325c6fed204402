"""What the catalogue says for one place of payment, worked out once per state of the catalogue and place."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from gateway.catalog.directory import Directory
from gateway.catalog.specs import Item, Merchant
from gateway.offer import eligible
from gateway.rewards import Rules


class Rulebook:
    """Keeps the rules of each (merchant, shop) until the directory changes. Share it between threads."""

    def __init__(self) -> None:
        self._kept: tuple[Directory, dict[tuple[str, str | None], Rules]] | None = None

    def rules(self, directory: Directory, merchant: Merchant, shop: str | None) -> Rules:
        """The rules for a payment at `merchant` in `shop`."""
        kept = self._kept
        if kept is None or kept[0] is not directory:
            # Two threads may both start afresh; either result is right, and one of them stays.
            kept = (directory, {})
            self._kept = kept
        rules = kept[1].get((merchant.slug, shop))
        if rules is None:
            rules = kept[1][merchant.slug, shop] = _worked_out(directory, merchant, shop)
        return rules


def _worked_out(directory: Directory, merchant: Merchant, shop: str | None) -> Rules:
    circle = directory.circle(merchant.circle)
    assert circle is not None  # the catalogue holds every merchant's circle
    offer = directory.offer(circle.slug)
    items = {item.slug: _as_offered(directory, item) for item in directory.items_of(circle.slug)}
    return Rules(
        offer=offer,
        eligible=eligible(merchant.slug, items.values(), partial(directory.relation, merchant.slug)),
        welcome=items.get(circle.welcome_item),
        source_item=items.get(offer.source_item),
        zone=directory.zone(shop),
        min_amount_fen=circle.min_amount_fen,
        tag_days=circle.tag_days,
        last_touch=circle.last_touch,
    )


def _as_offered(directory: Directory, item: Item) -> Item:
    """A paused merchant's items are paused with him (R043)."""
    owner = directory.merchant(item.merchant)
    return replace(item, paused=True) if owner is not None and owner.paused else item
