"""`/till/<shop>`: what the second screen tells, in which words, and to whom (R260)."""

import re

import pytest

from gateway.contract.errors import StoreUnavailable
from tests.showing.conftest import settled
from tests.support.browsing import Browser, link_token, pages_of
from tests.support.world import CATALOG, World


@pytest.fixture
def screen(open_world):
    return Browser(pages_of(open_world))


def image_of(page) -> str:
    (found,) = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    return found


def test_R260_idle_then_the_newest_link_for_a_minute_then_idle(open_world, screen):
    assert screen.get("/till/hotpot-1").h1 == "欢迎光临"
    link_token(open_world, "openid-a", amount_fen=2600)
    page = screen.get("/till/hotpot-1/live")
    assert "谢谢惠顾！¥26.00 · 12:05" in page.text
    assert "用刚才付款的钱包扫码领券" in page.text
    assert "60 秒后关闭" in page.text
    open_world.clock.move(seconds=5)
    assert "55 秒后关闭" in screen.get("/till/hotpot-1").text
    open_world.clock.move(seconds=54)
    assert "1 秒后关闭" in screen.get("/till/hotpot-1").text
    open_world.clock.move(seconds=1)
    assert screen.get("/till/hotpot-1").h1 == "欢迎光临"


def test_R260_the_words_in_english(open_world):
    screen = Browser(pages_of(open_world), "en")
    assert screen.get("/till/hotpot-1").h1 == "Welcome"
    token = link_token(open_world, "openid-a", amount_fen=2600)
    text = screen.get("/till/hotpot-1").text
    assert "Thank you! ¥26.00 · 12:05" in text
    assert "Closes in 60 s" in text
    Browser(pages_of(open_world)).get(f"/c/{token}")
    settled(open_world)
    assert "Opened on the phone" in screen.get("/till/hotpot-1").text


def test_R260_the_image_holds_the_links_address_and_its_own_holds_no_token(open_world, screen):
    token = link_token(open_world, "openid-a")
    page = screen.get("/till/hotpot-1")
    image = image_of(page)
    assert token not in page.html
    data, headers = screen.file(image)
    assert data.startswith(b"\x89PNG")
    assert headers["Cache-Control"] == "no-store"
    open_world.clock.move(seconds=60)
    assert screen.get(image).status == 404


def test_R260_opened_on_the_phone_hides_the_code(open_world, screen):
    token = link_token(open_world, "openid-a")
    image = image_of(screen.get("/till/hotpot-1"))
    Browser(pages_of(open_world)).get(f"/c/{token}")
    settled(open_world)
    page = screen.get("/till/hotpot-1")
    assert "已在手机上打开" in page.text
    assert "<img" not in page.html
    assert screen.get(image).status == 404


def test_R260_a_refunded_payments_code_goes_at_once(open_world, screen):
    link_token(open_world, "openid-a")
    image = image_of(screen.get("/till/hotpot-1"))
    open_world.refund("P1", 10_000)
    assert screen.get("/till/hotpot-1").h1 == "欢迎光临"
    assert screen.get(image).status == 404


def test_R260_claimed_and_other_shops_links_are_not_shown(open_world, screen):
    open_world.claimed("openid-a")
    assert screen.get("/till/hotpot-1").h1 == "欢迎光临"
    link_token(open_world, "openid-b")
    assert screen.get("/till/sweets-1").h1 == "欢迎光临"
    assert screen.get("/till/nowhere").status == 404


def test_R260_a_channel_without_a_shop_counts_for_the_merchants_only_shop(open_world, screen):
    open_world.apply(CATALOG + '[item.tea]\nmerchant = "sweets"\nname = "茶"\nkind = "gift"\noffer = "own"\n')
    open_world.pay("T1", "openid-a", channel="sweets-pay")
    open_world.pay("T2", "openid-a", channel="sweets-pay", amount_fen=3300)
    assert open_world.links()[-1]["shop"] is None
    assert "¥33.00" in screen.get("/till/sweets-1").text
    assert screen.get("/till/hotpot-1").h1 == "欢迎光临"


def test_R260_two_gifts_within_ten_seconds_show_none_and_their_way_says_why(open_world, screen):
    for who in ("openid-a", "openid-b"):
        open_world.pay(f"first-{who}", who)
    open_world.pay("A", "openid-a", amount_fen=1100)
    assert "¥11.00" in screen.get("/till/hotpot-1").text
    image = image_of(screen.get("/till/hotpot-1"))
    open_world.clock.move(seconds=9)
    open_world.pay("B", "openid-b", amount_fen=2200)
    page = screen.get("/till/hotpot-1")
    assert page.h1 == "欢迎光临"
    assert screen.get(image).status == 404
    settled(open_world)
    rows = open_world.all("SELECT way, state, error FROM showings ORDER BY link")
    assert [tuple(row) for row in rows] == [("till", "failed", "two_at_once")] * 2
    open_world.clock.move(seconds=2)
    open_world.pay("C", "openid-c")
    assert screen.get("/till/hotpot-1").h1 == "欢迎光临"


def test_R260_ten_seconds_apart_the_newer_one_is_shown(open_world, screen):
    for who in ("openid-a", "openid-b"):
        open_world.pay(f"first-{who}", who)
    open_world.pay("A", "openid-a", amount_fen=1100)
    open_world.clock.move(seconds=10)
    open_world.pay("B", "openid-b", amount_fen=2200)
    assert "¥22.00" in screen.get("/till/hotpot-1").text


