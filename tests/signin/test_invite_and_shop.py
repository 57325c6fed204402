"""Invitations and the shop's code for customers whom their wallet has shown (R025, R261)."""

import json
import re

import pytest

from gateway import privacy
from tests.support.wallets import ALIPAY_UA, DESK_UA, WECHAT_UA
from tests.support.world import BASE_URL

NEUTRAL = "这个链接不可用"


@pytest.fixture
def invitation(town):
    """A share of guest A's in `wutong`; its token."""
    town.pay_as("A")
    person = town.person("A")
    return town.runtime.sharing.create(person, "wutong", town.clock()).token


def tags(town):
    return town.all("SELECT person, source_type, source_id, mode, origin FROM tags WHERE state = 'active' ORDER BY id")


# -- invitations ------------------------------------------------------------------------------------------------------


def test_R025_a_friend_confirms_after_his_wallet_has_shown_him(town, invitation):
    phone = town.phone()
    page = phone.walk(f"/i/{invitation}", guest="B")
    assert page.h1 == "邀请你加入梧桐里"
    assert "openid" not in page.html
    assert phone.addresses[-1] == "/i?n=1"
    assert invitation not in "".join(phone.addresses[1:])
    assert len(tags(town)) == 1
    answer = phone.send(page, "/i?n=1")
    assert answer.status == 303
    done = phone.follow(answer)
    assert 'data-outcome="tagged"' in done.html
    first, second = tags(town)
    assert (second["source_type"], second["source_id"], second["mode"]) == ("payer", first["person"], "active")


def test_R026_who_is_tagged_already_stays_with_his_first_source(town, invitation):
    town.pay_as("B")
    phone = town.phone()
    done = phone.follow(phone.send(phone.walk(f"/i/{invitation}", guest="B"), "/i?n=1"))
    assert 'data-outcome="already_tagged"' in done.html
    assert [row["source_type"] for row in tags(town)] == ["payee", "payee"]


def test_R025_nobody_invites_himself(town, invitation):
    phone = town.phone()
    done = phone.follow(phone.send(phone.walk(f"/i/{invitation}", guest="A"), "/i?n=1"))
    assert 'data-outcome="self_referral"' in done.html
    assert len(tags(town)) == 1


def test_R051_looking_at_an_invitation_changes_nothing(town, invitation):
    before = tags(town)
    town.phone().walk(f"/i/{invitation}", guest="B")
    assert tags(town) == before
    assert town.all("SELECT id FROM share_attempts") == []


def test_an_invitation_outside_a_wallet(town, invitation):
    phone = town.phone(DESK_UA)
    page = phone.get(f"/i/{invitation}")
    assert page.h1 == "请用微信或支付宝打开"
    (image,) = re.findall(r'<img src="([^"]+)"', page.html)
    assert invitation not in image
    assert phone.file(image)[0].startswith(b"\x89PNG")


@pytest.mark.parametrize("token", ["A" * 22, "x", "ä", "%00"])
def test_R056_unknown_invitations_ask_nobody_to_sign_in(town, token):
    page = town.phone().get(f"/i/{token}")
    assert (page.status, page.h1) == (404, NEUTRAL)
    assert town.all("SELECT * FROM sign_ins") == []


@pytest.mark.parametrize("number", ["", "0", "2", "x", "1 "])
def test_R057_an_invitation_that_this_browser_does_not_keep(town, invitation, number):
    phone = town.phone()
    phone.walk(f"/i/{invitation}", guest="B")
    assert phone.get("/i", query_string={"n": number}).status == 404


def test_R205_confirming_needs_the_form_token_and_the_wallet(town, invitation):
    phone = town.phone()
    page = phone.walk(f"/i/{invitation}", guest="B")
    assert phone.post("/i?n=1").status == 400
    with phone.client.session_transaction(base_url=BASE_URL) as session:
        session.pop("wallet")
    answer = phone.send(page, "/i?n=1")
    assert (answer.status, answer.h1) == (403, "确认是你本人")
    assert len(tags(town)) == 1


def test_an_invitation_that_ended_between_looking_and_confirming(town, invitation):
    phone = town.phone()
    page = phone.walk(f"/i/{invitation}", guest="B")
    town.clock.move(days=91)
    assert phone.send(page, "/i?n=1").status == 404
    assert town.all("SELECT id FROM share_attempts") == []


