"""R220–R225, R230: an order's story by the API: bought, times picked, used or passed, given back; on both databases."""

from pathlib import Path

import pytest

from campaigns.group_buy import queue
from campaigns.group_buy.kind import kind
from gateway import people, tagging
from tests.campaigns.group_buy.group_buy_hands import Deal, catalog, keyed
from tests.support.world import World

DINNER, TOMORROW, NEXT = "2026-11-22-dinner", "2026-11-23-lunch", "2026-11-23-dinner"


@pytest.fixture
def deal(tmp_path, store_url):
    world = World(tmp_path, sandbox=True, catalog=catalog(), store_url=store_url, kinds=[kind])
    yield Deal(world)
    world.close()


@pytest.fixture
def quick(tmp_path):
    world = World(tmp_path, sandbox=True, catalog=catalog(), kinds=[kind])
    yield Deal(world)
    world.close()


def states(deal, order):
    return [(one["slot"], one["state"]) for one in deal.get(f"/orders/{order}/pushes").json]


def test_R220_an_order_lists_the_usable_times(deal):
    answer = deal.post("/orders", {"openid": "guest-a", "channel": "sweets-pay", "shop": "sweets-1"})
    assert answer.status_code == 201
    assert answer.json["state"] == "created"
    assert answer.json["pay_path"] == f"/me/orders/{answer.json['order']}"
    assert answer.json["slots"][0] == {
        "slot": DINNER, "date": "2026-11-22", "meal": "dinner", "starts_at": "2026-11-22T09:00:00.000Z", "left": 2,
    }  # fmt: skip
    # 12:05 at the shop: lunch has begun and is left out.
    assert [one["slot"] for one in answer.json["slots"]] == [
        DINNER, TOMORROW, NEXT, "2026-11-24-lunch", "2026-11-24-dinner",
    ]  # fmt: skip


def test_R230_paid_gives_the_coupon_and_use_redeems_it_once(deal):
    order = deal.order()
    assert deal.post(f"/orders/{order}/use").json["code"] == "not_paid"
    paid = deal.post(f"/orders/{order}/pay").json
    assert (paid["state"], bool(paid["coupon"])) == ("paid", True)
    # The price is the campaign's, not the item's own.
    assert deal.world.one("SELECT amount_fen FROM orders WHERE id = :id", id=order)["amount_fen"] == 880
    deal.choose(order, DINNER, TOMORROW)
    used = deal.post(f"/orders/{order}/use", {"slot": DINNER})
    assert (used.status_code, used.json["state"], used.json["used_slot"]) == (200, "used", DINNER)
    assert used.json["prompted_at"] == "2026-11-22T04:05:06.000Z"
    again = deal.post(f"/orders/{order}/use")
    assert (again.status_code, again.json["code"]) == (409, "already_used")
    assert deal.world.one("SELECT state FROM coupons WHERE code = :c", c=paid["coupon"])["state"] == "redeemed"
    # R221: the other pick is free again.
    left = {one["slot"]: one["left"] for one in deal.get(f"/orders/{deal.order('guest-b')}").json["slots"]}
    assert (left[DINNER], left[TOMORROW]) == (1, 2)


def test_R230_the_till_redeems_as_well_and_a_reversal_undoes_it(deal):
    order = deal.paid()
    deal.choose(order, DINNER, NEXT)
    coupon = deal.get(f"/orders/{order}").json["coupon"]
    assert deal.manager.post(f"/api/v1/coupons/{coupon}/redeem", headers=keyed()).status_code == 200
    shown = deal.get(f"/orders/{order}").json
    assert (shown["state"], shown["used_slot"]) == ("used", DINNER)
    assert {state for _, state in states(deal, order)} == {"quiet"}
    prompted = shown["prompted_at"]
    deal.world.clock.move(minutes=5)
    back = deal.manager.post(f"/api/v1/coupons/{coupon}/reverse", json={"reason": "wrong table"}, headers=keyed())
    assert back.status_code == 200
    shown = deal.get(f"/orders/{order}").json
    assert (shown["state"], shown["picked"]) == ("paid", [DINNER])
    assert states(deal, order)[:3] == [(DINNER, "due")] * 3
    # Used again: R226, one prompt an order.
    assert deal.post(f"/orders/{order}/use").json["prompted_at"] == prompted


