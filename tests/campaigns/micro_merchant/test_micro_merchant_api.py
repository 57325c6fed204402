"""The calls of a micro-merchant campaign, from the application to the credited reward (R100–R112, R116–R120)."""

from __future__ import annotations

import pytest
from micro_town import BANK, Town

from linkgen.codes import ALPHABET, CODE_LENGTH


@pytest.fixture
def town(tmp_path):
    made = Town(tmp_path)
    yield made
    made.world.close()


@pytest.fixture
def town_of(tmp_path):
    """A town under other terms."""
    made = []

    def make(**terms):
        made.append(Town(tmp_path, **terms))
        return made[0]

    yield make
    for one in made:
        one.world.close()


# -- who they are (R100–R103) -----------------------------------------------------------------------------------------


def test_R101_an_application_waits_for_its_review_and_approval_gives_a_code(town):
    id_ = town.applied("wx_zhou_1", bank_account=BANK)
    seen = town.get(f"/micro-merchants/{id_}")
    assert (seen["state"], seen["code"], seen["bank_last4"]) == ("applied", None, "3445")
    said = town.post(f"/micro-merchants/{id_}/approve", role="operator", wants=200).json
    assert said["state"] == "approved"
    assert len(said["code"]) == CODE_LENGTH >= 8
    assert set(said["code"]) <= set(ALPHABET)


def test_R101_only_an_operator_decides(town):
    id_ = town.applied()
    for action in ("approve", "reject", "suspend", "close"):
        assert town.post(f"/micro-merchants/{id_}/{action}").status_code == 403
    assert town.get(f"/micro-merchants/{id_}")["state"] == "applied"


def test_R101_a_rejected_one_keeps_the_reason_and_may_apply_again(town):
    id_ = town.applied("wx_zhou_1")
    town.post(f"/micro-merchants/{id_}/reject", {"reason": "看不清"}, role="operator", wants=200)
    assert town.get(f"/micro-merchants/{id_}")["reason"] == "看不清"
    again = town.applied("wx_zhou_1")
    assert again != id_
    assert town.get(f"/micro-merchants/{id_}")["state"] == "rejected"


@pytest.mark.parametrize(
    ("steps", "last", "status"),
    [
        (["approve"], "approve", 409),
        (["approve"], "reject", 409),
        (["reject"], "approve", 409),
        ([], "suspend", 409),
        ([], "close", 409),
        (["approve", "suspend"], "approve", 200),
        (["approve", "suspend"], "close", 200),
        (["approve", "close"], "approve", 409),
    ],
)
def test_R101_states_move_only_as_they_may(town, steps, last, status):
    id_ = town.applied()
    for step in steps:
        town.post(f"/micro-merchants/{id_}/{step}", role="operator", wants=200)
    answer = town.post(f"/micro-merchants/{id_}/{last}", role="operator", wants=status)
    if status == 409:
        assert answer.json["code"] == "bad_transition"


def test_R102_a_wechat_id_is_taken_once_however_it_is_written(town):
    town.applied("wx_Zhou-1")
    for same in ("WX_ZHOU-1", " wx_zhou-1 ", "ｗｘ_zhou-1"):
        assert town.post("/micro-merchants", {"wechat_id": same}, wants=409).json["code"] == "wechat_id_taken"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "wechat_id"),
        ({"wechat_id": ""}, "wechat_id"),
        ({"wechat_id": "ab"}, "wechat_id"),
        ({"wechat_id": "a" * 65}, "wechat_id"),
        ({"wechat_id": "老陈"}, "wechat_id"),
        ({"wechat_id": 5}, "wechat_id"),
        ({"wechat_id": ["wx_zhou"]}, "wechat_id"),
        ({"wechat_id": "wx_zhou", "bank_account": "12"}, "bank_account"),
        ({"wechat_id": "wx_zhou", "bank_account": "not a number"}, "bank_account"),
        ({"wechat_id": "wx_zhou", "bank_account": 6222}, "bank_account"),
        ({"wechat_id": "wx_zhou", "bank_account": BANK, "bank_name": "x" * 61}, "bank_name"),
        ({"wechat_id": "wx_zhou", "bank_account": BANK, "bank_name": "a\x07b"}, "bank_name"),
    ],
)
def test_R102_what_an_application_cannot_say(town, body, field):
    answer = town.post("/micro-merchants", body, wants=422).json
    assert answer["code"] == "invalid"
    assert list(answer["fields"]) == [field]
    assert town.world.all("SELECT id FROM micro_merchant_members") == []


