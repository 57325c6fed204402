"""What could not be delivered: rehearsed, replayed as a job, every row told; the rehearsal's list is the run's (R241)."""

import json
from datetime import timedelta

import pytest

from gateway import incidents, jobs, outbox
from gateway.chores import resend
from gateway.chores.runner import Runner
from gateway.relay import Answer
from tests.support.plainpay import paid
from tests.support.world import CATALOG, SECRET


class Till:
    """A POS that answers what it is told to, and remembers what it was sent."""

    def __init__(self, status=200):
        self.status, self.got = status, []

    def forward(self, upstream, raw, *, query=None):
        self.got.append(raw.body)
        return Answer(self.status, (), b"", 12)


SWEETS_RELAY = """
[channel.sweets-relay]
merchant = "sweets"
adapter = "plainpay"
intake = "relay"
upstream = "http://127.0.0.1:9002/pay"
keys = { mchid = "M-sweets-2", appid = "app-riverside", secret = "canary-channel-secret" }
"""


@pytest.fixture
def world(world):
    world.apply(CATALOG.replace("[item.bowl-5off]", SWEETS_RELAY + "\n[item.bowl-5off]"))
    return world


def park(world, number, channel="hotpot-second", error="failed: timeout"):
    """A notification of a relay channel that was given up; the outbox row's id."""
    raw = paid(SECRET, number, [f"openid-{number}"], 10_000, world.clock())
    taken = world._take_in(channel, raw)

    def write(tx):
        id_ = outbox.owe_relay(tx, world.runtime.ids, world.clock(), taken.delivery, channel, once=False)
        tx.run("UPDATE outbox SET state = 'parked', last_error = :error WHERE id = :id", {"error": error, "id": id_})
        incidents.raise_(tx, world.runtime.ids, world.clock(), "parked", channel, error)
        return id_

    return world.store.write(write)


def state(world, id_):
    return world.one("SELECT state FROM outbox WHERE id = :id", id=id_)["state"]


def rehearse(browser, *groups):
    return browser.client.get("/admin/parked/rehearse", query_string=[("g", group) for group in groups])


def page_of(browser, *groups):
    from tests.support.browsing import Page

    return Page(rehearse(browser, *groups))


def begin(browser, page, **values):
    form = page.form("/admin/parked/replay")
    return browser.post("/admin/parked/replay", {**form["hidden"], "rate": "20", **values})


def run(world, till, sleeps=None):
    done = Runner(
        world.runtime, {resend.NAME: resend.Resend(till, sleeps.append if sleeps is not None else lambda _: None)}
    )
    assert done.do_one()


def job_of(answer):
    return answer.response.headers["Location"].rpartition("/")[2]


def test_R241_the_rehearsals_list_equals_the_real_runs(world, enter):
    fresh = [park(world, f"N{n}", "sweets-relay") for n in range(7)]
    park(world, "stale")
    gone = park(world, "gone", "sweets-relay")
    world.store.write(
        lambda tx: tx.run(
            "UPDATE deliveries SET sealed = NULL WHERE id = :id",
            {
                "id": json.loads(tx.one("SELECT payload FROM outbox WHERE id = :id", {"id": gone})["payload"])[
                    "delivery"
                ]
            },
        )
    )
    world.clock.move(seconds=241)
    browser = enter("operator-riverside")
    page = page_of(browser)
    assert "将要发送 7" in page.text
    assert "超过 4 分钟，POS 会拒收；等待平台重发" in page.text
    assert "原文或渠道已不在" in page.text
    assert "其中 5 条" in page.text
    assert "演练，不发任何东西" in page.text
    assert [state(world, id_) for id_ in fresh] == ["parked"] * 7, "a rehearsal sends nothing"
    answer = begin(browser, page)
    assert answer.status == 303
    till, job = Till(), job_of(answer)
    assert world.store.read(lambda tx: jobs.look(tx, job)).params["ids"] == fresh
    run(world, till)
    assert len(till.got) == 7
    assert [state(world, id_) for id_ in fresh] == ["done"] * 7
    assert state(world, gone) == "parked"
    rows = world.store.read(lambda tx: jobs.rows_of(tx, job))
    assert [(row["name"], row["outcome"]) for row in rows] == [(id_, "accepted") for id_ in fresh]
    shown = browser.get(f"/admin/jobs/{job}")
    assert "POS 已收下 7" in shown.text
    audits = world.all("SELECT who, object FROM audit WHERE action = 'parked.replay'")
    assert {row["object"] for row in audits} == set(fresh)
    assert {row["who"] for row in audits} == {"operator-riverside"}


