"""Buying (R044–R047) and shares (R025, R026, R029, R038)."""

from __future__ import annotations

import pytest

from gateway import orders, tagging
from gateway.catalog.specs import Circle, Item, Merchant, Offer
from gateway.contract.errors import Refused
from gateway.ledger import book
from gateway.links import claimed_coupons
from tests.support.builders import House, changed
from tests.support.invariants import broken

SELLING = changed(Offer, "default", own=0, elsewhere=1, bought_threshold=3)
PLENTY = changed(Item, "menu", stock=1000)


@pytest.fixture
def house(store_url):
    made = House(store_url, SELLING)
    made.pay("known", "a")
    yield made
    assert made.store.read(lambda tx: broken(tx, made.now)) == []
    made.close()


def _refusal(work):
    with pytest.raises(Refused) as refused:
        work()
    return refused.value.code, refused.value.status


def _order(house, quantity=1, openid="a", item="menu"):
    return house.ordering.create(house.directory, item, quantity, house.person(openid), house.now)["id"]


def _pay(house, order):
    return house.ordering.pay(house.directory, order, house.now)


def _buy(house, quantity=1):
    return _pay(house, _order(house, quantity))


def _taken(house):
    return house.one("SELECT taken FROM stock WHERE item = 'menu'")["taken"]


def _sweep(house):
    return house.write(lambda tx: orders.close_overdue(tx, house.now, 100))


def _sales(house):
    return house.store.read(lambda tx: book.balance(tx, book.Account("merchant:sweets", "sales")))


def test_R044_an_order_holds_its_stock_for_a_quarter_of_an_hour(house):
    row = house.ordering.create(house.directory, "menu", 3, house.person("a"), house.now)
    assert (row["state"], row["amount_fen"], row["expires_at"], _taken(house)) == (
        "created",
        2970,
        "2026-11-22T04:20:06.000Z",
        3,
    )
    house.later(minutes=15, milliseconds=-1)
    assert (_sweep(house), _taken(house)) == (0, 3)
    house.later(milliseconds=1)
    assert (_sweep(house), _sweep(house), _taken(house)) == (1, 0, 0)
    assert house.one("SELECT state, closed_reason FROM orders")["closed_reason"] == "unpaid"


def test_R044_paid_is_fulfilled_once_however_often_it_is_told(house):
    order = _order(house, 2)
    bought = _pay(house, order)
    assert (bought.state, len(bought.coupons), bought.link) == ("fulfilled", 2, None)
    house.later(days=1)
    assert _pay(house, order) == bought
    assert (_taken(house), _sales(house)) == (2, 1980)
    assert house.redeem(bought.coupons[0])["state"] == "redeemed"
    _sweep(house)
    assert _taken(house) == 2


@pytest.mark.parametrize(
    ("item", "quantity", "code", "status"),
    [
        ("nothing", 1, "not_found", 404), ("menu", 0, "not_found", 404), ("menu", -1, "not_found", 404),
        ("menu", 101, "not_found", 404), ("soup", 1, "not_for_sale", 409), ("menu", 6, "sold_out", 409),
    ],
)  # fmt: skip
def test_R044_orders_that_cannot_be(house, item, quantity, code, status):
    assert _refusal(lambda: _order(house, quantity, item=item)) == (code, status)
    assert (house.count("orders"), house.count("stock WHERE taken > 0")) == (0, 0)


@pytest.mark.parametrize(
    "change",
    [changed(Item, "menu", paused=True), changed(Merchant, "sweets", paused=True), changed(Item, "menu", price_fen=0)],
)
def test_R043_R044_what_is_paused_is_not_for_sale(house, change):
    house.apply(SELLING, change)
    assert _refusal(lambda: _order(house)) == ("not_for_sale", 409)


def test_R044_strangers_neither_order_nor_pay(house):
    assert _refusal(lambda: house.ordering.create(house.directory, "menu", 1, "p_nobody", house.now)) == (
        "not_found",
        404,
    )
    for work in (lambda: _pay(house, "o_nothing"), lambda: house.ordering.refund("o_nothing", 1, house.now)):
        assert _refusal(work) == ("not_found", 404)


def test_R044_the_price_is_the_one_at_the_order(house):
    order = _order(house)
    house.apply(SELLING, changed(Item, "menu", price_fen=1))
    _pay(house, order)
    assert _sales(house) == 990