def test_R221_full_limit_begun_and_nonsense(deal):
    first, second, third = deal.paid("guest-a"), deal.paid("guest-b"), deal.paid("guest-c")
    assert deal.choose(first, DINNER).status_code == 200
    assert deal.choose(second, DINNER).status_code == 200
    full = deal.choose(third, TOMORROW, DINNER)
    assert (full.status_code, full.json["code"]) == (409, "slot_full")
    # All or nothing: the one that was free is not held either.
    assert deal.get(f"/orders/{third}").json["picked"] == []
    assert deal.world.all("SELECT taken FROM group_buy_slots WHERE slot = :s", s=TOMORROW) == []
    for slots, status, code in (
        ([DINNER, TOMORROW, NEXT], 409, "limit"),
        ([], 409, "limit"),
        ([NEXT, NEXT], 409, "limit"),
        (["2026-11-22-lunch"], 410, "slot_begun"),
        (["2020-01-01-dinner"], 410, "slot_begun"),
        (["2026-12-22-dinner"], 422, "invalid"),
        (["nonsense"], 422, "invalid"),
    ):
        answer = deal.choose(third, *slots)
        assert (answer.status_code, answer.json["code"]) == (status, code), slots
    for body in ({}, {"slots": "x"}, {"slots": [1]}, {"slots": [None]}, {"slots": {"a": 1}}):
        assert deal.put(f"/orders/{third}/slots", body).status_code == 422
    # A change of mind frees the seat.
    assert deal.choose(first, NEXT).status_code == 200
    assert deal.choose(third, DINNER).json["picked"] == [DINNER]
    deal.world.clock.move(hours=5)
    begun = deal.choose(third, DINNER, NEXT)
    assert begun.json["picked"] == [DINNER, NEXT], "a held time that has begun stays"
    assert deal.choose(second, TOMORROW).json["picked"] == [DINNER, TOMORROW]
    assert deal.choose(second, TOMORROW, NEXT).json["code"] == "limit"


def test_R221_an_order_that_is_never_paid_frees_its_seats(deal):
    order = deal.order()
    assert deal.choose(order, DINNER).status_code == 200
    deal.world.clock.move(minutes=16)
    deal.sweep()
    assert deal.get(f"/orders/{order}").json["state"] == "closed"
    assert deal.choose(order, NEXT).json["code"] == "closed"
    assert deal.world.one("SELECT taken FROM group_buy_slots")["taken"] == 0
    assert {state for _, state in states(deal, order)} == {"quiet"}
    # R047: money that comes late still buys, and the times are picked anew.
    late = deal.post(f"/orders/{order}/pay").json
    assert (late["state"], bool(late["coupon"])) == ("paid", True)
    assert deal.choose(order, NEXT).json["picked"] == [NEXT]


def test_R044_orders_are_refused_where_they_must_be(quick):
    for body in ({}, {"shop": ""}, {"shop": 7}, {"shop": "hotpot-1"}, {"shop": "nowhere"}):
        answer = quick.post("/orders", {"openid": "guest-a", "channel": "sweets-pay", **body})
        assert (answer.status_code, list(answer.json["fields"])) == (422, ["shop"]), body
    for _ in range(3):
        quick.order("guest-a")
    many = quick.post("/orders", {"openid": "guest-a", "channel": "sweets-pay", "shop": "sweets-1"})
    assert (many.status_code, many.json["code"]) == (409, "limit")
    quick.post("/state", {"to": "paused"}, by=quick.operator)
    closed = quick.post("/orders", {"openid": "guest-z", "channel": "sweets-pay", "shop": "sweets-1"})
    assert (closed.status_code, closed.json["code"]) == (409, "not_live")


def test_R072_another_merchants_manager_finds_nothing(quick):
    order = quick.paid()
    stranger = quick.world.client("manager", merchant="hotpot")
    calls = [
        ("get", f"/orders/{order}"), ("get", f"/orders/{order}/pushes"), ("post", f"/orders/{order}/use"),
        ("post", f"/orders/{order}/pay"), ("put", f"/orders/{order}/slots"), ("post", f"/orders/{order}/video"),
        ("get", "/shops/sweets-1/queue"), ("post", "/shops/sweets-1/tickets"),
    ]  # fmt: skip
    for method, path in calls:
        body = {} if method == "get" else {"json": {"slots": [], "size": 1, "type": "video/mp4", "consent": True}}
        answer = getattr(stranger, method)(f"/api/v1/campaigns/dinner{path}", headers=keyed(), **body)
        assert answer.status_code == 404, path


