"""Making a gift link, taking it, taking it back: pages, words, forms, and what each side may see (R052, R054, R056)."""

import re

import pytest

from gateway import privacy
from linkgen import qr
from tests.me.conftest import address_of
from tests.support.world import BASE_URL

NEUTRAL = "这个链接不可用"


@pytest.fixture
def giver(world, signed_in, held):
    person, codes = held("openid-a")
    guest = signed_in(person)
    guest.person, guest.code = person, codes["bowl-5off"]
    guest.soup = codes["soup"]
    guest.address = address_of(world, guest.code)
    return guest


@pytest.fixture
def friend(world, signed_in):
    world.pay("B", "openid-b")
    guest = signed_in(world.person_of("B"))
    guest.person = world.person_of("B")
    return guest


def make(guest):
    """Press the button; the page of the gift link, its address, and the link's path."""
    asked = guest.get(f"{guest.address}/give")
    answer = guest.send(asked, f"{guest.address}/give", f"{guest.address}/give")
    assert answer.status == 303, answer.text
    where = answer.response.headers["Location"]
    page = guest.get(where)
    (path,) = re.findall(r'value="' + re.escape(BASE_URL) + r'(/g/[\w-]{22})"', page.html)
    return page, where, path


def arrive(guest, path):
    """Follow a gift link as far as its page: (page, address without the token)."""
    answer = guest.get(path)
    assert answer.status == 302
    where = answer.response.headers["Location"]
    return guest.get(where), where


def test_R052_asking_says_what_it_means_and_changes_nothing(world, giver):
    page = giver.get(f"{giver.address}/give")
    assert page.status == 200
    assert page.h1 == "转赠朋友"
    assert "转赠后你将不能再用" in page.text
    assert "生成转赠链接" in page.text
    assert world.all("SELECT id FROM handovers") == []


def test_in_english(giver):
    giver.headers = {"Accept-Language": "en"}
    page = giver.get(f"{giver.address}/give")
    assert "After giving it away you can't use it" in page.text
    assert "Make gift link" in page.text


def test_R078_no_page_of_a_gift_promises_a_reward(giver, friend):
    page, _, path = make(giver)
    taking, _ = arrive(friend, path)
    for shown in (giver.get(f"{giver.address}/give"), page, taking, giver.get("/me/invite")):
        for word in ("奖励", "红包", "返现", "赚", "得礼", "reward"):
            assert word not in shown.text, word


def test_R052_the_link_is_shown_with_its_own_picture(world, giver):
    page, where, path = make(giver)
    assert "转赠链接已生成" in page.text
    assert "有效至 11-29 12:05" in page.text
    assert page.html.count("<img") == 1
    assert giver.code not in page.html
    data, _ = giver.file(f"{where}/qr.png")
    assert data == qr.png(BASE_URL + path)
    token = path.removeprefix("/g/")
    assert all(token not in value for _, name, value in page.attributes if name in {"href", "src", "action"})
    assert make(giver)[2] == path if giver.get(f"{giver.address}/give").status == 200 else True


def test_asking_again_leads_to_the_standing_link(giver):
    _, where, _ = make(giver)
    again = giver.get(f"{giver.address}/give")
    assert again.status == 302
    assert again.response.headers["Location"] == where


def test_R052_the_friend_takes_it_and_both_pages_turn(world, giver, friend):
    _, where, path = make(giver)
    page, address = arrive(friend, path)
    assert re.fullmatch(r"/g\?n=\d+", address)
    assert page.h1 == "一位朋友送你一张券"
    assert "糖水立减5元" in page.text
    assert giver.code not in page.html
    assert giver.person not in page.html
    assert path.removeprefix("/g/") not in page.html
    answer = friend.send(page, address, address)
    assert answer.status == 303
    coupon = friend.follow(answer)
    assert "● 可使用" in coupon.text
    (new,) = coupon.coupons
    assert new != giver.code
    mine = giver.get(where)
    assert "朋友已收下" in mine.text
    assert "这张券现在归他，你不能再用。" in mine.text
    assert new not in mine.html
    assert address_of(world, new) not in mine.html
    assert giver.get(giver.address).status == 404
    assert giver.get(f"{where}/qr.png").status == 404


def test_R054_taking_again_and_coming_back_show_the_same_coupon(friend, giver):
    _, _, path = make(giver)
    page, address = arrive(friend, path)
    first = friend.send(page, address, address)
    second = friend.send(page, address, address)
    assert first.response.headers["Location"] == second.response.headers["Location"]
    assert friend.get(address).response.headers["Location"] == first.response.headers["Location"]
    assert arrive(friend, path)[0].response.headers["Location"] == first.response.headers["Location"]


def test_R056_who_comes_late_finds_the_neutral_page(world, giver, friend, signed_in):
    _, _, path = make(giver)
    world.pay("C", "openid-c")
    late = signed_in(world.person_of("C"))
    waiting, waiting_at = arrive(late, path)
    page, address = arrive(friend, path)
    friend.send(page, address, address)
    answer = late.send(waiting, waiting_at, waiting_at)
    assert (answer.status, answer.h1) == (404, NEUTRAL)
    unknown = late.get("/g/AAAAAAAAAAAAAAAAAAAAAA")
    assert (unknown.status, unknown.html) == (404, answer.html)
    assert late.get(waiting_at).html == unknown.html


