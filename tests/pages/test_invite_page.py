"""`/i/<token>`: looking changes nothing; the sandbox's form confirms; the outcome is told (R025, R026, R038)."""

import pytest

from gateway.contract.errors import Refused
from gateway.wallets import payer_of
from tests.support.browsing import Browser, pages_of
from tests.support.world import CATALOG, World


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, sandbox=True)
    yield made
    made.close()


@pytest.fixture
def share(world):
    world.pay("P-source", "openid-source")
    return world.runtime.sharing.create(world.person_of("P-source"), "riverside", world.clock()).token


def confirm(browser, share, **values):
    return browser.send(browser.get(f"/i/{share}"), f"/i/{share}", **values)


def outcome(page) -> str:
    return next(value for _, name, value in page.attributes if name == "data-outcome")


def test_R025_looking_changes_nothing_and_names_the_circle(world, browser, share):
    before = world.one("SELECT count(*) AS n FROM tags")["n"]
    page = browser.get(f"/i/{share}")
    assert (page.status, page.h1) == (200, "邀请你加入滨江商圈")
    assert set(page.form()["inputs"]) == {"csrf_token", "openid", "channel"}
    assert world.one("SELECT count(*) AS n FROM tags")["n"] == before
    assert world.all("SELECT id FROM share_attempts") == []


def test_R025_confirming_tags_actively_with_the_sharer_as_source(world, browser, share):
    answer = confirm(browser, share, openid="openid-new", channel="hotpot-pay")
    assert answer.status == 303
    page = browser.follow(answer)
    assert (page.status, outcome(page)) == (200, "tagged")
    tag = world.all("SELECT * FROM tags ORDER BY id")[-1]
    assert (tag["mode"], tag["source_id"]) == ("active", world.person_of("P-source"))
    world.pay("P-new", "openid-new")
    assert world.person_of("P-new") == tag["person"]


def test_R026_a_live_tag_stays(world, browser, share):
    world.pay("P-known", "openid-known")
    page = browser.follow(confirm(browser, share, openid="openid-known", channel="hotpot-pay"))
    assert outcome(page) == "already_tagged"
    assert page.h1 == "你已经加入了"


def test_R038_ones_own_invitation(world, browser, share):
    page = browser.follow(confirm(browser, share, openid="openid-source", channel="hotpot-pay"))
    assert outcome(page) == "self_referral"


@pytest.mark.parametrize("openid", ["", " ", "x" * 129, "a b", "券", "a\nb", "\x7f"])
def test_R025_an_openid_that_is_none_is_asked_for_again(world, browser, share, openid):
    page = confirm(browser, share, openid=openid, channel="hotpot-pay")
    assert page.status == 422
    assert 'aria-invalid="true"' in page.html
    assert world.all("SELECT id FROM share_attempts") == []


@pytest.mark.parametrize("channel", ["", "nothing", "noodles-pay", "../x"])
def test_R025_a_channel_that_is_none_of_the_circles(world, browser, share, channel):
    page = confirm(browser, share, openid="o", channel=channel)
    assert page.status == 422
    assert "没有这个渠道" in page.text


@pytest.mark.parametrize("token", ["x", "A" * 21 + "Q", "%00", "outcome"])
def test_R056_an_unknown_invitation_is_the_neutral_page(browser, share, token):
    assert browser.get(f"/i/{token}").h1 == "这个链接不可用"
    hidden = browser.get(f"/i/{share}").form()["hidden"]
    assert browser.post(f"/i/{token}", {**hidden, "openid": "o", "channel": "hotpot-pay"}).status == 404


def test_R056_guessing_invitations_is_throttled_and_genuine_ones_are_not(browser, share):
    assert [browser.get(f"/i/{number}").status for number in range(11)] == [404] * 10 + [429]
    assert browser.get(f"/i/{share}").status == 200


def test_R025_an_invitation_that_has_ended(world, browser, share):
    world.clock.move(days=91)
    assert browser.get(f"/i/{share}").status == 404


def test_R025_without_the_sandbox_nobodys_word_is_taken(tmp_path):
    world = World(tmp_path)
    browser = Browser(pages_of(world))
    world.pay("P", "openid-source")
    share = world.runtime.sharing.create(world.person_of("P"), "riverside", world.clock()).token
    page = browser.get(f"/i/{share}")
    assert (page.status, page.h1, page.forms) == (200, "请用微信或支付宝打开", [])
    hidden = browser.get("/login").form()["hidden"]
    assert browser.post(f"/i/{share}", {**hidden, "openid": "o", "channel": "hotpot-pay"}).status == 403
    assert world.all("SELECT id FROM share_attempts") == []
    world.close()


def test_outcomes_that_are_none_are_404(browser):
    assert browser.get("/i/outcome/rich").status == 404


@pytest.mark.parametrize(
    ("keys", "app_id"),
    [
        ('mchid = "M-hotpot", appid = "app-riverside"', "app-riverside"),
        ('mchid = "M-hotpot", appid = "app-1", sub_appid = "app-2"', "app-1"),
    ],
)
def test_R007_an_openid_belongs_to_the_app_that_the_channel_names(tmp_path, keys, app_id):
    world = World(tmp_path, catalog=CATALOG.replace('mchid = "M-hotpot", appid = "app-riverside"', keys))
    channel = world.runtime.directory().channel("hotpot-pay")
    payer = payer_of(channel, "openid-a")
    assert (payer.app_id, payer.id_type, payer.value) == (app_id, "openid", "openid-a")
    with pytest.raises(Refused):
        payer_of(channel, "")
    world.close()
