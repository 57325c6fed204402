"""The pages of referral: list, code, landing in every state, the console's reviews (R191–R195, R078)."""

import html

import pytest
import tomli_w
from flask import session

from campaigns.referral.kind import kind
from gateway.web.pages import customer
from tests.support.browsing import Browser, pages_of
from tests.support.world import BASE_URL, CATALOG, World

CODE = "/campaigns/referral/friends"
CHROME = {"User-Agent": "Mozilla/5.0 Chrome/109"}
WECHAT = {"User-Agent": "Mozilla/5.0 MicroMessenger/8.0.40"}


class Guest(Browser):
    """A browser in which a person has signed in with his wallet."""

    def __init__(self, world, app, person, language="zh-CN"):
        super().__init__(app, language)
        self.headers = {**self.headers, **CHROME}
        with self.client.session_transaction(base_url=BASE_URL) as kept, app.test_request_context():
            customer.enter(person, "wechat", "riverside", world.clock())
            kept.update(session)


@pytest.fixture
def make(tmp_path):
    made = []

    def build(**settings):
        table = {
            "kind": "referral",
            "circle": "riverside",
            "state": "live",
            "referrer_item": "bowl-5off",
            "referred_item": "soup",
            "new_only": False,
            **settings,
        }
        text = CATALOG + tomli_w.dumps({"campaign": {"friends": table}})
        world = World(tmp_path / f"home{len(made)}", catalog=text, kinds=[kind])
        world.pages = pages_of(world)
        made.append(world)
        return world

    yield build
    for world in made:
        world.close()


def guest_of(world, openid, **more):
    number = len(world.all("SELECT id FROM payments"))
    world.pay(f"P{number}", openid)
    return Guest(world, world.pages, world.person_of(f"P{number}"), **more)


def address_of(page):
    """Where the shown code leads."""
    return next(value for _, name, value in page.attributes if name == "data-copy").removeprefix(BASE_URL)


def code_of(guest):
    guest.post(CODE, guest.get(CODE).form(CODE)["hidden"])
    return guest.get(CODE)


def landed(friend, address):
    return friend.follow(friend.get(address))


def outcome(page):
    return next(value for _, name, value in page.attributes if name == "data-outcome")


def test_R191_list_code_landing_and_the_referrers_own_view(make):
    world = make(qualify={"min_amount_fen": 1000})
    host, friend = guest_of(world, "host"), guest_of(world, "friend")
    listed = host.get("/campaigns/referral")
    assert (listed.status, listed.h1) == (200, "邀请朋友到店")
    shown = host.follow(host.send(listed, "/campaigns/referral", CODE))
    assert "当面请朋友扫码" in shown.text
    assert "有效至 12-22 12:05" in shown.text
    image, headers = host.file(f"{CODE}/qr.png")
    assert image.startswith(b"\x89PNG")
    assert headers["Cache-Control"] == "no-store"
    assert host.file(f"{CODE}/qr.svg")[0].startswith(b"<svg")
    address = address_of(shown)
    page = landed(friend, address)
    assert (page.status, outcome(page), page.h1) == (200, "ready", "朋友邀请你到店")
    done = friend.follow(friend.send(page, "/r", "/r"))
    assert outcome(done) == "bound"
    assert "已登记，首次到店付款后双方可得奖励" in done.h1
    world.clock.move(seconds=1)
    world.pay("T1", "friend", amount_fen=2600)
    assert outcome(friend.get("/r")) == "rewarded"
    assert "已扫 1 · 已到店 1" in host.get(CODE).text
    assert "已完成" in host.get(CODE).text


def test_R057_the_address_that_stays_holds_no_token(make):
    world = make()
    host, friend = guest_of(world, "host"), guest_of(world, "friend")
    address = address_of(code_of(host))
    opened = friend.get(address)
    assert (opened.status, opened.response.headers["Location"]) == (303, "/r")
    assert address.rpartition("/")[2] not in friend.get("/r").html


def test_R193_a_look_at_the_landing_binds_nobody(make):
    world = make()
    host, friend = guest_of(world, "host"), guest_of(world, "friend")
    address = address_of(code_of(host))
    for _ in range(3):
        landed(friend, address)
    assert [row["state"] for row in world.all("SELECT state FROM referral_bindings")] == ["scanned"]
    assert "已扫 1 · 已到店 0" in host.get(CODE).text


def test_R193_existing_customers_and_ones_own_code(make):
    world = make(new_only=True)
    host, friend = guest_of(world, "host"), guest_of(world, "friend")
    address = address_of(code_of(host))
    assert outcome(landed(host, address)) == "self_referral"
    told = friend.send(landed(friend, address), "/r", "/r")
    assert (told.status, told.h1) == (409, "你已是老朋友，这次不算新客")


