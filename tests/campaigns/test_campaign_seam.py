"""The seam between the core and its campaigns: states and their moves, where a campaign counts and when (R075)."""

from datetime import datetime, timedelta, timezone

import pytest

from gateway.contract.campaign import LEGAL_MOVES, CampaignView, may_move
from gateway.contract.money import Fen

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=timezone.utc)
A_MINUTE = timedelta(minutes=1)


def view(**more):
    known = {
        "slug": "spring", "kind": "referral", "circle": "riverside", "merchants": frozenset(), "state": "live", "version": 1,
        "starts_at": None, "ends_at": None, "budget_fen": Fen(0), "budget_fen_per_day": Fen(0), "settings": {"secret": 1},
    }  # fmt: skip
    return CampaignView(**{**known, **more})


@pytest.mark.parametrize(
    ("state", "to", "may"),
    [
        ("draft", "scheduled", True),
        ("draft", "live", True),
        ("scheduled", "live", True),
        ("live", "paused", True),
        ("paused", "live", True),
        ("live", "ended", True),
        ("paused", "ended", True),
        ("ended", "archived", True),
        ("live", "draft", False),
        ("live", "archived", False),
        ("ended", "live", False),
        ("archived", "draft", False),
        ("draft", "ended", False),
        ("live", "live", False),
    ],
)
def test_R075_a_campaign_moves_only_forward_and_may_rest(state, to, may):
    assert may_move(state, to) is may


def test_R075_every_state_that_can_be_reached_is_known_and_every_one_ends():
    assert {to for targets in LEGAL_MOVES.values() for to in targets} <= set(LEGAL_MOVES)
    for state in LEGAL_MOVES:
        reached, left = {state}, [state]
        while left:
            found = LEGAL_MOVES[left.pop()] - reached
            reached |= found
            left += found
        assert "archived" in reached


@pytest.mark.parametrize(
    ("more", "is_open"),
    [
        ({}, True),
        ({"state": "paused"}, False),
        ({"state": "scheduled"}, False),
        ({"starts_at": NOW}, True),
        ({"starts_at": NOW + A_MINUTE}, False),
        ({"ends_at": NOW}, False),
        ({"ends_at": NOW + A_MINUTE}, True),
        ({"starts_at": NOW - A_MINUTE, "ends_at": NOW + A_MINUTE, "state": "ended"}, False),
    ],
)
def test_R075_a_campaign_counts_while_it_is_live_and_within_its_time(more, is_open):
    assert view(**more).is_open(NOW) is is_open


def test_a_campaign_without_merchants_is_for_all_of_its_circle():
    assert view().includes("hotpot")
    assert view(merchants=frozenset({"sweets"})).includes("sweets")
    assert not view(merchants=frozenset({"sweets"})).includes("hotpot")


def test_R016_a_campaigns_settings_stay_out_of_logs():
    assert "secret" not in repr(view())
