"""`/me`: tabs, order, the pill, empty states, pages, links that wait, merged and forgotten persons (R037, R052)."""

import re

import pytest

from gateway import people, privacy
from tests.me.conftest import address_of
from tests.support.browsing import Browser


def links_to(page, word):
    """What each link with this in its address leads to."""
    return [link for link in page.links if word in link]


def merged(world, *persons):
    """These become one person, as when a payment names both."""

    def work(tx):
        first = min(persons)
        for other in sorted(persons)[1:]:
            people.merge(tx, world.runtime.ids, world.clock(), winner=first, loser=other, by="t", reason="one")

    world.store.write(work)
    return min(persons)


def test_R052_nobody_sees_it_without_signing_in(world, signed_in, held):
    _, codes = held()
    page = signed_in().get("/me")
    assert page.h1 == "请用微信或支付宝打开"
    for path in ("/me/privacy/export", "/me/invite", address_of(world, codes["soup"])):
        page = signed_in().get(path)
        assert "老王火锅" not in page.text
        assert not any(code in page.html for code in codes.values())


@pytest.mark.parametrize("path", ["/me/live", "/me/coupons/x/live", "/me/coupons/x/qr.png", "/me/gifts/g_x/live"])
def test_parts_and_pictures_are_401_without_a_sign_in_so_that_the_page_says_so(signed_in, path):
    assert signed_in().get(path).status == 401


def test_R052_usable_coupons_nearest_end_first(world, signed_in, held):
    person, codes = held("openid-a")
    world.clock.move(days=1)
    world.pay("again", "openid-a", channel="sweets-pay")
    page = signed_in(person).get("/me?tab=use")
    assert page.h1 == "我的券包"
    assert page.text.count("● 可使用") == 2
    assert "待领取" in page.text
    assert "用过的" in page.text
    assert {address_of(world, code) for code in codes.values()} <= set(page.links)
    assert not any(code in page.html for code in codes.values())


def test_coupons_come_by_their_end(world, signed_in, held):
    person, codes = held()
    world.store.write(
        lambda tx: tx.run(
            "UPDATE coupons SET valid_to = '2026-11-23T00:00:00.000Z' WHERE code = :c", {"c": codes["soup"]}
        )
    )
    page = signed_in(person).get("/me?tab=use")
    assert links_to(page, "/me/coupons/") == [address_of(world, codes[item]) for item in ("soup", "bowl-5off")]
    assert page.text.count("3 天内到期") == 1
    world.clock.move(days=11, seconds=-1)
    assert signed_in(person).get("/me?tab=use").text.count("3 天内到期") == 0
    world.clock.move(seconds=1)
    assert signed_in(person).get("/me?tab=use").text.count("3 天内到期") == 1


def test_R037_a_link_waits_here_and_opens_without_its_token_in_any_address(world, signed_in):
    world.pay("T1", "openid-a")
    world.pay("T2", "openid-a")
    token = world.runtime.link_keys.token(world.links()[-1]["id"])
    guest = signed_in(world.person_of("T1"))
    page = guest.get("/me")
    assert "老王火锅送你 2 张券" in page.text
    assert "请在 11-29 12:05 前领取" in page.text
    assert token not in page.html
    (address,) = links_to(page, "/me/links/")
    answer = guest.get(address)
    assert answer.status == 302
    assert re.fullmatch(r"/c\?n=\d+", answer.response.headers["Location"])
    claim = guest.follow(answer)
    assert claim.h1 == "老王火锅送你 2 张券"
    assert world.links()[-1]["claimed_at"] is None


def test_R037_what_has_run_out_waits_no_more(world, signed_in):
    world.pay("T1", "openid-a")
    world.pay("T2", "openid-a")
    guest = signed_in(world.person_of("T1"))
    world.clock.move(days=7, seconds=-1)
    page = guest.enter(world.person_of("T1")).get("/me?tab=claim")
    assert "老王火锅送你" in page.text
    assert "3 天内到期" in page.text
    world.clock.move(seconds=1)
    page = guest.enter(world.person_of("T1")).get("/me?tab=claim")
    assert "老王火锅送你" not in page.text
    assert "还没有券" in page.text


def test_R056_anothers_link_and_coupon_are_the_neutral_404(world, signed_in, held):
    _, codes = held("openid-a")
    world.pay("T8", "openid-a")
    other = world.links()[-1]["id"]
    world.pay("B", "openid-b")
    guest = signed_in(world.person_of("B"))
    pages = [
        guest.get(path)
        for path in (
            f"/me/links/{other}",
            "/me/links/l_none",
            address_of(world, codes["soup"]),
            address_of(world, codes["soup"]) + "/why",
            address_of(world, codes["soup"]) + "/give",
            address_of(world, codes["soup"]) + "/live",
            f"/me/coupons/{codes['soup']}",
            "/me/gifts/g_none",
        )
    ]
    assert {page.status for page in pages} == {404}
    assert {page.h1 for page in pages} == {"这个链接不可用"}
    assert len({page.html for page in pages}) == 1
    assert guest.get(address_of(world, codes["soup"]) + "/qr.png").status == 404


