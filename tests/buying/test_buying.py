"""Buying through a platform (R044–R047): every order comes to one end, whatever the line between does."""

from __future__ import annotations

import pytest

from gateway.buying import Buying
from gateway.buying.schedule import next_order_look, next_refund_look
from gateway.buying.story import described
from gateway.contract.errors import Refused
from gateway.orders import links_earned, units_missing
from tests.buying.wepay import CHANNEL, PRICE, SHOP
from tests.support.crowd import in_threads
from tests.support.world import START

SALES, DUE = "merchant:sweets:sales:cash", "merchant:sweets:refunds_due:cash"


def refusal(work):
    with pytest.raises(Refused) as refused:
        work()
    return refused.value.code, refused.value.status


# -- the order and its number -----------------------------------------------------------------------------------------


def test_R044_the_number_and_the_request_are_kept_before_anything_is_sent(shop, platform):
    seen = []
    platform.before["prepay"] = lambda: seen.extend(shop.all("SELECT * FROM purchases"))
    order = shop.order(2)
    (row,) = seen
    assert (row["state"], row["amount_fen"], row["number"]) == ("new", 2 * PRICE, shop.number(order))
    assert b"app-riverside" not in bytes(row["request"])
    said = platform.orders[row["number"]]["said"]
    assert (said["openid"], said["amount"]) == ("a", 2 * PRICE)
    assert said["notify_url"] == f"https://pay.example.com/paid/{CHANNEL}"
    assert 6 <= len(row["number"]) <= 32
    assert row["number"].isalnum()


def test_R044_a_form_sent_twice_makes_one_order(shop, platform):
    first = shop.order(form="one form")
    assert shop.order(form="one form") == first
    assert shop.order(5, form="one form") == first
    assert (platform.count("prepay"), shop.taken()) == (1, 1)


def test_R044_ten_taps_at_once_make_one_order(shop):
    orders = in_threads([lambda: shop.order(form="one form") for _ in range(10)])
    assert len(set(orders)) == 1
    assert (shop.taken(), len(shop.all("SELECT number FROM purchases"))) == (1, 1)


def test_R044_another_person_with_the_same_form_sees_nothing(shop):
    shop.order(form="one form")
    other = shop.newcomer("b")
    assert refusal(lambda: shop.order(form="one form", person=other)) == ("not_found", 404)


def test_R044_one_person_holds_three_unpaid_orders_at_most(shop):
    for _ in range(3):
        shop.order()
    with pytest.raises(Refused) as refused:
        shop.order()
    assert (refused.value.code, refused.value.facts["retry_after_s"]) == ("too_many", 901)
    shop.run(900, 60)
    assert shop.state(shop.order()) == "created"


@pytest.mark.parametrize(("item", "person", "code"), [
    ("nothing", None, "no_till"), ("soup", None, "no_till"), ("bowl-5off", None, "not_for_sale"),
    ("set-menu", "p_nobody", "not_found"),
])  # fmt: skip
def test_R044_orders_that_cannot_be(shop, platform, item, person, code):
    work = lambda: shop.buying.order(item, 1, person or shop.person, "wechat", "form", shop.clock())
    assert refusal(work)[0] == code
    assert platform.calls == []


def test_R044_a_person_whom_the_shops_own_account_does_not_know_cannot_pay(shop):
    """The ordering and the paying openid are one app's; another app's would pay for nobody."""
    shop.pay("other-app", "z", channel="noodles-pay")
    stranger = shop.person_of("other-app")
    assert shop.buying.till_for("set-menu", "wechat", stranger) is None
    assert refusal(lambda: shop.order(person=stranger)) == ("no_till", 409)
    assert refusal(lambda: shop.buying.order("set-menu", 1, shop.person, "alipay", "f", shop.clock()))[0] == "no_till"


def test_R044_money_never_goes_to_another_merchants_account(shop):
    """The hotpot has no wallet of its own; its customers sign in by the sweets', and still cannot pay there."""
    directory = shop.runtime.directory()
    assert directory.channel("hotpot-pay").wallet.channel == CHANNEL
    assert shop.buying.till_for("soup", "wechat", shop.person) is None


