"""The host of campaigns: who hears of what, what a failing module costs, states and funding (R075, R148, R245)."""

import pytest

from gateway.contract.errors import BadConfig
from gateway.ledger import budget
from gateway.worker import Worker
from tests.support.tally import table
from tests.support.world import CATALOG


def heard(world, what=None):
    rows = world.store.read(lambda tx: tx.all("SELECT what, about FROM tally_heard ORDER BY what, about"))
    return [row["about"] if what else row["what"] for row in rows if what in {None, row["what"]}]


def decisions(world, transaction):
    found = world.client("manager").get(f"/api/v1/payments/{transaction}").json["decisions"]
    return {one["rule"]: (one["outcome"], one["reason"]) for one in found if one["rule"].startswith("campaign:")}


def budgets(world):
    rows = world.store.read(lambda tx: tx.all("SELECT * FROM budgets WHERE name LIKE 'campaign:%' ORDER BY name"))
    return {row["name"]: (row["total_fen"], row["reserved_fen"], row["consumed_fen"]) for row in rows}


def move(world, to, *, role="operator", slug="tally", key="m"):
    return world.client(role).post(
        f"/api/v1/campaigns/{slug}/state", json={"to": to}, headers={"Idempotency-Key": f"{key}-{to}"}
    )


def test_R245_a_live_campaign_hears_of_a_payment_once_however_often_it_is_told(worlds):
    world = worlds(table())
    for _ in range(3):
        world.pay("T1", "openid-a")
    assert heard(world) == ["PaymentReceived"]
    assert decisions(world, "T1") == {"campaign:tally": ("done", "untagged")}
    world.pay("T2", "openid-a")
    assert decisions(world, "T2") == {"campaign:tally": ("done", "tagged")}


def test_R245_a_refund_reaches_it_in_whatever_order_it_comes(worlds):
    world = worlds(table())
    world.refund("T1", 10_000)
    world.pay("T1", "openid-a")
    assert heard(world) == ["PaymentReceived", "RefundReceived"]
    world.pay("T2", "openid-a")
    world.refund("T2", 10_000)
    assert decisions(world, "T2")["campaign:tally"] == ("done", "taken_back")


@pytest.mark.parametrize("state", ["draft", "scheduled"])
def test_R075_what_is_not_live_hears_of_no_payment(worlds, state):
    world = worlds(table(state=f'"{state}"'))
    world.pay("T1", "openid-a")
    assert heard(world) == []


def test_R075_one_that_is_scheduled_begins_by_the_clock_and_ends_by_it(worlds):
    world = worlds(table(state='"scheduled"', starts_at="2026-11-22T05:00:00Z", ends_at="2026-11-22T06:00:00Z"))
    world.pay("T1", "openid-a")
    world.clock.now = world.clock.now.replace(hour=5)
    world.pay("T2", "openid-a")
    assert len(heard(world, "PaymentReceived")) == 1
    world.clock.now = world.clock.now.replace(hour=6)
    world.pay("T3", "openid-a")
    assert len(heard(world, "PaymentReceived")) == 1
    world.store.write(lambda tx: world.runtime.campaigns.sweep(tx, world.clock(), 10))
    assert world.client("manager").get("/api/v1/campaigns/tally").json["state"] == "ended"


def test_R245_another_circle_and_another_merchant_hear_nothing(worlds):
    world = worlds(table("here", merchants='["sweets"]'), table("there", circle="hillside"))
    world.pay("T1", "openid-a")
    assert heard(world) == []
    world.pay("T2", "openid-a", channel="sweets-pay")
    assert len(heard(world)) == 1


def test_R245_a_module_that_fails_costs_nobody_his_payment_nor_another_campaign(worlds):
    world = worlds(table("bad", fails="true"), table("good"))
    world.pay("T1", "openid-a")
    assert decisions(world, "T1") == {
        "campaign:bad": ("refused", "campaign_failed"),
        "campaign:good": ("done", "untagged"),
    }
    assert heard(world) == ["PaymentReceived"]
    found = world.store.read(lambda tx: tx.all("SELECT kind, subject, detail FROM incidents"))
    assert [tuple(row[name] for name in ("kind", "subject", "detail")) for row in found] == [
        ("campaign_failed", "bad", "RuntimeError")
    ]


def test_what_a_campaign_owes_is_done_by_the_worker(worlds, tally):
    world = worlds(table())
    payment = world.pay("T1", "openid-a").payment
    from gateway.app import build_relay, build_spool
    from gateway.relay import Guard

    worker = Worker(world.runtime, build_relay(world.runtime, Guard()), build_spool(world.runtime))
    worker.finish_due()
    assert tally.done == [payment]


# -- states and money -------------------------------------------------------------------------------------------------


def test_R075_a_move_that_is_legal_is_made_and_written_down(worlds):
    world = worlds(table(state='"draft"'))
    assert move(world, "live").json["state"] == "live"
    assert move(world, "paused").json["state"] == "paused"
    world.pay("T1", "openid-a")
    assert heard(world) == []
    rows = world.store.read(lambda tx: tx.all("SELECT who, before, after FROM audit WHERE action = 'campaign.state'"))
    assert [row["after"] for row in rows] == ['{"state":"live"}', '{"state":"paused"}']


