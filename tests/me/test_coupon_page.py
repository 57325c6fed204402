"""One coupon: codes to show, each state with its exact words, the live part, why, and its bar code (R058, R059)."""

import re

import pytest
from barcode import Code128

from gateway import coupons
from gateway.redeeming import Bill, Clerk
from linkgen import qr
from linkgen.bars import code128_svg
from linkgen.codes import grouped
from tests.me.conftest import address_of, claim
from tests.support.browsing import Page
from tests.support.world import BASE_URL, CATALOG, World

CLERK = Clerk("lin", None)


@pytest.fixture
def one(world, signed_in, held):
    """(browser, code, address) of a coupon of the sweets shop."""
    person, codes = held()
    code = codes["bowl-5off"]
    return signed_in(person), code, address_of(world, code)


def test_R059_the_code_three_ways_and_one_qr_code_on_the_screen(one):
    guest, code, address = one
    page = guest.get(address)
    assert page.h1 == "甜甜糖水 ¥5.00"
    assert page.coupons == [code]
    assert grouped(code) in page.text
    assert "调亮屏幕更易扫" in page.text
    assert page.html.count("<img") == 1
    assert page.html.count('class="bars"') == 1
    assert f'<img src="{address}/qr.png" width="240" height="240"' in page.html
    data, headers = guest.file(f"{address}/qr.png")
    assert data == qr.png(f"{BASE_URL}/v/{code}")
    assert headers["Content-Type"] == "image/png"
    assert headers["Cache-Control"] == "no-store"


def test_R057_no_address_on_the_page_holds_the_code(one):
    guest, code, address = one
    for path in (address, "/me?tab=use", f"{address}/why", f"{address}/give"):
        for _, name, value in guest.get(path).attributes:
            if name in {"href", "src", "action", "data-live", "data-address"}:
                assert code not in value, path
                assert grouped(code) not in value, path


def test_a_usable_coupon_says_its_conditions(one):
    guest, _, address = one
    page = guest.get(address)
    for words in ("● 可使用", "满 ¥20.00 可用", "有效至 12-06 12:05", "在甜甜糖水使用", "转赠朋友", "为什么给我？"):
        assert words in page.text, words


def test_in_english(world, signed_in, one):
    guest, _, address = one
    guest.headers = {"Accept-Language": "en"}
    page = guest.get(address)
    for words in ("Usable", "Turn up brightness to scan", "Give to a friend", "Why did I get this?"):
        assert words in page.text, words


def test_it_turns_while_the_clerk_watches(world, one):
    guest, code, address = one
    page = guest.get(address)
    assert f'data-live="{address}/live" data-every="3" data-slow="10" data-slow-after="120"' in page.html
    before = guest.get(f"{address}/live")
    tag = before.response.headers["ETag"]
    assert guest.get(f"{address}/live", headers={"If-None-Match": tag}).status == 304
    world.runtime.redeeming.redeem(code, CLERK, "k1", Bill(shop="sweets-1"), world.clock())
    after = guest.get(f"{address}/live", headers={"If-None-Match": tag})
    assert after.status == 200
    assert "已核销 ✓ 12:05 糖水铺" in after.text
    assert "<img" not in after.html
    assert "bars" not in after.html
    assert after.coupons == []
    assert "转赠朋友" not in guest.get(address).text


def test_it_turns_in_english(world, one):
    guest, code, address = one
    world.runtime.redeeming.redeem(code, CLERK, "k1", Bill(shop="sweets-1"), world.clock())
    guest.headers = {"Accept-Language": "en"}
    assert "Used ✓ 12:05 糖水铺" in guest.get(f"{address}/live").text


