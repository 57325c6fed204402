"""The customer's own pages in a real browser, on the sandbox's phones, where the wallet's sign-in has the same hops."""

import re

import pytest

from tests.browser.looking import faults
from tests.browser.test_walk import pay, sign_in


def phone_of_new_guest(w, times=2):
    """A new guest pays so many times; his phone's address."""
    pay(w.page, times)
    src = w.page.locator("iframe").get_attribute("src")
    return re.match(r"/sandbox/phone/\w+", src)[0]


def claim(w, phone):
    """Claim the waiting gift through the wallet page; back at the wallet page with the coupons."""
    w.page.goto(f"{phone}/me")
    w.page.click("main a.open")
    w.page.click("main form button")
    w.page.wait_for_selector("[data-coupon]")
    w.page.goto(f"{phone}/me?tab=use")


def open_card(w, title):
    """Open the coupon with this title."""
    w.page.locator("a.held", has_text=title).first.click()
    w.page.wait_for_selector("h1.coupon-head")


@pytest.mark.parametrize("size", ["phone", "desk"])
def test_R037_R053_a_gift_waits_in_the_wallet_and_is_claimed_there(window, size):
    with window(size) as w:
        phone = phone_of_new_guest(w)
        w.page.goto(f"{phone}/me")
        assert w.page.locator("h1").inner_text() == "我的券包"
        assert w.page.locator("main a.open").count() == 1
        w.shot("me-to-claim")
        claim(w, phone)
        assert "token" not in w.page.url
        assert w.page.locator("a.held").count() == 3
        assert not w.is_wider_than_screen()
        w.shot("me-usable")


def test_R058_the_open_coupon_turns_by_itself_while_the_clerk_redeems(window, house):
    with window("phone") as w, window("desk") as till:
        phone = phone_of_new_guest(w)
        claim(w, phone)
        open_card(w, "拿铁立减5元")
        code = w.page.locator("[data-coupon]").get_attribute("data-coupon")
        assert w.page.locator("main img").count() == 1
        assert w.page.locator("main img").evaluate("one => one.complete && one.naturalWidth >= 240")
        bars = w.page.locator("svg.bars").bounding_box()
        assert bars["width"] >= 300
        w.shot("coupon-usable")
        w.page.emulate_media(media="print")
        w.shot("coupon-printed")
        w.page.emulate_media(media="screen")
        sign_in(till, house)
        till.page.fill("[name=code]", code)
        till.page.locator("main form button").first.click()
        till.page.wait_for_load_state()
        w.page.wait_for_selector(".big-state", timeout=15_000)
        assert re.search(r"已核销 ✓ \d\d:\d\d", w.page.locator(".big-state").inner_text())
        assert w.page.locator("main img").count() == 0
        w.shot("coupon-used")


def test_offline_the_page_stays_with_its_codes_and_says_since_when(window):
    with window("phone", allow=("ERR_INTERNET_DISCONNECTED",)) as w:
        phone = phone_of_new_guest(w)
        claim(w, phone)
        open_card(w, "拿铁立减5元")
        code = w.page.locator("p.code").inner_text()
        w.context.set_offline(True)
        w.page.wait_for_selector("#live-bar:not([hidden])", timeout=30_000)
        assert "正在重连" in w.page.locator("#live-bar").inner_text()
        assert w.page.locator("p.code").inner_text() == code
        w.shot("coupon-offline")
        w.context.set_offline(False)
        w.page.wait_for_selector("#live-bar[hidden]", state="attached", timeout=60_000)


def test_R052_a_coupon_goes_from_one_phone_to_another(window):
    with window("phone") as w:
        giver = phone_of_new_guest(w)
        claim(w, giver)
        open_card(w, "手工书签")
        w.page.click("text=转赠朋友")
        w.shot("give-asking")
        w.page.click("main form button")
        w.page.wait_for_selector("[data-gift=made]")
        link = w.page.locator("#f-link").input_value()
        w.shot("give-made")
        waiting = w.page.url
        friend = phone_of_new_guest(w, times=1)
        w.page.goto(friend + re.search(r"/g/.*", link)[0])
        assert "/g/" not in w.page.url
        w.shot("gift-ready")
        w.page.click("main form button")
        w.page.wait_for_selector("[data-coupon]")
        w.shot("gift-taken")
        w.page.goto(waiting)
        w.page.wait_for_selector("[data-gift=taken]")
        w.shot("give-taken")


PLACES = ("/me", "/me?tab=use", "/me?tab=past", "/me/privacy", "/me/privacy/export", "/me/privacy/delete", "/me/invite")


@pytest.mark.parametrize(("language", "dark"), [("zh-CN", False), ("en", True)])
def test_R248_every_page_of_mine_is_good_for_everyone(window, language, dark):
    with window("phone", language=language, dark=dark) as w:
        phone = phone_of_new_guest(w)
        claim(w, phone)
        places = [f"{phone}{place}" for place in PLACES]
        card = w.page.locator("a.held").first.get_attribute("href")
        places += [card, f"{card}/why", f"{card}/give"]
        for place in places:
            w.page.set_viewport_size({"width": 360, "height": 740})
            w.complaints[:] = [text for text in w.complaints if "409" not in text]
            w.page.goto(place)
            assert faults(w.page, language) == [], place
            w.shot(f"{place.removeprefix(phone).strip('/').replace('/', '-').replace('?', '-')[-30:]}-{language}")
            w.page.set_viewport_size({"width": 320, "height": 640})
            assert not w.is_wider_than_screen(), place
        w.complaints[:] = [text for text in w.complaints if "409" not in text]


def test_R248_all_of_it_works_without_scripts_and_in_large_text(window, house):
    with window("phone", scripts=False) as w:
        w.page.goto("/sandbox")
        w.page.click("button[name=action][value=guest]")
        for _ in range(2):
            w.page.click("button[name=action][value=pay]")
        phone = re.match(r"/sandbox/phone/\w+", w.page.locator("iframe").get_attribute("src"))[0]
        w.page.context.add_cookies([{"name": "text", "value": "large", "url": house.base_url}])
        claim(w, phone)
        assert not w.is_wider_than_screen()
        open_card(w, "手工书签")
        assert w.page.locator("main img").count() == 1
        w.shot("coupon-large")
        w.page.click("text=转赠朋友")
        w.page.click("main form button")
        assert w.page.locator("#f-link").count() == 1
        w.page.click("main form button")
        assert "已收回" in w.page.locator("main").inner_text()
        w.page.goto(f"{phone}/me/privacy")
        w.page.click("main form button")
        assert "已退出。已领的券仍可用；以后的付款不再记录。" in w.page.locator("main").inner_text()