@pytest.mark.parametrize(
    ("state", "to"), [("draft", "ended"), ("draft", "paused"), ("live", "draft"), ("live", "live")]
)
def test_R075_an_illegal_move_is_refused(worlds, state, to):
    world = worlds(table(state=f'"{state}"'))
    answer = move(world, to)
    assert (answer.status_code, answer.json["code"], answer.json["state"]) == (409, "bad_transition", state)


@pytest.mark.parametrize("to", ["", "open", None, 3, ["live"]])
def test_R075_a_state_that_there_is_not_is_refused(worlds, to):
    answer = move(worlds(table()), to)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid")


def test_R148_what_must_be_funded_is_held_before_it_goes_live_and_given_back_at_its_end(worlds):
    world = worlds(table(state='"draft"', needs_fen="600", budget_fen="1000"))
    assert move(world, "live").json["budget"] == {"total_fen": 1000, "reserved_fen": 600, "consumed_fen": 0}
    assert move(world, "ended").json["budget"] == {"total_fen": 1000, "reserved_fen": 0, "consumed_fen": 0}


def test_R148_too_little_money_stops_it(worlds):
    world = worlds(table(state='"draft"', needs_fen="600", budget_fen="599"))
    answer = move(world, "live")
    assert (answer.status_code, answer.json["code"], answer.json["needed_fen"]) == (409, "underfunded", 600)
    assert world.client("manager").get("/api/v1/campaigns/tally").json["state"] == "draft"
    assert budgets(world).get("campaign:tally", (0, 0, 0))[1] == 0


def test_R148_a_file_that_says_live_with_too_little_money_is_refused(worlds):
    world = worlds(table(state='"draft"'))
    with pytest.raises(BadConfig) as refused:
        world.apply(CATALOG + table("poor", needs_fen="600", budget_fen="599"))
    assert [path for path, _ in refused.value.faults] == ["campaign.poor.budget_fen"]


def test_R148_what_is_reserved_comes_out_of_what_was_funded(worlds):
    world = worlds(table(state='"draft"', needs_fen="600", cost_fen="250", budget_fen="600"))
    move(world, "live")
    for number in range(3):
        world.pay(f"T{number}", "openid-a")
    assert budgets(world)["campaign:tally"] == (600, 600, 0)
    assert decisions(world, "T1")["campaign:tally"][0] == "done"
    assert decisions(world, "T2")["campaign:tally"] == ("refused", "budget")
    payment = world.store.read(lambda tx: tx.one("SELECT id FROM payments WHERE transaction_id = 'T0'")["id"])
    world.store.write(lambda tx: budget.consume(tx, payment, "reward"))
    assert move(world, "ended").json["budget"] == {"total_fen": 600, "reserved_fen": 250, "consumed_fen": 250}


def test_R075_money_may_be_lowered_to_what_is_used_and_no_further(worlds):
    world = worlds(table(cost_fen="250", budget_fen="1000"))
    world.pay("T1", "openid-a")
    world.apply(CATALOG + table(cost_fen="250", budget_fen="250"))
    world.clock.now = world.clock.now.replace(hour=8)
    world.runtime.directory()
    with pytest.raises(BadConfig) as refused:
        world.apply(CATALOG + table(cost_fen="250", budget_fen="249"))
    assert [path for path, _ in refused.value.faults] == ["campaign.tally.budget_fen"]


def test_R075_an_edit_counts_up_the_version_and_leaves_the_state(worlds):
    world = worlds(table(state='"draft"'))
    move(world, "live")
    world.apply(CATALOG + table(state='"draft"', cost_fen="1"))
    found = world.another_runtime()
    found.directory()
    view = found.store.read(lambda tx: found.campaigns.find(tx, "tally", world.clock()))
    assert (view.state, view.version, view.settings["cost_fen"]) == ("live", 2, 1)


def test_a_day_has_its_own_budget(worlds):
    world = worlds(table(cost_fen="250", budget_fen_per_day="300"))
    world.pay("T1", "openid-a")
    world.pay("T2", "openid-a")
    assert decisions(world, "T2")["campaign:tally"] == ("refused", "budget")
    world.clock.now = world.clock.now.replace(day=23)
    world.pay("T3", "openid-a")
    assert decisions(world, "T3")["campaign:tally"][0] == "done"


@pytest.mark.parametrize(("more", "path"), [({"oddly": "1"}, "oddly"), ({"needs_fen": "13"}, "needs_fen")])
def test_a_kinds_own_faults_are_told_by_their_path(worlds, more, path):
    world = worlds(table())
    with pytest.raises(BadConfig) as refused:
        world.apply(CATALOG + table("other", **more))
    assert [path for path, _ in refused.value.faults] == [f"campaign.other.{path}"]


def test_R078_words_that_pay_for_sharing_keep_it_from_going_live(worlds):
    world = worlds(table(state='"draft"', title='"转发朋友圈即可领取红包"'))
    answer = move(world, "live")
    assert (answer.status_code, answer.json["code"]) == (409, "wording")