def test_R115_neither_wechat_id_nor_bank_account_lies_open_in_the_store(town):
    town.member("wx_secret_zhou", bank_account=BANK, bank_name="户主")
    for row in town.world.all("SELECT * FROM micro_merchant_members"):
        for name in row.keys():
            text = str(row[name])
            assert "wx_secret_zhou" not in text
            assert BANK not in text
    assert "wx_secret" not in str(town.world.all("SELECT * FROM audit"))


def test_R103_a_suspended_code_is_no_code_and_a_fresh_start_has_the_same_one(town):
    id_, code = town.member()
    town.post(f"/micro-merchants/{id_}/suspend", {"reason": "查"}, role="operator", wants=200)
    assert town.ordered(code=code)["attributed_to"] is None
    again = town.post(f"/micro-merchants/{id_}/approve", role="operator", wants=200).json
    assert again["code"] == code
    assert town.ordered(code=code)["attributed_to"] == id_


def test_R103_a_closed_ones_code_is_never_given_again(town, monkeypatch):
    _, code = town.member()
    following = iter([code, code, "MMFRESHMMFRSH"])
    monkeypatch.setattr("campaigns.micro_merchant.members.new_code", lambda _random: next(following))
    assert town.member()[1] == "MMFRESHMMFRSH"


# -- the three methods (R104–R108) ------------------------------------------------------------------------------------


def test_R107_first_method_a_code_brings_a_reward_and_the_price_stays(town_of):
    town = town_of(discount_bps=0)
    id_, code = town.member()
    with_code = town.bought(10_000, code=code)
    without = town.bought(10_000)
    assert (with_code["price_fen"], with_code["attributed_to"]) == (10_000, id_)
    assert (without["price_fen"], without["attributed_to"]) == (10_000, None)
    assert town.balance(id_)["cash_pending_fen"] == 500


def test_R107_second_method_a_code_brings_a_price_and_nothing_is_asked(town):
    id_, code = town.member("wx_zhou_1")
    said = town.post("/quotes", {"price_fen": 10_000, "code": code, "session": "s"}, wants=200).json
    assert said == {"price_fen": 9000, "original_fen": 10_000, "attributed_to": id_, "ask_referrer": False}
    typed = town.post("/quotes", {"price_fen": 10_000, "wechat_id": "wx_zhou_1", "session": "s"}, wants=200).json
    assert (typed["price_fen"], typed["attributed_to"], typed["ask_referrer"]) == (10_000, None, False)


def test_R107_third_method_who_has_no_code_is_asked_and_a_known_wechat_id_brings_the_price(town_of):
    town = town_of(ask_referrer="true")
    id_, _ = town.member("wx_zhou_1")
    asked = town.post("/quotes", {"price_fen": 10_000, "session": "s"}, wants=200).json
    assert (asked["price_fen"], asked["ask_referrer"]) == (10_000, True)
    known = town.post("/quotes", {"price_fen": 10_000, "wechat_id": "WX_Zhou_1", "session": "s"}, wants=200).json
    assert (known["price_fen"], known["attributed_to"]) == (9000, id_)
    order = town.bought(10_000, wechat_id="wx_zhou_1", session="s")
    assert order["found_by"] == "wechat_id"
    assert town.balance(id_)["cash_pending_fen"] == 450
    for wrong in ("wx_nobody", "", "老陈"):
        said = town.post("/quotes", {"price_fen": 10_000, "wechat_id": wrong, "session": "s"}, wants=200).json
        assert (said["price_fen"], said["attributed_to"]) == (10_000, None)


def test_R104_without_a_code_nobodys_balance_changes(town):
    id_, _ = town.member()
    before = town.balance(id_)
    order = town.completed(10_000)
    town.sweep(days=8)
    assert town.balance(id_) == before
    assert town.world.all("SELECT id FROM transfers") == []
    assert town.get(f"/orders/{order}")["rewards"] == []


