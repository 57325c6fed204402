"""Coupons at the till (R058–R063) and what a refund takes back (R015, R061)."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import coupons, incidents, refunds
from gateway.catalog.specs import Item, Offer
from gateway.contract.errors import Refused
from gateway.ledger import book
from gateway.redeeming import Bill, Clerk
from linkgen.codes import ALPHABET, grouped
from tests.support.builders import House, changed, payment
from tests.support.invariants import broken

BUDGETED = changed(Offer, "default", own=1, elsewhere=2, budget_fen=100_000)
SWEETS = Clerk("sweets-clerk", frozenset({"sweets"}), "request-1")


@pytest.fixture
def house(store_url):
    made = House(store_url, BUDGETED)
    yield made
    assert made.store.read(lambda tx: broken(tx, made.now)) == []
    made.close()


def _refusal(work):
    with pytest.raises(Refused) as refused:
        work()
    return refused.value.code, refused.value.status


def _redeem(house, code, key="k", clerk=SWEETS, **bill):
    return house.redeeming.redeem(code, clerk, key, Bill(**bill), house.now)


def _state(house, code):
    return house.one("SELECT state FROM coupons WHERE code = :c", c=code)["state"]


def _budget(house):
    row = house.one("SELECT * FROM budgets")
    return row["reserved_fen"], row["consumed_fen"]


def test_R060_a_clerk_of_the_merchant_redeems_and_it_is_written_down(house):
    codes = house.claimed("a")
    assert _budget(house) == (300 + 500 + 800, 0)
    house.later(hours=2)
    shown = _redeem(house, codes["bowl"], amount_fen=2500, shop="sweets-1")
    assert (shown["state"], shown["item"], shown["merchant"], shown["value_fen"], shown["min_spend_fen"]) == (
        "redeemed", "bowl", "sweets", 500, 2000,
    )  # fmt: skip
    assert shown["redeemed"] == {"at": "2026-11-22T06:05:06.000Z", "shop": "sweets-1", "by": "sweets-clerk"}
    assert _budget(house) == (1100, 500)
    row = house.one("SELECT * FROM audit WHERE action = 'coupon.redeem'")
    assert (row["who"], row["object"], row["request_id"], row["before"], row["after"]) == (
        "sweets-clerk", codes["bowl"], "request-1", '{"state":"claimed"}', '{"state":"redeemed"}',
    )  # fmt: skip
    assert house.redeeming.look(codes["bowl"], SWEETS, house.now) == shown


def test_R060_the_same_key_gets_the_same_answer_even_later(house):
    codes = house.claimed("a")
    first = _redeem(house, codes["bowl"], amount_fen=2500)
    house.later(days=20)
    assert _redeem(house, codes["bowl"], amount_fen=2500) == first
    assert _redeem(house, grouped(codes["bowl"]).lower(), amount_fen=2500) == first
    assert house.count("redemptions") == 1


def test_R060_R072_a_stored_answer_is_told_to_nobody_out_of_its_scope(house):
    codes = house.claimed("a")
    _redeem(house, codes["bowl"], amount_fen=2500)
    namesake = Clerk("sweets-clerk", frozenset({"hotpot"}), "request-2")
    assert _refusal(lambda: _redeem(house, codes["bowl"], clerk=namesake, amount_fen=2500)) == ("wrong_merchant", 403)


@pytest.mark.parametrize("other", [{"amount_fen": 2501}, {"amount_fen": None}, {"shop": "x"}, {"transaction_id": "T"}])
def test_R060_a_key_for_another_request_is_refused(house, other):
    codes = house.claimed("a")
    _redeem(house, codes["bowl"], amount_fen=2500)
    assert _refusal(lambda: _redeem(house, codes["bowl"], **{"amount_fen": 2500, **other})) == (
        "idempotency_key_reused",
        409,
    )
    assert _refusal(lambda: _redeem(house, codes["soup"])) == ("idempotency_key_reused", 409)


def test_R060_a_key_is_its_clerks_own(house):
    codes = house.claimed("a")
    _redeem(house, codes["bowl"])
    other = Clerk("another", None)
    assert _redeem(house, codes["soup"], clerk=other)["state"] == "redeemed"


def test_R060_a_second_redeem_is_told_when_and_where_the_first_was(house):
    codes = house.claimed("a")
    _redeem(house, codes["bowl"], shop="sweets-1")
    house.later(days=30)  # past its validity: used is used, not expired
    with pytest.raises(Refused) as refused:
        _redeem(house, codes["bowl"], "another key")
    assert (refused.value.code, refused.value.status) == ("already_redeemed", 409)
    assert refused.value.facts["redeemed"] == {
        "at": "2026-11-22T04:05:06.000Z",
        "shop": "sweets-1",
        "by": "sweets-clerk",
    }


def test_R060_a_refused_try_is_not_remembered_under_its_key(house):
    codes = house.claimed("a")
    assert _refusal(lambda: _redeem(house, codes["bowl"], amount_fen=1999)) == ("below_minimum", 409)
    assert _redeem(house, codes["bowl"], amount_fen=2000)["state"] == "redeemed"


@pytest.mark.parametrize("clerk", [Clerk("c", frozenset({"hotpot", "noodles"})), Clerk("c", frozenset())])
def test_R072_another_merchants_clerk_is_told_whose_it_is_and_nothing_of_the_customer(house, clerk):
    codes = house.claimed("a")
    for work in (
        lambda: _redeem(house, codes["bowl"], clerk=clerk),
        lambda: house.redeeming.look(codes["bowl"], clerk, house.now),
        lambda: house.redeeming.reverse(codes["bowl"], clerk, "x", house.now),
    ):
        with pytest.raises(Refused) as refused:
            work()
        assert (refused.value.code, refused.value.status, refused.value.facts) == (
            "wrong_merchant",
            403,
            {"merchant": "sweets"},
        )
    assert _state(house, codes["bowl"]) == "claimed"


BAD_CODES = [
    "",
    " ",
    "0" * 13,
    "H7KQ2M9WXT4B6",
    "x" * 10_000,
    "'; DROP TABLE coupons; --",
    "\x00" * 13,
    "\ud800" * 13,
    "１" * 13,
    "2" * 13,
]


@pytest.mark.parametrize("code", BAD_CODES)
def test_R059_R060_codes_that_are_none(house, code):
    for work in (
        lambda: _redeem(house, code),
        lambda: house.redeeming.look(code, SWEETS, house.now),
        lambda: house.redeeming.reverse(code, SWEETS, "x", house.now),
    ):
        assert _refusal(work) == ("no_such_coupon", 404)


def test_R059_a_slip_of_the_finger_never_finds_another_coupon(house):
    code = house.claimed("a")["bowl"]
    assert len(code) == 13
    assert set(code) <= set(ALPHABET)
    for place in range(13):
        for symbol in ALPHABET:
            if symbol != code[place]:
                wrong = code[:place] + symbol + code[place + 1 :]
                assert _refusal(lambda wrong=wrong: house.redeeming.look(wrong, SWEETS, house.now)) == (
                    "no_such_coupon",
                    404,
                )
                break


@pytest.mark.parametrize(
    "way", [lambda c: c.lower(), grouped, lambda c: f" {c}\n", lambda c: "".join(chr(ord(s) + 0xFEE0) for s in c)]
)
def test_R059_a_code_is_taken_as_people_type_it(house, way):
    code = house.claimed("a")["bowl"]
    assert _redeem(house, way(code))["code"] == code


@pytest.mark.parametrize(
    ("wait", "ok"), [({"days": 14, "milliseconds": -1}, True), ({"days": 14}, False), ({"days": 99}, False)]
)
def test_R058_to_the_end_of_its_validity_and_no_further(house, wait, ok):
    code = house.claimed("a")["bowl"]
    house.later(**wait)
    if ok:
        assert _redeem(house, code)["state"] == "redeemed"
    else:
        assert _refusal(lambda: _redeem(house, code)) == ("expired", 410)
        assert house.redeeming.look(code, SWEETS, house.now)["state"] == "expired"


def test_R058_not_before_it_is_valid(house):
    """The till's process may have a clock a little behind the one that made the claim."""
    code = house.claimed("a")["bowl"]
    house.later(minutes=-10)
    assert _refusal(lambda: _redeem(house, code)) == ("not_yet_valid", 409)


