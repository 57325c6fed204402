"""The console's reading and its jobs on both databases (R244)."""

from gateway import audit, incidents, jobs, outbox
from gateway.chores import chain, export
from gateway.chores.runner import Runner
from tests.console.conftest import PEOPLE
from tests.support.browsing import Browser, pages_of
from tests.support.world import World

PAGES = (
    "",
    "/payments?state=gift&min=1&max=9999&day=today&reason=issued",
    "/payments?state=duplicate&shop=s:hotpot-1&wallet=plainpay",
    "/payments?state=first",
    "/payments?q=N2",
    "/payments/news?since=pay_",
    "/parked",
    "/parked/rehearse",
    "/incidents",
    "/incidents?state=closed",
    "/audit?by=tests&day=30",
    "/export?data=redemptions",
)


def test_R244_every_page_and_job_works_on_both_databases(tmp_path, store_url):
    world = World(tmp_path, store_url=store_url)
    try:
        world.claimed("openid-c")
        world.pay("N1", "openid-a")
        payment = world.pay("N2", "openid-a").payment

        def work(tx):
            incidents.raise_(tx, world.runtime.ids, world.clock(), "undecryptable", "hotpot-pay")
            id_ = outbox.owe_relay(tx, world.runtime.ids, world.clock(), "d_1", "hotpot-second", once=False)
            tx.run("UPDATE outbox SET state = 'parked' WHERE id = :id", {"id": id_})
            for data in export.DATA_SETS:
                columns = list(export.DATA_SETS[data].columns)
                params = {"data": data, "columns": columns, "since": None, "until": None, "merchants": ["hotpot"]}
                jobs.start(tx, world.runtime.ids, world.clock(), export.NAME, params, "tests")
            jobs.start(tx, world.runtime.ids, world.clock(), chain.NAME, {}, "tests")

        world.store.write(work)
        runner = Runner(world.runtime, {export.NAME: export.write_file, chain.NAME: chain.check})
        while runner.do_one():
            pass
        ended = world.all("SELECT kind, state, result FROM jobs")
        assert [row["state"] for row in ended] == ["done"] * (len(export.DATA_SETS) + 1)
        app = pages_of(world)
        for name in ("manager-hotpot", "operator-riverside", "admin"):
            role, scope = PEOPLE[name]
            world.user(name, role, **scope)
            browser = Browser(app).sign_in(name)
            for path in PAGES:
                if role == "manager" and path.startswith("/audit"):
                    continue
                assert browser.get(f"/admin{path}").status == 200, (name, path)
            assert "已发券" in browser.get("/admin/payments?state=gift").text
            assert "1 条没有送达" in browser.get("/admin/parked").text
            page = browser.get(f"/admin/payments/{payment}")
            assert "等待领取" in page.text
        assert world.store.read(audit.first_broken) is None
    finally:
        world.close()
