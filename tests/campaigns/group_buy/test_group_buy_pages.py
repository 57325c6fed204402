"""The pages: the deal, the order with its times and queue, the upload with and without scripts, the shop, the console."""

import io
import re

import pytest
from flask import session

from campaigns.group_buy import film, videos
from campaigns.group_buy.kind import kind
from gateway.web.pages import customer
from tests.campaigns.group_buy.group_buy_hands import Deal, catalog
from tests.campaigns.group_buy.test_group_buy_films import clip
from tests.campaigns.group_buy.test_group_buy_videos import settled
from tests.support.browsing import Browser, Page, pages_of
from tests.support.databases import missing
from tests.support.world import BASE_URL, PASSWORD, World

DINNER, TOMORROW = "2026-11-22-dinner", "2026-11-23-lunch"
HAN = re.compile(r"[\u4e00-\u9fff]")


class Guest(Browser):
    """A browser in which a person has signed in with his wallet."""

    def __init__(self, world, app, person, language="zh-CN"):
        super().__init__(app, language)
        with self.client.session_transaction(base_url=BASE_URL) as kept, app.test_request_context():
            customer.enter(person, "wechat", "riverside", world.clock())
            kept.update(session)

    def token(self, path):
        return next(form["hidden"]["csrf_token"] for form in self.get(path).forms if "csrf_token" in form["hidden"])

    def act(self, path, **values):
        return self.post(path, {"csrf_token": self.token(path), **values})


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    if film.find_tools() is None:
        missing("ffmpeg is not installed")
    return clip(tmp_path_factory.mktemp("clip") / "small.mp4").read_bytes()


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, sandbox=True, catalog=catalog(), kinds=[kind])
    made.pages = pages_of(made)
    yield made
    made.close()


@pytest.fixture
def deal(world):
    return Deal(world)


@pytest.fixture
def guest(world):
    world.pay("T1", "guest-a")
    return Guest(world, world.pages, world.person_of("T1"))


@pytest.fixture
def stranger(world):
    world.pay("T2", "guest-b")
    return Guest(world, world.pages, world.person_of("T2"))


def bought(guest, deal, *, paid=True):
    answer = guest.act("/campaigns/group_buy/dinner", shop="sweets-1")
    assert answer.status == 303, answer.text
    order = answer.response.headers["Location"].rpartition("/")[2]
    if paid:
        assert deal.post(f"/orders/{order}/pay").status_code == 200
    return order


def page_of(order):
    return f"/campaigns/group_buy/o/{order}"


def test_R220_the_deal_is_bought_by_a_plain_form_once(world, deal, guest):
    page = guest.get("/campaigns/group_buy/dinner")
    assert (page.status, page.h1) == (200, "双人套餐")
    assert "¥8.80" in page.text
    assert "甜甜糖水" in page.text
    order = bought(guest, deal, paid=False)
    # Tapped again: the order that waits, no second one.
    assert bought(guest, deal, paid=False) == order
    assert "等待付款" in guest.get("/campaigns/group_buy/dinner").text
    assert f"/me/orders/{order}" in guest.get(page_of(order)).links
    wrong = guest.act("/campaigns/group_buy/dinner", shop="hotpot-1")
    assert (wrong.status, "请选一家到店的门店" in wrong.text) == (409, True)


def test_R220_nobody_signed_in_looks_but_does_not_buy(world):
    browser = Browser(world.pages)
    page = browser.get("/campaigns/group_buy/dinner")
    assert page.status == 200
    token = page.forms[0]["hidden"]["csrf_token"]
    assert browser.post("/campaigns/group_buy/dinner", {"csrf_token": token, "shop": "sweets-1"}).status == 404
    assert world.all("SELECT id FROM group_buy_orders") == []
    assert browser.get("/campaigns/group_buy/nothing").status == 404
    assert browser.get("/campaigns").status == 200