def test_R106_a_code_of_its_own_price_and_the_price_stays_as_it_was_made(town):
    id_, code = town.member()
    _, other = town.member()
    order = town.ordered(10_000, code=code)
    town.apply(per_code=f'{{ "{code.lower()}" = {{ discount_bps = 2500 }} }}', floor_fen=7000)
    assert town.ordered(10_000, code=code)["price_fen"] == 7500
    assert town.ordered(9000, code=code)["price_fen"] == 7000
    assert town.ordered(10_000, code=other)["price_fen"] == 9000
    assert town.get(f"/orders/{order['order']}")["price_fen"] == 9000
    town.post(f"/orders/{order['order']}/paid", {"amount_fen": 7500}, wants=422)
    assert town.post(f"/orders/{order['order']}/paid", {"amount_fen": 9000}, wants=200).json["attributed_to"] == id_


def test_R106_the_reward_is_that_of_the_day_of_the_order(town):
    id_, code = town.member()
    order = town.ordered(10_000, code=code)
    town.apply(reward_bps=1, refund_days=0)
    town.post(f"/orders/{order['order']}/paid", {"amount_fen": 9000}, wants=200)
    town.post(f"/orders/{order['order']}/complete", wants=200)
    assert town.balance(id_)["cash_pending_fen"] == 450
    assert town.sweep(days=7) == 1
    assert town.balance(id_)["cash_fen"] == 450


@pytest.mark.parametrize("wrong", [{"code": "MMNOBODY23456"}, {"wechat_id": "wx_nobody"}])
def test_R108_five_wrong_names_a_session_and_then_no_more_right_or_wrong(town_of, wrong):
    town = town_of(ask_referrer="true")
    _, code = town.member("wx_zhou_1")
    asked = {"price_fen": 10_000, "session": "guesser"}
    for _ in range(5):
        assert town.post("/quotes", {**asked, **wrong}, wants=200).json["price_fen"] == 10_000
    for name in (wrong, {"wechat_id": "wx_zhou_1"}, {"code": code}):
        refused = town.post("/quotes", {**asked, **name}, wants=429)
        assert refused.json["code"] == "too_many"
        assert int(refused.headers["Retry-After"]) > 0
    assert town.post("/quotes", asked, wants=200).json["price_fen"] == 10_000
    assert town.post("/quotes", {**asked, **wrong, "session": "another"}, wants=200)
    town.post("/orders", {**asked, **wrong}, wants=429)


def test_R108_a_right_name_is_no_try(town):
    _, code = town.member()
    for _ in range(8):
        town.post("/quotes", {"price_fen": 10_000, "code": code, "session": "s"}, wants=200)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"session": "s"}, "price_fen"),
        ({"price_fen": 0, "session": "s"}, "price_fen"),
        ({"price_fen": -1, "session": "s"}, "price_fen"),
        ({"price_fen": 1.5, "session": "s"}, "price_fen"),
        ({"price_fen": True, "session": "s"}, "price_fen"),
        ({"price_fen": "100", "session": "s"}, "price_fen"),
        ({"price_fen": 10**13, "session": "s"}, "price_fen"),
        ({"price_fen": 100}, "session"),
        ({"price_fen": 100, "session": ""}, "session"),
        ({"price_fen": 100, "session": "s" * 65}, "session"),
        ({"price_fen": 100, "session": 7}, "session"),
        ({"price_fen": 100, "session": "s", "code": 7}, "code"),
        ({"price_fen": 100, "session": "s", "code": "x" * 101}, "code"),
        ({"price_fen": 100, "session": "s", "wechat_id": {}}, "wechat_id"),
    ],
)
def test_R105_what_a_quote_cannot_ask(town, body, field):
    assert list(town.post("/quotes", body, wants=422).json["fields"]) == [field]


# -- whose purchase it is (R116–R118) ---------------------------------------------------------------------------------


def test_R116_the_code_wins_over_the_kept_one_and_that_over_the_typed_id(town_of):
    town = town_of(ask_referrer="true")
    (first, code), (second, kept), (third, _) = town.member("wx_a_1"), town.member("wx_b_1"), town.member("wx_c_1")
    everything = {"code": code, "kept_code": kept, "wechat_id": "wx_c_1", "session": "s"}
    assert town.ordered(**everything)["attributed_to"] == first
    del everything["code"]
    by_kept = town.ordered(**everything)
    assert (by_kept["attributed_to"], by_kept["found_by"]) == (second, "cookie")
    del everything["kept_code"]
    assert town.ordered(**everything)["attributed_to"] == third
    assert town.ordered(code="MMNOBODY23456", kept_code=kept)["attributed_to"] == second