def test_R044_a_wallet_that_only_signs_in_sells_nothing(shop):
    shop.apply(SHOP.replace('app_secret = "s"', 'app_secret = "signs in alone"'))
    shop.runtime = shop.another_runtime()
    assert Buying(shop.runtime).till_for("set-menu", "wechat", shop.person) is None


def test_described_is_what_every_platform_takes():
    assert described("双人/套餐=甲&乙\x07", 2) == "双人 套餐 甲 乙 x 2"
    assert len(described("味" * 200, 100).encode()) <= 127
    assert described("味" * 200, 1).endswith("味")


# -- announcing -------------------------------------------------------------------------------------------------------


def test_R044_an_answer_that_is_lost_is_asked_for_with_the_same_number_and_the_identical_request(shop, platform):
    platform.trouble("prepay", "lost")
    order = shop.order()
    assert shop.one("SELECT state FROM purchases")["state"] == "new"
    shop.run(5)
    row = shop.one("SELECT * FROM purchases")
    assert (row["state"], row["number"]) == ("announced", shop.number(order))
    assert [verb for verb, _ in platform.calls] == ["prepay", "query", "prepay"]
    assert len(platform.orders) == 1


@pytest.mark.parametrize("code", ["SYSTEM_ERROR", "WHAT_IS_THIS", "away"])
def test_R044_what_is_not_known_to_be_declined_is_tried_again_under_its_number(shop, platform, code):
    platform.trouble("prepay", code, code)
    order = shop.order()
    number = shop.number(order)
    shop.run(60)
    assert shop.number(order) == number
    assert platform.orders[number]["state"] == "unpaid"
    assert shop.one("SELECT state FROM purchases")["state"] == "announced"


def test_R044_declined_is_told_and_the_next_try_has_another_number(shop, platform):
    platform.trouble("prepay", "F_NO_AUTH")
    order = shop.order()
    first = shop.one("SELECT * FROM purchases")
    assert (first["state"], first["reason"], first["request"]) == ("failed", "F_NO_AUTH", None)
    assert "order_declined" in shop.incidents()
    shop.buying.again(order, shop.person, "wechat", shop.clock())
    shop.buying.announce(order, shop.clock())
    assert shop.number(order) != first["number"]
    assert shop.one("SELECT state FROM purchases WHERE state <> 'failed'")["state"] == "announced"


def test_R044_no_second_number_while_one_is_open(shop):
    order = shop.order()
    shop.buying.again(order, shop.person, "wechat", shop.clock())
    assert len(shop.all("SELECT * FROM purchases")) == 1
    assert refusal(lambda: shop.buying.again(order, shop.newcomer("b"), "wechat", shop.clock())) == ("not_found", 404)


def test_R044_a_declined_order_is_closed_at_its_end_and_cannot_be_tried_again(shop, platform):
    platform.trouble("prepay", "F_NO_AUTH")
    order = shop.order()
    shop.run(900, 60)
    assert (shop.state(order), shop.taken()) == ("closed", 0)
    assert refusal(lambda: shop.buying.again(order, shop.person, "wechat", shop.clock())) == ("expired", 410)


def test_the_young_are_asked_about_often_and_the_old_rarely():
    end = START.replace(minute=20)
    gaps = [(next_order_look(asked, START, end) - START).total_seconds() for asked in range(6)]
    assert gaps == [5, 10, 20, 40, 60, 60]
    assert next_order_look(9, end.replace(minute=19, second=30), end) == end
    assert (next_order_look(9, end, end) - end).total_seconds() == 60
    waits = [(next_refund_look(asked, START) - START).total_seconds() for asked in range(10)]
    assert waits == [15, 60, 60, 60, 60, 300, 600, 1200, 1800, 1800]


# -- paid -------------------------------------------------------------------------------------------------------------


