"""R177: whatever happens in whatever order, the sums hold; told by hypothesis, with the gate in front and without."""

import itertools

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.flash_sale import reserving, splitting
from campaigns.flash_sale.buying import buy
from campaigns.flash_sale.kind import RECONCILE, kind
from campaigns.flash_sale.redis_stock import GRACE, gate_of
from campaigns.flash_sale.stock import SqlStock, drawer
from gateway.contract.campaign import OrderLate
from gateway.contract.errors import Refused
from gateway.contract.money import Fen
from tests.campaigns.flash_sale.flash_house import NOW, House, figures, view, wish
from tests.support.databases import opened

TOTAL, CAP = 12, 3

steps = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(0, 4), st.integers(1, 4)),
        st.tuples(st.sampled_from(["pay", "cancel", "lapse", "late", "refund"]), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("resplit"), st.integers(0, 20), st.integers(1, 6)),
        st.tuples(st.sampled_from(["merge", "close", "rebuild", "work", "flush", "reconcile"]), st.just(0), st.just(0)),
    ),
    max_size=25,
)
_FEW = settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
)


class Story:
    """One sale that anything may happen to; each step may be refused, none may break a sum."""

    def __init__(self, store, slug, redis_url):
        self.house = House(store, redis_url)
        self.campaign = self.house.campaign = view(slug=slug, total=TOTAL, shards=3, per_person=CAP)
        self.paused = view("paused", slug=slug, total=TOTAL, shards=3, per_person=CAP)
        self.made = []
        self.numbers = itertools.count()

    def play(self, step):
        what, first, second = step
        write = self.house.store.write
        one = self.made[first % len(self.made)] if self.made else None
        try:
            if what == "reserve":
                self.made.append(
                    buy(self.house, self.campaign, wish(f"p_{first}", f"r{next(self.numbers)}", second), NOW)
                )
            elif what == "resplit":
                write(lambda tx: splitting.resplit(tx, self.house, self.paused, "boss", second, first, NOW))
            elif what == "merge":
                sale = write(lambda tx: splitting.loaded(tx, self.house, self.campaign, NOW))
                write(lambda tx: self.stock(tx).gather(self.campaign.slug, sale.map, 4, NOW))
            elif what == "close":
                write(lambda tx: kind.sweeps[1](tx, self.house, view("ended", slug=self.campaign.slug), NOW, 9))
            elif what == "rebuild":
                write(lambda tx: splitting.rebuild(tx, self.house, self.paused, "boss", NOW))
            elif what == "work":
                self.house.do_owed(self.campaign)
            elif what == "flush" and self.house.redis_url:
                with redis.Redis.from_url(self.house.redis_url) as client:
                    client.flushall()
            elif what == "reconcile":
                assert kind.deeds[RECONCILE](self.house, self.campaign, {}, NOW + GRACE) is None
            elif one is not None:
                write(lambda tx: self.change(tx, what, one))
        except Refused as refused:
            assert refused.status in {409, 422}, refused.code

    def stock(self, tx):
        return SqlStock(tx, self.house.ids, drawer(self.house.random))

    def change(self, tx, what, one):
        if what == "pay":
            self.house.paid(tx, self.campaign, one.id)
        elif what == "cancel":
            reserving.cancel(tx, self.house, self.campaign, one.id, NOW)
        elif what == "lapse":
            self.house.end(tx, self.campaign, one.id)
        elif what == "refund":
            self.house.end(tx, self.campaign, one.id, paid=True, units=one.quantity)
        else:
            event = OrderLate(one.order_id, self.campaign.slug, one.id, one.person, one.quantity, Fen(990))
            kind.take(tx, self.house, self.campaign, event, NOW)

    def check(self):
        found = figures(self.house.store, self.campaign)
        assert found.total == found.sold + found.held + found.left
        rows = self.house.store.read(
            lambda tx: tx.all(
                "SELECT r.counter, sum(CASE WHEN r.state IN ('held', 'sold') THEN r.quantity - r.back ELSE 0 END) AS n "
                "FROM flash_sale_reservations r WHERE r.campaign = :slug GROUP BY r.counter",
                {"slug": self.campaign.slug},
            )
        )
        for row in rows:
            name = f"flash_sale:{self.campaign.slug}:{row['counter']}"
            counted = self.house.store.read(
                lambda tx, name=name: tx.one("SELECT n FROM counters WHERE name = :name", {"name": name})
            )
            assert counted["n"] == row["n"] <= CAP
        return found


@pytest.mark.parametrize("gated", [False, True])
def test_R177_any_interleaving_keeps_the_sums(sale_url, redis_url, gated):
    store = opened(sale_url)
    slugs = (f"rush-{number}" for number in itertools.count())

    @_FEW
    @given(steps)
    def check(played):
        story = Story(store, next(slugs), redis_url if gated else "")
        total = TOTAL
        for step in played:
            story.play(step)
            found = story.check()
            # The total moves by a new split alone.
            assert step[0] == "resplit" or found.total == total
            total = found.total
        # At the end everything that is left can be sold, one by one, and not one more.
        rest = story.check().left
        if gated:
            story.house.do_owed(story.campaign)
            assert kind.deeds[RECONCILE](story.house, story.campaign, {}, NOW + GRACE) is None
            left = gate_of(story.house).left(story.campaign.slug)
            assert left is None or sum(left.values()) == rest
        for number in range(rest):
            buy(story.house, story.campaign, wish(f"p_last_{number}", f"last-{number}"), NOW)
        with pytest.raises(Refused, match="sold_out"):
            buy(story.house, story.campaign, wish("p_late", "late"), NOW)
        assert story.check().left == 0

    check()
    store.close()