@pytest.mark.parametrize(("own_discount", "price"), [("true", 9000), ("false", 10_000)])
def test_R117_ones_own_code_earns_nothing(town_of, own_discount, price):
    town = town_of(own_discount=own_discount)
    id_, code = town.member(openid="openid-a", channel="hotpot-pay")
    order = town.bought(10_000, code=code, openid="openid-a", channel="hotpot-pay")
    assert (order["attributed_to"], order["found_by"], order["price_fen"]) == (None, "own", price)
    town.post(f"/orders/{order['order']}/complete", wants=200)
    town.sweep(days=8)
    assert town.balance(id_)["cash_fen"] == 0
    assert town.bought(10_000, code=code, openid="openid-b", channel="hotpot-pay")["attributed_to"] == id_


def test_R118_who_brought_a_micro_merchant_earns_nothing_from_his_buyers(town_of):
    town = town_of(refund_days=0)
    first, code = town.member()
    # He buys by the first one's code, and then becomes one himself.
    town.completed(10_000, code=code, openid="openid-b", channel="hotpot-pay")
    second, his = town.member(openid="openid-b", channel="hotpot-pay", code=code)
    before = town.balance(first)
    town.completed(10_000, code=his, openid="openid-c", channel="hotpot-pay")
    assert town.balance(first) == before
    assert town.balance(second)["cash_fen"] == 450


# -- rewards (R109–R112, R119, R120) ----------------------------------------------------------------------------------


def test_R109_R111_pending_from_the_payment_and_credited_when_the_window_is_over(town):
    id_, code = town.member()
    order = town.bought(10_000, code=code)["order"]
    assert (town.balance(id_)["cash_fen"], town.balance(id_)["cash_pending_fen"]) == (0, 450)
    assert town.sweep(days=30) == 0
    done = town.post(f"/orders/{order}/complete", wants=200).json
    assert done["state"] == "completed"
    assert town.sweep(days=6, hours=23) == 0
    assert town.balance(id_)["cash_fen"] == 0
    assert town.sweep(hours=1) == 1
    assert (town.balance(id_)["cash_fen"], town.balance(id_)["cash_pending_fen"]) == (450, 0)
    assert town.sweep(days=1) == 0
    assert town.get(f"/orders/{order}")["rewards"] == [
        {"kind": "cash", "amount": 450, "state": "confirmed", "reason": ""}
    ]
    assert town.faults() == []


def test_R111_directly_there_is_no_record_before_the_credit(town_of):
    town = town_of(mode='"direct"')
    id_, code = town.member()
    order = town.completed(10_000, code=code)
    assert town.balance(id_)["cash_pending_fen"] == 0
    assert town.world.all("SELECT * FROM micro_merchant_rewards") == []
    assert town.world.all("SELECT * FROM transfers") == []
    town.sweep(days=7)
    assert town.balance(id_)["cash_fen"] == 450
    assert town.get(f"/orders/{order}")["rewards"][0]["state"] == "confirmed"


@pytest.mark.parametrize("mode", ['"direct"', '"pending"'])
def test_R109_without_a_window_the_completion_credits(town_of, mode):
    town = town_of(mode=mode, refund_days=0)
    id_, code = town.member()
    order = town.completed(10_000, code=code)
    assert town.balance(id_)["cash_fen"] == 450
    again = town.post(f"/orders/{order}/complete", wants=200).json
    assert again["state"] == "completed"
    assert town.balance(id_)["cash_fen"] == 450


def test_R110_the_reward_has_a_cap_for_each_order(town_of):
    town = town_of(cap_fen=300, refund_days=0)
    id_, code = town.member()
    town.completed(100_000, code=code)
    town.completed(1000, code=code)
    assert town.balance(id_)["cash_fen"] == 300 + 45


