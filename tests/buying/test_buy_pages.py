"""The pages of buying, the way the platform tells of it, and the API's refund; over a platform held in the hand."""

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.contract.ids import system_random
from gateway.intake.bucket import Buckets
from gateway.web.pages.buy import step_of
from gateway.web.paid import register_paid
from tests.buying.wepay import CHANNEL, PRICE, SHOP, Platform, Shop
from tests.support.browsing import Browser, pages_of
from tests.support.crowd import in_threads
from tests.support.invariants import broken
from tests.support.world import BASE_URL, SECRET

WECHAT = "Mozilla/5.0 (Linux; Android 10) AppleWebKit/537.36 Chrome/86.0 Mobile MicroMessenger/8.0.50"
ALIPAY = "Mozilla/5.0 (Linux; Android 10) AppleWebKit/537.36 Chrome/86.0 Mobile AlipayClient/10.5.0"


@pytest.fixture
def platform():
    return Platform()


@pytest.fixture
def shop(tmp_path, sqlite_url, platform):
    made = Shop(tmp_path, sqlite_url, platform)
    yield made
    assert made.store.read(lambda tx: broken(tx, made.clock())) == []
    made.close()


@pytest.fixture
def app(shop, tmp_path):
    made = pages_of(shop)
    shop.home.run_dir.mkdir(exist_ok=True)
    register_paid(made, shop.runtime, Buckets(shop.home.run_dir / "buckets", 5, 0.001))
    return made


class Phone(Browser):
    """A wallet's browser whose owner is `openid`; the hop is gone as a browser goes it."""

    def __init__(self, app, openid="a", agent=WECHAT, language="zh-CN"):
        super().__init__(app, language)
        self.openid = openid
        self.headers["User-Agent"] = agent

    def open(self, path):
        page = self.get(path)
        for _ in range(6):
            if page.status != 302:
                return page
            address = page.response.headers["Location"]
            parts = urlsplit(address)
            if parts.netloc == "wepay.test":
                state = parse_qs(parts.query)["state"][0]
                address = f"/wallet/back/wechat?code={self.openid}&state={state}"
            page = self.get(address)
        raise AssertionError("the hop never ends")

    def buy(self, quantity=1):
        page = self.open(f"/buy/set-menu?quantity={quantity}")
        return self.send(page, "/buy/set-menu", "/buy/set-menu")


@pytest.fixture
def phone(app):
    return Phone(app)


def order_of(page):
    assert page.status == 303, page.text
    return page.response.headers["Location"].rpartition("/")[2]


# -- an item ----------------------------------------------------------------------------------------------------------


def test_R044_the_page_of_an_item(phone):
    page = phone.open("/buy/set-menu")
    assert page.h1 == "双人套餐"
    for words in ("¥9.90", "门店价 ¥50.00", "数量", "支付 ¥9.90", "15 分钟内保留名额", "还差 4 件可得赠券"):
        assert words in page.text, words
    assert "¥29.70" in phone.get("/buy/set-menu?quantity=3").text
    assert "这一单付款后可得赠券" in phone.get("/buy/set-menu?quantity=4").text


def test_R045_the_line_is_exact(shop, phone):
    """Preset 3, bought 2: two more."""
    order = shop.order(2)
    shop.pay_order(order)
    shop.told(order)
    assert "还差 2 件可得赠券" in phone.open("/buy/set-menu").text


@pytest.mark.parametrize(("asked", "shown"), [
    ("0", 1), ("-3", 1), ("x", 1), ("", 1), ("5", 5), ("6", 5), ("99999999999999999999", 5), ("٣", 1), ("1.5", 1),
])  # fmt: skip
def test_R044_a_quantity_is_kept_within_what_there_is(phone, asked, shown):
    page = phone.open("/buy/set-menu")
    page = phone.get("/buy/set-menu", query_string={"quantity": asked})
    assert page.form("/buy/set-menu")["hidden"]["quantity"] == str(shown)


def test_R044_sold_out_and_paused_are_told_and_have_no_button(shop, phone):
    order = shop.order(5, person=shop.newcomer("b"))
    page = phone.open("/buy/set-menu")
    assert "已售完" in page.text
    assert [form for form in page.forms if form["method"] == "post"] == []
    assert shop.state(order) == "created"


def test_R043_paused_is_told(shop, phone):
    page = phone.open("/buy/set-menu")
    shop.runtime.directory().catalog.items["set-menu"] = changed(shop, paused=True)
    assert "暂停出售" in phone.open("/buy/set-menu").text
    answer = phone.send(page, "/buy/set-menu", "/buy/set-menu")
    assert (answer.status, "暂停出售" in answer.text) == (409, True)
    assert shop.all("SELECT id FROM orders") == []


