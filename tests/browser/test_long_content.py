"""Names as long as the catalogue takes, large sums and many rows: no page breaks, at 320 px and on a desk."""

from importlib.resources import files

import pytest

from gateway.demo.house import DemoHouse
from gateway.demo.story import Story
from tests.browser.conftest import Window
from tests.browser.looking import faults
from tests.browser.surfaces import session_of

WORD = "Donaudampfschifffahrtsgesellschaftskapitaenswitwenrente"
NAME = "一家名字特别特别特别长的店铺它的名字写到纸上都要换三行" + WORD


@pytest.fixture(scope="module")
def long_house(tmp_path_factory, chromium):
    """The demo with everything renamed, and prices of a million."""
    home = tmp_path_factory.mktemp("long") / "home"
    with DemoHouse(home, workers=1, say=lambda _line: None) as running:
        shops = (home / "shops.toml").read_text("utf-8")
        for name in ("老陈面馆", "青禾书店", "半日咖啡", "梧桐里店", "拿铁立减5元", "手工书签一枚", "拿铁券 5 杯"):
            assert name in shops
            shops = shops.replace(name, f"{name}{NAME}"[:80])
        shops = shops.replace("value_fen = 500", "value_fen = 98765432").replace(
            "price_fen = 6800", "price_fen = 98765432"
        )
        (home / "shops.toml").write_text(shops, "utf-8")
        running.drainage("apply", str(home / "shops.toml"))
        yield running


@pytest.fixture(scope="module")
def long_story(long_house):
    telling = Story(long_house, lambda _line: None)
    for number in range(6):
        telling._pay("noodles-wechat", f"long-{number // 2}", 9_999_999_00)
    yield telling
    telling.close()


PHONE = "/sandbox/phone/A"
CUSTOMER = (
    f"{PHONE}/buy?circle=wutong",
    f"{PHONE}/me",
    f"{PHONE}/me/privacy",
    "/till/noodles-1",
    "/s/noodles-1",
    "/sandbox",
)
STAFF = (
    "/status", "/redeem", "/till/noodles-1/clerk", "/admin", "/admin/payments", "/admin/items", "/admin/items/latte-5off",
    "/admin/merchants", "/admin/channels", "/admin/channels/noodles-wechat", "/admin/pairs", "/admin/offers/wutong",
    "/admin/audit", "/admin/shops/noodles-1/poster", "/admin/delivery", "/admin/keys", "/admin/export",
)  # fmt: skip


def test_the_names_are_as_long_as_names_may_be(long_house):
    assert files("gateway.demo").joinpath("shops.toml").read_text("utf-8").count("老陈面馆") >= 1
    assert f"老陈面馆{NAME}"[:80] in long_house.drainage("export")


@pytest.mark.parametrize("size", ["phone", "desk"])
def test_R248_long_content_breaks_no_page(chromium, long_house, long_story, size):
    w = Window(chromium, long_house.base_url, size)
    wrong = {}

    def look(path, act=lambda: None):
        w.page.goto(path)
        act()
        if size == "phone":
            w.page.set_viewport_size({"width": 320, "height": 640})
        found = faults(w.page, "zh-CN")
        if found:
            wrong[path] = found
            w.shot(f"long{path.replace('/', '-')}")

    try:
        for path in CUSTOMER:
            look(path)
        link = long_story.open_link()
        look(link)
        look("/c?n=1", lambda: (w.page.click("main form button"), w.page.wait_for_selector("[data-coupon]")))
        w.context.add_cookies([session_of(long_house, "operator")])
        for path in STAFF:
            look(path)
        look("/admin/payments", lambda: (w.page.locator("main table a").first.click(), w.page.locator("h1").wait_for()))
    finally:
        w.context.close()
    assert wrong == {}
    assert w.complaints == []
