"""The whole hop over real sockets: gateway processes, the twin behind them, a browser's requests; and what the logs keep."""

import re
import secrets
import time
from html import unescape
from importlib.resources import files
from urllib.parse import urljoin

import pytest
import requests

from gateway.demo.house import DemoHouse
from gateway.demo.story import Story, _Form
from tests.support.wallets import ALIPAY_UA, WECHAT_UA


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """The demo in two processes, its circle bound to wallets."""
    with DemoHouse(tmp_path_factory.mktemp("sockets") / "home", workers=2, say=lambda _line: None) as running:
        shops = running.home / "shops.toml"
        assert files("gateway.demo").joinpath("shops.toml").is_file()
        shops.write_text(shops.read_text("utf-8").replace('binding = "bearer"', 'binding = "oauth"'), "utf-8")
        running.drainage("apply", str(shops))
        yield running


@pytest.fixture(scope="module")
def story(house):
    telling = Story(house, lambda _line: None)
    yield telling
    telling.close()


class Walker(requests.Session):
    """A wallet's browser; every address it stood at is kept."""

    def __init__(self, user_agent):
        super().__init__()
        self.trust_env = False
        self.headers["User-Agent"] = user_agent
        self.stood_at = []

    def open(self, url, guest):
        """Go to `url`, and as `guest` wherever it leads."""
        page = self.get(url, timeout=10)
        way = re.search(rf'href="([^"]+&amp;as={guest})"', page.text)
        if way is not None:
            page = self.get(urljoin(page.url, unescape(way[1])), timeout=10)
        self.stood_at += [one.url for one in (*page.history, page)]
        return page


def link_of(house, story, guest, channel):
    """A fresh link of this guest's."""
    story._pay(channel, f"sandbox-guest-{guest}", 2600)
    paid = story._pay(channel, f"sandbox-guest-{guest}", 2600)
    return story._payment(paid)["links"][0]["url"]


def until_bound(url):
    """The running gateway works by the new catalogue within two seconds; waited for by looking, not by the clock."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if "钱包" in requests.get(url, timeout=10, headers={"Accept-Language": "zh"}).text:
            return
    raise AssertionError("the circle is not bound to wallets")


@pytest.mark.parametrize(
    ("channel", "guest", "user_agent"),
    [("noodles-wechat", "A", WECHAT_UA), ("books-alipay", "A", ALIPAY_UA), ("coffee-wechat", "B", WECHAT_UA)],
)
def test_R052_a_payer_claims_and_a_stranger_gets_the_neutral_page(house, story, channel, guest, user_agent):
    url = link_of(house, story, guest, channel)
    until_bound(url)
    payer, stranger = Walker(user_agent), Walker(user_agent)
    page = payer.open(url, guest)
    assert page.status_code == 200, page.text[:500]
    assert page.url.startswith(f"{house.base_url}/c")
    assert url not in page.url
    form = _Form()
    form.feed(page.text)
    claimed = payer.post(page.url, data=form.hidden, timeout=10)
    codes = set(re.findall(r'data-coupon="([^"]+)"', claimed.text))
    assert claimed.status_code == 200
    assert codes
    neutral = stranger.open(url, "C")
    assert neutral.status_code == 404
    assert (
        neutral.content == Walker(user_agent).get(f"{house.base_url}/c/{secrets.token_urlsafe(16)}", timeout=10).content
    )
    # Reloading the way back, as people do, is no error and no second sign-in.
    (back,) = [one for one in payer.stood_at if "/wallet/back/" in one]
    assert payer.get(back, timeout=10).url.startswith(f"{house.base_url}/c")
    assert Walker(user_agent).get(back, timeout=10).status_code == 400


def test_R057_the_logs_hold_no_token_code_state_or_openid(house, story):
    url = link_of(house, story, "C", "noodles-wechat")
    until_bound(url)
    walker = Walker(WECHAT_UA)
    walker.open(url, "C")
    (back,) = [one for one in walker.stood_at if "/wallet/back/" in one]
    state, code = re.search(r"state=(\w+)", back)[1], re.search(r"code=(\w+)", back)[1]
    # Something that is logged, so that the log is known to be one.
    walker.get(back.replace(state, "0" * 32), timeout=10)
    logs = "".join(path.read_text("utf-8", "replace") for path in house.home.glob("*.log"))
    for secret in (url.rpartition("/")[2], state, code, "sandbox-guest-C"):
        assert secret not in logs
