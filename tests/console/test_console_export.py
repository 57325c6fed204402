"""Exports: what was asked for and no more, safe to open, private on the disk, and every download written down."""

import csv
import io
import json
import stat

import pytest

from gateway import jobs
from gateway.chores import export
from gateway.chores.runner import Runner
from tests.support.world import START

PLAIN = ["received_at", "merchant", "transaction_id", "amount_fen"]


def ask(browser, data="payments", columns=PLAIN, **more):
    page = browser.get(f"/admin/export?data={data}")
    form = page.form("/admin/export/start")
    return browser.post("/admin/export/start", {**form["hidden"], "columns": columns, **more})


def run(world):
    assert Runner(world.runtime, {export.NAME: export.write_file}).do_one()
    return world.store.read(lambda tx: jobs.newest(tx, export.NAME, 1))[0]


def table(browser, job):
    with browser.client.get(f"/admin/export/{job.id}/file") as answer:
        assert answer.status_code == 200
        text = answer.get_data(as_text=True)
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


def status_of_file(browser, job):
    with browser.client.get(f"/admin/export/{job.id}/file") as answer:
        return answer.status_code


def made(world, browser, **more):
    assert ask(browser, **more).status == 303
    return run(world)


def test_a_file_holds_the_columns_asked_for_and_sums_in_yuan(world, enter):
    for n in range(3):
        world.pay(f"N{n}", f"openid-{n}", amount_fen=1234)
    browser = enter("manager-hotpot")
    job = made(world, browser)
    assert (job.state, job.done, job.total, job.result["rows"]) == ("done", 3, 3, 3)
    head, *rows = table(browser, job)
    assert head == ["received_at", "merchant", "transaction_id", "amount_yuan"]
    assert [row[1:] for row in rows] == [["hotpot", f"N{n}", "12.34"] for n in range(3)]
    assert "3 行" in browser.get(f"/admin/export/{job.id}").text


@pytest.mark.parametrize("data", sorted(export.DATA_SETS))
def test_every_data_set_is_written_with_all_its_columns(world, enter, data):
    from gateway.redeeming import Bill, Clerk

    code = world.code()
    clerk = Clerk("clerk", frozenset({"sweets"}), "rq")
    world.runtime.redeeming.redeem(code, clerk, "k" * 22, Bill(5000, None, "sweets-1"), world.clock())
    browser = enter("admin")
    columns = list(export.DATA_SETS[data].columns)
    job = made(world, browser, data=data, columns=columns, reason="对账")
    head, *rows = table(browser, job)
    assert len(head) == len(columns)
    assert rows
    assert job.result["rows"] == len(rows)


def test_R072_a_file_holds_its_askers_scope_and_is_reached_in_it(world, enter):
    world.pay("N-hotpot", "openid-a")
    world.pay("N-sweets", "openid-a", channel="sweets-pay")
    world.pay("N-noodles", "openid-a", channel="noodles-pay")
    wanted = {
        "manager-hotpot": {"N-hotpot"},
        "operator-riverside": {"N-hotpot", "N-sweets"},
        "admin": {"N-hotpot", "N-sweets", "N-noodles"},
    }
    files = {}
    for name, numbers in wanted.items():
        browser = enter(name)
        job = files[name] = made(world, browser, columns=["transaction_id"])
        assert {row[0] for row in table(browser, job)[1:]} == numbers
    for name, reached in {
        "manager-hotpot": {"manager-hotpot"},
        "manager-sweets": set(),
        "operator-hillside": set(),
        "operator-riverside": {"manager-hotpot", "operator-riverside"},
        "admin": set(wanted),
    }.items():
        browser = enter(name)
        listed = browser.get("/admin/export").html
        for owner, job in files.items():
            ok = owner in reached
            assert (browser.get(f"/admin/export/{job.id}").status == 200) == ok, (name, owner)
            assert (status_of_file(browser, job) == 200) == ok
            assert (job.id in listed) == ok


def test_columns_about_persons_are_off_and_need_a_reason(world, enter):
    world.pay("N1", "openid-a")
    browser = enter("manager-hotpot")
    page = browser.get("/admin/export?data=payments")
    assert '<input type="checkbox" name="columns" value="payer">' in page.html
    assert '<input type="checkbox" name="columns" value="amount_fen" checked>' in page.html
    refused = ask(browser, columns=["payer"])
    assert refused.status == 422
    assert 'id="e-reason"' in refused.html
    assert world.all("SELECT id FROM jobs") == []
    job = made(world, browser, columns=["payer"], reason="客人来投诉")
    assert table(browser, job)[1] == [world.person_of("N1")]
    row = world.one("SELECT who, after FROM audit WHERE action = 'export.begin'")
    assert json.loads(row["after"])["reason"] == "客人来投诉"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"columns": []}, "columns"),
        ({"columns": ["password_hash", "sealed"]}, "columns"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-11-22", "to": "2026-11-01"}, "to"),
    ],
)
def test_a_form_with_faults_begins_nothing(world, enter, more, field):
    answer = ask(enter("admin"), **more)
    assert answer.status == 422
    assert f'id="e-{field}"' in answer.html
    assert world.all("SELECT id FROM jobs") == []


