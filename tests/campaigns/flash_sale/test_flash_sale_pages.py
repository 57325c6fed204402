"""The sale's page in every state, buying and cancelling by plain forms, and the console's stock and journal."""

from datetime import timedelta

import pytest
import tomli_w
from flask import session

from campaigns.flash_sale import pages
from campaigns.flash_sale.kind import kind
from gateway.contract.errors import Refused, StoreBusy
from gateway.web.pages import customer
from tests.support.browsing import Browser, pages_of
from tests.support.world import BASE_URL, CATALOG, START, World

SALE = "/campaigns/flash_sale/rush"


def text_of(**settings):
    table = {"item": "latte", "total": 10, "shards": 4, "per_person": 1, "price_fen": 990, **settings}
    lines = tomli_w.dumps(table)
    return f"""{CATALOG}
[item.latte]
merchant = "hotpot"
name = "拿铁券"
value_fen = 3000
[campaign.rush]
kind = "flash_sale"
circle = "riverside"
{lines}
"""


class Guest(Browser):
    """A browser in which a person has signed in with his wallet."""

    def __init__(self, world, app, person, language="zh-CN"):
        super().__init__(app, language)
        with self.client.session_transaction(base_url=BASE_URL) as kept, app.test_request_context():
            customer.enter(person, "wechat", "riverside", world.clock())
            kept.update(session)

    def buy(self, page=None, **values):
        """Press the button; `page` is one that was loaded before."""
        page = page or self.get(SALE)
        return self.post(SALE, {**hidden(page, "once"), "move": "buy", **values})


def hidden(page, name):
    return next(form["hidden"] for form in page.forms if name in form["hidden"])


@pytest.fixture
def make(tmp_path):
    made = []

    def build(state="live", **settings):
        world = World(tmp_path / f"home{len(made)}", catalog=text_of(state=state, **settings), kinds=[kind])
        world.pages = pages_of(world)
        made.append(world)
        return world

    yield build
    for world in made:
        world.close()


def guest_of(world, openid="openid-a", language="zh-CN"):
    number = len(world.all("SELECT id FROM payments"))
    world.pay(f"T{number}", openid)
    return Guest(world, world.pages, world.person_of(f"T{number}"), language)


def live(guest):
    page = guest.get(f"{SALE}/live")
    assert page.status == 200
    return page


def step(page):
    return next(value for tag, name, value in page.attributes if name == "data-step")


def test_before_it_begins_the_page_shows_the_time_and_a_button_that_waits(make):
    world = make("scheduled", starts_at=START + timedelta(minutes=5))
    page = guest_of(world).get(SALE)
    assert (page.status, page.h1, step(page)) == (200, "秒杀 · 拿铁券", "early")
    assert "12:10 开始" in page.text
    assert "现在是" in page.text
    assert ("button", "disabled", "") in page.attributes
    assert not [form for form in page.forms if "once" in form["hidden"]]


def test_the_poll_enables_the_button_when_it_begins_and_costs_nothing_before(make):
    world = make("scheduled", starts_at=START + timedelta(minutes=5))
    guest = guest_of(world)
    first = live(guest)
    assert guest.get(f"{SALE}/live", headers={"If-None-Match": first.response.headers["ETag"]}).status == 304
    world.clock.move(minutes=5)
    now = live(guest)
    assert step(now) == "on"
    assert hidden(now, "once") == {"csrf_token": hidden(now, "once")["csrf_token"], "once": "0"}


def test_bought_by_a_plain_form_and_paid_on_the_order_s_page(make):
    world = make()
    guest = guest_of(world)
    answer = guest.buy()
    assert answer.status == 303
    page = guest.follow(answer)
    assert "抢到了" in page.text
    assert "12:20" in page.text
    order = world.one("SELECT * FROM orders WHERE campaign = 'rush'")
    assert f"/me/orders/{order['id']}" in page.links
    assert guest.get(f"/me/orders/{order['id']}").status == 200
    world.runtime.store.write(lambda tx: world.runtime.campaigns.house.mark_paid(tx, order["id"], world.clock()))
    page = guest.get(SALE)
    assert "已买到 1 件" in page.text
    assert step(page) == "limit"