def test_R031_a_code_that_was_fetched_counts_as_shown_once(open_world, screen):
    link_token(open_world, "openid-a")
    image = image_of(screen.get("/till/hotpot-1"))
    assert open_world.all("SELECT * FROM showings") == []
    screen.file(image)
    screen.file(image)
    settled(open_world)
    row = open_world.one("SELECT * FROM showings")
    assert (row["way"], row["state"], row["times"], row["merchant"]) == ("till", "shown", 2, "hotpot")


def test_R260_no_scripts_no_matter_and_with_them_one_small_part(open_world, screen):
    page = screen.get("/till/hotpot-1")
    assert 'data-stream="/till/hotpot-1/stream" data-poll="/till/hotpot-1/live"' in page.html
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page.html
    part = screen.get("/till/hotpot-1/live")
    assert len(part.response.get_data()) < 1024
    tag = part.response.headers["ETag"]
    same = screen.get("/till/hotpot-1/live", headers={"If-None-Match": tag})
    assert (same.status, same.html) == (304, "")


def test_R260_the_etag_follows_what_is_shown_and_not_the_seconds(open_world, screen):
    link_token(open_world, "openid-a")
    tag = screen.get("/till/hotpot-1/live").response.headers["ETag"]
    open_world.clock.move(seconds=7)
    assert screen.get("/till/hotpot-1/live", headers={"If-None-Match": tag}).status == 304
    english = Browser(screen.client.application, "en")
    assert english.get("/till/hotpot-1/live", headers={"If-None-Match": tag}).status == 200
    open_world.clock.move(seconds=53)
    assert screen.get("/till/hotpot-1/live", headers={"If-None-Match": tag}).status == 200


def test_R260_switched_off_the_screen_shows_nothing(open_world, screen):
    from gateway.delivery import ways

    link_token(open_world, "openid-a")
    image = image_of(screen.get("/till/hotpot-1"))
    now = open_world.clock()
    open_world.store.write(lambda tx: ways.switch(tx, now, "hotpot", "till", "off", "tests"))
    assert screen.get("/till/hotpot-1").h1 == "欢迎光临"
    assert screen.get(image).status == 404


def test_R260_without_the_store_nothing_is_shown_and_nothing_is_a_500(open_world, screen, monkeypatch):
    link_token(open_world, "openid-a")
    image = image_of(screen.get("/till/hotpot-1"))

    def gone(_self, _work):
        raise StoreUnavailable("gone")

    monkeypatch.setattr(type(open_world.store), "read", gone)
    for path in ("/till/hotpot-1", "/till/hotpot-1/live", image):
        page = screen.get(path)
        assert page.status == 503
        assert "<img" not in page.html


@pytest.mark.parametrize("shop", ["x", "%00", "%ED%A0%80", "../login", "a" * 3000])
def test_R260_odd_shops_are_no_shops(open_world, screen, shop):
    assert screen.get(f"/till/{shop}").status in {404, 308}


# -- outside the sandbox ----------------------------------------------------------------------------------------------


def test_R260_without_the_sandbox_the_screen_is_the_shops_own(world, app):
    world.user("mia", "clerk", merchant="sweets")
    world.user("ops", "operator", circle="hillside")
    mia, ops = Browser(app).sign_in("mia"), Browser(app).sign_in("ops")
    assert mia.get("/till/sweets-1").status == 200
    for who, shop in ((mia, "hotpot-1"), (ops, "hotpot-1"), (mia, "nowhere")):
        for path in ("", "/live", "/stream", "/clerk", "/clerk/live", "/clerk/print/shop", "/clerk/qr/shop.png"):
            assert who.get(f"/till/{shop}{path}").status == 404, (shop, path)


def test_R260_a_stranger_is_asked_for_a_code_and_learns_nothing_of_shops(browser):
    pages = []
    for shop in ("hotpot-1", "nowhere"):
        answer = browser.get(f"/till/{shop}")
        assert (answer.status, answer.response.headers["Location"]) == (303, f"/till/{shop}/pair")
        for path in ("live", "stream", "qr/shop.png", "qr/l_1.png"):
            assert browser.get(f"/till/{shop}/{path}").status == 401
        page = browser.get(f"/till/{shop}/pair")
        assert (page.status, page.h1) == (200, "配对收银屏")
        pages.append(re.sub(r'csrf_token" value="[^"]+"', "", page.html).replace(shop, "SHOP"))
    assert pages[0] == pages[1]


@pytest.mark.parametrize("store", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_R244_R260_on_both_databases(tmp_path, request, store, partners):
    from tests.showing.conftest import BEARER, catalog

    url = request.getfixturevalue(f"{store}_url")
    world = World(tmp_path / "house", catalog=catalog(BEARER), store_url=url)
    try:
        world.user("lin", "clerk", merchant="hotpot")
        lin = Browser(pages_of(world)).sign_in("lin")
        link_token(world, "openid-a", amount_fen=2600)
        assert "¥26.00" in lin.get("/till/hotpot-1").text
        lin.file(image_of(lin.get("/till/hotpot-1")))
        assert "正在显示" in lin.get("/till/hotpot-1/clerk").text
    finally:
        world.close()