def changed(shop, **parts):
    from dataclasses import replace

    return replace(shop.runtime.directory().item("set-menu"), **parts)


@pytest.mark.parametrize("item", ["nothing", "bowl-5off", "soup", "%00", "..%2Fadmin"])
def test_R044_what_is_not_for_sale_has_no_page(phone, item):
    assert phone.open(f"/buy/{item}").status == 404


def test_R044_no_wallet_no_purchase_but_a_way_to_one(app, shop):
    """A browser that is no wallet's sees where to open the page; Alipay's is told that WeChat alone is taken."""
    page = Browser(app).get("/buy/set-menu")
    assert page.h1 == "请用微信或支付宝打开"
    assert Phone(app, agent=ALIPAY).open("/buy/set-menu").h1 == "请用微信或支付宝打开"


def test_R044_the_shelf(phone, app):
    page = Browser(app).get("/buy?circle=riverside")
    assert (page.status, "双人套餐" in page.text, "糖水立减5元" in page.text) == (200, True, False)
    assert "/buy/set-menu" in page.links
    assert "现在没有可以购买的券" in Browser(app).get("/buy?circle=hillside").text
    for path in ("/buy?circle=nothing", "/buy?circle=%00"):
        assert Browser(app).get(path).status == 404
    # One circle sells, so nobody is asked which.
    assert "双人套餐" in Browser(app).get("/buy").text
    phone.open("/buy/set-menu")
    assert phone.get("/buy").status == 200


def test_R044_where_several_circles_sell_one_is_chosen(shop, app):
    sold = '[item.dumplings]\nmerchant = "noodles"\nname = "饺子"\nprice_fen = 100\n'
    wallet = '[channel.noodles-pay.wallet]\nappid = "app-hillside"\napp_secret = "s"\n'
    shop.apply(SHOP + sold + wallet)
    shop.runtime.holder.current(float("inf"))
    page = Browser(app).get("/buy")
    assert {"/buy?circle=riverside", "/buy?circle=hillside"} <= set(page.links)
    assert "饺子" in Browser(app).get("/buy?circle=hillside").text


# -- ordering ---------------------------------------------------------------------------------------------------------


def test_R044_ordering_leads_to_the_orders_page_with_the_wallets_own_bridge(shop, phone, platform):
    answer = phone.buy(2)
    order = order_of(answer)
    page = phone.get(answer.response.headers["Location"])
    assert page.h1 == "名额保留到 12:20"
    assert "¥19.80" in page.text
    (bridge,) = [value for _, name, value in page.attributes if name == "data-bridge"]
    assert json.loads(bridge) == {"package": f"prepay_id=wx{shop.number(order)}"}
    assert ("div", "data-auto", "") in page.attributes
    # Only once by itself: a reload asks for nothing.
    assert ("div", "data-auto", "") not in phone.get(f"/me/orders/{order}").attributes
    assert platform.count("prepay") == 1


def test_R044_a_double_tap_is_one_order(shop, phone, platform):
    page = phone.open("/buy/set-menu")
    first, second = (phone.send(page, "/buy/set-menu", "/buy/set-menu") for _ in range(2))
    assert order_of(first) == order_of(second)
    assert (len(shop.all("SELECT id FROM orders")), platform.count("prepay")) == (1, 1)


@pytest.mark.parametrize("values", [
    {"once": ""}, {"once": "x"}, {"once": "x" * 5000}, {"quantity": ""}, {"quantity": "-1"}, {"quantity": "1e3"},
    {"quantity": "٣"}, {"quantity": "9999"}, {"quantity": "1\x00"},
])  # fmt: skip
def test_R044_forms_that_do_not_hold(shop, phone, values):
    page = phone.open("/buy/set-menu")
    assert phone.send(page, "/buy/set-menu", "/buy/set-menu", **values).status == 400
    assert shop.all("SELECT id FROM orders") == []


@pytest.mark.parametrize("quantity", ["0", "101", "999"])
def test_R044_quantities_that_cannot_be(shop, phone, quantity):
    page = phone.open("/buy/set-menu")
    assert phone.send(page, "/buy/set-menu", "/buy/set-menu", quantity=quantity).status == 404
    assert shop.all("SELECT id FROM orders") == []


def test_R044_more_than_are_left_is_told(shop, phone):
    page = phone.open("/buy/set-menu")
    answer = phone.send(page, "/buy/set-menu", "/buy/set-menu", quantity="6")
    assert (answer.status, "刚刚售完，或剩下的不够这么多件" in answer.text) == (409, True)


