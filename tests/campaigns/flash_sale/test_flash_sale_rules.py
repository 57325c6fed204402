"""The pure rule of the flash sale: splits, trial order, merging leftovers, new splits, opening times."""

import itertools
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.flash_sale.rules import (
    Shard,
    faults,
    merge_candidates,
    opening,
    resplit,
    split,
    stock_of,
    to_close,
    trial_order,
)

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=timezone.utc)
shards = st.lists(
    st.builds(Shard, st.just(0), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12
).map(lambda found: [Shard(n + 1, one.left, one.held, one.sold) for n, one in enumerate(found)])


@given(st.integers(0, 10**9), st.integers(1, 300))
def test_R171_a_split_sums_to_the_total_and_differs_by_one_at_most(total, count):
    parts = split(total, count)
    assert len(parts) == count
    assert sum(parts) == total
    assert max(parts) - min(parts) <= 1
    assert list(parts) == sorted(parts, reverse=True)


@pytest.mark.parametrize(("total", "count"), [(-1, 3), (3, 0), (3, -1)])
def test_R171_what_cannot_be_split(total, count):
    with pytest.raises(ValueError, match="split"):
        split(total, count)


@given(st.lists(st.integers(1, 500), unique=True, max_size=20), st.randoms(use_true_random=False))
def test_R175_every_live_shard_is_tried_once(live, chance):
    assert sorted(trial_order(live, chance.randrange)) == sorted(live)


def test_R175_every_order_is_as_likely_as_every_other():
    orders = []
    for draws in itertools.product(range(4), range(3), range(2)):
        coming = iter(draws)
        orders.append(trial_order((1, 2, 3, 4), lambda n, coming=coming: next(coming) % n))
    assert sorted(orders) == sorted(itertools.permutations((1, 2, 3, 4)))


@given(shards)
def test_R177_the_stock_always_adds_up(found):
    stock = stock_of(found)
    assert stock.total == stock.sold + stock.held + stock.left


@given(shards, st.integers(1, 700))
def test_R176_R178_a_merge_takes_the_fewest_shards_that_hold_enough(found, wanted):
    chosen = merge_candidates(found, wanted)
    left = {shard.number: shard.left for shard in found}
    if sum(left.values()) < wanted:
        assert chosen == ()
        return
    assert sum(left[number] for number in chosen) >= wanted
    assert sum(sorted(left.values(), reverse=True)[: len(chosen) - 1]) < wanted


def test_R178_only_small_rests_are_moved_and_never_the_central_one():
    found = [Shard(0, 1), Shard(1, 0), Shard(2, 2), Shard(3, 3)]
    assert to_close(found, 3) == (2,)
    assert to_close(found, 0) == ()


@given(shards, st.integers(0, 300), st.integers(1, 20))
def test_R182_a_new_split_keeps_what_is_sold_and_held(found, more, count):
    now = stock_of(found)
    parts = resplit(found, now.sold + now.held + more, count)
    assert sum(parts) == more
    assert len(parts) == count


def test_R182_never_below_what_is_sold_and_held():
    with pytest.raises(ValueError, match="3 are"):
        resplit([Shard(1, 5, 1, 2)], 2, 4)


@pytest.mark.parametrize(
    ("start", "end", "word"),
    [
        (None, None, "open"),
        (timedelta(), None, "open"),
        (timedelta(seconds=1), None, "early"),
        (None, timedelta(), "over"),
        (None, timedelta(seconds=1), "open"),
        (timedelta(seconds=1), timedelta(), "early"),
    ],
)
def test_R180_the_window_is_half_open(start, end, word):
    starts = NOW + start if start is not None else None
    ends = NOW + end if end is not None else None
    assert opening(NOW, starts, ends) == word


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ((100, 4, 1, 0, 15), []),
        ((0, 4, 1, 0, 15), ["total"]),
        ((3, 4, 1, 0, 15), ["shards"]),
        ((100, 0, 1, 0, 15), ["shards"]),
        ((100, 257, 1, 0, 15), ["shards"]),
        ((100, 4, -1, -1, 0), ["per_person", "shard_floor", "hold_minutes"]),
        ((100, 4, 0, 0, 121), ["hold_minutes"]),
    ],
)
def test_R171_what_cannot_be_is_told_by_its_name(values, names):
    assert [name for name, _ in faults(*values)] == names