@pytest.mark.parametrize(
    ("change", "words", "absent"),
    [
        ("expire", "已过期", "可使用"),
        ("void", "已作废 付款已退款", "可使用"),
        ("reserve", "正在核对一次离线核销或转赠", "● 可使用"),
        ("gift", "转赠中，等朋友收下", "● 可使用"),
    ],
)
def test_each_unusable_state_says_why_and_shows_no_code_to_scan(world, one, change, words, absent):
    guest, code, address = one
    if change == "expire":
        world.clock.move(days=14)
        guest.enter(world.person_of("T0"))
    elif change == "void":
        world.store.write(lambda tx: coupons.void(tx, coupons.by_code(tx, code), world.clock(), "refunded"))
    elif change == "reserve":
        world.store.write(lambda tx: tx.run("UPDATE coupons SET state = 'reserved' WHERE code = :c", {"c": code}))
    else:
        world.runtime.handing_over.make(world.runtime.directory(), code, world.person_of("T0"), world.clock())
    page = guest.get(address)
    assert page.status == 200
    assert words in page.text
    assert absent not in page.text
    assert "<img" not in page.html
    assert page.coupons == []


def test_one_whose_first_day_is_to_come_says_so(world, one):
    guest, code, address = one
    world.store.write(
        lambda tx: tx.run("UPDATE coupons SET valid_from = '2026-11-25T00:00:00.000Z' WHERE code = :c", {"c": code})
    )
    assert "11-25 08:00 起可用" in guest.get(address).text


def test_R248_page_is_whole_without_scripts(one):
    guest, code, address = one
    page = guest.get(address)
    assert page.html.count("<h1") == 1
    assert "<noscript>" in page.html
    assert f'<a class="tap" href="{address}">刷新</a>' in page.html
    assert 'role="status"' in page.html
    assert f"券码 {grouped(code)} 的二维码" in page.html
    assert f"<title>券码 {grouped(code)} 的条形码</title>" in page.html


def test_pages_of_mine_weigh_little(one):
    guest, _, address = one
    for path in ("/me", address, "/me/privacy", "/me/invite", f"{address}/give"):
        page = guest.get(path)
        assert len(page.response.get_data()) <= 10 * 1024, path
        css = [v for tag, name, v in page.attributes if tag == "link" and "css" in v]
        assert sum(len(guest.file(one)[0]) for one in css) <= 12 * 1024
        scripts = [v for tag, name, v in page.attributes if tag == "script" and name == "src"]
        assert sum(len(guest.file(one)[0]) for one in scripts) <= 6 * 1024


# -- why --------------------------------------------------------------------------------------------------------------


def test_R076_why_tells_payment_tag_and_choice(world, one):
    guest, _, address = one
    page = guest.get(f"{address}/why")
    assert page.h1 == "为什么给我？"
    assert "12:05 你在老王火锅付款 ¥100.00。" in page.text
    assert "12:05 你第一次在老王火锅付款，从那时起认得这个付款账号。" in page.text
    assert "当时有 3 件礼物可以考虑，送出 2 件。" in page.text
    assert "只卖不送：1 件" in page.text


def test_R025_why_names_no_friend(world, signed_in, app):
    world.pay("A1", "openid-a")
    friend = world.person_of("A1")
    share = world.runtime.sharing.create(friend, "riverside", world.clock())
    from gateway.contract.events import Payer

    known_by = people_of(world, Payer("app-riverside", "openid", "openid-b"))
    circle = world.runtime.directory().circle("riverside")
    world.runtime.sharing.confirm(circle, share.token, known_by, world.clock())
    world.pay("B1", "openid-b")
    codes = claim(world, "openid-b")
    person = world.person_of("B1")
    page = signed_in(person).get(address_of(world, codes["soup"]) + "/why")
    assert "你接受了一位朋友的邀请。" in page.text
    assert friend not in page.html
    assert "客人" not in page.text


def people_of(world, *payers):
    from gateway import people

    return people.identities(world.runtime.vault(), "plainpay", payers)


def test_R034_a_thank_you_tells_nothing_of_who_paid(tmp_path):
    from tests.me.conftest import Guest
    from tests.support.browsing import pages_of

    text = CATALOG.replace("own = 1\nelsewhere = 1", 'own = 1\nelsewhere = 1\nsource_item = "soup"')
    assert text != CATALOG
    world = World(tmp_path, catalog=text)
    from gateway.contract.events import Payer

    world.pay("A1", "openid-a")
    bringer = world.person_of("A1")
    share = world.runtime.sharing.create(bringer, "riverside", world.clock())
    circle = world.runtime.directory().circle("riverside")
    world.runtime.sharing.confirm(
        circle, share.token, people_of(world, Payer("app-riverside", "openid", "openid-b")), world.clock()
    )
    world.clock.move(days=1)
    world.pay("B-secret", "openid-b", amount_fen=12_345)
    (link,) = [row for row in world.links() if row["purpose"] == "source"]
    token = world.runtime.link_keys.token(link["id"])
    page = world.runtime.claiming.claim(world.runtime.directory(), token, world.clock(), person=bringer)
    code = page.coupons[0]["code"]
    answer = Guest(world, pages_of(world), bringer).get(address_of(world, code) + "/why")
    assert "你介绍的客人到店付款了，这是给你的答谢。" in answer.text
    assert "123.45" not in answer.text
    assert "B-secret" not in answer.html
    assert world.person_of("B-secret") not in answer.html
    world.close()


