"""Payments that fire, payments that don't, and refunds: what stands in the ledger afterwards (R160–R166)."""

import pytest

from campaigns.two_sided import money
from gateway import people
from gateway.contract.account import PAID_OUT, merchant_rewards, person_rewards
from gateway.ledger import book

CLERK = {"clerk_bps": 3000, "clerks": {"noodles-1": "xiaozhou"}}


def test_R160_R162_R164_a_tagged_payer_fires_and_every_side_is_credited_at_once(make_hands, database):
    hands = make_hands(CLERK, database)
    hands.join()
    person = hands.known_guest()
    hands.pay("T1", "guest-a", 2599)
    assert hands.firing("T1") == {
        "transaction_id": "T1",
        "state": "fired",
        "reason": "",
        "amount_fen": 2599,
        "paid_at": "2026-11-22T04:05:06.000Z",
        "user": {"person": person, "fen": 129, "back_fen": 0},
        "merchant": {"merchant": "noodles", "fen": 115, "back_fen": 0},
        "clerk": {"user": "xiaozhou", "fen": 49, "back_fen": 0},
    }
    assert hands.balances(person) == (129, 115, 49, -293)
    hands.holds()


def test_R160_the_payment_that_tags_fires_nothing(make_hands):
    hands = make_hands()
    hands.join()
    hands.pay("T1", "guest-a")
    assert hands.told("T1") == ("refused", "not_in_group")
    hands.pay("T2", "")
    assert hands.told("T2") == ("refused", "not_in_group")
    assert hands.firing("T2")["user"] == {"person": None, "fen": 0, "back_fen": 0}
    assert hands.given()["cash"] == 0


@pytest.mark.parametrize(("sources", "word"), [(["noodles"], ("fired", "")), (["books"], ("refused", "not_in_group"))])
def test_R160_only_users_of_the_chosen_sources_count(make_hands, sources, word):
    hands = make_hands({"user_sources": sources})
    hands.join()
    hands.known_guest()
    hands.pay("T1", "guest-a")
    assert hands.told("T1") == word


def test_R163_without_a_code_nothing_until_the_merchant_joins(make_hands):
    hands = make_hands()
    hands.known_guest()
    hands.pay("T1", "guest-a")
    hands.join()
    hands.pay("T2", "guest-a")
    hands.pay("T3", "guest-a", shop="books")
    assert [hands.told(one) for one in ("T1", "T2", "T3")] == [
        ("refused", "no_quota_code"),
        ("fired", ""),
        ("refused", "no_quota_code"),
    ]


def test_R163_a_campaign_may_do_without_codes(make_hands):
    hands = make_hands({"quota_codes": False})
    hands.known_guest()
    hands.pay("T1", "guest-a", shop="books")
    assert hands.told("T1") == ("fired", "")


def test_R163_a_code_that_pays_for_so_many_customers_pays_for_no_further_one(make_hands):
    hands = make_hands()
    hands.join(code=hands.codes(users=2)[0])
    for openid in ("guest-a", "guest-b", "guest-c"):
        hands.known_guest(openid)
        hands.pay(f"T-{openid}", openid)
    hands.pay("T-again", "guest-a")
    assert [hands.told(f"T-{one}") for one in ("guest-a", "guest-b", "guest-c", "again")] == [
        ("fired", ""),
        ("fired", ""),
        ("refused", "no_quota_code"),
        ("fired", ""),
    ]


def test_R165_a_budget_that_bears_one_side_alone_refuses_both(make_hands, database):
    # 500 + 350 fen for a payment of ¥100: the second one would leave room for one side.
    hands = make_hands(None, database, budget_fen=850 + 600)
    hands.join()
    person = hands.known_guest()
    hands.pay("T1", "guest-a")
    hands.pay("T2", "guest-a")
    assert hands.told("T1") == ("fired", "")
    assert hands.told("T2") == ("refused", "budget")
    assert hands.balances(person) == (500, 350, 0, -850)
    hands.holds()
    hands.refund("T1", 10_000)
    hands.pay("T3", "guest-a")
    assert hands.told("T3") == ("fired", ""), "what came back may be given again"
    hands.holds()