def test_R007_a_merged_person_sees_what_was_his_under_either_name(world, signed_in, held):
    one, first = held("openid-a")
    two, second = held("openid-b")
    assert one != two
    merged(world, one, two)
    for name in (one, two):
        page = signed_in(name).get("/me?tab=use")
        shown = set(links_to(page, "/me/coupons/"))
        assert shown == {address_of(world, code) for code in [*first.values(), *second.values()]}
        assert signed_in(name).get(address_of(world, second["soup"])).status == 200


def test_R016_a_forgotten_person_is_signed_out(world, signed_in, held):
    person, codes = held()
    guest = signed_in(person)
    assert guest.get("/me").h1 == "我的券包"
    privacy.forget(world.store, person, "tests", world.clock())
    assert guest.get("/me/live").status == 401
    page = guest.get("/me")
    assert page.h1 == "请用微信或支付宝打开"
    assert guest.get(address_of(world, codes["soup"]) + "/live").status == 401


def test_a_sign_in_ends_by_itself(world, signed_in, held):
    person, _ = held()
    guest = signed_in(person)
    world.clock.move(hours=12)
    assert guest.get("/me/live").status == 401


def test_empty_states_have_their_words(world, signed_in):
    world.pay("T1", "openid-a")
    guest = signed_in(world.person_of("T1"))
    page = guest.get("/me")
    assert "还没有券" in page.text
    assert "还没有券" in guest.get("/me?tab=claim").text
    assert "在滨江商圈的店付款后，礼物会出现在这里" in page.text
    assert "还没有用过的券" in guest.get("/me?tab=past").text
    assert "没有符合条件的记录" in guest.get("/me?tab=use&after=9999").text
    english = signed_in(world.person_of("T1"), "en").get("/me")
    assert "No coupons yet" in english.text
    assert "Pay at a shop in 滨江商圈 and gifts appear here" in english.text


def test_no_gift_waits_while_coupons_can_be_used(signed_in, held):
    person, _ = held()
    page = signed_in(person).get("/me?tab=claim")
    assert "没有待领取的礼物" in page.text
    assert "/me?tab=use" in page.links


def test_the_past_tells_each_end(world, signed_in, held):
    from gateway import coupons
    from gateway.redeeming import Bill, Clerk

    person, used = held("openid-a")
    clerk = Clerk("lin", None)
    world.runtime.redeeming.redeem(used["bowl-5off"], clerk, "k", Bill(shop="sweets-1"), world.clock())
    world.store.write(lambda tx: coupons.void(tx, coupons.by_code(tx, used["soup"]), world.clock(), "refunded"))
    page = signed_in(person).get("/me?tab=past")
    assert "已核销 12:05 糖水铺" in page.text
    assert "已作废 付款已退款" in page.text
    assert "还没有券" in signed_in(person).get("/me?tab=use").text
    _, lost = held("openid-b")
    world.clock.move(days=14)
    other = world.person_of("T2")
    assert signed_in(other).get("/me?tab=past").text.count("已过期") == 2
    assert lost


def test_a_coupon_given_away_is_told_without_its_code(world, signed_in, held):
    person, codes = held("openid-a")
    world.pay("B", "openid-b")
    giving = world.runtime.handing_over
    gift = giving.make(world.runtime.directory(), codes["bowl-5off"], person, world.clock())
    waiting = signed_in(person).get("/me?tab=use")
    assert "转赠中，等朋友收下" in waiting.text
    token = giving.token(giving.given(gift, person, world.clock()).row)
    new = giving.take(token, world.person_of("B"), world.clock())
    page = signed_in(person).get("/me?tab=past")
    assert "已转赠 12:05" in page.text
    assert f"/me/gifts/{gift}" in page.links
    assert new not in page.html
    assert address_of(world, new) not in page.html
    taker = signed_in(world.person_of("B")).get("/me?tab=use")
    assert address_of(world, new) in taker.links


def many(world, person, count):
    """So many bought coupons, ending minute by minute."""
    rows = [
        {"code": f"{number:013d}", "place": number, "to": f"2026-12-01T{number // 60:02d}:{number % 60:02d}:00.000Z"}
        for number in range(count)
    ]

    def work(tx):
        for row in rows:
            tx.run(
                "INSERT INTO coupons (code, origin, item, unit, circle, merchant, person, payment, name, kind, "
                "value_fen, percent_off, cap_fen, min_spend_fen, stackable, exclusive_group, state, claimed_at, "
                "valid_from, valid_to) VALUES (:code, 'o_1', 'set-menu', :place, 'riverside', 'sweets', :person, NULL, "
                "'双人套餐', 'coupon', 500, 0, 0, 0, 0, '', 'claimed', :now, :now, :to)",
                {**row, "person": person, "now": "2026-11-22T04:00:00.000Z"},
            )

    world.store.write(work)
    return [row["code"] for row in rows]