def test_why_of_a_gift_says_a_friend_and_nothing_of_the_friends_payment(world, signed_in, held):
    person, codes = held("openid-a")
    world.pay("B", "openid-b")
    giving = world.runtime.handing_over
    gift = giving.make(world.runtime.directory(), codes["bowl-5off"], person, world.clock())
    new = giving.take(giving.token(giving.given(gift, person, world.clock()).row), world.person_of("B"), world.clock())
    page = signed_in(world.person_of("B")).get(address_of(world, new) + "/why")
    assert "一位朋友把它转赠给你。" in page.text
    for other in ("¥100.00", "老王火锅", "当时有", person):
        assert other not in page.text


def test_why_of_a_bought_coupon(world, signed_in):
    world.pay("T1", "openid-a")
    person = world.person_of("T1")
    order = world.runtime.ordering.create(world.runtime.directory(), "set-menu", 1, person, world.clock())
    bought = world.runtime.ordering.pay(world.runtime.directory(), order["id"], world.clock())
    page = signed_in(person).get(address_of(world, bought.coupons[0]) + "/why")
    assert "12:05 你买下了它。" in page.text


# -- the bar code -----------------------------------------------------------------------------------------------------


def modules_of(svg):
    """The bars that a scanner sees, a character a module."""
    width = int(re.search(r'viewBox="0 0 (\d+) ', svg)[1])
    seen = ["0"] * width
    path = re.findall(r' d="([^"]*)"', svg)[1]
    for start, length in re.findall(r"M(\d+) 0h(\d+)v48H\1z", path):
        seen[int(start) : int(start) + int(length)] = "1" * int(length)
    return "".join(seen)


@pytest.mark.parametrize("text", ["H7KQ2M9WXT4B5", "2222222222222", "A", "abc-123", "~ !"])
def test_bars_are_those_of_the_encoding_with_ten_blank_modules_on_each_side(text):
    svg = code128_svg(text, title="t")
    assert modules_of(svg) == "0" * 10 + Code128(text).build()[0] + "0" * 10


def test_bars_obey_a_strict_policy_and_escape_their_title():
    svg = code128_svg("H7KQ2M9WXT4B5", title='<b> & "x"')
    assert "style" not in svg
    assert "<title>&lt;b&gt; &amp; &quot;x&quot;</title>" in svg
    assert {name for _, name, _ in Page(_Answer(svg)).attributes} == {
        "class",
        "role",
        "viewbox",
        "preserveaspectratio",
        "shape-rendering",
        "fill",
        "d",
    }


class _Answer:
    status_code = 200

    def __init__(self, html):
        self.html = html

    def get_data(self, as_text):
        return self.html


@pytest.mark.parametrize("text", ["", "券", "é"])
def test_bars_of_what_they_cannot_hold(text):
    with pytest.raises(ValueError):
        code128_svg(text, title="t")


def test_bars_are_read_by_a_decoder():
    zxing = pytest.importorskip("zxingcpp")
    image = pytest.importorskip("PIL.Image")
    modules = modules_of(code128_svg("H7KQ2M9WXT4B5", title="t"))
    picture = image.new("L", (len(modules) * 3, 90), 255)
    for place, module in enumerate(modules):
        if module == "1":
            picture.paste(0, (place * 3, 0, place * 3 + 3, 90))
    (found,) = zxing.read_barcodes(picture)
    assert (found.text, found.format) == ("H7KQ2M9WXT4B5", zxing.BarcodeFormat.Code128)
