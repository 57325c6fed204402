"""What holds for every page: headers, forms that only our own pages can send, no inline anything, odd input (R057)."""

import re

import pytest

from tests.support.browsing import Browser, Page, link_token, pages_of
from tests.support.world import CATALOG, World

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
FORMS = ("/c/{token}", "/c?n=1", "/c/leave?n=1", "/c/join?n=1", "/i/{share}", "/login", "/logout", "/password")
STAFF_FORMS = ("/redeem", "/redeem/undo")


@pytest.fixture
def sandbox_world(tmp_path):
    made = World(tmp_path, sandbox=True)
    yield made
    made.close()


def every_page(world, app):
    """One page of each kind, as a signed-in manager and as a customer."""
    token = link_token(world, "openid-a")
    share = world.runtime.sharing.create(world.person_of("P0"), "riverside", world.clock()).token
    world.user("mia", "manager", merchant="sweets")
    customer, staff = Browser(app), Browser(app).sign_in("mia")
    customer.send(customer.get(f"/c/{token}"), f"/c/{token}")
    other = link_token(world, "openid-b")
    paths = (
        f"/c/{token}",
        f"/c/{other}",
        "/c/leave?n=1",
        "/c/x",
        f"/i/{share}",
        "/i/outcome/tagged",
        "/v/ABC",
        "/login",
    )
    for path in paths:
        yield path, customer.get(path)
    for path in ("/redeem", "/status", "/status/live", "/till/sweets-1", "/till/sweets-1/live", "/password"):
        yield path, staff.get(path)
    code = world.all("SELECT code FROM coupons WHERE merchant = 'sweets'")[0]["code"]
    yield "used", staff.send(staff.get("/redeem"), "/redeem", "/redeem", code=code)
    yield "unknown", staff.send(staff.get("/redeem"), "/redeem", "/redeem", code="nothing")
    if world.sandbox:
        for path in ("/sandbox", "/sandbox/phone/A/", f"/sandbox/phone/A/c/{other}", "/sandbox/phone/Z/"):
            yield path, customer.get(path)


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_R057_every_page_has_the_headers_and_nothing_inline(sandbox_world, language):
    app = pages_of(sandbox_world)
    seen = 0
    for path, page in every_page(sandbox_world, app):
        seen += 1
        headers = page.response.headers
        wanted = POLICY
        if path.startswith("/sandbox/phone/"):
            wanted = POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
        elif path == "/sandbox":
            wanted = POLICY + "; frame-src 'self'"
        assert headers["Content-Security-Policy"] == wanted, path
        assert headers["Referrer-Policy"] == "no-referrer", path
        assert headers["Cache-Control"] == "no-store", path
        assert headers["X-Robots-Tag"] == "noindex", path
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["Strict-Transport-Security"] == "max-age=31536000", path
        for tag, name, value in page.attributes:
            assert not name.startswith("on"), (path, name)
            assert name != "style", path
            if name in {"src", "href", "action"}:
                assert not value.startswith(("http:", "https:", "//", "data:", "javascript:")), (path, value)
            assert (tag, name) != ("script", "nonce")
        assert "<style" not in page.html
        assert not re.search(r"<script(?![^>]*\ssrc=)", page.html), path
    assert seen == 20


def test_R057_every_whole_page_has_a_language_a_title_one_h1_and_a_way_past_the_menu(sandbox_world):
    for path, page in every_page(sandbox_world, pages_of(sandbox_world)):
        if path.endswith("/live"):
            continue
        assert page.html.count("<h1") == 1, path
        assert re.search(r"<title>[^<]+</title>", page.html), path
        assert '<html lang="zh-CN">' in page.html
        assert 'class="skip" href="#main"' in page.html
        assert 'id="main"' in page.html