def test_hundreds_of_coupons_come_in_pages_forth_and_back(world, signed_in):
    world.pay("T1", "openid-a")
    person = world.person_of("T1")
    codes = many(world, person, 120)
    guest = signed_in(person)
    page = guest.get("/me?tab=use")
    assert "可使用 120" in page.text
    seen, pages = [], [page]
    while True:
        seen += links_to(page, "/me/coupons/")
        onward = links_to(page, "/me?tab=use&after=")
        if not onward:
            break
        page = guest.get(onward[0].replace("&amp;", "&"))
        pages.append(page)
    assert [len(links_to(one, "/me/coupons/")) for one in pages] == [50, 50, 20]
    assert seen == [address_of(world, code) for code in codes]
    back = guest.get(links_to(pages[2], "/me?tab=use&before=")[0])
    assert links_to(back, "/me/coupons/") == links_to(pages[1], "/me/coupons/")
    first = guest.get(links_to(back, "/me?tab=use&before=")[0])
    assert links_to(first, "/me/coupons/") == links_to(pages[0], "/me/coupons/")
    assert links_to(first, "/me?tab=use&before=") == []
    assert links_to(pages[0], "/me?tab=use&before=") == []
    assert not any(code in one.html for one in pages for code in codes)


@pytest.mark.parametrize("odd", ["x", "~", "'; --", "%00", "z" * 4000, "2026~o_1"])
@pytest.mark.parametrize("name", ["after", "before", "tab"])
def test_odd_cursors_and_tabs_break_nothing(world, signed_in, held, name, odd):
    person, _ = held()
    page = signed_in(person).get("/me?tab=use&" + f"{name}={odd}")
    assert page.status in {200, 404}
    assert page.status == 200 or odd == "%00"


def test_the_live_part_is_the_list_and_costs_nothing_unchanged(world, signed_in, held):
    person, codes = held()
    guest = signed_in(person)
    page = guest.get("/me?tab=use")
    assert 'data-live="/me/live?tab=use" data-every="10"' in page.html
    part = guest.get("/me/live?tab=use")
    assert "<h1" not in part.html
    assert address_of(world, codes["soup"]) in part.links
    again = guest.get("/me/live?tab=use", headers={"If-None-Match": part.response.headers["ETag"]})
    assert again.status == 304


def test_R027_every_circle_of_his_is_in_one_wallet(world, signed_in, held):
    person, _ = held()
    guest = signed_in(person)
    guest.enter(person, circle="hillside")
    page = guest.get("/me?tab=use")
    assert page.text.count("● 可使用") == 2


def test_R037_the_wallet_reads_alike_on_both_databases(tmp_path, store_url):
    from gateway.reading import holdings
    from tests.support.builders import House

    house = House(store_url)
    house.claimed("a")
    house.pay("later", "a")
    person = house.in_tx("a", lambda _tx, who: who)
    many(house, person.id, 70)
    counts = house.store.read(lambda tx: holdings.counts(tx, person, house.now))
    assert counts == {"claim": 1, "use": 72}
    first = house.store.read(lambda tx: holdings.page(tx, person, "use", house.now))
    second = house.store.read(lambda tx: holdings.page(tx, person, "use", house.now, after=first.later))
    back = house.store.read(lambda tx: holdings.page(tx, person, "use", house.now, before=second.earlier))
    assert (len(first.rows), len(second.rows)) == (50, 22)
    assert [row["code"] for row in back.rows] == [row["code"] for row in first.rows]
    assert (first.earlier, second.later) == ("", "")
    house.later(days=30)
    past = house.store.read(lambda tx: holdings.page(tx, person, "past", house.now))
    ends = [row["sort_at"] for row in past.rows]
    assert ends == sorted(ends, reverse=True)
    assert len(ends) == 50
    house.close()


def test_R031_R037_a_gift_that_the_wallet_page_shows_has_been_shown(world, app, signed_in):
    world.pay("N1", "openid-a")
    world.pay("N2", "openid-a")
    (link,) = world.links()
    signed_in(link["person"]).get("/me/live")
    signed_in(link["person"]).get("/me?tab=past")
    assert world.all("SELECT * FROM showings") == []
    signed_in(link["person"]).get("/me")
    signed_in(link["person"]).get("/me")
    world.store.write(lambda tx: None)  # what was queued before is written with it
    (row,) = world.all("SELECT link, way, state, times FROM showings")
    assert dict(row) == {"link": link["id"], "way": "wallet", "state": "shown", "times": 2}
    world.user("ida", "operator")
    payment = world.all("SELECT id FROM payments WHERE transaction_id = 'N2'")[0]["id"]
    page = Browser(app).sign_in("ida").get(f"/admin/payments/{payment}")
    assert "送达 券包 已显示" in page.text
