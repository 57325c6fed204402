"""The status page to staff, to strangers, without events, in trouble; its weight (R070, R072)."""

import pytest

from gateway import incidents
from gateway.contract.clock import to_text
from gateway.overview.rules import Funnel, Point
from gateway.web.pages.status import bars, curve
from tests.support.browsing import Browser, pages_of
from tests.support.world import START


def public(world):
    """A settings file that lets strangers see how the house does."""
    world.home.config_file.write_text(world.home.config_file.read_text() + "[status]\npublic = true\n")
    return Browser(pages_of(Reread(world)))


class Reread:
    """The same world with its settings read anew."""

    def __init__(self, world):
        self.runtime = world.another_runtime()


def raised(world, kind="breaker_open", subject="hotpot-pay"):
    world.store.write(lambda tx: incidents.raise_(tx, world.runtime.ids, world.clock(), kind, subject, "canary detail"))


def test_R072_strangers_see_health_and_incidents_where_the_settings_say_so_and_no_number(closed_world):
    world = closed_world
    world.claimed("openid-1")
    raised(world)
    browser = public(world)
    for page in (browser.get("/status"), browser.get("/status/live")):
        assert page.status == 200
        assert "有需要注意的地方" in page.text
        assert "收银系统连续没有应答" in page.text
        for private in ("hotpot", "老王", "付款", "预算", "已核销", "canary", "/admin", "待发"):
            assert private not in page.html.replace("/status", ""), private


def test_R072_a_clerk_sees_more_than_a_stranger_on_a_public_page_and_an_integrator_does_not(closed_world):
    world = closed_world
    browser = public(world)
    world.user("zhou", "clerk", merchant="hotpot")
    assert "hotpot-pay" in browser.sign_in("zhou").get("/status").text


def test_R070_before_the_first_event_it_says_what_to_do(closed_world):
    world = closed_world
    world.user("mia", "manager", merchant="hotpot")
    page = Browser(pages_of(world)).sign_in("mia").get("/status")
    assert "发送测试通知" in page.text
    assert "/admin/setup" in page.links
    assert "/admin/channels/hotpot-pay" in page.links
    world.pay("P1", "a")
    assert "发送测试通知" not in Browser(pages_of(world)).sign_in("mia").get("/status").text


def test_R072_a_clerk_is_given_no_link_that_he_may_not_open(closed_world):
    world = closed_world
    world.user("zhou", "clerk", merchant="hotpot")
    raised(world)
    page = Browser(pages_of(world)).sign_in("zhou").get("/status")
    assert not [link for link in page.links if link.startswith("/admin")]


def test_R070_an_incident_shows_what_staff_said_and_a_closed_one_when_it_was(closed_world):
    world = closed_world
    world.pay("P1", "a")
    raised(world)
    number = world.one("SELECT id FROM incidents")["id"]

    def say(tx):
        tx.run(
            "INSERT INTO incident_notes (incident, said, at, by, cause) VALUES (:id, 'seen', :at, 'mia', '')",
            {"id": number, "at": to_text(world.clock())},
        )

    world.store.write(say)
    world.user("mia", "manager", merchant="hotpot")
    browser = Browser(pages_of(world)).sign_in("mia")
    page = browser.get("/status")
    assert "mia 已在处理" in page.text
    assert f"/admin/incidents/{number}" in page.links
    world.store.write(lambda tx: incidents.close(tx, world.clock(), "breaker_open", "hotpot-pay"))
    assert "没有未处理的事件 · 上次 12:05" in browser.get("/status").text


def test_R070_a_broken_till_says_since_when_and_what_to_do(closed_world):
    world = closed_world
    world.pay("P1", "a")
    world.store.write(
        lambda tx: tx.run(
            "INSERT INTO breakers (channel, state, since) VALUES ('hotpot-pay', 'open', :at)", {"at": to_text(START)}
        )
    )
    world.user("mia", "manager", merchant="hotpot")
    page = Browser(pages_of(world)).sign_in("mia").get("/status")
    assert "收银系统没有应答 。请检查收银系统；没送到的由平台重发 自 12:05" in page.text.replace("应答。", "应答 。")
    assert page.html.index("<title>■") > 0


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_R070_the_part_stays_small_with_a_busy_hour(open_world, language):
    """ux: the fragment < 8 KB, 304 < 300 B."""
    world = open_world
    for number in range(12):
        for channel in ("hotpot-pay", "sweets-pay", "noodles-pay"):
            world.pay(f"T-{channel}-{number}", "a", channel=channel)
        world.clock.move(minutes=5)
    browser = Browser(pages_of(world), language)
    part = browser.get("/status/live")
    assert part.html.count("<polyline") == 3
    assert len(part.response.get_data()) < 8 * 1024
    assert len(browser.get("/status").response.get_data()) < 16 * 1024
    tag = part.response.headers["ETag"]
    same = browser.client.get("/status/live", headers={**browser.headers, "If-None-Match": tag})
    assert same.status_code == 304
    assert sum(len(name) + len(value) + 4 for name, value in same.headers) < 900


def test_R070_the_curve_is_named_described_and_repeated_in_a_table(open_world):
    world = open_world
    world.pay("P1", "a")
    world.clock.move(minutes=12)
    page = Browser(pages_of(world)).get("/status")
    assert '<svg class="spark" role="img"' in page.html
    assert "<desc>最近一小时，最高每分" in page.html
    assert "看表格" in page.text
    assert "style=" not in page.html


def test_R070_a_curve_begins_at_nought_and_a_gap_stays_a_gap():
    def points(*values):
        return [Point(START, value) for value in values]

    assert curve(points(None, None)) is None
    drawn = curve(points(0, 2, None, 4, 4))
    assert len(drawn.lines) == 2
    assert drawn.lines[0] == "2,22 11,12"
    assert (drawn.most, drawn.last) == (4, 4)
    assert curve(points(0, 0)).lines == ["2,22 11,22"]


def test_R070_a_funnels_least_step_is_seen():
    assert bars(Funnel(1000, 10, 1, 0, 0)) == [200, 2, 2, 0, 0]
    assert bars(Funnel()) == [0, 0, 0, 0, 0]
