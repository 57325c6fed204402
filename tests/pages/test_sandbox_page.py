"""`/sandbox` over the real house: real signatures, real HTTP, a real till; and what it must never do (R073)."""

import base64
import hashlib
import re

import pytest
import requests

from gateway import sandbox
from gateway.contract.errors import Refused
from gateway.demo.house import DemoHouse
from gateway.runtime import create
from gateway.web.sandbox import moves
from gateway.web.sandbox.desk import Desk, keep_desk, read_desk
from tests.support.browsing import Browser, Page, pages_of
from tests.support.world import World


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    home = tmp_path_factory.mktemp("sandbox-house") / "home"
    with DemoHouse(home, workers=1, say=lambda _line: None) as running:
        yield running


class Visitor:
    """A browser before the real gateway."""

    def __init__(self, base_url):
        self.base_url = base_url
        self.session = requests.Session()

    def get(self, path):
        return self._page(self.session.get(self.base_url + path, timeout=20))

    def press(self, page, action, **values):
        form = page.form("/sandbox")
        data = {**form["hidden"], "channel": "noodles-wechat", "guest": "A", "amount": "26.00", "action": action}
        return self._page(self.session.post(self.base_url + "/sandbox", data={**data, **values}, timeout=30))

    def send(self, page, action, **values):
        form = page.form(action)
        return self._page(self.session.post(self.base_url + action, data={**form["hidden"], **values}, timeout=20))

    def claim(self, link):
        form = self.get(link).form()["hidden"]
        return self._page(self.session.post(self.base_url + link, data=form, timeout=20))

    def _page(self, answer):
        answer.get_data = lambda as_text=False: answer.text if as_text else answer.content
        return Page(answer)


@pytest.fixture
def visitor(house):
    return Visitor(house.base_url)


@pytest.fixture
def guest(visitor):
    """A guest who has never paid."""
    page = visitor.press(visitor.get("/sandbox"), "guest")
    return re.findall(r'<option value="([A-Z])" selected>', page.html)[0]


CHANNELS = ("noodles-wechat", "books-alipay", "coffee-wechat")


@pytest.mark.parametrize("channel", CHANNELS)
def test_paying_twice_tags_then_gives_and_the_till_got_every_byte(visitor, guest, channel):
    page = visitor.press(visitor.get("/sandbox"), "pay", channel=channel, guest=guest)
    assert "首次付款：已标识，下次付款开始有礼" in page.text
    assert 'data-identical="yes"' in page.html
    again = visitor.press(page, "pay", channel=channel, guest=guest)
    assert "已发券" in again.text
    assert "完全一致" in again.text
    phone = visitor.get(f"/sandbox/phone/{guest}/")
    (link,) = [href for href in phone.links if "/c/" in href]
    assert link.startswith(f"/sandbox/phone/{guest}/c/")
    claim = visitor.get(link)
    assert "frame-ancestors 'self'" in claim.response.headers["Content-Security-Policy"]
    assert f'data-address="/sandbox/phone/{guest}/c?n=' in claim.html
    done = visitor.claim(link)
    assert done.coupons
    assert done.response.url.endswith(link)


def test_a_bad_signature_and_a_stale_time_are_passed_on_and_not_processed(visitor, guest):
    page = visitor.get("/sandbox")
    for action in ("bad_signature", "stale"):
        page = visitor.press(page, action, guest=guest)
        assert "已原样转给收银系统，我们没有处理" in page.text
        assert 'data-identical="yes"' in page.html
    assert "还没有券" in visitor.get(f"/sandbox/phone/{guest}/").text


def test_three_repeats_are_passed_on_and_counted_once(visitor, guest):
    page = visitor.press(visitor.get("/sandbox"), "pay", guest=guest)
    page = visitor.press(page, "repeat", guest=guest)
    assert "收到三次同样的通知" in page.text
    assert page.html.count('data-identical="yes"') == 3
    assert "200 · 200 · 200" in page.text


def test_a_till_that_is_down_is_told_to_the_platform_and_the_payment_counts_once(visitor, guest):
    page = visitor.press(visitor.get("/sandbox"), "down", guest=guest)
    assert "503 · 200" in page.text
    assert "付款只记一次" in page.text


def test_a_refund_voids_what_the_payment_gave(visitor, guest):
    page = visitor.get("/sandbox")
    assert visitor.press(page, "refund", guest=guest).status == 409
    for _ in range(2):
        page = visitor.press(page, "pay", guest=guest)
    page = visitor.press(page, "refund", guest=guest)
    assert "退款 ¥26.00：没用的券已作废" in page.text
    assert "已作废" in visitor.get(f"/sandbox/phone/{guest}/").text