@pytest.mark.parametrize("data", ["users", "tokens", "../payments", "payments;", ""])
def test_what_is_no_data_set_is_not_found(enter, data):
    browser = enter("admin")
    token = browser.get("/admin/export").form("/admin/export/start")["hidden"]
    assert browser.post("/admin/export/start", {**token, "data": data, "columns": PLAIN}).status == 404
    if data:
        assert browser.get(f"/admin/export?data={data}").status == 404


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", '=HYPERLINK("http://x")']
)
def test_no_cell_is_a_formula(text):
    data = export.DATA_SETS["payments"]
    assert export.cell(data, "out_trade_no", text) == f"'{text}"
    assert export.as_csv(["a"], [[text]]).splitlines()[1].strip('"').startswith("'")


def test_sums_stay_numbers():
    data = export.DATA_SETS["payments"]
    assert export.cell(data, "amount_fen", -300) == "-3.00"
    assert export.cell(data, "amount_fen", None) == ""
    assert export.cell(data, "relay_status", 200) == "200"


def test_a_formula_told_by_a_platform_arrives_harmless(world, enter):
    world.pay("=cmd|calc", "openid-a")
    browser = enter("admin")
    assert table(browser, made(world, browser, columns=["transaction_id"]))[1] == ["'=cmd|calc"]


def test_the_range_is_that_of_the_form(world, enter):
    world.pay("N-before", "openid-a")
    world.clock.move(days=1)
    world.pay("N-in", "openid-a")
    world.clock.move(days=1)
    world.pay("N-after", "openid-a")
    browser = enter("admin")
    job = made(world, browser, columns=["transaction_id"], **{"from": "2026-11-23", "to": "2026-11-23"})
    assert table(browser, job)[1:] == [["N-in"]]


def test_the_file_is_private_and_every_download_is_written_down(world, enter):
    world.pay("N1", "openid-a")
    browser = enter("manager-hotpot")
    job = made(world, browser)
    path = export.file_of(world.runtime, job.id)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == [path.name], "no draft is left"
    assert world.all("SELECT * FROM audit WHERE action = 'export.download'") == []
    table(browser, job)
    table(enter("admin"), job)
    rows = world.all("SELECT who, object, request_id FROM audit WHERE action = 'export.download' ORDER BY seq")
    assert [(row["who"], row["object"]) for row in rows] == [("manager-hotpot", job.id), ("admin", job.id)]
    assert all(row["request_id"] for row in rows)


def test_after_a_day_the_file_is_gone(world, enter):
    world.pay("N1", "openid-a")
    enter("admin")
    job = made(world, enter("admin"))
    world.clock.move(hours=23, minutes=59)
    assert export.drop_old(world.runtime, world.clock()) == 0
    browser = enter("admin")
    assert status_of_file(browser, job) == 200
    world.clock.move(minutes=1, seconds=1)
    browser = enter("admin")
    assert status_of_file(browser, job) == 303
    assert "文件已不在" in browser.get(f"/admin/export/{job.id}").text
    assert export.drop_old(world.runtime, world.clock()) == 1
    assert not export.file_of(world.runtime, job.id).exists()


def test_a_run_that_was_cut_off_is_begun_anew_and_leaves_one_whole_file(world, enter, monkeypatch):
    monkeypatch.setattr(export, "_AT_ONCE", 2)
    for n in range(5):
        world.pay(f"N{n}", f"openid-{n}")
    browser = enter("admin")
    ask(browser, columns=["transaction_id"])

    def dying(runtime, params, progress):
        def watched(done, total):
            if done >= 4:
                raise KeyboardInterrupt
            progress(done, total)

        watched.job = progress.job
        return export.write_file(runtime, params, watched)

    with pytest.raises(KeyboardInterrupt):
        Runner(world.runtime, {export.NAME: dying}).do_one()
    assert not any(path.suffix == ".csv" for path in export.folder_of(world.runtime).iterdir())
    world.clock.move(seconds=61)
    job = run(world)
    browser = enter("admin")
    assert table(browser, job)[1:] == [[f"N{n}"] for n in range(5)]


@pytest.mark.parametrize("job", ["../../secret.key", "job_../x", "x", "", "job_"])
def test_no_file_but_an_exports_is_named(world, job):
    with pytest.raises(ValueError, match="not a job"):
        export.file_of(world.runtime, job)


def test_another_kind_of_job_is_no_export(world, enter):
    id_ = world.store.write(lambda tx: jobs.start(tx, world.runtime.ids, START, "chain", {}, "admin"))
    assert enter("admin").get(f"/admin/export/{id_}").status == 404
