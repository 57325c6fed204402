"""The claim page where only the payer's own wallet opens it: every state, and nothing for anyone else (R050–R057)."""

import re
from urllib.parse import urlsplit

import pytest

from gateway import links, people, privacy
from gateway.web.pages import customer
from tests.support.wallets import ALIPAY_UA, DESK_UA, WECHAT_UA, inputs_of, without_token
from tests.support.world import BASE_URL

NEUTRAL = "这个链接不可用"


def close(town, token, state, reason):
    def work(tx):
        links.close(tx, links.by_token(tx, token), town.clock(), state, reason)

    town.store.write(work)


def merge(town, one, other):
    winner, loser = sorted([one, other])
    town.store.write(
        lambda tx: people.merge(
            tx, town.runtime.ids, town.clock(), winner=winner, loser=loser, by="tests", reason="one customer"
        )
    )


def queued(town):
    """What was queued is written by now."""
    town.store.write(lambda tx: None)


def forget(town, person):
    privacy.forget(town.store, person, "tests", town.clock())


def not_yours(town):
    queued(town)
    return town.all("SELECT object, after FROM audit WHERE action = 'link.not_yours'")


# -- the way in -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user_agent", "channel"),
    [(WECHAT_UA, "noodles-wechat"), (WECHAT_UA, "coffee-wechat"), (ALIPAY_UA, "books-alipay")],
)
def test_R052_the_payer_opens_claims_and_sees_it_again(town, user_agent, channel):
    token = town.link("A", channel)
    phone = town.phone(user_agent)
    page = phone.walk(f"/c/{token}", guest="A")
    assert page.status == 200
    assert "张券" in page.h1
    assert phone.addresses[-1] == "/c"
    assert page.coupons == []
    claimed = phone.follow(phone.send(page, "/c"))
    assert claimed.h1 == "✓ 已领取"
    codes = {row["code"] for row in town.all("SELECT code FROM coupons")}
    assert set(claimed.coupons) == codes
    assert codes
    town.clock.move(hours=13)
    again = town.phone(user_agent).walk(f"/c/{token}", guest="A")
    assert set(again.coupons) == codes
    assert "12:05 已领取" in again.text


def test_R052_one_hop_and_no_word_of_it(town):
    token = town.link("A")
    phone = town.phone()
    phone.walk(f"/c/{token}", guest="A")
    assert town.calls == ["/sandbox/platform/noodles-wechat/sns/oauth2/access_token"]
    # Known now: neither the same link nor the next one asks again.
    assert phone.get(f"/c/{token}").status == 200
    assert phone.get(f"/c/{town.link('A', 'coffee-wechat')}").status == 200
    assert len(town.calls) == 1


def test_R057_after_the_hop_no_address_and_no_image_names_token_or_openid(town):
    token = town.link("A")
    phone = town.phone()
    page = phone.walk(f"/c/{token}", guest="A")
    claimed = phone.follow(phone.send(page, "/c"))
    assert token not in "".join(phone.addresses[1:])
    assert "sandbox-guest" not in "".join(phone.addresses)
    for html in (page.html, claimed.html):
        assert token not in html
        assert "sandbox-guest" not in html
    assert claimed.response.headers["Referrer-Policy"] == "no-referrer"
    for image in re.findall(r'src="(/c/[^"]+)"', claimed.html):
        assert phone.file(image)[0].startswith(b"\x89PNG")


def test_R057_the_second_link_ends_on_its_number(town):
    phone = town.phone()
    phone.walk(f"/c/{town.link('A')}", guest="A")
    town.clock.move(seconds=customer.KEPT_FOR.total_seconds())
    phone.walk(f"/c/{town.link('A')}", guest="A")
    assert phone.addresses[-1] == "/c?n=2"


def test_R053_the_state_is_random_and_the_way_back_is_in_no_address(town):
    token = town.link("A")
    there = [town.phone().get(f"/c/{token}").response.headers["Location"] for _ in range(2)]
    assert there[0] != there[1]
    for url in there:
        assert token not in url
        back = re.search(r"redirect_uri=([^&]+)", url)[1]
        assert back == "https%3A%2F%2Fpay.example.com%2Fwallet%2Fback%2Fwechat"
        assert url.endswith("#wechat_redirect")


# -- strangers --------------------------------------------------------------------------------------------------------