def test_R044_too_many_unpaid_orders_are_listed(phone):
    orders = [order_of(phone.buy()) for _ in range(3)]
    answer = phone.buy()
    assert answer.status == 429
    assert "你有 3 笔订单还没付款" in answer.text
    assert {f"/me/orders/{order}" for order in orders} <= set(answer.links)


def test_R044_a_form_without_its_token_and_one_of_a_stranger_order_nothing(shop, app, phone):
    page = phone.open("/buy/set-menu")
    hidden = page.form("/buy/set-menu")["hidden"]
    assert phone.post("/buy/set-menu", {**hidden, "csrf_token": ""}).status == 400
    assert phone.post("/buy/set-menu", hidden, headers={"Origin": "https://evil.test"}).status == 403
    stranger = Phone(app, "a")
    stranger.get("/login")
    assert stranger.post("/buy/set-menu", hidden).status in {400, 403}
    assert shop.all("SELECT id FROM orders") == []


def test_R044_someone_never_seen_may_buy(shop, app):
    newcomer = Phone(app, "never-seen")
    order = order_of(newcomer.buy())
    assert shop.platform.orders[shop.number(order)]["said"]["openid"] == "never-seen"


def test_R044_signed_in_by_another_account_is_signed_in_once_more_and_never_in_a_circle(shop, app):
    """Known to the circle by the noodles' app; the sweets are paid by theirs."""
    guest = Phone(app, "a")
    shop.pay("other-app", "z", channel="noodles-pay")
    with guest.client.session_transaction(base_url=BASE_URL) as kept:
        kept["wallet"] = {
            "person": shop.person_of("other-app"), "platform": "wechat", "circle": "riverside",
            "until": "2030-01-01T00:00:00.000Z", "channel": CHANNEL,
        }  # fmt: skip
    page = guest.open("/buy/set-menu")
    assert "支付 ¥9.90" in page.text
    assert order_of(guest.send(page, "/buy/set-menu", "/buy/set-menu"))


# -- an order's page --------------------------------------------------------------------------------------------------


def states(phone, order):
    return phone.get(f"/me/orders/{order}").h1, phone.get(f"/me/orders/{order}/live").status


def test_R044_each_state_has_its_own_words(shop, phone, platform):
    platform.trouble("prepay", "lost")
    order = order_of(phone.buy())
    page = phone.get(f"/me/orders/{order}")
    assert "正在联系钱包，请稍候…" in page.text
    assert "data-bridge" not in page.html
    shop.run(5)
    assert "data-bridge" in phone.get(f"/me/orders/{order}").html
    shop.pay_order(order)
    shop.told(order)
    page = phone.get(f"/me/orders/{order}")
    assert page.h1 == "✓ 购买成功，券已放入券包"
    assert "/me" in page.links
    assert "data-live" not in page.html


def test_R044_unpaid_is_closed_in_words(shop, phone, platform):
    order = order_of(phone.buy())
    platform.trouble("close", "SYSTEM_ERROR")
    shop.run(900, 60)
    assert phone.get(f"/me/orders/{order}").h1 == "正在确认这笔订单有没有付款…"
    shop.run(60, 60)
    page = phone.get(f"/me/orders/{order}")
    assert page.h1 == "未付款，已取消"
    assert "/buy/set-menu" in page.links


def test_R044_declined_can_be_tried_again(shop, phone, platform):
    platform.trouble("prepay", "F_NO_AUTH")
    order = order_of(phone.buy())
    page = phone.get(f"/me/orders/{order}")
    assert page.h1 == "钱包没有接受这笔订单"
    assert "F_NO_AUTH" not in page.html
    answer = phone.send(page, "", f"/me/orders/{order}/pay")
    assert answer.response.headers["Location"] == f"/me/orders/{order}"
    assert "data-bridge" in phone.get(f"/me/orders/{order}").html


def test_R047_late_is_said_to_be_back_only_when_it_is(shop, phone, platform):
    order = order_of(phone.buy(5))
    shop.run(900, 60)
    other = shop.order(5, person=shop.newcomer("b"))
    shop.pay_order(other)
    shop.told(other)
    platform.orders[shop.number(order)]["state"] = "unpaid"
    platform.refund_state = "pending"
    shop.pay_order(order)
    shop.told(order)
    shop.work()
    assert phone.get(f"/me/orders/{order}").h1 == "付款到账时已无库存，¥49.50 正在原路退回"
    next(iter(platform.refunds.values()))["state"] = "done"
    shop.run(120, 30)
    assert phone.get(f"/me/orders/{order}").h1 == "付款到账时已无库存，¥49.50 已原路退回"
    english = Phone(phone.client.application, language="en")
    assert english.open(f"/me/orders/{order}").h1 == "Stock was gone when payment arrived; ¥49.50 was returned"