def test_R179_the_same_form_sent_twice_buys_once(make):
    world = make(per_person=0)
    guest = guest_of(world)
    page = guest.get(SALE)
    assert [guest.buy(page).status for _ in range(3)] == [303, 303, 303]
    assert world.one("SELECT count(*) AS n FROM flash_sale_reservations")["n"] == 1
    assert guest.buy().status == 303
    assert world.one("SELECT count(*) AS n FROM flash_sale_reservations")["n"] == 2


def test_several_at_once_as_many_as_one_may_have(make):
    world = make(per_person=3)
    guest = guest_of(world)
    page = guest.get(SALE)
    assert ("input", "max", "3") in page.attributes
    assert guest.buy(page, quantity="4").status == 409
    assert guest.buy(page, quantity="2").status == 303
    assert ("input", "max", "1") not in guest.get(SALE).attributes
    assert world.one("SELECT amount_fen FROM orders")["amount_fen"] == 1980


@pytest.mark.parametrize(
    "values",
    [{"quantity": "0"}, {"quantity": "x"}, {"quantity": "9" * 40}, {"quantity": "１"}, {"once": "-1"}, {"once": ""}],
)
def test_forms_that_nobody_filled_in_here_are_refused(make, values):
    world = make(per_person=3)
    page = guest_of(world).buy(**values)
    assert page.status == 422
    assert "数量不对" in page.text
    assert world.all("SELECT id FROM flash_sale_reservations") == []


def test_what_is_not_wanted_goes_back_by_a_button(make):
    world = make()
    guest = guest_of(world)
    guest.buy()
    page = guest.get(SALE)
    answer = guest.post(SALE, {**hidden(page, "reservation"), "move": "cancel"})
    assert answer.status == 303
    assert step(guest.follow(answer)) == "on"
    assert world.one("SELECT state FROM flash_sale_reservations")["state"] == "cancelled"
    assert guest.post(SALE, {**hidden(page, "reservation"), "move": "cancel"}).status == 303


def test_nobody_cancels_another_one_s(make):
    world = make()
    mine, other = guest_of(world), guest_of(world, "openid-b")
    mine.buy()
    fields = hidden(mine.get(SALE), "reservation")
    token = hidden(other.get(SALE), "once")["csrf_token"]
    assert other.post(SALE, {**fields, "csrf_token": token, "move": "cancel"}).status == 404
    assert world.one("SELECT state FROM flash_sale_reservations")["state"] == "held"


def test_sold_out_limit_paused_and_over_are_said(make):
    world = make(total=1, shards=1, per_person=1)
    first, second = guest_of(world), guest_of(world, "openid-b")
    page = second.get(SALE)
    first.buy()
    late = second.buy(page)
    assert late.status == 409
    assert "抢完了" in late.text
    assert step(second.get(SALE)) == "sold_out"
    assert step(first.get(SALE)) == "limit"
    world.runtime.store.write(lambda tx: world.runtime.campaigns.move(tx, "rush", "paused", "boss", world.clock()))
    paused = second.get(SALE)
    assert (step(paused), "暂停了" in paused.text) == ("paused", True)
    assert "抢到了" in first.get(SALE).text
    world.runtime.store.write(lambda tx: world.runtime.campaigns.move(tx, "rush", "ended", "boss", world.clock()))
    over = second.get(SALE)
    assert (step(over), "已经结束" in over.text) == ("over", True)
    assert not [value for _, name, value in over.attributes if name == "data-live"]


@pytest.mark.parametrize("fault", [StoreBusy("busy"), Refused("stock_unavailable", 503)])
def test_busy_keeps_the_form_so_that_the_next_tap_cannot_buy_twice(make, monkeypatch, fault):
    world = make()
    guest = guest_of(world)
    page = guest.get(SALE)

    def busy(*_):
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(pages, "buy", busy)
        refused = guest.buy(page)
    assert refused.status == 503
    assert "人多，正在排队（不会重复下单）" in refused.text
    assert hidden(refused, "once")["once"] == hidden(page, "once")["once"]
    assert guest.buy(refused).status == 303


