"""The pure rule of micro-merchant rewards: prices, rewards, attribution, payouts."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.micro_merchant.rules import (
    MEMBER_MOVES,
    PayoutFacts,
    Reward,
    Terms,
    attribution,
    faults,
    left_reward,
    matures_at,
    needs_four_eyes,
    payout_refusal,
    price_fen,
    reward,
)

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=timezone.utc)
bps = st.integers(0, 10_000)


@given(st.integers(1, 10**8), bps, st.integers(0, 10**8))
def test_R105_R106_the_price_lies_between_floor_and_original(original, discount, floor):
    price = price_fen(Terms(discount_bps=discount, floor_fen=floor), original, "MMCODE23")
    assert min(floor, original) <= price <= original
    assert price >= original - original * discount // 10_000 or price == original


def test_R105_no_code_pays_the_original_and_a_discount_of_nothing_switches_prices_off():
    assert price_fen(Terms(discount_bps=1000), 9990, None) == 9990
    assert price_fen(Terms(discount_bps=0), 9990, "MMCODE23") == 9990


def test_R106_a_code_may_have_its_own_discount():
    terms = Terms(discount_bps=1000, per_code={"MMCODE23": 2500, "MMCODE99": 0}, floor_fen=7600)
    assert price_fen(terms, 10_000, "MMCODE23") == 7600
    assert price_fen(terms, 10_000, "MMCODE99") == 10_000
    assert price_fen(terms, 10_000, "OTHER234") == 9000


@given(st.integers(0, 10**8), bps, st.integers(0, 10_000))
def test_R110_a_reward_is_rounded_down_and_capped(paid, rate, cap):
    cash = reward(Terms(reward_bps=rate, cap_fen=cap), paid).cash_fen
    assert cash == (min(paid * rate // 10_000, cap) if cap else paid * rate // 10_000)


@pytest.mark.parametrize(
    ("credit", "expected"),
    [
        ({"cash"}, Reward(50, 0, 0)),
        ({"points"}, Reward(0, 999, 0)),
        ({"coupons"}, Reward(0, 0, 1)),
        ({"cash", "points", "coupons"}, Reward(49, 999, 1)),
    ],
)
def test_R112_balances_in_any_combination(credit, expected):
    terms = Terms(reward_bps=500, points_bps=10_000, coupon_item="latte", cap_fen=50, credit=frozenset(credit))
    assert reward(terms, 999 if "points" in credit else 1000) == expected


def test_R112_nothing_paid_is_worth_nothing():
    assert reward(Terms(reward_bps=500, coupon_item="latte", credit=frozenset({"cash", "coupons"})), 0).is_nothing


@given(st.integers(0, 10**6), st.integers(0, 10**6), bps)
def test_R119_a_refund_takes_back_and_never_adds(paid, refunded, rate):
    terms = Terms(reward_bps=rate)
    given_ = reward(terms, paid)
    kept = left_reward(given_, terms, paid - refunded)
    assert 0 <= kept.cash_fen <= given_.cash_fen
    if refunded >= paid:
        assert kept.is_nothing


@pytest.mark.parametrize(
    ("explicit", "cookie", "typed", "who"),
    [
        ("a", "b", "c", "a"),
        (None, "b", "c", "b"),
        (None, None, "c", "c"),
        (None, None, None, None),
        ("a", None, "c", "a"),
    ],
)
def test_R116_one_attribution_the_code_first(explicit, cookie, typed, who):
    assert attribution(explicit, cookie, typed) == who


def test_R109_a_reward_is_earned_when_the_refund_window_is_over():
    assert matures_at(NOW, 7) == NOW + timedelta(days=7)
    assert matures_at(NOW, 0) == NOW


def asking(**more):
    known = {
        "amount_fen": 1000, "balance_fen": 1000, "paid_today_fen": 0, "in_flight": False, "has_account": True,
        "account_changed_at": None, "now": NOW,
    }  # fmt: skip
    return PayoutFacts(**{**known, **more})


LIMITS = Terms(payout_min_fen=100, payout_day_cap_fen=1500, four_eyes_fen=1000)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({}, ""),
        ({"has_account": False}, "no_bank_account"),
        ({"in_flight": True}, "payout_in_flight"),
        ({"amount_fen": 99}, "below_least"),
        ({"amount_fen": 0}, "below_least"),
        ({"amount_fen": -5}, "below_least"),
        ({"amount_fen": 1001}, "insufficient"),
        ({"paid_today_fen": 500}, ""),
        ({"paid_today_fen": 501}, "limit"),
        ({"account_changed_at": NOW - timedelta(hours=24)}, ""),
        ({"account_changed_at": NOW - timedelta(hours=23, minutes=59)}, "account_locked"),
    ],
)
def test_R113_R115_why_a_payout_is_refused(more, word):
    assert payout_refusal(LIMITS, asking(**more)) == word


def test_R115_without_a_minimum_still_nothing_is_paid_out_of_nothing():
    assert payout_refusal(Terms(), asking(amount_fen=0)) == "below_least"


def test_R115_four_eyes_above_the_threshold():
    assert needs_four_eyes(LIMITS, 1001)
    assert not needs_four_eyes(LIMITS, 1000)
    assert not needs_four_eyes(Terms(), 10**9)


def test_R101_a_closed_or_rejected_record_moves_no_more():
    assert MEMBER_MOVES["rejected"] == MEMBER_MOVES["closed"] == frozenset()
    assert "approved" in MEMBER_MOVES["suspended"]


@pytest.mark.parametrize(
    ("terms", "names"),
    [
        (Terms(reward_bps=500), []),
        (Terms(discount_bps=10_001), ["discount_bps"]),
        (Terms(reward_bps=-1, cap_fen=-1), ["reward_bps", "cap_fen"]),
        (Terms(per_code={"X": 10_001}), ["per_code.X.discount_bps"]),
        (Terms(credit=frozenset()), ["credit"]),
        (Terms(credit=frozenset({"coupons"})), ["coupon_item"]),
        (Terms(credit=frozenset({"points"})), ["points_bps"]),
    ],
)
def test_R106_what_cannot_be_is_told_by_its_name(terms, names):
    assert [name for name, _ in faults(terms)] == names
