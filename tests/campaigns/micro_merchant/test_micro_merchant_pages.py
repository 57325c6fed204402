"""What micro-merchants, buyers and staff see: forms, states, the neutral answer, second approval."""

from __future__ import annotations

import re

import pytest
from flask import session
from micro_town import BANK, Town

from gateway.web.pages import customer
from tests.support.browsing import Browser, pages_of
from tests.support.world import BASE_URL

APPLY, ME, PAYOUT, SHOP = (f"/campaigns/micro_merchant/{page}" for page in ("apply", "me", "payout", "shop/helpers"))
QUERY = "?campaign=helpers"


class Place:
    """A town with its pages."""

    def __init__(self, root, **terms):
        self.town = Town(root, **terms)
        self.app = pages_of(self.town.world)

    def phone(self, openid="", language="zh-CN"):
        """A customer's browser, signed in where `openid` has paid once."""
        browser = Browser(self.app, language)
        if openid:
            number = len(self.town.world.all("SELECT id FROM payments"))
            self.town.world.pay(f"T{number}", openid)
            browser.person = self.town.world.person_of(f"T{number}")
            self.enter(browser)
        return browser

    def enter(self, browser):
        """What the wallet's sign-in leaves behind; it ends after a while."""
        with browser.client.session_transaction(base_url=BASE_URL) as kept, self.app.test_request_context():
            customer.enter(browser.person, "wechat", "riverside", self.town.clock())
            kept.update(session)

    def staff(self, name, role, **scope):
        self.town.world.user(name, role, **scope)
        return Browser(self.app).sign_in(name)

    def applied(self, phone, wechat_id="wx_zhou_1", **more):
        page = phone.get(APPLY + QUERY)
        return phone.send(page, APPLY + QUERY, APPLY + QUERY, wechat_id=wechat_id, **more)

    def member(self, phone, **more):
        """The phone's owner becomes a micro-merchant; (id, code)."""
        assert self.applied(phone, bank_account=BANK, bank_name="户主", **more).status == 303
        id_ = self.town.world.all("SELECT id FROM micro_merchant_members ORDER BY id")[-1]["id"]
        return id_, self.town.post(f"/micro-merchants/{id_}/approve", role="operator", wants=200).json["code"]


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path, ask_referrer="true")
    yield made
    made.town.world.close()


# -- applying ---------------------------------------------------------------------------------------------------------


def test_R101_who_is_not_signed_in_goes_to_his_wallet_first(place):
    for path, title in ((APPLY, "申请成为微商"), (ME, "我的奖励"), (PAYOUT, "提现")):
        page = place.phone().get(path + QUERY)
        assert page.h1 != title
        assert "wechat_id" not in page.html


def test_R101_the_form_the_review_and_the_code(place):
    phone = place.phone("openid-a")
    page = phone.get(APPLY + QUERY)
    assert page.h1 == "申请成为微商"
    assert phone.follow(place.applied(phone)).text.count("等待审核") == 1
    id_ = place.town.world.one("SELECT id FROM micro_merchant_members")["id"]
    code = place.town.post(f"/micro-merchants/{id_}/approve", role="operator", wants=200).json["code"]
    mine = phone.follow(phone.get(APPLY + QUERY))
    assert mine.h1 == "我的奖励"
    assert f"{code[:4]}-{code[4:8]}-{code[8:12]}-{code[12:]}" in mine.text
    assert f"{BASE_URL}{SHOP}/{code}" in mine.html


def test_R101_a_rejected_one_reads_why_and_applies_again(place):
    phone = place.phone("openid-a")
    place.applied(phone)
    id_ = place.town.world.one("SELECT id FROM micro_merchant_members")["id"]
    place.town.post(f"/micro-merchants/{id_}/reject", {"reason": "<b>看不清</b>"}, role="operator", wants=200)
    page = phone.get(APPLY + QUERY)
    assert "<b>看不清</b>" in page.text
    assert "<b>看不清</b>" not in page.html
    assert phone.follow(place.applied(phone)).text.count("等待审核") == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"wechat_id": ""}, "请填写微信号"),
        ({"wechat_id": "老陈"}, "请填写微信号"),
        ({"wechat_id": "wx_zhou_1", "bank_account": "12"}, "请填写银行卡号"),
        ({"wechat_id": "wx_zhou_1", "bank_account": BANK, "bank_name": "x" * 61}, "户名最多"),
    ],
)
def test_R102_a_form_with_faults_says_so_and_keeps_what_was_typed(place, values, words):
    phone = place.phone("openid-a")
    page = place.applied(phone, **values)
    assert page.status == 422
    assert words in page.text
    assert "有误：" in re.search("<title>(.*?)</title>", page.html, re.DOTALL)[1]
    assert page.form(APPLY + QUERY)["inputs"]["wechat_id"] == values["wechat_id"]
    assert page.form(APPLY + QUERY)["inputs"]["bank_account"] == ""


