"""Who signed in for one circle is nobody in another with an app of its own: each campaign's page asks anew (R008)."""

import importlib

import pytest

from gateway.contract.campaign_kind import Data, Page, Pages, SignInFirst, Visit
from tests.support.tally import Tally
from tests.support.wallets import CATALOG, WECHAT_UA, WalletTown
from tests.support.world import START, World

LANE = """
[circle.lane]
name = "同一个小程序"
binding = "oauth"
[merchant.lane-noodles]
circle = "lane"
name = "老陈面馆二店"
[shop.lane-1]
merchant = "lane-noodles"
name = "二店"
[channel.lane-wechat]
merchant = "lane-noodles"
shop = "lane-1"
adapter = "wechat_v3"
intake = "copy"
sandbox = true
keys = { appid = "wx0000000000wutong" }
"""
GOODS = {"wutong": ("coffee", "latte-5off"), "hill": ("tea", "cup"), "lane": ("lane-noodles", "lane-cup")}
TABLES = {
    "two_sided": "user_bps = 100\nmerchant_fen = 100",
    "referral": 'referred_item = "{item}"',
    "micro_merchant": "reward_bps = 500",
}
PATHS = {
    "two_sided": "/campaigns/two_sided/{slug}",
    "referral": "/campaigns/referral/{slug}",
    "micro_merchant": "/campaigns/micro_merchant/apply?campaign={slug}",
}


def catalog():
    """The town of wallets, a third circle with the first one's app, and one campaign of each kind in each circle."""
    text = CATALOG + LANE + '[item.lane-cup]\nmerchant = "lane-noodles"\nname = "一杯"\nkind = "gift"\noffer = "own"\n'
    for kind, table in TABLES.items():
        if _is_installed(kind):
            for circle, (_, item) in GOODS.items():
                text += (
                    f'[campaign.{kind.replace("_", "-")}-{circle}]\nkind = "{kind}"\ncircle = "{circle}"\n'
                    f'state = "live"\nbudget_fen = 100000\n{table.format(item=item)}\n'
                )
    return text


def _is_installed(kind):
    return importlib.util.find_spec(f"campaigns.{kind}.kind") is not None


@pytest.fixture
def town(tmp_path):
    made = WalletTown(tmp_path, catalog=catalog())
    yield made
    made.close()


def path_of(kind, circle):
    return PATHS[kind].format(slug=f"{kind.replace('_', '-')}-{circle}")


@pytest.mark.parametrize("kind", TABLES)
def test_R008_another_circles_campaign_asks_that_circles_wallet_once(town, kind):
    pytest.importorskip(f"campaigns.{kind}.kind")
    phone = town.phone(WECHAT_UA)
    first = phone.walk(path_of(kind, "wutong"), guest="A")
    assert first.status == 200, first.text[:300]
    assert len(town.calls) == 1
    assert phone.get(path_of(kind, "wutong")).status == 200
    # The same app: he is known there, and nobody is asked.
    assert phone.get(path_of(kind, "lane")).status == 200
    assert len(town.calls) == 1
    # An app of its own: off to it, and back to the page; it is another person for us.
    page = phone.walk(path_of(kind, "hill"), guest="A")
    assert page.status == 200, page.text[:300]
    assert [call for call in town.calls if "tea-wechat" in call] == [town.calls[-1]]
    assert len(town.calls) == 2
    assert phone.get(path_of(kind, "hill")).status == 200
    # And back again, however often.
    for circle in ("wutong", "hill", "wutong"):
        assert phone.walk(path_of(kind, circle), guest="A").status == 200


@pytest.mark.parametrize("kind", TABLES)
def test_R008_a_form_of_another_circles_page_is_not_taken_from_a_stranger(town, kind):
    pytest.importorskip(f"campaigns.{kind}.kind")
    phone = town.phone(WECHAT_UA)
    page = phone.walk(path_of(kind, "wutong"), guest="A")
    before = list(town.calls)
    hidden = next((form["hidden"] for form in page.forms if "csrf_token" in form["hidden"]), {})
    answer = phone.post(path_of(kind, "hill"), hidden)
    assert answer.status in {400, 403, 405}, answer.text[:300]
    if hidden and answer.status != 405:
        # He is told why, and may go on from there.
        assert (answer.status, answer.h1) == (403, "确认是你本人")
    assert town.calls == before


def visit(person="p_1", circle="wutong"):
    return Visit("GET", person, "", "", "192.0.2.1", {}, {}, {}, {}, START, circle=circle)


def test_R008_a_visit_tells_who_looks_or_asks():
    assert visit().known_in("wutong") == "p_1"
    assert visit("", "").known_in("wutong") == ""
    with pytest.raises(SignInFirst) as asked:
        visit().known_in("hill")
    assert asked.value.circle == "hill"


class Greedy(Tally):
    """Its page wants two circles at once."""

    def __init__(self, folder):
        super().__init__()
        self.seen = []
        self.pages = Pages("tally", folder, customer=(Page("/campaigns/tally/both", self._look),))

    def _look(self, _house, looked):
        self.seen.append((looked.person, looked.circle))
        looked.known_in("riverside")
        looked.known_in("hillside")
        return Data({"person": looked.person})


def test_R008_a_page_that_wants_two_circles_at_once_is_not_found_and_goes_round_nowhere(tmp_path, monkeypatch):
    from flask import session

    from gateway.web.pages import customer, wallet
    from tests.support.browsing import Browser, pages_of
    from tests.support.world import BASE_URL

    kind = Greedy(tmp_path)
    world = World(tmp_path, sandbox=True, kinds=[kind])
    app = pages_of(world)
    world.pay("T1", "openid-a")
    known = customer.Customer(world.person_of("T1"), "wechat", "riverside", "2026-12-01T00:00:00.000Z")
    # Known everywhere: the worst that a host may be told.
    monkeypatch.setattr(wallet, "require", lambda *_args: known)
    browser = Browser(app)
    with browser.client.session_transaction(base_url=BASE_URL) as kept, app.test_request_context():
        customer.enter(known.person, "wechat", "riverside", world.clock())
        kept.update(session)
    assert browser.get("/campaigns/tally/both").status == 404
    assert [circle for _, circle in kind.seen] == ["riverside", "hillside"]
    world.close()
