"""Signing in and out, the forced change of a one-time password, and where staff may go (R072, R201–R204)."""

import pytest

from tests.support.browsing import Browser
from tests.support.world import PASSWORD

NEW = "a new password of mine"


@pytest.fixture
def once(world):
    """A clerk's one-time password."""
    return world.runtime.accounts.create_user("xiaozhou", "clerk", None, "sweets", world.clock(), "tests")


def test_R204_whatever_is_wrong_gets_the_same_words(world, browser):
    world.user("mia", "manager", merchant="sweets")
    pages = [
        browser.send(browser.get("/login"), "/login", username=name, password=password)
        for name, password in (("mia", "wrong"), ("nobody", "wrong"), ("", ""), ("mia", ""), ("MIA", PASSWORD))
    ]
    assert {page.status for page in pages} == {401}
    assert all("用户名或密码不对" in page.text for page in pages)
    assert all("drainage_staff" not in str(page.response.headers.getlist("Set-Cookie")) for page in pages)
    assert "<title>有误：登录" in pages[0].html
    assert 'aria-invalid="true"' in pages[0].html


def test_R204_ten_wrong_tries_and_the_door_is_shut_for_a_while(world, browser):
    world.user("mia", "manager", merchant="sweets")
    for _ in range(10):
        assert browser.send(browser.get("/login"), "/login", username="mia", password="wrong").status == 401
    page = browser.send(browser.get("/login"), "/login", username="mia", password=PASSWORD)
    assert page.status == 429
    assert int(page.response.headers["Retry-After"]) > 0
    assert "操作太频繁" in page.text


def test_R072_a_page_that_was_asked_for_comes_after_the_sign_in(world, browser):
    world.user("mia", "manager", merchant="sweets")
    asked = browser.get("/till/sweets-1/clerk")
    assert asked.response.headers["Location"] == "/login"
    login = browser.send(browser.follow(asked), "/login", username="mia", password=PASSWORD)
    assert browser.follow(login).response.headers["Location"] == "/till/sweets-1/clerk"


@pytest.mark.parametrize("name", ["next", "url", "after_login", "continue"])
def test_R072_no_address_tells_where_to_go_after_the_sign_in(world, app, name):
    world.user("mia", "manager", merchant="sweets")
    for evil in ("https://evil.example", "//evil.example", "/%09/evil", "\\\\evil.example"):
        browser = Browser(app)
        page = browser.get("/login", query_string={name: evil})
        login = browser.send(page, "/login", username="mia", password=PASSWORD, **{name: evil})
        assert browser.follow(login).response.headers["Location"] == "/redeem"


def test_R072_an_operator_begins_at_the_status_page(world, app):
    world.user("ops", "operator")
    browser = Browser(app).sign_in("ops")
    assert browser.get("/staff").response.headers["Location"] == "/status"
    assert browser.get("/login").response.headers["Location"] == "/staff"


def test_a_one_time_password_leads_to_a_password_of_ones_own_and_no_further(world, browser, once):
    login = browser.send(browser.get("/login"), "/login", username="xiaozhou", password=once)
    assert login.response.headers["Location"] == "/password"
    page = browser.follow(login)
    assert page.h1 == "设置新密码"
    assert 'value="xiaozhou"' in page.html
    assert browser.get("/redeem").response.headers["Location"] == "/login"
    values = {"username": "xiaozhou", "password": once}
    weak = browser.send(page, "/password", **values, new_password="short", again="short")
    assert weak.status == 422
    assert "新密码至少 12 个字符" in weak.text
    unlike = browser.send(page, "/password", **values, new_password=NEW, again=NEW + "x")
    assert (unlike.status, "两次填写的新密码不一样" in unlike.text) == (422, True)
    wrong = browser.send(page, "/password", username="xiaozhou", password="wrong", new_password=NEW, again=NEW)
    assert (wrong.status, "用户名或密码不对" in wrong.text) == (401, True)
    for failed in (weak, unlike, wrong):
        assert NEW not in failed.html
        assert once not in failed.html
    done = browser.send(page, "/password", **values, new_password=NEW, again=NEW)
    assert done.status == 303
    assert browser.get("/redeem").status == 200
    assert Browser(browser.client.application).sign_in("xiaozhou", NEW)


def test_R203_signing_out_ends_the_session_in_every_worker(world, app):
    world.user("mia", "manager", merchant="sweets")
    browser = Browser(app).sign_in("mia")
    stolen = browser.client.get_cookie("drainage_staff", domain="pay.example.com").value
    out = browser.send(browser.get("/redeem"), "/redeem", "/logout")
    assert out.response.headers["Location"] == "/login"
    assert browser.get("/redeem").status == 303
    thief = Browser(app)
    thief.client.set_cookie("drainage_staff", stolen, domain="pay.example.com")
    assert thief.get("/redeem").status == 303


def test_R203_a_session_ends_with_the_shift(world, app):
    world.user("mia", "manager", merchant="sweets")
    browser = Browser(app).sign_in("mia")
    form = browser.get("/redeem").form("/redeem")["hidden"]
    world.clock.move(hours=13)
    assert browser.get("/redeem").response.headers["Location"] == "/login"
    late = browser.post("/redeem", {**form, "code": "H7KQ2M9WXT4B5"})
    assert (late.status, late.h1) == (401, "请重新登录")
    assert "/login" in late.links


def test_R202_an_api_token_is_no_browser_session(world, app):
    browser = Browser(app)
    browser.client.set_cookie("drainage_staff", world.token("manager"), domain="pay.example.com")
    assert browser.get("/redeem").response.headers["Location"] == "/login"


@pytest.mark.parametrize("cookie", ["", "x", "drainage_", "drainage_e30.x", "drainage_" + "A" * 3000, "\xff"])
def test_R202_a_cookie_of_nonsense_is_nobody(browser, cookie):
    browser.client.set_cookie("drainage_staff", cookie, domain="pay.example.com")
    assert browser.get("/redeem").response.headers["Location"] == "/login"


PAGES = ("/redeem", "/status", "/till/sweets-1/clerk", "/staff")


@pytest.mark.parametrize("path", [*PAGES, "/status/live", "/till/sweets-1/clerk/live"])
def test_R072_nobody_sees_a_staff_page(browser, path):
    assert browser.get(path).response.headers["Location"] == "/login"
    part = browser.get(path, headers={"Sec-Fetch-Mode": "cors"})
    assert part.status == 401


def test_R072_a_clerk_may_redeem_and_undoes_nothing_without_a_manager(world, app):
    world.user("cao", "clerk", merchant="sweets")
    browser = Browser(app).sign_in("cao")
    code = world.code()
    page = browser.send(browser.get("/redeem"), "/redeem", "/redeem", code=code)
    assert "已核销" in page.text
    hidden = page.form("/redeem")["hidden"]
    refused = browser.post("/redeem/undo", {**hidden, "code": code, "reason": "mine"})
    assert refused.status == 401
    assert "用户名或密码不对" in refused.text
    assert world.one("SELECT state FROM coupons WHERE code = :code", code=code)["state"] == "redeemed"
