"""What a merchant sets of a session's packets, and of how many sessions he pays for (R131)."""

import pytest

from campaigns.help_cut.settings import load_settings
from gateway.contract.errors import BadConfig

TABLE = {
    "item": "set-menu", "price_fen": 9900, "floor_price_fen": 4900, "quantity": 20, "packets": 4, "packet_cap_fen": 300,
    "helpers": 5, "cut_fen": [2000, 1500, 1000, 500],
}  # fmt: skip


def test_R131_number_cap_helpers_total_and_sessions_are_the_merchants_to_set():
    made = load_settings({**TABLE, "total_fen": 800, "sessions": 7})
    assert (made.policy.packets, made.policy.cap_fen, made.policy.total_fen) == (4, 300, 800)
    assert (made.helpers, made.sessions) == (5, 7)
    assert made.funding_fen == 7 * 800


def test_R131_without_a_total_a_session_may_cost_every_packet_at_its_cap():
    made = load_settings({**TABLE, "sessions": 7})
    assert made.policy.total_fen is None
    assert made.funding_fen == 7 * 4 * 300


@pytest.mark.parametrize("key", ["packets", "packet_cap_fen", "helpers"])
def test_R131_what_the_policy_cannot_do_without_is_asked_for(key):
    with pytest.raises(BadConfig) as refused:
        load_settings({name: value for name, value in TABLE.items() if name != key})
    assert [path for path, _ in refused.value.faults] == [key]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"packets": 0}, "packets"),
        ({"packets": "4"}, "packets"),
        ({"packet_cap_fen": 0}, "packet_cap_fen"),
        ({"packet_cap_fen": True}, "packet_cap_fen"),
        ({"helpers": 0}, "helpers"),
        ({"total_fen": 3}, "total_fen"),
        ({"total_fen": 1201}, "total_fen"),
        ({"sessions": 0}, "sessions"),
        ({"packet_floor_fen": 301}, "packet_cap_fen"),
    ],
)
def test_R131_a_policy_that_cannot_be_kept_is_refused_by_its_key(change, key):
    with pytest.raises(BadConfig) as refused:
        load_settings({**TABLE, **change})
    assert key in [path for path, _ in refused.value.faults]