def test_R224_reminders_are_sent_once_with_the_queue(deal):
    order = deal.paid()
    deal.choose(order, DINNER)
    assert states(deal, order) == [(DINNER, "due")] * 3
    deal.post("/shops/sweets-1/tickets", {})
    deal.world.clock.now = deal.world.clock.now.replace(hour=8, minute=30, second=0)
    deal.sweep()
    deal.post("/shops/sweets-1/tickets", {})
    deal.sweep()
    told = deal.get(f"/orders/{order}/pushes").json
    assert [(one["state"], one["waiting"]) for one in told] == [("sent", 1), ("due", None), ("due", None)]
    assert told[0]["at"] == "2026-11-22T08:30:00.000Z"
    # A worker that comes more than ten minutes late skips.
    deal.world.clock.now = deal.world.clock.now.replace(hour=9, minute=11)
    deal.sweep()
    assert [state for _, state in states(deal, order)] == ["sent", "skipped", "due"]
    deal.post(f"/orders/{order}/use")
    assert [state for _, state in states(deal, order)] == ["sent", "skipped", "quiet"]


def test_R223_without_data_a_reminder_says_so(deal):
    order = deal.paid()
    deal.choose(order, DINNER)
    deal.world.clock.now = deal.world.clock.now.replace(hour=8, minute=31)
    deal.sweep()
    assert deal.get(f"/orders/{order}/pushes").json[0]["waiting"] is None
    assert deal.get("/shops/sweets-1/queue").json == {"waiting": None, "estimate_min": None}


def test_R224_quiet_after_opting_out(deal):
    deal.world.pay("T1", "guest-a", channel="sweets-pay")
    order = deal.paid("guest-a")
    deal.choose(order, DINNER)
    person = deal.get(f"/orders/{order}").json["person"]
    world = deal.world
    world.store.write(lambda tx: tagging.opt_out(tx, "riverside", people.look_up(tx, person), world.clock()))
    world.clock.now = world.clock.now.replace(hour=8, minute=30)
    deal.sweep()
    assert [state for _, state in states(deal, order)] == ["quiet", "due", "due"]


def test_R225_offered_again_then_the_money_goes_back(deal):
    order = deal.paid()
    coupon = deal.get(f"/orders/{order}").json["coupon"]
    deal.choose(order, DINNER, TOMORROW)
    deal.world.clock.now = deal.world.clock.now.replace(hour=11, minute=1)
    deal.sweep()
    shown = deal.get(f"/orders/{order}").json
    assert (shown["state"], shown["picked"], shown["changes_left"]) == ("paid", [TOMORROW], 2)
    deal.world.clock.move(days=1)
    deal.sweep()
    shown = deal.get(f"/orders/{order}").json
    assert (shown["state"], shown["picked"], shown["changes_left"]) == ("paid", [], 1)
    assert deal.choose(order, "2026-11-24-lunch").status_code == 200
    deal.world.clock.move(days=1)
    deal.sweep()
    shown = deal.get(f"/orders/{order}").json
    assert (shown["state"], shown["changes_left"]) == ("refunded", 0)
    assert deal.world.one("SELECT state FROM orders WHERE id = :id", id=order)["state"] == "refunded"
    assert deal.world.one("SELECT state FROM coupons WHERE code = :c", c=coupon)["state"] == "void"
    assert deal.post(f"/orders/{order}/use").json["code"] == "closed"
    assert deal.choose(order, "2026-11-26-lunch").json["code"] == "closed"


def test_R225_before_the_coupon_ends_the_money_goes_back(deal):
    order = deal.paid()
    valid_to = deal.get(f"/orders/{order}").json["valid_to"]
    assert valid_to == "2026-12-06T03:05:06.000Z", "an hour before its coupon"
    deal.world.clock.move(days=13, hours=22, minutes=59)
    deal.sweep()
    assert deal.get(f"/orders/{order}").json["state"] == "paid"
    deal.world.clock.move(minutes=2)
    deal.sweep()
    assert deal.get(f"/orders/{order}").json["state"] == "refunded"


def test_R225_where_the_merchant_keeps_the_coupon_stays_usable(tmp_path):
    world = World(
        tmp_path,
        sandbox=True,
        catalog=catalog().replace("rechoices = 1", 'rechoices = 0\nunused = "keep"'),
        kinds=[kind],
    )
    deal = Deal(world)
    order = deal.paid()
    deal.choose(order, DINNER)
    world.clock.move(hours=8)
    deal.sweep()
    assert deal.get(f"/orders/{order}").json["state"] == "lapsed"
    assert deal.choose(order, TOMORROW).json["code"] == "closed"
    assert deal.post(f"/orders/{order}/use").json["state"] == "used"
    world.close()


