"""R113, R115, R072: the console's room of payouts and the command."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from gateway.cli.common import Desk
from gateway.cli.payouts import payouts
from gateway.contract.account import fund, merchant_rewards
from gateway.contract.campaign import CampaignView
from gateway.contract.money import Fen
from gateway.contract.payout import Payee
from gateway.doctor import examine
from gateway.ledger import book
from tests.support.browsing import Browser, pages_of
from tests.support.world import PASSWORD, World

BANK = Payee(bank_account="6222021234564242", name="=陈")


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def app(world):
    for name, scope in (("operator", {}), ("riverside", {"circle": "riverside"}), ("hillside", {"circle": "hillside"})):
        world.user(name, "operator", **scope)
    world.user("manager", "manager", merchant="hotpot")
    return pages_of(world)


def owe(world, fen=500, key="k1", circle="riverside", **more):
    campaign = CampaignView("spring", "two_sided", circle, frozenset(), "live", 1, None, None, Fen(0), Fen(0), None)
    ids, now, account = world.runtime.ids, world.clock(), merchant_rewards(f"m-{key}")

    def write(tx):
        book.transfer(tx, ids.new("t", now), f"e-{key}", fund("spring"), account, fen, "reward", now)
        return world.runtime.paying_out.pay_out(tx, campaign, account, BANK, fen, key, "about", now, **more)

    world.runtime.directory()
    return world.store.write(write).id


def state_of(world, payout):
    return world.one("SELECT state FROM payouts WHERE id = :id", id=payout)["state"]


def enter(app, name, language="zh-CN"):
    return Browser(app, language).sign_in(name)


def test_the_list_and_one_of_it(world, app):
    payout = owe(world)
    page = enter(app, "operator").get("/admin/payouts")
    assert page.status == 200
    for word in ("出款", "¥5.00", "•••• 4242", "待发出", "等待银行的付款：1 笔"):
        assert word in page.text
    one = enter(app, "operator", "en").get(f"/admin/payouts/{payout}")
    assert one.status == 200
    assert payout in one.text
    assert "62220" not in page.text + one.text


def test_an_empty_list_says_what_would_be_there(app):
    browser = enter(app, "operator")
    assert "现在还没有" in browser.get("/admin/payouts").text
    assert "没有符合条件的记录" in browser.get("/admin/payouts?state=failed").text
    assert browser.get("/admin/payouts?state='--&before=po_x").status == 200


def test_R072_only_operators_of_the_circle_see_it(world, app):
    payout = owe(world)
    assert enter(app, "manager").get("/admin/payouts").status == 403
    stranger = enter(app, "hillside")
    assert payout not in stranger.get("/admin/payouts").response.get_data(as_text=True)
    assert stranger.get(f"/admin/payouts/{payout}").status == 404
    assert enter(app, "riverside").get(f"/admin/payouts/{payout}").status == 200
    assert stranger.get("/admin/payouts/po_nothing").status == 404
    assert Browser(app).get("/admin/payouts").status in {302, 303}


def test_R115_the_second_pair_of_eyes(world, app):
    payout = owe(world, begun_by="operator", second_approval=True)
    first = enter(app, "operator")
    page = first.get(f"/admin/payouts/{payout}")
    assert "要由发起人以外的人复核" in page.text
    other = enter(app, "riverside")
    page = other.get(f"/admin/payouts/{payout}")
    path = f"/admin/payouts/{payout}/approve"
    # He who began it has no button; with the token of another form he is refused all the same.
    token = first.get("/admin/payouts").form("/admin/payouts/bank-file")["hidden"]
    assert first.post(path, token).status == 409
    assert other.send(page, path, path).status == 303
    assert world.one("SELECT approved_by FROM payouts")["approved_by"] == "riverside"
    assert other.post(path, token).status in {400, 409}
    stranger = enter(app, "hillside")
    token = stranger.get("/admin/payouts").form("/admin/payouts/bank-file")["hidden"]
    assert stranger.post(path, token).status == 404


def test_R205_a_large_sum_wants_the_password(world, app):
    limit = world.runtime.config.security.reauth_above_fen
    payout = owe(world, limit + 1, begun_by="小周", second_approval=True)
    world.clock.move(minutes=1)
    browser = enter(app, "operator")
    world.clock.move(minutes=6)
    path = f"/admin/payouts/{payout}/approve"
    page = browser.get(f"/admin/payouts/{payout}")
    assert "你的密码" in page.text
    for password in ("", "wrong", "x" * 5000):
        answer = browser.send(page, path, path, password=password)
        assert answer.status == 401, password[:9]
        assert world.one("SELECT approved_by FROM payouts")["approved_by"] == ""
    assert browser.send(page, path, path, password=PASSWORD).status == 303
    assert world.one("SELECT approved_by FROM payouts")["approved_by"] == "operator"
    small = owe(world, limit, key="k2", begun_by="小周", second_approval=True)
    world.clock.move(minutes=6)
    page = browser.get(f"/admin/payouts/{small}")
    assert "你的密码" not in page.text
    assert browser.send(page, f"/admin/payouts/{small}/approve", f"/admin/payouts/{small}/approve").status == 303


def upload(browser, text):
    hidden = browser.get("/admin/payouts").form("/admin/payouts/bank-result")["hidden"]
    file = (io.BytesIO(text if isinstance(text, bytes) else text.encode()), "results.csv")
    return browser.client.post(
        "/admin/payouts/bank-result",
        data={**hidden, "file": file},
        content_type="multipart/form-data",
        base_url="https://pay.example.com",
    )


def test_R113_the_banks_file_and_its_results(world, app):
    payout = owe(world)
    browser = enter(app, "riverside")
    page = browser.get("/admin/payouts")
    assert browser.send(page, "/admin/payouts/bank-file", "/admin/payouts/bank-file").status == 303
    assert state_of(world, payout) == "sent"
    batch = world.one("SELECT batch FROM payouts")["batch"]
    body, headers = browser.file(f"/admin/payouts/bank-file/{batch}")
    assert "6222021234564242" in body.decode()
    assert "'=陈" in body.decode()
    assert headers["Content-Disposition"] == f'attachment; filename="{batch}.csv"'
    assert headers["Cache-Control"] == "no-store"
    assert enter(app, "hillside").get(f"/admin/payouts/bank-file/{batch}").status == 404
    for name in ("bf_nothing", "..%2f", "bf_" + "0" * 32):
        assert browser.get(f"/admin/payouts/bank-file/{name}").status == 404
    wrong = upload(browser, f"付款编号,结果\n{payout},也许\n")
    assert wrong.status_code == 422
    assert "line 2" in wrong.get_data(as_text=True)
    assert upload(browser, b"\xff\x00").status_code == 422
    assert state_of(world, payout) == "sent"
    assert upload(browser, f"付款编号,结果\n{payout},成功\n").status_code in {302, 303}
    assert state_of(world, payout) == "settled"
    assert "已记下 1 笔银行结果" in browser.get("/admin/payouts").text


def test_a_long_list_has_pages(world, app):
    made = [owe(world, key=f"k{number}") for number in range(52)]
    browser = enter(app, "operator")
    first = browser.get("/admin/payouts")
    [following] = [link for link in first.links if "before=" in link]
    second = browser.get(following)
    html = first.response.get_data(as_text=True), second.response.get_data(as_text=True)
    assert [payout for payout in made if payout not in html[0]] == made[:2]
    assert all(payout in html[1] for payout in made[:2])


# -- the command --------------------------------------------------------------------------------------------------------


@pytest.fixture
def command(world):
    desk = Desk(world.home.root)
    desk.__dict__["runtime"] = world.runtime

    def run(*words):
        return CliRunner().invoke(payouts, list(map(str, words)), obj=desk)

    return SimpleNamespace(run=run, who=desk.who)


def test_the_command_lists(world, command):
    payout = owe(world)
    done = command.run("list", "--json")
    assert [row["id"] for row in json.loads(done.output)] == [payout]
    assert "6222" not in done.output
    assert json.loads(command.run("list", "--state", "failed", "--json").output) == []
    assert command.run("list", "--state", "odd").exit_code != 0


def test_R115_the_command_approves(world, command):
    payout = owe(world, begun_by="小周", second_approval=True)
    assert command.run("approve", payout).exit_code == 0
    assert world.one("SELECT approved_by FROM payouts")["approved_by"] == command.who
    again = command.run("approve", payout)
    assert (again.exit_code, "not_waiting" in again.output) == (1, True)
    assert command.run("approve", "po_nothing").exit_code == 1
    own = owe(world, key="k2", begun_by=command.who, second_approval=True)
    assert command.run("approve", own).exit_code == 1


def test_R113_the_command_goes_to_the_bank_and_back(world, command, tmp_path):
    payout = owe(world)
    path = tmp_path / "payouts.csv"
    done = command.run("bank-file", path)
    assert done.exit_code == 0, done.output
    assert (path.stat().st_mode & 0o777) == 0o600
    assert payout in path.read_text("utf-8")
    # Where nothing waits, or the file is there already, nothing is written over.
    assert command.run("bank-file", path).exit_code == 1
    other = tmp_path / "other.csv"
    assert command.run("bank-file", other).exit_code == 1
    assert not other.exists()
    assert command.run("bank-file", "--batch", done.output.strip(), other).exit_code == 0
    assert other.read_text("utf-8") == path.read_text("utf-8")
    results = tmp_path / "results.csv"
    results.write_text(f"付款编号,结果\n{payout},也许\n", "utf-8")
    assert command.run("bank-result", results).exit_code == 1
    results.write_text(f"付款编号,结果,原因\n{payout},失败,户名不符\n", "utf-8")
    assert "1 settled or failed" in command.run("bank-result", results).output
    assert state_of(world, payout) == "failed"


def test_a_file_that_cannot_be_written_sends_nothing(world, command, tmp_path):
    payout = owe(world)
    assert command.run("bank-file", tmp_path / "nowhere" / "payouts.csv").exit_code == 1
    assert state_of(world, payout) == "held"


def test_R240_the_check_looks_at_payouts(world):
    owe(world)
    assert next(one for one in examine(world.runtime) if one.name == "ledger").ok
    world.store.write(lambda tx: tx.run("UPDATE payouts SET amount_fen = 1"))
    found = next(one for one in examine(world.runtime) if one.name == "ledger")
    assert (found.ok, "payout" in found.detail) == (False, True)
