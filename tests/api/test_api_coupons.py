"""Coupons at the till: one use, one answer a scan, nothing of the customer to another merchant (R060, R062, R071, R072)."""

import concurrent.futures
import multiprocessing

import pytest

from gateway import coupons
from tests.support.racing import redeem_at_once


def redeem(client, code, key="scan-1", **body):
    return client.post(f"/api/v1/coupons/{code}/redeem", headers={"Idempotency-Key": key}, json=body or None)


@pytest.fixture
def clerk(world):
    return world.client("clerk", merchant="sweets")


@pytest.fixture
def manager(world):
    return world.client("manager", merchant="sweets")


def test_R071_a_coupon_is_shown_as_it_stands(world, clerk):
    code = world.code()
    shown = clerk.get(f"/api/v1/coupons/{code}").json
    assert shown == {
        "code": code,
        "state": "claimed",
        "item": "bowl-5off",
        "merchant": "sweets",
        "value_fen": 500,
        "min_spend_fen": 2000,
        "valid_from": "2026-11-22T04:05:06.000Z",
        "valid_to": "2026-12-06T04:05:06.000Z",
        "redeemed": None,
    }
    typed = f"{code[:4].lower()}-{code[4:8]}%20{code[8:]}"
    assert clerk.get(f"/api/v1/coupons/{typed}").json == shown


def test_R060_used_once_and_the_second_hears_when_and_where(world, clerk, says):
    code = world.code()
    used = redeem(clerk, code, shop="sweets-1", amount_fen=2500)
    assert (used.status_code, used.json["state"]) == (200, "redeemed")
    assert used.json["redeemed"] == {"at": "2026-11-22T04:05:06.000Z", "shop": "sweets-1", "by": "clerk-sweets"}
    world.clock.move(minutes=1)
    again = redeem(clerk, code, "scan-2")
    assert says(again) == (409, "already_redeemed")
    assert again.json["redeemed"] == used.json["redeemed"]
    assert clerk.get(f"/api/v1/coupons/{code}").json == used.json


def test_R060_one_scan_sent_twice_gets_one_answer(world, clerk, says):
    code = world.code()
    first = redeem(clerk, code, "scan", amount_fen=2500)
    world.clock.move(hours=1)
    second = redeem(clerk, code, "scan", amount_fen=2500.0)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json == second.json
    assert says(redeem(clerk, code, "scan", amount_fen=2501)) == (409, "idempotency_key_reused")
    assert says(redeem(clerk, world.code(), "scan")) == (409, "idempotency_key_reused")
    assert len(world.all("SELECT id FROM redemptions")) == 1


@pytest.mark.parametrize("key", [None, "", " ", "k" * 201, "sc an", "schlüssel"])
def test_R205_without_a_request_id_nothing_is_used(world, clerk, says, key):
    code = world.code()
    headers = {} if key is None else {"Idempotency-Key": key.encode().decode("latin-1")}
    answer = clerk.post(f"/api/v1/coupons/{code}/redeem", headers=headers)
    assert says(answer) == (400, "idempotency_key_required")
    assert clerk.get(f"/api/v1/coupons/{code}").json["state"] == "claimed"


def test_R060_fifty_redeems_by_two_clerks_in_two_processes_have_one_winner(world):
    code = world.code()
    tokens = [world.token("clerk", merchant="sweets", name=name) for name in ("clerk-one", "clerk-two")]
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=spawn) as pool:
        running = [
            pool.submit(redeem_at_once, world.home.root, token, code, [f"{place}-{n}" for n in range(25)])
            for place, token in enumerate(tokens)
        ]
        answers = [answer for one in running for answer in one.result()]
    assert len(answers) == 50
    assert sorted(answers) == [(200, "redeemed")] + [(409, "already_redeemed")] * 49
    assert len(world.all("SELECT id FROM redemptions")) == 1