def test_R102_a_wechat_id_of_another_is_refused_on_the_page(place):
    place.town.applied("wx_zhou_1")
    page = place.applied(place.phone("openid-a"))
    assert page.status == 409
    assert "已经登记过" in page.text


def test_pages_speak_english_whole(place):
    phone = place.phone("openid-a", language="en")
    place.member(phone)
    shop = place.phone(language="en").get(SHOP)
    for page in (phone.get(ME + QUERY), phone.get(PAYOUT + QUERY), shop):
        assert page.status == 200
        words = re.sub("滨江商圈|老王火锅|中文|甜甜糖水", "", page.text)
        assert re.findall("[一-鿿]+", words) == []


# -- balances and payouts ---------------------------------------------------------------------------------------------


def test_R112_balances_and_their_book(place):
    phone = place.phone("openid-a")
    id_, code = place.member(phone)
    empty = phone.get(ME + QUERY)
    assert "¥0.00" in empty.text
    assert "还没有明细" in empty.text
    place.town.bought(10_000, code=code)
    place.town.rewarded(900, code)
    place.enter(phone)
    page = phone.get(ME + QUERY)
    assert "¥9.00" in page.text
    assert "待确认 ¥4.50" in page.text
    assert "推荐奖励" in page.text
    assert id_ not in page.html
    image, headers = phone.file(f"/campaigns/micro_merchant/me/code.png{QUERY}")
    assert headers["Content-Type"] == "image/png"
    assert image.startswith(b"\x89PNG")
    assert place.phone("openid-b").get(f"/campaigns/micro_merchant/me/code.png{QUERY}").status == 404
    assert place.phone().get(f"/campaigns/micro_merchant/me/code.png{QUERY}").status == 404


def test_R112_a_counted_coupon_becomes_a_real_one(tmp_path):
    place = Place(tmp_path, credit='["coupons"]', coupon_item='"soup"', refund_days=0)
    phone = place.phone("openid-a")
    id_, code = place.member(phone)
    place.town.completed(10_000, code=code)
    page = phone.get(ME + QUERY)
    done = phone.follow(phone.send(page, ME + QUERY, ME + QUERY))
    assert "已放入你的券包" in done.text
    assert place.town.world.one("SELECT item, state FROM coupons")["item"] == "soup"
    assert place.town.balance(id_)["coupons"] == 0
    assert phone.post(ME + QUERY, page.form(ME + QUERY)["hidden"]).status == 409
    assert len(place.town.world.all("SELECT * FROM coupons")) == 1
    assert place.town.faults() == []
    place.town.world.close()


def _payout_form(page, action):
    return next(form for form in page.forms if form["hidden"].get("action") == action)


def test_R113_asking_for_a_payout_and_its_states(place):
    phone = place.phone("openid-a")
    id_, code = place.member(phone)
    place.town.rewarded(900, code)
    place.enter(phone)
    page = phone.get(PAYOUT + QUERY)
    assert "可提现 ¥9.00" in page.text
    hidden = _payout_form(page, "payout")["hidden"]
    for wrong, words in (("", "请填写金额"), ("1e2", "请填写金额"), ("0", "每次至少"), ("9.01", "余额不足")):
        answer = phone.post(PAYOUT + QUERY, {**hidden, "amount": wrong})
        assert answer.status in {409, 422}
        assert words in answer.text
    first = phone.post(PAYOUT + QUERY, {**hidden, "amount": "4.00"})
    assert first.status == 303
    assert "处理中，勿重复提交" in phone.follow(first).text
    again = phone.post(PAYOUT + QUERY, {**hidden, "amount": "4.00"})
    assert again.status in {303, 409}
    payout = place.town.get(f"/micro-merchants/{id_}/payouts")["items"]
    assert len(payout) == 1
    assert place.town.balance(id_)["cash_fen"] == 500
    place.town.post(f"/payouts/{payout[0]['payout']}/settled", wants=200)
    page = phone.get(PAYOUT + QUERY)
    assert "已到账" in page.text
    assert BANK not in page.html
    assert "3445" in page.text


