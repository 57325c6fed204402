"""Many hands at the same moment: nothing is done twice."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.chaos.square import Square, all_at_once
from tests.e2e.house import Form, coupons_of
from tests.e2e.platforms import fresh_openid, fresh_transaction

LINES = pytest.mark.parametrize("line", ["v3", "v2", "ali"])
MANY = 50


@LINES
def test_r009_r013_fifty_copies_at_once_are_one_payment_one_tag_one_link(here: Square, line: str) -> None:
    platform, openid = here.platforms[line], fresh_openid()
    before = here.house.summary()
    for round_ in range(2):
        transaction = fresh_transaction()
        # Half of them the same bytes, half signed anew, as a platform that lost our answer sends them.
        first = platform.payment(openid, 2500, transaction)
        copies = [first if n % 2 else platform.payment(openid, 2500, transaction) for n in range(MANY)]
        answers = all_at_once([lambda one=one: here.house.notify(line, one) for one in copies])
        assert Counter((answer.status, answer.body) for answer in answers) == {(200, b"till-says-ok"): MANY}
        paid = here.house.payment(transaction)
        assert paid["deliveries"] == MANY
        assert len(paid["links"]) == round_
        assert sum(len(here.till.find(body)) for body in {one.body for one in copies}) == MANY
    after = here.house.summary()
    assert after["payments"] == before["payments"] + 2
    assert after["tagged"] == before["tagged"] + 1
    assert after["links_issued"] == before["links_issued"] + 1


@LINES
def test_r027_fifty_first_payments_of_one_payer_are_one_tag(here: Square, line: str) -> None:
    openid = fresh_openid()
    sent = [here.platforms[line].payment(openid) for _ in range(MANY)]
    before = here.house.summary()
    answers = all_at_once([lambda one=one: here.house.notify(line, one) for one in sent])
    assert {answer.status for answer in answers} == {200}
    paid = [here.house.payment(one.transaction) for one in sent]
    assert len({one["payer"] for one in paid}) == 1
    assert Counter(one["tag"]["before"] for one in paid) == {"untagged": 1, "tagged": MANY - 1}
    assert Counter(len(one["links"]) for one in paid) == {0: 1, 1: MANY - 1}
    assert here.house.summary()["tagged"] == before["tagged"] + 1


def test_r054_fifty_claims_at_once_give_each_item_once(here: Square) -> None:
    link = here.house.link("v3", here.platforms["v3"])
    ready = []
    for _ in range(MANY):
        customer = here.house.customer()
        form = Form.of(customer.get(link["url"]).text)
        ready.append((customer, form))
    before = here.house.summary()
    answers = all_at_once([lambda c=c, f=f: c.post(f.action or link["url"], f.hidden) for c, f in ready])
    assert {answer.status for answer in answers} == {303}
    pages = {tuple(coupons_of(customer.get(link["url"]))) for customer, _ in ready}
    assert len(pages) == 1
    assert len(set(pages.pop())) == 2
    after = here.house.summary()
    assert after["links_claimed"] == before["links_claimed"] + 1
    assert after["coupons_claimed"] == before["coupons_claimed"] + 2


def test_r060_fifty_redeems_by_two_clerks_are_one(here: Square) -> None:
    link = here.house.link("v3", here.platforms["v3"])
    code = here.house.claim(link["url"])[0]
    merchant = here.house.api("GET", f"/coupons/{code}").json["merchant"]
    clerks = [
        here.house.drainage("token", "create", "--role", "clerk", "--merchant", merchant, "--name", f"{code}-{n}")
        .strip()
        .splitlines()[-1]
        for n in range(2)
    ]
    answers = all_at_once(
        [lambda n=n: here.house.redeem(code, token=clerks[n % 2], key=f"{code}-{n}") for n in range(MANY)]
    )
    assert Counter(answer.status for answer in answers) == {200: 1, 409: MANY - 1}
    won = next(answer.json for answer in answers if answer.status == 200)
    assert {answer.json["code"] for answer in answers if answer.status == 409} == {"already_redeemed"}
    told = [answer.json["redeemed"] for answer in answers if answer.status == 409]
    assert all(one == won["redeemed"] for one in told)


def test_r060_one_scan_sent_fifty_times_has_one_answer(here: Square) -> None:
    link = here.house.link("v2", here.platforms["v2"])
    code = here.house.claim(link["url"])[0]
    merchant = here.house.api("GET", f"/coupons/{code}").json["merchant"]
    clerk = here.house.token("clerk", merchant=merchant)
    before = here.house.summary()["coupons_redeemed"]
    answers = all_at_once([lambda: here.house.redeem(code, token=clerk, key=f"same-{code}")] * MANY)
    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
    assert here.house.summary()["coupons_redeemed"] == before + 1


def test_r044_r047_twenty_buyers_of_five_pieces(here: Square) -> None:
    person = here.house.pay("v3", here.platforms["v3"], fresh_openid())["payer"]
    manager = here.house.token("manager", merchant="north")
    body = {"item": "rare", "quantity": 1, "person": person}
    answers = all_at_once([lambda: here.house.api("POST", "/orders", body, token=manager)] * 20)
    assert Counter(answer.status for answer in answers) == {201: 5, 409: 15}
    assert {answer.json["code"] for answer in answers if answer.status == 409} == {"sold_out"}


@LINES
def test_r061_twenty_copies_of_a_refund_take_the_money_back_once(here: Square, line: str) -> None:
    link = here.house.link(line, here.platforms[line])
    transaction = link["payment"]["transaction_id"]
    refund = here.platforms[line].refund(transaction, 1000, 2500)
    answers = all_at_once([lambda: here.house.notify(line, refund)] * 20)
    assert {answer.status for answer in answers} == {200}
    assert here.house.payment(transaction)["refunded_fen"] == 1000