def test_R072_another_merchants_clerk_hears_where_it_is_good_and_nothing_else(world, says):
    code = world.code()
    other = world.client("clerk", merchant="hotpot")
    for answer in (other.get(f"/api/v1/coupons/{code}"), redeem(other, code)):
        assert says(answer) == (403, "wrong_merchant")
        assert set(answer.json) == {"code", "message", "request_id", "merchant"}
        assert answer.json["merchant"] == "sweets"
    boss = world.client("manager", merchant="hotpot")
    assert says(boss.post(f"/api/v1/coupons/{code}/reverse", json={"reason": "x"})) == (403, "wrong_merchant")
    assert says(world.client("operator", circle="hillside").get(f"/api/v1/coupons/{code}")) == (403, "wrong_merchant")
    assert world.client("operator", circle="riverside").get(f"/api/v1/coupons/{code}").status_code == 200


@pytest.mark.parametrize("code", ["H7KQ2M9WXT4B5", "x", "%00", "é", "%E5%88%B8", "A" * 5000, "' OR 1=1 --", "%2e%2e"])
def test_codes_that_are_none(world, clerk, manager, says, code):
    assert says(clerk.get(f"/api/v1/coupons/{code}"))[0] == 404
    assert says(redeem(clerk, code))[0] == 404
    assert says(manager.post(f"/api/v1/coupons/{code}/reverse", json={"reason": "x"}))[0] == 404


def test_R060_beyond_thirty_unknown_codes_a_minute_the_token_must_wait(world, clerk, says):
    code = world.code()
    for number in range(30):
        assert says(redeem(clerk, f"NOCODE{number}")) == (404, "no_such_coupon")
    answer = clerk.get("/api/v1/coupons/NOCODE")
    assert says(answer) == (429, "too_many")
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    # Also a good code: else the answer would tell which of the guesses is one.
    assert says(clerk.get(f"/api/v1/coupons/{code}")) == (429, "too_many")
    assert says(redeem(clerk, code)) == (429, "too_many")
    assert world.client("clerk", merchant="sweets", name="other").get(f"/api/v1/coupons/{code}").status_code == 200
    world.clock.move(seconds=int(answer.headers["Retry-After"]))
    assert redeem(clerk, code).status_code == 200


def test_good_codes_are_no_guesses(world, clerk):
    code = world.code()
    assert {clerk.get(f"/api/v1/coupons/{code}").status_code for _ in range(40)} == {200}


def test_R060_every_state_has_its_refusal(world, clerk, says):
    def moved(state):
        code = world.code()
        world.store.write(
            lambda tx: tx.run("UPDATE coupons SET state = :state WHERE code = :code", {"state": state, "code": code})
        )
        return code

    assert says(redeem(clerk, moved("void"))) == (409, "void")
    assert says(redeem(clerk, moved("reserved"))) == (409, "reserved")
    assert says(redeem(clerk, world.code(), amount_fen=1999)) == (409, "below_minimum")
    early = world.code()
    world.store.write(lambda tx: tx.run("UPDATE coupons SET valid_from = '2026-11-23T00:00:00.000Z'"))
    assert says(redeem(clerk, early)) == (409, "not_yet_valid")
    world.clock.move(days=14)
    answer = redeem(clerk, early)
    assert says(answer) == (410, "expired")
    assert clerk.get(f"/api/v1/coupons/{early}").json["state"] == "expired"


def test_a_refused_redeem_can_be_tried_again_with_the_same_key(world, clerk, says):
    code = world.code()
    assert says(redeem(clerk, code, "scan", amount_fen=1999)) == (409, "below_minimum")
    assert redeem(clerk, code, "scan", amount_fen=2000).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"amount_fen": -1}, "amount_fen"),
        ({"amount_fen": 1.5}, "amount_fen"),
        ({"amount_fen": "2000"}, "amount_fen"),
        ({"amount_fen": True}, "amount_fen"),
        ({"amount_fen": 10**12 + 1}, "amount_fen"),
        ({"amount_fen": 1e300}, "amount_fen"),
        ({"amount_fen": [1]}, "amount_fen"),
        ({"transaction_id": ""}, "transaction_id"),
        ({"transaction_id": 5}, "transaction_id"),
        ({"transaction_id": "x" * 201}, "transaction_id"),
        ({"shop": ""}, "shop"),
        ({"discount_fen": 5}, "discount_fen"),
        ({"<script>": 5}, "?"),
    ],
)
def test_bodies_that_do_not_hold_use_nothing(world, clerk, says, body, field):
    code = world.code()
    answer = redeem(clerk, code, **body)
    assert says(answer) == (422, "invalid")
    assert set(answer.json["fields"]) == {field}
    assert clerk.get(f"/api/v1/coupons/{code}").json["state"] == "claimed"


