"""Many hands at once, and any order of events (R193, R194): real processes, both databases."""

import shutil

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from referral_hands import Hands, bind_in_a_process, reward_in_a_process

from tests.support.crowd import in_processes


def test_R193_one_who_confirms_many_invitations_at_once_is_bound_by_one(make_hands, database):
    hands = make_hands(None, database)
    made = [hands.invite(f"host-{number}")["invitation"] for number in range(6)]
    friend = hands.one(
        "SELECT person AS id FROM referral_invitations WHERE id = :id", id=hands.invite("friend")["invitation"]
    )["id"]
    answers = in_processes(2, bind_in_a_process, str(hands.home.root), [made[:3], made[3:]], friend, hands.now)
    assert sorted(answers) == ["already_bound"] * 5 + ["bound"]
    assert len(hands.all("SELECT id FROM referral_bindings WHERE bound_at IS NOT NULL")) == 1


def test_R194_workers_that_meet_give_each_reward_once_and_hold_the_cap(make_hands, database):
    hands = make_hands({"hold_days": 1, "total": 3}, database)
    bindings = [hands.brought(f"friend-{number}") for number in range(5)]
    for number in range(5):
        hands.comes(f"T{number}", f"friend-{number}")
    later = hands.now.replace(day=hands.now.day + 2)
    answers = in_processes(2, reward_in_a_process, str(hands.home.root), bindings, later)
    assert answers == ["rewarded"] * 20
    rows = hands.all("SELECT * FROM referral_bindings")
    assert sum(row["referrer_link"] is not None for row in rows) == 3
    assert sum(row["referred_link"] is not None for row in rows) == 5
    assert len(hands.all("SELECT id FROM links WHERE purpose = 'campaign'")) == 8
    hands.holds()


friends = st.integers(0, 3)
steps = st.one_of(
    st.tuples(st.just("bind"), friends, friends),
    st.tuples(st.just("pay"), friends, st.integers(0, 5)),
    st.tuples(st.just("refund"), st.integers(0, 5), st.sampled_from([500, 4500, 5000])),
    st.tuples(st.just("decide"), st.booleans(), st.just(0)),
    st.tuples(st.just("later"), st.integers(1, 40), st.just(0)),
    st.tuples(st.just("revoke"), friends, st.just(0)),
)


def test_R194_any_order_of_events_never_rewards_twice(tmp_path_factory):
    """Hypothesis: bindings both ways, payments, refunds, decisions, time: one reward a side, caps and budget hold."""
    numbers = {"new_only": False, "total": 2, "hold_days": 1, "qualify_days": 4}

    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.lists(steps, max_size=14))
    def check(story):
        folder = tmp_path_factory.mktemp("story")
        hands = Hands(folder / "house", "sqlite:///drainage.db", numbers, budget_fen=1500)
        hands.in_order = False
        try:
            for word, one, other in story:
                match word:
                    case "bind":
                        made = hands.ask("/invitations", f"guest-{one}").body
                        hands.ask("/bindings", f"guest-{other}", invitation=made["invitation"], device="phone")
                    case "pay":
                        hands.comes(f"T{other}", f"guest-{one}")
                    case "refund":
                        hands.refund(f"T{one}", other, number=f"R{one}-{other}")
                    case "decide":
                        for row in hands.all("SELECT id FROM referral_bindings WHERE state = 'review'"):
                            hands.reviewed(row["id"], "approve" if one else "reject")
                    case "revoke":
                        hands.ask("/invitations/revoke", f"guest-{one}")
                    case _:
                        hands.later(hours=one)
                _invariants(hands)
        finally:
            hands.close()
            shutil.rmtree(folder)

    check()


def _invariants(hands):
    hands.holds()
    rows = hands.all("SELECT * FROM referral_bindings")
    bound = [row["referred"] for row in rows if row["bound_at"] is not None]
    assert len(bound) == len(set(bound)), "bound once a person"
    payments = [row["payment"] for row in rows if row["payment"] is not None]
    assert len(payments) == len(set(payments))
    live = {row["id"] for row in hands.all("SELECT id FROM links WHERE purpose = 'campaign' AND state <> 'revoked'")}
    owned = set()
    per_referrer = {}
    for row in rows:
        mine = {row[f"{side}_link"] for side in ("referrer", "referred")} & live
        assert not mine or row["state"] in {"qualified", "rewarded"}, "whoever is out holds nothing"
        assert row["referrer"] != row["referred"]
        owned |= mine
        if row["referrer_link"] in live:
            per_referrer[row["referrer"]] = per_referrer.get(row["referrer"], 0) + 1
    assert owned == live
    assert max(per_referrer.values(), default=0) <= 2
