"""Every route of the console by every role: written over what is registered, so that new rooms are covered."""

import re

import pytest

from gateway.auth.principal import ROLES as ALL_ROLES
from gateway.contract.errors import Refused
from gateway.web.admin.door import ROLES
from tests.console.conftest import PEOPLE

RANK = {"clerk": 1, "manager": 2, "operator": 3, "admin": 4}


def routes(app):
    """(endpoint, method, role, an address whose objects nobody has) of every route of the console."""
    roles = app.extensions[ROLES]
    found = []
    for rule in app.url_map.iter_rules():
        for method in rule.methods & {"GET", "POST", "PUT", "PATCH", "DELETE"}:
            if (rule.endpoint, method) in roles:
                path = re.sub(r"<int:[^>]+>", "1", rule.rule)
                found.append((rule.endpoint, method, roles[rule.endpoint, method], re.sub(r"<[^>]+>", "nobodys", path)))
    return found


def test_R072_every_route_under_admin_bears_a_role_and_there_is_no_other_door(app):
    roles = app.extensions[ROLES]
    bare = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/admin")
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if (rule.endpoint, method) not in roles
    ]
    assert bare == []
    assert len(roles) > 20
    assert set(roles.values()) <= set(RANK)


def test_R072_nobody_is_led_to_the_sign_in_and_his_forms_do_nothing(app):
    from tests.support.browsing import Browser

    for endpoint, method, _role, path in routes(app):
        browser = Browser(app)
        if method == "GET":
            page = browser.get(path)
            assert page.status == 303, endpoint
            assert page.response.headers["Location"].endswith("/login"), endpoint
        else:
            # Without a form token of the session, and then with one.
            assert browser.post(path).status == 400, endpoint
            token = browser.get("/login").forms[0]["hidden"]
            assert browser.post(path, token).status == 401, endpoint


@pytest.mark.parametrize("name", sorted(PEOPLE))
def test_R072_each_role_enters_what_is_open_to_it_and_nothing_else(app, enter, name, world):
    browser = enter(name)
    rank = RANK[PEOPLE[name][0]]
    token = browser.get("/redeem").forms[0]["hidden"]
    before = world.all("SELECT seq FROM audit")
    for endpoint, method, role, path in routes(app):
        page = browser.get(path) if method == "GET" else browser.post(path, token)
        if rank < RANK[role]:
            assert page.status == 403, (endpoint, method)
            assert page.h1 == "你没有这个权限"
            assert "请联系" in page.text
        else:
            assert page.status not in {401, 403, 405, 500}, (endpoint, method, page.text[:200])
            if "nobodys" in path:
                assert page.status in {404, 303, 302, 400, 409, 410, 422}, (endpoint, method, page.status)
        assert page.status < 500, (endpoint, method)
    if rank < RANK["manager"]:
        assert world.all("SELECT seq FROM audit") == before, "a refused form leaves no trace"


def test_R072_a_get_needs_no_token_and_a_form_always_does(app, enter):
    browser = enter("admin")
    for endpoint, method, _role, path in routes(app):
        if method == "POST":
            assert browser.post(path).status == 400, endpoint
            elsewhere = browser.post(path, headers={"Sec-Fetch-Site": "cross-site"})
            assert elsewhere.status in {400, 403}, endpoint


@pytest.mark.parametrize("value", ["%00", "%ED%A0%80", "a" * 3000, "..%2F..%2Fetc%2Fpasswd", "%27%3B--", "你好"])
def test_no_value_in_an_address_breaks_a_page(app, enter, value):
    browser = enter("admin")
    for endpoint, method, _role, path in routes(app):
        if method == "GET":
            assert browser.get(path.replace("nobodys", value)).status < 500, (endpoint, value)
            query = "&".join(
                f"{name}={value}"
                for name in ("q", "day", "from", "to", "shop", "state", "min", "before", "after", "since", "g", "data")
            )
            assert browser.get(f"{path}?{query}").status < 500, (endpoint, value)


def test_an_integrator_has_no_way_in(world):
    assert "integrator" in ALL_ROLES
    with pytest.raises(Refused):
        world.runtime.accounts.create_user("machine", "integrator", None, None, world.clock(), "tests")


@pytest.mark.parametrize(
    ("name", "shown", "hidden"),
    [
        ("manager-hotpot", {"概览", "付款", "未送达", "事件", "导出"}, {"审计"}),
        ("operator", {"概览", "付款", "未送达", "事件", "审计", "导出"}, set()),
    ],
)
def test_R072_the_menu_shows_what_one_may_enter_and_says_as_whom(enter, name, shown, hidden):
    page = enter(name).get("/admin")
    menu = re.search(r'<nav class="only-wide".*?</nav>', page.html, re.DOTALL).group()
    words = set(re.findall(r">([^<>]+)</a>", menu))
    assert shown <= words
    assert not hidden & words
    assert 'aria-current="page">概览' in menu
    assert {"manager-hotpot": "店长 · 老王火锅", "operator": "运营 · 全部商圈"}[name] in page.text


def test_the_words_of_a_refusal_are_exact_in_both_languages(enter):
    page = enter("clerk-hotpot", "en").get("/admin")
    assert (page.status, page.h1) == (403, "You don't have access")
    assert "Needs: Manager." in page.text
    page = enter("manager-hotpot").get("/admin/jobs/none")
    assert (page.status, page.h1) == (404, "这个链接不可用")
    assert "可能已失效，或不属于当前账号" in page.text