def test_what_changed_between_rehearsal_and_run_is_shown_again(world, enter):
    park(world, "N1", "sweets-relay")
    browser = enter("admin")
    page = page_of(browser)
    park(world, "N2", "sweets-relay")
    answer = begin(browser, page)
    assert answer.status == 409
    assert "未送达的内容变了" in answer.text
    assert "将要发送 2" in answer.text
    assert world.all("SELECT id FROM jobs") == []
    assert begin(browser, answer).status == 303


def test_a_form_sent_twice_is_one_run(world, enter):
    park(world, "N1", "sweets-relay")
    browser = enter("admin")
    page = page_of(browser)
    assert job_of(begin(browser, page)) == job_of(begin(browser, page))
    assert len(world.all("SELECT id FROM jobs")) == 1


@pytest.mark.parametrize(("typed", "status"), [("", 422), ("100", 422), ("all", 422), ("101", 303), (" 101 ", 303)])
def test_over_a_hundred_the_number_is_typed(world, enter, typed, status):
    for n in range(101):
        park(world, f"N{n}", "sweets-relay")
    browser = enter("admin")
    page = page_of(browser)
    assert 'name="typed"' in page.html
    answer = begin(browser, page, typed=typed)
    assert answer.status == status
    if status == 422:
        assert 'id="e-typed"' in answer.html
        assert world.all("SELECT id FROM jobs") == []


@pytest.mark.parametrize("rate", ["", "0", "-1", "1000", "x"])
def test_only_the_offered_rates_are_taken(world, enter, rate):
    park(world, "N1", "sweets-relay")
    browser = enter("admin")
    assert begin(browser, page_of(browser), rate=rate).status == 422


def test_the_run_keeps_its_rate(world, enter):
    for n in range(3):
        park(world, f"N{n}", "sweets-relay")
    browser, sleeps = enter("admin"), []
    begin(browser, page_of(browser), rate="5")
    run(world, Till(), sleeps)
    assert sleeps == [0.2, 0.2]


def test_what_the_till_refuses_stays_parked_and_is_told(world, enter):
    id_ = park(world, "N1", "sweets-relay")
    browser = enter("admin")
    job = job_of(begin(browser, page_of(browser)))
    run(world, Till(500))
    assert state(world, id_) == "parked"
    assert "POS 没有收下" in browser.get(f"/admin/jobs/{job}").text
    assert world.all("SELECT * FROM audit WHERE action = 'parked.replay'") == []
    assert world.one("SELECT closed_at FROM incidents WHERE kind = 'parked'")["closed_at"] is None


def test_the_last_one_delivered_closes_the_incident(world, enter):
    park(world, "N1", "sweets-relay")
    browser = enter("admin")
    begin(browser, page_of(browser))
    run(world, Till())
    assert world.one("SELECT closed_at FROM incidents WHERE kind = 'parked'")["closed_at"] is not None