def test_R112_three_balances_each_with_its_own_book(town_of):
    town = town_of(
        credit='["cash", "points", "coupons"]', points_bps=10_000, coupon_item='"soup"', refund_days=0, discount_bps=0
    )
    id_, code = town.member()
    town.completed(10_000, code=code)
    town.completed(5000, code=code)
    found = town.balance(id_)
    assert (found["cash_fen"], found["points"], found["coupons"]) == (750, 15_000, 2)
    assert town.faults() == []
    spent = town.post(f"/micro-merchants/{id_}/points", {"points": 4000, "reason": "换礼"}, wants=200).json
    assert spent["points"] == 11_000
    refused = town.post(f"/micro-merchants/{id_}/points", {"points": 11_001}, wants=409)
    assert refused.json["code"] == "insufficient"
    assert town.faults() == []


@pytest.mark.parametrize(
    ("steps", "path", "body", "status", "code"),
    [
        ([], "complete", {}, 409, "bad_transition"),
        ([], "refund", {"amount_fen": 1}, 409, "bad_transition"),
        (["paid"], "paid", {"amount_fen": 9000}, 200, None),
        (["paid"], "paid", {"amount_fen": 8999}, 422, "invalid"),
        (["paid"], "refund", {"amount_fen": 9001}, 422, "invalid"),
        (["paid"], "refund", {"amount_fen": 0}, 422, "invalid"),
        (["paid"], "refund", {}, 422, "invalid"),
        (["paid", "refund"], "complete", {}, 409, "bad_transition"),
        (["paid", "refund"], "refund", {"amount_fen": 1}, 409, "bad_transition"),
        (["paid", "complete", "refund"], "complete", {}, 409, "bad_transition"),
    ],
)
def test_R109_a_purchase_moves_only_as_it_may(town, steps, path, body, status, code):
    _, member_code = town.member()
    order = town.ordered(10_000, code=member_code)["order"]
    bodies = {"paid": {"amount_fen": 9000}, "refund": {"amount_fen": 9000}, "complete": {}}
    for step in steps:
        town.post(f"/orders/{order}/{step}", bodies[step], wants=200)
    answer = town.post(f"/orders/{order}/{path}", body, wants=status)
    assert answer.json.get("code") == code
    assert town.faults() == []


def test_R119_a_refund_before_the_credit_cancels_the_record_and_a_part_of_it_lowers_it(town):
    id_, code = town.member()
    order = town.completed(10_000, code=code)
    town.refund(order, 3000)
    assert town.balance(id_)["cash_pending_fen"] == 300
    town.refund(order, 6000)
    assert town.balance(id_)["cash_pending_fen"] == 0
    assert town.get(f"/orders/{order}")["rewards"][0]["state"] == "cancelled"
    assert town.sweep(days=8) == 0
    assert town.balance(id_)["cash_fen"] == 0
    assert town.faults() == []


def test_R119_a_refund_after_the_credit_takes_back_by_a_transfer_and_edits_nothing(town):
    id_, code = town.member()
    order = town.rewarded(450, code)
    before = town.world.all("SELECT * FROM transfers ORDER BY id")
    town.refund(order, 4500)
    assert town.balance(id_)["cash_fen"] == 225
    town.refund(order, 4500)
    assert town.balance(id_)["cash_fen"] == 0
    after = town.world.all("SELECT * FROM transfers ORDER BY id")
    assert [tuple(row) for row in after[: len(before)]] == [tuple(row) for row in before]
    assert len(after) == len(before) + 2
    assert town.faults() == []


def test_R119_what_was_paid_out_already_becomes_a_debt_that_later_rewards_pay(town):
    id_, code = town.member(bank_account=BANK)
    order = town.rewarded(450, code)
    payout = town.post(f"/micro-merchants/{id_}/payouts", {"amount_fen": 400}, wants=201).json["payout"]
    town.post(f"/payouts/{payout}/settled", wants=200)
    town.refund(order, 9000)
    found = town.balance(id_)
    assert (found["cash_fen"], found["debt_fen"]) == (0, 400)
    town.rewarded(225, code)
    assert (town.balance(id_)["cash_fen"], town.balance(id_)["debt_fen"]) == (0, 175)
    town.rewarded(450, code)
    assert (town.balance(id_)["cash_fen"], town.balance(id_)["debt_fen"]) == (275, 0)
    assert town.faults() == []


# -- around it --------------------------------------------------------------------------------------------------------