def test_R056_strangers_get_the_bytes_of_an_unknown_link(town):
    token, revoked = town.link("A"), town.link("A")
    close(town, revoked, "revoked", "staff")
    town.pay_as("B")
    known, unknown_to_us, nobody = town.phone(), town.phone(), town.phone()
    pages = [
        known.walk(f"/c/{token}", guest="B"),
        unknown_to_us.walk(f"/c/{token}", guest="C"),
        nobody.get("/c/" + "A" * 22),
        nobody.get("/c/malformed"),
        town.phone().walk(f"/c/{revoked}", guest="A"),
        town.phone(DESK_UA).get(f"/c/{revoked}"),
    ]
    assert {page.status for page in pages} == {404}
    assert {page.response.data for page in pages} == {pages[0].response.data}
    assert pages[0].h1 == NEUTRAL
    # The names of the headers tell nothing either; the first answers of a fresh browser may bring it a cookie.
    assert {frozenset(page.response.headers.keys()) - {"Set-Cookie"} for page in pages} == {
        frozenset(pages[0].response.headers.keys()) - {"Set-Cookie"}
    }


def test_R052_not_yours_is_in_the_audit_and_makes_nobody_known(town):
    token = town.link("A")
    before = len(town.all("SELECT id FROM persons"))
    town.phone().walk(f"/c/{token}", guest="C")
    (row,) = not_yours(town)
    assert row["object"] == town.links()[-1]["id"]
    assert "sandbox-guest" not in row["after"]
    assert len(town.all("SELECT id FROM persons")) == before


def test_R052_a_stranger_who_posts_claims_nothing(town):
    token = town.link("A")
    town.pay_as("B")
    phone = town.phone()
    phone.walk(f"/c/{token}", guest="B")
    hidden = inputs_of(phone.walk(f"/c/{town.link('B')}"))
    answer = phone.post(f"/c/{token}", hidden)
    assert answer.status == 404
    assert town.all("SELECT code FROM coupons WHERE person = :p", p=town.links()[0]["person"]) == []


def test_R056_only_so_many_links_of_others(town):
    token = town.link("A")
    phone = town.phone()
    statuses = [phone.walk(f"/c/{token}", guest="B").status for _ in range(12)]
    assert statuses == [404] * 10 + [429] * 2
    # Whoever owns it is not held up, though he shares the address.
    assert town.phone().walk(f"/c/{token}", guest="A").status == 200


def test_R055_expired_is_told_to_the_owner_alone(town):
    token = town.link("A")
    town.clock.move(days=8)
    page = town.phone().walk(f"/c/{token}", guest="A")
    assert (page.status, page.h1) == (410, "已过领取时间")
    assert "老陈面馆 的券在 11-29 12:05 前可领" in page.text
    assert town.phone().walk(f"/c/{token}", guest="B").h1 == NEUTRAL


def test_R061_refunded_is_told_to_the_owner_alone(town):
    token = town.link("A")
    close(town, token, "revoked", "refunded")
    page = town.phone().walk(f"/c/{token}", guest="A")
    assert (page.status, page.h1) == (410, "付款已退款，赠券随之取消")
    assert town.phone().walk(f"/c/{token}", guest="B").h1 == NEUTRAL


# -- outside and mismatch ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user_agent", [DESK_UA, WECHAT_UA + " wxwork/4.0"])
def test_outside_a_wallet_it_says_where_to_open_it(town, user_agent):
    token = town.link("A")
    phone = town.phone(user_agent)
    page = phone.get(f"/c/{token}")
    assert (page.status, page.h1) == (200, "请用微信或支付宝打开")
    assert "截图或换手机扫码" in page.text
    assert "用付款的钱包扫" in page.text
    assert f'data-copy="{BASE_URL}/c/{token}"' in page.html
    (image,) = re.findall(r'<img src="([^"]+)"', page.html)
    assert token not in image
    assert phone.file(image)[0].startswith(b"\x89PNG")
    assert town.phone(user_agent).get(image).status == 404
    assert town.all("SELECT * FROM sign_ins") == []


def test_outside_in_english(town):
    page = town.phone(DESK_UA, "en").get(f"/c/{town.link('A')}")
    assert page.h1 == "Open with WeChat or Alipay"
    assert "Scan from another phone or a screenshot" in page.text
    assert "Use the wallet you paid with" in page.text
    assert "Copy link" in page.text


