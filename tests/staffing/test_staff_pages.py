"""Staff in the console (R072, R200-R204, R246): links of one use, roles never above one's own, devices, tokens."""

import json
import re

import pytest

from gateway import audit
from tests.console.conftest import PEOPLE
from tests.support.browsing import Browser
from tests.support.world import BASE_URL

NEW = "a password of my own"
CLERK = "clerk||hotpot"


def link_of(page):
    return re.search(rf"data-secret>{re.escape(BASE_URL)}(/join/[\w-]+)<", page.html).group(1)


def invited(browser, name="小周", scope=CLERK):
    page = browser.get("/admin/staff")
    return browser.send(page, "", "/admin/staff/invite", name=name, scope=scope)


def joined(app, path, password=NEW, **more):
    browser = Browser(app)
    page = browser.get(path)
    assert page.status == 200, page.text
    return browser, browser.send(page, path, **{"new_password": password, "again": password, **more})


def deed(browser, action, name, **values):
    token = browser.get("/admin/staff").form("/admin/staff/invite")["hidden"]
    return browser.post(f"/admin/staff/{action}", {**token, "name": name, **values})


def test_an_invitation_goes_its_whole_way(enter, app, world):
    page = invited(enter("manager-hotpot"))
    assert page.status == 200
    path = link_of(page)
    assert "店员 · 老王火锅" in page.text
    form = Browser(app).get(path)
    assert form.h1 == "欢迎加入"
    assert "小周" in form.text
    assert world.all("SELECT name FROM users WHERE name = '小周'") == [], "looking makes nobody"
    browser, answer = joined(app, path)
    assert answer.status == 303
    assert browser.get("/redeem").status == 200
    assert browser.get("/admin/staff").status == 403
    Browser(app).sign_in("小周", NEW)
    assert Browser(app).get(path).status == 404, "a link works once"
    (row,) = world.all("SELECT who, object, after, request_id FROM audit WHERE action = 'user.join'")
    told = json.loads(row["after"])
    assert (row["who"], row["object"]) == ("小周", "小周")
    assert (told["by"], told["role"], told["merchant"]) == ("manager-hotpot", "clerk", "hotpot")
    assert row["request_id"]
    assert world.store.read(audit.first_broken) is None


def test_R246_no_token_and_no_password_lies_in_the_store(enter, app, world):
    path = link_of(invited(enter("manager-hotpot")))
    joined(app, path)
    token = path.rpartition("/")[2].encode()
    for table in ("invites", "users", "tokens", "audit", "session_devices"):
        stored = str([[row[key] for key in row.keys()] for row in world.all(f"SELECT * FROM {table}")])
        assert token.decode() not in stored, table
        assert NEW not in stored, table


@pytest.mark.parametrize(
    ("password", "again", "words"),
    [
        ("short", "short", "密码至少 12 个字符"),
        ("", "", "密码至少 12 个字符"),
        (NEW, NEW + "x", "两次填写的新密码不一样"),
        ("x" * 5000, "x" * 5000, "密码至少 12 个字符"),
    ],
)
def test_a_bad_password_uses_nothing_up_and_is_not_filled_in_again(enter, app, world, password, again, words):
    path = link_of(invited(enter("manager-hotpot")))
    browser, page = joined(app, path, password, again=again)
    assert page.status == 422
    assert words in page.text
    assert "有误：" in page.html
    assert not [form for form in page.forms if form["inputs"].get("new_password") or form["inputs"].get("again")]
    assert world.all("SELECT name FROM users WHERE name = '小周'") == []
    assert browser.send(page, path, new_password=NEW, again=NEW).status == 303


@pytest.mark.parametrize("token", ["x", "A" * 22, "A" * 21 + "B", "%00", "..%2Fadmin", "你好", "A" * 5000])
def test_R056_a_link_that_is_none_is_the_neutral_page(app, token):
    browser = Browser(app)
    assert browser.get(f"/join/{token}").status == 404
    hidden = browser.get("/login").forms[0]["hidden"]
    assert browser.post(f"/join/{token}", {**hidden, "new_password": NEW, "again": NEW}).status == 404


