"""The audit page (R246): who did what, and a chain whose first bad row is named however long it is."""

import json

import pytest

from gateway import audit, jobs
from gateway.chores import chain
from gateway.chores.runner import Runner
from gateway.web.admin import audit_pages
from tests.support.world import START


def write(world, n, who="tester"):
    def work(tx):
        for number in range(n):
            audit.record(
                tx, world.clock(), who, "thing.changed", f"o{number}", before={"n": number}, after={"n": number + 1}
            )

    world.store.write(work)


def rows(world):
    return world.one("SELECT max(seq) AS n FROM audit")["n"]


def check_all(world):
    world.store.write(lambda tx: jobs.start(tx, world.runtime.ids, START, chain.NAME, {}, "admin"))
    assert Runner(world.runtime, {chain.NAME: chain.check}).do_one()
    return world.store.read(lambda tx: jobs.newest(tx, chain.NAME, 1))[0]


def test_R246_rows_say_who_when_what_before_and_after(world, enter):
    browser = enter("admin")
    write(world, 1)
    page = browser.get("/admin/audit")
    assert "thing.changed" in page.text
    assert "tester" in page.text
    assert '<span class="muted">0</span> → <b>1</b>' in page.html
    assert f"链完整至 #{rows(world)}" in page.text
    assert "Chain intact to #" in enter("admin", "en").get("/admin/audit").text


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE audit SET who = 'nobody' WHERE seq = 7",
        "UPDATE audit SET after = '{}' WHERE seq = 7",
        "UPDATE audit SET hash = 'x' WHERE seq = 7",
        "DELETE FROM audit WHERE seq = 6",
    ],
)
def test_R246_a_broken_chain_names_its_first_bad_row(world, enter, tamper):
    browser = enter("admin")
    write(world, 10)
    world.store.write(lambda tx: tx.run(tamper))
    page = browser.get("/admin/audit")
    assert 'role="alert"' in page.html
    assert "链在 #7 断开" in page.text
    assert "链完整至" not in page.text


def test_R246_a_row_changed_after_a_whole_check_is_found_by_the_next(world, enter):
    browser = enter("admin")
    write(world, 20)
    assert check_all(world).result == {"intact_to": rows(world), "broken_at": None}
    world.store.write(lambda tx: tx.run("UPDATE audit SET who = 'nobody' WHERE seq = 3"))
    assert check_all(world).result == {"intact_to": 2, "broken_at": 3}
    assert "链在 #3 断开" in browser.get("/admin/audit").text
    # A sign-in is no reason to call it whole again.
    write(world, 3)
    assert "链在 #3 断开" in browser.get("/admin/audit").text


def test_a_long_chain_is_followed_from_the_last_check_and_says_what_it_has_not_seen(world, enter, monkeypatch):
    monkeypatch.setattr(audit_pages, "_CHECK_AT_ONCE", 10)
    monkeypatch.setattr(chain, "_AT_ONCE", 7)
    browser = enter("admin")
    write(world, 60)
    end = rows(world)
    page = browser.get("/admin/audit")
    assert "链完整至 #10" in page.text
    assert f"其后 {end - 10} 行还没有检查" in page.text
    done = check_all(world)
    assert done.result == {"intact_to": end, "broken_at": None}
    assert done.done == end
    write(world, 5)
    assert f"链完整至 #{end + 5}" in browser.get("/admin/audit").text


def test_a_check_goes_on_after_the_front_was_trimmed(world, enter):
    browser = enter("admin")
    write(world, 20)
    check_all(world)
    world.clock.move(days=1)
    write(world, 5)
    world.store.write(lambda tx: audit.trim(tx, world.clock(), 1000))
    browser = enter("admin")
    assert f"链完整至 #{rows(world)}" in browser.get("/admin/audit").text
    assert check_all(world).result["broken_at"] is None


def test_filters_and_pages(world, enter):
    browser = enter("admin")
    write(world, 60, "first")
    write(world, 60, "second")
    page = browser.get("/admin/audit?by=first")
    assert "second" not in page.text.partition("前后")[2]
    (following,) = [link for link in page.links if "before=" in link]
    assert "by=first" in following
    second = browser.get(following)
    assert second.html.count('id="r') == 10
    assert "没有符合条件的记录" in browser.get("/admin/audit?object=none").text
    assert browser.get("/admin/audit?from=nonsense").status == 422
    assert browser.get("/admin/audit?before=" + "9" * 40).status == 200


def test_filters_look_at_a_bounded_stretch_and_go_on(world, enter, monkeypatch):
    monkeypatch.setattr(audit_pages, "_LOOK_AT", 15)
    write(world, 1, "rare")
    write(world, 40, "common")
    browser = enter("admin")
    path, seen = "/admin/audit?by=rare", 0
    for _ in range(10):
        page = browser.get(path)
        seen += page.html.count('id="r')
        following = [link for link in page.links if "before=" in link]
        if not following:
            break
        path = following[0]
    assert seen == 1


def test_R072_who_is_bound_to_a_circle_sees_his_own_rows(world, enter):
    write(world, 3, "somebody-else")
    browser = enter("operator-riverside")
    world.store.write(lambda tx: audit.record(tx, world.clock(), "operator-riverside", "mine.done", "o"))
    page = browser.get("/admin/audit")
    assert "mine.done" in page.text
    assert "somebody-else" not in page.html
    assert "没有符合条件的记录" in browser.get("/admin/audit?by=somebody-else").text
    token = browser.get("/redeem").forms[0]["hidden"]
    assert browser.post("/admin/audit/check", token).status == 403
    assert enter("manager-hotpot").get("/admin/audit").status == 403


def test_a_whole_check_is_a_job_and_is_written_down(world, enter):
    browser = enter("admin")
    answer = browser.send(browser.get("/admin/audit"), "/admin/audit", "/admin/audit/check")
    assert answer.status == 303
    assert Runner(world.runtime, {chain.NAME: chain.check}).do_one()
    assert "已完成" in browser.follow(answer).text
    assert json.loads(world.one("SELECT value FROM meta WHERE name = 'audit_checked'")["value"])[2] is None
    assert world.one("SELECT who FROM audit WHERE action = 'audit.check'")["who"] == "admin"