def test_R044_a_notification_fulfils_once_however_often_it_is_told(shop):
    order = shop.order(2)
    shop.pay_order(order)
    for _ in range(3):
        shop.told(order)
    assert shop.state(order) == "fulfilled"
    assert len(shop.all("SELECT code FROM coupons WHERE origin = :o", o=order)) == 2
    assert (shop.taken(), shop.balance(SALES)) == (2, 2 * PRICE)
    row = shop.one("SELECT * FROM purchases")
    assert (row["state"], row["transaction_id"], row["request"]) == ("paid", f"T{row['number']}", None)


def test_R044_without_a_notification_the_question_finds_it(shop, platform):
    order = shop.order()
    shop.pay_order(order)
    shop.run(5)
    assert shop.state(order) == "fulfilled"
    asked = platform.count("query")
    shop.run(300, 60)
    assert platform.count("query") == asked


def test_R044_a_page_that_says_paid_proves_nothing(shop):
    """Nothing but the platform's signature moves an order."""
    order = shop.order()
    shop.run(120, 10)
    assert shop.state(order) == "created"


def test_R044_notifications_questions_and_pages_at_once_fulfil_once(shop, platform):
    order = shop.order(2)
    shop.pay_order(order)
    shop.clock.move(seconds=5)
    workers = [shop.worker() for _ in range(4)]
    in_threads([lambda: shop.told(order) for _ in range(8)] + [worker.pass_once for worker in workers])
    assert shop.state(order) == "fulfilled"
    assert len(shop.all("SELECT code FROM coupons WHERE origin = :o", o=order)) == 2
    assert (shop.balance(SALES), shop.balance(DUE), platform.refunds) == (2 * PRICE, 0, {})


def test_R045_R046_the_fourth_unit_bought_brings_a_link(shop):
    for quantity in (3, 1):
        order = shop.order(quantity)
        shop.pay_order(order)
        shop.told(order)
    assert [row["source_order"] for row in shop.links()] == [order]


@pytest.mark.parametrize("said", [
    {"amount_fen": PRICE - 1}, {"amount_fen": PRICE + 1}, {"amount_fen": 1}, {"currency": "USD"},
])  # fmt: skip
def test_R044_a_notification_of_another_sum_is_an_incident_and_moves_nothing(shop, said):
    order = shop.order()
    shop.told(order, **said)
    assert (shop.state(order), shop.balance(SALES)) == ("created", 0)
    assert shop.incidents() == {"order_amount_differs"}


def test_R044_a_payment_of_another_sum_by_the_platforms_own_word_closes_the_order(shop):
    order = shop.order()
    shop.pay_order(order, amount=1)
    shop.run(5)
    assert (shop.state(order), shop.taken(), shop.incidents()) == ("closed", 0, {"order_amount_differs"})


@pytest.mark.parametrize("said", [
    {"out_trade_no": "DGdoesnotexist"}, {"out_trade_no": None}, {"channel": "hotpot-pay"},
])  # fmt: skip
def test_R044_an_order_that_is_not_ours_or_not_this_channels_is_an_incident(shop, said):
    order = shop.order()
    shop.told(order, **said)
    assert (shop.state(order), shop.incidents()) == ("created", {"unknown_order"})


def test_R044_our_own_orders_tag_nobody(shop):
    order = shop.order()
    payments = len(shop.all("SELECT id FROM payments"))
    shop.pay_order(order)
    shop.told(order)
    assert len(shop.all("SELECT id FROM payments")) == payments


# -- unpaid -----------------------------------------------------------------------------------------------------------


def test_R044_the_stock_goes_back_only_after_the_platform_has_closed_the_order(shop, platform):
    order = shop.order(5)
    platform.trouble("close", *["SYSTEM_ERROR"] * 3)
    shop.run(900, 60)
    assert (shop.state(order), shop.taken()) == ("created", 5)
    shop.run(120, 60)
    assert shop.taken() == 5
    shop.run(60, 60)
    assert (shop.state(order), shop.taken()) == ("closed", 0)
    assert platform.orders[shop.number(order)]["state"] == "closed"


