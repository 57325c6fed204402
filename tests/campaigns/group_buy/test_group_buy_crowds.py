"""R221, R224, R230 with real threads in two processes, on both databases."""

from collections import Counter
from datetime import datetime, timezone

import pytest

from tests.campaigns.group_buy.group_buy_crowd import pick_at_once, remind_at_once, use_and_choose
from tests.campaigns.group_buy.group_buy_hands import Deal, catalog
from tests.support.crowd import in_processes
from tests.support.world import World

DINNER, TOMORROW, NEXT = "2026-11-22-dinner", "2026-11-23-lunch", "2026-11-23-dinner"


@pytest.fixture
def deal(tmp_path, store_url):
    world = World(
        tmp_path, sandbox=True, catalog=catalog().replace("slot_capacity = 2", "slot_capacity = 7"), store_url=store_url
    )
    yield Deal(world)
    world.close()


def orders(deal, count):
    return [deal.paid(f"guest-{number}") for number in range(count)]


def test_R221_the_last_seats_are_taken_by_fifty_pickers_as_often_as_there_are_seats(deal):
    made = orders(deal, 50)
    told = Counter(in_processes(2, pick_at_once, str(deal.world.home.root), made, (DINNER, TOMORROW)))
    assert told["slot_full"] == 43
    assert sum(told.values()) == 50
    rows = deal.world.all("SELECT slot, taken FROM group_buy_slots ORDER BY slot")
    assert [(row["slot"], row["taken"]) for row in rows] == [(DINNER, 7), (TOMORROW, 7)]
    held = deal.world.all("SELECT order_id, slot FROM group_buy_picks WHERE state = 'held'")
    assert Counter(row["slot"] for row in held) == {DINNER: 7, TOMORROW: 7}
    # Whoever was refused holds nothing, and has no reminder.
    winners = {row["order_id"] for row in held}
    assert winners == {order for order in told if order != "slot_full"}
    assert {row["order_id"] for row in deal.world.all("SELECT order_id FROM group_buy_pushes")} == winners


def test_R224_four_workers_send_every_reminder_once(deal):
    for order in orders(deal, 7):
        assert deal.choose(order, DINNER).status_code == 200
    moment = datetime(2026, 11, 22, 8, 30, tzinfo=timezone.utc)
    told = in_processes(2, remind_at_once, str(deal.world.home.root), moment)
    assert sum(told) == 7
    states = Counter(row["state"] for row in deal.world.all("SELECT state FROM group_buy_pushes"))
    assert states == {"sent": 7, "due": 14}


def test_R230_used_while_other_times_are_picked_leaves_no_seat_behind(deal):
    (order,) = orders(deal, 1)
    deal.choose(order, DINNER)
    told = in_processes(2, use_and_choose, str(deal.world.home.root), order, (TOMORROW, NEXT))
    assert Counter(one[1] for one in told) == {"used": 1, "already_used": 1}
    assert deal.get(f"/orders/{order}").json["state"] == "used"
    held = deal.world.all("SELECT slot FROM group_buy_picks WHERE state = 'held'")
    assert held == []
    used = [row["slot"] for row in deal.world.all("SELECT slot FROM group_buy_picks WHERE state = 'used'")]
    assert len(used) == 1
    seats = {
        row["slot"]: row["taken"] for row in deal.world.all("SELECT slot, taken FROM group_buy_slots WHERE taken > 0")
    }
    assert seats == {used[0]: 1}