def test_R063_what_ran_out_gives_its_budget_back_and_not_its_stock(house):
    house.apply(BUDGETED, changed(Item, "bowl", stock=5))
    codes = house.claimed("a")
    house.later(days=14)
    swept = house.write(lambda tx: [coupons.expire(tx, row, house.now) for row in coupons.overdue(tx, house.now, 100)])
    assert swept == [True] * 3
    assert house.write(lambda tx: coupons.overdue(tx, house.now, 100)) == []
    assert _budget(house) == (0, 0)
    assert house.one("SELECT taken FROM stock WHERE item = 'bowl'")["taken"] == 1
    assert _refusal(lambda: _redeem(house, codes["bowl"])) == ("expired", 410)


@pytest.mark.parametrize("state", ["void", "reserved"])
def test_R058_void_and_reserved_coupons_are_refused_by_name(house, state):
    code = house.claimed("a")["bowl"]
    if state == "void":
        house.refund("a-2", "R1", 10_000)
    else:
        house.write(lambda tx: tx.run("UPDATE coupons SET state = 'reserved' WHERE code = :c", {"c": code}))
    assert _refusal(lambda: _redeem(house, code)) == (state, 409)
    if state == "reserved":
        house.write(lambda tx: tx.run("UPDATE coupons SET state = 'claimed' WHERE code = :c", {"c": code}))


