"""The console in a real browser: the menu on a desk and on a phone, lists that become cards, a payment's timeline."""

import pytest

from tests.browser.conftest import BOSS


def sign_in(w, name):
    w.page.goto("/login")
    w.page.fill("#f-username", name)
    w.page.fill("#f-password", BOSS)
    w.page.click("main button")
    w.page.wait_for_url("**/status")


PAGES = ("", "/payments", "/parked", "/incidents", "/audit", "/export")


@pytest.mark.parametrize(("size", "dark"), [("desk", False), ("phone", True)])
def test_every_page_fits_its_screen_and_complains_of_nothing(window, story, boss, size, dark):
    token = story.open_link()
    assert token
    with window(size, dark=dark) as w:
        sign_in(w, boss)
        for path in PAGES:
            w.page.goto(f"/admin{path}")
            assert w.page.locator("h1").count() == 1
            assert not w.is_wider_than_screen(), path
            w.shot(f"console{path.replace('/', '-')}")
        w.page.goto("/admin/payments?state=gift")
        w.page.locator("td a.whole").first.click()
        assert w.page.get_by_text("等待领取").count() or w.page.get_by_text("已领取").count()
        assert not w.is_wider_than_screen()
        w.shot("console-payment")


def test_on_a_phone_the_menu_opens_without_a_script(window, story, boss):
    with window("phone", scripts=False) as w:
        sign_in(w, boss)
        w.page.goto("/admin")
        menu = w.page.locator(".rooms .only-narrow")
        assert not menu.get_by_role("link", name="审计").is_visible()
        menu.locator("summary").click()
        menu.get_by_role("link", name="审计").click()
        assert w.page.locator("h1").inner_text() == "审计"
        assert w.page.get_by_text("链完整至").is_visible()
