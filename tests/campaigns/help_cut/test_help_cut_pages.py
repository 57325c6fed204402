"""What buyers, helpers and staff see of help-to-cut, with browsers that have no scripts."""

import re

import pytest

from gateway.web.sandbox.desk import Desk, keep_desk, openid_of
from tests.campaigns.help_cut.test_help_cut_money import Packets
from tests.support.browsing import Browser
from tests.support.invariants import broken
from tests.support.wallets import ALIPAY_UA, WECHAT_UA

BEGIN = "/campaigns/help_cut/cut"
CHINESE = re.compile(r"[一-鿿]")
OWN_NAMES = re.compile(r"梧桐里|老陈面馆|双人面|中文|大字版|老李|小王")


@pytest.fixture
def town(tmp_path):
    made = Packets(tmp_path / "town", 88)
    keep_desk(made.home, Desk(guests=8))
    yield made
    assert made.store.read(lambda tx: broken(tx, made.clock())) == []
    made.close()


def phone_of(town, guest, agent=ALIPAY_UA, language="zh-CN"):
    """A phone on which this guest is signed in."""
    phone = town.phone(agent, language)
    phone.guest = guest
    return phone


def open_(phone, path):
    page = phone.walk(path, guest=phone.guest)
    if page.status == 200:
        assert len(re.findall(r"<h1[ >]", page.html)) == 1, path
        assert not re.search(r"\sstyle=|\son[a-z]+=|javascript:|<script>", page.html)
    return page


def begun(town, guest="B"):
    """A phone with a session on it, and the session's path."""
    phone = phone_of(town, guest)
    answer = phone.send(open_(phone, BEGIN), BEGIN, BEGIN)
    assert answer.status == 303
    return phone, answer.response.headers["Location"]


def name(phone, session, *friends):
    """The buyer names friends; their invitations' pages."""
    typed = {f"account-{n}": friend for n, friend in enumerate(friends, start=1)}
    typed |= {f"type-{n}": "wechat" for n in range(1, len(friends) + 1)}
    page = open_(phone, session)
    kept = {key: "1" for form in page.forms for key in form["inputs"] if key.startswith("keep-")}
    answer = phone.send(page, session, session, move="helpers", **kept, **typed)
    assert answer.status == 303, answer.text
    return [link for link in open_(phone, session).links if "/i/" in link]


def address(phone, invitation):
    """The link that a friend is given."""
    (found,) = set(re.findall(r"https://pay\.example\.com(/h/[\w-]+)", open_(phone, invitation).html))
    return found


def asked(town, *friends):
    phone, session = begun(town)
    return phone, session, [address(phone, one) for one in name(phone, session, *friends)]


# -- the buyer --------------------------------------------------------------------------------------------------------


def test_R130_R144_price_ladder_helpers_and_packets_are_shown_before_anybody_starts(town):
    page = open_(phone_of(town, "B"), BEGIN)
    for words in ("双人面", "原价 ¥9.00", "最低 ¥8.00", "还剩 9 / 9 件", "1 ¥8.50", "2 ¥8.00", "每次砍价 2 个红包"):
        assert words in page.text
    assert town.all("SELECT id FROM help_cut_sessions") == []


def test_a_form_sent_twice_starts_one_session_and_the_page_leads_back_to_it(town):
    phone, session = begun(town)
    page = phone.get(BEGIN)
    assert session in page.links
    assert not [form for form in page.forms if form["action"] == BEGIN]
    again = phone.post(BEGIN, phone.get(session).form(session)["hidden"])
    assert again.response.headers["Location"] == session
    assert len(town.all("SELECT id FROM help_cut_sessions")) == 1


