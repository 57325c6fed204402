"""`/till/<shop>/clerk`: the last payments with their gifts, and every button of it as a plain form (R260)."""

import pytest

from gateway.delivery import showings
from tests.showing.conftest import settled
from tests.support.browsing import Browser, link_token, pages_of

VIEW = "/till/hotpot-1/clerk"


def tell(clerk, **what):
    answer = clerk.send(clerk.get(VIEW), VIEW, VIEW, **what)
    return answer


def newest(world) -> str:
    return str(world.links()[-1]["id"])


def test_R260_the_last_payments_masked_with_their_gifts_in_the_exact_words(world, clerk):
    world.pay("NO-77", "openid-z", amount_fen=99)
    link_token(world, "openid-a", amount_fen=2600)
    page = clerk.get(VIEW)
    assert page.h1 == "收银 · 老王火锅 · 滨江一店"
    assert "自动显示 开" in page.text
    assert "屏幕 ○ 未连接" in page.text
    rows = page.text.partition("操作 ")[2]
    assert rows.startswith("12:05 ¥26.00 plainpay 有券 ◄ 正在显示 12:05 ¥26.00 plainpay 无：首次到店 为什么")
    assert "¥0.99 plainpay 无：低于 ¥1.00" in rows
    for private in ("openid", world.person_of("NO-77"), "NO-77", world.runtime.link_keys.token(newest(world))):
        assert private not in page.html


def test_R260_the_words_in_english(world, app):
    world.user("lin", "clerk", merchant="hotpot")
    lin = Browser(app, "en").sign_in("lin")
    world.pay("NO-77", "openid-z", amount_fen=99)
    link_token(world, "openid-a", amount_fen=2600)
    world.clock.move(seconds=61)
    text = lin.get(VIEW).text
    for words in ("None: first visit", "None: below ¥1.00", "Hide", "Missing? Use shop QR", "Show", "Print", "Last 20"):
        assert words in text, words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE links SET state = 'opened'", "有券 · 已在手机上打开"),
        ("UPDATE links SET state = 'claimed'", "已领取"),
        ("UPDATE links SET state = 'expired'", "已过期"),
        ("UPDATE links SET state = 'revoked', closed_reason = 'refunded'", "付款已退款"),
        ("UPDATE links SET state = 'revoked', closed_reason = 'staff'", "已作废"),
        ("UPDATE links SET state = 'superseded'", "已作废"),
        ("UPDATE links SET expires_at = '2026-01-01T00:00:00.000Z'", "已过期"),
    ],
)
def test_R260_every_state_of_a_link_in_words(world, clerk, change, words):
    link_token(world, "openid-a")
    world.store.write(lambda tx: tx.run(change))
    row = clerk.get(VIEW).text.partition("操作 ")[2]
    assert f"plainpay {words}" in row


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("no_inventory", "无：没有可发的物品"),
        ("opted_out", "无：客人已退出"),
        ("untaggable", "无：认不出付款账号"),
        ("budget", "无：预算已用完"),
        ("limit_day", "无：已到次数上限"),
        ("limit_week", "无：已到次数上限"),
        ("limit_total", "无：已到次数上限"),
        ("refunded", "无：已退款"),
        ("a_campaigns_own", "无 为什么 a_campaigns_own"),
    ],
)
def test_R260_every_reason_for_none_in_words(world, clerk, reason, words):
    world.pay("T0", "openid-z")
    told = f'[{{"rule": "tag", "outcome": "skipped", "reason": "{reason}"}}]'
    world.store.write(lambda tx: tx.run("UPDATE payments SET decisions = :told", {"told": told}))
    assert words in clerk.get(VIEW).text


def test_R260_twenty_and_no_more_and_only_this_shops(world, clerk):
    for number in range(25):
        world.pay(f"T{number}", f"openid-{number}", amount_fen=1000 + number)
    world.pay("S", "openid-s", channel="sweets-pay", amount_fen=7777)
    text = clerk.get(VIEW).text
    assert text.count("plainpay") == 20
    assert "¥10.24" in text
    assert "¥10.04" not in text
    assert "¥77.77" not in text


def test_R260_an_empty_day_says_what_will_be_here(world, clerk):
    assert "今天还没有付款" in clerk.get(VIEW).text


def test_R260_show_print_and_hide(world, app, clerk):
    link_token(world, "openid-a", amount_fen=2600)
    world.clock.move(minutes=5)
    screen = Browser(app).sign_in("lin")
    assert screen.get("/till/hotpot-1").h1 == "欢迎光临"
    assert tell(clerk, show=newest(world)).response.headers["Location"] == VIEW
    assert "¥26.00" in screen.get("/till/hotpot-1").text
    assert "60 秒后关闭" in screen.get("/till/hotpot-1").text
    assert "正在显示" in clerk.get(VIEW).text
    assert tell(clerk, hide="1").status == 303
    assert screen.get("/till/hotpot-1").h1 == "欢迎光临"
    assert "正在显示" not in clerk.get(VIEW).text


def test_R260_automatic_on_and_off(world, clerk):
    link_token(world, "openid-a")
    assert "谢谢惠顾" in clerk.get("/till/hotpot-1").text
    tell(clerk, auto="off")
    assert "自动显示 关" in clerk.get(VIEW).text
    assert clerk.get("/till/hotpot-1").h1 == "欢迎光临"
    tell(clerk, auto="on")
    assert "谢谢惠顾" in clerk.get("/till/hotpot-1").text