@given(st.integers(0, 10**7), st.integers(0, 100), st.integers(0, 5000), st.integers(0, 5000))
def test_R058_a_coupon_never_takes_more_than_the_bill(amount, percent, cap, value):
    coupon = {"percent_off": percent, "cap_fen": cap if percent else 0, "value_fen": 0 if percent else value}
    off = coupons.discount_fen(coupon, amount)
    assert 0 <= off <= amount
    if percent and cap:
        assert off <= cap
    if not percent:
        assert off == min(value, amount)


# -- the payment that a coupon reduced ----------------------------------------------------------------------------------


def test_R060_the_payment_it_reduced_is_linked_whichever_came_first(house):
    codes = house.claimed("a")
    paid = house.pay("BILL", "b", channel="sweets").payment
    _redeem(house, codes["bowl"], transaction_id="BILL")
    assert house.one("SELECT payment FROM redemptions")["payment"] == paid
    codes = house.claimed("c")
    _redeem(house, codes["bowl"], "k2", transaction_id="LATER")
    late = house.pay("LATER", "d", channel="sweets").payment
    assert house.one("SELECT payment FROM redemptions WHERE transaction_id = 'LATER'")["payment"] == late


def test_R060_another_merchants_payment_of_that_number_is_not_the_one(house):
    codes = house.claimed("a")
    house.pay("BILL", "b", channel="noodles")
    _redeem(house, codes["bowl"], transaction_id="BILL")
    house.take_in(payment("BILL", "b", mch_id="M2", at=house.now), "barber")
    assert house.one("SELECT payment FROM redemptions")["payment"] is None
    mine = house.take_in(payment("BILL", "b", mch_id="M3", at=house.now), "sweets").payment
    assert house.one("SELECT payment FROM redemptions")["payment"] == mine


# -- reversal -----------------------------------------------------------------------------------------------------------


def test_R062_a_reversal_within_a_day_gives_coupon_and_budget_back(house):
    code = house.claimed("a")["bowl"]
    _redeem(house, code)
    house.later(hours=24)
    shown = house.redeeming.reverse(code, SWEETS, "wrong table", house.now)
    assert (shown["state"], shown["redeemed"]) == ("claimed", None)
    assert _budget(house) == (1600, 0)
    row = house.one("SELECT * FROM redemptions")
    assert (row["reversed_by"], row["reason"], row["reversed_at"]) == (
        "sweets-clerk",
        "wrong table",
        "2026-11-23T04:05:06.000Z",
    )
    assert (
        house.one("SELECT after FROM audit WHERE action = 'coupon.reverse'")["after"]
        == '{"reason":"wrong table","state":"claimed"}'
    )
    assert _refusal(lambda: house.redeeming.reverse(code, SWEETS, "again", house.now)) == ("not_redeemed", 409)
    assert _redeem(house, code, "a new scan")["state"] == "redeemed"
    assert house.count("redemptions") == 2


def test_R062_after_a_day_it_is_too_late(house):
    code = house.claimed("a")["bowl"]
    _redeem(house, code)
    house.later(hours=24, milliseconds=1)
    assert _refusal(lambda: house.redeeming.reverse(code, SWEETS, "x", house.now)) == ("too_late", 409)
    assert _state(house, code) == "redeemed"


def test_R062_what_was_not_redeemed_is_not_reversed(house):
    code = house.claimed("a")["bowl"]
    assert _refusal(lambda: house.redeeming.reverse(code, SWEETS, "x", house.now)) == ("not_redeemed", 409)


def test_R062_the_old_key_still_tells_the_old_answer_and_uses_nothing(house):
    code = house.claimed("a")["bowl"]
    first = _redeem(house, code)
    house.redeeming.reverse(code, SWEETS, "x", house.now)
    assert _redeem(house, code) == first
    assert _state(house, code) == "claimed"


# -- refunds ------------------------------------------------------------------------------------------------------------


def _loss(house):
    return house.store.read(lambda tx: book.balance(tx, book.Account("circle:riverside", "losses")))


