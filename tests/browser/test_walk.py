"""The newcomer's walk through the demo in a real browser, and each page at three sizes (R050–R057, R060–R071, R248)."""

import pytest

from tests.browser.conftest import PASSWORD, SIZES  # noqa: F401


def pay(page, action="pay"):
    page.click(f"button[name=action][value={action}]")
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("size", SIZES)
def test_sandbox_pay_twice_claim_redeem(window, size):
    with window(size) as w:
        page = w.page
        page.goto("/sandbox")
        page.click("button[name=action][value=guest]")
        pay(page)
        phone = page.frame_locator("iframe")
        assert "首次付款：已标识，下次付款开始有礼" in phone.locator("body").inner_text()
        w.shot("sandbox-first")
        pay(page)
        assert page.locator("[data-identical=yes]").count() == 1
        w.shot("sandbox-second")
        phone.get_by_role("link", name="去领取").first.click()
        phone.get_by_role("button", name="领取").click()
        phone.get_by_role("heading", name="已领取").wait_for()
        w.shot("sandbox-claimed")
        page.goto(page.url)
        w.shot("sandbox-with-code")
        page.get_by_role("button", name="用这张券去").click()
        page.get_by_role("button", name="核销", exact=True).click()
        assert page.locator("[data-result=used_now]").is_visible()
        w.shot("redeem-used")
        page.goto("/status")
        w.shot("status")
        assert not w.is_wider_than_screen()
