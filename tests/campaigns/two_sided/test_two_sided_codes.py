"""Quota codes and merchants: what the calls refuse, and who may see what (R163, R072)."""

import pytest


def test_R163_codes_are_made_in_batches_each_another(make_hands):
    hands = make_hands()
    codes = hands.codes(200)
    assert len(set(codes)) == 200
    listed, after = [], ""
    while after is not None:
        page = hands.call("GET", f"/quota-codes?after={after}", wants=200).body
        listed += page["items"]
        after = page["next"]
    assert sorted(codes) == [item["code"] for item in listed]
    assert {item["state"] for item in listed} == {"unused"}


@pytest.mark.parametrize(
    "body",
    [{}, {"count": 0}, {"count": 1001}, {"count": "5"}, {"count": 1, "uses": 0}, {"count": 1, "users": -1}, {"count": True},
     {"count": 1.5}, {"count": None}, {"count": 10**30}],
)  # fmt: skip
def test_R163_a_batch_of_no_shape_is_refused_by_its_field(make_hands, body):
    hands = make_hands()
    refused = hands.call("POST", "/quota-codes", body)
    assert (refused.status, refused.body["code"]) == (422, "invalid")
    assert refused.body["fields"]


def test_R163_no_more_codes_than_the_file_allows(make_hands):
    hands = make_hands({"quota_codes": 3})
    hands.codes(2)
    refused = hands.call("POST", "/quota-codes", {"count": 2})
    assert (refused.status, refused.body["code"], refused.body["left"]) == (409, "limit", 1)
    hands.codes(1)


def test_R163_a_code_admits_so_many_merchants_and_then_none(make_hands):
    hands = make_hands()
    (code,) = hands.codes(uses=2)
    state = lambda: hands.call("GET", "/quota-codes").body["items"][0]["state"]
    assert state() == "unused"
    hands.join("noodles", code)
    assert state() == "bound"
    assert hands.join("noodles", code, wants=200).body == {"merchant": "noodles", "state": "bound"}
    assert state() == "bound", "the same merchant takes no second place"
    hands.join("books", code.lower())
    assert state() == "used_up"
    refused = hands.join("cafe", code, wants=409)
    assert refused.body["code"] == "code_used_up"


def test_R163_unknown_foreign_and_void_codes_admit_nobody(make_hands):
    hands = make_hands()
    (code,) = hands.codes()
    assert hands.join(code="2222-2222-2222-2", wants=404).body["code"] == "no_such_code"
    assert hands.join(code="no code", wants=404).body["code"] == "no_such_code"
    assert hands.call("POST", "/quota-codes/none/void").body["code"] == "no_such_code"
    for _ in range(2):
        assert hands.call("POST", f"/quota-codes/{code}/void", wants=200).body == {"code": code, "state": "void"}
    assert hands.join(code=code, wants=409).body["code"] == "code_void"


def test_R163_a_void_code_ends_the_part_of_its_merchant_who_may_come_back_by_another(make_hands):
    hands = make_hands()
    first, second = hands.codes(2)
    hands.join(code=first)
    assert hands.join(code=second, wants=409).body["code"] == "already_bound"
    hands.known_guest()
    hands.call("POST", f"/quota-codes/{first}/void", wants=200)
    hands.pay("T1", "guest-a")
    hands.join(code=second)
    hands.pay("T2", "guest-a")
    assert [hands.told("T1"), hands.told("T2")] == [("refused", "no_quota_code"), ("fired", "")]


def test_R072_a_merchant_joins_for_himself_alone(make_hands):
    hands = make_hands()
    (code,) = hands.codes()
    for merchant in ("books", "tea", "nothing"):
        body = {"merchant": merchant, "code": code}
        assert hands.call("POST", "/merchants", body, role="manager").status == 404
    assert hands.call("GET", "/quota-codes").body["items"][0]["state"] == "unused"


def test_R072_a_merchant_sees_his_own_payments_alone(make_hands):
    hands = make_hands()
    hands.join("noodles")
    hands.join("books")
    hands.known_guest()
    hands.pay("T1", "guest-a", shop="books")
    seen = hands.call("GET", "/firings?transaction_id=T1", role="manager", wants=200)
    assert seen.body == {"items": [], "next": None}
    seen = hands.call("GET", "/firings?transaction_id=T1", role="manager", merchant="books", wants=200)
    assert [item["state"] for item in seen.body["items"]] == ["fired"]
    mine = hands.call("GET", "/merchants", role="manager", merchant="books", wants=200).body["items"]
    assert [(item["merchant"], item["held_fen"]) for item in mine] == [("books", 350)]


def test_R163_an_ended_campaign_makes_and_takes_no_codes(make_hands):
    hands = make_hands()
    (code,) = hands.codes()
    hands.call("POST", "/state", {"to": "ended"}, wants=200)
    assert hands.join(code=code, wants=409).body["code"] == "not_live"
    assert hands.call("POST", "/quota-codes", {"count": 1}).body["code"] == "not_live"


@pytest.mark.parametrize("query", ["transaction_id=%00", "before=%0a", "state=" + "x" * 200])
def test_what_nothing_can_be_named_is_refused(make_hands, query):
    assert make_hands().call("GET", f"/firings?{query}").status in {400, 422}


def test_firings_are_read_a_page_at_a_time(make_hands):
    hands = make_hands()
    hands.join()
    hands.known_guest()
    for number in range(60):
        hands.pay(f"T{number}", "guest-a")
    first = hands.call("GET", "/firings?state=fired").body
    second = hands.call("GET", f"/firings?state=fired&before={first['next']}").body
    seen = [item["transaction_id"] for item in first["items"] + second["items"]]
    assert seen == [f"T{number}" for number in range(59, -1, -1)]
    assert second["next"] is None