def test_R221_times_are_checkboxes_and_a_lost_race_is_told(world, deal, guest):
    order = bought(guest, deal)
    page = guest.get(page_of(order))
    assert page.h1 == "选择到店时间（最多 2 个）"
    assert "周日 11-22 晚餐 17:00 余 2" in page.text
    assert "午餐" not in page.text.partition("周一")[0], "today's lunch has begun"
    saved = guest.act(page_of(order), **{"act": "slots", f"slot-{DINNER}": "1", f"slot-{TOMORROW}": "1"})
    assert saved.status == 303
    page = guest.follow(saved)
    assert "到店时间已保存" in page.text
    assert "已留位" in page.text
    for number in range(2):
        other = deal.paid(f"other-{number}")
        deal.choose(other, "2026-11-23-dinner")
    page = guest.get(page_of(order))
    assert "已满" in page.text
    lost = guest.act(page_of(order), **{"act": "slots", "slot-2026-11-23-dinner": "1"})
    assert (lost.status, "晚餐刚满，请另选" in lost.text) == (409, True)
    many = guest.act(
        page_of(order), **{"act": "slots", f"slot-{DINNER}": "1", f"slot-{TOMORROW}": "1", "slot-2026-11-24-lunch": "1"}
    )
    assert (many.status, "请选 1 到 2 个时间" in many.text) == (409, True)
    begun = guest.act(page_of(order), **{"act": "slots", "slot-2026-11-22-lunch": "1"})
    assert (begun.status, "有一个时间已经开始" in begun.text) == (410, True)
    odd = guest.act(page_of(order), **{"act": "slots", "slot-<script>": "1"})
    assert (odd.status, "<script>" in odd.html) == (422, False)


def test_R223_R224_the_queue_card_tells_what_is_known(world, deal, guest):
    order = bought(guest, deal)
    guest.act(page_of(order), **{"act": "slots", f"slot-{DINNER}": "1"})
    part = guest.get(f"{page_of(order)}/queue")
    assert "门店暂无排队数据" in part.text
    assert "<html" not in part.html
    tickets = [deal.post("/shops/sweets-1/tickets", {}).json["ticket"] for _ in range(3)]
    world.clock.now = world.clock.now.replace(hour=8, minute=20, second=6)
    assert "前面 3 桌，还算不出要等多久" in guest.get(page_of(order)).text
    world.clock.move(minutes=10)
    deal.post(f"/shops/sweets-1/tickets/{tickets[0]}/call")
    deal.sweep()
    page = guest.get(page_of(order))
    assert re.search(r"前面 2 桌，约 \d+ 分钟（估计）", page.text)
    assert "到店前的提醒" in page.text
    assert re.search(r"晚餐 ?： ?2 桌在等", page.text)
    # 「不再提醒」, and back again.
    assert "不会再提醒你" in guest.follow(guest.act(page_of(order), act="quiet")).text
    assert [one["state"] for one in deal.get(f"/orders/{order}/pushes").json] == ["sent", "quiet", "quiet"]
    guest.act(page_of(order), act="remind")
    assert [one["state"] for one in deal.get(f"/orders/{order}/pushes").json] == ["sent", "due", "due"]


def test_R225_R226_what_the_order_says_in_each_state(world, deal, guest):
    order = bought(guest, deal)
    guest.act(page_of(order), **{"act": "slots", f"slot-{DINNER}": "1"})
    world.clock.move(hours=8)
    deal.sweep()
    assert "还可改选 1 次" in guest.get(page_of(order)).text
    deal.post(f"/orders/{order}/use")
    page = guest.get(page_of(order))
    assert "拍一段到店视频" in page.text
    assert f"/me/orders/{order}/video" in page.links
    other = bought(guest, deal)
    world.clock.move(days=14)
    deal.sweep()
    # Two weeks later he signs in anew.
    guest = Guest(world, world.pages, world.person_of("T1"))
    assert "已原路退回" in guest.get(page_of(other)).text


