"""`/slip/wechat`: what WeChat's own page after a payment gets to see of us, and that it is nothing of anybody's (R032)."""

import pytest

from crypto.legacy import md5_hex
from gateway.contract.errors import StoreUnavailable
from gateway.delivery import showings, slip, ways
from tests.showing.conftest import BEARER, SUB, catalog, settled
from tests.support.browsing import Browser, pages_of
from tests.support.world import BASE_URL, World

CHECK = "0123456789abcdef" * 2
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors https://payapp.weixin.qq.com"
)


def address(order="OB", sub=SUB, check=CHECK, part=""):
    return f"/slip/wechat{part}?sub_mch_id={sub}&out_trade_no={order}&check_code={check}"


def state_of(page) -> str:
    (found,) = [value for tag, name, value in page.attributes if (tag, name) == ("main", "data-state")]
    return found


@pytest.fixture
def gift(world):
    """The order `OB`: a tagged payer's payment a moment ago. Gives the link's token."""
    world.pay("A", "openid-a", channel="hotpot-partner")
    world.clock.move(minutes=30)
    world.pay("B", "openid-a", channel="hotpot-partner", amount_fen=2600)
    return world.runtime.link_keys.token(world.links()[-1]["id"])


def switch(world, mode):
    now = world.clock()
    world.store.write(lambda tx: ways.switch(tx, now, "hotpot", "slip", mode, "tests"))


def test_R032_has_a_gift_in_the_exact_words(world, gift, browser):
    page = browser.get(address())
    assert (page.status, state_of(page), page.h1) == (200, "gift", "付款成功，送你 2 张券")
    assert "去领取" in page.text
    assert "每笔付款仅显示一次" in page.text
    (jump,) = [value for tag, name, value in page.attributes if name == "data-jump"]
    assert jump == f"{BASE_URL}/c/{gift}"
    english = Browser(browser.client.application, "en").get(address())
    assert english.h1 == "Paid. 2 gift(s) for you"
    assert "Get it" in english.text


def test_R032_only_wechats_own_page_may_frame_it(world, gift, browser):
    for path in (address(), address("none"), address(part="/look")):
        headers = browser.get(path).response.headers
        wanted = POLICY if "/look" not in path else POLICY.replace("https://payapp.weixin.qq.com", "'none'")
        assert headers["Content-Security-Policy"] == wanted
        assert "X-Frame-Options" not in headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in headers


def test_R032_nothing_personal_and_no_claim_on_it(world, gift, browser):
    page = browser.get(address())
    row = world.one("SELECT * FROM payments WHERE out_trade_no = 'OB'")
    for private in ("openid", row["person"], row["transaction_id"] + '"', row["id"], "26.00", "12:35", "客人"):
        assert private not in page.html.partition("<main")[2], private
    assert page.forms == []
    assert page.coupons == []
    assert world.links()[-1]["state"] == "issued"


def test_R032_looking_until_the_notification_has_come(world, browser):
    world.pay("A", "openid-a", channel="hotpot-partner")
    page = browser.get(address())
    assert (state_of(page), page.h1) == ("looking", "正在查看是否有礼…")
    assert Browser(browser.client.application, "en").get(address()).h1 == "Checking for a gift…"
    (look,) = [value for tag, name, value in page.attributes if name == "data-look"]
    assert browser.get(look).status == 204
    world.pay("B", "openid-a", channel="hotpot-partner")
    part = browser.get(look)
    assert (part.status, part.h1) == (200, "付款成功，送你 2 张券")
    assert "<html" not in part.html


@pytest.mark.parametrize(
    ("sub", "order", "check"),
    [
        ("", "", ""),
        (SUB, "OB", ""),
        (SUB, "", CHECK),
        ("", "OB", CHECK),
        (SUB, "OB", "short"),
        (SUB, "OB", "g" * 32),
        (SUB, "OB", CHECK * 2),
        ("1900000999", "OB", CHECK),
        ("M-hotpot", "OB", CHECK),
        ("１９０００００１０９", "OB", CHECK),
        (SUB, "%27 OR 1=1 --", CHECK),
        (SUB, "OB%00", CHECK),
        (SUB, "O" * 5000, CHECK),
        (SUB, "%ED%A0%80", CHECK),
        (SUB + "%0A", "OB", CHECK),
    ],
)
def test_R032_what_is_not_whole_or_not_ours_is_a_blank_page_that_gives_way(world, gift, browser, sub, order, check):
    page = browser.get(address(order, sub, check))
    assert (page.status, state_of(page)) == (200, "nothing")
    assert '>\n<h1 class="hide">付款后的礼物</h1>\n</main>\n</body>' in page.html
    assert gift not in page.html
    assert browser.get(address(order, sub, check, "/look")).status == 204


