"""`/c/<token>` in every state, with its exact words in both languages (R050–R057, R029, R077)."""

import threading

import pytest

from gateway import links
from gateway.contract.errors import StoreUnavailable
from tests.support.browsing import Browser, link_token, pages_of
from tests.support.world import BASE_URL, CATALOG, World

HOST = BASE_URL.removeprefix("https://")
NEUTRAL = "这个链接不可用"


def close(world, token, state, reason):
    def work(tx):
        links.close(tx, links.by_token(tx, token), world.clock(), state, reason)

    world.store.write(work)


def with_catalog(tmp_path, *changes):
    text = CATALOG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return World(tmp_path, catalog=text)


# -- ready ------------------------------------------------------------------------------------------------------------


def test_R050_ready_shows_what_it_gives_and_a_plain_form(browser, token):
    page = browser.get(f"/c/{token}")
    assert page.status == 200
    assert page.h1 == "老王火锅送你 2 张券"
    assert "确认后放入你的券包" in page.text
    assert "领取 2 张" in page.text
    assert "请在 11-29 12:05 前领取" in page.text
    assert page.coupons == []
    form = page.form()
    assert form["inputs"].keys() == form["hidden"].keys() == {"csrf_token"}


def test_R077_ready_in_english(app, token):
    page = Browser(app, "en").get(f"/c/{token}")
    assert page.h1 == "2 gift(s) from 老王火锅"
    assert "They go to your wallet page" in page.text
    assert "Claim 2" in page.text
    assert '<html lang="en">' in page.html


def test_R051_a_get_claims_nothing_and_notes_the_opening_once(world, browser, token):
    browser.get(f"/c/{token}")
    world.clock.move(minutes=1)
    browser.get(f"/c/{token}")
    world.store.write(lambda tx: None)  # what was queued is written by now
    row = world.links()[-1]
    assert row["state"] == "opened"
    assert row["opened_at"] == "2026-11-22T04:05:06.000Z"
    assert world.all("SELECT code FROM coupons") == []


def test_R057_the_page_offers_an_address_without_the_token_and_that_works(browser, token):
    page = browser.get(f"/c/{token}")
    assert 'data-address="/c?n=1"' in page.html
    assert token not in page.html
    again = browser.get("/c?n=1")
    assert again.h1 == page.h1
    claimed = browser.follow(browser.send(again, "/c?n=1"))
    assert len(claimed.coupons) == 2


def test_R057_another_browser_has_nothing_under_that_number(app, browser, token):
    browser.get(f"/c/{token}")
    assert Browser(app).get("/c?n=1").h1 == NEUTRAL


@pytest.mark.parametrize("number", ["", "0", "2", "-1", "x", "1 ", "９"])
def test_R057_numbers_that_this_browser_does_not_keep(browser, token, number):
    browser.get(f"/c/{token}")
    assert browser.get("/c", query_string={"n": number}).status == 404


def test_R057_a_browser_keeps_its_newest_eight_links(world, browser):
    tokens = [link_token(world, f"openid-{number}") for number in range(9)]
    for token in tokens:
        assert browser.get(f"/c/{token}").status == 200
    assert browser.get("/c?n=1").status == 404
    assert browser.get("/c?n=2").status == browser.get("/c?n=9").status == 200


# -- claiming ---------------------------------------------------------------------------------------------------------


def test_R054_post_answers_303_to_a_page_with_each_code(world, browser, token):
    answer = browser.send(browser.get(f"/c/{token}"), f"/c/{token}")
    assert answer.status == 303
    page = browser.follow(answer)
    assert page.status == 200
    assert page.h1 == "✓ 已领取"
    assert "向店员出示此码" in page.text
    codes = {row["code"] for row in world.all("SELECT code FROM coupons")}
    assert len(codes) == 2
    assert set(page.coupons) == codes


def test_R054_a_second_post_and_a_second_visit_show_the_same_coupons(world, browser, token):
    first = browser.get(f"/c/{token}")
    page = browser.follow(browser.send(first, f"/c/{token}"))
    assert "已领取" in page.text
    assert "12:05 已领取" not in page.text
    world.clock.move(days=1)
    again = browser.follow(browser.send(first, f"/c/{token}"))
    assert again.coupons == page.coupons
    later = browser.get(f"/c/{token}")
    assert later.coupons == page.coupons
    assert "你在 11-22 12:05 已领取" in later.text


