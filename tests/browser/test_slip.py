"""The slip page inside a page of WeChat's address, in a real browser whose clock the test moves (R031, R032).

Nothing goes over a network: what the browser asks for is answered by the application in this process.
"""

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.catalog.registry import Registry
from tests.showing.conftest import OAUTH, SUB, Partnerpay, catalog
from tests.support import world as worlds
from tests.support.browsing import pages_of
from tests.support.world import BASE_URL, World

WECHAT = "https://payapp.weixin.qq.com"
ADDRESS = f"{BASE_URL}/slip/wechat?sub_mch_id={SUB}&out_trade_no=OB&check_code={'0' * 32}"
PARENT = """<!doctype html><title>WeChat</title><script>
window.said = []; addEventListener('message', function (e) { said.push([e.origin, JSON.parse(e.data)]); });
</script><style>body{margin:0}iframe{border:0;width:100vw;height:93.75vw;display:block}</style><iframe src="%s"></iframe>"""
OFFICIAL = {"action": "onIframeReady", "displayStyle": "SHOW_OFFICIAL_PAGE"}
CUSTOM = {"action": "onIframeReady", "displayStyle": "SHOW_CUSTOM_PAGE", "height": 600}


@pytest.fixture
def world(tmp_path, monkeypatch):
    real = worlds.registry
    monkeypatch.setattr(
        worlds, "registry", lambda: Registry({**real().adapters, "partnerpay": Partnerpay("partnerpay")})
    )
    made = World(tmp_path, catalog=catalog(OAUTH))
    made.pay("A", "openid-a", channel="hotpot-partner")
    yield made
    made.close()