def test_R056_another_persons_order_is_not_there(world, deal, guest, stranger):
    order = bought(guest, deal)
    deal.post(f"/orders/{order}/use")
    for path in (page_of(order), f"{page_of(order)}/queue", f"/me/orders/{order}/video"):
        assert stranger.get(path).status == 404, path
        assert guest.get(path).status == 200, path
    assert Browser(world.pages).client.head(f"/me/orders/{order}/video").status_code == 404


def upload(guest, order, data, **more):
    """The plain form with its file."""
    at = f"/me/orders/{order}/video"
    values = {"csrf_token": guest.token(at), "consent": "1", "video": (io.BytesIO(data), "visit.mp4"), **more}
    return guest.post(at, {key: value for key, value in values.items() if value is not None})


def test_R227_R229_a_plain_form_brings_a_video_and_takes_it_back(world, deal, guest, stranger, small):
    order = bought(guest, deal)
    at = f"/me/orders/{order}/video"
    assert "用过这单之后才能上传" in guest.get(at).text
    deal.post(f"/orders/{order}/use")
    page = guest.get(at)
    consent = [value for tag, name, value in page.attributes if tag == "input" and name == "checked"]
    assert consent == [], "nothing is ticked beforehand"
    refused = upload(guest, order, small, consent=None)
    assert (refused.status, "请先勾选同意" in refused.text) == (422, True)
    nothing = guest.act(at, consent="1")
    assert (nothing.status, "请选择视频" in nothing.text) == (422, True)
    text = upload(guest, order, b"#EXTM3U\nfile:///etc/passwd\n" + b" " * 100)
    assert (text.status, "不是能播放的视频" in text.text) == (422, True)
    assert upload(guest, order, small).status == 303
    assert "已收到，正在处理" in guest.get(at).text
    video = world.one("SELECT id FROM group_buy_videos WHERE state = 'uploaded'")["id"]
    assert settled(deal, video)[0] == "review"
    assert "正在审核" in guest.get(f"{at}?part=1").text
    public = f"/campaigns/group_buy/v/{video}"
    assert stranger.get(public).status == 404
    deal.post(f"/videos/{video}/approve", by=deal.operator)
    page = stranger.get("/campaigns/group_buy/shop/sweets-1")
    assert ("video", "src", public) in page.attributes
    assert "media-src 'self'" in page.response.headers["Content-Security-Policy"]
    whole, headers = stranger.file(public)
    assert whole == videos.paths(world.runtime.campaigns.house, video).film.read_bytes()
    assert headers["Content-Type"] == "video/mp4"
    assert headers["X-Content-Type-Options"] == "nosniff"
    with stranger.client.get(public, headers={"Range": "bytes=0-99"}) as part:
        assert (part.status_code, part.data) == (206, whole[:100])
    assert stranger.file(f"{public}/poster")[1]["Content-Type"] == "image/jpeg"
    # R229: gone with the answer.
    assert guest.act(at, act="withdraw").status == 303
    assert stranger.get(public).status == 404
    assert stranger.get(f"{public}/poster").status == 404
    assert "还没有到店视频" in stranger.get("/campaigns/group_buy/shop/sweets-1").text
    assert "已撤回" in guest.get(at).text