def test_outside_a_form_is_refused(town):
    token = town.link("A")
    phone = town.phone(DESK_UA)
    hidden = {"csrf_token": re.search(r'csrf_token" value="([^"]+)', phone.get("/login").html)[1]}
    assert phone.post(f"/c/{token}", hidden).status == 403
    assert town.all("SELECT code FROM coupons") == []


def test_a_platform_that_the_circle_has_no_wallet_of(town):
    page = town.phone(ALIPAY_UA).get(f"/c/{town.link('A', 'tea-wechat')}")
    assert page.h1 == "请用微信或支付宝打开"


def test_R052_the_same_person_by_another_wallet_is_told_which_it_was(town):
    paid_by_alipay = town.link("A", "books-alipay")
    town.pay_as("A", "noodles-wechat")
    persons = [row["person"] for row in town.all("SELECT DISTINCT person FROM payments")]
    merge(town, *persons)
    phone = town.phone()
    page = phone.walk(f"/c/{paid_by_alipay}", guest="A")
    assert (page.status, page.h1) == (200, "这笔付款来自支付宝")
    assert "请用支付宝扫码打开" in page.text
    assert "青禾书店" not in page.text
    assert "¥" not in page.text
    (image,) = re.findall(r'<img src="([^"]+)"', page.html)
    assert phone.file(image)[0].startswith(b"\x89PNG")
    hidden = {"csrf_token": re.search(r'csrf_token" value="([^"]+)', phone.get("/c/leave").html)[1]}
    assert phone.post("/c", hidden).status == 403
    assert town.all("SELECT code FROM coupons") == []
    assert town.phone(language="en").walk(f"/c/{paid_by_alipay}", guest="A").h1 == "This was paid with Alipay"
    # A stranger with the other wallet learns not even that.
    assert town.phone().walk(f"/c/{paid_by_alipay}", guest="B").h1 == NEUTRAL
    # The right wallet opens it, and once claimed it is shown by any of his.
    own = town.phone(ALIPAY_UA)
    own.follow(own.send(own.walk(f"/c/{paid_by_alipay}", guest="A"), "/c"))
    assert phone.get("/c").h1 == "✓ 已领取"


def test_R007_another_circles_app_is_another_identity_and_asks_again(town):
    here, there = town.link("A"), town.link("A", "tea-wechat")
    phone = town.phone()
    assert phone.walk(f"/c/{here}", guest="A").status == 200
    page = phone.walk(f"/c/{there}", guest="A")
    assert (page.status, page.h1) == (200, "山脚茶铺送你 1 张券")
    assert len(town.calls) == 2
    assert town.calls[-1].startswith("/sandbox/platform/tea-wechat/")


# -- when the platform does not tell ----------------------------------------------------------------------------------


def confirm_page(page):
    assert page.h1 == "确认是你本人"
    assert "只用于核对付款账号，不取头像和手机号" in page.text
    return re.search(r'<a class="btn main wide" href="([^"]*)"', page.html)[1]


@pytest.mark.parametrize("fault", ["40029", "40163", "42003"])
def test_R052_a_spent_code_starts_afresh_once_by_itself(town, fault):
    token = town.link("A")
    town.arm("exchange", fault)
    assert town.phone().walk(f"/c/{token}", guest="A").h1.startswith("老陈面馆送你")
    assert len(town.calls) == 2


def test_R052_and_not_twice(town):
    token = town.link("A")
    phone = town.phone()
    first = phone.get(f"/c/{token}").response.headers["Location"]
    state = phone.state_in(first)
    town.arm("exchange", "40029")
    second = phone.get(f"/wallet/back/wechat?code=spent&state={state}").response.headers["Location"]
    assert urlsplit(second).path.endswith("/connect/oauth2/authorize")
    assert phone.state_in(second) != state
    town.arm("exchange", "40029")
    page = phone.walk(f"/wallet/back/wechat?code=spent&state={phone.state_in(second)}", guest="A")
    assert phone.addresses[-1] == "/c"
    way = confirm_page(page)
    assert len(town.calls) == 2
    # A tap goes on, and this time all is well.
    assert phone.walk(way, guest="A").h1.startswith("老陈面馆送你")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("snapshot_user", "现在是预览页面"),
        ("40125", "暂时无法核对"),
        ("-1", "钱包暂时没有回应"),
        ("bad_gateway", "钱包暂时没有回应"),
        ("drop", "钱包暂时没有回应"),
    ],
)
def test_R052_what_else_the_platform_may_say_ends_on_a_clear_page(town, fault, words):
    token = town.link("A")
    town.arm("exchange", fault)
    phone = town.phone()
    page = phone.walk(f"/c/{token}", guest="A")
    assert page.status == 200
    assert words in page.text
    assert phone.addresses[-1] == "/c"
    assert phone.walk(confirm_page(page), guest="A").h1.startswith("老陈面馆送你")