def test_R241_a_run_that_was_cut_off_sends_nothing_twice(world, enter):
    ids = [park(world, f"N{n}", "sweets-relay") for n in range(4)]
    browser = enter("admin")
    begin(browser, page_of(browser))

    class Dying(Till):
        def forward(self, upstream, raw, *, query=None):
            if len(self.got) == 2:
                raise KeyboardInterrupt
            return super().forward(upstream, raw, query=query)

    dying, after = Dying(), Till()
    with pytest.raises(KeyboardInterrupt):
        run(world, dying)
    world.clock.move(seconds=61)
    run(world, after)
    assert (len(dying.got), len(after.got)) == (2, 2)
    assert not set(dying.got) & set(after.got)
    assert [state(world, id_) for id_ in ids] == ["done"] * 4


def test_what_was_done_or_paused_meanwhile_is_left(world, enter):
    done, paused = park(world, "N1", "sweets-relay"), park(world, "N2", "sweets-relay")
    browser = enter("admin")
    job = job_of(begin(browser, page_of(browser)))
    world.store.write(lambda tx: outbox.done(tx, world.clock(), done))
    text = CATALOG.replace("[item.bowl-5off]", SWEETS_RELAY + "paused = true\n\n[item.bowl-5off]")
    world.apply(text)
    till = Till()
    # Another process has read the catalogue as it is now.
    done_by = Runner(world.another_runtime(), {resend.NAME: resend.Resend(till, lambda _: None)})
    assert done_by.do_one()
    assert till.got == []
    rows = {row["name"]: row["outcome"] for row in world.store.read(lambda tx: jobs.rows_of(tx, job))}
    assert rows == {done: "done_already", paused: "paused"}


def test_groups_choose_by_target_and_error(world, enter):
    a = park(world, "N1", "sweets-relay", "failed: timeout")
    b = park(world, "N2", "sweets-relay", "not_accepted: 500 | odd")
    browser = enter("admin")
    page = browser.get("/admin/parked")
    assert "2 条没有送达" in page.text
    values = [
        value
        for tag, name, value in page.attributes
        if tag == "input" and name == "value" and value.startswith("relay|")
    ]
    assert sorted(values) == ["relay|sweets-relay|failed: timeout", "relay|sweets-relay|not_accepted: 500 | odd"]
    chosen = page_of(browser, "relay|sweets-relay|not_accepted: 500 | odd")
    assert "将要发送 1" in chosen.text
    answer = begin(browser, chosen)
    assert world.store.read(lambda tx: jobs.look(tx, job_of(answer))).params["ids"] == [b]
    assert state(world, a) == "parked"
    for nonsense in ("", "relay", "relay|x", "|||", "x" * 3000):
        assert "现在没有可以发送的" in page_of(browser, nonsense).text


def test_R072_each_replays_only_his_own(world, enter):
    mine, theirs = park(world, "N1", "sweets-relay"), park(world, "N2", "hotpot-second")
    house = world.store.write(
        lambda tx: outbox.put(tx, world.runtime.ids, world.clock(), "webhook", "order-1", {"a": 1})
    )
    world.store.write(lambda tx: tx.run("UPDATE outbox SET state = 'parked' WHERE id = :id", {"id": house}))
    browser = enter("manager-sweets")
    text = browser.get("/admin/parked").text
    assert "sweets-relay" in text
    assert "hotpot-second" not in text
    assert "webhook" not in text
    answer = begin(browser, page_of(browser))
    assert world.store.read(lambda tx: jobs.look(tx, job_of(answer))).params["ids"] == [mine]
    assert "现在没有可以发送的" in page_of(browser, "relay|hotpot-second|failed: timeout").text
    assert enter("manager-hotpot").get(f"/admin/jobs/{job_of(answer)}").status == 404
    assert "将要发送 3" in page_of(enter("operator")).text
    assert state(world, theirs) == "parked"


