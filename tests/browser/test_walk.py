"""The newcomer's walk in a real browser, and each page at three sizes, dark, large, in English and without scripts."""

import re

import pytest

from tests.browser.conftest import PASSWORD, SIZES

WALLET = (
    "Mozilla/5.0 (Linux; Android 10) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/86.0 Mobile "
    "Safari/537.36 MicroMessenger/8.0.50 Language/zh_CN"
)


def pay(page, times=1):
    """A new guest pays; the page is at rest afterwards, its phone too."""
    page.goto("/sandbox")
    page.click("button[name=action][value=guest]")
    for _ in range(times):
        page.click("button[name=action][value=pay]")
    page.frame_locator("iframe").locator("h1").wait_for()


def sign_in(w, house):
    """Xiaozhou, a manager of the coffee shop; the first time with her one-time password."""
    page = w.page
    page.goto("/login")
    page.fill("[name=username]", "xiaozhou")
    page.fill("[name=password]", house.once or PASSWORD)
    page.click("main form button")
    if house.once:
        page.wait_for_url("**/password")
        page.fill("[name=password]", house.once)
        page.fill("[name=new_password]", PASSWORD)
        page.fill("[name=again]", PASSWORD)
        page.click("main form button")
        house.once = ""
    page.wait_for_url("**/redeem")


def claimed_codes(w, story):
    """Open a fresh link in this window, claim it, and give its codes."""
    w.page.goto(story.open_link())
    w.page.click("main form button")
    w.page.wait_for_selector("[data-coupon]")
    return w.page.eval_on_selector_all("[data-coupon]", "all => all.map(one => one.dataset.coupon)")


def coffee_code(w, story):
    """A coupon of the coffee shop."""
    codes = claimed_codes(w, story)
    cards = w.page.locator("[data-coupon]")
    return next(code for place, code in enumerate(codes) if "半日咖啡" in cards.nth(place).inner_text())


# -- the walk ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_R054_R071_the_newcomers_walk(window, size):
    with window(size) as w:
        page = w.page
        pay(page)
        phone = page.frame_locator("iframe")
        assert "首次付款：已标识，下次付款开始有礼" in phone.locator("main").inner_text()
        w.shot("sandbox-first")
        page.click("button[name=action][value=pay]")
        phone.get_by_role("link", name="去领取").wait_for()
        assert page.locator("[data-identical=yes]").count() == 1
        assert not w.is_wider_than_screen()
        phone.get_by_role("link", name="去领取").click()
        phone.get_by_role("button", name="领取").click()
        phone.get_by_role("heading", name="已领取").wait_for()
        w.shot("sandbox-claimed")
        page.goto(page.url)
        page.get_by_role("button", name="用这张券去").click()
        page.get_by_role("button", name="核销", exact=True).click()
        page.wait_for_selector("[data-result=used_now]")
        w.shot("redeem-used")
        assert not w.is_wider_than_screen()
        page.goto("/status")
        assert "已核销" in page.inner_text("main")
        w.shot("status")
        assert not w.is_wider_than_screen()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("size", SIZES)
def test_R248_claim_page_fits_every_screen(window, story, size, language, dark):
    with window(size, dark=dark, language=language) as w:
        w.page.goto(story.open_link())
        tone = f"{language}-{'dark' if dark else 'light'}"
        w.shot(f"claim-ready-{tone}")
        assert not w.is_wider_than_screen()
        assert w.page.locator("html").get_attribute("lang") == language
        w.page.click("main form button")
        w.page.wait_for_selector("[data-coupon]")
        w.shot(f"claim-claimed-{tone}")
        assert not w.is_wider_than_screen()


# -- the claim page ---------------------------------------------------------------------------------------------------


def test_R057_the_token_leaves_the_address_bar_and_a_reload_still_works(window, story):
    link = story.open_link()
    token = link.rpartition("/")[2]
    asked = []
    with window() as w:
        w.page.on("request", lambda request: asked.append((request.url, request.headers.get("referer", ""))))
        w.page.goto(link)
        assert w.page.url.endswith("/c?n=1")
        w.page.reload()
        w.page.click("main form button")
        w.page.wait_for_selector("[data-coupon]")
        later = [pair for pair in asked if pair[0] != link]
        assert later
        assert not any(token in url or token in referer for url, referer in later)


def test_R054_claiming_without_scripts(window, story):
    with window(scripts=False) as w:
        w.page.goto(story.open_link())
        w.page.click("main form button")
        assert w.page.locator("[data-coupon]").count() == 3
        w.page.goto(w.page.url)
        assert w.page.locator("[data-coupon]").count() == 3