def test_R261_the_shops_own_code_for_payments_without_a_notification(world, clerk):
    tell(clerk, show="shop")
    page = clerk.get("/till/hotpot-1")
    assert page.h1 == "扫码看你的券"
    assert clerk.file("/till/hotpot-1/qr/shop.png")[0].startswith(b"\x89PNG")
    assert "屏幕正在显示店铺码" in clerk.get(VIEW).text
    world.clock.move(seconds=60)
    assert clerk.get("/till/hotpot-1/qr/shop.png").status == 404
    assert clerk.get("/till/hotpot-1/clerk/print/shop").h1 == "老王火锅"


def test_R260_two_at_once_is_told_and_settled_by_a_pick(world, clerk):
    for who in ("openid-a", "openid-b"):
        world.pay(f"first-{who}", who)
    world.pay("A", "openid-a", amount_fen=1100)
    first = newest(world)
    world.pay("B", "openid-b", amount_fen=2200)
    assert "10 秒内有两笔有券的付款，屏幕不自动显示。请按金额和时间点选。" in clerk.get(VIEW).text
    tell(clerk, show=first)
    assert "¥11.00" in clerk.get("/till/hotpot-1").text


def test_R260_a_picked_link_that_is_withdrawn_goes_at_once(world, clerk):
    link_token(world, "openid-a")
    world.clock.move(minutes=5)
    tell(clerk, show=newest(world))
    world.refund("P1", 10_000)
    page = clerk.get("/till/hotpot-1")
    assert page.h1 == "暂时无法显示"
    assert "<img" not in page.html
    assert "点选的那笔已失效，屏幕暂时无法显示" in clerk.get(VIEW).text


@pytest.mark.parametrize("what", ["", "x", "l_0", "' OR 1=1", "l_" + "0" * 5000])
def test_R260_what_is_no_link_cannot_be_shown(world, clerk, what):
    assert tell(clerk, show=what).status == 404
    assert clerk.get("/till/hotpot-1").h1 == "欢迎光临"


def test_R260_another_shops_or_a_closed_link_cannot_be_shown_or_printed(world, app, clerk):
    link_token(world, "openid-a")
    link = newest(world)
    world.user("mia", "clerk", merchant="sweets")
    mia = Browser(app).sign_in("mia")
    where = "/till/sweets-1/clerk"
    assert mia.send(mia.get(where), where, where, show=link).status == 404
    for path in (f"{where}/print/{link}", f"{where}/qr/{link}.png"):
        assert mia.get(path).status == 404
    assert clerk.get(f"{VIEW}/print/{link}").status == 200
    world.store.write(lambda tx: tx.run("UPDATE links SET state = 'claimed'"))
    assert tell(clerk, show=link).status == 404
    for path in (f"{VIEW}/print/{link}", f"{VIEW}/qr/{link}.png"):
        assert clerk.get(path).status == 404


def test_R031_a_printed_code_counts_as_shown(world, clerk):
    link_token(world, "openid-a", amount_fen=2600)
    link = newest(world)
    page = clerk.get(f"{VIEW}/print/{link}")
    assert "¥26.00 · 12:05" in page.text
    assert "有效至 11-29 12:05" in page.text
    assert world.runtime.link_keys.token(link) not in page.html
    assert clerk.file(f"{VIEW}/qr/{link}.png")[0].startswith(b"\x89PNG")
    settled(world)
    row = world.one("SELECT * FROM showings")
    assert (row["way"], row["state"]) == ("receipt", "shown")


def test_R072_the_view_is_for_staff_of_the_shop(world, app, browser):
    assert browser.get(VIEW).response.headers["Location"] == "/login"
    assert browser.post(VIEW, {"show": "shop"}).status == 400
    world.user("max", "manager", merchant="hotpot")
    world.user("ops", "operator", circle="riverside")
    world.user("far", "operator", circle="hillside")
    assert Browser(app).sign_in("max").get(VIEW).status == 200
    assert Browser(app).sign_in("ops").get(VIEW).status == 200
    assert Browser(app).sign_in("far").get(VIEW).status == 404


def test_R072_the_list_of_shops_holds_ones_own(world, app, clerk):
    assert clerk.get("/till").response.headers["Location"] == VIEW
    world.user("ops", "operator", circle="riverside")
    ops = Browser(app).sign_in("ops").get("/till")
    assert "老王火锅 · 滨江一店" in ops.text
    assert "甜甜糖水 · 糖水铺" in ops.text
    world.user("far", "operator", circle="hillside")
    assert "还没有店铺" in Browser(app).sign_in("far").get("/till").text


def test_R260_in_the_sandbox_the_clerks_view_still_asks_who_is_there(open_world):
    browser = Browser(pages_of(open_world))
    assert browser.get("/till/hotpot-1").status == 200
    assert browser.get(VIEW).response.headers["Location"] == "/login"


def test_R260_the_part_that_changes_is_fed_by_304s(world, clerk):
    link_token(world, "openid-a")
    part = clerk.get(f"{VIEW}/live")
    tag = part.response.headers["ETag"]
    assert clerk.get(f"{VIEW}/live", headers={"If-None-Match": tag}).status == 304
    assert "csrf" not in part.html
    assert clerk.get(VIEW).html.count("<h1") == 1


def test_R031_the_ways_of_a_payment_in_their_order(world, clerk):
    link_token(world, "openid-a", channel="hotpot-partner")
    row = world.all("SELECT id FROM payments ORDER BY id")[-1]
    now = world.clock()
    found = world.store.read(lambda tx: showings.of_payment(tx, row["id"], now))
    assert [(one.way, one.state) for one in found] == [
        ("slip", "queued"),
        ("till", "queued"),
        ("receipt", "queued"),
        ("wallet", "queued"),
    ]
