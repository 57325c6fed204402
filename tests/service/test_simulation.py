"""A seeded simulation: customers, clerks, platforms and sweeps in random order under a clock that jumps.

After each step every promise of the store is checked (reliability: exactly once, money, stock, budgets, tags, chain), and
that what was answered is kept. A failure prints its seed and the steps that led to it; the same seed takes them again.
"""

from __future__ import annotations

import random

import pytest

from gateway import coupons, links, orders, people, retention
from gateway.catalog.specs import Circle, Item, Merchant, Offer
from gateway.contract import Ignored, Payer
from gateway.contract.errors import Refused
from gateway.ledger import limits
from gateway.redeeming import Clerk
from gateway.settings import Retention
from tests.support.builders import House, changed, payment, refund
from tests.support.invariants import broken

_OFFER = changed(
    Offer, "default", own=1, elsewhere=2, per_person_per_day=4, per_person=30, budget_fen=60_000, budget_fen_per_day=20_000,
    source_item="cut", source_budget_fen=8_000, bought_threshold=3, bought_repeat=True, link_days=2,
)  # fmt: skip
_CATALOG = (
    changed(Circle, "riverside", min_amount_fen=100, tag_days=4, welcome_item="soup"),
    _OFFER,
    changed(Item, "bowl", stock=25, valid_days=3, exclusive_group="g"),
    changed(Item, "cut", valid_days=2, exclusive_group="g"),
    changed(Item, "menu", stock=20, offer="both", weight=1),
)
_REFUSALS = {
    "not_found", "expired", "refunded", "sold_out", "paused", "already_redeemed", "void", "below_minimum", "not_yet_valid",
    "not_redeemed", "too_late", "not_for_sale", "not_paid", "used", "idempotency_key_reused", "already_undone", "merged_since",
    "not_mergeable",
}  # fmt: skip
_SOMEBODY = Clerk("clerk", None)