def test_without_a_sign_in_nothing_is_shown_or_taken(make):
    world = make()
    stranger = Browser(world.pages)
    assert stranger.get(SALE).status in {200, 303, 403}
    assert "拿铁券" not in stranger.get(SALE).text
    assert stranger.get(f"{SALE}/live").status == 404
    assert guest_of(world).get("/campaigns/flash_sale/other").status == 404
    assert world.all("SELECT id FROM flash_sale_reservations") == []


def test_a_draft_is_nobody_s_business(make):
    assert guest_of(make("draft")).get(SALE).status == 404


def test_in_english(make):
    page = guest_of(make(), language="en").get(SALE)
    assert page.h1 == "Flash sale · 拿铁券"
    assert "Get it now for" in page.text


def test_a_cost_in_fen_is_deducted_from_the_total(make):
    world = make(unit="fen", total=5000, shards=2, per_person=0)
    guest = guest_of(world)
    assert guest.buy().status == 303
    assert guest.buy().status == 303
    assert [row["units"] for row in world.all("SELECT units FROM flash_sale_reservations")] == [2010, 2010]
    assert step(guest.get(SALE)) == "sold_out"


# -- the console ------------------------------------------------------------------------------------------------------


STOCK = "/admin/campaigns/rush/stock"


def staff(world, role="operator"):
    scope = {"circle": "riverside"} if role == "operator" else {"merchant": "hotpot"}
    world.user("wang", role, **scope)
    return Browser(world.pages).sign_in("wang")


def test_the_console_shows_the_stock_and_that_it_adds_up(make):
    world = make()
    guest = guest_of(world)
    boss = staff(world)
    assert "还没有开始装载" in boss.get(STOCK).text
    guest.buy()
    page = boss.get(STOCK)
    assert (page.status, page.h1) == (200, "秒杀库存")
    assert "总量 10 = 已售 0 + 其余 10" in page.text
    assert "结果一致" in page.text
    assert "先暂停活动" in page.text
    world.runtime.store.write(lambda tx: tx.run("UPDATE flash_sale_shards SET units_left = 0 WHERE number = 1"))
    assert "对不上" in boss.get(STOCK).text


def test_R182_an_operator_splits_a_paused_sale_by_a_form(make):
    world = make()
    guest_of(world).buy()
    boss = staff(world)
    world.runtime.store.write(lambda tx: world.runtime.campaigns.move(tx, "rush", "paused", "boss", world.clock()))
    page = boss.get(STOCK)
    for values, words in (
        ({"total": "0", "shards": "4"}, "总量不能低于"),
        ({"total": "x", "shards": "4"}, "要填整数"),
        ({"total": "10", "shards": "999"}, "超出了范围"),
    ):
        refused = boss.send(page, STOCK, None, **values)
        assert refused.status in {409, 422}
        assert words in refused.text or "超出了范围" in refused.text
    answer = boss.send(page, STOCK, None, total="12", shards="3")
    assert answer.status == 303
    page = boss.follow(answer)
    assert "已重新分片" in page.text
    assert "总量 12 = 已售 0 + 其余 12" in page.text


def test_R182_a_manager_looks_and_does_not_split(make):
    world = make()
    boss = staff(world, "manager")
    page = boss.get(STOCK)
    assert page.status == 200
    assert "由商圈运营者来做" in page.text
    token = next(form["hidden"]["csrf_token"] for form in page.forms if "csrf_token" in form["hidden"])
    assert boss.post(STOCK, {"csrf_token": token, "total": "20"}).status == 403


def test_the_journal_page_by_page(make):
    world = make(total=100, shards=60)
    boss = staff(world)
    empty = boss.get("/admin/campaigns/rush/journal")
    assert "现在还没有" in empty.text
    guest_of(world).buy()
    page = boss.get("/admin/campaigns/rush/journal")
    assert "扣减" in page.text
    older = next(link for link in page.links if "before=" in link)
    assert "扣减" not in boss.get(older).text
    assert boss.get("/admin/campaigns/rush/journal?before=%00").status == 404
    assert boss.get("/admin/campaigns/rush/journal?before=%27--").status == 200
