"""The console's page of a trial, its job, and the command: who may, what is refused, what is told."""

import json

import pytest
from click.testing import CliRunner

from gateway.chores import kinds
from gateway.chores.runner import Runner
from gateway.cli import main
from gateway.trying_out import KIND
from tests.support.browsing import Browser, pages_of

DAY = "2026-11-22"
PATH = "/admin/campaigns/both/simulate"
DRAFT = "user_fen = 300\nmerchant_fen = 100\nquota_codes = false\n"


@pytest.fixture
def app(world):
    return pages_of(world)


def browser(world, app, role, language="zh-CN", **scope):
    name = f"{role}-{'-'.join(scope.values()) or 'all'}-{language.lower()}"
    world.user(name, role, **scope)
    return Browser(app, language).sign_in(name)


def rehearse(world, phone, **values):
    page = phone.get(PATH)
    asked = phone.send(page, PATH, PATH, **{"from": DAY, "to": DAY, "first": DRAFT, "second": "", **values})
    assert asked.status == 303, asked.text
    Runner(world.runtime, kinds(None)).do_one()
    job = phone.follow(asked)
    (result,) = [link for link in job.links if link.startswith(PATH)]
    return phone.get(result)


def test_a_trial_from_the_form_to_its_result(world, app):
    shown = rehearse(world, browser(world, app, "operator", circle="riverside"))
    assert shown.status == 200
    assert len([title for title in shown.titles if title]) >= 1
    assert "演练，不发任何东西" in shown.text
    assert "双方都得到" in shown.text
    assert "老王火锅" in shown.text
    assert "openid" not in shown.html
    person = world.person_of("T1")
    assert person not in shown.html


def test_two_drafts_are_compared_in_english_too(world, app):
    phone = browser(world, app, "operator", "en", circle="riverside")
    shown = rehearse(world, phone, compare="1", second="budget_fen = 400\n" + DRAFT)
    assert "Draft A" in shown.text
    assert "Draft B" in shown.text
    assert "Rehearsal. Nothing is sent." in shown.text or "Nothing is sent" in shown.text
    assert "¥4.00" in shown.text


def test_a_day_without_payments_says_so(world, app):
    shown = rehearse(world, browser(world, app, "operator"), **{"from": "2026-11-02", "to": "2026-11-03"})
    assert "那几天没有付款" in shown.text


def test_a_kind_that_payments_do_not_drive_says_so(world, app, monkeypatch):
    kinds = pytest.importorskip("campaigns.two_sided.kind")
    monkeypatch.setattr(kinds.TwoSidedKind, "take", lambda *_args: None)
    shown = rehearse(world, browser(world, app, "operator"))
    assert "付款不推动这个活动" in shown.text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"first": "user_fen = -1\nmerchant_fen = 1\n"}, "user_fen"),
        ({"first": "user_fen = ["}, "not TOML"),
        ({"first": "state = 'draft'\n" + DRAFT}, "state"),
        ({"first": "<script>alert(1)</script>"}, "not TOML"),
        ({"first": ""}, "user"),
        ({"from": ""}, "请选一天"),
        ({"from": "2999-01-01", "to": "2999-01-01"}, "这一天还没有到"),
        ({"from": "2026-01-01"}, "最多 31 天"),
        ({"to": "2026-11-21"}, "最多 31 天"),
        ({"to": "nonsense"}, "最多 31 天"),
        ({"compare": "1", "second": "stranger = 1"}, "stranger"),
    ],
)
def test_what_does_not_hold_is_told_beside_what_was_typed(world, app, values, words):
    phone = browser(world, app, "operator")
    page = phone.get(PATH)
    answer = phone.send(page, PATH, PATH, **{"from": DAY, "to": DAY, "first": DRAFT, "second": "", **values})
    assert answer.status == 422
    assert words in answer.text
    assert "<script>alert" not in answer.html
    assert not world.all("SELECT id FROM jobs")


def test_R072_only_operators_of_the_circle_may(world, app):
    assert browser(world, app, "operator", circle="hillside").get(PATH).status == 404
    assert browser(world, app, "manager", merchant="hotpot").get(PATH).status == 403
    assert Browser(app).get(PATH).status in {302, 303}
    phone = browser(world, app, "operator", circle="riverside")
    assert phone.get("/admin/campaigns/gone/simulate").status == 404
    assert phone.get("/admin/campaigns/sale/simulate").status == 404
    assert phone.get(f"{PATH}?job=job_unknown").status == 404
    rehearse(world, phone)
    (job,) = world.all("SELECT id FROM jobs WHERE kind = :kind", kind=KIND)
    other = browser(world, app, "operator", "en", circle="hillside")
    assert other.get(f"/admin/campaigns/sale/simulate?job={job['id']}").status == 404
    assert other.get(f"/admin/jobs/{job['id']}").status == 404


def test_a_form_without_its_token_begins_nothing(world, app):
    phone = browser(world, app, "operator")
    assert phone.post(PATH, {"from": DAY, "to": DAY, "first": DRAFT}).status == 400
    assert not world.all("SELECT id FROM jobs")


def test_R078_the_campaigns_page_marks_phrases_and_offers_neutral_words(world, app):
    world.store.write(
        lambda tx: tx.run(
            'UPDATE catalog SET spec = replace(spec, \'"settings":{\', \'"settings":{"user_sources":["分享领红包"],\') '
            "WHERE kind = 'campaign' AND slug = 'both'"
        )
    )
    shown = browser(world, app, "operator").get("/admin/campaigns/both")
    assert shown.status == 200
    assert "分享领" in shown.text
    assert "可以说「到店付款后可领」" in shown.text
    assert PATH in shown.links


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def command(world, monkeypatch):
    """The command over this world's own parts."""
    from gateway.cli.common import Desk

    monkeypatch.setattr(Desk, "runtime", world.runtime, raising=False)
    monkeypatch.setattr(Desk, "close", lambda _self: None)

    def run(*words):
        return CliRunner().invoke(main, ["--home", str(world.home.root), "simulate", "campaign", *words])

    return run


def test_the_command_tells_what_a_draft_would_give(command, tmp_path):
    draft = tmp_path / "draft.toml"
    draft.write_text(DRAFT, "utf-8")
    done = command("--campaign", "both", "--from", DAY, "--draft", str(draft), "--json")
    assert done.exit_code == 0, done.output
    (one,) = json.loads(done.stdout)["drafts"]
    assert one["verdicts"]["done:fired"] == 5
    plain = command("--campaign", "both", "--from", DAY, "--to", DAY)
    assert plain.exit_code == 0, plain.output
    assert "done:fired" in plain.stdout
    assert "the budget ended at" in plain.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("--campaign", "gone", "--from", DAY),
        ("--campaign", "both", "--from", "yesterday"),
        ("--campaign", "both", "--from", DAY, "--to", "2026-01-01"),
        ("--campaign", "both", "--from", DAY, "--draft", "/does/not/exist"),
        ("--campaign", "both"),
    ],
)
def test_the_command_refuses_plainly(command, words):
    done = command(*words)
    assert done.exit_code != 0
    assert "Traceback" not in done.output


def test_the_command_refuses_a_wrong_draft_and_three_of_them(command, tmp_path):
    draft = tmp_path / "draft.toml"
    draft.write_text("user_fen = -1", "utf-8")
    done = command("--campaign", "both", "--from", DAY, "--draft", str(draft))
    assert done.exit_code != 0
    assert "user_fen" in done.output
    assert command("--campaign", "both", "--from", DAY, *("--draft", str(draft)) * 3).exit_code != 0
