"""The rules that are functions: what to offer (R039–R043), links earned (R045, R046), what a refund leaves (R061), money."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalog.specs import Item
from gateway.contract.money import fen_of_yuan, yuan_of_fen
from gateway.offer import choose, eligible
from gateway.orders import links_earned
from gateway.outbox import backoff
from gateway.refunds import left_after, remainder

OWN = Item("own", "hotpot", "a", offer="own")


def _item(slug, merchant, **parts):
    return Item(slug, merchant, slug, **parts)


_ITEMS = st.lists(
    st.builds(
        Item,
        slug=st.sampled_from([f"i{number}" for number in range(12)]),
        merchant=st.sampled_from(["hotpot", "sweets", "barber", "foe"]),
        name=st.just("x"),
        value_fen=st.integers(0, 900),
        offer=st.sampled_from(["own", "elsewhere", "both"]),
        exclusive_group=st.sampled_from(["", "", "g", "h"]),
        weight=st.integers(0, 50),
        paused=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda item: item.slug,
)
_RELATIONS = {"sweets": "allow", "barber": "prefer", "foe": "block"}


def _eligible(items):
    return eligible("hotpot", items, lambda other: _RELATIONS[other])


@settings(max_examples=300, deadline=None)
@given(
    items=_ITEMS,
    gone=st.sets(st.sampled_from([f"i{n}" for n in range(12)])),
    held=st.sets(st.sampled_from([f"i{n}" for n in range(12)])),
    own=st.integers(0, 3),
    elsewhere=st.integers(0, 3),
    seed=st.text(max_size=40),
)
def test_R039_R040_R041_R042_any_choice_keeps_the_rules(items, gone, held, own, elsewhere, seed):
    among = _eligible(items)
    choice = choose(among, gone=gone, held=held, own=own, elsewhere=elsewhere, seed=seed)
    assert choice == choose(among, gone=gone, held=held, own=own, elsewhere=elsewhere, seed=seed)
    picked_own = [item for item in choice.items if item.merchant == "hotpot"]
    picked_other = [item for item in choice.items if item.merchant != "hotpot"]
    assert len(picked_own) <= own
    assert len(picked_other) <= elsewhere
    groups = [item.exclusive_group for item in choice.items if item.exclusive_group]
    assert len(groups) == len(set(groups))
    for item in choice.items:
        assert not item.paused
        assert item.weight > 0
        assert item.slug not in gone | held
        assert item.merchant != "foe"
        assert item.offer in ({"own", "both"} if item.merchant == "hotpot" else {"elsewhere", "both"})
    # Nothing that could have been given was left out without need: a place stays empty for a reason only.
    assert len(choice.items) + sum(choice.dropped.values()) == choice.considered == len(items)
    if len(picked_other) < elsewhere:
        assert choice.dropped.get("enough", 0) == 0 or len(picked_own) == own
    # Preferred first: an allowed one is only given once no preferred one was left.
    if any(item.merchant == "sweets" for item in picked_other):
        usable = [item for item in among.preferred if item.slug not in gone | held]
        taken = {item.slug for item in choice.items}
        spare = [item for item in usable if item.slug not in taken]
        assert all(item.exclusive_group in groups for item in spare)
    assert choice.value_fen == sum(item.value_fen for item in choice.items)


def test_R041_why_each_one_was_left_out():
    items = [
        OWN,
        _item("sold", "hotpot"),
        _item("resting", "hotpot", paused=True),
        _item("only-for-sale", "hotpot", weight=0),
        _item("away", "hotpot", offer="elsewhere"),
        _item("home", "sweets", offer="own"),
        _item("rival", "foe", offer="both"),
        _item("had", "barber", offer="both"),
        _item("spare", "barber", offer="both"),
        _item("group-a", "sweets", offer="both", exclusive_group="g"),
    ]
    choice = choose(_eligible(items), gone={"sold"}, held={"had"}, own=1, elsewhere=1, seed="s")
    assert [item.slug for item in choice.items] == ["own", "spare"]
    assert choice.dropped == {"paused": 1, "weight": 1, "consent": 2, "relation": 1, "stock": 1, "held": 1, "enough": 1}


def test_R040_one_of_an_exclusive_group_across_merchants():
    items = [
        _item(f"i{n}", merchant, offer="both", exclusive_group="g")
        for n, merchant in enumerate(["hotpot", "sweets", "barber"])
    ]
    choice = choose(_eligible(items), gone=(), held=(), own=2, elsewhere=2, seed="s")
    assert [item.slug for item in choice.items] == ["i0"]
    assert choice.dropped["exclusive_group"] == 2


def test_R041_weights_are_kept_over_many_seeds():
    """Nine to one, within what chance allows: 3,000 draws are far from 0.85 and 0.95."""
    items = [_item("often", "hotpot", weight=9), _item("rare", "hotpot", weight=1)]
    among = _eligible(items)
    drawn = Counter(
        choose(among, gone=(), held=(), own=1, elsewhere=0, seed=f"pay_{number}").items[0].slug
        for number in range(3000)
    )
    assert 0.88 < drawn["often"] / 3000 < 0.92


def test_R042_nothing_to_give_is_an_empty_choice():
    choice = choose(_eligible([]), gone=(), held=(), own=3, elsewhere=3, seed="s")
    assert (choice.items, choice.considered, choice.value_fen) == ((), 0, 0)


# -- links earned by buying ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bought", "threshold", "repeat", "links"),
    [
        (3, 3, False, 0), (4, 3, False, 1), (400, 3, False, 1), (6, 3, True, 1), (7, 3, True, 2), (10, 3, True, 3),
        (0, 3, True, 0), (5, 0, True, 0), (5, -1, False, 0), (-2, 3, True, 0), (1, 1, True, 0), (2, 1, True, 1),
    ],
)  # fmt: skip
def test_R045_R046_more_than_the_preset_number(bought, threshold, repeat, links):
    assert links_earned(bought, threshold, repeat=repeat) == links


@given(st.integers(-5, 500), st.integers(-2, 50))
def test_R046_links_earned_grow_by_one_and_only_beyond_a_multiple(bought, threshold):
    now, more = (links_earned(n, threshold, repeat=True) for n in (bought, bought + 1))
    assert more - now == (1 if threshold > 0 and bought >= threshold and bought % threshold == 0 else 0)
    assert links_earned(bought, threshold, repeat=False) == min(1, now)


# -- what a refund leaves -----------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 400), min_size=1, max_size=5), st.booleans(), st.randoms())
def test_R061_the_order_in_which_refunds_are_told_does_not_matter(parts, with_totals, random):
    """Partial refunds of one payment, told in any order, with the platform's running totals or without."""
    amount = sum(parts) + random.randint(0, 300)
    told = [
        {"refund_fen": part, "refunded_total_fen": sum(parts[: place + 1]) if with_totals else None}
        for place, part in enumerate(parts)
    ]
    random.shuffle(told)
    assert left_after(amount, told) == amount - sum(parts)


