"""The hub in the console: models, records, targets with their deliveries, and a retry by a form."""

import pytest

from tests.support.browsing import Browser, pages_of
from tests.support.hub import catalog, work


@pytest.fixture
def app(world):
    return pages_of(world)


@pytest.fixture
def operator(world, app):
    world.user("wang", "operator", circle="riverside")
    return Browser(app).sign_in("wang")


def pushed(crm, world, receiver, statuses=()):
    receiver.statuses = list(statuses)
    crm.push(amt="8800", way="wechat")
    crm.push(key="v-2", amt=0)
    work(world)


def test_R211_the_models_with_their_fields(operator, world, crm):
    work(world)
    page = operator.get("/admin/campaigns/hub/models")
    assert page.status == 200
    assert page.h1 == "数据模型：hub"
    for words in (
        "visit",
        "amount_fen",
        "payment",
        "整数",
        "crm: amount",
        "≥ 0",
        "第 1 版",
        "crm token",
        "rename",
        "to_int",
    ):
        assert words in page.text
    english = Browser(operator.client.application, "en").sign_in("wang").get("/admin/campaigns/hub/models")
    assert english.h1 == "Data models：hub"
    assert "Whole number" in english.text


def test_R210_a_selection_is_shown(operator):
    page = operator.get("/admin/campaigns/spring/models")
    assert page.status == 200
    assert "选用的版本和字段" in page.text
    assert "amount_fen" in page.text


def test_R213_records_show_their_content_to_whoever_is_granted(world, app, operator, crm, receiver):
    pushed(crm, world, receiver)
    page = operator.get("/admin/campaigns/hub/records", query_string={"model": "visit"})
    assert (page.status, page.h1) == (200, "归档记录：hub")
    for words in ("v-1", "v-2", "已归档", "按规则舍弃 drop_if", "crm ✓ 已写入", "没有获得这个模型的授权"):
        assert words in page.text
    assert "8800" not in page.html
    world.user("crm token", "operator", circle="riverside")
    granted = Browser(app).sign_in("crm token").get("/admin/campaigns/hub/records", query_string={"model": "visit"})
    assert '"amount_fen": 8800' in granted.text


def test_R214_a_target_that_is_down_and_its_retry(world, operator, crm, receiver):
    pushed(crm, world, receiver, [500])
    page = operator.get("/admin/campaigns/hub/deliveries")
    assert (page.status, page.h1) == (200, "写入目标：hub")
    for words in ("▲ 注意", "写不进去", "status 500", "■ 失败", "✓ 已写入", "whsec_"):
        assert words in page.text
    action = "/admin/campaigns/hub/deliveries/retry"
    sent = operator.send(page, "/admin/campaigns/hub/deliveries", action)
    back = operator.follow(sent)
    assert "已排队重试" in back.text
    assert "等待写入" in back.text
    work(world)
    assert len(receiver.got) == 2
    done = operator.get("/admin/campaigns/hub/deliveries", query_string={"state": "failed"})
    assert "没有符合条件的记录" in done.text
    again = operator.send(page, "/admin/campaigns/hub/deliveries", action)
    assert "没有再发" in operator.follow(again).text
    assert world.one("SELECT who FROM audit WHERE action = 'data_hub.retry'")["who"] == "wang"


def test_R214_an_address_shows_its_host_alone(world, operator):
    world.apply(catalog("http://127.0.0.1:9100/hook/secret-path?key=canary"))
    page = operator.get("/admin/campaigns/hub/deliveries")
    assert "127.0.0.1" in page.text
    assert "canary" not in page.html
    assert "secret-path" not in page.html


def test_empty_pages_say_why_they_are_empty(operator):
    assert "还没有收到" in operator.get("/admin/campaigns/hub/records").text
    assert "记录归档后会在这里列出" in operator.get("/admin/campaigns/hub/deliveries").text
    assert operator.get("/admin/campaigns/spring/records").status == 200
    assert operator.get("/admin/campaigns/spring/deliveries").status == 200


@pytest.mark.parametrize(
    "query", [{"before": "x"}, {"before": "9" * 40}, {"model": "nothing"}, {"state": "nothing"}, {"target": "'"}]
)
def test_addresses_that_nobody_gave_show_a_page(operator, query):
    for room in ("models", "records", "deliveries"):
        assert operator.get(f"/admin/campaigns/hub/{room}", query_string=query).status == 200


def test_a_retry_of_nothing_is_not_found(operator, world, crm, receiver):
    pushed(crm, world, receiver, [500])
    page = operator.get("/admin/campaigns/hub/deliveries")
    action = "/admin/campaigns/hub/deliveries/retry"
    assert operator.send(page, "", action, delivery="dd_0").status == 404
    assert operator.send(page, "", action, delivery="x" * 5000).status == 404
    assert operator.post(action, {"delivery": "dd_0"}).status == 400


@pytest.mark.parametrize(
    ("role", "scope"),
    [("operator", {"circle": "hillside"}), ("manager", {"merchant": "hotpot"}), ("clerk", {"merchant": "hotpot"})],
)
def test_R072_other_people_see_nothing_of_it(world, app, crm, receiver, role, scope):
    pushed(crm, world, receiver)
    world.user("li", role, **scope)
    browser = Browser(app).sign_in("li")
    for room in ("models", "records", "deliveries"):
        page = browser.get(f"/admin/campaigns/hub/{room}")
        assert page.status in {403, 404}
        assert "v-1" not in page.html


def test_long_content_and_many_records_have_their_pages(operator, world, crm):
    for number in range(6):
        records = [
            {"key": f"{'很长的编号' * 20}-{number}-{place}", "version": 1, "data": {"amt": 1, "way": "x" * 300}}
            for place in range(10)
        ]
        assert crm.post("/models/visit/batches", {"records": records})[0] == 200
    first = operator.get("/admin/campaigns/hub/records", query_string={"model": "visit"})
    assert first.html.count('data-label="版本"') == 50
    following = next(link for link in first.links if "before=" in link)
    assert operator.get(following).html.count('data-label="版本"') == 10
    listed = operator.get("/admin/campaigns/hub/deliveries", query_string={"target": "lake", "state": "pending"})
    following = next(link for link in listed.links if "before=" in link)
    assert "target=lake" in following
    assert operator.get(following).html.count("/deliveries/retry") == 10