class Phone:
    """A phone that shows WeChat's page with ours in it."""

    def __init__(self, chromium, world, *, width=360, parent=WECHAT, language="zh-CN", dark=False):
        self.client = pages_of(world).test_client()
        self.looks, self.broken, self.complaints = 0, False, []
        self.context = chromium.new_context(
            viewport={"width": width, "height": 740},
            locale=language,
            has_touch=True,
            color_scheme="dark" if dark else "light",
        )
        # The pages' time stands still but for `wait`.
        self.context.clock.install(time=0)
        self.context.clock.pause_at(1000)
        self.context.route(f"{BASE_URL}/**", self._answer)
        self.context.route(f"{parent}/**", lambda route: route.fulfill(body=PARENT % ADDRESS, content_type="text/html"))
        self.page = self.context.new_page()
        self.context.on("console", self._complain)
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.page.goto(f"{parent}/result")
        self.frame = self.page.frames[1]
        self.frame.wait_for_load_state()

    def _complain(self, message):
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _answer(self, route):
        parts = urlsplit(route.request.url)
        if parts.path.endswith("/look"):
            self.looks += 1
            if self.broken:
                route.abort()
                return
        spoken = {"Accept-Language": route.request.headers.get("accept-language", "")}
        with self.client.get(f"{parts.path}?{parts.query}", headers=spoken) as got:
            route.fulfill(status=got.status_code, headers=dict(got.headers), body=got.data)

    def wait(self, ms):
        """The page's clock goes on; whatever it asked for meanwhile has been answered."""
        looks = self.looks
        self.page.clock.run_for(ms)
        self.page.evaluate("() => fetch('/settle')")
        self.frame.evaluate("() => fetch('/healthz-not')")
        return self.looks - looks

    @property
    def said(self):
        return self.page.evaluate("said")

    def shot(self, name):
        folder = os.environ.get("DRAINAGE_SHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(Path(folder) / f"{name}.png"))


@pytest.fixture
def phone(chromium, world):
    made = []

    def opened(**more):
        made.append(Phone(chromium, world, **more))
        return made[-1]

    yield opened
    for one in made:
        one.context.close()
        # `/settle` and its like are the test's own.
        assert [text for text in one.complaints if "404" not in text] == []


def pay(world):
    world.pay("B", "openid-a", channel="hotpot-partner", amount_fen=2600)
    return world.runtime.link_keys.token(world.links()[-1]["id"])


def text(phone):
    return " ".join(phone.frame.inner_text("main").split())


def test_R032_the_notification_came_first_the_gift_is_there_at_once(world, phone):
    pay(world)
    one = phone()
    assert one.said == [[BASE_URL, CUSTOM]]
    assert text(one) == "付款成功，送你 2 张券 礼品 老王火锅 ¥5.00 甜甜糖水 去领取 每笔付款仅显示一次"
    assert one.wait(11_000) == 0
    assert one.said == [[BASE_URL, CUSTOM]]
    one.shot("slip-gift")


def test_R032_a_late_notification_is_found_by_a_later_look(world, phone):
    one = phone()
    assert text(one) == "正在查看是否有礼…"
    one.shot("slip-looking")
    assert [one.wait(399), one.wait(1), one.wait(400), one.wait(400)] == [0, 1, 1, 1]
    assert one.said == []
    pay(world)
    assert one.wait(600) == 1
    one.frame.wait_for_selector("[data-jump]")
    assert one.said == [[BASE_URL, CUSTOM]]
    one.wait(11_000)
    assert one.said == [[BASE_URL, CUSTOM]]


def test_R032_no_notification_the_official_receipt_within_three_seconds(world, phone):
    one = phone()
    one.wait(2399)
    assert one.said == []
    one.wait(1)
    assert one.said == [[BASE_URL, OFFICIAL]]
    assert text(one) == ""
    # A gift that comes now comes too late: nothing is asked and nothing is said any more.
    pay(world)
    assert one.wait(20_000) == 0
    assert one.said == [[BASE_URL, OFFICIAL]]
    assert text(one) == ""


def test_R032_without_a_network_the_official_receipt_all_the_same(world, phone):
    one = phone()
    one.broken = True
    one.wait(2400)
    one.complaints = [each for each in one.complaints if "ERR_FAILED" not in each]
    assert one.said == [[BASE_URL, OFFICIAL]]


def test_R032_always_ours_says_so_at_two_seconds_and_closes_at_ten(world, phone):
    from gateway.delivery import ways

    now = world.clock()
    world.store.write(lambda tx: ways.switch(tx, now, "hotpot", "slip", "always", "tests"))
    one = phone()
    one.wait(1999)
    assert one.said == []
    one.wait(1)
    assert one.said == [[BASE_URL, CUSTOM]]
    one.wait(7999)
    assert text(one) == "正在查看是否有礼…"
    one.wait(1)
    assert text(one) == "本次没有赠券，谢谢惠顾"
    one.shot("slip-closing")
    assert one.said == [[BASE_URL, CUSTOM]]


def test_R032_always_ours_shows_a_gift_that_comes_after_nine_seconds(world, phone):
    from gateway.delivery import ways

    now = world.clock()
    world.store.write(lambda tx: ways.switch(tx, now, "hotpot", "slip", "always", "tests"))
    one = phone()
    one.wait(9000)
    pay(world)
    one.wait(900)
    one.frame.wait_for_selector("[data-jump]")
    one.wait(5000)
    assert "去领取" in text(one)


def test_R032_only_a_real_tap_jumps_out_and_to_the_claim_address(world, phone):
    token = pay(world)
    one = phone()
    one.frame.evaluate("document.querySelector('[data-jump]').click()")
    assert one.said == [[BASE_URL, CUSTOM]]
    one.frame.tap("[data-jump]")
    assert one.said[1:] == [[BASE_URL, {"action": "jumpOut", "jumpOutUrl": f"{BASE_URL}/c/{token}"}]]
    assert urlsplit(one.frame.url).path == "/slip/wechat"


def test_R032_another_page_may_not_frame_it_and_hears_nothing(world, phone):
    pay(world)
    one = phone(parent="https://elsewhere.example")
    assert one.said == []
    assert any("frame-ancestors" in each for each in one.complaints)
    one.complaints = []


@pytest.mark.parametrize(("width", "language"), [(320, "zh-CN"), (360, "en"), (414, "zh-CN"), (640, "en")])
def test_R032_everything_fits_600_of_640_units_without_scrolling(world, phone, width, language):
    more = "".join(
        f'[item.more-{n}]\nmerchant = "hotpot"\nname = "赠品{n}"\nkind = "gift"\noffer = "own"\n' for n in range(4)
    )
    long = "名字特别特别特别特别特别特别特别特别特别特别长的火锅店旗舰分店"
    world.apply(catalog(OAUTH).replace("own = 1", "own = 4").replace("老王火锅", long) + more)
    # Parts of its own, which know the new catalogue at once.
    world.runtime = world.another_runtime()
    pay(world)
    one = phone(width=width, language=language)
    unit = width / 640
    facts = one.frame.evaluate(
        """() => { const box = q => { const r = document.querySelector(q).getBoundingClientRect(); return [r.top, r.bottom, r.height]; };
        const small = [...document.querySelectorAll('main *')].filter(e => e.childNodes.length && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
        return {height: document.documentElement.scrollHeight, width: document.documentElement.scrollWidth, main: document.querySelector('main').scrollHeight,
        button: box('.get'), last: box('.once'), list: box('ul'), text: Math.min(...small.map(e => parseFloat(getComputedStyle(e).fontSize)))}; }"""
    )
    assert facts["height"] <= 600 * unit + 1
    assert facts["main"] <= 600 * unit + 1
    assert facts["width"] <= width
    assert facts["button"][2] >= 88 * unit - 0.5
    assert facts["text"] >= 28 * unit - 0.1
    assert facts["list"][1] <= facts["button"][0]
    assert facts["last"][1] <= 600 * unit + 1
    assert one.frame.is_visible(".more")
    one.shot(f"slip-{width}-{language}")


def test_R032_the_message_is_text_as_documented(world, phone):
    pay(world)
    one = phone()
    assert json.dumps(one.said[0][1], separators=(",", ":")) == json.dumps(CUSTOM, separators=(",", ":"))