def test_R061_a_full_refund_voids_the_unused_and_books_the_used(house):
    house.apply(BUDGETED, changed(Item, "cut", stock=9))
    codes = house.claimed("a")
    _redeem(house, codes["bowl"], amount_fen=2000)
    house.refund("a-2", "R1", 10_000)
    assert [_state(house, codes[item]) for item in ("bowl", "cut", "soup")] == ["redeemed", "void", "void"]
    assert (_loss(house), _budget(house)) == (-500, (0, 500))
    assert house.one("SELECT taken FROM stock WHERE item = 'cut'")["taken"] == 0
    assert house.decisions("a-2")["payer_link"] == ("refused", "refunded")
    assert house.refund("a-2", "R1", 10_000).outcome == "seen"
    assert _loss(house) == -500


@pytest.mark.parametrize(("fen", "kept"), [(9_900, True), (9_901, False), (1, True), (10_000, False)])
def test_R061_a_partial_refund_withdraws_only_below_the_minimum(house, fen, kept):
    codes = house.claimed("a")
    house.refund("a-2", "R1", fen)
    assert _state(house, codes["bowl"]) == ("claimed" if kept else "void")
    assert house.payment("a-2")["refunded_fen"] == fen


def test_R061_partial_refunds_add_up(house):
    codes = house.claimed("a")
    for number in range(9):
        house.refund("a-2", f"R{number}", 1_000)
        assert _state(house, codes["bowl"]) == "claimed"
    house.refund("a-2", "R9", 901)
    assert _state(house, codes["bowl"]) == "void"


def test_R061_beyond_the_amount_is_an_incident_and_nothing_else(house):
    codes = house.claimed("a")
    house.refund("a-2", "R1", 10_001)
    assert (_state(house, codes["bowl"]), house.payment("a-2")["refunded_fen"]) == ("claimed", 0)
    (incident,) = house.store.read(incidents.open_ones)
    assert (incident["kind"], incident["subject"]) == ("refund_excess", "a-2")
    house.refund("a-2", "R2", 10_000)
    assert _state(house, codes["bowl"]) == "void"


def test_R061_another_payments_refund_touches_nothing(house):
    codes = house.claimed("a")
    house.refund("a-1", "R1", 10_000)
    house.refund("nothing-of-ours", "R1", 10_000)
    assert _state(house, codes["bowl"]) == "claimed"


def test_R061_R062_a_used_coupon_of_a_refunded_payment_is_void_once_its_use_is_undone(house):
    """Otherwise a redemption, a refund and a reversal would make a gift of a payment that never was."""
    codes = house.claimed("a")
    _redeem(house, codes["bowl"], amount_fen=2000)
    house.refund("a-2", "R1", 10_000)
    assert _loss(house) == -500
    shown = house.redeeming.reverse(codes["bowl"], SWEETS, "wrong table", house.now)
    assert shown["state"] == "void"
    assert (_loss(house), _budget(house)) == (0, (0, 0))
    assert _refusal(lambda: _redeem(house, codes["bowl"], "k2")) == ("void", 409)


def test_R061_R062_the_other_way_round_it_is_voided_by_the_refund(house):
    codes = house.claimed("a")
    _redeem(house, codes["bowl"])
    house.redeeming.reverse(codes["bowl"], SWEETS, "wrong table", house.now)
    house.refund("a-2", "R1", 10_000)
    assert (_state(house, codes["bowl"]), _loss(house)) == ("void", 0)


def test_R061_a_gift_without_a_value_is_used_without_a_loss(house):
    house.apply(BUDGETED, changed(Item, "soup", value_fen=0))
    codes = house.claimed("a")
    house.redeem(codes["soup"])
    house.refund("a-2", "R1", 10_000)
    assert (_state(house, codes["soup"]), _loss(house)) == ("redeemed", 0)
    assert (
        house.redeeming.reverse(codes["soup"], Clerk("c", None), "x", house.now + timedelta(hours=1))["state"] == "void"
    )


@pytest.mark.postgres
def test_R061_a_coupon_used_between_the_refunds_look_and_its_voiding_is_a_loss(postgres_url, monkeypatch):
    """SQLite has one writer; on PostgreSQL a clerk may be that quick."""
    house = House(postgres_url, BUDGETED)
    codes = house.claimed("a")
    look = refunds.links.claimed_coupons

    def look_slowly(tx, origins):
        rows = look(tx, origins)
        clerk = threading.Thread(target=lambda: _redeem(house, codes["bowl"], amount_fen=2000))
        clerk.start()
        clerk.join(20)
        return rows

    monkeypatch.setattr(refunds.links, "claimed_coupons", look_slowly)
    house.refund("a-2", "R1", 10_000)
    assert [_state(house, codes[item]) for item in ("bowl", "cut", "soup")] == ["redeemed", "void", "void"]
    assert (_loss(house), _budget(house)) == (-500, (0, 500))
    house.close()
