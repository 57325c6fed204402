"""Setting a shop up in a real browser: the pages fit, the test notification goes its whole way, the grid outlines changes."""

import pytest

from tests.browser.test_console import sign_in

PAGES = {
    "setup": "/admin/setup",
    "setup-channel": "/admin/setup/channel?merchant=noodles",
    "setup-channel-new": "/admin/setup/channel?merchant=noodles&new=1&adapter=wechat_v3",
    "setup-live": "/admin/setup/live?merchant=noodles",
    "merchants": "/admin/merchants",
    "channels": "/admin/channels",
    "channel": "/admin/channels/noodles-wechat",
    "items": "/admin/items",
    "item": "/admin/items/latte-5off",
    "pairs": "/admin/pairs",
    "pairs-one": "/admin/pairs?shop=coffee",
    "offers": "/admin/offers",
    "offer": "/admin/offers/wutong",
    "simulate": "/admin/offers/wutong/simulate",
    "poster": "/admin/shops/noodles-1/poster",
    "poster-90": "/admin/shops/noodles-1/poster?size=90mm",
}


@pytest.mark.parametrize(("size", "dark"), [("desk", False), ("phone", True)])
def test_every_page_fits_its_screen_and_complains_of_nothing(window, story, boss, size, dark):
    assert story.open_link()
    with window(size, dark=dark) as w:
        sign_in(w, boss)
        for name, path in PAGES.items():
            w.page.goto(path)
            assert w.page.locator("h1").count() == 1, name
            w.shot(name)
            assert not w.is_wider_than_screen(), name


def test_a_test_notification_arrives_is_answered_and_is_identical(window, story, boss):
    """R012: over the real address, through the real relay, to the demo's till."""
    with window("desk") as w:
        sign_in(w, boss)
        w.page.goto("/admin/setup/channel?merchant=noodles")
        w.page.get_by_role("button", name="重新自检").click()
        w.page.get_by_text("密钥能解开样例").wait_for()
        w.page.get_by_role("button", name="发送测试通知").click()
        w.page.get_by_text("内容逐字节一致").wait_for()
        assert w.page.get_by_text("入口收到").count() == 1
        w.shot("setup-checks")


def test_changed_cells_are_outlined_counted_and_a_block_mirrors_itself(window, story, boss):
    with window("desk") as w:
        sign_in(w, boss)
        w.page.goto("/admin/pairs")
        w.page.select_option("select[name='noodles>books']", "block")
        assert w.page.locator("select[name='books>noodles']").input_value() == "block"
        assert w.page.locator("select.changed").count() == 2
        assert "2" in w.page.locator("#changed").inner_text()
        w.shot("pairs-changed")
        w.page.select_option("select[name='books>noodles']", "allow")
        assert w.page.locator("select.changed").count() == 0


def test_without_scripts_the_item_form_previews_and_names_its_faults(window, story, boss):
    with window("phone", scripts=False, allow=("422",)) as w:
        sign_in(w, boss)
        w.page.goto("/admin/items/latte-5off")
        w.page.fill("#f-name", "拿铁立减8元")
        w.page.fill("#f-value_fen", "8.00")
        w.page.get_by_role("button", name="只看卡片").click()
        assert "¥8.00" in w.page.locator(".coupon").inner_text()
        w.page.fill("#f-value_fen", "abc")
        w.page.get_by_role("button", name="保存").click()
        assert w.page.locator("[role=alert]").count() >= 1
        w.shot("item-fault")
