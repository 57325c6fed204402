"""Replacing a channel's key: old and new hold together, the old goes a day later, and none is ever shown (R246)."""

import re

import pytest

from gateway.catalog.registry import installed
from gateway.runtime import create
from tests.support.browsing import Browser, pages_of
from tests.support.world import World, cheap_hasher

OLD, NEW = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
CATALOG = """
[circle.wutong]
name = "梧桐里"
binding = "bearer"
[merchant.noodles]
circle = "wutong"
name = "老陈面馆"
"""
CHANNEL = f"""
[channel.noodles-v2]
merchant = "noodles"
adapter = "wechat_v2"
intake = "copy"
keys = {{ mchid = "1900000001", appid = "wx0000000000000001", api_key = "{OLD}" }}
"""
PATH = "/admin/keys/noodles-v2/api_key"


class RealWorld(World):
    """A world whose platforms are the real ones."""

    def another_runtime(self):
        made = create(self.home.root, environ={}, clock=self.clock, registry=installed([]), hasher=cheap_hasher())
        self._runtimes.append(made)
        return made


@pytest.fixture
def real(tmp_path):
    made = RealWorld(tmp_path, catalog=CATALOG)
    made.apply(CHANNEL)
    made.user("op", "operator")
    made.clock.move(minutes=1)
    yield made
    made.close()


@pytest.fixture
def browser(real):
    return Browser(pages_of(real)).sign_in("op")


def prints(page):
    return re.findall(r'data-label="指纹"><span class="mono">([^<]+)<', page.html)


def removal(browser, page, key):
    token = page.forms[0]["hidden"]["csrf_token"]
    return browser.post("/admin/keys/noodles-v2/api_keys/remove", {"csrf_token": token, "key": key})


def test_old_and_new_hold_together_and_the_old_goes_a_day_later(real, browser):
    (old,) = prints(browser.get("/admin/keys"))
    form = browser.get(PATH)
    assert OLD not in form.html
    page = browser.follow(browser.send(form, PATH, value=NEW))
    assert "旧的同时有效" in page.text
    both = prints(page)
    assert len(both) == 2
    assert old in both
    assert '/remove"' not in page.html
    assert "没有改动" in browser.follow(removal(browser, page, old)).text
    real.clock.move(hours=24, seconds=1)
    real.user("later", "operator")
    browser = Browser(pages_of(real)).sign_in("later")
    page = browser.get("/admin/keys")
    assert page.html.count('/remove"') == 1
    new = next(one for one in both if one != old)
    assert "没有改动" in browser.follow(removal(browser, page, new)).text, "the newest stays"
    assert "已移除" in browser.follow(removal(browser, page, old)).text
    page = browser.get("/admin/keys")
    assert prints(page) == [new]
    assert ">api_key<" in page.html, "one key stands alone again, as the channel's own form writes it"
    told = str([tuple(row) for row in real.all("SELECT who, object, before, after FROM audit")])
    assert old in told
    assert new in told
    for secret in (OLD, NEW):
        assert secret not in told
        assert secret not in page.html


@pytest.mark.parametrize("value", ["", "too short", "x" * 33, "密钥" * 16, "x" * 9000])
def test_a_key_that_does_not_hold_changes_nothing_and_is_not_filled_in_again(browser, value):
    before = prints(browser.get("/admin/keys"))
    page = browser.send(browser.get(PATH), PATH, value=value)
    assert page.status == 422
    assert "密钥不会回填" in page.text
    assert "请先改正 1 处" in page.text
    assert not value or value not in page.html
    assert prints(browser.get("/admin/keys")) == before


@pytest.mark.parametrize("path", ["noodles-v2/mchid", "noodles-v2/nothing", "nobody/api_key", "noodles-v2/api_keys"])
def test_what_is_no_key_of_a_channel_in_scope_is_404(browser, path):
    assert browser.get(f"/admin/keys/{path}").status == 404


def test_a_form_that_was_overtaken_changes_nothing(browser):
    form = browser.get(PATH)
    browser.send(form, PATH, value=NEW)
    again = browser.send(form, PATH, value="0" * 32)
    assert again.status == 404, "the one key has become a list meanwhile"
    assert len(prints(browser.get("/admin/keys"))) == 2