def test_R056_used_ended_late_and_unknown_look_the_same(enter, app, world):
    manager = enter("manager-hotpot")
    used, ended = link_of(invited(manager, "one")), link_of(invited(manager, "two"))
    joined(app, used)
    invite = world.one("SELECT id FROM invites WHERE name = 'two'")["id"]
    assert deed(manager, "withdraw", "", invite=invite).status == 303
    late = link_of(invited(manager, "three"))
    pages = [Browser(app).get(path).html for path in (used, ended, "/join/" + "A" * 22)]
    assert Browser(app).get(late).status == 200
    world.clock.move(hours=72)
    pages.append(Browser(app).get(late).html)
    assert len(set(pages)) == 1
    assert "这个链接不可用" in pages[0]


def test_a_second_invitation_of_a_name_ends_the_first(enter, app):
    manager = enter("manager-hotpot")
    first, second = link_of(invited(manager)), link_of(invited(manager))
    assert Browser(app).get(first).status == 404
    assert joined(app, second)[1].status == 303


def test_R072_a_link_dies_with_the_power_of_whoever_made_it(enter, app, world):
    path = link_of(invited(enter("manager-hotpot")))
    reset = enter("admin")
    deed(reset, "disable", "manager-hotpot")
    assert joined(app, path)[1].status == 404
    deed(reset, "enable", "manager-hotpot")
    deed(reset, "scope", "manager-hotpot", scope="clerk||hotpot")
    assert joined(app, path)[1].status == 404
    deed(reset, "scope", "manager-hotpot", scope="manager||sweets")
    assert joined(app, path)[1].status == 404
    assert world.all("SELECT name FROM users WHERE name = '小周'") == []
    deed(reset, "scope", "manager-hotpot", scope="manager||hotpot")
    assert joined(app, path)[1].status == 303


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("manager-hotpot", "manager||hotpot"),
        ("manager-hotpot", "clerk||sweets"),
        ("manager-hotpot", "clerk||noodles"),
        ("manager-hotpot", "operator||"),
        ("manager-hotpot", "admin||"),
        ("operator-riverside", "clerk||noodles"),
        ("operator-riverside", "operator|riverside|"),
        ("operator-riverside", "operator||"),
        ("operator", "operator||"),
        ("operator", "admin||"),
        ("admin", "integrator||"),
        ("admin", "clerk||"),
        ("admin", "clerk||nobody"),
        ("admin", "admin|riverside|"),
        ("admin", "emperor||"),
        ("admin", ""),
        ("admin", "clerk"),
        ("admin", "clerk|riverside|hotpot"),
        ("admin", "||||"),
    ],
)
def test_R072_nobody_invites_above_himself_or_beyond_his_scope(enter, world, name, scope):
    page = invited(enter(name), scope=scope)
    assert page.status == 422
    assert world.all("SELECT id FROM invites") == []
    assert "/join/" not in page.html


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "two\nlines", "manager-hotpot", "\x01"])
def test_a_bad_or_taken_name_is_told_and_kept(enter, world, name):
    page = invited(enter("manager-hotpot"), name=name)
    assert page.status in {409, 422}
    assert world.all("SELECT id FROM invites") == []
    assert "请先改正 1 处" in page.text


def test_a_name_that_was_taken_meanwhile_is_told(enter, app, world):
    path = link_of(invited(enter("manager-hotpot")))
    world.user("小周", "clerk", merchant="sweets")
    _browser, page = joined(app, path)
    assert page.status == 409
    assert "刚刚被别人用了" in page.text
    assert world.one("SELECT merchant FROM users WHERE name = '小周'")["merchant"] == "sweets"


def everybody(enter):
    for name in PEOPLE:
        enter(name)


def test_R072_a_list_shows_ones_like_and_those_below_in_scope(enter):
    everybody(enter)
    told = {
        "manager-hotpot": {"manager-hotpot", "clerk-hotpot"},
        "operator-riverside": {"operator-riverside", "manager-hotpot", "manager-sweets", "clerk-hotpot"},
        "operator": set(PEOPLE) - {"admin"},
        "admin": set(PEOPLE),
    }
    for name, shown in told.items():
        page = enter(name).get("/admin/staff")
        assert set(re.findall(r'/user\?name=([\w-]+)"', page.html)) == shown, name
        for other in PEOPLE:
            wanted = 200 if other in shown else 404
            assert enter(name).get(f"/admin/staff/user?name={other}").status == wanted, (name, other)


ACTIONS = ("reset", "scope", "disable", "enable", "sign-out")