def test_R227_the_scripts_calls_go_on_after_a_break(world, deal, guest, stranger, small):
    order = bought(guest, deal)
    deal.post(f"/orders/{order}/use")
    at = f"/me/orders/{order}/video"
    token = guest.token(at)
    asked = {"csrf_token": token, "via": "script", "size": str(len(small)), "type": "video/mp4", "consent": "1"}
    begun = guest.post(at, asked)
    assert (begun.status, begun.response.json["offset"]) == (201, 0)

    def send(who, offset, data, **headers):
        return who.client.patch(
            at, data=data,
            headers={"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream", **headers},
        )  # fmt: skip

    assert send(guest, 0, small[:100]).status_code == 400, "without the form's token"
    assert send(guest, 0, small[:100], **{"X-CSRFToken": token}).headers["Upload-Offset"] == "100"
    assert (
        send(stranger, 100, small[100:], **{"X-CSRFToken": stranger.token(page_of(bought(stranger, deal)))}).status_code
        == 404
    )
    assert send(guest, 0, small[:100], **{"X-CSRFToken": token}).status_code == 409
    head = guest.client.head(at)
    assert (head.status_code, head.headers["Upload-Offset"]) == (200, "100")
    page = guest.get(at)
    assert "再选同一段视频会从那里继续" in page.text
    assert guest.post(at, asked).response.json["offset"] == 100
    assert send(guest, 100, small[100:], **{"X-CSRFToken": token}).headers["Upload-Offset"] == str(len(small))
    assert "已收到" in guest.get(at).text
    for bad in ({"consent": ""}, {"size": ""}, {"size": "-1"}, {"size": "9" * 40}):
        assert guest.post(at, {**asked, **bad}).status in {409, 413, 422}, bad


def test_every_page_speaks_english_and_keeps_the_policy(world, deal, guest, small):
    english = Guest(world, world.pages, world.person_of("T1"), "en")
    order = bought(english, deal)
    english.act(page_of(order), **{"act": "slots", f"slot-{DINNER}": "1"})
    paths = [
        "/campaigns/group_buy/dinner",
        page_of(order),
        f"{page_of(order)}/queue",
        "/campaigns/group_buy/shop/sweets-1",
    ]
    deal.post("/shops/sweets-1/tickets", {})
    seen = [english.get(path) for path in paths]
    deal.post(f"/orders/{order}/use")
    seen += [english.get(page_of(order)), english.get(f"/me/orders/{order}/video")]
    upload(english, order, small)
    seen.append(english.get(f"/me/orders/{order}/video"))
    names = "双人套餐|甜甜糖水|糖水铺|滨江商圈|中文"
    for page in seen:
        assert page.status == 200
        assert not HAN.search(re.sub(names, "", page.text)), page.text
        assert not re.search(r"\son[a-z]+=|\sstyle=|javascript:|<script>", page.html)
        assert page.html.count("<h1") <= 1
    assert world.person_of("T1") not in "".join(page.html for page in seen)


def console(world, role, name, **scope):
    world.user(name, role, **scope)
    return Browser(world.pages).sign_in(name, PASSWORD)


def test_R223_the_board_of_the_queue_is_the_clerks(world, deal):
    clerk = console(world, "clerk", "mei", merchant="sweets")
    at = "/admin/campaigns/dinner/queue"
    page = clerk.get(at)
    assert (page.status, "今天还没有人取号" in page.text) == (200, True)

    def press(page, **values):
        token = next(form["hidden"]["csrf_token"] for form in page.forms if form["action"] == at)
        return clerk.post(at, {"csrf_token": token, "shop": "sweets-1", **values})

    assert press(page, move="take").status == 303
    page = clerk.get(at)
    assert "1 桌在等" in page.text
    ticket = world.one("SELECT id FROM group_buy_tickets")["id"]
    assert press(page, move="call", ticket=ticket).status == 303
    assert "已叫号" in clerk.get(at).text
    assert press(page, move="seat", ticket=ticket).status == 303
    moved = clerk.follow(press(page, move="leave", ticket=ticket))
    assert "这个号已经被别人处理了" in moved.text
    assert press(page, move="leave", ticket="nothing").status == 404
    assert press(page, move="burn", ticket=ticket).status == 400
    assert press(page, move="take", shop="hotpot-1").status == 404
    part = clerk.get(f"{at}?shop=sweets-1&part=1")
    assert "<html" not in part.html
    other = console(world, "clerk", "lin", merchant="hotpot")
    assert other.get(at).status == 404
    assert clerk.get("/admin/campaigns/dinner/orders").status == 403