def test_R135_the_buyer_names_friends_changes_them_and_who_agreed_stays(town):
    phone, session, (first, second) = asked(town, "老李", "小王")
    friend = phone_of(town, "C")
    page = open_(friend, first)
    assert friend.send(page, first, first, move="agree").status == 303
    board = open_(phone, session)
    for words in ("已有 1/2 人", "现价 ¥8.50", "老李 微信号 · 已同意", "小王 微信号 · 还没打开", "已同意，不能换"):
        assert words in board.text, words
    # Everybody let go of but one that is new: who agreed stays.
    sent = phone.send(board, session, session, move="helpers", **{"type-1": "phone", "account-1": "138"})
    assert sent.status == 303
    board = open_(phone, session)
    assert "小王" not in board.text
    assert "老李" in board.text
    assert "138 手机号 · 还没打开" in board.text
    gone = open_(phone_of(town, "D"), second)
    assert "这份邀请已经换成别人" in gone.text


@pytest.mark.parametrize(
    "typed",
    [
        {}, {"account-1": "   "}, {"account-1": "x" * 129, "type-1": "phone"}, {"account-1": "o1", "type-1": "openid"},
        {"account-2": "138", "type-2": "qq"}, {"account-1": "a\x00b", "type-1": "phone"},
    ],
)  # fmt: skip
def test_R134_what_cannot_be_named_is_told_at_its_line(town, typed):
    phone, session = begun(town)
    answer = phone.send(open_(phone, session), session, session, move="helpers", **typed)
    assert answer.status in {400, 422}
    if answer.status == 422:
        row = "2" if "account-2" in typed else "1"
        assert f'href="#f-account-{row}"' in answer.html
        assert 'aria-invalid="true"' in answer.html
        assert "有误：" in answer.html
    assert town.all("SELECT id FROM help_cut_invitations") == []


def test_what_a_buyer_typed_is_shown_as_text(town):
    phone, session = begun(town)
    name(phone, session, "<b>&\"'")
    page = open_(phone, session)
    assert "<b>&\"'" in page.text
    assert '<b>&"' not in page.html


def test_R143_R145_the_price_that_was_reached_is_bought_in_the_wallet(town):
    phone, session, links = asked(town, "老李", "小王")
    for guest, link in zip("CD", links, strict=True):
        friend = phone_of(town, guest)
        friend.send(open_(friend, link), link, link, move="agree")
    board = open_(phone, session)
    assert "人数够了，可以按这个价格购买。" in board.text
    paying = phone.send(board, session, session, move="buy")
    assert paying.status == 303
    order = paying.response.headers["Location"]
    assert re.match(r"/me/orders/o_", order)
    assert town.one("SELECT amount_fen FROM orders")["amount_fen"] == 800
    assert order in open_(phone, session).links
    town.store.write(lambda tx: town.runtime.campaigns.house.mark_paid(tx, order.rsplit("/", 1)[1], town.clock()))
    board = open_(phone, session)
    assert "已成交 ¥8.00" in board.h1
    assert "data-live" not in board.html


def test_R146_lost_is_told_with_its_reason(town):
    phone, session, _ = asked(town, "老李")
    town.later(days=2)
    board = open_(phone, session)
    assert "没买到：到截止时间人数还不够" in board.h1
    assert not [form for form in board.forms if form["action"] == session]


def test_giving_up_is_asked_for_twice(town):
    phone, session = begun(town)
    answer = phone.send(open_(phone, session), session, session, move="cancel")
    assert answer.status == 303
    assert "已放弃" in open_(phone, session).h1


def test_R072_another_guests_session_is_not_there(town):
    _, session, (link, *_) = asked(town, "老李")
    other = phone_of(town, "D")
    open_(other, BEGIN)
    invitation = town.one("SELECT id FROM help_cut_invitations")["id"]
    for path in (session, f"{session}/now", f"{session}/i/{invitation}", f"{session}/i/{invitation}/code"):
        assert other.get(path).status == 404, path
    mine = other.send(open_(other, BEGIN), BEGIN, BEGIN).response.headers["Location"]
    assert other.get(f"{mine}/i/{invitation}").status == 404
    hidden = open_(other, mine).form(mine)["hidden"]
    assert other.post(session, {**hidden, "move": "cancel"}).status == 404
    assert town.one("SELECT state FROM help_cut_sessions ORDER BY id LIMIT 1")["state"] == "inviting"
    assert link