def test_a_coupon_is_carried_to_the_redeem_page_without_a_sign_in(visitor, guest):
    page = visitor.get("/sandbox")
    for _ in range(2):
        page = visitor.press(page, "pay", guest=guest)
    (link,) = [href for href in visitor.get(f"/sandbox/phone/{guest}/").links if "/c/" in href]
    visitor.claim(link)
    ready = visitor.get(f"/sandbox?guest={guest}")
    code = ready.form("/sandbox/use")["hidden"]["code"]
    redeem = visitor.send(ready, "/sandbox/use", code=code)
    assert "使用这张券？" in redeem.text
    used = visitor.send(redeem, "/redeem", code=code)
    assert "可用 已核销" in used.text


@pytest.mark.parametrize(
    "values",
    [
        {"amount": ""},
        {"amount": "0"},
        {"amount": "-1"},
        {"amount": "1.234"},
        {"amount": "100000.01"},
        {"amount": "x"},
        {"guest": "Z"},
        {"guest": ""},
        {"channel": ""},
        {"channel": "nothing"},
        {"channel": "../noodles-wechat"},
    ],
)
def test_what_is_no_order_is_told_and_nothing_is_sent(visitor, values):
    page = visitor.press(visitor.get("/sandbox"), "pay", **values)
    assert page.status == 422
    assert "请先改正 1 处" in page.text


def test_an_action_that_is_none_is_refused(visitor):
    assert visitor.press(visitor.get("/sandbox"), "steal").status == 400


# -- without the house ------------------------------------------------------------------------------------------------


def test_R073_without_the_setting_there_is_no_sandbox(world, app):
    browser = Browser(app)
    for path in ("/sandbox", "/sandbox/phone/A/", "/sandbox/phone/A/c/x"):
        assert browser.get(path).h1 == "这个链接不可用"
    hidden = browser.get("/login").form()["hidden"]
    assert browser.post("/sandbox", {**hidden, "action": "pay"}).status == 404
    assert browser.post("/sandbox/use", hidden).status == 404


def test_R073_real_channels_are_never_paid_at_and_nobody_signs_in_by_their_coupons(tmp_path):
    world = World(tmp_path, sandbox=True)
    browser = Browser(pages_of(world))
    code = world.code()
    page = browser.get("/sandbox")
    assert "还没有沙盒渠道" in page.text
    hidden = browser.get("/login").form()["hidden"]
    order = {**hidden, "action": "pay", "channel": "hotpot-pay", "guest": "A", "amount": "1.00"}
    assert browser.post("/sandbox", order).status == 422
    taken = browser.post("/sandbox/use", {**hidden, "code": code})
    assert taken.status == 404
    assert "Set-Cookie" not in taken.response.headers
    with pytest.raises(Refused) as refused:
        sandbox.make_payment(world.runtime, "hotpot-pay", openid="o", amount_fen=1, now=world.clock())
    assert refused.value.code == "not_found"
    world.close()


def test_the_desk_remembers_the_newest_and_survives_nonsense(tmp_path):
    world = World(tmp_path, sandbox=True)
    home = world.home
    assert read_desk(home) == Desk()
    desk = Desk()
    for _ in range(40):
        desk = desk.with_guest()
    assert desk.names[-1] == "Z"
    keep_desk(home, desk)
    assert read_desk(home) == desk
    for nonsense in (
        b"",
        b"{}",
        b"[]",
        b'{"guests": "x", "exchanges": []}',
        b'{"guests": 4, "exchanges": [{}]}',
        b"\xff",
    ):
        (home.run_dir / "sandbox.json").write_bytes(nonsense)
        assert read_desk(home) == Desk()
    world.close()


@pytest.mark.parametrize(
    ("one", "other", "at"),
    [
        (b"abc", b"abc", None),
        (b"abc", b"abd", 3),
        (b"abc", b"ab", 3),
        (b"ab", b"abc", 3),
        (b"", b"x", 1),
        (b"", b"", None),
    ],
)
def test_the_first_difference_is_counted_from_one(one, other, at):
    assert moves.first_difference(one, other) == at


def test_a_changed_byte_or_header_is_no_identity(house):
    runtime = create(house.home, environ={})
    raw, _ = sandbox.make_payment(runtime, "noodles-wechat", openid="o", amount_fen=1, now=runtime.clock())
    runtime.store.close()

    def seen(body, headers, method="POST"):
        return sandbox.TillRequest(
            1, "", method, "/", tuple(headers), base64.b64encode(body).decode(), hashlib.sha256(body).hexdigest()
        )

    same = moves.compare(raw.headers, raw.body, seen(raw.body, [(n.upper(), v) for n, v in raw.headers]))
    assert same.is_identical
    assert not moves.compare(raw.headers, raw.body, seen(raw.body[:-1], raw.headers)).is_identical
    assert not moves.compare(raw.headers, raw.body, seen(raw.body, raw.headers[1:])).is_identical
    assert not moves.compare(raw.headers, raw.body, seen(raw.body, raw.headers, "PUT")).is_identical
    bad = sandbox.with_bad_signature(raw)
    assert len(bad.body) == len(raw.body)
    assert sum(a != b for a, b in zip(bad.body, raw.body, strict=True)) == 1