def test_R032_an_unknown_order_and_one_without_a_gift_look_the_same(world, gift, browser):
    """Who tries numbers learns nothing, not even which orders there are."""
    world.pay("C", "openid-c", channel="hotpot-partner")
    first = browser.get(address("OC"))
    other = browser.get(address("OX"))
    assert first.html.replace("OC", "O?") == other.html.replace("OX", "O?")
    parts = [browser.get(address(order, part="/look")) for order in ("OC", "OX")]
    assert [part.status for part in parts] == [204, 204]
    assert dict(parts[0].response.headers) == dict(parts[1].response.headers)


@pytest.mark.parametrize("state", ["claimed", "revoked", "expired", "superseded"])
def test_R032_only_unclaimed_links(world, gift, browser, state):
    world.store.write(lambda tx: tx.run("UPDATE links SET state = :state", {"state": state}))
    assert state_of(browser.get(address())) == "looking"
    assert browser.get(address(part="/look")).status == 204


def test_R032_only_recent_payments(world, gift, browser):
    world.clock.move(minutes=9, seconds=59)
    assert state_of(browser.get(address())) == "gift"
    world.clock.move(seconds=1)
    assert state_of(browser.get(address())) == "looking"


def test_R032_two_payments_under_one_order_number_show_neither(world, gift, browser):
    world.pay("B#", "openid-a", channel="hotpot-partner")
    assert len(world.all("SELECT id FROM payments WHERE out_trade_no = 'OB'")) == 2
    assert state_of(browser.get(address())) == "looking"


def test_R032_a_check_code_that_differs_is_logged_and_decides_nothing(world, gift, browser, capsys):
    text = f"{BASE_URL}/slip/wechat?sub_mch_id={SUB}&out_trade_no=OB&transaction_id=B"
    good = md5_hex(text.encode())
    assert state_of(browser.get(address(check=good))) == "gift"
    assert state_of(browser.get(address(check=good.upper()))) == "gift"
    assert "slip_check_code_differs" not in capsys.readouterr().out
    assert state_of(browser.get(address())) == "gift"
    said = capsys.readouterr().out
    assert "slip_check_code_differs" in said
    for private in (good, CHECK, "OB", gift, "openid-a"):
        assert private not in said
    # The right code alone opens nothing: it is never the only key.
    assert state_of(browser.get(address("OX", check=good))) == "looking"


def test_R032_a_link_for_whoever_holds_it_is_not_given_to_who_guesses_a_number(tmp_path, partners):
    world = World(tmp_path, catalog=catalog(BEARER))
    browser = Browser(pages_of(world))
    world.pay("A", "openid-a", channel="hotpot-partner")
    world.pay("B", "openid-a", channel="hotpot-partner")
    assert len(world.links()) == 1
    assert state_of(browser.get(address())) == "looking"
    assert browser.get(address(part="/look")).status == 204
    world.close()


def test_R032_guessing_is_slowed_down_and_then_finds_nothing_at_all(world, gift, browser):
    cap = slip.UNKNOWN_ORDER.cap
    for number in range(cap):
        assert browser.get(address(f"guess{number}", part="/look")).status == 204
    settled(world)
    assert browser.get(address(part="/look")).status == 204
    assert state_of(browser.get(address())) == "looking"
    # Another address is another matter, and a minute later it is forgotten.
    other = browser.get(address(part="/look"), environ_overrides={"REMOTE_ADDR": "198.51.100.7"})
    assert other.status == 200
    world.clock.move(minutes=1)
    assert browser.get(address(part="/look")).status == 200


def test_R032_orders_that_we_know_cost_no_guesses(world, gift, browser):
    world.pay("C", "openid-c", channel="hotpot-partner")
    for _ in range(slip.UNKNOWN_ORDER.cap + 5):
        browser.get(address("OC", part="/look"))
    settled(world)
    assert browser.get(address(part="/look")).status == 200