@pytest.mark.parametrize("data", [{}, {"move": "agree"}, {"move": "helpers", "account-1": "x", "type-1": "phone"}])
def test_a_form_without_its_token_does_nothing(town, data):
    phone, session = begun(town)
    assert phone.post(session, data).status in {302, 303, 400, 403}
    assert town.all("SELECT id FROM help_cut_invitations") == []


def test_the_invitation_is_shown_as_one_code_whose_address_holds_no_token(town):
    phone, session = begun(town)
    (invitation,) = name(phone, session, "老李")
    page = open_(phone, invitation)
    images = [value for tag, attribute, value in page.attributes if (tag, attribute) == ("img", "src")]
    assert images == [f"{invitation}/code"]
    body, headers = phone.file(images[0])
    assert body.startswith(b"\x89PNG")
    assert "no-store" in headers["Cache-Control"]


# -- the helper -------------------------------------------------------------------------------------------------------


def test_R136_R138_a_friend_sees_who_asks_for_what_and_is_told_his_result(town):
    _, _, (link, _) = asked(town, "老李", "小王")
    friend = phone_of(town, "C")
    page = open_(friend, link)
    buyer = town.one("SELECT buyer FROM help_cut_sessions")["buyer"]
    assert f"客人 {buyer[-4:].upper()} 请你帮忙" in page.h1
    for words in ("双人面", "现价 ¥9.00", "你同意后降 ¥0.50", "截止"):
        assert words in page.text
    assert "老李" not in page.text
    assert town.one("SELECT state FROM help_cut_invitations ORDER BY id LIMIT 1")["state"] == "viewed"
    friend.send(page, link, link, move="agree")
    page = open_(friend, link)
    assert "谢谢！红包 ¥0.88 已发" in page.text
    assert 'data-packet="granted"' in page.html
    assert 'data-every="2"' in page.html
    town.work()
    assert "已到你的钱包。" in friend.get(f"{link}/now").text
    assert "data-live" not in open_(friend, link).html
    # The same tap again is the same help.
    assert town.one("SELECT helps FROM help_cut_sessions")["helps"] == 1


def test_R138_without_a_packet_the_price_still_drops(town):
    _, _, links = asked(town, "一", "二", "三")
    for guest, link in zip("CDE", links, strict=True):
        friend = phone_of(town, guest)
        friend.send(open_(friend, link), link, link, move="agree")
    assert "谢谢！红包已领完，价格已降" in open_(friend, links[-1]).h1


def test_R134_an_invitation_belongs_to_whoever_opens_it_first(town):
    _, _, (link, _) = asked(town, "老李", "小王")
    open_(phone_of(town, "C"), link)
    other = open_(phone_of(town, "D"), link)
    assert other.status == 404
    assert "双人面" not in other.text


def test_R147_the_buyer_is_told_that_the_invitation_is_his_own(town):
    phone, _session, (link, _) = asked(town, "老李", "小王")
    page = open_(phone, link)
    assert "这是你发出的邀请" in page.h1
    assert not [form for form in page.forms if form["action"] == link]
    assert town.one("SELECT state FROM help_cut_invitations ORDER BY id LIMIT 1")["state"] == "sent"


def test_R147_the_same_browser_does_not_help_its_own_buyer(town):
    phone, _session, (link, _) = asked(town, "老李", "小王")
    assert len(town.one("SELECT device FROM help_cut_sessions")["device"]) == 32
    # Signed out and in again as another, on the very same browser.
    with phone.client.session_transaction() as kept:
        for name in [name for name in kept if "wallet" in name]:
            del kept[name]
    phone.guest = "C"
    page = open_(phone, link)
    assert "请你帮忙" in page.h1
    answer = phone.send(page, link, link, move="agree")
    assert answer.status == 409
    assert "不能给自己帮忙" in answer.text
    assert town.one("SELECT helps FROM help_cut_sessions")["helps"] == 0