def test_R054_fifty_parallel_posts_make_one_coupon_an_item(world, app, token):
    browser = Browser(app)
    hidden = browser.get(f"/c/{token}").form()["hidden"]
    cookie = browser.client.get_cookie("drainage", domain=HOST)
    statuses, gate = [], threading.Barrier(10)

    def press():
        client = app.test_client()
        client.set_cookie("drainage", cookie.value, domain=HOST)
        gate.wait()
        for _ in range(5):
            statuses.append(client.post(f"/c/{token}", data=hidden).status_code)

    threads = [threading.Thread(target=press) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [303] * 50
    assert len(world.all("SELECT code FROM coupons")) == 2


def test_R054_items_that_ran_out_are_told(tmp_path):
    world = with_catalog(tmp_path, ('name = "例汤一份"', 'name = "例汤一份"\nstock = 1'))
    browser = Browser(pages_of(world))
    one, other = link_token(world, "openid-1"), link_token(world, "openid-2")
    browser.send(browser.get(f"/c/{one}"), f"/c/{one}")
    page = browser.get(f"/c/{other}")
    assert page.h1 == "老王火锅送你 1 张券"
    assert "已领完" in page.text
    claimed = browser.follow(browser.send(page, f"/c/{other}"))
    assert "领到 1 张，1 张刚领完" in claimed.text
    assert len(claimed.coupons) == 1
    world.close()


def test_R054_the_qr_of_a_code_is_an_image_without_a_token_for_this_browser_alone(app, browser, token):
    page = browser.follow(browser.send(browser.get(f"/c/{token}"), f"/c/{token}"))
    assert 'src="/c/qr/1/0.png"' in page.html
    image = browser.client.get("/c/qr/1/0.png")
    assert image.mimetype == "image/png"
    assert image.data.startswith(b"\x89PNG")
    assert len(image.data) < 5 * 1024
    assert image.headers["Cache-Control"] == "no-store"
    assert browser.client.get("/c/qr/1/2.png").status_code == 404
    assert browser.client.get("/c/qr/2/0.png").status_code == 404
    assert app.test_client().get("/c/qr/1/0.png").status_code == 404


# -- not any more -----------------------------------------------------------------------------------------------------


def test_R055_expired_is_410_with_the_shop_and_no_code(world, browser, token):
    page = browser.get(f"/c/{token}")
    world.clock.move(days=7)
    late = browser.get(f"/c/{token}")
    assert late.status == 410
    assert late.h1 == "已过领取时间"
    assert "老王火锅 的券在 12:05 前可领" in late.text
    assert late.forms == []
    assert browser.send(page, f"/c/{token}").status == 410
    assert world.all("SELECT code FROM coupons") == []


def test_R055_a_claimed_link_shows_its_coupons_after_its_expiry(world, browser, token):
    browser.send(browser.get(f"/c/{token}"), f"/c/{token}")
    world.clock.move(days=30)
    page = browser.get(f"/c/{token}")
    assert page.status == 200
    assert len(page.coupons) == 2
    assert page.text.count("已过期") == 2


def test_R061_withdrawn_after_a_refund_is_410(world, browser):
    token = link_token(world, "openid-a")
    page = browser.get(f"/c/{token}")
    world.refund("P1", 10_000)
    gone = browser.get(f"/c/{token}")
    assert (gone.status, gone.h1) == (410, "付款已退款，赠券随之取消")
    assert gone.forms == []
    assert browser.send(page, f"/c/{token}").status == 410


def test_R061_a_coupon_voided_by_a_refund_says_so(world, browser, token):
    browser.send(browser.get(f"/c/{token}"), f"/c/{token}")
    world.refund("P1", 10_000)
    page = browser.get(f"/c/{token}")
    assert page.status == 200
    assert page.text.count("已作废 付款已退款") == 2
    assert "二维码" not in page.text


def test_R054_sold_out_is_told_with_200_and_no_form_and_409_on_post(tmp_path):
    world = with_catalog(
        tmp_path,
        ('name = "例汤一份"', 'name = "例汤一份"\nstock = 1'),
        ("stock = 1000", "stock = 1"),
    )
    browser = Browser(pages_of(world))
    one, other = link_token(world, "openid-1"), link_token(world, "openid-2")
    late = browser.get(f"/c/{other}")
    browser.send(browser.get(f"/c/{one}"), f"/c/{one}")
    page = browser.get(f"/c/{other}")
    assert (page.status, page.h1) == (200, "刚刚领完了")
    assert "没有扣除你的任何权益" in page.text
    assert page.forms == []
    refused = browser.send(late, f"/c/{other}")
    assert (refused.status, refused.h1) == (409, "刚刚领完了")
    assert len(world.all("SELECT code FROM coupons")) == 2
    world.close()


def test_R043_paused_is_told_with_200_and_no_form_and_409_on_post(world, browser, token):
    page = browser.get(f"/c/{token}")
    world.apply(
        CATALOG.replace('name = "例汤一份"', 'name = "例汤一份"\npaused = true').replace(
            'name = "糖水立减5元"', 'name = "糖水立减5元"\npaused = true'
        )
    )
    world.clock.move(seconds=1)
    wait_for_the_catalogue(world)
    paused = browser.get(f"/c/{token}")
    assert paused.status == 200
    assert paused.h1 == "老王火锅、甜甜糖水 暂停发放"
    assert "11-29 12:05 前恢复即可领取，链接请留着" in paused.text
    assert paused.forms == []
    assert browser.send(page, f"/c/{token}").status == 409


def wait_for_the_catalogue(world):
    """The directory looks at the store at most twice a second by the machine's own clock; ask as if later."""
    import time

    world.runtime.holder.current(time.monotonic() + 10)


# -- nobody's ---------------------------------------------------------------------------------------------------------


def test_R056_unknown_malformed_revoked_and_superseded_are_one_page_byte_for_byte(world, browser, token):
    superseded = link_token(world, "openid-b")
    close(world, token, "revoked", "staff")
    close(world, superseded, "superseded", "reissued")
    unknown = "A" * 21 + "Q"
    answers = {
        browser.client.get(path).get_data()
        for path in (
            f"/c/{token}",
            f"/c/{superseded}",
            f"/c/{unknown}",
            "/c/x",
            f"/c/{token}x",
            "/c/%E5%88%B8",
            "/c?n=7",
        )
    }
    assert len(answers) == 1
    page = browser.get(f"/c/{token}")
    assert page.status == 404
    assert page.h1 == NEUTRAL
    assert "可能已失效，或不属于当前账号。请从付款后的页面重新打开。" in page.text
    assert "Set-Cookie" not in page.response.headers


def test_R056_posts_to_such_links_are_404_too(world, browser, token):
    hidden = browser.get(f"/c/{token}").form()["hidden"]
    close(world, token, "revoked", "staff")
    for path in (f"/c/{token}", "/c/" + "A" * 21 + "Q", "/c/x"):
        assert browser.post(path, hidden).status == 404


def test_R056_failed_look_ups_are_throttled_and_genuine_ones_never(world, app, token):
    browser = Browser(app)
    statuses = [browser.get(f"/c/{number}").status for number in range(12)]
    assert statuses == [404] * 10 + [429] * 2
    refused = browser.get("/c/one-more")
    assert refused.h1 == "操作太频繁，请 54 秒后再试"
    assert refused.response.headers["Retry-After"] == "54"
    # The shop's Wi-Fi is one address: its genuine customers are served all the while.
    assert Browser(app).get(f"/c/{token}").status == 200
    world.clock.move(minutes=1)
    assert browser.get("/c/x").status == 404


def test_R056_a_browser_is_counted_wherever_it_goes(world, app, token):
    browser = Browser(app)
    browser.get(f"/c/{token}")
    for number in range(10):
        assert browser.get(f"/c/{number}", environ_overrides={"REMOTE_ADDR": f"192.0.2.{number}"}).status == 404
    assert browser.get("/c/x", environ_overrides={"REMOTE_ADDR": "192.0.2.200"}).status == 429
    assert Browser(app).get("/c/x", environ_overrides={"REMOTE_ADDR": "192.0.2.201"}).status == 404


# -- wallets ----------------------------------------------------------------------------------------------------------

OAUTH = (
    ('min_amount_fen = 100\nbinding = "bearer"', 'min_amount_fen = 100\nbinding = "oauth"'),
    (
        'shop = "hotpot-1"\nadapter',
        'shop = "hotpot-1"\nwallet = { appid = "wx1", app_secret = "canary-wallet-secret" }\nadapter',
    ),
)


def test_R052_where_a_wallet_must_prove_who_it_is_there_is_no_form_and_a_post_is_403(tmp_path):
    world = with_catalog(tmp_path, *OAUTH)
    browser = Browser(pages_of(world))
    token = link_token(world, "openid-a")
    page = browser.get(f"/c/{token}")
    assert (page.status, page.h1) == (200, "请用微信或支付宝打开")
    assert "截图或换手机扫码" in page.text
    assert "用付款的钱包扫" in page.text
    assert page.forms == []
    assert "老王火锅" not in page.text
    assert browser.client.get("/c/link/1.png").data.startswith(b"\x89PNG")
    hidden = hidden_from(browser)
    assert browser.post(f"/c/{token}", hidden).status == 403
    assert world.all("SELECT code FROM coupons") == []
    assert browser.get("/c/leave?n=1").h1 == "请用微信或支付宝打开"
    assert browser.post("/c/leave?n=1", hidden).status == 403
    assert world.all("SELECT person FROM suppressions") == []
    world.close()


def test_R056_a_withdrawn_link_of_such_a_circle_is_the_neutral_page(tmp_path):
    world = with_catalog(tmp_path, *OAUTH)
    browser = Browser(pages_of(world))
    token = link_token(world, "openid-a")
    close(world, token, "revoked", "staff")
    assert browser.get(f"/c/{token}").h1 == NEUTRAL
    world.close()


def hidden_from(browser):
    """A form token of this browser's session, from a page that has a form."""
    return browser.get("/login").form()["hidden"]


# -- leaving ----------------------------------------------------------------------------------------------------------


def test_R029_leaving_is_two_taps_and_joining_again_one_more(world, browser, token):
    page = browser.get(f"/c/{token}")
    assert "/c/leave?n=1" in page.links
    ask = browser.get("/c/leave?n=1")
    assert ask.h1 == "退出滨江商圈"
    assert world.all("SELECT person FROM suppressions") == []
    left = browser.follow(browser.send(ask, "/c/leave?n=1", "/c/leave?n=1"))
    assert "已退出。已领的券仍可用；以后的付款不再记录。" in left.text
    world.pay("after", "openid-a")
    assert world.one("SELECT tag_before FROM payments WHERE transaction_id = 'after'")["tag_before"] == "opted_out"
    assert len(browser.follow(browser.send(browser.get(f"/c/{token}"), f"/c/{token}")).coupons) == 2
    joined = browser.follow(browser.send(left, "", "/c/join?n=1"))
    assert joined.h1 == "已重新加入"
    world.pay("again", "openid-a")
    assert world.one("SELECT tag_after FROM payments WHERE transaction_id = 'again'")["tag_after"] == "tagged"


def test_R029_leaving_is_offered_on_every_page_of_a_link(world, browser, token):
    browser.send(browser.get(f"/c/{token}"), f"/c/{token}")
    other = link_token(world, "openid-b")
    assert "/c/leave?n=1" in browser.get(f"/c/{token}").links
    world.clock.move(days=8)
    assert "/c/leave?n=2" in browser.get(f"/c/{other}").links


@pytest.mark.parametrize("path", ["/c/leave", "/c/join", "/c/leave?n=5", "/c/join?n=x"])
def test_R029_without_a_link_there_is_nothing_to_leave(browser, token, path):
    hidden = hidden_from(browser)
    assert browser.get(path).status == 404
    assert browser.post(path, hidden).status == 404


def test_R050_a_store_that_is_away_is_503_and_the_payment_is_not_in_doubt(world, browser, token, monkeypatch):
    browser.get(f"/c/{token}")

    def gone(_work):
        raise StoreUnavailable("gone")

    monkeypatch.setattr(type(world.store), "read", lambda _self, work: gone(work))
    page = browser.get(f"/c/{token}")
    assert page.status == 503
    assert page.h1 == "我们这边出错了，你的付款不受影响"
    assert "请求号 rq_" in page.text