@pytest.mark.parametrize("side", ["user_budget_fen", "merchant_budget_fen"])
def test_R165_a_sides_own_budget_refuses_both(make_hands, side):
    hands = make_hands({side: 600})
    hands.join()
    person = hands.known_guest()
    hands.pay("T1", "guest-a")
    hands.pay("T2", "guest-a")
    assert hands.told("T2") == ("refused", "budget")
    assert hands.balances(person) == (500, 350, 0, -850)
    budget = hands.call("GET", "", wants=200).body["budget"]
    assert (budget["reserved_fen"], budget["consumed_fen"]) == (0, 850)


def test_R166_the_merchant_himself_gets_nothing_at_his_own_shop(make_hands):
    hands = make_hands({"quota_codes": 2})
    hands.known_guest("owner")
    hands.join(code=hands.codes()[0], openid="owner", channel="noodles-pay")
    hands.join("books", hands.codes()[0])
    hands.pay("T1", "owner")
    hands.pay("T2", "owner", shop="books")
    assert hands.told("T1") == ("refused", "own_shop")
    assert hands.told("T2") == ("fired", "")


def test_R166_a_person_of_the_shop_is_named_by_his_payment(make_hands):
    hands = make_hands()
    hands.join()
    person = hands.known_guest("clerk")
    path = "/merchants/noodles/people"
    hands.call("POST", path, {"transaction_id": "nothing"}, role="manager", wants=404)
    hands.call("POST", path, {}, role="manager", wants=422)
    hands.call("POST", path, {"transaction_id": "first-clerk"}, role="manager", merchant="books", wants=404)
    named = hands.call("POST", path, {"transaction_id": "first-clerk"}, role="manager", wants=201)
    assert named.body == {"merchant": "noodles", "person": person}
    hands.call("POST", path, {"transaction_id": "first-clerk"}, role="manager", wants=200)
    hands.pay("T1", "clerk")
    assert hands.told("T1") == ("refused", "own_shop")


def test_R166_own_persons_of_the_file_count_under_every_id_of_theirs(make_hands):
    hands = make_hands()
    hands.join()
    one, other = hands.known_guest("guest-a"), hands.known_guest("guest-b")
    table = {"user_bps": 500, "merchant_fen": 100, "own_persons": {"noodles": [other]}}
    hands.edit(table)
    hands.pay("T1", "guest-a")
    assert hands.told("T1") == ("fired", "")
    hands.store.write(
        lambda tx: people.merge(tx, hands.runtime.ids, hands.now, winner=one, loser=other, by="t", reason="t")
    )
    hands.pay("T2", "guest-a")
    assert hands.told("T2") == ("refused", "own_shop")


def test_R166_a_pair_counts_so_often_a_day_of_the_shop(make_hands):
    hands = make_hands({"per_pair_per_day": 1})
    hands.join()
    hands.join("books")
    hands.known_guest()
    hands.pay("T1", "guest-a")
    hands.pay("T2", "guest-a")
    hands.pay("T3", "guest-a", shop="books")
    hands.later(hours=11, minutes=54)
    hands.pay("T4", "guest-a")
    hands.later(minutes=1)
    hands.pay("T5", "guest-a")
    assert [hands.told(f"T{number}")[1] for number in range(1, 6)] == ["", "pair_limit", "", "pair_limit", ""]


def test_R166_a_refunded_payment_gives_its_place_of_the_day_back(make_hands):
    hands = make_hands({"per_pair_per_day": 1})
    hands.join()
    hands.known_guest()
    hands.pay("T1", "guest-a")
    hands.refund("T1", 10_000)
    hands.pay("T2", "guest-a")
    hands.pay("T3", "guest-a")
    assert [hands.told(f"T{number}") for number in (1, 2, 3)] == [
        ("reversed", "refunded"),
        ("fired", ""),
        ("refused", "pair_limit"),
    ]


