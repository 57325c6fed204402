"""Payouts of a micro-merchant's cash to his bank account (R113–R115)."""

from __future__ import annotations

import pytest
from micro_town import BANK, Town

from tests.support.crowd import in_threads


@pytest.fixture
def town(tmp_path):
    made = Town(tmp_path, payout_min_fen=100, payout_day_cap_fen=600, four_eyes_fen=500)
    yield made
    made.world.close()


@pytest.fixture
def rich(town):
    """A member with 900 fen and a bank account."""
    id_, code = town.member(bank_account=BANK, bank_name="户主")
    town.rewarded(900, code)
    return id_


def ask(town, member, fen, wants=201, **more):
    return town.post(f"/micro-merchants/{member}/payouts", {"amount_fen": fen}, wants=wants, **more).json


def test_R113_the_amount_leaves_the_balance_at_once_and_the_bank_settles_it(town, rich):
    said = ask(town, rich, 400)
    assert said["state"] == "held"
    assert said["to"].endswith("3445")
    assert BANK not in str(said)
    assert town.balance(rich)["cash_fen"] == 500
    assert ask(town, rich, 100, wants=409)["code"] == "payout_in_flight"
    done = town.post(f"/payouts/{said['payout']}/settled", wants=200).json
    assert done["state"] == "settled"
    assert town.balance(rich)["cash_fen"] == 500
    assert town.post(f"/payouts/{said['payout']}/settled", wants=200).json["state"] == "settled"
    assert town.post(f"/payouts/{said['payout']}/failed", wants=409).json["code"] == "bad_transition"
    assert town.faults() == []


def test_R113_what_failed_comes_back(town, rich):
    payout = ask(town, rich, 400)["payout"]
    for _ in range(2):
        assert town.post(f"/payouts/{payout}/failed", wants=200).json["state"] == "failed"
        assert town.balance(rich)["cash_fen"] == 900
    assert town.faults() == []
    assert ask(town, rich, 500)["state"] == "held"
    assert [one["state"] for one in town.get(f"/micro-merchants/{rich}/payouts")["items"]] == ["held", "failed"]


def test_R113_the_same_call_twice_is_one_payout(town, rich):
    first = ask(town, rich, 300, key="same")
    assert ask(town, rich, 300, key="same") == first
    assert town.balance(rich)["cash_fen"] == 600


@pytest.mark.parametrize(
    ("fen", "status", "code"),
    [
        (0, 422, "invalid"),
        (-5, 422, "invalid"),
        ("400", 422, "invalid"),
        (None, 422, "invalid"),
        (99, 409, "below_least"),
        (901, 409, "insufficient"),
        (601, 409, "limit"),
    ],
)
def test_R115_what_is_not_paid_out(town, rich, fen, status, code):
    assert ask(town, rich, fen, wants=status)["code"] == code
    assert town.balance(rich)["cash_fen"] == 900


def test_R115_the_days_sum_counts_what_was_paid_and_not_what_failed(town, rich):
    failed = ask(town, rich, 500)["payout"]
    town.post(f"/payouts/{failed}/failed", wants=200)
    paid = ask(town, rich, 400)["payout"]
    town.post(f"/payouts/{paid}/settled", wants=200)
    refused = ask(town, rich, 201, wants=409)
    assert refused["code"] == "limit"
    town.clock.move(days=1)
    assert ask(town, rich, 201)["state"] == "held"


def test_R113_without_a_bank_account_nothing_is_paid_out(town):
    id_, code = town.member()
    town.rewarded(450, code)
    assert ask(town, id_, 200, wants=409)["code"] == "no_bank_account"


def test_R115_after_another_bank_account_payouts_rest_for_a_day(town, rich):
    body = {"bank_account": "6217 0001 2345 6789", "bank_name": "户主"}
    said = town.call("PUT", f"/micro-merchants/{rich}/bank-account", body)
    assert (said.status_code, said.json["bank_last4"]) == (200, "6789")
    refused = ask(town, rich, 200, wants=409)
    assert refused["code"] == "account_locked"
    town.clock.move(hours=23, minutes=59)
    assert town.call("PUT", f"/micro-merchants/{rich}/bank-account", body).status_code == 200
    assert ask(town, rich, 200, wants=409)["code"] == "account_locked"
    town.clock.move(minutes=1)
    assert ask(town, rich, 200)["to"].endswith("6789")
    audited = town.world.all("SELECT * FROM audit WHERE action = 'micro_merchant.bank_account'")
    assert len(audited) == 1
    assert "6217" not in str(tuple(audited[0]))


@pytest.mark.parametrize("body", [{}, {"bank_account": "12"}, {"bank_account": None}, {"bank_account": [BANK]}])
def test_R115_what_is_no_bank_account(town, rich, body):
    assert town.call("PUT", f"/micro-merchants/{rich}/bank-account", body).status_code == 422
    assert town.get(f"/micro-merchants/{rich}")["bank_last4"] == "3445"


def test_R115_over_the_threshold_a_second_pair_of_eyes(town, rich):
    payout = ask(town, rich, 501, role="operator", name="小周")["payout"]
    assert town.get(f"/micro-merchants/{rich}/payouts")["items"][0]["reason"] == "second_approval"
    town.post(f"/payouts/{payout}/settled", wants=409)
    assert town.post(f"/payouts/{payout}/approve").status_code == 403
    own = town.post(f"/payouts/{payout}/approve", role="operator", name="小周", wants=409)
    assert own.json["code"] == "same_person"
    assert town.post(f"/payouts/{payout}/approve", role="operator", wants=200).json["reason"] == ""
    assert town.post(f"/payouts/{payout}/approve", role="operator", wants=409).json["code"] == "not_waiting"
    assert town.post(f"/payouts/{payout}/settled", wants=200).json["state"] == "settled"


def test_R115_who_is_suspended_waits_and_who_has_left_is_paid(town, rich):
    town.post(f"/micro-merchants/{rich}/suspend", {"reason": "查"}, role="operator", wants=200)
    assert ask(town, rich, 200, wants=409)["code"] == "not_approved"
    town.post(f"/micro-merchants/{rich}/close", {"reason": "离开"}, role="operator", wants=200)
    assert ask(town, rich, 200)["state"] == "held"


def test_R119_money_that_comes_back_from_the_bank_pays_the_debt_first(town):
    id_, code = town.member(bank_account=BANK)
    order = town.rewarded(450, code)
    payout = ask(town, id_, 400)["payout"]
    town.refund(order, 9000)
    assert (town.balance(id_)["cash_fen"], town.balance(id_)["debt_fen"]) == (0, 400)
    town.post(f"/payouts/{payout}/failed", wants=200)
    assert (town.balance(id_)["cash_fen"], town.balance(id_)["debt_fen"]) == (0, 0)
    assert town.faults() == []


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_R113_of_payouts_at_the_same_moment_one_goes(tmp_path, request, database):
    """Each would be within the balance; together they are not."""
    url = request.getfixturevalue("postgres_url") if database == "postgres" else None
    town = Town(tmp_path, **({"store_url": url} if url else {}))
    id_, code = town.member(bank_account=BANK)
    town.rewarded(900, code)
    town.world.token("manager")
    answers = in_threads([lambda n=n: ask(town, id_, 600, wants=None, key=f"at-once-{n}") for n in range(6)])
    codes = sorted(answer.get("code", "held") for answer in answers)
    assert codes == ["held", *["payout_in_flight"] * 5]
    assert town.balance(id_)["cash_fen"] == 300
    assert town.faults() == []
    town.world.close()