def test_R063_the_budget_bounds_what_is_promised_and_a_refund_gives_it_back(tmp_path):
    town = Town(tmp_path, shared="budget_fen = 500")
    id_, code = town.member()
    first = town.completed(10_000, code=code)
    second = town.bought(10_000, code=code)
    assert second["rewards"] == [{"kind": "cash", "amount": 450, "state": "cancelled", "reason": "budget"}]
    assert town.balance(id_)["cash_pending_fen"] == 450
    town.refund(first, 9000)
    assert town.get("")["budget"] == {"total_fen": 500, "reserved_fen": 0, "consumed_fen": 0}
    third = town.completed(10_000, code=code)
    town.post(f"/orders/{second['order']}/complete", wants=200)
    town.sweep(days=7)
    assert town.balance(id_)["cash_fen"] == 450
    assert town.get("")["budget"] == {"total_fen": 500, "reserved_fen": 0, "consumed_fen": 450}
    town.refund(third, 9000)
    assert town.get("")["budget"]["consumed_fen"] == 0
    assert town.faults() == []
    town.world.close()


def test_R075_a_resting_campaign_takes_no_one_in_and_finishes_what_was_begun(town):
    id_, code = town.member()
    order = town.bought(10_000, code=code)["order"]
    town.post("/state", {"to": "paused"}, role="operator", wants=200)
    for path, body in (
        ("/quotes", {"price_fen": 100, "session": "s"}),
        ("/orders", {"price_fen": 100}),
        ("/micro-merchants", {"wechat_id": "wx_late_1"}),
    ):
        assert town.post(path, body, wants=409).json["code"] == "not_live"
    town.post(f"/orders/{order}/complete", wants=200)
    town.sweep(days=7)
    assert town.balance(id_)["cash_fen"] == 450


def test_R072_another_merchants_staff_know_nothing_of_a_purchase(town):
    order = town.ordered(10_000)["order"]
    assert town.world.one("SELECT merchant FROM micro_merchant_orders")["merchant"] == "hotpot"
    answer = town.post("/orders", {"price_fen": 100, "merchant": "sweets"}, wants=422)
    assert list(answer.json["fields"]) == ["merchant"]
    for method, path in (("GET", ""), ("POST", "/paid"), ("POST", "/complete"), ("POST", "/refund")):
        answer = town.call(method, f"/orders/{order}{path}", {"amount_fen": 10_000}, merchant="sweets")
        assert answer.status_code == 404
    assert town.call("GET", f"/orders/{order}", merchant="noodles").status_code == 404
    assert town.call("GET", f"/orders/{order}", role="clerk").status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/micro-merchants/mm_nobody"),
        ("GET", "/micro-merchants/mm_nobody/balance"),
        ("GET", "/micro-merchants/mm_nobody/payouts"),
        ("POST", "/micro-merchants/mm_nobody/approve"),
        ("POST", "/micro-merchants/mm_nobody/payouts"),
        ("POST", "/micro-merchants/mm_nobody/points"),
        ("PUT", "/micro-merchants/mm_nobody/bank-account"),
        ("GET", "/orders/mo_nobody"),
        ("POST", "/orders/mo_nobody/paid"),
        ("POST", "/payouts/po_nobody/approve"),
        ("POST", "/payouts/po_nobody/settled"),
        ("GET", "/no-such-thing"),
    ],
)
def test_R072_what_is_not_there_is_404(town, method, path):
    body = {"amount_fen": 1, "points": 1, "bank_account": BANK}
    answer = town.call(method, path, body, role="operator")
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_the_list_of_records_is_the_operators_and_comes_in_pages(town):
    ids = [town.applied() for _ in range(3)]
    town.post(f"/micro-merchants/{ids[0]}/approve", role="operator", wants=200)
    waiting = town.get("/micro-merchants?state=applied", role="operator")
    assert [row["id"] for row in waiting["items"]] == [ids[2], ids[1]]
    older = town.get(f"/micro-merchants?before={ids[2]}", role="operator")
    assert [row["id"] for row in older["items"]] == [ids[1], ids[0]]
    assert town.call("GET", "/micro-merchants").status_code == 403
    assert town.call("GET", "/micro-merchants?state=wrong", role="operator").status_code == 422
    counts = town.get("")["counts"]
    assert (counts["members_applied"], counts["members_approved"]) == (2, 1)
