"""A house small enough for many processes: orders are a row in memory, everything else is real."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from types import SimpleNamespace

from campaigns.flash_sale import reserving
from campaigns.flash_sale.kind import kind
from campaigns.flash_sale.settings import load_settings
from gateway.contract.campaign import CampaignView, OrderEnded, OrderPaid
from gateway.contract.house import ItemFacts, MerchantFacts, SaleOrder
from gateway.contract.ids import IdFactory, system_random
from gateway.contract.money import Fen

NOW = datetime(2026, 11, 22, 4, 5, 6, tzinfo=timezone.utc)


def view(state="live", version=1, starts_at=None, ends_at=None, slug="rush", **settings):
    table = {"item": "latte", "total": 100, "shards": 4, "per_person": 1, **settings}
    loaded = load_settings(table)
    return CampaignView(
        slug, "flash_sale", "lane", frozenset(), state, version, starts_at, ends_at, Fen(0), Fen(0), loaded
    )


class Catalogue:
    def item(self, slug):
        return ItemFacts("latte", "cafe", "拿铁券", "coupon", 3000, 990, None, False) if slug == "latte" else None

    def merchant(self, slug):
        return MerchantFacts("cafe", "lane", "半日咖啡", False) if slug == "cafe" else None

    def shop(self, slug):
        return None

    def zone(self, shop):
        return timezone.utc


class House:
    """Sells whatever is asked for. `owed`: (topic, payload) of what the worker would do."""

    def __init__(self, store, redis_url="", random=system_random):
        self.store = store
        self.redis_url = redis_url
        self.random = random
        self.ids = IdFactory(random)
        self.owed = []
        self.refuse = None
        self._lock = threading.Lock()

    def catalogue(self):
        return Catalogue()

    def group(self, tx, person):
        return (person,)

    def sell(self, tx, campaign, sale, now):
        if self.refuse is not None:
            raise self.refuse
        return SaleOrder(f"o-{sale.about}", f"/me/orders/o-{sale.about}")

    def unsell(self, tx, order, reason, now):
        self.end(tx, self.campaign, order.removeprefix("o-"), now)
        return True

    def reserve(self, tx, campaign, origin, parts, now):
        return True

    def owe(self, tx, campaign, topic, about, payload, now, **_):
        with self._lock:
            self.owed.append((topic, payload))

    def audit(self, tx, *_):
        pass

    # -- what the core would tell ------------------------------------------------------------------------------------

    def paid(self, tx, campaign, reservation, now=NOW):
        event = OrderPaid(f"o-{reservation}", "latte", "lane", "cafe", "p", 1, Fen(990), (), campaign.slug, reservation)
        return kind.take(tx, self, campaign, event, now)

    def end(self, tx, campaign, reservation, now=NOW, *, paid=False, units=0):
        event = OrderEnded(f"o-{reservation}", campaign.slug, reservation, "p", 1, units, paid)
        return kind.take(tx, self, campaign, event, now)

    def do_owed(self, campaign, now=NOW):
        """The worker's pass: everything that is owed, once."""
        owed, self.owed = self.owed, []
        for topic, payload in owed:
            assert kind.deeds[topic](self, campaign, payload, now) is None, topic


def wish(person="p_1", request="r1", quantity=1, cost_fen=0):
    return reserving.Wish(person, request, quantity, cost_fen)


def figures(store, campaign):
    """(total, sold, held, left), and that shards, journal and reservations agree."""
    from campaigns.flash_sale import splitting

    found = store.read(lambda tx: splitting.report(tx, campaign))
    assert found.agrees, found
    return SimpleNamespace(total=found.stock.total, sold=found.stock.sold, held=found.stock.held, left=found.stock.left)