def test_R136_too_late_declined_and_unknown(town):
    _, _, (link, other) = asked(town, "老李", "小王")
    friend = phone_of(town, "C")
    answer = friend.send(open_(friend, link), link, link, move="decline")
    assert answer.status == 303
    assert "你已经说了不参加" in open_(friend, link).h1
    waiting = phone_of(town, "D")
    page = open_(waiting, other)
    town.clock.move(days=2)
    late = waiting.send(page, other, other, move="agree")
    assert late.status in {303, 410}
    assert "截止时间" in open_(waiting, other).text
    for path in ("/h/nothing", "/h/" + "A" * 22, "/h/%00", "/h/..%2f.."):
        assert phone_of(town, "E").get(path).status in {302, 404}, path
    assert town.one("SELECT helps FROM help_cut_sessions")["helps"] == 0


# -- inside WeChat ----------------------------------------------------------------------------------------------------


def test_R149_inside_wechat_the_pages_stay_shut_but_for_the_shops_code(town):
    _, _, (link, _) = asked(town, "老李", "小王")
    phone = phone_of(town, "A", WECHAT_UA)
    for path in (BEGIN, link, f"{BEGIN}?from=0123456789abcdef", f"{BEGIN}?from="):
        page = phone.get(path)
        assert page.status == 200
        assert "此活动请在店内扫码参加" in page.h1, path
        assert "红包" not in page.text
    staff = console(town)
    code = re.search(r"(/campaigns/help_cut/cut\?from=[0-9a-f]{16})", staff.get("/admin/campaigns/cut/shop-code").html)
    page = phone.walk(code.group(1), guest="A")
    assert "开始砍价" in page.text
    # From now on this browser is one that came by the shop's code.
    assert "开始砍价" in phone.get(BEGIN).text
    assert "请你帮忙" in phone.get(link).text
    program = phone_of(town, "C", WECHAT_UA + " miniProgram/wx1")
    assert "开始砍价" in open_(program, BEGIN).text


def test_R149_one_who_was_named_by_his_own_account_may_open_it_there(town):
    session = town.call("POST", "/sessions", {"openid": openid_of("Z"), "channel": "noodles-wechat"})["session"]
    named = [{"type": "openid", "account": openid_of("A")}]
    told = town.call("PUT", f"/sessions/{session}/helpers", {"helpers": named})
    link = told["invitations"][0]["url"].removeprefix("https://pay.example.com")
    assert "请你帮忙" in open_(phone_of(town, "A", WECHAT_UA), link).h1
    assert open_(phone_of(town, "C", WECHAT_UA), link).status == 404


# -- fairness, language, console --------------------------------------------------------------------------------------