class Simulation:
    """One town for some days."""

    def __init__(self, url: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.house = House(url, *_CATALOG, random=self.random.randbytes)
        self.latest = self.house.now
        self.answered: dict[str, int] = {}
        self.told: dict[str, object] = {}
        self.refused_by_us = 0
        self.steps: list[str] = []
        self.number = 0

    # -- moves ------------------------------------------------------------------------------------------------------

    def pay(self) -> None:
        again = self.told and self.random.random() < 0.2
        if again:
            transaction = self.random.choice(sorted(self.told))
            event, channel = self.told[transaction]
        else:
            self.number += 1
            transaction = f"T{self.number}"
            names = self.random.sample("abcdef", 2 if self.random.random() < 0.04 else 1)
            payers = [Payer("app-1", "openid", name) for name in names if self.random.random() < 0.97]
            amount = self.random.choice([0, 99, 100, 101, 5000, 12_345])
            event = payment(transaction, *payers, amount=amount, at=self.house.now)
            channel = self.random.choice(["hotpot", "hotpot", "sweets", "barber", "noodles"])
            self.told[transaction] = (event, channel)
        taken = self.house.take_in(event, channel)
        assert taken.outcome == ("seen" if transaction in self.answered else "processed")
        self.answered[transaction] = event.amount_fen

    def refund(self) -> None:
        # Of something known, or of what will only be told later.
        ahead = f"T{self.number + 1}"
        transaction = self.random.choice([*sorted(self.told), ahead]) if self.told else ahead
        fen = self.random.choice([1, 100, 4900, 5000, 12_345, 99_999])
        self.house.take_in(refund(transaction, f"R{self.random.randrange(3)}", fen, at=self.house.now))

    def ignored(self) -> None:
        assert self.house.take_in(Ignored("voucher", "unknown_event", "e")).outcome == "ignored"

    def fault(self) -> None:
        """The transaction breaks in its last moment: nothing of it may stay."""
        before = self.counts()

        def fail(tx, taken):
            raise KeyError(taken.delivery)

        with pytest.raises(KeyError):
            self.house.take_in(payment(f"X{self.random.random()}", "a"), on_event=fail)
        assert self.counts() == before

    def counts(self):
        return [self.house.count(table) for table in ("payments", "deliveries", "tags", "links", "persons", "counters")]

    def _some(self, table):
        rows = self.house.all(f"SELECT * FROM {table} ORDER BY 1")
        return self.random.choice(rows[-12:]) if rows else None

    def claim(self) -> None:
        link = self._some("links")
        if link is not None:
            before = links.state_at(link, self.house.now)
            page = self.house.claim(link)
            assert before in {"issued", "opened", "claimed"}
            assert page.view == "claimed"
            assert {row["item"] for row in page.coupons}.isdisjoint(page.missed)

    def look(self) -> None:
        link = self._some("links")
        if link is not None:
            self.house.claiming.look(self.house.directory, self.house.token(link), self.house.now)

    def redeem(self) -> None:
        coupon = self._some("coupons")
        if coupon is not None:
            before = coupons.state_at(coupon, self.house.now)
            key = f"k{self.random.randrange(400)}"
            known = self.house.count("idempotency WHERE key = :k", k=key)
            shown = self.house.redeem(coupon["code"], key, amount_fen=self.random.choice([None, 100, 30_000]))
            assert shown["state"] == "redeemed"
            assert known or before == "claimed"

    def reverse(self) -> None:
        used = self._some("redemptions")
        if used is not None:
            shown = self.house.redeeming.reverse(used["coupon"], _SOMEBODY, "mistake", self.house.now)
            assert shown["state"] in {"claimed", "void", "expired"}

    def leave_or_join(self) -> None:
        link = self._some("links")
        if link is not None:
            move = self.random.choice(
                [self.house.claiming.opt_out, self.house.claiming.opt_in, self.house.claiming.opt_in]
            )
            move(self.house.directory, self.house.token(link), self.house.now)

    def share(self) -> None:
        person = self._some("persons")
        if person is not None:
            token = self.house.sharing.create(person["id"], "riverside", self.house.now).token
            outcome = self.house.confirm(token, self.random.choice("abcdef"))
            assert outcome in {"tagged", "already_tagged", "self_referral"}

    def order(self) -> None:
        person = self._some("persons")
        if person is not None:
            self.house.ordering.create(
                self.house.directory, "menu", self.random.randint(1, 4), person["id"], self.house.now
            )

    def pay_order(self) -> None:
        order = self._some("orders")
        if order is not None:
            bought = self.house.ordering.pay(self.house.directory, order["id"], self.house.now)
            assert len(bought.coupons) in {0, order["quantity"]}

    def refund_order(self) -> None:
        order = self._some("orders")
        if order is not None:
            self.house.ordering.refund(order["id"], self.random.randint(1, 2), self.house.now)

    def unmerge(self) -> None:
        merge = self._some("merges")
        if merge is not None:
            self.house.write(lambda tx: people.unmerge(tx, self.house.now, merge["id"], "staff"))

    def sweep(self) -> None:
        now = self.house.now
        self.house.write(
            lambda tx: [links.close(tx, row, now, "expired", "expired") for row in links.overdue(tx, now, 50)]
        )
        self.house.write(lambda tx: [coupons.expire(tx, row, now) for row in coupons.overdue(tx, now, 50)])
        self.house.write(lambda tx: orders.close_overdue(tx, now, 50))
        self.house.write(lambda tx: limits.sweep(tx, now, 50))
        self.house.write(lambda tx: retention.sweep(tx, Retention(), now, 50))

    def catalogue(self) -> None:
        changes = [*_CATALOG]
        if self.random.random() < 0.5:
            changes.append(changed(Merchant, self.random.choice(["hotpot", "sweets", "barber"]), paused=True))
        self.house.apply(*changes)

    def time(self) -> None:
        jump = self.random.choice([0.5, 60, 600, 900, 3600, 3600, 20_000, 86_400, -600, -86_400])
        self.house.later(seconds=jump)
        self.latest = max(self.latest, self.house.now)

    MOVES = (
        (pay, 30), (refund, 6), (ignored, 1), (fault, 1), (claim, 14), (look, 3), (redeem, 10), (reverse, 3), (leave_or_join, 2),
        (share, 4), (order, 4), (pay_order, 5), (refund_order, 2), (unmerge, 2), (sweep, 3), (catalogue, 1), (time, 9),
    )  # fmt: skip

    # -- the run ----------------------------------------------------------------------------------------------------

    def run(self, steps: int) -> None:
        moves, weights = zip(*self.MOVES, strict=True)
        for _ in range(steps):
            move = self.random.choices(moves, weights)[0]
            self.steps.append(move.__name__)
            try:
                move(self)
            except Refused as refused:
                assert refused.code in _REFUSALS, refused.code
                self.refused_by_us += 1
            faults = self.house.store.read(lambda tx: broken(tx, self.latest))
            assert faults == [], faults
            kept = {row["transaction_id"]: row["amount_fen"] for row in self.house.all("SELECT * FROM payments")}
            assert kept == self.answered


def _simulate(url: str, seed: int, steps: int) -> Simulation:
    simulation = Simulation(url, seed)
    try:
        simulation.run(steps)
    except BaseException:
        print(f"seed {seed}, step {len(simulation.steps)}: {' '.join(simulation.steps[-40:])}")
        raise
    finally:
        simulation.house.close()
    return simulation


@pytest.mark.parametrize("seed", range(10))
def test_a_town_lives_for_some_days_and_every_promise_holds(sqlite_files, tmp_path, seed):
    simulation = _simulate(sqlite_files.new_database(tmp_path), seed, 300)
    assert len(simulation.answered) > 40
    assert simulation.refused_by_us > 10


@pytest.mark.postgres
def test_and_so_it_does_on_postgresql(postgres_url):
    assert len(_simulate(postgres_url, 4711, 120).answered) > 15


def test_R243_the_same_seed_takes_the_same_steps(sqlite_files, tmp_path):
    ends = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        simulation = _simulate(sqlite_files.new_database(tmp_path / name), 5, 80)
        ends.append((simulation.steps, simulation.answered, simulation.house.now))
    assert ends[0] == ends[1]