def test_R052_a_customer_who_declines(town):
    token = town.link("A")
    town.arm("authorize", "no_code")
    phone = town.phone()
    page = phone.walk(f"/c/{token}", guest="A")
    assert "刚才没有核对成功" in page.text
    assert phone.walk(confirm_page(page), guest="A").h1.startswith("老陈面馆送你")


def test_R052_a_platform_that_cannot_be_reached(town):
    token = town.link("A")
    town.down = True
    phone = town.phone()
    page = phone.walk(f"/c/{token}", guest="A")
    assert "钱包暂时没有回应" in page.text
    town.down = False
    assert phone.walk(confirm_page(page), guest="A").h1.startswith("老陈面馆送你")


def test_signing_in_in_english(town):
    token = town.link("A")
    town.down = True
    page = town.phone(language="en").walk(f"/c/{token}", guest="A")
    assert page.h1 == "Confirm it's you"
    assert "Only checks the paying account. No photo, no phone." in page.text
    assert "Continue" in page.text


# -- states of others, replays, no cookies ----------------------------------------------------------------------------


def at_the_door(town, guest="A"):
    """A phone that has come back from the platform and not opened our address yet: (phone, that address)."""
    token = town.link(guest)
    phone = town.phone()
    chooser = phone.get(phone.get(f"/c/{token}").response.headers["Location"])
    (way,) = [link for link in chooser.links if link.endswith(f"&as={guest}")]
    return phone, phone.get(way).response.headers["Location"]


def test_R053_the_way_back_of_another_browser_signs_nobody_in(town):
    _, back = at_the_door(town)
    thief = town.phone()
    thief.get("/c/" + "A" * 22)
    thief.walk(f"/c/{town.link('B')}", guest="B")
    calls = len(town.calls)
    page = thief.get(back)
    assert (page.status, page.h1) == (404, NEUTRAL)
    assert len(town.calls) == calls


def test_R053_a_browser_without_cookies_is_told_so_and_goes_round_no_circle(town):
    _, back = at_the_door(town)
    page = town.phone().get(back)
    assert (page.status, page.h1) == (400, "请允许 Cookie 后重新打开链接")
    assert town.calls == []


def test_R053_coming_back_twice_is_coming_back_once(town):
    phone, back = at_the_door(town)
    assert [phone.get(back).response.headers["Location"] for _ in range(2)] == ["/c", "/c"]
    assert len(town.calls) == 1
    assert phone.get("/c").h1.startswith("老陈面馆送你")


def test_R053_a_replay_when_signed_out_long_since_signs_nobody_in(town):
    phone, back = at_the_door(town)
    phone.get(back)
    with phone.client.session_transaction(base_url=BASE_URL) as session:
        session.pop("wallet")
    town.clock.move(minutes=2)
    page = phone.walk(back)
    assert page.h1 == "确认是你本人"
    assert len(town.calls) == 1


def test_R053_too_late_is_told_where_he_came_from(town):
    phone, back = at_the_door(town)
    town.clock.move(minutes=11)
    page = phone.walk(back)
    assert phone.addresses[-1] == "/c"
    assert confirm_page(page) == "/c"
    assert town.calls == []


@pytest.mark.parametrize(
    "path", ["/wallet/back/wechat", "/wallet/back/alipay", "/wallet/back/unionpay", "/wallet/back/"]
)
def test_R053_odd_ways_back(town, path):
    phone = town.phone()
    phone.walk(f"/c/{town.link('A')}", guest="A")
    for query in ("", "?state=", "?code=x", "?state=x&state=y", "?state=%00", "?state=" + "9" * 5000):
        assert phone.get(path + query).status == 404


def test_R053_an_alipay_answer_at_wechats_door(town):
    phone, back = at_the_door(town)
    assert phone.get(back.replace("/wechat?", "/alipay?")).status == 404
    assert phone.walk(back).h1.startswith("老陈面馆送你")


