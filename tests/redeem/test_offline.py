"""Scans kept without a line and merged later (R064): once each, conflicts told and listed, clocks bounded."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import coupons, offline
from gateway.catalog.specs import Offer
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.offline import First, Offline, Scan, believed, is_same_scan
from gateway.redeeming import Bill, Clerk
from tests.redeem import hands
from tests.support.builders import House, changed
from tests.support.crowd import in_processes, in_threads
from tests.support.invariants import broken

BUDGETED = changed(Offer, "default", own=1, elsewhere=2, budget_fen=100_000)
LIN = Clerk("lin", frozenset({"sweets"}), "request-1")
WANG = Clerk("wang", frozenset({"hotpot"}), "request-2")
MIA = Clerk("mia", frozenset({"sweets"}), "request-3")
AT = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)


@pytest.fixture
def house(store_url):
    made = House(store_url, BUDGETED)
    yield made
    assert made.store.read(lambda tx: broken(tx, made.now)) == []
    made.close()


@pytest.fixture
def till(house):
    return Offline(house.store, house.redeeming)


def scan(code, at, nonce="n-0000000000000001", **bill):
    return Scan(nonce, code, at, Bill(**bill))


def merge(house, till, *scans, clerk=LIN, place="sweets", sent=None, token="t1"):
    return till.merge(scans, sent or house.now, clerk, place, token, house.now)


def state(house, code):
    return house.one("SELECT state FROM coupons WHERE code = :c", c=code)["state"]


# -- time -------------------------------------------------------------------------------------------------------------


@given(
    age=st.timedeltas(min_value=timedelta(days=-4000), max_value=timedelta(days=4000)),
    wrong_by=st.timedeltas(min_value=timedelta(days=-9000), max_value=timedelta(days=9000)),
)
def test_R064_a_clock_decides_how_long_ago_it_was_and_no_more(age, wrong_by):
    sent = AT + wrong_by
    at = believed(sent - age, sent, AT)
    assert AT - offline.OLDEST <= at <= AT
    if timedelta(0) <= age <= offline.OLDEST:
        assert at == AT - age


@pytest.mark.parametrize(
    ("by", "apart", "same"),
    [("lin", 0, True), ("lin", 10, True), ("lin", -10, True), ("lin", 11, False), ("mia", 0, False)],
)
def test_R064_the_same_scan_is_one_clerks_within_ten_seconds(by, apart, same):
    first = First(to_text(AT), None, by)
    assert is_same_scan("lin", AT + timedelta(seconds=apart), first) is same


# -- one scan ---------------------------------------------------------------------------------------------------------


def test_R064_a_kept_scan_uses_the_coupon_at_the_time_of_the_scan(house, till):
    code = house.claimed("a")["bowl"]
    house.later(hours=2)
    made = house.now
    house.later(minutes=30)
    (said,) = merge(house, till, scan(code, made, shop="sweets-1"))
    assert (said.outcome, said.reason, said.at, said.tail) == ("redeemed", "", to_text(made), code[-5:])
    row = house.one("SELECT * FROM redemptions")
    assert (row["coupon"], row["at"], row["by"], row["shop"]) == (code, to_text(made), "lin", "sweets-1")
    told = house.one("SELECT after FROM audit WHERE action = 'coupon.redeem'")["after"]
    assert to_text(made) in told
    assert till.conflicts(LIN) == []


def test_R064_a_scan_sent_again_is_settled_once(house, till):
    code = house.claimed("a")["bowl"]
    one = scan(code, house.now)
    first = merge(house, till, one)
    house.later(days=3)
    assert merge(house, till, one) == first
    assert house.count("redemptions") == 1


def test_R064_a_scan_whose_answer_was_lost_is_no_conflict_with_itself(house, till):
    code = house.claimed("a")["bowl"]
    house.redeeming.redeem(code, LIN, "n-0000000000000001", Bill(), house.now)
    house.later(minutes=5)
    (said,) = merge(house, till, scan(code, house.now - timedelta(minutes=5)))
    assert said.outcome == "redeemed"
    # The next clerk at the same till sends what the first one left in the queue.
    (said,) = merge(house, till, scan(code, house.now, "n-0000000000000001"), clerk=MIA)
    assert (said.outcome, said.reason) == ("conflict", "nonce_reused")  # not his bytes: another time under the nonce
    assert house.count("redemptions") == 1


def test_R064_the_next_clerk_may_send_what_the_last_one_left(house, till):
    code = house.claimed("a")["bowl"]
    house.redeeming.redeem(code, LIN, "n-0000000000000001", Bill(), house.now)
    house.later(minutes=5)
    (said,) = merge(house, till, scan(code, house.now - timedelta(minutes=5)), clerk=MIA)
    assert (said.outcome, said.reason) == ("redeemed", "")
    assert house.count("redemptions") == 1


def test_R064_a_coupon_used_elsewhere_meanwhile_is_a_conflict_with_both_times_and_shops(house, till):
    code = house.claimed("a")["bowl"]
    made = house.now
    house.later(minutes=10)
    house.redeeming.redeem(code, MIA, "k", Bill(shop="sweets-2"), house.now)
    used = house.now
    house.later(minutes=10)
    (said,) = merge(house, till, scan(code, made, shop="sweets-1"))
    assert (said.outcome, said.reason) == ("conflict", "already_redeemed")
    assert (said.at, said.shop, said.by) == (to_text(made), "sweets-1", "lin")
    assert said.first == First(to_text(used), "sweets-2", "mia")
    assert house.count("redemptions") == 1
    assert till.conflicts(MIA) == [said]
    assert till.conflicts(WANG) == []
    assert till.conflicts(Clerk("ops", None)) == [said]


def test_R064_two_kept_scans_of_one_coupon_are_one_use_and_one_conflict(house, till):
    code = house.claimed("a")["bowl"]
    early, late = house.now + timedelta(minutes=1), house.now + timedelta(minutes=9)
    house.later(hours=1)
    said = merge(house, till, scan(code, late, "n-late-000000000000"), scan(code, early, "n-early-00000000000"))
    assert [(one.nonce, one.outcome) for one in said] == [
        ("n-early-00000000000", "redeemed"),
        ("n-late-000000000000", "conflict"),
    ]
    assert house.one("SELECT at FROM redemptions")["at"] == to_text(early)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("H7KQ2M9WXT4B5", "no_such_coupon"),
        ("H7KQ2M9WXT4B6", "no_such_coupon"),
        ("券", "no_such_coupon"),
        ("", "no_such_coupon"),
    ],
)
def test_R064_a_code_that_is_none_is_a_conflict_for_staff(house, till, code, reason):
    (said,) = merge(house, till, scan(code, house.now))
    assert (said.outcome, said.reason, said.tail) == ("conflict", reason, code[-5:])
    row = house.one("SELECT * FROM scans")
    assert (row["coupon"], row["merchant"]) == (None, "sweets")


def test_R064_R072_anothers_coupon_tells_the_merchant_and_is_not_kept_with_its_code(house, till):
    code = house.claimed("a")["soup"]
    (said,) = merge(house, till, scan(code, house.now))
    assert (said.outcome, said.reason, said.owner) == ("conflict", "wrong_merchant", "hotpot")
    assert house.one("SELECT coupon FROM scans")["coupon"] is None
    assert state(house, code) == "claimed"


def test_R064_below_the_minimum_and_withdrawn_are_conflicts(house, till):
    codes = house.claimed("a")
    (said,) = merge(house, till, scan(codes["bowl"], house.now, amount_fen=1))
    assert (said.outcome, said.reason) == ("conflict", "below_minimum")
    house.refund("a-2", "R1", 10_000)
    (said,) = merge(house, till, scan(codes["bowl"], house.now, "n-0000000000000002"))
    assert (said.outcome, said.reason) == ("conflict", "void")
    assert house.count("redemptions") == 0


def test_R064_a_coupon_handed_on_is_reserved_and_so_a_conflict(house, till):
    code = house.claimed("a")["bowl"]
    house.write(lambda tx: coupons.hold(tx, code))
    (said,) = merge(house, till, scan(code, house.now))
    assert (said.outcome, said.reason) == ("conflict", "reserved")
    assert state(house, code) == "reserved"


# -- late -------------------------------------------------------------------------------------------------------------


def expired(house, code):
    house.later(days=13, hours=23, minutes=59)
    made = house.now
    house.later(hours=1)
    house.write(lambda tx: [coupons.expire(tx, row, house.now) for row in coupons.overdue(tx, house.now, 100)])
    assert state(house, code) == "expired"
    return made


def test_R064_a_coupon_that_ran_out_after_the_scan_is_used_and_its_budget_with_it(house, till):
    code = house.claimed("a")["bowl"]
    made = expired(house, code)
    (said,) = merge(house, till, scan(code, made))
    assert said.outcome == "redeemed"
    assert house.one("SELECT * FROM budgets")["consumed_fen"] == 500


def test_R064_a_coupon_that_ran_out_before_the_scan_is_expired_whatever_a_clock_says(house, till):
    code = house.claimed("a")["bowl"]
    expired(house, code)
    house.later(days=4)
    (said,) = merge(house, till, scan(code, house.now - timedelta(days=5)))
    assert (said.outcome, said.reason) == ("conflict", "expired")
    assert house.one("SELECT * FROM budgets")["consumed_fen"] == 0


def test_R063_R064_a_budget_that_was_given_to_others_is_not_overdrawn(store_url):
    house = House(store_url, changed(Offer, "default", own=1, elsewhere=2, budget_fen=1600))
    till = Offline(house.store, house.redeeming)
    code = house.claimed("a")["bowl"]
    made = expired(house, code)
    house.pay("b-1", "b")
    house.pay("b-2", "b")
    assert house.one("SELECT * FROM budgets")["reserved_fen"] == 1600
    (said,) = merge(house, till, scan(code, made))
    assert (said.outcome, said.reason) == ("conflict", "expired")
    assert state(house, code) == "expired"
    assert house.store.read(lambda tx: broken(tx, house.now)) == []
    house.close()


def test_R064_no_coupon_is_used_before_it_was_there(house, till):
    code = house.claimed("a")["bowl"]
    claimed_at = house.one("SELECT claimed_at FROM coupons WHERE code = :c", c=code)["claimed_at"]
    house.later(minutes=1)
    (said,) = merge(house, till, scan(code, house.now - timedelta(days=2)))
    assert (said.outcome, said.at) == ("redeemed", claimed_at)


# -- waiting for a password -------------------------------------------------------------------------------------------


def test_R064_R205_a_dear_coupon_waits_reserved_for_a_password_and_is_then_used(house, till):
    code = house.claimed("a")["bowl"]
    bounded = Clerk("lin", frozenset({"sweets"}), most_fen=499)
    made = house.now
    house.later(minutes=5)
    (said,) = merge(house, till, scan(code, made), clerk=bounded)
    assert (said.outcome, said.reason) == ("held", "reauthentication_required")
    assert state(house, code) == "reserved"
    with pytest.raises(Refused) as refused:
        house.redeeming.redeem(code, MIA, "k", Bill(), house.now)
    assert refused.value.code == "reserved"
    (said,) = merge(house, till, scan(code, made), clerk=bounded)
    assert said.outcome == "held"
    house.later(minutes=5)
    (said,) = merge(house, till, scan(code, made), clerk=LIN)
    assert (said.outcome, said.at) == ("redeemed", to_text(made))
    assert house.count("redemptions") == 1


def test_R064_what_nobody_confirmed_in_a_day_is_let_go(house, till):
    code = house.claimed("a")["bowl"]
    merge(house, till, scan(code, house.now), clerk=Clerk("lin", frozenset({"sweets"}), most_fen=1))
    house.later(hours=23, minutes=59)
    assert house.write(lambda tx: offline.release_held(tx, house.now, 10)) == 0
    house.later(minutes=1)
    assert house.write(lambda tx: offline.release_held(tx, house.now, 10)) == 1
    assert state(house, code) == "claimed"
    (said,) = till.conflicts(LIN)
    assert (said.outcome, said.reason) == ("conflict", "not_confirmed")


# -- who may ----------------------------------------------------------------------------------------------------------


def test_R064_anothers_nonce_tells_nothing(house, till):
    codes = house.claimed("a")
    merge(house, till, scan(codes["bowl"], house.now))
    same = scan(codes["bowl"], house.now)
    (said,) = merge(house, till, same, clerk=WANG, place="hotpot")
    assert (said.outcome, said.reason, said.first, said.owner) == ("conflict", "nonce_reused", None, None)
    assert till.conflicts(WANG) == []


def test_R064_a_nonce_under_another_code_does_nothing(house, till):
    one, two = house.claimed("a")["bowl"], house.claimed("b")["bowl"]
    merge(house, till, scan(one, house.now))
    (said,) = merge(house, till, scan(two, house.now))
    assert (said.outcome, said.reason) == ("conflict", "nonce_reused")
    assert state(house, two) == "claimed"


def test_R064_too_many_at_once_and_too_many_guesses_are_refused(house, till):
    with pytest.raises(Refused) as refused:
        merge(house, till, *(scan("x", house.now, f"n-{n:016}") for n in range(offline.MOST + 1)))
    assert (refused.value.code, refused.value.status) == ("too_many_scans", 422)
    assert house.count("scans") == 0
    for turn in range(2):
        merge(house, till, *(scan("x", house.now, f"n-{turn}-{n:016}") for n in range(offline.MOST)))
    with pytest.raises(Refused) as refused:
        merge(house, till, scan("x", house.now, "n-more-00000000000"))
    assert refused.value.code == "too_many"


def test_R064_a_manager_acknowledges_and_it_is_audited(house, till):
    (said,) = merge(house, till, scan("x", house.now))
    for stranger in (WANG, Clerk("nobody", frozenset())):
        with pytest.raises(Refused) as refused:
            till.acknowledge(said.nonce, stranger, house.now)
        assert refused.value.code == "not_found"
    till.acknowledge(said.nonce, MIA, house.now)
    assert till.conflicts(MIA) == []
    row = house.one("SELECT who, object, before FROM audit WHERE action = 'scan.acknowledge'")
    assert (row["who"], row["object"]) == ("mia", said.nonce)
    assert "lin" in row["before"]
    with pytest.raises(Refused):
        till.acknowledge(said.nonce, MIA, house.now)


def test_R064_settled_scans_are_forgotten_after_90_days_and_open_conflicts_are_not(house, till):
    code = house.claimed("a")["bowl"]
    merge(house, till, scan(code, house.now), scan("x", house.now, "n-0000000000000002"))
    house.later(days=91)
    assert house.write(lambda tx: offline.forget(tx, house.now, 10)) == 1
    assert [row["nonce"] for row in house.all("SELECT nonce FROM scans")] == ["n-0000000000000002"]


# -- many at once -----------------------------------------------------------------------------------------------------


def test_R064_one_scan_sent_by_many_threads_is_one_use(house, till):
    code = house.claimed("a")["bowl"]
    one = scan(code, house.now)
    said = in_threads([lambda: merge(house, till, one)[0].outcome for _ in range(20)])
    assert Counter(said) == {"redeemed": 20}
    assert house.count("redemptions") == 1
    assert house.count("scans") == 1


def test_R064_kept_scans_and_live_ones_of_two_processes_leave_one_use(house, store_url):
    code = house.claimed("a")["bowl"]
    said = Counter(in_processes(2, hands.scans_and_redeems, store_url, code))
    used = house.one("SELECT * FROM redemptions")
    assert used["coupon"] == code
    # One wins, of whichever kind, and every other one is told so: nobody is paid twice.
    assert said["redeemed"] == 1
    assert said["already_redeemed"] == sum(said.values()) - 1