def test_R192_a_revoked_code_says_so(make):
    world = make()
    host, friend = guest_of(world, "host"), guest_of(world, "friend")
    address = address_of(code_of(host))
    gone = host.follow(host.send(host.get(CODE), CODE, CODE))
    assert "此码已撤销" in gone.text
    assert host.get(f"{CODE}/qr.png").status == 404
    page = landed(friend, address)
    assert (page.status, outcome(page), page.h1) == (410, "expired", "这个邀请已结束")


def test_R078_within_wechat_no_word_of_rewards(make):
    world = make()
    host, friend = guest_of(world, "host"), guest_of(world, "friend")
    page = code_of(host)
    assert "糖水立减5元" in page.text
    address = address_of(page)
    host.headers |= WECHAT
    friend.headers |= WECHAT
    assert "糖水立减5元" not in host.get("/campaigns/referral").text + host.get(CODE).text
    ready = landed(friend, address)
    done = friend.follow(friend.send(ready, "/r", "/r"))
    assert "已登记，欢迎到店" in done.h1
    assert "奖励" not in ready.text + done.text


@pytest.mark.parametrize(("words", "agent", "speaks"), [("always", WECHAT, True), ("never", CHROME, False)])
def test_R078_the_campaign_may_say_otherwise(make, words, agent, speaks):
    world = make(reward_words=words)
    host = guest_of(world, "host")
    host.headers |= agent
    assert ("糖水立减5元" in host.get("/campaigns/referral").text) is speaks


def test_R195_one_browser_for_two_waits_and_one_press_decides(make):
    world = make()
    host = guest_of(world, "host")
    address = address_of(code_of(host))
    guest_of(world, "friend")
    # The same browser, and now somebody else signs in with it.
    with world.pages.test_request_context():
        customer.enter(world.person_of("P1"), "wechat", "riverside", world.clock())
        mine = dict(session)
    with host.client.session_transaction(base_url=BASE_URL) as kept:
        kept.update(mine)
    done = host.follow(host.send(landed(host, address), "/r", "/r"))
    assert outcome(done) == "review"
    assert "核对中，1 个工作日内有结果" in done.h1
    world.user("boss", "operator", circle="riverside")
    staff = Browser(world.pages).sign_in("boss")
    review = "/admin/campaigns/friends/review"
    page = staff.get(review)
    assert "与他人用同一台设备" in page.text
    form = next(one for one in page.forms if one["hidden"].get("action") == "approve")
    moved = staff.post(review, form["hidden"])
    assert moved.status == 303
    after = staff.follow(moved)
    assert "已通过" in after.text
    again = staff.post(review, form["hidden"])
    assert (again.status, "已经有人处理过" in again.text) == (409, True)
    assert "已登记" in staff.get("/admin/campaigns/friends/referrals").text


def test_R016_no_page_tells_who_somebody_is(make):
    world = make()
    host, friend = guest_of(world, "host"), guest_of(world, "friend")
    address = address_of(code_of(host))
    page = landed(friend, address)
    friend.send(page, "/r", "/r")
    persons = [row["id"] for row in world.all("SELECT id FROM persons")]
    for shown in (page, friend.get("/r"), host.get(CODE)):
        assert not any(word in html.unescape(shown.html) for word in ["openid", *persons])


@pytest.mark.parametrize("path", ["/r", "/r/nothing", "/r/" + "A" * 22, "/campaigns/referral/none", f"{CODE}/qr.png"])
def test_what_is_not_there_is_the_neutral_page(make, path):
    world = make()
    page = guest_of(world, "guest").get(path)
    assert page.status == 404


def test_nobody_signed_in_sees_the_list_and_is_asked_who_he_is_for_a_code(make):
    world = make()
    stranger = Browser(world.pages)
    listed = stranger.get("/campaigns/referral")
    assert listed.status == 200
    assert CODE in listed.links
    assert stranger.get(CODE).status != 200 or "当面请朋友扫码" not in stranger.get(CODE).text


def test_every_page_in_english(make):
    world = make()
    host, friend = guest_of(world, "host", language="en"), guest_of(world, "friend", language="en")
    shown = code_of(host)
    assert shown.h1 == "Invite friends to the shop"
    assert "Let a friend scan in person" in shown.text
    done = friend.follow(friend.send(landed(friend, address_of(shown)), "/r", "/r"))
    assert "Registered. Rewards follow your first payment" in done.h1


def test_R072_the_console_is_for_operators(make):
    world = make()
    world.user("chef", "manager", merchant="hotpot")
    staff = Browser(world.pages).sign_in("chef")
    assert staff.get("/admin/campaigns/friends/review").status == 403
