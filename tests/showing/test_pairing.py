"""Pairing a second screen: one code, one device, one shop; guessing gets nowhere (R260)."""

import re
import threading

import pytest

from gateway.delivery import screens
from gateway.web.pages.till import COOKIE
from tests.showing.conftest import settled
from tests.support.browsing import Browser, link_token
from tests.support.databases import opened

PAIR = "/till/hotpot-1/pair"


def code_of(page) -> str:
    found = re.search(r'class="pair-code">(\d{3}) (\d{3})<', page.html)
    return "".join(found.groups()) if found else ""


def make_code(clerk) -> str:
    page = clerk.get("/till/hotpot-1/clerk")
    answer = clerk.send(page, "/till/hotpot-1/clerk/screens", "/till/hotpot-1/clerk/screens")
    assert answer.response.headers["Location"] == "/till/hotpot-1/clerk#screens"
    code = code_of(clerk.get("/till/hotpot-1/clerk"))
    assert len(code) == 6
    return code


def typed(browser, code, path=PAIR, **more):
    return browser.send(browser.get(path), path, None, code=code, **more)


@pytest.fixture
def screen(app, clerk):
    """A paired device."""
    device = Browser(app)
    answer = typed(device, make_code(clerk))
    assert (answer.status, answer.response.headers["Location"]) == (303, "/till/hotpot-1")
    return device


def test_R260_the_code_pairs_one_screen_once(world, app, clerk):
    code = make_code(clerk)
    first, second = Browser(app), Browser(app)
    spaced = f"{code[:3]} {code[3:]}".translate({ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"})
    answer = typed(first, spaced)
    assert answer.status == 303
    assert first.get("/till/hotpot-1").h1 == "欢迎光临"
    page = typed(second, code)
    assert page.status == 422
    assert "配对码不对或已过期，请店员重新生成" in page.text
    assert second.get("/till/hotpot-1").status == 303


def test_R260_the_devices_cookie_is_closed_lasts_and_goes_to_its_shop_alone(app, clerk):
    device = Browser(app)
    answer = typed(device, make_code(clerk))
    (cookie,) = [c for c in answer.response.headers.getlist("Set-Cookie") if c.startswith(COOKIE)]
    for part in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/till/hotpot-1", "Max-Age=34560000"):
        assert part in cookie


def test_R260_the_device_sees_its_own_shops_code_and_nothing_else(world, app, screen):
    token = link_token(world, "openid-a", channel="hotpot-partner", amount_fen=2600)
    page = screen.get("/till/hotpot-1")
    assert "¥26.00" in page.text
    assert token not in page.html
    (image,) = [v for tag, name, v in page.attributes if (tag, name) == ("img", "src")]
    assert screen.file(image)[0].startswith(b"\x89PNG")
    for path in ("/till/hotpot-1/clerk", "/till", "/redeem", "/status", "/admin"):
        assert screen.get(path).response.headers["Location"] == "/login", path
    for path in ("/till/hotpot-1/clerk/live", "/till/hotpot-1/clerk/qr/shop.png"):
        assert screen.get(path, headers={"Sec-Fetch-Mode": "cors"}).status == 401, path
    assert screen.get("/till/sweets-1").response.headers["Location"] == "/till/sweets-1/pair"


def test_R260_the_cookie_of_one_shop_opens_no_other(world, app, screen):
    value = screen.client.get_cookie(COOKIE, domain="pay.example.com", path="/till/hotpot-1").value
    thief = Browser(app)
    thief.client.set_cookie(COOKIE, value, domain="pay.example.com", path="/")
    assert thief.get("/till/hotpot-1").status == 200
    assert thief.get("/till/sweets-1").response.headers["Location"] == "/till/sweets-1/pair"
    assert thief.get("/till/sweets-1/live").status == 401


@pytest.mark.parametrize(
    "value", ["", ".", "x", "sc_1.", ".AAAAAAAAAAAAAAAAAAAAAA", "sc_1.AAAAAAAAAAAAAAAAAAAAAA", "é.x"]
)
def test_R260_a_made_up_cookie_opens_nothing(app, value):
    thief = Browser(app)
    thief.client.set_cookie(COOKIE, value, domain="pay.example.com", path="/")
    assert thief.get("/till/hotpot-1/live").status == 401


def test_R260_a_screen_sent_away_sees_nothing_more(world, clerk, screen):
    page = clerk.get("/till/hotpot-1/clerk")
    assert "已配对的屏幕" in page.text
    (id_,) = [row["id"] for row in world.all("SELECT id FROM screens")]
    where = "/till/hotpot-1/clerk/screens"
    assert clerk.send(page, where, where, revoke=id_).status == 303
    assert screen.get("/till/hotpot-1").status == 303
    assert screen.get("/till/hotpot-1/live").status == 401
    assert "已配对的屏幕" not in clerk.get("/till/hotpot-1/clerk").text
    assert clerk.send(page, where, where, revoke=id_).status == 404
    actions = [row["action"] for row in world.all("SELECT action FROM audit WHERE action LIKE 'screen.%' ORDER BY seq")]
    assert actions == ["screen.code", "screen.pair", "screen.revoke"]


def test_R072_another_shops_screen_cannot_be_sent_away(world, app, screen):
    world.user("mia", "clerk", merchant="sweets")
    mia = Browser(app).sign_in("mia")
    (id_,) = [row["id"] for row in world.all("SELECT id FROM screens")]
    where = "/till/sweets-1/clerk/screens"
    assert mia.send(mia.get("/till/sweets-1/clerk"), where, where, revoke=id_).status == 404
    assert screen.get("/till/hotpot-1").status == 200


def test_R260_a_code_ends_after_ten_minutes(world, app, clerk):
    code = make_code(clerk)
    world.clock.move(minutes=10)
    assert typed(Browser(app), code).status == 422
    assert "换一个配对码" not in clerk.get("/till/hotpot-1/clerk").text


def test_R260_a_new_code_ends_the_old_one(app, clerk):
    old = make_code(clerk)
    new = make_code(clerk)
    device = Browser(app)
    assert old == new or typed(device, old).status == 422
    assert typed(device, new).status == 303


def test_R260_a_code_is_its_shops_own(world, app, clerk):
    code = make_code(clerk)
    device = Browser(app)
    for shop in ("sweets-1", "nowhere"):
        assert typed(device, code, f"/till/{shop}/pair").status == 422
    assert typed(device, code).status == 303


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "123456" * 9, "%00", "-1"])
def test_R260_odd_codes_are_wrong_codes(app, clerk, code):
    real = make_code(clerk)
    page = typed(Browser(app), code)
    assert page.status == 422 or real == "123456"