# -- the code on the table --------------------------------------------------------------------------------------------


def test_R261_a_newcomer_joins_by_himself_and_the_shop_is_his_source(town):
    phone = town.phone()
    page = phone.walk("/s/noodles-1", guest="B")
    assert page.h1 == "加入梧桐里，下次付款有礼"
    assert {"加入", "不用"} <= set(page.text.split())
    assert tags(town) == []
    done = phone.follow(phone.send(page, "/s/noodles-1"))
    assert 'data-outcome="tagged"' in done.html
    (tag,) = tags(town)
    assert (tag["source_type"], tag["source_id"], tag["mode"], tag["origin"]) == (
        "payee",
        "noodles",
        "active",
        "shop:noodles-1",
    )
    paid = town.pay_as("B")
    row = town.one("SELECT tag_before, decisions FROM payments WHERE transaction_id = :id", id=paid)
    assert row["tag_before"] == "tagged"
    # His next payment brings him a gift, and nobody a reward for having brought him (R036).
    decided = {one["rule"]: (one["outcome"], one["reason"]) for one in json.loads(row["decisions"])}
    assert decided["payer_link"] == ("done", "issued")
    assert decided["source_link"] == ("skipped", "passive_source")


def test_R261_who_is_known_goes_to_his_gifts(town):
    token = town.link("A")
    phone = town.phone()
    page = phone.walk("/s/noodles-1", guest="A")
    assert phone.addresses[-1] == "/me"
    assert page.status == 200
    assert token not in page.html


def test_R261_in_english(town):
    page = town.phone(language="en").walk("/s/noodles-1", guest="B")
    assert page.h1 == "Join 梧桐里: a gift with your next payment"
    assert {"Join", "No"} <= set(page.text.split())


def test_R261_alipay_at_the_same_table(town):
    phone = town.phone(ALIPAY_UA)
    phone.follow(phone.send(phone.walk("/s/noodles-1", guest="B"), "/s/noodles-1"))
    (tag,) = tags(town)
    identity = town.one("SELECT provider FROM identities WHERE person = :p", p=tag["person"])
    assert identity["provider"] == "alipay"


def test_R261_joining_twice_is_joining_once(town):
    phone = town.phone()
    page = phone.walk("/s/noodles-1", guest="B")
    phone.send(page, "/s/noodles-1")
    assert 'data-outcome="already_tagged"' in phone.follow(phone.send(page, "/s/noodles-1")).html
    assert len(tags(town)) == 1


def test_R029_who_left_is_asked_and_may_join_again(town):
    phone = town.phone()
    phone.walk(f"/c/{town.link('A')}", guest="A")
    asked = phone.get("/c/leave")
    phone.send(asked, "/c/leave", asked.forms[0]["action"])
    page = phone.get("/s/noodles-1")
    assert page.h1 == "加入梧桐里，下次付款有礼"
    assert town.all("SELECT person FROM suppressions") != []
    phone.send(page, "/s/noodles-1")
    assert town.all("SELECT person FROM suppressions") == []
    assert len(tags(town)) == 1


def test_R028_someone_forgotten_while_the_page_lay_open(town):
    phone = town.phone()
    page = phone.walk("/s/noodles-1", guest="B")
    privacy.forget(town.store, town.one("SELECT id FROM persons")["id"], "tests", town.clock())
    answer = phone.send(page, "/s/noodles-1")
    assert (answer.status, answer.h1) == (403, "确认是你本人")
    assert tags(town) == []


def test_R205_joining_needs_the_form_token(town):
    phone = town.phone()
    phone.walk("/s/noodles-1", guest="B")
    assert phone.post("/s/noodles-1").status == 400
    assert tags(town) == []


@pytest.mark.parametrize("shop", ["nowhere", "noodles", "%00", "x" * 300])
@pytest.mark.parametrize("user_agent", [WECHAT_UA, DESK_UA])
def test_R056_a_shop_that_is_none(town, shop, user_agent):
    page = town.phone(user_agent).get(f"/s/{shop}")
    assert (page.status, page.h1) == (404, NEUTRAL)
    assert town.all("SELECT * FROM sign_ins") == []


def test_a_shops_code_outside_a_wallet(town):
    page = town.phone(DESK_UA).get("/s/noodles-1")
    assert page.h1 == "请用微信或支付宝打开"
    assert f'data-copy="{BASE_URL}/s/noodles-1"' in page.html