def test_R139_anybody_may_look_at_the_commitment_and_when_it_is_over_at_the_rest(town):
    phone, session, _ = asked(town, "老李")
    stranger = town.phone(ALIPAY_UA)
    page = stranger.get(f"{session}/fair")
    row = town.one("SELECT * FROM help_cut_sessions")
    assert row["commitment"] in page.text
    assert row["seed"] not in page.html
    assert row["salt"] not in page.html
    phone.send(open_(phone, session), session, session, move="cancel")
    page = stranger.get(f"{session}/fair")
    assert {row["seed"], row["salt"], "88,88"} <= set(page.text.split())
    (address,) = [value for _, name, value in page.attributes if name == "src" and "verify.js" in value]
    script, kept = stranger.file(address)
    assert b"commitment" in script
    # Its address changes with what it holds, so it may be kept; under its bare name it may not.
    assert kept["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "immutable" not in stranger.file(address.partition("?v=")[0])[1]["Cache-Control"]


def test_R077_every_page_speaks_english(town):
    phone = phone_of(town, "B", language="en")
    pages = [open_(phone, BEGIN)]
    session = phone.send(pages[0], BEGIN, BEGIN).response.headers["Location"]
    pages.append(open_(phone, session))
    (invitation,) = name(phone, session, "L")
    pages += [open_(phone, session), open_(phone, invitation), open_(phone, f"{session}/fair")]
    link = address(phone, invitation)
    friend = phone_of(town, "C", language="en")
    pages.append(open_(friend, link))
    friend.send(pages[-1], link, link, move="agree")
    pages.append(open_(friend, link))
    phone.send(open_(phone, session), session, session, move="cancel")
    pages += [open_(phone, session), open_(phone, f"{session}/fair")]
    pages.append(phone_of(town, "A", WECHAT_UA, "en").get(BEGIN))
    staff = console(town, "en")
    pages += [
        staff.get("/admin/campaigns/cut/sessions"),
        staff.get(f"/admin/campaigns/cut/sessions/{session.rsplit('/', 1)[1]}"),
        staff.get("/admin/campaigns/cut/shop-code"),
    ]
    for page in pages:
        assert page.status == 200
        assert not CHINESE.findall(OWN_NAMES.sub("", page.text)), page.text


def console(town, language="zh-CN", role="manager"):
    """A member of staff at the console."""
    user = f"{role}-{language}"
    password = town.user(user, role, merchant="noodles" if role in {"manager", "clerk"} else None)
    return Browser(town.app, language).sign_in(user, password)


def test_the_console_lists_sessions_packets_and_what_they_cost(town):
    _, session, (link, _) = asked(town, "老李", "小王")
    friend = phone_of(town, "C")
    friend.send(open_(friend, link), link, link, move="agree")
    town.work()
    staff = console(town)
    page = staff.get("/admin/campaigns/cut/sessions")
    for words in ("红包已到账 ¥0.88", "进行中 1", "还可卖 9", "1 / 2"):
        assert words in page.text, words
    id_ = session.rsplit("/", 1)[1]
    assert f"/admin/campaigns/cut/sessions/{id_}" in page.links
    one = staff.get(f"/admin/campaigns/cut/sessions/{id_}")
    assert "老李" not in one.text
    assert one.text.count("¥0.88") == 1
    assert "已到账" in one.text
    row = town.one("SELECT seed, salt FROM help_cut_sessions")
    assert row["seed"] not in one.html
    assert staff.get("/admin/campaigns/cut/sessions?state=won").text.count("没有符合条件的记录") == 1
    assert staff.get("/admin/campaigns/cut/sessions?state=%27&before=%00").status in {200, 400, 404}
    assert staff.get("/admin/campaigns/cut/sessions/nothing").status == 404


def test_R072_the_console_is_for_managers_of_the_circle(town):
    clerk = console(town, role="clerk")
    assert clerk.get("/admin/campaigns/cut/sessions").status == 403
    assert town.phone(ALIPAY_UA).get("/admin/campaigns/cut/sessions").status in {302, 303}


def test_a_long_list_of_sessions_is_turned_page_by_page(town):
    row = town.one
    town.call("POST", "/sessions", {"openid": "buyer-of-many", "channel": "noodles-wechat"})
    first = row("SELECT * FROM help_cut_sessions")
    names = list(first.keys())

    def copies(tx):
        for number in range(60):
            values = {name: first[name] for name in names} | {"id": f"hc_{number:032d}"}
            tx.run(
                f"INSERT INTO help_cut_sessions ({', '.join(names)}) VALUES ({', '.join(':' + n for n in names)})",
                values,
            )

    town.store.write(copies)
    staff = console(town)
    page = staff.get("/admin/campaigns/cut/sessions")
    following = [link for link in page.links if "before=" in link]
    assert len(following) == 1
    assert page.html.count("<tr>") == 51
    assert staff.get(following[0]).html.count("<tr>") == 12
    town.store.write(lambda tx: tx.run("DELETE FROM help_cut_sessions WHERE id < 'hc_01'"))
