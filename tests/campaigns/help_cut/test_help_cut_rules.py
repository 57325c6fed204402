"""The pure rule of help-to-cut: policies, splits, ladders, and who gets a packet."""

from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from campaigns.help_cut.rules import (
    Help,
    Ladder,
    PacketPolicy,
    commitment,
    ladder_faults,
    packet_result,
    policy_faults,
    refusal,
    split,
)

SALT = b"s" * 16


@st.composite
def feasible(draw):
    packets = draw(st.integers(1, 40))
    floor = draw(st.integers(1, 50))
    cap = draw(st.integers(floor, 5000))
    total = draw(st.integers(packets * floor, packets * cap))
    return PacketPolicy(packets, cap, floor, total)


@given(feasible(), st.binary(min_size=1, max_size=32))
def test_R139_a_split_is_exact_and_every_packet_is_within_its_bounds(policy, seed):
    packets = split(policy, seed, SALT)
    assert len(packets) == policy.packets
    assert sum(packets) == policy.total_fen
    assert all(policy.floor_fen <= packet <= policy.cap_fen for packet in packets)


@given(feasible(), st.binary(min_size=1, max_size=32))
def test_R139_no_packet_but_the_last_is_above_twice_an_equal_share_unless_it_must_be(policy, seed):
    rest = policy.total_fen
    for place, packet in enumerate(split(policy, seed, SALT)[:-1]):
        after = policy.packets - 1 - place
        must = max(policy.floor_fen, rest - after * policy.cap_fen)
        assert packet <= max(must, 2 * (rest // (after + 1)))
        rest -= packet


@given(st.integers(1, 30), st.integers(1, 20), st.integers(0, 300), st.binary(min_size=1, max_size=32))
def test_R140_without_a_total_each_packet_is_drawn_by_itself(packets, floor, more, seed):
    policy = PacketPolicy(packets, floor + more, floor)
    made = split(policy, seed, SALT)
    assert len(made) == packets
    assert all(floor <= packet <= floor + more for packet in made)
    assert sum(made) <= policy.reserve_fen == packets * (floor + more)


def test_R139_the_seed_decides_and_another_seed_decides_otherwise():
    policy = PacketPolicy(10, 500, 1, 2000)
    assert split(policy, b"a", SALT) == split(policy, b"a", SALT)
    assert len({split(policy, bytes([n]), SALT) for n in range(20)}) == 20
    assert split(policy, b"a", SALT) != split(policy, b"a", b"other salt")


def test_R139_every_feasible_amount_of_a_first_packet_occurs():
    policy = PacketPolicy(2, 5, 1, 6)
    firsts = {split(policy, n.to_bytes(2, "big"), SALT)[0] for n in range(300)}
    assert firsts == {1, 2, 3, 4, 5}


def test_R139_the_published_commitment_can_be_checked_with_plain_means():
    policy = PacketPolicy(3, 100, 10, 120)
    packets = split(policy, b"\x01\x02", b"\x03")
    told = "0102:03:" + ",".join(map(str, packets))
    assert commitment(b"\x01\x02", b"\x03", packets) == sha256(told.encode()).hexdigest()
    changed = (packets[0] + 1, packets[1] - 1, packets[2])
    assert commitment(b"\x01\x02", b"\x03", changed) != commitment(b"\x01\x02", b"\x03", packets)


@pytest.mark.parametrize(
    ("policy", "helpers", "names"),
    [
        (PacketPolicy(0, 10), 1, ["packets"]),
        (PacketPolicy(-1, 10, 1, 5), 1, ["packets"]),
        (PacketPolicy(3, 10, 0), 1, ["packet_floor_fen"]),
        (PacketPolicy(3, 9, 10), 1, ["packet_cap_fen"]),
        (PacketPolicy(3, 10, 5, 14), 1, ["total_fen"]),
        (PacketPolicy(3, 10, 5, 31), 1, ["total_fen"]),
        (PacketPolicy(3, 10, 5, 15), 0, ["helpers"]),
        (PacketPolicy(0, 0, 0), 0, ["packets", "packet_floor_fen", "helpers"]),
        (PacketPolicy(3, 10, 5, 15), 1, []),
        (PacketPolicy(3, 10, 5, 30), 1, []),
        (PacketPolicy(1, 1, 1, 1), 1, []),
    ],
)
def test_R132_what_cannot_be_is_told_by_its_name(policy, helpers, names):
    assert [name for name, _ in policy_faults(policy, helpers)] == names


def test_R132_a_policy_that_cannot_be_is_not_split():
    with pytest.raises(ValueError, match="faults"):
        split(PacketPolicy(3, 10, 5, 31), b"a", SALT)


@given(
    st.integers(1, 10_000),
    st.integers(0, 10_000),
    st.lists(st.integers(0, 500), min_size=1, max_size=6),
    st.integers(0, 30),
)
def test_R144_the_price_never_rises_and_never_falls_below_the_floor(price, floor, cuts, helps):
    assume(floor <= price)
    ladder = Ladder(price, floor, tuple(cuts), 8)
    prices = [ladder.price_after(n) for n in range(helps + 2)]
    assert prices[0] == price
    assert all(floor <= later <= earlier for earlier, later in pairwise(prices))
    assert ladder.next_cut(helps) == prices[helps] - prices[helps + 1]


def test_R144_the_ith_help_cuts_its_own_step_and_the_last_step_repeats():
    ladder = Ladder(9000, 6600, (300, 200, 100), 20)
    assert [ladder.price_after(n) for n in range(6)] == [9000, 8700, 8500, 8400, 8300, 8200]
    assert ladder.price_after(100) == 6600


@pytest.mark.parametrize(
    ("ladder", "names"),
    [
        (Ladder(9000, 6600, (300,), 8), []),
        (Ladder(9000, 6600, (300,), 7), ["floor_price_fen"]),
        (Ladder(9000, 9001, (300,), 8), ["floor_price_fen"]),
        (Ladder(9000, -1, (300,), 8), ["floor_price_fen"]),
        (Ladder(0, 0, (300,), 8), ["price_fen"]),
        (Ladder(9000, 6600, (), 8), ["cut_fen"]),
        (Ladder(9000, 6600, (300, -1), 8), ["cut_fen"]),
    ],
)
def test_R144_the_lowest_price_can_be_reached_with_the_announced_helpers(ladder, names):
    assert [name for name, _ in ladder_faults(ladder)] == names


def helping(**more):
    asked = {
        "invitation": "viewed", "session": "inviting", "is_late": False, "is_buyer": False, "helped_before": False,
        "helps_today": 0, "helps_per_day": 3, "packets_left": 1,
    }  # fmt: skip
    return Help(**{**asked, **more})


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({}, ""),
        ({"invitation": "sent"}, ""),
        ({"is_buyer": True}, "self_help"),
        ({"is_buyer": True, "is_late": True}, "self_help"),
        ({"is_late": True}, "too_late"),
        ({"invitation": "timed_out"}, "too_late"),
        ({"invitation": "agreed"}, "agreed"),
        ({"invitation": "declined"}, "declined"),
        ({"invitation": "revoked"}, "revoked"),
        ({"session": "won"}, "session_over"),
        ({"session": "draft"}, "session_over"),
    ],
)
def test_R136_R137_R147_who_may_agree(more, word):
    assert refusal(helping(**more)) == word


@pytest.mark.parametrize(
    ("more", "result"),
    [
        ({}, "granted"),
        ({"packets_left": 0}, "none_left"),
        ({"helped_before": True}, "not_eligible"),
        ({"helps_today": 3}, "not_eligible"),
        ({"helps_today": 2}, "granted"),
        ({"helps_today": 99, "helps_per_day": 0}, "granted"),
        ({"helps_today": 3, "packets_left": 0}, "not_eligible"),
    ],
)
def test_R138_the_type_of_result(more, result):
    assert packet_result(helping(**more)) == result