def test_the_console_shows_orders_and_times(world, deal, guest):
    order = bought(guest, deal)
    guest.act(page_of(order), **{"act": "slots", f"slot-{DINNER}": "1"})
    manager = console(world, "manager", "mei", merchant="sweets")
    page = manager.get("/admin/campaigns/dinner/orders")
    assert page.status == 200
    assert "待使用" in page.text
    assert world.person_of("T1") not in page.html
    page = manager.get("/admin/campaigns/dinner/slots")
    assert "每个时间最多 2 个位子" in page.text
    empty = manager.get("/admin/campaigns/dinner/videos?state=published")
    assert "没有符合条件的记录" in empty.text
    assert manager.get("/admin/campaigns/dinner/slots?shop=hotpot-1").status == 404
    stranger = console(world, "manager", "lin", merchant="hotpot")
    for path in ("orders", "slots", "queue", "videos"):
        assert stranger.get(f"/admin/campaigns/dinner/{path}").status == 404, path


def test_R227_staff_watch_shorten_publish_and_refuse(world, deal, guest, small):
    order = bought(guest, deal)
    deal.post(f"/orders/{order}/use")
    upload(guest, order, small)
    video = world.one("SELECT id FROM group_buy_videos")["id"]
    operator = console(world, "operator", "zhou", circle="riverside")
    at = f"/admin/campaigns/dinner/videos/{video}"
    assert operator.get(f"{at}/file").status == 404, "not made yet"
    settled(deal, video)
    assert "待审核" in operator.get("/admin/campaigns/dinner/videos").text
    page = operator.get(at)
    assert ("video", "src", f"{at}/file") in page.attributes
    assert "media-src 'self'" in page.response.headers["Content-Security-Policy"]
    assert operator.file(f"{at}/file")[1]["Content-Type"] == "video/mp4"
    manager = console(world, "manager", "mei", merchant="sweets")
    assert manager.get(at).status == 403
    assert manager.get(f"{at}/file").status == 403

    def press(**values):
        token = operator.get(at).form()["hidden"]["csrf_token"]
        return operator.post(at, {"csrf_token": token, **values})

    for bad in ({"from": "x"}, {"from": "-1"}, {"from": "99"}, {"from": "1", "to": "1.5"}, {"to": "1e3"}):
        faulty = press(act="cut", **bad)
        assert (faulty.status, "请先改正 1 处" in faulty.text) == (422, True), bad
    assert press(act="reject", reason=" ").status == 422
    assert press(act="burn").status == 422
    assert press(act="cut", **{"from": "0.5", "to": "1.5"}).status == 303
    assert settled(deal, video)[0] == "review"
    assert "视频已发布到店铺页面" in operator.follow(press(act="approve")).text
    assert press(act="reject", reason="太暗，看不清").status == 303
    assert "太暗，看不清" in guest.get(f"/me/orders/{order}/video").text
    assert guest.get(f"/campaigns/group_buy/v/{video}").status == 404


def test_the_console_says_when_there_is_no_ffmpeg(world, deal, guest, small, monkeypatch):
    order = bought(guest, deal)
    deal.post(f"/orders/{order}/use")
    upload(guest, order, small)
    monkeypatch.setattr(film, "find_tools", lambda: None)
    deal.sweep()
    operator = console(world, "operator", "zhou", circle="riverside")
    assert "没有 ffmpeg" in operator.get("/admin/campaigns/dinner/videos").text
    assert "还不能处理视频" in guest.get(f"/me/orders/{order}/video").text


def test_files_of_the_kind_are_served(world):
    browser = Browser(world.pages)
    script, headers = browser.file("/static/campaigns/group_buy/upload.js")
    assert b"Upload-Offset" in script
    assert "javascript" in headers["Content-Type"]
    assert len(script) < 6 * 1024
    assert browser.file("/static/campaigns/group_buy/group_buy.css")[1]["Content-Type"].startswith("text/css")
    assert isinstance(browser.get("/campaigns/group_buy/shop/nowhere"), Page)
    assert browser.get("/campaigns/group_buy/shop/nowhere").status == 404