def test_sweeps_do_nothing_twice(deal):
    order = deal.paid()
    deal.choose(order, DINNER)
    deal.world.clock.move(days=30)
    deal.sweep()
    before = deal.world.all("SELECT * FROM group_buy_orders")
    kept = [tuple(row[key] for key in row.keys()) for row in before]
    deal.sweep()
    assert [tuple(row[key] for key in row.keys()) for row in deal.world.all("SELECT * FROM group_buy_orders")] == kept


def test_R223_the_queue_counts_who_waits_and_estimates(deal):
    world = deal.world
    assert deal.get("/shops/sweets-1/queue").json == {"waiting": None, "estimate_min": None}
    tickets = []
    for number in range(1, 5):
        answer = deal.post("/shops/sweets-1/tickets", {})
        assert answer.status_code == 201
        assert (answer.json["number"], answer.json["waiting"]) == (number, number)
        tickets.append(answer.json["ticket"])
    # Nobody was called yet: how long is not known, and never 0.
    assert deal.get("/shops/sweets-1/queue").json == {"waiting": 4, "estimate_min": None}
    world.clock.move(minutes=10)
    assert deal.post(f"/shops/sweets-1/tickets/{tickets[0]}/call").json["state"] == "called"
    assert deal.get("/shops/sweets-1/queue").json == {"waiting": 3, "estimate_min": 30}
    world.clock.move(minutes=4)
    assert deal.post(f"/shops/sweets-1/tickets/{tickets[1]}/seat").json["state"] == "seated"
    assert deal.get("/shops/sweets-1/queue").json == {"waiting": 2, "estimate_min": 14}
    deal.post(f"/shops/sweets-1/tickets/{tickets[2]}/leave")
    assert deal.get("/shops/sweets-1/queue").json == {"waiting": 1, "estimate_min": 7}
    again = deal.post(f"/shops/sweets-1/tickets/{tickets[2]}/leave")
    assert (again.status_code, again.json["state"]) == (200, "left")
    for what in ("call", "seat"):
        gone = deal.post(f"/shops/sweets-1/tickets/{tickets[2]}/{what}")
        assert (gone.status_code, gone.json["code"]) == (409, "bad_transition")
    assert deal.post("/shops/sweets-1/tickets/nothing/call").status_code == 404
    assert deal.post("/shops/hotpot-1/tickets", {}).status_code == 404
    # The next business day begins with nothing known; its numbers begin at 1.
    world.clock.move(days=1)
    assert deal.get("/shops/sweets-1/queue").json == {"waiting": None, "estimate_min": None}
    assert deal.post("/shops/sweets-1/tickets", {}).json["number"] == 1


def test_R223_a_person_who_waits_keeps_his_number(quick):
    first = quick.post("/shops/sweets-1/tickets", {"openid": "guest-a", "channel": "sweets-pay"}).json
    again = quick.post("/shops/sweets-1/tickets", {"openid": "guest-a", "channel": "sweets-pay"}).json
    assert (again["ticket"], again["waiting"]) == (first["ticket"], 1)


def test_counts_tell_where_the_orders_stand(quick):
    quick.order("guest-a")
    quick.paid("guest-b")
    counts = quick.get("").json["counts"]
    assert counts == {"orders": 2, "orders_created": 1, "orders_paid": 1, "videos_published": 0}


def test_the_sum_of_the_readme(quick):
    for _ in range(5):
        quick.post("/shops/sweets-1/tickets", {})
    waiting = [row["id"] for row in quick.world.all("SELECT id FROM group_buy_tickets ORDER BY number")]
    quick.world.clock.move(minutes=10)
    quick.post(f"/shops/sweets-1/tickets/{waiting[0]}/call")
    quick.world.clock.move(minutes=4)
    quick.post(f"/shops/sweets-1/tickets/{waiting[1]}/call")
    last = quick.post("/shops/sweets-1/tickets", {}).json
    rows = quick.world.all("SELECT * FROM group_buy_tickets ORDER BY number")
    line = queue.line_of(rows, before=last["number"])
    each = [row["head_s"] // 60 for row in rows if row["head_s"] is not None]
    assert each == [10, 4]
    text = f"前面 {line.waiting} 桌 × {sum(each) // 2} 分钟 = 约 {line.estimate_min} 分钟（估计）"
    assert (Path(queue.__file__).parent / "README.md").read_text(encoding="utf-8").count(text) == 1
