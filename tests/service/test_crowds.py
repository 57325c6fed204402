"""Exactly once, whoever comes at the same moment: two processes, many threads each, on both databases.

R009, R027, R033, R044, R047, R054, R060, R061, R063 under load; at the end every promise of the store is checked.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from tests.service import hands
from tests.support.builders import House
from tests.support.crowd import in_processes
from tests.support.invariants import broken

BOTH = 2 * hands.THREADS


@pytest.fixture
def house(store_url):
    made = House(store_url, *hands.SCARCE)
    yield made
    assert made.store.read(lambda tx: broken(tx, made.now)) == []
    made.close()


def test_R009_R027_R054_R060_R061_fifty_of_one_thing_are_one_thing(house, store_url):
    said = defaultdict(list)
    for what, results in in_processes(2, hands.one_story, store_url):
        said[what] += results
    assert {what: len(results) for what, results in said.items()} == {**dict.fromkeys(said, BOTH), "known": 2}
    for turn in (1, 2):
        assert Counter(said[f"pay-{turn}"]) == {"processed": 1, "seen": BOTH - 1}
    assert Counter(said["first"]) == {"processed": BOTH}
    assert house.count("tags WHERE circle = 'riverside'") == 2
    assert house.count("payments WHERE tag_before = 'untagged' AND circle = 'riverside'") == 2
    # Everyone sees the same coupons, one of each item.
    assert len(set(said["claim"])) == 1
    assert len(said["claim"][0]) == 3
    # One wins, and all others are told who it was.
    (winner,) = (by for outcome, by in said["redeem"] if outcome == "redeemed")
    assert Counter(said["redeem"]) == {("redeemed", winner): 1, ("already_redeemed", winner): BOTH - 1}
    assert Counter(said["same scan"]) == {"redeemed": BOTH}
    assert house.count("redemptions") == 2
    assert Counter(said["refund"]) == {"processed": 1, "seen": BOTH - 1}
    assert house.count("transfers WHERE reason LIKE 'a refunded%'") == 2
    assert house.payment("T2")["refunded_fen"] == 10_000


def test_R033_R054_R063_budget_stock_and_limits_hold_to_the_last_one(house, store_url):
    said = in_processes(2, hands.scarcity, store_url)
    customers = [one for one in said if isinstance(one, tuple)]
    claimed = Counter(
        item for one in customers for item in (one[1] if len(one) > 1 and isinstance(one[1], tuple) else ())
    )
    assert claimed["bowl"] <= 4
    assert (house.one("SELECT sum(taken) AS n FROM stock WHERE item = 'bowl'")["n"] or 0) == claimed["bowl"]
    reasons = Counter(one[0] for one in customers)
    assert set(reasons) <= {"issued", "budget"}
    row = house.one("SELECT * FROM budgets")
    assert 0 < row["reserved_fen"] + row["consumed_fen"] <= 16_000
    # The hasty one: the first of his payments tags, and of the rest three may bring a link.
    hasty = house.person("hasty")
    assert house.count("links WHERE person = :p", p=hasty) <= 3
    assert house.count("tags WHERE person = :p", p=hasty) == 1
    limits = house.one("SELECT n FROM counters WHERE name LIKE :n", n=f"link:riverside:{hasty}:d:%")["n"]
    assert limits == house.count("links WHERE person = :p", p=hasty)


def test_R044_R047_ten_things_are_sold_at_most_ten_times(house, store_url):
    said = Counter(in_processes(2, hands.buyers, store_url))
    assert said["swept"] == 10
    sold = house.count("coupons WHERE item = 'menu' AND state <> 'void'")
    assert sold == 2 * said["fulfilled"] <= 10
    assert house.one("SELECT taken FROM stock WHERE item = 'menu'")["taken"] <= 10
    assert said["fulfilled"] + said["refunded"] + said["sold_out"] == 20


def test_R061_claims_redemptions_refunds_and_leaving_that_meet_each_other(house, store_url):
    by_turn = defaultdict(Counter)
    for turn, results in in_processes(2, hands.quarrels, store_url):
        by_turn[turn].update(str(result) for result in results)
    assert len(by_turn) == 6
    for turn, results in by_turn.items():
        assert set(results) <= {
            "claimed", "refunded", "processed", "seen", "riverside", "redeemed", "already_redeemed", "void",
        }, turn  # fmt: skip
        assert results["riverside"] == 2
        # Whatever was first, after the refund no coupon is left to use.
        unused = house.count(
            "coupons c JOIN payments p ON p.id = c.payment WHERE p.transaction_id = :t AND c.state = 'claimed'",
            t=f"q-{turn}-2",
        )
        assert unused == 0
        used = house.count(
            "coupons c JOIN payments p ON p.id = c.payment WHERE p.transaction_id = :t AND c.state = 'redeemed'",
            t=f"q-{turn}-2",
        )
        noted = house.count(
            "coupons c JOIN payments p ON p.id = c.payment WHERE p.transaction_id = :t AND c.closed_reason = 'refunded' AND c.state = 'redeemed'",
            t=f"q-{turn}-2",
        )
        assert used == noted