def test_R047_paid_while_it_was_being_closed_is_fulfilled(shop, platform):
    order = shop.order(5)
    platform.before["close"] = lambda: shop.pay_order(order)
    shop.run(900, 60)
    assert (shop.state(order), shop.taken(), shop.balance(SALES)) == ("fulfilled", 5, 5 * PRICE)


def test_R044_an_order_that_the_platform_will_not_close_is_told_after_an_hour(shop, platform):
    order = shop.order()
    platform.trouble("close", *["SYSTEM_ERROR"] * 200)
    shop.run(900 + 3500, 100)
    assert "order_not_closed" not in shop.incidents()
    shop.run(200, 100)
    assert shop.incidents() == {"order_not_closed"}
    assert shop.state(order) == "created"


def test_R044_one_that_was_never_announced_is_closed_too(shop, platform):
    platform.trouble("prepay", *["away"] * 100)
    order = shop.order()
    shop.run(960, 60)
    assert (shop.state(order), shop.taken(), platform.orders) == ("closed", 0, {})


def test_R044_a_platform_that_is_away_is_left_alone_for_a_moment(shop, platform):
    """Others' relays wait behind this in the same pass: one time-out for a channel, not one an order."""
    people = [shop.person, shop.newcomer("b"), shop.newcomer("c")]
    for person in people:
        shop.order(person=person)
    platform.trouble("query", *["away"] * 50)
    shop.run(5)
    assert platform.count("query") == 1


def test_R044_a_channel_that_left_the_catalogue_holds_no_stock_for_ever(shop):
    order = shop.order()
    del shop.runtime.directory().catalog.channels[CHANNEL]
    shop.runtime.directory()._channels.pop(CHANNEL)
    shop.run(960, 60)
    assert (shop.state(order), shop.taken(), shop.incidents()) == ("closed", 0, {"order_without_till"})


# -- late, and back ---------------------------------------------------------------------------------------------------


@pytest.fixture
def late(shop, platform):
    """An order whose payment comes after the platform closed it and another has bought everything."""
    order = shop.order(5)
    shop.run(900, 60)
    assert shop.state(order) == "closed"
    other = shop.order(5, person=shop.newcomer("b"))
    shop.pay_order(other)
    shop.told(other)
    platform.orders[shop.number(order)]["state"] = "unpaid"
    shop.pay_order(order)
    return order


def test_R047_late_with_stock_left_is_fulfilled(shop, platform):
    order = shop.order(5)
    shop.run(900, 60)
    platform.orders[shop.number(order)]["state"] = "unpaid"
    shop.pay_order(order)
    shop.told(order)
    assert (shop.state(order), shop.taken(), platform.refunds) == ("fulfilled", 5, {})


def test_R047_late_without_stock_is_given_back_by_the_platform_once(shop, platform, late):
    in_threads([lambda: shop.told(late) for _ in range(6)])
    assert (shop.state(late), shop.balance(DUE), shop.taken()) == ("refunded", 5 * PRICE, 5)
    in_threads([shop.worker().pass_once for _ in range(4)])
    shop.work()
    assert [refund["said"]["fen"] for refund in platform.refunds.values()] == [5 * PRICE]
    assert (shop.balance(DUE), shop.balance(SALES)) == (0, 5 * PRICE)
    assert shop.one("SELECT state FROM paybacks")["state"] == "done"


def test_R047_the_refunds_number_is_kept_before_it_is_sent_and_an_unknown_end_keeps_it(shop, platform, late):
    seen = []
    platform.before["refund"] = lambda: seen.extend(shop.all("SELECT number, state FROM paybacks"))
    platform.trouble("refund", "lost")
    shop.told(late)
    shop.work()
    assert [row["state"] for row in seen] == ["new"]
    assert shop.balance(DUE) == 5 * PRICE
    shop.run(15)
    assert platform.calls[-1] == ("query_refund", seen[0]["number"])
    assert list(platform.refunds) == [seen[0]["number"]]
    assert (shop.one("SELECT state FROM paybacks")["state"], shop.balance(DUE)) == ("done", 0)