def test_R045_the_link_that_was_earned_is_shown(shop, phone):
    order = order_of(phone.buy(4))
    shop.pay_order(order)
    shop.told(order)
    page = phone.get(f"/me/orders/{order}")
    assert "去领取" in page.text
    (link,) = [one for one in page.links if one.startswith("/me/links/")]
    token = shop.runtime.link_keys.token(shop.links()[-1]["id"])
    assert token not in page.html
    assert phone.follow(phone.get(link)).status == 200


def test_R044_the_live_part_costs_nothing_while_nothing_moves(shop, phone):
    order = order_of(phone.buy())
    first = phone.get(f"/me/orders/{order}/live")
    tag = first.response.headers["ETag"]
    assert 'data-step="pay"' in first.html
    again = phone.get(f"/me/orders/{order}/live", headers={"If-None-Match": tag})
    assert (again.status, again.html) == (304, "")
    shop.pay_order(order)
    shop.told(order)
    assert 'data-step="fulfilled"' in phone.get(f"/me/orders/{order}/live", headers={"If-None-Match": tag}).html


def test_R056_others_orders_are_not_there(shop, app, phone):
    order = order_of(phone.buy())
    other = Phone(app, "b")
    assert other.open(f"/me/orders/{order}").status == 404
    assert other.open(f"/me/orders/{order}/live").status == 404
    assert other.open("/me/orders/o_nothing").status == 404
    mine = phone.open("/buy/set-menu").form("/buy/set-menu")["hidden"]["csrf_token"]
    theirs = other.open("/buy/set-menu").form("/buy/set-menu")["hidden"]["csrf_token"]
    assert mine != theirs
    assert other.post(f"/me/orders/{order}/pay", {"csrf_token": theirs}).status == 404
    nobody = Browser(app)
    assert nobody.get(f"/me/orders/{order}/live").status == 401


def test_R044_the_list_of_orders(shop, phone):
    page = phone.open("/me/orders")
    assert "还没有订单" in page.text
    made = []
    for _ in range(23):
        made.append(shop.order())
        shop.clock.move(seconds=1)
        shop.buying.lapse(shop.number(made[-1]), shop.clock())
    page = phone.get("/me/orders")
    assert "未付款，已取消" in page.text
    assert next(link for link in page.links if link.startswith("/me/orders/o_")) == f"/me/orders/{made[-1]}"
    (older,) = [link for link in page.links if "before=" in link]
    rest = phone.get(older)
    assert len([link for link in rest.links if link.startswith("/me/orders/o_")]) == 3
    assert "没有更早的订单了" in phone.get("/me/orders?before=o_0").text
    assert phone.get("/me/orders", query_string={"before": "\x00"}).status == 404


def test_no_page_tells_who_pays_or_breaks_the_policy(shop, phone):
    answer = phone.buy()
    order = order_of(answer)
    for path in ("/buy/set-menu", f"/me/orders/{order}", "/me/orders", "/buy?circle=riverside"):
        page = phone.get(path)
        assert page.status == 200
        assert shop.person not in page.html
        assert re.search(r"\bapp-riverside\b|openid", page.html) is None
        assert not [name for _, name, _ in page.attributes if name == "style" or name.startswith("on")], path
        assert sum(tag == "h1" for tag, _, _ in page.attributes) <= 1
        assert "unsafe" not in page.response.headers["Content-Security-Policy"]


@pytest.mark.parametrize(("order", "bought", "over", "step"), [
    ({"state": "created"}, None, False, "unasked"),
    ({"state": "created"}, None, True, "closing"),
    ({"state": "created"}, {"state": "new"}, False, "new"),
    ({"state": "created"}, {"state": "announced"}, False, "pay"),
    ({"state": "created"}, {"state": "announced"}, True, "closing"),
    ({"state": "created"}, {"state": "failed"}, False, "declined"),
    ({"state": "created"}, {"state": "failed"}, True, "closing"),
    ({"state": "closed"}, {"state": "closed"}, True, "closed"),
    ({"state": "refunded", "closed_reason": None}, {"state": "paid"}, True, "refunded"),
])  # fmt: skip
def test_where_an_order_stands(order, bought, over, step):
    assert step_of(order, bought, [], is_over=over) == step


# -- the platform tells -----------------------------------------------------------------------------------------------