def test_R057_cookies_are_closed_to_scripts_and_other_sites(world, browser, token):
    world.user("mia", "manager", merchant="sweets")
    page = browser.get(f"/c/{token}")
    login = browser.send(browser.get("/login"), "/login", username="mia", password="canary password of tests")
    for answer in (page, login, browser.get("/login?lang=en")):
        for cookie in answer.response.headers.getlist("Set-Cookie"):
            assert "HttpOnly" in cookie
            assert "SameSite=Lax" in cookie
            assert "Secure" in cookie
    assert [c.split("=")[0] for c in login.response.headers.getlist("Set-Cookie")] == ["drainage_staff", "drainage"]


@pytest.mark.parametrize("path", FORMS)
def test_every_form_is_refused_without_its_token_and_changes_nothing(sandbox_world, path):
    world = sandbox_world
    browser = Browser(pages_of(world))
    token = link_token(world, "openid-a")
    share = world.runtime.sharing.create(world.person_of("P0"), "riverside", world.clock()).token
    browser.get(f"/c/{token}")
    good = browser.get("/login").form()["hidden"]["csrf_token"]
    before = counts(world)
    where = path.format(token=token, share=share)
    for wrong in ({}, {"csrf_token": ""}, {"csrf_token": "x"}, {"csrf_token": good[:-2]}):
        page = browser.post(where, {**wrong, "openid": "o", "channel": "hotpot-pay"})
        assert (page.status, page.h1) == (400, "请允许 Cookie 后重新打开链接")
    stranger = Browser(pages_of(world))
    assert stranger.post(where, {"csrf_token": good}).status == 400
    assert counts(world) == before