def test_R115_another_bank_account_locks_payouts_and_says_until_when(place):
    phone = place.phone("openid-a")
    _, code = place.member(phone)
    place.town.rewarded(900, code)
    place.enter(phone)
    page = phone.get(PAYOUT + QUERY)
    hidden = _payout_form(page, "bank")["hidden"]
    missing = phone.post(PAYOUT + QUERY, {**hidden, "bank_account": BANK})
    assert (missing.status, "请填写户名" in missing.text) == (422, True)
    done = phone.post(PAYOUT + QUERY, {**hidden, "bank_account": "6217000123456789", "bank_name": "户主"})
    page = phone.follow(done)
    assert "24 小时内不能提现" in page.text
    assert "6789" in page.text
    assert [form["hidden"].get("action") for form in page.forms if form["method"] == "post"] == ["bank"]


def test_a_form_without_its_token_changes_nothing(place):
    phone = place.phone("openid-a")
    phone.get(APPLY + QUERY)
    assert phone.post(APPLY + QUERY, {"wechat_id": "wx_zhou_1"}).status in {400, 403}
    assert place.town.world.all("SELECT id FROM micro_merchant_members") == []


# -- the shop ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def store_front(tmp_path):
    made = Place(tmp_path, ask_referrer="true", items='["set-menu"]', shop_url='"https://shop.example.com/?a=1"')
    yield made
    made.town.world.close()


@pytest.fixture(autouse=True)
def _set_menu_is_the_hotpots(monkeypatch):
    """The town's only item with a price is another merchant's; here it is the campaign's own."""
    monkeypatch.setattr("micro_town.CATALOG", _HOTPOTS)


def _hotpots():
    from micro_town import CATALOG

    head, tail = CATALOG.split("[item.set-menu]\n")
    return f"{head}[item.set-menu]\n{tail.replace('sweets', 'hotpot', 1)}"


_HOTPOTS = _hotpots()


@pytest.mark.parametrize("way", ["{shop}/{code}", "{shop}?code={code}", "{shop}/{lower}"])
def test_R104_R105_a_code_in_the_path_or_the_query_brings_the_price_and_is_kept_for_a_week(store_front, way):
    _, code = store_front.town.member()
    phone = store_front.phone()
    before = phone.get(SHOP)
    assert "¥9.90" in before.text
    assert "¥8.91" not in before.text
    page = phone.get(way.format(shop=SHOP, code=code, lower=code.lower()))
    assert "¥8.91" in page.text
    assert "有人推荐你来吗" not in page.text
    assert f"https://shop.example.com/?a=1&amp;code={code}" in page.html
    assert "¥8.91" in phone.get(SHOP).text
    store_front.town.clock.move(days=6, hours=23)
    assert "¥8.91" in phone.get(SHOP).text
    store_front.town.clock.move(hours=1)
    assert "¥8.91" not in phone.get(SHOP).text


def test_R103_a_wrong_code_in_a_link_is_no_code_and_takes_no_kept_one_away(store_front):
    _, code = store_front.town.member()
    phone = store_front.phone()
    plain = phone.get(SHOP)
    for _ in range(7):
        page = phone.get(f"{SHOP}/MMNOBODY23456")
        assert page.status == 200
        assert (
            re.sub("csrf_token.*?>", "", page.html) == re.sub("csrf_token.*?>", "", plain.html) or "¥9.90" in page.text
        )
    fresh = store_front.phone()
    fresh.get(f"{SHOP}/{code}")
    assert "¥8.91" in fresh.get(f"{SHOP}/MMNOBODY23456").text


@pytest.mark.parametrize(("typed", "price"), [("WX_Helper_A", "¥8.91"), ("wx_nobody_1", "¥9.90"), ("老陈", "¥9.90")])
def test_R107_R108_the_answer_to_the_question_is_always_the_neutral_one(store_front, typed, price):
    store_front.town.member("wx_helper_a")
    phone = store_front.phone()
    page = phone.get(SHOP)
    assert "有人推荐你来吗？" in page.text
    noted = phone.follow(phone.send(page, SHOP, SHOP, wechat_id=typed))
    assert "已记录" in noted.text
    assert "有人推荐你来吗" not in noted.text
    assert price in noted.text
    assert typed not in noted.html
    # Looked at again, what was typed is no further try.
    for _ in range(6):
        assert price in phone.get(SHOP).text


def test_R107_no_is_noted_and_keeps_the_price(store_front):
    phone = store_front.phone()
    form = next(form for form in phone.get(SHOP).forms if form["hidden"].get("answer") == "no")
    page = phone.follow(phone.post(SHOP, form["hidden"]))
    assert "已记录" in page.text
    assert "¥9.90" in page.text


def test_R107_nothing_typed_is_a_fault_that_says_what_to_do(store_front):
    phone = store_front.phone()
    page = phone.send(phone.get(SHOP), SHOP, SHOP, wechat_id="  ")
    assert page.status == 422
    assert "请填写微信号，或选“没有”" in page.text