def test_R032_a_merchant_may_switch_it_off_or_have_it_always(world, gift, browser):
    switch(world, "off")
    assert state_of(browser.get(address())) == "nothing"
    assert browser.get(address(part="/look")).status == 204
    switch(world, "always")
    page = browser.get(address("OX"))
    (words,) = [value for tag, name, value in page.attributes if name == "data-always"]
    assert (state_of(page), words) == ("looking", "本次没有赠券，谢谢惠顾")
    english = Browser(browser.client.application, "en").get(address("OX"))
    assert 'data-always="No gift this time. Thank you!"' in english.html
    assert state_of(browser.get(address())) == "gift"


def test_R032_without_the_store_the_page_still_speaks_up(world, gift, browser, monkeypatch):
    world.runtime.directory()

    def gone(_self, _work):
        raise StoreUnavailable("gone")

    monkeypatch.setattr(type(world.store), "read", gone)
    page = browser.get(address())
    assert (page.status, state_of(page)) == (200, "nothing")
    assert "js/slip.js" in page.html
    assert browser.get(address(part="/look")).status == 204


def test_R032_the_look_up_goes_by_its_index(world, gift):
    plan = world.all(
        "EXPLAIN QUERY PLAN SELECT p.id FROM payments p LEFT JOIN links l ON l.payment = p.id AND l.purpose = 'payer' "
        "WHERE p.out_trade_no = 'O' AND p.sub_mch_id = 'S'"
    )
    text = " ".join(str(row["detail"]) for row in plan)
    assert "payments_order" in text
    assert "links_payment" in text
    assert "SCAN" not in text


def test_R032_many_gifts_are_told_as_a_number(world, browser):
    more = "".join(
        f'[item.more-{n}]\nmerchant = "hotpot"\nname = "赠品{n}"\nkind = "gift"\noffer = "own"\n' for n in range(4)
    )
    from tests.showing.conftest import OAUTH

    world.apply(catalog(OAUTH).replace("own = 1", "own = 4") + more)
    world.pay("A", "openid-a", channel="hotpot-partner")
    world.pay("B", "openid-a", channel="hotpot-partner")
    page = browser.get(address())
    assert page.h1 == "付款成功，送你 5 张券"
    assert "还有 3 张" in page.text


# -- what became of it ------------------------------------------------------------------------------------------------


def reaches(world, transaction="B"):
    row = world.one("SELECT id FROM payments WHERE transaction_id = :t", t=transaction)
    now = world.clock()
    return {one.way: one for one in world.store.read(lambda tx: showings.of_payment(tx, row["id"], now))}


def test_R031_shown_once_the_page_has_it(world, gift, browser):
    assert reaches(world)["slip"].state == "queued"
    browser.get(address("OX"))
    browser.get(address())
    settled(world)
    assert (reaches(world)["slip"].state, reaches(world)["slip"].times) == ("shown", 1)


def test_R031_a_page_that_asked_before_the_notification_came_was_too_early(world, browser):
    world.pay("A", "openid-a", channel="hotpot-partner")
    browser.get(address())
    settled(world)
    world.clock.move(seconds=13)
    settle(world)
    assert len(world.all("SELECT * FROM slip_asks")) == 1
    world.pay("B", "openid-a", channel="hotpot-partner")
    settle(world)
    assert (reaches(world)["slip"].state, reaches(world)["slip"].error) == ("failed", "too_late")
    assert world.all("SELECT * FROM slip_asks") == []


def test_R031_a_page_that_asked_early_and_got_it_in_time_counts_as_shown(world, browser):
    world.pay("A", "openid-a", channel="hotpot-partner")
    browser.get(address())
    world.pay("B", "openid-a", channel="hotpot-partner")
    assert browser.get(address(part="/look")).status == 200
    settled(world)
    world.clock.move(seconds=13)
    settle(world)
    assert reaches(world)["slip"].state == "shown"


def test_R031_orders_that_never_come_are_forgotten(world, browser):
    browser.get(address("never"))
    settled(world)
    world.clock.move(minutes=10)
    settle(world)
    assert len(world.all("SELECT * FROM slip_asks")) == 1
    world.clock.move(seconds=1)
    settle(world)
    assert world.all("SELECT * FROM slip_asks") == []


def settle(world):
    now = world.clock()
    return world.store.write(lambda tx: slip.settle_asks(tx, now, 100))