def test_R160_so_many_times_in_so_many_days(make_hands):
    hands = make_hands({"times": 2, "period_days": 3})
    hands.join()
    hands.known_guest()
    for number in range(1, 6):
        hands.pay(f"T{number}", "guest-a")
        hands.later(days=1)
    # The fourth comes three days after the first, which counts no longer.
    assert [hands.told(f"T{number}")[1] for number in range(1, 6)] == ["", "", "times", "", ""]


@pytest.mark.parametrize(("settings", "fen"), [({"min_amount_fen": 2000}, 1999), ({}, 19), ({"merchant_fen": 0}, 39)])
def test_R160_R162_what_is_too_small_for_both_sides_gives_neither_anything(make_hands, settings, fen):
    hands = make_hands(settings)
    hands.join()
    hands.known_guest()
    hands.pay("T1", "guest-a", fen)
    hands.pay("T2", "guest-a", fen + 1)
    assert hands.told("T1") == ("refused", "below_minimum")
    assert hands.told("T2") == ("fired", "")


def test_R164_where_nobody_is_named_the_merchant_keeps_all_of_his_side(make_hands):
    hands = make_hands({**CLERK, "quota_codes": 2})
    hands.join()
    hands.join("books")
    person = hands.known_guest()
    hands.pay("T1", "guest-a", shop="books")
    assert hands.firing("T1")["clerk"] is None
    assert hands.balances(person, "books") == (500, 350, 0, -850)


def test_R162_if_one_entry_cannot_be_made_neither_is(make_hands, database, monkeypatch):
    hands = make_hands(None, database)
    hands.join()
    person = hands.known_guest()
    transfer = book.transfer

    def fails(tx, id_, key, debit, credit, *rest):
        if credit == merchant_rewards("noodles"):
            raise RuntimeError("the second entry")
        transfer(tx, id_, key, debit, credit, *rest)

    monkeypatch.setattr(money.book, "transfer", fails)
    hands.pay("T1", "guest-a")
    assert hands.balances(person) == (0, 0, 0, 0)
    assert hands.call("GET", "/firings?transaction_id=T1").body["items"] == []
    assert hands.one("SELECT amount_fen FROM payments WHERE transaction_id = 'T1'")["amount_fen"] == 10_000
    hands.holds()


# -- refunds ----------------------------------------------------------------------------------------------------------


def test_R162_a_refund_takes_both_sides_back_and_the_history_stays(make_hands, database):
    hands = make_hands(CLERK, database)
    hands.join()
    person = hands.known_guest()
    hands.pay("T1", "guest-a", 2599)
    for _ in range(2):
        hands.refund("T1", 2599, number="R1")
    item = hands.firing("T1")
    assert (item["state"], item["reason"]) == ("reversed", "refunded")
    assert (item["user"]["fen"], item["user"]["back_fen"]) == (129, 129)
    assert (item["clerk"]["fen"], item["clerk"]["back_fen"]) == (49, 49)
    assert hands.balances(person) == (0, 0, 0, 0)
    assert len(hands.all("SELECT id FROM transfers")) == 6, "three there, three back"
    hands.holds()


def test_R162_the_worked_sum_of_a_partial_refund(make_hands):
    hands = make_hands(CLERK)
    hands.join()
    person = hands.known_guest()
    hands.pay("T1", "guest-a", 2599)
    hands.refund("T1", 1599)
    assert hands.told("T1") == ("fired", "reduced")
    assert hands.balances(person) == (50, 88, 37, -175)
    assert 293 - 175 == 118
    hands.refund("T1", 950)
    assert hands.told("T1") == ("reversed", "refunded"), "less than the circle's minimum is left"
    assert hands.balances(person) == (0, 0, 0, 0)
    hands.holds()


def test_R162_a_refund_told_before_its_payment_counts_already(make_hands):
    hands = make_hands({"min_amount_fen": 1000})
    hands.join()
    hands.known_guest()
    hands.refund("T1", 9500)
    hands.refund("T2", 5000)
    hands.pay("T1", "guest-a")
    hands.pay("T2", "guest-a")
    assert hands.told("T1") == ("refused", "below_minimum")
    assert hands.firing("T2")["user"]["fen"] == 250


