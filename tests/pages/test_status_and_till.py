"""`/status`: what it tells, to whom, and that a look costs and changes nothing (R070)."""

from datetime import datetime, timedelta, timezone

import pytest

from gateway import incidents, outbox
from gateway.contract.errors import Malformed, StoreUnavailable
from gateway.overview.rules import RelayFigures, channel_state, worst
from tests.support.browsing import Browser, link_token, pages_of
from tests.support.plainpay import paid
from tests.support.world import SECRET, World


@pytest.fixture
def open_world(tmp_path):
    made = World(tmp_path, sandbox=True)
    yield made
    made.close()


def title(page) -> str:
    return page.html.partition("<title>")[2].partition("</title>")[0]


# -- status -----------------------------------------------------------------------------------------------------------


def test_R070_a_house_without_events_says_so(open_world):
    page = Browser(pages_of(open_world)).get("/status")
    assert "还没有收到通知" in page.text
    assert page.text.count("未验证") == 4
    assert title(page) == "○ 状态"


def test_R070_the_funnel_follows_todays_payments(open_world):
    world = open_world
    browser = Browser(pages_of(world))
    claimed = world.claimed("openid-1")
    world.pay("P-3", "openid-2")
    link_token(world, "openid-3")
    world.user("mia", "manager", merchant="sweets")
    till = Browser(pages_of(world)).sign_in("mia")
    till.send(till.get("/redeem"), "/redeem", "/redeem", code=claimed.codes["bowl-5off"])
    text = browser.get("/status").text
    assert "付款 5 已标识 2 40% 发链接 2 100% 已领取 1 50% 已核销 1 100%" in text
    world.clock.move(days=1)
    assert "付款 0 已标识 0 — " in browser.get("/status").text


def test_R070_a_bad_signature_is_counted_and_noted(open_world):
    world = open_world
    world.pay("P1", "openid-a")
    channel = world.runtime.directory().channel("hotpot-pay")
    raw = paid(SECRET, "P2", ("o",), 100, world.clock())
    world.runtime.intake.quarantine(channel, raw, Malformed("x"), world.clock())
    page = Browser(pages_of(world)).get("/status")
    assert "1 次验签失败" in page.text
    assert "有需要注意的地方" in page.text
    assert title(page).startswith("▲")


def test_R070_parked_waiting_incidents_and_budgets(open_world):
    world = open_world
    ids = world.runtime.ids

    def trouble(tx):
        outbox.put(tx, ids, world.clock(), "relay", "x", {})
        incidents.raise_(tx, ids, world.clock(), "undecryptable", "hotpot-pay", "canary detail")
        incidents.raise_(tx, ids, world.clock(), "ring", "p_1+p_2")
        tx.run(
            "INSERT INTO budgets (name, total_fen, reserved_fen, consumed_fen) VALUES ('offer:riverside', 200000, 82000, 31000)"
        )

    world.store.write(trouble)
    text = Browser(pages_of(world)).get("/status").text
    assert "待发 1" in text
    assert "解密失败：密钥不是这个商户的 · hotpot-pay" in text
    assert "互相介绍，奖励已暂扣" in text
    assert "¥310.00 已用 + ¥820.00 占用 / ¥2,000.00" in text
    assert "p_1" not in text
    assert "canary" not in text


def test_R070_a_manager_sees_his_own_merchant_only(world, app):
    world.pay("P1", "openid-a")
    world.store.write(lambda tx: incidents.raise_(tx, world.runtime.ids, world.clock(), "undecryptable", "hotpot-pay"))
    world.user("mia", "manager", merchant="sweets")
    text = Browser(app).sign_in("mia").get("/status").text
    assert "sweets-pay" in text
    assert "hotpot-pay" not in text
    assert "付款 0" in text
    assert "没有未处理的事件" in text


def test_R070_without_the_sandbox_strangers_see_nothing(browser):
    assert browser.get("/status").response.headers["Location"] == "/login"


def test_R070_no_personal_data(open_world):
    claimed = open_world.claimed("openid-of-a-person")
    html = Browser(pages_of(open_world)).get("/status").html
    for private in ("openid", "p_0", claimed.token, *claimed.codes.values()):
        assert private not in html


def test_R070_works_without_scripts_and_is_fed_by_304s_with_them(open_world):
    browser = Browser(pages_of(open_world))
    page = browser.get("/status")
    assert '<noscript><meta http-equiv="refresh" content="30"></noscript>' in page.html
    part = browser.get("/status/live")
    assert len(part.response.get_data()) < 8 * 1024
    tag = part.response.headers["ETag"]
    same = browser.client.get("/status/live", headers={**browser.headers, "If-None-Match": tag})
    assert (same.status_code, same.data) == (304, b"")
    open_world.pay("P1", "openid-a")
    assert browser.get("/status/live", headers={"If-None-Match": tag}).status == 200


def test_R070_a_store_that_is_away_is_said_and_payments_are_not_in_doubt(open_world, monkeypatch):
    browser = Browser(pages_of(open_world))
    open_world.runtime.directory()

    def gone(_self, _work):
        raise StoreUnavailable("gone")

    monkeypatch.setattr(type(open_world.store), "read", gone)
    page = browser.get("/status")
    assert page.status == 200
    assert "仅转发：标识与发券已暂停，收款不受影响" in page.text
    assert title(page).startswith("■")


NOW = datetime(2026, 11, 22, 4, tzinfo=timezone.utc)
FINE = RelayFigures(10, 10, 180, 3, 3)


@pytest.mark.parametrize(
    ("expected", "last", "refused", "relay", "broken"),
    [
        ("ok", 1, 0, FINE, False),
        ("ok", 1, 0, RelayFigures(), False),
        ("ok", 15, 0, FINE, False),
        ("quiet", 16, 0, FINE, False),
        ("unverified", None, 0, RelayFigures(), False),
        ("attention", None, 1, RelayFigures(), False),
        ("attention", 1, 1, FINE, False),
        ("attention", 1, 0, RelayFigures(100, 98, 180, 0, 0), False),
        ("ok", 1, 0, RelayFigures(100, 99, 180, 0, 0), False),
        ("attention", 1, 0, RelayFigures(10, 10, 2001, 3, 3), False),
        ("ok", 1, 0, RelayFigures(10, 10, 2000, 3, 3), False),
        ("down", 1, 0, RelayFigures(10, 5, 180, 4, 1), False),
        ("attention", 1, 0, RelayFigures(10, 9, 180, 1, 0), False),
        ("attention", 1, 0, RelayFigures(10, 5, 180, 4, 2), False),
        ("down", 1, 0, FINE, True),
    ],
)
def test_R070_how_a_channel_does(world, expected, last, refused, relay, broken):
    live = world.runtime.directory().channel("hotpot-pay")
    at = NOW - timedelta(minutes=last) if last is not None else None
    assert channel_state(live, at, refused, relay, NOW, is_broken=broken) == expected


@pytest.mark.parametrize(
    ("states", "trouble", "head"),
    [
        (["ok", "quiet"], False, "ok"),
        (["ok"], True, "attention"),
        (["ok", "down", "attention"], False, "down"),
        (["paused", "ok"], False, "paused"),
        (["unverified"], False, "unverified"),
        ([], False, "unverified"),
        (["unverified", "ok"], False, "ok"),
    ],
)
def test_R070_the_head_tells_the_worst(states, trouble, head):
    assert worst(states, trouble=trouble) == head
