"""The pure rule of referral: bindings, qualifying payments, caps, holds."""

from datetime import datetime, timedelta, timezone

import pytest

from campaigns.referral.rules import MOVES, Scan, Terms, binding, cap_reached, faults, qualifies, reward_due

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=timezone.utc)
TERMS = Terms("latte", "latte", qualify_fen=1000, per_day=2, total=3, hold_days=7)


def scan(**more):
    known = dict.fromkeys(("is_self", "bound_before", "is_tagged", "closes_ring", "same_device", "is_over"), False)
    return Scan(**{**known, **more})


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({}, "bound"),
        ({"is_self": True}, "self_referral"),
        ({"is_self": True, "is_over": True, "bound_before": True}, "self_referral"),
        ({"is_over": True}, "expired"),
        ({"bound_before": True, "is_tagged": True}, "already_bound"),
        ({"is_tagged": True}, "existing_customer"),
        ({"closes_ring": True}, "review"),
        ({"same_device": True}, "review"),
        ({"closes_ring": True, "is_tagged": True}, "existing_customer"),
    ],
)
def test_R193_R195_what_becomes_of_a_confirmation(more, word):
    assert binding(TERMS, scan(**more)) == word


def test_R193_existing_customers_count_where_the_campaign_says_so():
    assert binding(Terms("latte", new_only=False), scan(is_tagged=True)) == "bound"


@pytest.mark.parametrize(
    ("state", "after", "left", "counts"),
    [
        ("bound", timedelta(seconds=1), 1000, True),
        ("bound", timedelta(seconds=1), 999, False),
        ("bound", timedelta(0), 1000, True),
        ("bound", -timedelta(seconds=1), 1000, False),
        ("bound", -timedelta(days=1), 1000, False),
        ("review", timedelta(seconds=1), 1000, False),
        ("scanned", timedelta(seconds=1), 1000, False),
        ("qualified", timedelta(seconds=1), 1000, False),
        ("rewarded", timedelta(seconds=1), 1000, False),
    ],
)
def test_R190_which_payment_qualifies(state, after, left, counts):
    assert qualifies(TERMS, state, NOW, NOW + after, left) is counts


def test_R190_a_payment_told_in_whole_seconds_counts_in_the_second_of_the_binding():
    bound = NOW + timedelta(milliseconds=700)
    assert qualifies(TERMS, "bound", bound, NOW, 1000)
    assert not qualifies(TERMS, "bound", bound, NOW - timedelta(seconds=1), 1000)


def test_R190_a_payment_that_was_given_back_never_qualifies():
    assert not qualifies(Terms("latte"), "bound", NOW, NOW + timedelta(1), 0)


@pytest.mark.parametrize(
    ("today", "in_all", "word"),
    [(0, 0, ""), (1, 2, ""), (2, 2, "limit_day"), (2, 3, "limit_total"), (0, 3, "limit_total")],
)
def test_R194_a_referrers_caps(today, in_all, word):
    assert cap_reached(TERMS, today, in_all) == word
    assert cap_reached(Terms("latte"), today, in_all) == ""


def test_R194_rewards_wait_for_the_hold():
    assert reward_due(TERMS, NOW) == NOW + timedelta(days=7)


def test_R193_what_is_rejected_or_expired_moves_no_more():
    assert MOVES["rejected"] == MOVES["expired"] == frozenset()
    assert all(target in MOVES for targets in MOVES.values() for target in targets)


@pytest.mark.parametrize(
    ("terms", "names"),
    [
        (TERMS, []),
        (Terms(), ["referrer_item"]),
        (Terms("latte", per_day=-1, total=-1, hold_days=-1), ["per_day", "total", "hold_days"]),
        (Terms("latte", qualify_fen=-1, link_days=0), ["qualify.min_amount_fen", "link_days"]),
    ],
)
def test_R190_what_cannot_be_is_told_by_its_name(terms, names):
    assert [name for name, _ in faults(terms)] == names