def test_R047_a_refund_that_never_arrived_is_sent_again_alike(shop, platform, late):
    platform.trouble("refund", "SYSTEM_ERROR")
    shop.told(late)
    shop.run(20)
    assert [verb for verb, _ in platform.calls][-3:] == ["refund", "query_refund", "refund"]
    assert (len(platform.refunds), shop.balance(DUE)) == (1, 0)


def test_R047_accepted_is_not_done(shop, platform, late):
    platform.refund_state = "pending"
    shop.told(late)
    shop.run(200, 10)
    assert (shop.one("SELECT state FROM paybacks")["state"], shop.balance(DUE)) == ("pending", 5 * PRICE)
    next(iter(platform.refunds.values()))["state"] = "done"
    asked = platform.count("query_refund")
    shop.told(late, event="refunded")
    shop.work()
    assert platform.count("query_refund") == asked + 1
    assert (shop.one("SELECT state FROM paybacks")["state"], shop.balance(DUE)) == ("done", 0)


def test_R047_a_declined_refund_alarms_and_is_tried_again_under_its_number(shop, platform, late):
    platform.trouble("refund", "F_NOT_ENOUGH")
    shop.told(late)
    shop.work()
    assert shop.incidents() == {"refund_declined"}
    number = shop.one("SELECT number FROM paybacks")["number"]
    shop.run(3660, 60)
    assert list(platform.refunds) == [number]
    assert (shop.incidents(), shop.balance(DUE)) == (set(), 0)


def test_R047_an_abnormal_refund_is_for_a_person_and_may_still_come_right(shop, platform, late):
    platform.refund_state = "abnormal"
    shop.told(late)
    shop.run(20)
    assert (shop.incidents(), shop.balance(DUE)) == ({"refund_abnormal"}, 5 * PRICE)
    next(iter(platform.refunds.values()))["state"] = "done"
    shop.run(120, 30)
    assert (shop.incidents(), shop.balance(DUE)) == (set(), 0)


def test_R047_a_closed_refund_gets_another_number_three_times_at_most(shop, platform, late):
    platform.refund_state = "closed"
    shop.told(late)
    number = shop.number(late)
    for _ in range(80):
        shop.run(30, 30)
        platform.orders[number]["back"] = 0
    assert [refund["state"] for refund in platform.refunds.values()] == ["closed"] * 3
    assert (shop.incidents(), shop.balance(DUE)) == ({"refund_abnormal"}, 5 * PRICE)


def test_R044_an_order_paid_under_two_numbers_gives_the_second_back(shop, platform):
    platform.trouble("prepay", "F_NO_AUTH")
    order = shop.order()
    declined = shop.number(order)
    shop.buying.again(order, shop.person, "wechat", shop.clock())
    shop.buying.announce(order, shop.clock())
    numbers = {row["number"] for row in shop.all("SELECT number FROM purchases")}
    (second,) = numbers - {declined}
    platform.orders[declined] = {"said": {"amount": PRICE}, "state": "unpaid", "back": 0}
    for number in (second, declined):
        platform.pay(number)
        channel = shop.runtime.directory().channel(CHANNEL)
        raw = shop.raw(order, out_trade_no=number, transaction_id=f"T{number}", amount_fen=PRICE)
        shop.buying.told(channel, channel.adapter.parse(raw, channel.keys, shop.clock()), shop.clock())
    assert (shop.state(order), shop.balance(DUE)) == ("fulfilled", PRICE)
    shop.work()
    assert [refund["said"]["order"] for refund in platform.refunds.values()] == [declined]
    assert (shop.balance(DUE), shop.balance(SALES)) == (0, PRICE)