@pytest.mark.parametrize("action", ACTIONS)
def test_R072_nobody_touches_his_like_those_above_or_others_people(enter, world, action):
    everybody(enter)
    before = [tuple(row) for row in world.all("SELECT name, role, circle, merchant, disabled FROM users ORDER BY name")]
    live = world.one("SELECT count(*) AS n FROM tokens WHERE revoked_at IS NULL")["n"]
    for name, others in {
        "manager-hotpot": ("manager-sweets", "operator", "admin", "nobody"),
        "operator-riverside": ("manager-noodles", "operator-hillside", "operator", "admin"),
        "operator": ("admin",),
    }.items():
        browser = enter(name)
        live += 1
        for other in others:
            page = deed(browser, action, other, scope=CLERK)
            assert page.status in {403, 404}, (name, other)
    after = [tuple(row) for row in world.all("SELECT name, role, circle, merchant, disabled FROM users ORDER BY name")]
    assert after == before
    assert world.one("SELECT count(*) AS n FROM tokens WHERE revoked_at IS NULL")["n"] == live
    assert world.all("SELECT id FROM invites") == []


@pytest.mark.parametrize("action", ["reset", "scope", "disable", "enable"])
def test_an_admin_cannot_lock_himself_out(enter, world, action):
    page = deed(enter("admin"), action, "admin", scope=CLERK)
    assert page.status == 403
    user = world.one("SELECT role, disabled FROM users WHERE name = 'admin'")
    assert (user["role"], user["disabled"]) == ("admin", 0)


def test_R203_disabling_ends_every_session_at_once_and_enabling_lets_in_again(enter, app, world):
    manager, clerk = enter("manager-hotpot"), enter("clerk-hotpot")
    assert clerk.get("/redeem").status == 200
    page = manager.follow(deed(manager, "disable", "clerk-hotpot"))
    assert "已停用" in page.text
    assert clerk.get("/redeem").status == 303
    assert "没有改动" in manager.follow(deed(manager, "disable", "clerk-hotpot")).text
    with pytest.raises(AssertionError):
        Browser(app).sign_in("clerk-hotpot")
    manager.follow(deed(manager, "enable", "clerk-hotpot"))
    Browser(app).sign_in("clerk-hotpot")
    actions = [row["action"] for row in world.all("SELECT action FROM audit WHERE who = 'manager-hotpot'")]
    assert actions.count("user.disable") == actions.count("user.enable") == 1


def test_R203_a_reset_link_ends_the_sessions_when_it_is_used(enter, app, world):
    manager, clerk = enter("manager-hotpot"), enter("clerk-hotpot")
    page = deed(manager, "reset", "clerk-hotpot")
    path = link_of(page)
    assert "重设密码" in page.text
    assert clerk.get("/redeem").status == 200
    assert Browser(app).get(path).h1 == "设置新密码"
    assert joined(app, path)[1].status == 303
    assert clerk.get("/redeem").status == 303
    Browser(app).sign_in("clerk-hotpot", NEW)
    with pytest.raises(AssertionError):
        Browser(app).sign_in("clerk-hotpot")
    assert Browser(app).get(path).status == 404
    assert len(world.all("SELECT seq FROM audit WHERE action = 'user.password' AND after LIKE '%invite%'")) == 1


def test_R072_another_scope_holds_at_once(enter):
    admin, manager = enter("admin"), enter("manager-hotpot")
    page = deed(admin, "scope", "manager-hotpot", scope="manager||noodles")
    assert "店长 · 山脚面馆" in admin.follow(page).text
    assert "山脚面馆" in manager.get("/admin").text
    for wrong in ("clerk", "manager||nobody", "emperor||", ""):
        assert deed(admin, "scope", "manager-hotpot", scope=wrong).status == 422


def test_devices_are_listed_with_when_they_were_seen_and_one_is_signed_out(enter, app, world):
    manager = enter("manager-hotpot")
    phone = Browser(app)
    phone.headers["User-Agent"] = "Mozilla/5.0 (iPhone; CPU iPhone OS 14_0 like Mac OS X) MicroMessenger/8 <script>"
    enter("clerk-hotpot")
    phone.sign_in("clerk-hotpot")
    world.clock.move(minutes=6)
    assert phone.get("/redeem").status == 200
    page = manager.get("/admin/staff/user?name=clerk-hotpot")
    assert "WeChat · iPhone" in page.text
    assert "不知道的设备" in page.text
    assert "12:11" in page.text, "the shop's clock, six minutes on"
    token = world.one("SELECT token FROM session_devices WHERE device LIKE 'WeChat%'")["token"]
    own = world.one("SELECT id FROM tokens WHERE user_name = 'manager-hotpot'")["id"]
    assert "没有改动" in manager.follow(deed(manager, "sign-out", "clerk-hotpot", token=own)).text
    assert "已退出登录" in manager.follow(deed(manager, "sign-out", "clerk-hotpot", token=token)).text
    assert phone.get("/redeem").status == 303
    assert manager.get("/admin").status == 200
    deed(manager, "sign-out", "clerk-hotpot")
    assert "现在没有登录的设备" in manager.get("/admin/staff/user?name=clerk-hotpot").text