def test_R108_five_wrong_names_a_browser_and_then_wait(store_front):
    store_front.town.member("wx_helper_a")
    phone = store_front.phone()
    hidden = phone.get(SHOP).form(SHOP)["hidden"]
    for number in range(5):
        assert phone.post(SHOP, {**hidden, "wechat_id": f"wx_nobody_{number}"}).status == 303
    for typed in ("wx_nobody_9", "wx_helper_a"):
        assert phone.post(SHOP, {**hidden, "wechat_id": typed}).status == 429
    assert "¥9.90" in phone.get(SHOP).text


def test_R108_one_address_has_so_many_wrong_names_whatever_browser_it_uses(store_front):
    phones = [store_front.phone() for _ in range(7)]
    statuses = []
    for phone in phones:
        hidden = phone.get(SHOP).form(SHOP)["hidden"]
        statuses += [phone.post(SHOP, {**hidden, "wechat_id": f"wx_no_{n}"}).status for n in range(5)]
    assert statuses == [303] * 30 + [429] * 5


def test_R075_a_campaign_that_rests_says_so_and_one_that_is_not_there_is_404(store_front):
    store_front.town.post("/state", {"to": "paused"}, role="operator", wants=200)
    page = store_front.phone().get(SHOP)
    assert (page.status, "活动没有在进行" in page.text) == (410, True)
    assert store_front.phone().get("/campaigns/micro_merchant/shop/nothing").status == 404


# -- the console ------------------------------------------------------------------------------------------------------

CONSOLE = "/admin/campaigns/helpers"


def test_R101_an_operator_reviews_in_the_console(place):
    place.applied(place.phone("openid-a"))
    desk = place.staff("operator", "operator")
    page = desk.get(f"{CONSOLE}/members")
    assert page.status == 200
    assert "待审核" in page.text
    id_ = place.town.world.one("SELECT id FROM micro_merchant_members")["id"]
    one = f"{CONSOLE}/members/{id_}"
    page = desk.get(one)
    assert "wx_zhou_1" in page.text
    token = page.form()["hidden"]
    refused = desk.post(one, {**token, "action": "reject", "reason": ""})
    assert (refused.status, "请写明原因" in refused.text) == (422, True)
    assert desk.post(one, {**token, "action": "approve"}).status == 303
    assert "已通过" in desk.get(one).text
    assert desk.post(one, {**token, "action": "reject", "reason": "晚了"}).status == 409
    assert desk.post(one, {**token, "action": "burn"}).status == 422
    assert desk.post(one, {**token, "action": "suspend", "reason": "查"}).status == 303
    assert desk.post(one, {**token, "action": "close", "reason": "离开"}).status == 303
    assert place.town.get(f"/micro-merchants/{id_}")["state"] == "closed"


def test_R072_a_manager_sees_purchases_and_rewards_and_no_records(place):
    _, code = place.town.member()
    place.town.bought(10_000, code=code, openid="openid-b", channel="hotpot-pay")
    desk = place.staff("manager", "manager", merchant="hotpot")
    orders = desk.get(f"{CONSOLE}/orders")
    assert (orders.status, "¥90.00" in orders.text) == (200, True)
    assert "openid-b" not in orders.html
    rewards = desk.get(f"{CONSOLE}/rewards")
    assert (rewards.status, "¥4.50" in rewards.text) == (200, True)
    for path in ("members", "members/mm_nobody", "payouts"):
        assert desk.get(f"{CONSOLE}/{path}").status in {403, 404}


def test_R115_a_large_payout_waits_for_a_second_member_of_staff(tmp_path):
    place = Place(tmp_path, four_eyes_fen=500)
    id_, code = place.town.member(bank_account=BANK)
    place.town.rewarded(900, code)
    place.town.post(f"/micro-merchants/{id_}/payouts", {"amount_fen": 800}, wants=201)
    desk = place.staff("operator", "operator")
    page = desk.get(f"{CONSOLE}/payouts")
    assert "等待复核" in page.text
    hidden = page.form(f"{CONSOLE}/payouts")["hidden"]
    assert desk.post(f"{CONSOLE}/payouts", hidden).status == 303
    again = desk.post(f"{CONSOLE}/payouts", hidden)
    assert (again.status, "已不在等待复核" in again.text) == (409, True)
    assert place.town.get(f"/micro-merchants/{id_}/payouts")["items"][0]["reason"] == ""
    place.town.world.close()


@pytest.mark.parametrize("path", ["members", "orders", "rewards", "payouts"])
def test_empty_lists_say_what_will_stand_there(place, path):
    page = place.staff("operator", "operator").get(f"{CONSOLE}/{path}")
    assert page.status == 200
    assert "会列在这里" in page.text or "记在这里" in page.text
    assert page.html.count("<h1") == 1
    assert "style=" not in page.html
