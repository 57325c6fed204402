"""What the catalogue says for one place of payment, worked out once per state of the catalogue and place."""

from __future__ import annotations

from functools import partial

from gateway.catalog.directory import Directory
from gateway.catalog.specs import Merchant
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
    items = directory.items_of(circle.slug)
    return Rules(
        offer=offer,
        eligible=eligible(merchant.slug, items, partial(directory.relation, merchant.slug)),
        welcome=directory.item(circle.welcome_item) if circle.welcome_item else None,
        source_item=directory.item(offer.source_item) if offer.source_item else None,
        zone=directory.zone(shop),
        min_amount_fen=circle.min_amount_fen,
        tag_days=circle.tag_days,
        last_touch=circle.last_touch,
    )