def tell(app, raw, channel=CHANNEL):
    return app.test_client().post(f"/paid/{channel}", data=raw.body, headers=dict(raw.headers), base_url=BASE_URL)


def test_R044_a_notification_is_answered_in_the_platforms_words_and_fulfils(shop, app):
    order = shop.order()
    shop.pay_order(order)
    answers = in_threads([lambda: tell(app, shop.raw(order)) for _ in range(6)])
    assert {(answer.status_code, answer.data) for answer in answers} == {(200, b"accepted")}
    assert (shop.state(order), shop.balance("merchant:sweets:sales:cash")) == ("fulfilled", PRICE)
    assert shop.all("SELECT id FROM deliveries WHERE payment IS NOT NULL AND channel <> 'sweets-pay'") == []


def test_R044_a_bad_signature_is_refused_and_kept_under_a_quota(shop, app):
    order = shop.order()
    before = len(shop.all("SELECT id FROM deliveries"))
    answers = [tell(app, shop.raw(order, secret="wrong")).status_code for _ in range(8)]
    assert answers == [401] * 5 + [429] * 3
    kept = shop.all("SELECT outcome, reason FROM deliveries ORDER BY id")[before:]
    assert [(row["outcome"], row["reason"]) for row in kept] == [("refused", "bad_signature")] * 5
    assert shop.state(order) == "created"


def test_R044_what_is_signed_is_not_counted(shop, app):
    order = shop.order()
    assert [tell(app, shop.raw(order)).status_code for _ in range(9)] == [200] * 9


@pytest.mark.parametrize(("said", "incident"), [
    ({"amount_fen": 1}, "order_amount_differs"), ({"out_trade_no": "DGnothing"}, "unknown_order"),
    ({"event": "closed"}, None),
])  # fmt: skip
def test_R044_what_does_not_fit_is_acknowledged_and_told_to_an_operator(shop, app, said, incident):
    order = shop.order()
    assert tell(app, shop.raw(order, **said)).status_code == 200
    assert shop.state(order) == "created"
    assert shop.incidents() == ({incident} if incident else set())


def test_R044_bodies_out_of_bounds_other_methods_and_unknown_channels(shop, app):
    client = app.test_client()
    assert client.post(f"/paid/{CHANNEL}", data=b"x" * 65_537, base_url=BASE_URL).status_code == 413
    assert client.get(f"/paid/{CHANNEL}", base_url=BASE_URL).status_code == 405
    assert client.post("/paid/nothing", data=b"{}", base_url=BASE_URL).status_code == 404
    assert client.post(f"/paid/{CHANNEL}", data=b"", base_url=BASE_URL).status_code == 401


def test_random_bytes_never_come_to_more_than_a_refusal(shop, app):
    for size in (1, 17, 300, 60_000):
        raw = shop.raw(shop.order(form=f"{size}", person=shop.newcomer(f"n{size}")))
        answer = app.test_client().post(
            f"/paid/{CHANNEL}", data=system_random(size), headers=dict(raw.headers), base_url=BASE_URL
        )
        assert answer.status_code in {401, 429}


def test_R044_a_store_that_is_away_makes_the_platform_send_again(shop, app, monkeypatch):
    from gateway.contract.errors import StoreUnavailable

    order = shop.order()
    shop.pay_order(order)

    def away(*_args, **_more):
        raise StoreUnavailable("gone")

    raw = shop.raw(order)
    with monkeypatch.context() as broken_store:
        broken_store.setattr(type(shop.store), "read", away)
        broken_store.setattr(type(shop.store), "write", away)
        assert tell(app, raw).status_code == 503
    assert tell(app, shop.raw(order)).status_code == 200
    assert shop.state(order) == "fulfilled"


# -- the API ----------------------------------------------------------------------------------------------------------


def test_R061_the_api_gives_units_back_through_the_wallet(shop, app, platform):
    order = shop.order(2)
    shop.pay_order(order)
    shop.told(order)
    token = shop.token("manager", merchant="sweets")
    answer = app.test_client().post(
        f"/api/v1/orders/{order}/refund",
        json={"quantity": 1},
        headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "k1"},
        base_url=BASE_URL,
    )
    assert (answer.status_code, answer.json["state"]) == (200, "fulfilled")
    assert shop.balance("merchant:sweets:refunds_due:cash") == PRICE
    shop.work()
    assert [refund["said"]["fen"] for refund in platform.refunds.values()] == [PRICE]
    assert shop.balance("merchant:sweets:refunds_due:cash") == 0


def test_the_shop_of_these_tests_is_what_it_says():
    assert SECRET in SHOP
    assert "bought_threshold = 3" in SHOP