def test_R045_R046_three_bought_give_none_the_fourth_gives_one_and_no_more(house):
    house.apply(SELLING, PLENTY)
    links = [_buy(house).link for _ in range(9)]
    assert [link is not None for link in links] == [False] * 3 + [True] + [False] * 5
    assert (links[3]["purpose"], links[3]["person"], links[3]["payment"]) == ("order", house.person("a"), None)
    assert house.claim(links[3]).view == "claimed"


def test_R045_four_at_once_give_one(house):
    assert _buy(house, 4).link is not None


def test_R046_it_arms_again_at_each_further_multiple_if_it_is_set_so(house):
    house.apply(changed(Offer, "default", own=0, elsewhere=2, bought_threshold=3, bought_repeat=True), PLENTY)
    earned = [_buy(house).link is not None for _ in range(10)]
    assert [number for number, yes in enumerate(earned, start=1) if yes] == [4, 7, 10]


def test_R046_refunded_units_do_not_count(house):
    house.apply(SELLING, PLENTY)
    order = _order(house, 3)
    _pay(house, order)
    house.ordering.refund(order, 2, house.now)
    assert [_buy(house).link is not None for _ in range(3)] == [False, False, True]


def test_R046_only_the_window_counts(house):
    house.apply(changed(Offer, "default", own=0, elsewhere=1, bought_threshold=3, bought_days=10), PLENTY)
    _buy(house, 3)
    house.later(days=10)
    assert _buy(house).link is None
    assert _buy(house, 3).link is not None


def test_R046_across_items_and_never_another_persons(house):
    house.apply(SELLING, PLENTY, Item("tea", "hotpot", "茶", price_fen=100, weight=0))
    house.pay("known-b", "b")
    _buy(house, 2)
    _pay(house, _order(house, 2, openid="b"))
    assert _pay(house, _order(house, 2, item="tea")).link is not None


@pytest.mark.parametrize("stock_left", [True, False])
def test_R047_paid_after_the_hold_from_what_is_left_or_the_money_back(house, stock_left):
    order = _order(house, 3)
    house.later(minutes=16)
    _sweep(house)
    if not stock_left:
        house.pay("known-b", "b")
        _pay(house, _order(house, 3, openid="b"))
    bought = _pay(house, order)
    assert bought.state == ("fulfilled" if stock_left else "refunded")
    assert len(bought.coupons) == (3 if stock_left else 0)
    assert (_taken(house), _sales(house)) == (3, 2970)
    assert _pay(house, order) == bought


def test_R047_late_and_not_swept_yet_is_late_all_the_same(house):
    order = _order(house, 5)
    house.later(minutes=15)
    assert _pay(house, order).state == "fulfilled"
    assert _taken(house) == 5


def test_R047_an_item_that_left_the_catalogue_gives_the_money_back(house):
    order = _order(house)
    del house.directory.catalog.items["menu"]
    assert (_pay(house, order).state, _sales(house), _taken(house)) == ("refunded", 0, 0)


def test_R044_unused_units_are_given_back_used_ones_not(house):
    order = _order(house, 3)
    bought = _pay(house, order)
    house.redeem(bought.coupons[0])
    assert _refusal(lambda: house.ordering.refund(order, 3, house.now)) == ("used", 409)
    assert house.ordering.refund(order, 1, house.now).state == "fulfilled"
    assert (_sales(house), _taken(house)) == (1980, 2)
    assert house.ordering.refund(order, 1, house.now).state == "fulfilled"
    for quantity in (0, -1, 1):
        assert _refusal(lambda quantity=quantity: house.ordering.refund(order, quantity, house.now)) == ("used", 409)
    states = [row["state"] for row in house.store.read(lambda tx: claimed_coupons(tx, [order]))]
    assert sorted(states) == ["redeemed", "void", "void"]


def test_R044_all_given_back_is_refunded_and_unpaid_cannot_be(house):
    order = _order(house, 2)
    assert _refusal(lambda: house.ordering.refund(order, 1, house.now)) == ("not_paid", 409)
    _pay(house, order)
    assert house.ordering.refund(order, 2, house.now).state == "refunded"
    assert _pay(house, order).state == "refunded"
    assert (_sales(house), _taken(house)) == (0, 0)