def test_R061_units_given_back_go_back_through_the_wallet_a_minute_apart(shop, platform):
    order = shop.order(3)
    shop.pay_order(order)
    shop.told(order)
    shop.buying.refund(order, 1, shop.clock())
    shop.buying.refund(order, 2, shop.clock())
    shop.work()
    assert [refund["said"]["fen"] for refund in platform.refunds.values()] == [PRICE]
    shop.run(65)
    assert sorted(refund["said"]["fen"] for refund in platform.refunds.values()) == [PRICE, 2 * PRICE]
    assert (shop.state(order), shop.balance(DUE), shop.balance(SALES), shop.taken()) == ("refunded", 0, 0, 0)
    assert refusal(lambda: shop.buying.refund(order, 1, shop.clock())) == ("used", 409)


def test_R061_an_order_that_no_wallet_paid_is_given_back_as_before(shop, platform):
    made = shop.runtime.ordering.create(shop.runtime.directory(), "set-menu", 2, shop.person, shop.clock())
    shop.runtime.ordering.pay(shop.runtime.directory(), made["id"], shop.clock())
    assert shop.buying.refund(made["id"], 2, shop.clock()).state == "refunded"
    shop.work()
    assert (platform.calls, shop.balance(DUE), shop.balance(SALES)) == ([], 0, 0)
    unpaid = shop.runtime.ordering.create(shop.runtime.directory(), "set-menu", 2, shop.person, shop.clock())
    assert refusal(lambda: shop.buying.refund(unpaid["id"], 1, shop.clock())) == ("not_paid", 409)


# -- everything at once -----------------------------------------------------------------------------------------------


def test_R044_R047_every_order_ends_once_and_the_book_sums_to_nothing(shop, platform):
    """Nine customers, five units: some pay, some late, some never; the line loses every third word."""
    people = [shop.newcomer(f"c{n}") for n in range(9)]
    for verb in ("prepay", "query", "close", "refund", "query_refund"):
        platform.trouble(verb, "", "", "lost", "", "SYSTEM_ERROR", "")
    orders = []
    for turn in range(2):

        def buy(n, turn=turn):
            order = shop.order(1 + n % 2, person=people[n])
            if n % 3 and shop.number(order) in platform.orders:
                shop.pay_order(order)
                if n % 3 == 1:
                    shop.told(order)
            return order

        made = in_threads([lambda n=n: buy(n) for n in range(9)])
        orders += [one for one in made if one.startswith("o_")]
        shop.run(960, 30)
    shop.run(7200, 300)
    ends = [shop.state(order) for order in orders]
    assert set(ends) <= {"fulfilled", "refunded", "closed"}
    assert shop.all("SELECT number FROM purchases WHERE state IN ('new', 'announced')") == []
    assert shop.all("SELECT number FROM paybacks WHERE state <> 'done'") == []
    paid = sum(order["amount"] - order["back"] for order in platform.orders.values() if order["state"] == "paid")
    assert (shop.balance(SALES), shop.balance(DUE)) == (paid, 0)
    assert shop.all("SELECT id FROM outbox WHERE state = 'due'") == []


@pytest.mark.parametrize(("bought", "given", "threshold", "repeat", "missing"), [
    (2, 0, 3, False, 2), (0, 0, 3, False, 4), (3, 0, 3, False, 1), (4, 1, 3, False, None), (4, 1, 3, True, 3),
    (9, 0, 3, False, 1), (5, 0, 0, True, None),
])  # fmt: skip
def test_R045_how_many_are_missing_to_the_next_link(bought, given, threshold, repeat, missing):
    assert units_missing(bought, given, threshold, repeat=repeat) == missing


def test_R045_what_is_missing_is_exactly_what_earns():
    for threshold in (1, 2, 3, 7):
        for repeat in (False, True):
            for bought in range(30):
                given = links_earned(bought, threshold, repeat=repeat)
                missing = units_missing(bought, given, threshold, repeat=repeat)
                if missing is None:
                    assert links_earned(bought + 1000, threshold, repeat=repeat) == given
                else:
                    assert links_earned(bought + missing, threshold, repeat=repeat) > given
                    assert links_earned(bought + missing - 1, threshold, repeat=repeat) == given
