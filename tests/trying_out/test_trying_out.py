"""A campaign tried out on days that were: as it really came out, by other numbers, with nothing of the store changed."""

import dataclasses

import pytest

from gateway import jobs
from gateway.catalog.registry import Registry
from gateway.chores import kinds
from gateway.chores.runner import Runner
from gateway.contract.errors import BadConfig, Refused
from gateway.trying_out import KIND, days_of, draft_of, table_text, try_out
from gateway.trying_out.job import stored_now, surroundings_of

two_sided = pytest.importorskip("campaigns.two_sided.kind").kind

DAY = "2026-11-22"
FREE = "user_fen = 200\nmerchant_fen = 100\nquota_codes = false\n"


def silent(_done, _total):
    """Hears how far it is."""


def dump(world):
    names = [row["name"] for row in world.all("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: [tuple(row) for row in world.all(f'SELECT * FROM "{name}"')] for name in names}


def tried(world, *drafts, campaign="both", first=DAY, last=DAY):
    params = {"campaign": campaign, "from": first, "to": last, "drafts": list(drafts) or [None]}
    return try_out(world.runtime, params, silent)


def real(world):
    """What the campaign really made of each payment."""
    return {
        f"{row['state']}:{row['reason']}": row["n"]
        for row in world.all(
            "SELECT state, reason, count(*) AS n FROM two_sided_firings WHERE state <> 'reversed' GROUP BY state, reason"
        )
    }


def test_the_live_campaign_on_a_day_that_was_comes_out_as_it_really_did(world):
    result = tried(world)
    (draft,) = result["drafts"]
    assert result["real"] == {**draft["verdicts"], **draft["reversals"]}
    assert draft["verdicts"]["done:fired"] == 3
    assert draft["verdicts"]["refused:budget"] == 2
    assert draft["payments"] == 9
    assert draft["refunds"] == 1
    books = world.all("SELECT sum(credits_posted - debits_posted) AS n FROM accounts WHERE id LIKE 'person:%'")
    assert draft["given"]["person:cash"] == books[0]["n"]
    held = world.one("SELECT reserved_fen + consumed_fen AS n FROM budgets WHERE name = 'campaign:both'")
    assert draft["cost_fen"] == held["n"]


def test_when_the_budget_ended_and_samples_with_their_reason(world):
    (draft,) = tried(world)["drafts"]
    first = world.one("SELECT received_at FROM payments WHERE transaction_id = 'T7'")
    assert draft["stopped_at"] == first["received_at"]
    reasons = [(one["outcome"], one["reason"]) for one in draft["samples"]]
    assert len(set(reasons)) == len(reasons) <= 5
    assert ("done", "fired") in reasons
    assert ("refused", "budget") in reasons
    assert all(one["amount_fen"] == 10_000 and one["merchant"] == "hotpot" for one in draft["samples"])


def test_other_numbers_change_what_comes_out_and_two_drafts_stand_side_by_side(world):
    generous, frugal = tried(world, FREE, "budget_fen = 300\n" + FREE)["drafts"]
    assert generous["verdicts"]["done:fired"] == 5
    assert "refused:budget" not in generous["verdicts"]
    assert generous["budget_fen"] == 0
    assert generous["stopped_at"] == ""
    # Four stay of five: one payment came back.
    assert generous["given"] == {"person:cash": 800, "merchant:cash": 400}
    assert frugal["verdicts"]["done:fired"] == 1
    assert frugal["cost_fen"] == 300


def test_nothing_of_the_store_changes_and_nothing_is_left_behind(world, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    before, files = dump(world), sorted(path.name for path in world.home.root.iterdir())
    tried(world, None, FREE)
    assert dump(world) == before
    assert sorted(path.name for path in world.home.root.iterdir()) == files
    assert not list(tmp_path.glob("drainage-trial-*"))


def test_a_draft_that_fails_in_its_module_is_told_and_leaves_nothing_behind(world, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(type(two_sided), "take", lambda *_args: 1 / 0)
    (draft,) = tried(world)["drafts"]
    assert draft["verdicts"] == {"refused:campaign_failed": 9}
    assert draft["given"] == {}
    assert not world.all("SELECT id FROM incidents WHERE kind = 'campaign_failed'")
    assert not list(tmp_path.glob("drainage-trial-*"))


def test_other_days_and_other_circles_are_left_out(world):
    world.clock.move(days=1)
    world.pay("N1", "a")
    world.pay("N2", "z", channel="noodles-pay")
    assert tried(world, first="2026-11-23", last="2026-11-23")["drafts"][0]["payments"] == 1
    assert tried(world, last="2026-11-23")["drafts"][0]["payments"] == 10
    assert tried(world, first="2026-11-20", last="2026-11-21")["drafts"][0]["payments"] == 0


def test_who_was_tagged_then_counts_and_not_who_is_tagged_now(world):
    # Everybody is tagged by now; on the day three first payments were not.
    (draft,) = tried(world, FREE)["drafts"]
    assert (
        draft["payments"] - draft["heard"] + sum(n for key, n in draft["verdicts"].items() if "not_in_group" in key)
        >= 3
    )
    assert draft["verdicts"]["done:fired"] == 5


def test_a_paused_campaign_and_one_whose_time_is_over_are_tried_out_as_if_open(world):
    world.store.write(lambda tx: tx.run("UPDATE campaign_states SET state = 'ended'"))
    assert tried(world)["drafts"][0]["verdicts"]["done:fired"] == 3


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("user_fen = -1\nmerchant_fen = 1\n", "campaign.both.user_fen"),
        ("stranger = 1\n" + FREE, "campaign.both.stranger"),
        ("user_fen = [", ""),
        ("state = 'draft'\n" + FREE, "campaign.both.state"),
        ("kind = 'referral'\n" + FREE, "campaign.both.kind"),
        ("circle = 'hillside'\n" + FREE, "campaign.both.circle"),
        ("merchants = ['nobody']\n" + FREE, "campaign.both.merchants"),
        ("budget_fen = 1.5\n" + FREE, "campaign.both.budget_fen"),
        ("[" * 3000, ""),
        ("#" * 30_000, ""),
    ],
)
def test_a_draft_is_held_against_the_rules_of_an_apply_file(world, text, path):
    catalog = stored_now(world.runtime).catalog
    with pytest.raises(BadConfig) as refused:
        draft_of(catalog, surroundings_of(world.runtime), catalog.campaigns["both"], text)
    assert path in [fault for fault, _ in refused.value.faults]


@pytest.mark.parametrize(
    ("first", "last", "key"),
    [
        ("", DAY, "from"),
        (DAY, "x", "to"),
        (DAY, "2026-11-21", "to"),
        ("2026-01-01", DAY, "to"),
        ("2026-02-30", DAY, "from"),
    ],
)
def test_days_that_are_none_are_refused(world, first, last, key):
    with pytest.raises(BadConfig) as refused:
        days_of(first, last, world.runtime.directory().zone(None))
    assert [path for path, _ in refused.value.faults] == [key]


def test_what_staff_have_prepared_is_there(world):
    coded = FREE.replace("false", "true")
    assert tried(world, coded)["drafts"][0]["verdicts"] == {"refused:no_quota_code": 5, "refused:not_in_group": 4}
    operator, manager = world.client("operator"), world.client("manager")
    at = "/api/v1/campaigns/both"
    made = operator.post(f"{at}/quota-codes", json={"count": 1, "uses": 1}, headers={"Idempotency-Key": "k1"})
    code = made.json["codes"][0]
    code = code["code"] if isinstance(code, dict) else code
    joined = manager.post(
        f"{at}/merchants", json={"merchant": "hotpot", "code": code}, headers={"Idempotency-Key": "k2"}
    )
    assert joined.status_code in {200, 201}, joined.json
    assert tried(world, coded)["drafts"][0]["verdicts"]["done:fired"] == 5


def test_a_campaign_that_is_gone_is_refused(world):
    with pytest.raises(Refused) as refused:
        tried(world, campaign="gone")
    assert refused.value.code == "not_found"


def test_the_table_of_a_stored_campaign_is_a_draft_that_says_the_same(world):
    catalog = stored_now(world.runtime).catalog
    campaign = catalog.campaigns["both"]
    draft = draft_of(catalog, surroundings_of(world.runtime), campaign, table_text(campaign))
    assert dataclasses.replace(draft.campaign, state=campaign.state) == campaign


def test_it_is_a_job_that_a_worker_does_and_that_can_be_stopped(world):
    params = {"campaign": "both", "from": DAY, "to": DAY, "drafts": [None]}

    def start():
        return world.store.write(
            lambda tx: jobs.start(tx, world.runtime.ids, world.clock(), KIND, params, "x", circle="riverside")
        )

    id_ = start()
    Runner(world.runtime, kinds(None)).do_one()
    job = world.store.read(lambda tx: jobs.look(tx, id_))
    assert (job.state, job.done, job.total) == ("done", 9, 9)
    assert job.result["drafts"][0]["verdicts"]["done:fired"] == 3
    id_ = start()
    world.store.write(lambda tx: tx.run("UPDATE jobs SET stopping = 1 WHERE id = :id", {"id": id_}))
    Runner(world.runtime, kinds(None)).do_one()
    assert world.store.read(lambda tx: jobs.look(tx, id_)).state == "cancelled"


def test_the_registry_of_the_tests_has_the_kind(world):
    assert isinstance(world.runtime.registry, Registry)
    assert "two_sided" in world.runtime.registry.campaigns
