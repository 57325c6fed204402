"""People in the console (R008, R016, R028, R246): found by a number, shown by pseudonym, every deed audited."""

import json

import pytest

from gateway import audit, people

OPENIDS = ("openid-canary-a", "openid-canary-b")


@pytest.fixture
def person(world):
    """A guest of the hotpot with a tag, a claimed link and two coupons."""
    claimed = world.claimed(OPENIDS[0])
    number = world.all("SELECT transaction_id FROM payments ORDER BY id")[0]["transaction_id"]
    return type("Guest", (), {"id": world.person_of(number), "number": number, "codes": claimed.codes})


def audits(world, action):
    rows = world.all(
        "SELECT who, object, before, after, request_id FROM audit WHERE action = :a ORDER BY seq", a=action
    )
    assert world.store.read(audit.first_broken) is None
    return rows


def path(person, more=""):
    return f"/admin/people/{getattr(person, 'id', person)}{more}"


def test_a_number_or_a_code_leads_to_the_guest_and_nothing_else_does(enter, person, world):
    browser = enter("operator")
    code = person.codes["bowl-5off"]
    for text in (person.number, code, code.lower(), f"{code[:4]}-{code[4:]}"):
        page = browser.get("/admin/people", query_string={"q": text})
        assert page.status == 303, text
        assert page.response.headers["Location"].endswith(path(person)), text
    for text in (OPENIDS[0], person.id, person.id[-4:], "%", "_", "nothing", "' OR 1=1 --"):
        page = browser.get("/admin/people", query_string={"q": text})
        assert page.status == 200, text
        assert "没有符合条件的记录" in page.text, text
        assert f"客人 {person.id[-4:].upper()}" not in page.text, text


def test_the_first_page_lists_nobody(enter, person):
    page = enter("operator").get("/admin/people")
    assert page.h1 == "人"
    assert "请客人出示付款记录里的订单号" in page.text
    assert person.id not in page.html


def test_R016_a_page_shows_the_pseudonym_tags_coupons_and_no_identity_no_whole_code(enter, person):
    for name in ("operator", "operator-riverside"):
        page = enter(name).get(path(person))
        assert page.h1 == f"客人 {person.id[-4:].upper()}"
        assert "已标识 来源：老王火锅（被动）" in page.text
        assert "糖水立减5元" in page.text
        for secret in (*OPENIDS, *person.codes.values(), "app-riverside"):
            assert secret not in page.html


def test_R072_another_circles_operator_gets_404_for_every_address_and_a_manager_never_comes_here(enter, person, world):
    stranger = enter("operator-hillside")
    assert stranger.get(path(person)).status == 404
    form = stranger.get("/admin/people").forms[0]["hidden"]
    for more in ("/reveal", "/revoke", "/merge", "/forget"):
        page = stranger.post(path(person, more), {**form, "reason": "x", "circle": "riverside", "typed": "x"})
        assert page.status == 404, more
    assert "没有符合条件的记录" in stranger.get("/admin/people", query_string={"q": person.number}).text
    for name in ("manager-hotpot", "clerk-hotpot"):
        page = enter(name).get(path(person))
        assert page.status == 403
        assert person.id[-4:].upper() not in page.text
    assert world.one("SELECT state FROM tags")["state"] == "active"


def test_R072_a_circles_operator_sees_his_circle_alone(enter, world, person):
    """One who also pays in another circle: neither that circle's payment nor its tag is told."""
    world.pay("N1", OPENIDS[0], channel="noodles-pay")
    two = world.person_of("N1")
    world.store.write(
        lambda tx: people.merge(
            tx, world.runtime.ids, world.clock(), winner=person.id, loser=two, by="tests", reason="same"
        )
    )
    own = enter("operator-riverside").get(path(person))
    assert "滨江商圈" in own.text
    assert "山脚" not in own.text
    assert "合并" not in own.text
    whole = enter("operator").get(path(person))
    assert "山脚商圈" in whole.text
    other = enter("operator-hillside").get(path(person))
    assert "山脚面馆" in other.text
    assert "老王火锅" not in other.text
    assert "糖水" not in other.text


