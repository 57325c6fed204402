"""The pure rule of two-sided incentive: amounts, shares, and why a payment fires nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.two_sided.rules import Facts, Firing, Terms, faults, firing, refusal

bps = st.integers(0, 10_000)
terms = st.builds(
    Terms,
    user_fen=st.integers(0, 5000),
    user_bps=bps,
    merchant_fen=st.integers(0, 5000),
    merchant_bps=bps,
    clerk_bps=bps,
)


@given(terms, st.integers(0, 10**8), st.booleans())
def test_R164_the_merchants_side_is_shared_to_the_last_fen(numbers, amount, has_clerk):
    fired = firing(numbers, amount, has_clerk=has_clerk)
    side = numbers.merchant_fen + amount * numbers.merchant_bps // 10_000
    assert fired.merchant_fen + fired.clerk_fen == side
    assert min(fired.user_fen, fired.merchant_fen, fired.clerk_fen) >= 0
    assert fired.cost_fen == side + numbers.user_fen + amount * numbers.user_bps // 10_000
    if not has_clerk:
        assert fired.clerk_fen == 0


def test_R164_a_worked_sum():
    numbers = Terms(user_bps=500, merchant_fen=100, merchant_bps=250, clerk_bps=3000)
    assert firing(numbers, 2599, has_clerk=True) == Firing(user_fen=129, merchant_fen=115, clerk_fen=49)
    assert firing(numbers, 2599, has_clerk=False) == Firing(129, 164, 0)


def facts(**more):
    known = {
        "amount_fen": 2600, "tag_before": "tagged", "tag_source": "hotpot", "has_quota": True, "pays_at_own_shop": False,
        "pair_today": 0, "fired_in_period": 0,
    }  # fmt: skip
    return Facts(**{**known, **more})


STRICT = Terms(
    user_fen=1, merchant_fen=1, min_amount_fen=2600, per_pair_per_day=2, times=5, period_days=30,
    user_sources=frozenset({"hotpot"}),
)  # fmt: skip


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({}, None),
        ({"tag_before": "untagged"}, "not_in_group"),
        ({"tag_before": "opted_out"}, "not_in_group"),
        ({"tag_before": "untaggable"}, "not_in_group"),
        ({"tag_source": "sweets"}, "not_in_group"),
        ({"has_quota": False}, "no_quota_code"),
        ({"amount_fen": 2599}, "below_minimum"),
        ({"pays_at_own_shop": True}, "own_shop"),
        ({"pair_today": 2}, "pair_limit"),
        ({"pair_today": 1, "fired_in_period": 4}, None),
        ({"fired_in_period": 5}, "times"),
        ({"has_quota": False, "pays_at_own_shop": True}, "no_quota_code"),
    ],
)
def test_R160_R163_R166_why_a_payment_fires_nothing(more, word):
    assert refusal(STRICT, facts(**more)) == word


def test_R160_without_limits_a_tagged_payer_fires_it():
    assert refusal(Terms(user_fen=1, merchant_fen=1), facts(pair_today=99, fired_in_period=99, amount_fen=1)) is None


@pytest.mark.parametrize(
    ("numbers", "names"),
    [
        (Terms(user_fen=1, merchant_fen=1), []),
        (Terms(merchant_fen=1), ["user_fen"]),
        (Terms(user_fen=1), ["merchant_fen"]),
        (Terms(user_fen=1, merchant_fen=1, clerk_bps=10_001), ["clerk_bps"]),
        (Terms(user_fen=1, merchant_fen=1, times=3), ["times"]),
        (Terms(user_fen=1, merchant_fen=1, period_days=3), ["times"]),
        (Terms(user_fen=2, merchant_fen=1, min_amount_fen=-1, user_bps=-1), ["min_amount_fen", "user_bps"]),
    ],
)
def test_R161_what_cannot_be_is_told_by_its_name(numbers, names):
    assert [name for name, _ in faults(numbers)] == names
