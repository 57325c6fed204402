"""Claim links from the customer's side (R029, R043, R050, R051, R054–R056)."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from crypto.tokens import token_digest
from gateway import links
from gateway.catalog.specs import Circle, Item, Merchant, Offer
from gateway.contract.errors import Refused
from tests.support.builders import House, changed
from tests.support.invariants import broken


@pytest.fixture
def house(store_url):
    made = House(store_url, changed(Offer, "default", own=1, elsewhere=2))
    yield made
    made.store.close()
    assert made.store.read(lambda tx: broken(tx, made.now)) == []
    made.close()


def _linked(house, openid="a"):
    """A link of a tagged payer with three items: soup, bowl, cut."""
    house.pay(f"{openid}-1", openid)
    house.pay(f"{openid}-2", openid)
    return house.link(f"{openid}-2")


def _look(house, link, person=None):
    return house.claiming.look(house.directory, house.token(link), house.now, person=person)


def _refusal(work):
    with pytest.raises(Refused) as refused:
        work()
    return refused.value.code, refused.value.status


def test_R050_the_store_holds_the_tokens_digest_and_nothing_that_opens_a_link(house):
    link = _linked(house)
    token = house.token(link)
    assert (len(token), bytes(link["token_digest"])) == (22, token_digest(token))
    assert house.link_keys.token(link["id"], link["key_id"]) == token
    for column in link.keys():
        assert token not in str(link[column])


def test_R051_looking_changes_nothing_but_the_first_opening(house):
    link = _linked(house)
    page = _look(house, link)
    assert (page.view, [(one.item.slug, one.state) for one in page.items if one.item.slug == "soup"]) == (
        "ready", [("soup", "open")],
    )  # fmt: skip
    house.store.close()
    opened_at = house.link("a-2")["opened_at"]
    assert (house.link("a-2")["state"], opened_at) == ("opened", "2026-11-22T04:05:06.000Z")
    house.later(hours=1)
    for _ in range(3):
        _look(house, link)
    house.store.close()
    assert house.link("a-2")["opened_at"] == opened_at
    assert house.count("coupons") == 0


def test_R054_claiming_gives_one_coupon_an_item_and_again_the_same(house):
    link = _linked(house)
    page = house.claim(link)
    assert (page.view, {row["item"] for row in page.coupons}, page.missed) == ("claimed", {"soup", "bowl", "cut"}, ())
    again = house.claim(link)
    assert [row["code"] for row in again.coupons] == [row["code"] for row in page.coupons]
    assert _look(house, link).view == "claimed"
    assert house.count("coupons") == 3


def test_R058_a_coupon_is_what_the_item_was_when_it_was_claimed(house):
    link = _linked(house)
    coupon = next(row for row in house.claim(link).coupons if row["item"] == "cut")
    house.apply(changed(Item, "cut", percent_off=1, valid_days=1, paused=True))
    row = house.one("SELECT * FROM coupons WHERE code = :c", c=coupon["code"])
    assert (row["percent_off"], row["cap_fen"], row["merchant"], row["state"]) == (10, 800, "barber", "claimed")
    assert (row["valid_from"], row["valid_to"]) == ("2026-11-22T04:05:06.000Z", "2026-12-06T04:05:06.000Z")
    assert row["payment"] == house.payment("a-2")["id"]


def test_R054_what_ran_out_meanwhile_is_told_and_the_rest_is_his(house):
    link = _linked(house)
    house.apply(changed(Item, "bowl", stock=0))
    page = house.claim(link)
    assert ({row["item"] for row in page.coupons}, page.missed) == ({"soup", "cut"}, ("bowl",))
    assert house.claim(link).missed == ("bowl",)
    house.apply()
    assert house.claim(link).missed == ("bowl",)  # claimed once is claimed


def test_R054_a_link_whose_items_all_ran_out_is_refused_and_may_be_claimed_when_they_are_back(house):
    link = _linked(house)
    house.apply(*(changed(Item, slug, stock=0) for slug in ("soup", "bowl", "cut")))
    assert _refusal(lambda: house.claim(link)) == ("sold_out", 409)
    house.apply()
    assert len(house.claim(link).coupons) == 3


@pytest.mark.parametrize("how", ["items", "merchants"])
def test_R043_paused_items_wait_and_claimed_coupons_stay_good(house, how):
    first, second = _linked(house, "a"), _linked(house, "b")
    code = next(row["code"] for row in house.claim(first).coupons if row["item"] == "bowl")
    if how == "items":
        house.apply(*(changed(Item, slug, paused=True) for slug in ("soup", "bowl", "cut")))
    else:
        house.apply(*(changed(Merchant, slug, paused=True) for slug in ("hotpot", "sweets", "barber")))
    assert _look(house, second).view == "paused"
    assert _refusal(lambda: house.claim(second)) == ("paused", 409)
    assert house.redeem(code)["state"] == "redeemed"
    house.apply(changed(Item, "bowl", paused=True))
    assert {row["item"] for row in house.claim(second).coupons} == {"soup", "cut"}


def test_items_that_left_the_catalogue_are_gone(house):
    link = _linked(house)
    token = house.token(link)
    del house.directory.catalog.items["soup"], house.directory.catalog.items["bowl"]
    assert [one.item.slug for one in _look(house, link).items] == ["cut"]
    del house.directory.catalog.items["cut"]
    assert _look(house, link).view == "sold_out"
    assert _refusal(lambda: house.claiming.claim(house.directory, token, house.now)) == ("sold_out", 409)


@pytest.mark.parametrize(
    ("ago", "view"),
    [(timedelta(days=7), "expired"), (timedelta(days=7, milliseconds=-1), "ready"), (timedelta(days=99), "expired")],
)
def test_R055_seven_days_by_the_servers_clock(house, ago, view):
    link = _linked(house)
    house.now += ago
    assert _look(house, link).view == view
    if view == "expired":
        assert _refusal(lambda: house.claim(link)) == ("expired", 410)
        assert house.count("coupons") == 0
    else:
        assert house.claim(link).view == "claimed"


def test_R055_a_claimed_link_shows_its_coupons_long_after(house):
    link = _linked(house)
    house.claim(link)
    house.later(days=400)
    assert _look(house, link).view == house.claim(link).view == "claimed"


def test_R055_a_clock_that_jumps_back_brings_an_unswept_link_back(house):
    link = _linked(house)
    house.later(days=8)
    assert _look(house, link).view == "expired"
    house.later(days=-8)
    assert house.claim(link).view == "claimed"


def test_R055_the_sweep_writes_down_what_ran_out_and_gives_the_budget_back(house):
    house.apply(changed(Offer, "default", budget_fen=100_000))
    link = _linked(house)
    house.later(days=7)
    due = house.write(
        lambda tx: [links.close(tx, row, house.now, "expired", "expired") for row in links.overdue(tx, house.now, 9)]
    )
    assert due == [True]
    assert house.write(lambda tx: links.overdue(tx, house.now, 9)) == []
    assert house.one("SELECT reserved_fen FROM budgets")["reserved_fen"] == 0
    assert _look(house, link).view == "expired"
    house.later(days=-7)
    assert _refusal(lambda: house.claim(link)) == ("expired", 410)


BAD_TOKENS = [
    "",
    "x",
    "A" * 22,
    "A" * 21 + "=",
    "A" * 23,
    "../../etc",
    "a" * 10_000,
    "ＡＡＡＡ" * 6,
    "'; DROP TABLE links; --",
    "\x00" * 22,
    "\ud800" * 22,
]


@pytest.mark.parametrize("token", BAD_TOKENS)
def test_R056_unknown_and_malformed_tokens_are_one_neutral_refusal(house, token):
    _linked(house)
    before = [house.count(table) for table in ("links", "coupons", "suppressions", "tags")]
    for work in (house.claiming.look, house.claiming.claim, house.claiming.opt_out, house.claiming.opt_in):
        assert _refusal(lambda work=work: work(house.directory, token, house.now)) == ("not_found", 404)
    assert [house.count(table) for table in ("links", "coupons", "suppressions", "tags")] == before


@pytest.mark.parametrize("state", ["revoked", "superseded"])
def test_R056_what_staff_withdrew_is_as_if_it_had_not_been(house, state):
    link = _linked(house)
    house.write(lambda tx: links.close(tx, link, house.now, state, "staff"))
    assert _refusal(lambda: _look(house, link)) == ("not_found", 404)
    assert _refusal(lambda: house.claim(link)) == ("not_found", 404)


def test_R056_with_sign_in_only_the_bound_person_sees_a_link(house):
    house.apply(changed(Circle, "riverside", binding="oauth"), changed(Offer, "default", elsewhere=2))
    link = _linked(house, "a")
    house.pay("b-1", "b")
    for person in (None, "", house.person("b"), "p_nobody"):
        assert _refusal(lambda person=person: _look(house, link, person)) == ("not_found", 404)
        assert _refusal(lambda person=person: house.claim(link, person)) == ("not_found", 404)
        assert _refusal(
            lambda person=person: house.claiming.opt_out(house.directory, house.token(link), house.now, person=person)
        ) == ("not_found", 404)
    assert house.claim(link, house.person("a")).view == "claimed"


def test_R008_who_was_merged_sees_the_links_of_both(house):
    house.apply(changed(Circle, "riverside", binding="oauth"))
    link = _linked(house, "b")
    younger = house.person("b")
    house.pay("c-1", "c")
    house.pay("both", "b", "c")
    for person in {younger, house.person("c"), house.person("b")}:
        assert house.claim(link, person).view == "claimed"


def test_a_circle_that_left_the_catalogue_takes_its_links_along(house):
    link = _linked(house)
    del house.directory.catalog.circles["riverside"]
    assert _refusal(lambda: house.claim(link)) == ("not_found", 404)


def test_R029_leaving_from_the_claim_page_holds_for_the_next_event_and_coupons_stay(house):
    link = _linked(house)
    page = house.claim(link)
    assert house.claiming.opt_out(house.directory, house.token(link), house.now) == "riverside"
    house.pay("a-3", "a")
    assert house.decisions("a-3") == {"tag": ("skipped", "opted_out")}
    assert house.redeem(page.coupons[0]["code"])["state"] == "redeemed"
    assert house.claiming.opt_in(house.directory, house.token(link), house.now) == "riverside"
    house.pay("a-4", "a")
    assert house.decisions("a-4")["tag"] == ("done", "first_payment")


def test_R061_a_link_of_a_refunded_payment_says_so(house):
    link = _linked(house)
    house.refund("a-2", "R1", 10_000)
    assert _look(house, link).view == "refunded"
    assert _refusal(lambda: house.claim(link)) == ("refunded", 410)
    assert json.loads(house.payment("a-2")["decisions"])[-1] == {
        "rule": "payer_link", "outcome": "refused", "reason": "refunded",
    }  # fmt: skip