@pytest.mark.parametrize("more", ["/merge", "/forget", "/merges/mrg_x"])
def test_R072_deeds_beyond_a_circle_are_not_a_circles_operators(enter, person, world, more):
    browser = enter("operator-riverside")
    page = browser.get(path(person))
    token = page.form(path(person, "/reveal"))["hidden"]
    values = {**token, "other": person.id, "reason": "x", "typed": person.id[-4:]}
    assert browser.post(path(person, more), values).status == 403
    assert world.one("SELECT forgotten_at FROM persons")["forgotten_at"] is None
    assert "永久删除" not in page.text


def test_R028_a_tag_is_revoked_with_a_reason_and_the_next_payment_tags_anew(enter, person, world):
    browser = enter("operator-riverside")
    page = browser.get(path(person))
    refused = browser.send(page, path(person), path(person, "/revoke"), reason="  ")
    assert refused.status == 422
    assert "有误：" in refused.html
    assert "请填写原因" in refused.text
    assert world.one("SELECT state FROM tags")["state"] == "active"
    done = browser.follow(browser.send(page, path(person), path(person, "/revoke"), reason="认错人 <b>"))
    assert "标识已撤销" in done.text
    assert "认错人 &lt;b&gt;" in done.html
    again = browser.follow(browser.send(page, path(person), path(person, "/revoke"), reason="twice"))
    assert "没有改动" in again.text
    (row,) = audits(world, "tag.revoke")
    assert (row["who"], row["object"], bool(row["request_id"])) == ("operator-riverside", person.id, True)
    assert json.loads(row["after"]) == {"circle": "riverside", "reason": "认错人 <b>", "state": "revoked"}
    world.pay("again", OPENIDS[0])
    states = [row["state"] for row in world.all("SELECT state FROM tags ORDER BY created_at, id")]
    assert sorted(states) == ["active", "revoked"]


@pytest.mark.parametrize("circle", ["hillside", "", "riverside' --"])
def test_a_tag_of_no_circle_of_his_cannot_be_revoked(enter, person, world, circle):
    browser = enter("operator")
    page = browser.get(path(person))
    assert browser.send(page, "", path(person, "/revoke"), reason="x", circle=circle).status == 404
    assert audits(world, "tag.revoke") == []


def test_R246_more_is_revealed_for_a_reason_only_and_audited(enter, person, world):
    browser = enter("operator")
    page = browser.get(path(person))
    code = person.codes["bowl-5off"]
    shown = f"{code[:4]}-{code[4:8]}-{code[8:12]}-{code[12:]}"
    refused = browser.send(page, "", path(person, "/reveal"), reason="")
    assert refused.status == 422
    assert shown not in refused.text
    opened = browser.send(page, "", path(person, "/reveal"), reason="手机丢了")
    assert opened.status == 200
    assert shown in opened.text
    assert "认得他的方式" in opened.text
    assert OPENIDS[0] not in opened.html
    (row,) = audits(world, "person.reveal")
    assert json.loads(row["after"]) == {"reason": "手机丢了"}
    assert code not in str([dict(one) for one in world.all("SELECT * FROM audit")])
    assert opened.response.headers["Cache-Control"] == "no-store"
    assert shown not in browser.get(path(person)).text


def two_guests(world):
    for number, openid in (("A1", OPENIDS[0]), ("B1", OPENIDS[1]), ("A2", OPENIDS[0])):
        world.pay(number, openid)
        world.clock.move(seconds=1)
    return world.person_of("A1"), world.person_of("B1")