def test_R248_in_a_wallets_browser_with_large_text_at_320(window, story):
    with window() as w:
        w.page.set_extra_http_headers({"User-Agent": WALLET})
        w.page.set_viewport_size({"width": 320, "height": 640})
        w.page.goto(story.open_link())
        w.page.click("text=大字版")
        assert w.page.evaluate("getComputedStyle(document.documentElement).fontSize") == "20px"
        assert not w.is_wider_than_screen()
        w.shot("claim-large-320")


def test_R248_claiming_by_keyboard_alone(window, story):
    with window("desk") as w:
        page = w.page
        page.goto(story.open_link())
        seen = []
        for _ in range(10):
            page.keyboard.press("Tab")
            seen.append(page.evaluate("document.activeElement.textContent.trim()"))
            if "领取" in seen[-1]:
                break
        assert seen[0] == "跳到正文"
        assert seen[-1] == "领取 3 张"
        assert page.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"
        page.keyboard.press("Enter")
        page.wait_for_selector("[data-coupon]")


def test_R029_leaving_and_coming_back(window, story):
    with window() as w:
        page = w.page
        page.goto(story.open_link())
        page.click("text=不再接收")
        w.shot("leave")
        page.click("main form button")
        page.get_by_role("heading", name="已退出").wait_for()
        w.shot("left")
        page.click("text=重新加入")
        page.get_by_role("heading", name="已重新加入").wait_for()


def test_R056_the_neutral_page(window):
    with window(allow=("404",)) as w:
        w.page.goto("/c/nothing")
        assert w.page.inner_text("h1") == "这个链接不可用"
        w.shot("neutral")


# -- staff ------------------------------------------------------------------------------------------------------------


def test_R071_a_wedge_scanner_needs_no_enter_and_no_focus(window, house, story):
    with window() as customer:
        code = coffee_code(customer, story)
    with window("desk", allow=("409",)) as w:
        sign_in(w, house)
        w.shot("redeem-empty")
        assert w.page.evaluate("document.activeElement.name") == "code"
        w.page.evaluate("document.activeElement.blur()")
        w.page.keyboard.type("".join(chr(ord(c) + 0xFEE0) for c in code))
        w.page.wait_for_selector("[data-result=used_now]")
        assert w.page.evaluate("document.activeElement.name") == "code"
        assert w.page.input_value("#f-code") == ""


def test_R071_a_wrong_check_symbol_is_told_before_anything_is_sent(window, house):
    with window() as w:
        sign_in(w, house)
        w.page.fill("#f-code", "H7KQ2M9WXT4B6")
        assert w.page.locator("#code-fault").is_visible()
        assert w.page.locator("#f-code").get_attribute("aria-invalid") == "true"
        w.page.fill("#f-code", "H7KQ")
        assert not w.page.locator("#code-fault").is_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
def test_R071_R062_use_use_again_and_undo(window, house, story, scripts):
    with window() as customer:
        code = coffee_code(customer, story)
    with window("phone", allow=("409",), scripts=scripts) as w:
        sign_in(w, house)
        page = w.page

        def use():
            page.goto("/redeem")
            page.fill("#f-code", code[:12])
            page.fill("#f-code", code)
            if not scripts:
                page.click("#scan button.main")
            page.wait_for_selector("[data-result]")
            return page.get_attribute("[data-result]", "data-result")

        assert use() == "used_now"
        assert use() == "used_now"  # within ten seconds: the same scan
        page.locator("details:has(form)").locator("summary").first.click()
        page.locator("[name=reason]").first.fill("按错了")
        page.locator("text=确认撤销").first.click()
        page.wait_for_selector("[data-result=reversed]")
        w.shot("redeem-reversed")
        assert use() == "used_now"


def test_R260_the_second_screen_shows_a_payment_by_itself(window, story):
    with window("desk") as w:
        w.page.goto("/till/noodles-1")
        story.open_link()
        w.page.locator("text=用刚才付款的钱包扫码领券").wait_for()
        assert w.page.locator("img").evaluate("one => one.decode().then(() => one.naturalWidth)") >= 240
        w.shot("till-showing")


def test_R070_the_status_page_follows_by_itself_and_says_when_it_cannot(window, story, house):
    with window("desk", allow=("ERR_", "Failed to load")) as w:
        page = w.page
        page.goto("/status")
        before = int(page.locator(".tile .n").first.get_attribute("title"))
        story.open_link()
        page.locator(f".tile .n[title='{before + 2}']").wait_for(timeout=20_000)
        # The machine's clock is not the shop's: the foot shows the shop's.
        assert re.match(r"\d\d:\d\d:\d\d$", page.inner_text("#live-clock"))
        page.route("**/status/live", lambda route: route.abort())
        page.locator("#live-bar:not([hidden])").wait_for(timeout=40_000)
        assert "正在重连" in page.inner_text("#live-bar")
        assert page.locator("[data-live].stale").count() == 1
        w.shot("status-stale")
        page.unroute("**/status/live")