@pytest.mark.parametrize("path", STAFF_FORMS)
def test_staff_forms_are_refused_without_their_token(world, app, path):
    world.user("mia", "manager", merchant="sweets")
    browser = Browser(app).sign_in("mia")
    code = world.code()
    assert browser.post(path, {"code": code, "reason": "why"}).status == 400
    assert world.all("SELECT id FROM redemptions") == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://pay.example.com.evil.example"},
        {"Origin": "http://pay.example.com"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_form_that_another_site_sends_is_refused_whatever_it_holds(browser, token, headers, world):
    form = browser.get(f"/c/{token}").form()["hidden"]
    assert browser.post(f"/c/{token}", form, headers=headers).status == 403
    assert world.all("SELECT code FROM coupons") == []


@pytest.mark.parametrize("headers", [{"Origin": "null"}, {"Origin": "https://pay.example.com"}, {}])
def test_a_form_of_our_own_comes_through_with_and_without_an_origin(browser, token, headers):
    form = browser.get(f"/c/{token}").form()["hidden"]
    assert browser.post(f"/c/{token}", form, headers={**headers, "Sec-Fetch-Site": "same-origin"}).status == 303


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    """One world for all odd input: none of it may change anything."""
    made = World(tmp_path_factory.mktemp("steady"))
    made.user("mia", "manager", merchant="sweets")
    yield made
    made.close()


ODD = [
    "%00",
    "a%00b",
    "%ff%fe",
    "%ed%a0%80",
    "../../etc/passwd",
    "%0d%0aSet-Cookie:x",
    "x" * 5000,
    "<script>",
    "{{7*7}}",
]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("where", ["/c/{}", "/i/{}", "/v/{}", "/c?n={}", "/till/{}", "/c/qr/1/{}.png", "/i/outcome/{}"])
def test_odd_addresses_are_refused_quietly(steady, where, odd):
    steady.clock.move(minutes=1)  # guesses are counted by the minute
    page = Browser(pages_of(steady)).get(where.format(odd))
    assert page.status in {200, 303, 308, 400, 404, 414}
    assert "{{7*7}}" not in page.html
    assert "49" not in page.h1
    assert "<script>" not in page.html


@pytest.mark.parametrize(
    "odd", ["\x00", "a\x00b", "x" * 3000, "<script>alert(1)</script>", "券" * 400, "\u2028", "' OR 1=1 --"]
)
@pytest.mark.parametrize("field", ["code", "amount", "shop", "key", "reason"])
def test_odd_words_in_the_redeem_form_break_nothing(steady, field, odd):
    steady.clock.move(minutes=1)
    browser = Browser(pages_of(steady)).sign_in("mia")
    page = browser.get("/redeem")
    for path, base in (("/redeem", {"code": "H7KQ2M9WXT4B5"}), ("/redeem/undo", {"code": "X", "reason": "r"})):
        answer = browser.post(path, {**page.form("/redeem")["hidden"], **base, field: odd})
        assert answer.status in {200, 400, 404, 409, 422}, answer.text
        assert "<script>alert" not in answer.html
    assert steady.all("SELECT id FROM redemptions") == []


def test_a_form_beyond_its_size_is_413(browser, token):
    form = browser.get(f"/c/{token}").form()["hidden"]
    assert browser.post(f"/c/{token}", {**form, "more": "x" * 20_000}).status == 413


def test_another_method_is_405_with_what_is_allowed(browser, token):
    answer = browser.client.put(f"/c/{token}")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


def test_the_names_that_shops_give_are_shown_as_text(tmp_path):
    world = World(
        tmp_path, catalog=CATALOG.replace("老王火锅", "<b onclick=x>&amp;").replace("例汤一份", '\\"><img src=x>')
    )
    browser = Browser(pages_of(world))
    token = link_token(world, "openid-a")
    for path in (f"/c/{token}", "/c/leave?n=1"):
        page = browser.get(path)
        assert "<b onclick" not in page.html
        assert "<img src=x" not in page.html
    world.close()


def test_R057_the_claim_page_weighs_at_most_40_kb_all_in(world, browser, token):
    first = browser.get(f"/c/{token}")
    claimed = browser.follow(browser.send(first, f"/c/{token}"))
    for page in (first, claimed):
        parts = {"html": len(page.response.get_data()), "css": 0, "js": 0, "image": 0}
        for tag, name, value in page.attributes:
            if name in {"src", "href"} and (value.startswith("/static/") or value.endswith(".png")):
                kind = {"link": "css", "script": "js", "img": "image"}[tag] if ".svg" not in value else "image"
                parts[kind] += len(browser.file(value)[0])
        assert parts["html"] <= 10 * 1024, parts
        assert parts["css"] <= 9 * 1024, parts
        assert parts["js"] <= 6 * 1024, parts
        assert parts["image"] <= 10 * 1024, parts
        assert sum(parts.values()) <= 40 * 1024, parts


def test_static_files_may_be_kept_for_a_year_because_their_address_changes_with_them(browser):
    page = browser.get("/login")
    (css,) = [v for tag, name, v in page.attributes if name == "href" and "staff.css" in v]
    _, kept = browser.file(css)
    assert kept["Cache-Control"] == "public, max-age=31536000, immutable"
    assert kept["X-Content-Type-Options"] == "nosniff"
    _, plain = browser.file(css.partition("?")[0])
    assert "immutable" not in plain["Cache-Control"]


def test_nothing_of_a_token_or_openid_is_logged_or_shown_to_staff(world, app, token, caplog, capsys):
    world.user("mia", "manager", merchant="sweets")
    customer, staff = Browser(app), Browser(app).sign_in("mia")
    customer.send(customer.get(f"/c/{token}"), f"/c/{token}")
    shown = staff.get("/redeem").html + staff.get("/status").html
    out = capsys.readouterr()
    for secret in (token, "openid-a", "canary"):
        assert secret not in shown
        assert secret not in caplog.text
        assert secret not in out.out + out.err


def counts(world):
    tables = ("coupons", "suppressions", "share_attempts", "tags", "tokens", "redemptions")
    return {table: world.one(f"SELECT count(*) AS n FROM {table}")["n"] for table in tables}


def test_the_error_page_of_a_bug_tells_the_visitor_nothing(world, app, token, monkeypatch):
    def broken(*_a, **_k):
        raise RuntimeError("canary in a traceback")

    monkeypatch.setattr(type(world.runtime.claiming), "look", broken)
    answer = Page(app.test_client().get(f"/c/{token}", headers={"X-Request-ID": "told-by-the-proxy"}))
    assert answer.status == 500
    assert "canary" not in answer.html
    assert "told-by-the-proxy" in answer.text
