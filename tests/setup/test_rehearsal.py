"""A day rehearsed: with the live numbers it comes out as it really did, with others as the rules say, and writes nothing."""

import pytest

from gateway import jobs
from gateway.chores import kinds
from gateway.chores.runner import Runner
from gateway.contract.errors import BadConfig
from gateway.setup import rehearsal
from tests.support.world import CATALOG, World

LIVE = {"own": 1, "elsewhere": 1, "per_person_per_day": 2, "budget_fen": 3000, "min_amount_fen": 100}


@pytest.fixture
def day(tmp_path):
    """A day with newcomers, regulars, small payments, a limit, held coupons and a budget that ends."""
    catalog = CATALOG + "per_person_per_day = 2\nbudget_fen = 3000\n"
    world = World(tmp_path, catalog=catalog)
    number = 0

    def pay(openid, **more):
        nonlocal number
        number += 1
        world.clock.move(minutes=3)
        world.pay(f"T{number}", openid, **more)

    for openid in ("a", "b", "c"):
        pay(openid)
    pay("a", amount_fen=50)
    for openid in ("a", "a", "a", "b"):
        pay(openid)
    link = world.links()[-1]
    world.clock.move(minutes=1)
    world.runtime.claiming.claim(world.runtime.directory(), world.runtime.link_keys.token(link["id"]), world.clock())
    for openid in ("d", "c", "b", "c", "d", "a"):
        pay(openid)
    world.pay("T-none")
    yield world
    world.close()


def begin(world, *drafts, date="2026-11-22", circle="riverside"):
    params = {"circle": circle, "day": date, "drafts": list(drafts)}
    id_ = world.store.write(
        lambda tx: jobs.start(tx, world.runtime.ids, world.clock(), rehearsal.KIND, params, "x", circle=circle)
    )
    Runner(world.runtime, kinds(None)).do_one()
    job = world.store.read(lambda tx: jobs.look(tx, id_))
    assert job.state == "done", job.error
    return job.result


def counts(outcome):
    return {name: outcome[name] for name in ("payments", "tagged", "links", "items", "cost_fen", "reasons")}


def test_R041_the_live_numbers_on_a_day_that_was_come_out_as_it_was(day):
    result = begin(day, LIVE)
    assert counts(result["drafts"][0]) == counts(result["real"])
    # The day has the cases that make this worth saying.
    assert {"issued", "first_payment", "below_minimum", "limit_day", "budget", "no_inventory", "untaggable"} <= set(
        result["real"]["reasons"]
    )
    assert result["drafts"][0]["stopped_at"] == result["real"]["stopped_at"] != ""


def test_the_same_on_the_next_day_whose_limits_and_budget_began_the_day_before(day):
    day.clock.move(days=1)
    for number, openid in enumerate(("a", "b", "b", "c", "e", "e")):
        day.clock.move(minutes=2)
        day.pay(f"N{number}", openid)
    result = begin(day, LIVE, date="2026-11-23")
    assert result["real"]["payments"] == 6
    assert counts(result["drafts"][0]) == counts(result["real"])


def test_other_numbers_change_what_comes_out_and_two_drafts_stand_side_by_side(day):
    none = {**LIVE, "own": 0, "elsewhere": 0}
    free = {**LIVE, "budget_fen": 0, "per_person_per_day": 0}
    result = begin(day, none, free)
    assert result["drafts"][0]["links"] == 0
    assert set(result["drafts"][0]["reasons"]) >= {"no_inventory"}
    assert result["drafts"][1]["links"] > result["real"]["links"]
    assert not {"budget", "limit_day"} & set(result["drafts"][1]["reasons"])


def test_a_higher_minimum_tags_fewer(day):
    result = begin(day, {**LIVE, "min_amount_fen": 10_001})
    assert result["drafts"][0]["tagged"] == 0
    assert result["drafts"][0]["reasons"] == {"below_minimum": 14, "untaggable": 1}


def test_nothing_but_the_result_is_written(day):
    tables = ("links", "tags", "budgets", "budget_holds", "counters", "payments", "coupons", "audit", "outbox", "stock")
    before = {
        table: [tuple(row[key] for key in row.keys()) for row in day.all(f"SELECT * FROM {table}")] for table in tables
    }
    begin(day, LIVE, {**LIVE, "own": 5})
    after = {
        table: [tuple(row[key] for key in row.keys()) for row in day.all(f"SELECT * FROM {table}")] for table in tables
    }
    assert after == before


def test_samples_say_why_and_hold_no_openid(day):
    result = begin(day, LIVE)
    samples = result["drafts"][0]["samples"]
    assert 1 <= len(samples) <= 5
    assert len({one["reason"] for one in samples}) == len(samples)
    issued = next(one for one in samples if one["reason"] == "issued")
    assert issued["items"]
    assert issued["considered"] == sum(issued["dropped"].values()) + len(issued["items"])


def test_a_day_without_payments_and_another_circles_payments_are_not_counted(day):
    assert begin(day, LIVE, date="2026-11-01")["real"]["payments"] == 0
    assert begin(day, LIVE, circle="hillside")["real"]["payments"] == 0


@pytest.mark.parametrize(
    "table", [{"own": -1}, {"own": 21}, {"elsewhere": "2"}, {"budget_fen": -5}, {"min_amount_fen": True}, {"cake": 1}]
)
def test_numbers_that_an_apply_file_refuses_are_no_draft(table):
    with pytest.raises(BadConfig):
        rehearsal.draft_of("riverside", table)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "2026-13-01", "22-11-2026"])
def test_what_is_no_day_is_refused(text):
    from gateway.contract.clock import BEIJING

    with pytest.raises(BadConfig):
        rehearsal.day_of(text, BEIJING)
