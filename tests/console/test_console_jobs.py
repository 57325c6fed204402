"""Long work: it survives its worker, has one taker, stops when told, and is seen only in its scope."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from gateway import jobs
from gateway.chores.runner import Runner
from gateway.contract.errors import Refused, StoreUnavailable
from gateway.contract.ids import IdFactory
from tests.support.world import START

IDS = IdFactory()


class Beats:
    """A clock of seconds that moves only when a test says so."""

    def __init__(self):
        self.at = 0.0

    def __call__(self):
        return self.at


def start(store, kind="count", now=START, **more):
    return store.write(lambda tx: jobs.start(tx, IDS, now, kind, {"to": 5}, "xiaozhou", **more))


def look(store, id_):
    return store.read(lambda tx: jobs.look(tx, id_))


def runner(world, kinds, beats=None):
    return Runner(world.runtime, kinds, beats or Beats())


def test_a_job_is_done_and_its_result_kept(world):
    def count(runtime, params, progress):
        for n in range(params["to"]):
            progress(n + 1, params["to"])
        return {"sum": params["to"]}

    id_ = start(world.store)
    assert runner(world, {"count": count}).do_one()
    job = look(world.store, id_)
    assert (job.state, job.done, job.total, job.result, job.error) == ("done", 5, 5, {"sum": 5}, "")
    assert not runner(world, {"count": count}).do_one()


def test_progress_is_written_at_most_twice_a_second_but_for_the_last_row(world):
    beats, seen = Beats(), []

    def count(runtime, params, progress):
        for n in range(1, 9):
            beats.at += 0.2
            progress(n, 8)
            seen.append(look(world.store, progress.job.id).done)
        return {}

    start(world.store)
    runner(world, {"count": count}, beats).do_one()
    assert seen == [1, 1, 1, 4, 4, 4, 7, 8]


def test_cancelled_stops_at_the_next_row_and_says_how_many_were_done(world):
    def count(runtime, params, progress):
        for n in range(1, 100):
            if n == 7:
                world.store.write(lambda tx: jobs.cancel(tx, world.clock(), progress.job.id))
            progress(n, 100)
        raise AssertionError("it went on")

    id_ = start(world.store)
    runner(world, {"count": count}).do_one()
    job = look(world.store, id_)
    assert (job.state, job.done, job.total) == ("cancelled", 7, 100)
    assert not world.store.write(lambda tx: jobs.cancel(tx, world.clock(), id_))


def test_one_that_waits_is_cancelled_at_once_and_never_begun(world):
    id_ = start(world.store)
    assert world.store.write(lambda tx: jobs.cancel(tx, world.clock(), id_))
    assert look(world.store, id_).state == "cancelled"
    assert not runner(world, {}).do_one()


@pytest.mark.parametrize(
    ("failure", "word"),
    [(ValueError("openid-secret"), "ValueError"), (Refused("too_old", 409), "too_old")],
)
def test_a_kind_that_raises_fails_without_telling_its_inside(world, failure, word):
    def broken(runtime, params, progress):
        raise failure

    id_ = start(world.store)
    runner(world, {"count": broken}).do_one()
    assert (look(world.store, id_).state, look(world.store, id_).error) == ("failed", word)


def test_a_kind_that_nobody_knows_fails(world):
    id_ = start(world.store, "from-a-later-version")
    runner(world, {}).do_one()
    assert look(world.store, id_).error == "unknown_kind"


def test_R241_a_dead_workers_job_is_taken_up_again_and_it_can_say_no_more(world):
    first, noted = [], []

    def count(runtime, params, progress):
        known = {row["name"] for row in world.store.read(lambda tx: jobs.rows_of(tx, progress.job.id))}
        for n in range(1, 4):
            if str(n) not in known:
                noted.append(n)
                world.store.write(lambda tx, n=n: jobs.note_row(tx, progress.job.id, str(n), "sent"))
            progress(n, 3)
            if not first and n == 2:
                first.append(progress)
                raise StoreUnavailable("as if it died")
        return {}

    id_ = start(world.store)
    with pytest.raises(StoreUnavailable):
        runner(world, {"count": count}).do_one()
    assert not runner(world, {"count": count}).do_one(), "its lease holds"
    world.clock.move(seconds=61)
    assert runner(world, {"count": count}).do_one()
    assert look(world.store, id_).state == "done"
    assert noted == [1, 2, 3]
    with pytest.raises(jobs.Lost):
        first[0](3, 3)
    assert not world.store.write(lambda tx: jobs.end(tx, world.clock(), first[0].job, "failed"))
    assert look(world.store, id_).state == "done"


def test_a_worker_that_stops_in_order_hands_the_job_back(world):
    stop = threading.Event()

    def count(runtime, params, progress):
        progress(1, 3)
        stop.set()
        progress(2, 3)
        raise AssertionError("it went on")

    id_ = start(world.store)
    runner(world, {"count": count}).do_one(stop.is_set)
    job = look(world.store, id_)
    assert (job.state, job.tries, job.done) == ("queued", 0, 1)
    runner(world, {"count": lambda *_: {}}).do_one()
    assert look(world.store, id_).state == "done"


def test_a_job_that_kills_its_workers_is_given_up(world):
    id_ = start(world.store)
    for _ in range(jobs.MOST_TRIES):
        assert world.store.write(lambda tx: jobs.lease(tx, world.clock())).id == id_
        world.clock.move(seconds=61)
    runner(world, {"count": lambda *_: {}}).do_one()
    assert (look(world.store, id_).state, look(world.store, id_).error) == ("failed", "gave_up")


def test_R241_each_job_has_one_taker_among_many(store):
    ids = {start(store) for _ in range(12)}
    taken = []

    def take(_):
        while (job := store.write(lambda tx: jobs.lease(tx, START))) is not None:
            taken.append(job.id)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take, range(4)))
    assert sorted(taken) == sorted(ids)


def test_a_form_sent_twice_is_one_job_and_another_persons_is_his_own(store):
    first = start(store, once="k1")
    assert start(store, once="k1") == first
    assert start(store, "other", once="k1") != first
    assert store.write(lambda tx: jobs.start(tx, IDS, START, "count", {}, "another", once="k1")) != first
    assert start(store) != start(store)


def test_the_estimate_waits_for_a_twentieth_and_counts_from_where_this_taker_began(store):
    id_ = start(store)

    def at(done, total, seconds, base=0):
        store.write(
            lambda tx: tx.run(
                "UPDATE jobs SET done = :d, total = :t, base = :b WHERE id = :id",
                {"d": done, "t": total, "b": base, "id": id_},
            )
        )
        return look(store, id_).left_s(START + timedelta(seconds=seconds))

    assert at(100, 480, 10) is None, "it waits"
    store.write(lambda tx: jobs.lease(tx, START))
    assert at(120, 480, 0) == 0
    assert at(23, 480, 5) is None
    assert at(24, 480, 5) == 95
    assert at(120, 480, 40, base=100) == 720
    assert at(100, 480, 40, base=100) is None
    assert at(500, 480, 40) == 0


def test_what_ended_long_ago_goes_with_its_rows_and_what_is_open_stays(store):
    old, still = start(store), start(store)
    store.write(lambda tx: jobs.note_row(tx, old, "a", "sent"))
    job = store.write(lambda tx: jobs.lease(tx, START))
    store.write(lambda tx: jobs.end(tx, START, job, "done", result={}))
    assert store.write(lambda tx: jobs.sweep(tx, START + jobs.KEPT_FOR, 10)) == 0
    assert store.write(lambda tx: jobs.sweep(tx, START + jobs.KEPT_FOR + timedelta(seconds=1), 10)) == 1
    assert look(store, old) is None
    assert store.read(lambda tx: jobs.rows_of(tx, old)) == []
    assert look(store, still) is not None


def test_the_worker_does_jobs_at_once_and_beside_its_passes(world, monkeypatch):
    from gateway import worker as room
    from gateway.app import build_relay, build_spool
    from gateway.relay import Guard

    done = threading.Event()

    def count(runtime, params, progress):
        done.set()
        return {}

    monkeypatch.setattr(room, "kinds", lambda relay: {"count": count})
    made = room.Worker(world.runtime, build_relay(world.runtime, Guard(())), build_spool(world.runtime))
    first = start(world.store)
    assert made.finish_due() >= 1
    assert look(world.store, first).state == "done"
    done.clear()
    second, stop = start(world.store), threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    try:
        assert done.wait(30)
    finally:
        stop.set()
        thread.join()
    assert look(world.store, second).state == "done"


# -- its page -----------------------------------------------------------------------------------------------------------


def page_job(world, **scope):
    return start(world.store, **scope)


@pytest.mark.parametrize(
    ("scope", "seen_by"),
    [
        ({}, {"admin", "operator"}),
        ({"circle": "riverside"}, {"admin", "operator", "operator-riverside"}),
        ({"merchant": "hotpot"}, {"admin", "operator", "operator-riverside", "manager-hotpot"}),
        ({"circle": "riverside", "merchant": "sweets"}, {"admin", "operator", "operator-riverside", "manager-sweets"}),
        ({"merchant": "gone"}, set()),
    ],
)
def test_R072_a_job_is_seen_and_stopped_only_in_its_scope(world, enter, scope, seen_by):
    id_ = page_job(world, **scope)
    for name in ("admin", "operator", "operator-riverside", "operator-hillside", "manager-hotpot", "manager-sweets"):
        browser = enter(name)
        wanted = 200 if name in seen_by else 404
        assert browser.get(f"/admin/jobs/{id_}").status == wanted, name
        assert browser.get(f"/admin/jobs/{id_}/live").status == wanted, name
        if wanted == 404:
            form = browser.get("/redeem").forms[0]["hidden"]
            assert browser.post(f"/admin/jobs/{id_}/cancel", form).status == 404
    assert look(world.store, id_).state == "queued"


def test_the_page_tells_how_far_it_is_and_stops_it_with_an_audit_row(world, enter):
    id_ = page_job(world)
    world.store.write(lambda tx: jobs.lease(tx, world.clock()))
    world.store.write(lambda tx: tx.run("UPDATE jobs SET done = 120, total = 480", {}))
    world.clock.move(seconds=13)
    world.store.write(lambda tx: tx.run("UPDATE jobs SET leased_until = '2027'", {}))
    browser = enter("admin")
    page = browser.get(f"/admin/jobs/{id_}")
    assert "已处理 120 / 480，约剩 39 秒" in page.text
    assert '<progress max="480" value="120"' in page.html
    assert '<noscript><meta http-equiv="refresh"' in page.html
    assert "120 of 480, about 39 s left" in enter("admin", "en").get(f"/admin/jobs/{id_}").text
    answer = browser.send(page, f"/admin/jobs/{id_}", f"/admin/jobs/{id_}/cancel")
    assert "正在停止" in browser.follow(answer).text
    assert world.one("SELECT who FROM audit WHERE action = 'job.cancel'")["who"] == "admin"


def test_stopping_what_has_ended_says_so_and_changes_nothing(world, enter):
    id_ = page_job(world)
    browser = enter("admin")
    page = browser.get(f"/admin/jobs/{id_}")
    runner(world, {"count": lambda *_: {}}).do_one()
    after = browser.follow(browser.send(page, f"/admin/jobs/{id_}", f"/admin/jobs/{id_}/cancel"))
    assert "任务已经结束" in after.text
    assert "已完成" in after.text
    assert look(world.store, id_).state == "done"
    assert world.all("SELECT * FROM audit WHERE action = 'job.cancel'") == []


def test_rows_are_paged(world, enter):
    id_ = page_job(world)
    for n in range(60):
        world.store.write(lambda tx, n=n: jobs.note_row(tx, id_, f"row-{n:03d}", "sent"))
    browser = enter("admin")
    first = browser.get(f"/admin/jobs/{id_}")
    assert "row-049" in first.text
    assert "row-050" not in first.text
    (following,) = [link for link in first.links if "after=" in link]
    second = browser.get(following)
    assert "row-050" in second.text
    assert "row-049" not in second.text


@pytest.mark.parametrize("id_", ["x", "job_0", "..", "%00", "job_%E4%BD%A0"])
def test_an_unknown_job_is_not_found(enter, id_):
    assert enter("admin").get(f"/admin/jobs/{id_}").status == 404