def test_R008_a_merge_is_previewed_done_and_undone(enter, world):
    older, younger = two_guests(world)
    browser = enter("operator")
    before = world.all("SELECT * FROM persons")
    preview = browser.get(path(younger, "/merge"), query_string={"q": "A1"})
    assert "付款 3 笔" in preview.text
    assert f"{younger[-4:].upper()} 较晚的标识暂停" in preview.text
    assert world.all("SELECT * FROM persons") == before, "a preview changes nothing"
    refused = browser.send(preview, "", path(younger, "/merge"), reason="")
    assert refused.status == 422
    assert world.all("SELECT id FROM merges") == []
    done = browser.send(preview, "", path(younger, "/merge"), reason="同一部手机")
    assert done.response.headers["Location"].endswith(path(older))
    page = browser.follow(done)
    assert "已合并为" in page.text
    twice = browser.send(preview, "", path(younger, "/merge"), reason="同一部手机")
    assert twice.status in {303, 422}
    (merge,) = world.all("SELECT * FROM merges")
    assert (merge["winner"], merge["loser"], merge["done_by"]) == (older, younger, "operator")
    assert {row["state"] for row in world.all("SELECT state FROM tags")} == {"active", "merged"}

    undo = browser.get(path(older, f"/merges/{merge['id']}"))
    assert "恢复的标识" in undo.text
    assert younger[-4:].upper() in undo.text
    undone = browser.follow(browser.send(undo, "", path(older, f"/merges/{merge['id']}")))
    assert "合并已撤销" in undone.text
    assert [row["state"] for row in world.all("SELECT state FROM tags")] == ["active", "active"]
    again = browser.follow(browser.send(undo, "", path(older, f"/merges/{merge['id']}")))
    assert "已经撤销过了" in again.text
    assert len(audits(world, "person.merge")) == len(audits(world, "person.unmerge")) == 1


def test_nobody_is_merged_with_himself_or_with_nobody(enter, world, person):
    browser = enter("operator")
    assert "没有符合条件" in browser.get(path(person, "/merge"), query_string={"q": person.number}).text
    token = browser.get(path(person)).form(path(person, "/reveal"))["hidden"]
    assert browser.post(path(person, "/merge"), {**token, "other": person.id, "reason": "x"}).status == 422
    assert browser.post(path(person, "/merge"), {**token, "other": "p_nobody", "reason": "x"}).status == 404
    assert world.all("SELECT id FROM merges") == []


def test_another_persons_merge_is_404(enter, world):
    two_guests(world)
    browser = enter("operator")
    world.pay("C1", "openid-c")
    ids = sorted((world.person_of("A1"), world.person_of("B1")))
    page = browser.get(path(ids[1], "/merge"), query_string={"q": "A1"})
    browser.send(page, "", path(ids[1], "/merge"), reason="x")
    merge = world.one("SELECT id FROM merges")["id"]
    stranger = world.person_of("C1")
    assert browser.get(path(stranger, f"/merges/{merge}")).status == 404
    token = browser.get(path(stranger)).form(path(stranger, "/reveal"))["hidden"]
    assert browser.post(path(stranger, f"/merges/{merge}"), token).status == 404
    assert world.one("SELECT undone_at FROM merges")["undone_at"] is None


@pytest.mark.parametrize("typed", ["", "0000", "是", "客人"])
def test_R016_forgetting_needs_the_name_typed(enter, person, world, typed):
    browser = enter("operator")
    page = browser.get(path(person))
    refused = browser.send(page, "", path(person, "/forget"), typed=typed)
    assert refused.status == 422
    assert world.one("SELECT forgotten_at FROM persons")["forgotten_at"] is None


def test_R016_a_forgotten_guest_keeps_no_identity_and_the_page_says_so(enter, person, world):
    browser = enter("admin")
    page = browser.get(path(person))
    done = browser.follow(browser.send(page, "", path(person, "/forget"), typed=person.id[-4:].lower()))
    assert "已按请求删除" in done.text
    assert "永久删除" not in done.text
    assert world.all("SELECT blind FROM identities") == []
    assert len(audits(world, "person.forget")) == 1
    world.pay("after", OPENIDS[0])
    assert world.person_of("after") != person.id


def test_pages_are_whole_in_english(enter, person):
    browser = enter("operator", "en")
    page = browser.get(path(person))
    assert page.h1 == f"Guest {person.id[-4:].upper()}"
    assert "Source: 老王火锅 (passive)" in page.text
    assert "Delete for good" in page.text