def test_R162_what_was_paid_out_becomes_a_debt_and_is_paid_from_the_next(make_hands, database):
    hands = make_hands(None, database)
    hands.join()
    person = hands.known_guest()
    hands.pay("T1", "guest-a")
    mine = person_rewards(person)
    hands.store.write(lambda tx: book.transfer(tx, "tr_out", "out", mine, PAID_OUT, 300, "paid out", hands.now))
    hands.refund("T1", 10_000)
    assert hands.held(mine) == 0
    assert hands.held(money.debts(mine)) == -300
    assert hands.balances(person)[3] == 0, "the campaign has all of it back, as money or as a claim"
    hands.pay("T2", "guest-a", 4000)
    assert (hands.held(mine), hands.held(money.debts(mine))) == (0, -100)
    hands.pay("T3", "guest-a", 4000)
    assert (hands.held(mine), hands.held(money.debts(mine))) == (100, 0)
    hands.refund("T2", 4000)
    assert (hands.held(mine), hands.held(money.debts(mine))) == (0, -100)
    hands.holds()


def test_R162_refunds_undo_in_an_ended_campaign_too(make_hands):
    hands = make_hands()
    hands.join()
    person = hands.known_guest()
    hands.pay("T1", "guest-a")
    hands.call("POST", "/state", {"to": "ended"}, wants=200)
    hands.pay("T2", "guest-a")
    hands.refund("T1", 10_000)
    assert hands.told("T1") == ("reversed", "refunded")
    assert hands.balances(person) == (0, 0, 0, 0)
    assert hands.call("GET", "/firings?transaction_id=T2").body["items"] == []


def test_R162_a_refund_reckons_by_the_numbers_of_the_firing(make_hands):
    hands = make_hands()
    hands.join()
    person = hands.known_guest()
    hands.pay("T1", "guest-a")
    changed = {"user_bps": 100, "merchant_fen": 1, "merchant_bps": 0}
    hands.edit(changed)
    hands.refund("T1", 5000)
    assert hands.balances(person) == (250, 225, 0, -475)


def test_what_gave_nothing_is_forgotten_after_half_a_year(make_hands):
    hands = make_hands()
    hands.join()
    hands.known_guest()
    hands.pay("T1", "guest-a")
    hands.later(days=179)
    assert len(hands.all("SELECT id FROM two_sided_firings")) == 2
    hands.later(days=2)
    assert hands.one("SELECT state FROM two_sided_firings")["state"] == "fired"


def test_R016_a_persons_copy_and_his_forgetting(make_hands, database):
    from campaigns.two_sided.kind import kind

    hands = make_hands(None, database)
    person = hands.known_guest()
    hands.join()
    other = hands.known_guest("guest-b")
    hands.pay("T1", "guest-a", 2000)
    hands.pay("T2", "guest-b", 2000)
    hands.call("POST", "/merchants/noodles/people", {"person": person}, role="manager", merchant="noodles", wants=201)
    house, before = hands.runtime.campaigns.house, hands.balances(person)
    copy = hands.store.read(lambda tx: kind.copy_for(tx, house, (person,)))
    assert {row["transaction_id"] for row in copy["two_sided_firings"]} >= {"T1"}
    assert "T2" not in str(copy)
    assert other not in str(copy)
    assert [row["merchant"] for row in copy["two_sided_people"]] == ["noodles"]
    assert hands.store.write(lambda tx: kind.forget(tx, house, (other,), hands.now)) == 0
    assert hands.store.write(lambda tx: kind.forget(tx, house, (person,), hands.now)) == 1
    assert hands.all("SELECT person FROM two_sided_people") == []
    assert hands.balances(person) == before
    assert hands.store.write(lambda tx: kind.forget(tx, house, (), hands.now)) == 0
    hands.holds()