@pytest.mark.parametrize("shop", ["hotpot-1", "nowhere", "Sweets-1"])
def test_R072_a_shop_that_is_not_ones_own_uses_nothing(world, clerk, says, shop):
    code = world.code()
    assert says(redeem(clerk, code, shop=shop)) == (404, "no_such_shop")
    assert clerk.get(f"/api/v1/coupons/{code}").json["state"] == "claimed"


def test_R060_a_redemption_names_the_payment_it_reduced(world, clerk):
    world.pay("SWEET-1", "openid-z", channel="sweets-pay")
    redeem(clerk, world.code(), transaction_id="SWEET-1", amount_fen=3000)
    row = world.one("SELECT r.*, p.id AS known FROM redemptions r JOIN payments p ON p.transaction_id = 'SWEET-1'")
    assert (row["payment"], row["discount_fen"], row["amount_fen"]) == (row["known"], 500, 3000)


def test_R062_a_manager_takes_a_redemption_back(world, clerk, manager, says):
    code = world.code()
    assert says(manager.post(f"/api/v1/coupons/{code}/reverse", json={"reason": "x"})) == (409, "not_redeemed")
    redeem(clerk, code)
    answer = manager.post(f"/api/v1/coupons/{code}/reverse", json={"reason": "scanned twice"})
    assert (answer.status_code, answer.json["state"], answer.json["redeemed"]) == (200, "claimed", None)
    assert says(manager.post(f"/api/v1/coupons/{code}/reverse", json={"reason": "x"})) == (409, "not_redeemed")
    assert redeem(clerk, code, "scan-2").status_code == 200
    row = world.one("SELECT * FROM audit WHERE action = 'coupon.reverse'")
    assert (row["who"], row["object"], row["request_id"]) == ("manager-sweets", code, answer.headers["X-Request-ID"])
    assert "scanned twice" in row["after"]


def test_R062_after_a_day_it_is_too_late(world, clerk, manager, says):
    code = world.code()
    redeem(clerk, code)
    world.clock.move(hours=24, milliseconds=1)
    assert says(manager.post(f"/api/v1/coupons/{code}/reverse", json={"reason": "x"})) == (409, "too_late")
    assert clerk.get(f"/api/v1/coupons/{code}").json["state"] == "redeemed"


@pytest.mark.parametrize("body", [None, {}, {"reason": ""}, {"reason": 5}, {"reason": None}, {"reason": "x" * 201}])
def test_R062_without_a_reason_nothing_is_taken_back(world, clerk, manager, says, body):
    code = world.code()
    redeem(clerk, code)
    answer = (
        manager.post(f"/api/v1/coupons/{code}/reverse", json=body)
        if body is not None
        else manager.post(f"/api/v1/coupons/{code}/reverse")
    )
    assert says(answer) == (422, "invalid")
    assert clerk.get(f"/api/v1/coupons/{code}").json["state"] == "redeemed"


def test_a_coupon_of_a_refunded_payment_is_void(world, clerk, says):
    gift = world.claimed("openid-r")
    payment = world.one("SELECT p.transaction_id FROM payments p JOIN links l ON l.payment = p.id")["transaction_id"]
    world.refund(payment, 10_000)
    code = gift.codes["bowl-5off"]
    assert says(redeem(clerk, code)) == (409, "void")
    row = world.store.read(lambda tx: coupons.by_code(tx, code))
    assert row["closed_reason"] == "refunded"
