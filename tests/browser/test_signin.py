"""Signing in in a real browser: outside a wallet, at the sandbox's stand-in, on a guest's phone, and when it fails."""

import re
import secrets

import pytest

from gateway.web.sandbox.platform import Kept

LOOKS = {"light": {}, "dark": {"dark": True}, "english": {"language": "en-US"}, "no scripts": {"scripts": False}}


@pytest.mark.parametrize("look", LOOKS)
def test_R261_a_newcomer_at_the_table_joins(window, house, look):
    guest = "ABC"[secrets.randbelow(3)]
    with window("phone", **LOOKS[look]) as w:
        w.page.goto("/s/books-1")
        w.shot(f"outside-{look}")
        assert w.page.locator("main img").evaluate("image => image.naturalWidth") >= 240
        assert not w.is_wider_than_screen()
        w.page.click("a[href*='stand-in']")
        w.shot(f"which-guest-{look}")
        assert w.page.locator("h1").count() == 1
        w.page.click(f"a[href$='as={guest}']")
        # A guest of another test may have joined before; then this leads to his gifts.
        w.page.wait_for_url(re.compile(r"/(s/books-1|me)(#\w+)?$"))
        w.shot(f"join-{look}")
        assert not w.is_wider_than_screen()
        if w.page.url.partition("#")[0].endswith("/s/books-1"):
            w.page.click("main form button")
            w.page.wait_for_selector("[data-outcome]")
            w.shot(f"joined-{look}")
        assert "state=" not in w.page.url
        w.page.goto("/me")
        assert w.page.url.endswith("/me")


def test_R052_a_way_that_fails_ends_on_a_button_and_the_button_works(window, house, story):
    faults = Kept(story._runtime.store, "books-alipay"), Kept(story._runtime.store, "coffee-wechat")
    for kept in (*faults, Kept(story._runtime.store, "noodles-wechat")):
        kept.put("fault", "exchange", {"name": "bad_gateway"})
    with window("phone") as w:
        w.page.goto("/sandbox/phone/A/s/noodles-1")
        assert w.page.inner_text("h1") == "确认是你本人"
        w.shot("confirm")
        assert w.page.url == f"{house.base_url}/sandbox/phone/A/s/noodles-1"
        for kept in (*faults, Kept(story._runtime.store, "noodles-wechat")):
            kept.put("fault", "exchange", {})
        box = w.page.locator("main a.btn").bounding_box()
        assert box["height"] >= 44
        w.page.keyboard.press("Tab")
        w.page.click("main a.btn")
        w.page.wait_for_url(re.compile(r"/sandbox/phone/A/(s/noodles-1|me)(#\w+)?$"))
        assert w.page.inner_text("h1") != "确认是你本人"


def test_R057_why_and_leaving_from_the_claim_page(window, story):
    with window("phone") as w:
        w.page.goto(story.open_link())
        w.page.click("footer a[href*='why']")
        assert w.page.inner_text("h1") == "为什么给我？"
        assert re.search(r"你在 .* 于老陈面馆付款，你在 .* 首次到店时加入梧桐里。", w.page.inner_text("main"))
        w.shot("why")
        assert not w.is_wider_than_screen()
        w.page.click("footer a[href*='leave']")
        assert w.page.inner_text("h1") == "退出梧桐里"