def test_R061_every_order_of_a_few_by_name():
    told = [{"refund_fen": fen, "refunded_total_fen": total} for fen, total in ((100, 100), (200, 300), (50, 350))]
    assert {left_after(1000, order) for order in permutations(told)} == {650}


@pytest.mark.parametrize(
    ("amount", "so_far", "fen", "total", "refunded", "excess"),
    [
        (1000, 0, 1000, None, 1000, False), (1000, 0, 1001, None, 1001, True), (1000, 600, 500, None, 1100, True),
        (1000, 600, 500, 500, 600, False), (1000, 0, 1, 1001, 1001, True), (0, 0, 0, None, 0, False), (0, 0, 1, None, 1, True),
    ],
)  # fmt: skip
def test_R061_beyond_what_was_paid_is_excess(amount, so_far, fen, total, refunded, excess):
    rest = remainder(amount, so_far, fen, total)
    assert (rest.refunded_fen, rest.left_fen, rest.excess) == (refunded, amount - refunded, excess)


def test_R061_an_excess_among_others_counts_for_nothing():
    told = [{"refund_fen": fen, "refunded_total_fen": None} for fen in (5000, 300)]
    assert left_after(1000, told) == 700


# -- money and waiting --------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**12 - 1))
def test_yuan_there_and_back(fen):
    assert fen_of_yuan(yuan_of_fen(fen)) == fen


@given(st.text(max_size=12))
def test_whatever_is_no_amount_is_refused_and_never_guessed(text):
    try:
        fen = fen_of_yuan(text)
    except ValueError:
        return
    whole, _, part = text.partition(".")
    assert fen == int(whole) * 100 + int(part.ljust(2, "0"))
    assert text.isascii()
    assert len(part) <= 2


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "1\n", "-1", "+1", "1e2", "0x1", "1_0", "1,0", ".5", "1.", "0.001", "01", "00.1", "1.2.3", "１", "١", "NaN", "inf", "1" * 11],
)  # fmt: skip
def test_amounts_that_are_none(text):
    with pytest.raises(ValueError, match="amount in yuan"):
        fen_of_yuan(text)


@given(st.integers(-3, 10_000))
def test_R241_each_wait_is_as_long_as_the_one_before_or_longer(tries):
    assert timedelta(seconds=1) <= backoff(tries) <= backoff(tries + 1) <= timedelta(hours=1)
