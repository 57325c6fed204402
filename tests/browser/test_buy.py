"""Buying in a real browser: on the sandbox's phone, in a wallet's browser with its bridge, and without scripts."""

import pytest

from gateway.buying import rows
from gateway.contract.clock import system_clock
from gateway.web.sandbox.desk import openid_of
from gateway.web.sandbox.platform import deliver, stage_of
from tests.browser.conftest import SIZES
from tests.browser.looking import faults
from tests.browser.test_walk import WALLET

BRIDGE = """
  window.asked = [];
  window.WeixinJSBridge = { invoke: (name, given, done) => {
    window.asked.push([name, given]);
    if (window.answer) { window.setTimeout(() => done({err_msg: window.answer}), 0); }
  } };
"""


def order(page, item="latte-5cups", phone="/sandbox/phone/A"):
    """Order one; the page of the order is open."""
    page.goto(f"{phone}/buy/{item}")
    page.locator("form[method=post] button.main").click()
    page.wait_for_url("**/me/orders/o_*")
    return page.url.rpartition("/")[2]


def taps_pay(story, order_id, guest="A"):
    """What the customer does in his wallet: the twin takes the money, and tells."""
    runtime = story._runtime
    bought = runtime.store.read(lambda tx: rows.purchase_of(tx, order_id))
    stage = stage_of(runtime, bought["channel"])
    now = system_clock()()
    told = stage.twin.pay(stage.private, bought["handle"], openid_of(guest), stage.state, now)
    deliver(runtime, stage.channel, told.events, now)
    assert told.events


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
@pytest.mark.parametrize("size", SIZES)
def test_R044_buying_on_the_sandboxs_phone(window, story, size, scripts):
    with window(size, scripts=scripts) as w:
        page = w.page
        page.goto("/sandbox/phone/A/buy?circle=wutong")
        w.shot("buy-shelf")
        assert not w.is_wider_than_screen()
        page.get_by_role("link", name="购买 拿铁券 5 杯").click()
        assert page.inner_text("h1") == "拿铁券 5 杯"
        page.get_by_role("button", name="多一件").click()
        page.get_by_role("button", name="支付 ¥136.00").wait_for()
        assert not w.is_wider_than_screen()
        w.shot("buy-item")
        page.get_by_role("button", name="支付 ¥136.00").click()
        page.wait_for_url("**/me/orders/o_*")
        assert page.inner_text("h1").startswith("名额保留到 ")
        w.shot("buy-created")
        page.get_by_role("link", name="支付 ¥136.00").click()
        w.shot("buy-cashier")
        page.get_by_role("button", name="失败").click()
        assert "付款失败，没有扣款" in page.inner_text("main")
        page.get_by_role("button", name="支付", exact=True).click()
        page.get_by_role("heading", name="购买成功，券已放入券包").wait_for()
        w.shot("buy-fulfilled")
        assert not w.is_wider_than_screen()
        page.get_by_role("link", name="订单", exact=True).click()
        assert "已完成" in page.inner_text("main")
        w.shot("buy-orders")
        assert not w.is_wider_than_screen()


def test_R047_paid_after_the_hold_is_over(window, story):
    with window() as w:
        page = w.page
        order(page, "book-card", "/sandbox/phone/B")
        page.get_by_role("link", name="支付 ¥95.00").click()
        page.locator("summary").click()
        page.get_by_role("button", name="名额过期之后才付").click()
        page.get_by_role("heading", name="购买成功，券已放入券包").wait_for()


def wallet_browser(w, guest="A"):
    """A browser that says it is WeChat's, signed in as this guest by the platform's own page; its bridge is there."""
    # Headers set for a page are not sent after a redirect; the browser's own name is.
    w.context.new_cdp_session(w.page).send("Network.setUserAgentOverride", {"userAgent": WALLET})
    w.page.add_init_script(BRIDGE)
    w.page.goto("/buy/latte-5cups")
    w.page.get_by_role("link", name=guest).first.click()
    w.page.wait_for_url("**/buy/latte-5cups*")


def test_R044_the_wallets_bridge_is_asked_once_and_the_page_turns_when_the_platform_has_told(window, story):
    with window() as w:
        page = w.page
        wallet_browser(w)
        made = order(page, phone="")
        page.get_by_text("正在等待钱包结果…").wait_for()
        w.shot("buy-waiting")
        ((name, given),) = page.evaluate("window.asked")
        assert name == "getBrandWCPayRequest"
        assert set(given) == {"appId", "timeStamp", "nonceStr", "package", "signType", "paySign"}
        assert page.inner_text("h1").startswith("名额保留到 ")
        taps_pay(story, made)
        page.get_by_role("heading", name="购买成功，券已放入券包").wait_for(timeout=10_000)


@pytest.mark.parametrize(("answer", "guest", "words"), [
    ("get_brand_wcpay_request:ok", "A", "正在等待钱包结果…"), ("get_brand_wcpay_request:cancel", "B", "还没有付款，可以再点一次支付"),
    ("get_brand_wcpay_request:fail", "C", "钱包没有完成付款，可以再点一次支付"), ("anything", "A", "正在等待钱包结果…"),
])  # fmt: skip
def test_R044_what_the_wallet_says_on_the_page_proves_nothing(window, answer, guest, words):
    with window() as w:
        page = w.page
        page.add_init_script(f"window.answer = {answer!r};")
        wallet_browser(w, guest)
        order(page, phone="")
        page.get_by_text(words).wait_for()
        assert page.inner_text("h1").startswith("名额保留到 ")
        if "可以再点一次" in words:
            page.get_by_role("button", name="支付 ¥68.00").click()
            page.wait_for_function("window.asked.length === 2")
        page.reload()
        page.get_by_role("button", name="支付 ¥68.00").wait_for()
        assert page.evaluate("window.asked") == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_R248_targets_contrast_and_narrow_screens(window, story, dark, language):
    with window("phone", dark=dark, language=language) as w:
        page = w.page
        made = order(page, phone=f"/sandbox/phone/{'C' if dark else 'B'}", item="book-card")
        base = page.url.partition("/me/orders")[0]
        page.set_viewport_size({"width": 320, "height": 640})
        paths = ("/buy?circle=wutong", "/buy/book-card", f"/me/orders/{made}", f"/cashier/{made}", "/me/orders")
        for path in paths:
            page.goto(base + path + ("&" if "?" in path else "?") + "text=large")
            tone = f"{language}-{'dark' if dark else 'light'}"
            w.shot(f"buy{path.partition('?')[0].replace('/', '-')[:12]}-320-{tone}")
            assert faults(page, language) == [], path
            assert not w.is_wider_than_screen(), path
            assert page.locator("h1").count() == 1
            assert page.locator("html").get_attribute("lang") == language