# -- shares -------------------------------------------------------------------------------------------------------------


def test_R025_confirming_a_share_tags_actively_with_its_owner_as_source(house):
    share = house.share("a")
    assert house.sharing.look(share, house.now) == "riverside"
    assert house.confirm(share, "b") == "tagged"
    tag = house.one("SELECT * FROM tags WHERE person = :p", p=house.person("b"))
    assert (tag["source_type"], tag["source_id"], tag["mode"]) == ("payer", house.person("a"), "active")
    assert tag["origin"] == house.one("SELECT id FROM shares")["id"]


def test_R026_the_first_source_wins_and_the_later_attempt_is_written_down(house):
    share = house.share("a")
    house.pay("b-1", "b")
    assert [house.confirm(share, "b") for _ in range(2)] == ["already_tagged", "already_tagged"]
    assert house.in_tx("b", lambda tx, who: tagging.standing(tx, "riverside", who, house.now)).source.id == "hotpot"
    assert [row["outcome"] for row in house.all("SELECT outcome FROM share_attempts")] == ["already_tagged"] * 2


def test_R026_or_the_last_one_where_the_circle_says_so(house):
    house.apply(changed(Circle, "riverside", last_touch=True))
    house.pay("b-1", "b")
    assert house.confirm(house.share("a"), "b") == "tagged"
    assert house.in_tx(
        "b", lambda tx, who: tagging.standing(tx, "riverside", who, house.now)
    ).source.id == house.person("a")
    assert house.one("SELECT closed_reason FROM tags WHERE state = 'revoked'")["closed_reason"] == "last_touch"


def test_R026_a_merged_persons_other_tag_counts(house):
    """The live tag hangs on the younger id, a share is confirmed by the older."""
    house.pay("sweet-1", "b", channel="noodles")
    house.pay("x-1", "c")
    house.pay("both", "b", "c", channel="noodles")
    assert house.confirm(house.share("a"), "b") == "already_tagged"


def test_R028_an_expired_tag_makes_way_for_a_share(house):
    house.pay("b-1", "b")
    house.later(days=180)
    house.pay("a-2", "a")
    assert house.confirm(house.share("a"), "b") == "tagged"


def test_R029_confirming_a_share_is_joining_again(house):
    house.pay("b-1", "b")
    house.in_tx("b", lambda tx, who: tagging.opt_out(tx, "riverside", who, house.now))
    assert house.confirm(house.share("a"), "b") == "tagged"
    house.pay("b-2", "b")
    assert house.links("b-2") == {"payer"}


def test_R038_ones_own_share_is_refused_and_ends_no_opt_out(house):
    share = house.share("a")
    house.in_tx("a", lambda tx, who: tagging.opt_out(tx, "riverside", who, house.now))
    assert house.confirm(share, "a") == "self_referral"
    assert house.in_tx("a", lambda tx, who: tagging.standing(tx, "riverside", who, house.now)).state == "opted_out"
    house.pay("both", "a", "z")
    assert house.confirm(share, "z") == "self_referral"


@pytest.mark.parametrize("token", ["", "x" * 22, "A" * 23, "\x00" * 22, "\ud800", "../x"])
def test_R025_unknown_shares_are_a_neutral_refusal(house, token):
    assert _refusal(lambda: house.sharing.look(token, house.now)) == ("not_found", 404)
    assert _refusal(lambda: house.confirm(token, "b")) == ("not_found", 404)
    assert house.count("persons") == 1


@pytest.mark.parametrize("how", ["expired", "revoked", "another circle"])
def test_R025_shares_that_are_over_or_of_another_circle(house, how):
    share, circle = house.share("a"), "riverside"
    if how == "expired":
        house.later(days=90)
    elif how == "revoked":
        house.write(lambda tx: tx.run("UPDATE shares SET revoked_at = '2026-11-22T04:05:06.000Z'"))
    else:
        circle = "hillside"
    assert _refusal(lambda: house.confirm(share, "b", circle)) == ("not_found", 404)
    assert house.count("tags") == 1


def test_R025_nobody_makes_no_share(house):
    assert _refusal(lambda: house.sharing.create("p_nobody", "riverside", house.now)) == ("not_found", 404)