def test_what_goes_elsewhere_is_queued_again(world, enter):
    id_ = world.store.write(lambda tx: outbox.put(tx, world.runtime.ids, world.clock(), "webhook", "order-1", {"a": 1}))
    world.store.write(lambda tx: tx.run("UPDATE outbox SET state = 'parked', tries = 9 WHERE id = :id", {"id": id_}))
    browser = enter("admin")
    begin(browser, page_of(browser))
    run(world, Till())
    row = world.one("SELECT state, tries, give_up_at FROM outbox WHERE id = :id", id=id_)
    assert (row["state"], row["tries"]) == ("due", 0)
    assert row["give_up_at"] > (world.clock() + timedelta(hours=23)).isoformat()


def test_nothing_parked_says_what_would_stand_here(enter):
    page = enter("manager-hotpot").get("/admin/parked")
    assert "现在没有" in page.text
    assert page.html.count("<table") == 0


# -- incidents ------------------------------------------------------------------------------------------------------------


def raise_(world, kind="undecryptable", subject="hotpot-pay", detail="key 7"):
    world.store.write(lambda tx: incidents.raise_(tx, world.runtime.ids, world.clock(), kind, subject, detail))
    return world.one(
        "SELECT id FROM incidents WHERE kind = :k AND subject = :s AND closed_at IS NULL", k=kind, s=subject
    )["id"]


def test_R246_an_incident_is_seen_and_closed_with_its_cause(world, enter):
    id_ = raise_(world)
    browser = enter("manager-hotpot")
    assert "解密失败：密钥不是这个商户的" in browser.get("/admin/incidents").text
    page = browser.get(f"/admin/incidents/{id_}")
    seen = browser.follow(browser.send(page, f"/admin/incidents/{id_}", f"/admin/incidents/{id_}/seen"))
    assert "有人在处理 manager-hotpot" in seen.text
    bad = browser.send(seen, f"/admin/incidents/{id_}", f"/admin/incidents/{id_}/close", cause="  ")
    assert bad.status == 422
    assert 'id="e-cause"' in bad.html
    done = browser.follow(
        browser.send(seen, f"/admin/incidents/{id_}", f"/admin/incidents/{id_}/close", cause="换了密钥")
    )
    assert "换了密钥" in done.text
    assert "没有未处理的事件" in browser.get("/admin/incidents").text
    assert "解密失败" in browser.get("/admin/incidents?state=closed").text
    again = browser.follow(browser.send(seen, f"/admin/incidents/{id_}", f"/admin/incidents/{id_}/close", cause="再关"))
    assert "事件刚才已经关闭" in again.text
    said = world.all("SELECT action, object, after FROM audit WHERE action LIKE 'incident.%' ORDER BY seq")
    assert [(row["action"], row["object"]) for row in said] == [("incident.seen", id_), ("incident.close", id_)]
    assert json.loads(said[1]["after"])["cause"] == "换了密钥"
    assert raise_(world) != id_, "what happens again is a new one"


def test_R072_incidents_are_seen_in_their_scope_and_name_no_person(world, enter):
    mine, theirs = raise_(world), raise_(world, subject="noodles-pay")
    ring = raise_(world, "ring", "p_" + "a" * 28 + "7f3a+p_" + "b" * 28 + "91c2", "")
    for name, seen in {
        "manager-hotpot": {mine},
        "manager-sweets": set(),
        "operator-riverside": {mine},
        "operator-hillside": {theirs},
        "admin": {mine, theirs, ring},
    }.items():
        browser = enter(name)
        listed = {link.rpartition("/")[2] for link in browser.get("/admin/incidents").links if "/incidents/inc" in link}
        assert listed == seen, name
        token = browser.get("/redeem").forms[0]["hidden"]
        for id_ in (mine, theirs, ring):
            wanted = id_ in seen
            assert (browser.get(f"/admin/incidents/{id_}").status == 200) == wanted
            if not wanted:
                assert browser.post(f"/admin/incidents/{id_}/close", {**token, "cause": "x"}).status == 404
    shown = enter("admin").get(f"/admin/incidents/{ring}")
    assert "客人 7F3A + 客人 91C2" in shown.text
    assert "p_aaaa" not in shown.html