def test_the_giver_who_opens_his_own_link_sees_how_it_stands(world, giver):
    _, where, path = make(giver)
    page, address = arrive(giver, path)
    assert page.status == 302
    assert page.response.headers["Location"] == where
    token = giver.get(where).form(f"{where}/back")["hidden"]
    answer = giver.post(address, token)
    assert answer.status == 303
    assert answer.response.headers["Location"] == where
    assert world.one("SELECT state FROM handovers")["state"] == "made"


def test_taken_back_from_the_page(world, giver, friend):
    page, where, path = make(giver)
    assert giver.send(page, where, f"{where}/back").status == 303
    after = giver.get(where)
    assert "已收回" in after.text
    assert giver.address in after.links
    assert "● 可使用" in giver.get(giver.address).text
    assert friend.get(path).h1 == NEUTRAL
    assert make(giver)[2] != path


def test_a_link_that_nobody_took(world, giver, friend):
    from gateway import handover

    _, where, path = make(giver)
    world.clock.move(days=7)
    giver.enter(giver.person)
    assert "转赠链接已失效" in giver.get(where).text
    world.store.write(lambda tx: handover.lapse(tx, world.clock(), 9))
    assert "● 可使用" in giver.get(giver.address).text
    assert friend.enter(friend.person).get(path).status == 404


def test_what_may_not_be_given_says_so(world, giver):
    soup = address_of(world, giver.soup)
    page = giver.get(f"{soup}/give")
    assert page.status == 409
    assert "这张券不能转赠" in page.text
    assert "转赠朋友" not in giver.get(soup).text
    form = giver.get(f"{giver.address}/give").form(f"{giver.address}/give")["hidden"]
    assert giver.post(f"{soup}/give", form).status == 409
    assert world.all("SELECT id FROM handovers") == []


def test_R052_without_a_sign_in_nothing_is_shown_or_taken(world, giver, signed_in):
    _, _, path = make(giver)
    stranger = signed_in()
    assert stranger.get(path).h1 == "请用微信或支付宝打开"
    assert stranger.get("/g?n=1").status == 404
    assert "糖水" not in stranger.get(path).text


def test_every_form_needs_its_token(world, giver, friend):
    _, where, path = make(giver)
    _, address = arrive(friend, path)
    assert friend.post(address, {}).status == 400
    assert giver.post(f"{where}/back", {}).status == 400
    assert giver.post(f"{giver.address}/give", {}).status == 400
    assert world.one("SELECT state FROM handovers")["state"] == "made"


def test_another_customer_cannot_take_a_gift_back_or_see_it(world, giver, friend):
    _, where, _ = make(giver)
    form = giver.get(where).form(f"{where}/back")["hidden"]
    assert friend.get(where).status == 404
    assert friend.get(f"{where}/qr.png").status == 404
    assert friend.get(f"{where}/live").status == 404
    token = friend.get("/me/privacy").forms[0]["hidden"]
    assert friend.post(f"{where}/back", token).status == 404
    assert form
    assert world.one("SELECT state FROM handovers")["state"] == "made"


def test_R056_guesses_are_slowed_down(world, friend):
    statuses = [friend.get(f"/g/AAAAAAAAAAAAAAAAAAAA{n % 10}A").status for n in range(11)]
    assert statuses == [404] * 10 + [429]


@pytest.mark.parametrize("odd", ["%00", "%ff", "x" * 3000, "{{7*7}}", "../me", "'--"])
@pytest.mark.parametrize("where", ["/g/{}", "/g?n={}", "/me/coupons/{}", "/me/gifts/{}", "/me/links/{}"])
def test_odd_addresses_are_refused_quietly(friend, where, odd):
    page = friend.get(where.format(odd))
    assert page.status in {302, 308, 404}
    assert "49" not in page.h1


def test_a_gift_outlives_a_giver_who_had_himself_forgotten(world, giver, friend):
    _, _, path = make(giver)
    privacy.forget(world.store, giver.person, "tests", world.clock())
    page, address = arrive(friend, path)
    answer = friend.send(page, address, address)
    assert answer.status == 303


def test_the_givers_claim_page_counts_what_he_gave_and_shows_no_code_of_it(world, giver, friend):
    _, _, path = make(giver)
    page, address = arrive(friend, path)
    new = friend.follow(friend.send(page, address, address)).coupons[0]
    token = world.runtime.link_keys.token(world.links()[0]["id"])
    claim = giver.get(f"/c/{token}")
    assert "1 张已转赠给朋友" in claim.text
    assert claim.coupons == [giver.soup]
    assert new not in claim.html
    assert giver.code not in claim.html
    assert "/me/privacy" in claim.links


def test_the_givers_live_part_is_the_same_until_something_happens(world, giver, friend):
    _, where, path = make(giver)
    first = giver.get(f"{where}/live")
    tag = {"If-None-Match": first.response.headers["ETag"]}
    assert giver.get(where).html.count(first.html.strip()) == 1
    world.clock.move(minutes=1)
    assert giver.get(f"{where}/live", headers=tag).status == 304
    page, address = arrive(friend, path)
    friend.send(page, address, address)
    after = giver.get(f"{where}/live", headers=tag)
    assert after.status == 200
    assert "朋友已收下" in after.text
    assert path not in after.html
