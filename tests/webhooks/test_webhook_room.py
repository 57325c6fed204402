"""The console's room: scope, states, a test, sending once more, and bad input (R072, R074)."""

import pytest

from gateway.webhooks.sending import Sent
from tests.console.conftest import PEOPLE
from tests.support.browsing import Browser, pages_of
from tests.support.world import CATALOG, World
from tests.webhooks.conftest import HOOKS, courier_of


@pytest.fixture
def told(tmp_path):
    made = World(tmp_path, catalog=CATALOG + HOOKS)
    made.runtime.directory()
    yield made
    made.close()


@pytest.fixture
def enter(told):
    app = pages_of(told)

    def browser(name, language="zh-CN"):
        role, scope = PEOPLE[name]
        told.user(name, role, **scope)
        return Browser(app, language).sign_in(name)

    return browser


def send(browser, page, action, **values):
    form = next(form for form in page.forms if form["action"] == action)
    return browser.post(action, {**form["hidden"], **values}, headers={"Origin": "https://pay.example.com"})


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("admin", {"erp", "sweets-till"}),
        ("operator", {"erp", "sweets-till"}),
        ("operator-riverside", {"erp", "sweets-till"}),
        ("operator-hillside", set()),
        ("manager-sweets", {"sweets-till"}),
        ("manager-hotpot", set()),
        ("manager-noodles", set()),
    ],
)
def test_R072_each_sees_the_receivers_of_his_scope_and_404_for_others(enter, name, seen):
    browser = enter(name)
    page = browser.get("/admin/webhooks")
    assert page.status == 200
    for slug in ("erp", "sweets-till"):
        assert (f"/admin/webhooks/{slug}" in page.links) == (slug in seen)
        assert browser.get(f"/admin/webhooks/{slug}").status == (200 if slug in seen else 404)
    assert browser.get("/admin/webhooks/nobody").status == 404


def test_R072_a_clerk_is_refused(enter):
    assert enter("clerk-hotpot").get("/admin/webhooks").status == 403


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_R074_a_test_is_sent_signed_and_shown(told, enter, receiver, language):
    browser = enter("manager-sweets", language)
    path = "/admin/webhooks/sweets-till"
    assert send(browser, browser.get(path), f"{path}/test").status == 303
    courier_of(told, receiver).do_due()
    assert [message["type"] for message in receiver.got] == ["webhook.test"]
    assert receiver.got[0]["headers"]["webhook-signature"].startswith("v1,")
    page = browser.get(path)
    assert "webhook.test" in page.text
    assert ("已送达" if language == "zh-CN" else "Taken") in page.text
    assert told.one("SELECT who FROM audit WHERE action = 'webhook.test'")["who"] == "manager-sweets"


def test_R074_one_and_a_stretch_are_sent_again_and_a_fault_is_told(told, enter, receiver):
    told.claimed("openid-a")
    courier_of(told, receiver).do_due()
    browser, path = enter("operator-riverside"), "/admin/webhooks/erp"
    page = browser.get(path)
    assert send(browser, page, f"{path}/replay").status == 303
    courier_of(told, receiver).do_due()
    assert len(receiver.got) == 3
    for values in (
        {"from": "", "to": ""},
        {"from": "x", "to": "2026-11-22"},
        {"from": "2026-11-23", "to": "2026-11-22"},
    ):
        answer = send(browser, page, f"{path}/replay", id="", **values)
        assert answer.status == 422
        assert "请先改正" in answer.text
    send(browser, page, f"{path}/replay", id="", **{"from": "2026-11-22", "to": "2026-11-22"})
    courier_of(told, receiver).do_due()
    assert len(receiver.got) == 5
    send(browser, page, f"{path}/replay", id="", **{"from": "2026-11-20", "to": "2026-11-21"})
    assert "没有可以重发的" in browser.get(path).text


def test_R074_a_receiver_that_was_switched_off_says_so_and_is_switched_on(told, enter, receiver):
    receiver.answer = lambda _message: Sent(410, "status 410")
    told.claimed("openid-a")
    courier_of(told, receiver).do_due()
    browser, path = enter("operator-riverside"), "/admin/webhooks/erp"
    page = browser.get(path)
    assert "停止推送" in page.text
    assert "中断" in browser.get("/admin/webhooks").text
    send(browser, page, f"{path}/on")
    assert told.one("SELECT off_at FROM receivers WHERE webhook = 'erp'")["off_at"] is None


def test_R072_no_form_is_taken_without_its_token_and_no_page_shows_a_secret_code_or_body(told, enter):
    claimed = told.claimed("openid-a")
    browser = enter("operator-riverside")
    for action in ("test", "on", "replay"):
        assert browser.post(f"/admin/webhooks/erp/{action}", {}).status in {400, 403}
    html = browser.get("/admin/webhooks/erp?state=due").html
    for private in ("whsec", claimed.token, *claimed.codes.values(), "openid"):
        assert private not in html
    assert browser.get("/admin/webhooks/erp?state=bogus&before=%27x").status == 200