def test_R056_guessing_states_is_slowed_down(town):
    phone = town.phone()
    phone.walk(f"/c/{town.link('A')}", guest="A")
    statuses = [phone.get(f"/wallet/back/wechat?state={number:032x}&code=x").status for number in range(12)]
    assert statuses == [404] * 10 + [429] * 2


def test_R205_posts_without_the_form_token_are_refused(town):
    phone = town.phone()
    phone.walk(f"/c/{town.link('A')}", guest="A")
    for path in ("/c", "/c/leave", "/c/join"):
        answer = phone.post(path)
        assert (answer.status, answer.h1) == (400, "请允许 Cookie 后重新打开链接")
    assert town.all("SELECT code FROM coupons") == []


def test_R053_a_session_that_ran_out_claims_nothing_and_leads_back(town):
    phone = town.phone()
    page = phone.walk(f"/c/{town.link('A')}", guest="A")
    town.clock.move(seconds=customer.KEPT_FOR.total_seconds())
    answer = phone.send(page, "/c")
    assert answer.status == 403
    assert confirm_page(answer) == "/c"
    assert town.all("SELECT code FROM coupons") == []
    page = phone.walk("/c", guest="A")
    assert phone.follow(phone.send(page, "/c")).h1 == "✓ 已领取"


# -- why, leaving -----------------------------------------------------------------------------------------------------


def test_R076_why_tells_payment_tag_and_choice(town):
    town.pay_as("A")
    town.clock.move(hours=3)
    token = town.link("A")
    phone = town.phone()
    page = phone.walk(f"/c/{token}", guest="A")
    (way,) = [link for link in page.links if "why" in link]
    told = phone.get(way)
    assert told.h1 == "为什么给我？"
    assert (
        "你在 15:05 于老陈面馆付款，你在 12:05 首次到店时加入梧桐里。 按规则选出这 1 张。" in told.text
        or "你在 15:05 于老陈面馆付款，你在 12:05 首次到店时加入梧桐里。按规则选出这 1 张。" in told.text
    )
    assert town.phone().get(way).status == 404
    stranger = town.phone()
    stranger.walk(f"/c/{token}", guest="B")
    assert stranger.get("/c/why").h1 == NEUTRAL


def test_R029_leaving_is_two_taps_from_the_page(town):
    phone = town.phone()
    page = phone.walk(f"/c/{town.link('A')}", guest="A")
    (way,) = [link for link in page.links if "leave" in link]
    asked = phone.get(way)
    assert asked.h1 == "退出梧桐里"
    left = phone.follow(phone.send(asked, way, asked.forms[0]["action"]))
    assert "已退出。已领的券仍可用；以后的付款不再记录。" in left.text
    assert len(town.all("SELECT person FROM suppressions")) == 1
    assert town.all("SELECT id FROM tags WHERE state = 'active'") == []


def test_R029_a_stranger_leaves_nobody(town):
    phone = town.phone()
    phone.walk(f"/c/{town.link('A')}", guest="B")
    assert phone.get("/c/leave").status == 404
    assert town.all("SELECT person FROM suppressions") == []


def test_R028_someone_forgotten_is_asked_anew(town):
    phone = town.phone()
    phone.walk(f"/c/{town.link('A')}", guest="A")
    forget(town, town.links()[-1]["person"])
    assert phone.walk("/s/noodles-1", guest="A").h1 == "加入梧桐里，下次付款有礼"
    assert len(town.calls) == 2


def test_R053_nothing_goes_round_in_circles(town):
    # A person whom the store calls forgotten and yet knows by his identity: no way leads anywhere.
    phone = town.phone()
    phone.walk(f"/c/{town.link('A')}", guest="A")
    person = town.links()[-1]["person"]
    sql = "UPDATE persons SET forgotten_at = '2026-11-22' WHERE id = :id"
    town.store.write(lambda tx: tx.run(sql, {"id": person}))
    page = phone.walk("/s/noodles-1", guest="A")
    assert confirm_page(page) == "/s/noodles-1"
    assert len(town.calls) == 2


def test_R057_pages_are_the_same_whoever_asks_twice(town):
    phone = town.phone()
    one = phone.walk(f"/c/{town.link('A')}", guest="A")
    assert without_token(phone.get("/c").html) == without_token(one.html)
    assert one.response.headers["Cache-Control"] == "no-store"
    assert "form-action 'self'" in one.response.headers["Content-Security-Policy"]