def test_R260_ten_guesses_from_one_address_and_no_more(world, app, clerk):
    code = make_code(clerk)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    thief = Browser(app)
    assert [typed(thief, wrong).status for _ in range(11)] == [422] * 10 + [429]
    # The right one is refused too: what cannot be tried cannot be found.
    assert typed(thief, code).status == 429
    world.clock.move(minutes=10)
    assert typed(thief, code).status == 422


def test_R260_twenty_guesses_from_many_addresses_end_the_code(world, app, clerk):
    code = make_code(clerk)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    thief = Browser(app)
    form = thief.get(PAIR).form(None)["hidden"]
    for number in range(20):
        where = {"REMOTE_ADDR": f"198.51.100.{number}"}
        assert thief.post(PAIR, {**form, "code": wrong}, environ_overrides=where).status == 422
    assert world.one("SELECT wrong FROM pairings")["wrong"] == screens.MOST_WRONG
    assert thief.post(PAIR, {**form, "code": code}, environ_overrides={"REMOTE_ADDR": "192.0.2.9"}).status == 422
    now = world.clock()
    paired = world.store.write(
        lambda tx: screens.pair(tx, world.runtime.ids, world.runtime.random, "hotpot-1", code, now)
    )
    assert paired is None
    assert "换一个配对码" not in clerk.get("/till/hotpot-1/clerk").text


def test_R260_the_form_needs_its_token(app, clerk):
    code = make_code(clerk)
    assert Browser(app).post(PAIR, {"code": code}).status == 400
    assert typed(Browser(app), code).status == 303


def test_R260_the_clerk_sees_whether_the_screen_is_there(world, clerk, screen):
    assert "未连接" in clerk.get("/till/hotpot-1/clerk/live").text
    screen.get("/till/hotpot-1")
    settled(world)
    text = clerk.get("/till/hotpot-1/clerk/live").text
    assert "已连接" in text
    assert "未连接" not in text
    world.clock.move(seconds=46)
    assert "未连接" in clerk.get("/till/hotpot-1/clerk/live").text


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_R260_of_many_who_type_the_code_at_once_one_gets_it(world, request, kind):
    store = opened(request.getfixturevalue(f"{kind}_url"))
    runtime, now = world.runtime, world.clock()
    try:
        code = store.write(lambda tx: screens.make_code(tx, runtime.random, "s", "lin", now))
        start = threading.Barrier(16)
        got = []

        def type_it() -> None:
            start.wait()
            got.append(store.write(lambda tx: screens.pair(tx, runtime.ids, runtime.random, "s", code, now)))

        hands = [threading.Thread(target=type_it) for _ in range(16)]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join()
        assert sum(one is not None for one in got) == 1
        assert len(store.read(lambda tx: tx.all("SELECT id FROM screens"))) == 1
    finally:
        store.close()


def test_R260_nothing_that_is_kept_gives_the_code_or_the_secret_away(world, clerk, screen):
    value = screen.client.get_cookie(COOKIE, domain="pay.example.com", path="/till/hotpot-1").value
    secret = value.partition(".")[2]
    code = make_code(clerk)
    kept = [str(tuple(row)) for name in ("screens", "pairings", "audit") for row in world.all(f"SELECT * FROM {name}")]
    assert kept
    assert not any(secret in row or f"'{code}'" in row for row in kept)