def test_ones_own_devices_can_be_signed_out(enter, app):
    one, other = enter("manager-hotpot"), enter("manager-hotpot")
    deed(one, "sign-out", "manager-hotpot")
    assert other.get("/admin").status == 303
    assert one.get("/admin").status == 303


def test_a_program_gets_a_token_that_is_shown_once_and_lives_ninety_days(enter, world):
    manager = enter("manager-hotpot")
    page = manager.get("/admin/staff/tokens")
    assert 'value="90" selected' in page.html
    made = manager.send(page, "", "/admin/staff/tokens", name="till-7", scope=CLERK)
    assert made.status == 422, "the lifetime is chosen by the form"
    made = manager.send(page, "", "/admin/staff/tokens", name="till-7", scope=CLERK, days="90")
    text = re.search(r"data-secret>(drainage_[\w.-]+)<", made.html).group(1)
    assert world.client(token=text).get("/api/v1/payments/none").status_code in {403, 404}
    listed = manager.get("/admin/staff/tokens")
    assert "till-7" in listed.text
    assert text not in listed.html
    row = world.one("SELECT id, role, merchant, expires_at, created_at FROM tokens WHERE kind = 'api'")
    assert (row["role"], row["merchant"]) == ("clerk", "hotpot")
    assert row["expires_at"][:10] == "2027-02-20"
    done = manager.send(listed, "", "/admin/staff/tokens/revoke", token=row["id"])
    assert "令牌已作废" in manager.follow(done).text
    assert world.client(token=text).get("/api/v1/payments/none").status_code == 401
    assert "已作废" in manager.get("/admin/staff/tokens").text


@pytest.mark.parametrize(
    "values", [{"scope": "manager||hotpot"}, {"scope": "integrator||"}, {"days": "9999"}, {"name": ""}]
)
def test_R072_a_bad_token_is_refused(enter, world, values):
    manager = enter("manager-hotpot")
    page = manager.get("/admin/staff/tokens")
    sent = {"name": "till", "scope": CLERK, "days": "30", **values}
    assert manager.send(page, "", "/admin/staff/tokens", **sent).status == 422
    assert world.all("SELECT id FROM tokens WHERE kind = 'api'") == []


def test_R072_others_programs_are_404(enter, world):
    world.token("operator")
    world.token("clerk", merchant="sweets")
    manager = enter("manager-hotpot")
    assert "现在一个都没有" in manager.get("/admin/staff/tokens").text
    hidden = manager.get("/admin/staff").form("/admin/staff/invite")["hidden"]
    ids = [row["id"] for row in world.all("SELECT id FROM tokens WHERE kind = 'api'")]
    session = world.one("SELECT id FROM tokens WHERE kind = 'session'")["id"]
    for id_ in (*ids, session, "tk_none", ""):
        assert manager.post("/admin/staff/tokens/revoke", {**hidden, "token": id_}).status == 404
    assert world.all("SELECT id FROM tokens WHERE revoked_at IS NOT NULL") == []


def test_R072_the_matrix_says_what_the_doors_say(enter):
    page = enter("manager-hotpot").get("/admin/staff/roles")
    rows = dict(re.findall(r'<th scope="row">([^<]+)</th>(.*?)</tr>', page.html, re.DOTALL))
    may = {name: re.findall(r'class="hide">(能|不能)<', cells) for name, cells in rows.items()}
    assert may["核销"] == ["能"] * 4
    assert may["员工"] == ["不能", "能", "能", "能"]
    assert may["人"] == ["不能", "不能", "能", "能"]


def test_pages_are_whole_in_english(enter, app):
    browser = enter("manager-hotpot", "en")
    page = invited(browser)
    assert page.h1 == "Invitation for 小周"
    form = Browser(app, "en").get(link_of(page))
    assert form.h1 == "Welcome"
    for path in ("", "/roles", "/tokens", "/user?name=manager-hotpot"):
        text = browser.get(f"/admin/staff{path}").text
        assert not re.search(r"角色|令牌|设备|密码", text), path
