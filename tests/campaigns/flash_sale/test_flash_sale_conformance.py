"""The conformance kit, and whole stories through the real house: calls, payments, deadlines, pages' data."""

from datetime import timedelta

import pytest

from campaigns.conformance import CampaignContract, Stage
from campaigns.flash_sale.kind import kind
from tests.campaigns.flash_sale import flash_house

RIGHT = {"item": "set-menu", "total": 10, "shards": 4, "per_person": 1, "hold_minutes": 15}


def reserve(guest, wants=201, name="", **body):
    def step(stage):
        sent = {"openid": guest, "channel": "noodles-pay", "quantity": 1, **body}
        answer = stage.call("POST", "/reservations", sent, wants=wants)
        if answer.status == 201:
            stage.memory[name or guest] = answer.body["reservation"]
        return answer

    return step


def then(guest, what, wants=200):
    return lambda stage: stage.call("POST", f"/reservations/{stage.known(guest)}/{what}", {}, wants=wants)


def refund(guest):
    def step(stage):
        row = stage.all(
            "SELECT order_id FROM flash_sale_reservations WHERE id = :id AND state = 'sold'", id=stage.known(guest)
        )
        if row:
            stage.runtime.ordering.refund(row[0]["order_id"], 1, stage.now)

    return step


class TestFlashSale(CampaignContract):
    kind = kind
    worked_sum = ("3, 3, 2, 2", "10 = 3 sold + 3 held + 4 left", "10 = 3 sold + 7 held + 0 left")

    @pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
    def database(self, request):
        """R244."""
        return "sqlite:///drainage.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")

    def settings(self):
        return RIGHT

    def bad_settings(self):
        yield {**RIGHT, "item": "nothing"}, "item"
        yield {**RIGHT, "item": "side", "price_fen": -1}, "price_fen"
        yield {**RIGHT, "total": 0}, "total"
        yield {**RIGHT, "total": 10**10}, "total"
        yield {**RIGHT, "total": "10"}, "total"
        yield {**RIGHT, "total": True}, "total"
        yield {name: value for name, value in RIGHT.items() if name != "total"}, "total"
        yield {name: value for name, value in RIGHT.items() if name != "item"}, "item"
        yield {**RIGHT, "shards": 11}, "shards"
        yield {**RIGHT, "shards": 0}, "shards"
        yield {**RIGHT, "per_person": -1}, "per_person"
        yield {**RIGHT, "hold_minutes": 121}, "hold_minutes"
        yield {**RIGHT, "shard_floor": -1}, "shard_floor"
        yield {**RIGHT, "unit": "yuan"}, "unit"
        yield {**RIGHT, "flow_switch": 1}, "flow_switch"
        yield {**RIGHT, "stock": 10}, "stock"

    def rewarding_events(self):
        return [
            reserve("guest-a"), then("guest-a", "pay"), reserve("guest-b"), then("guest-b", "cancel"),
            then("guest-b", "cancel"), reserve("guest-c"), lambda stage: stage.later(minutes=16),
            then("guest-c", "pay"), then("guest-c", "pay"),
        ]  # fmt: skip

    def undoing_events(self):
        return [refund("guest-a"), refund("guest-c")]

    def bodies(self):
        return {
            "POST /reservations": {"openid": "kit-guest", "channel": "noodles-pay", "quantity": 1},
            "POST /resplit": {"shards": 2, "total": 12},
        }


@pytest.fixture
def make(tmp_path, request):
    """Any number of houses with a flash sale, over SQLite or PostgreSQL."""
    from campaigns.conformance.listening import Listening
    from campaigns.conformance.stage import campaign_text

    made = []

    def build(database="sqlite:///drainage.db", catalog="", shared=None, **settings):
        text = catalog + "\n" + campaign_text("flash_sale", {**RIGHT, **settings}, shared or {})
        made.append(Stage(tmp_path / f"house-{len(made)}", Listening(kind), text, database))
        return made[-1]

    yield build
    for one in made:
        one.close()


def stock(stage):
    body = stage.call("GET", "/stock", wants=200).body
    assert body["total"] == body["sold"] + body["held"] + body["left"]
    for name in ("sold", "held", "left"):
        assert body[name] == sum(shard[name] for shard in body["shards"])
    report = stage.call("GET", "/report", wants=200).body
    assert report["agrees"]
    assert report["total"] == report["sold"] + report["rest"]
    return body["total"], body["sold"], body["held"], body["left"]


def move(stage, to):
    stage.call("POST", "/state", {"to": to}, role="operator", wants=200)


def test_the_readme_s_worked_sum(make):
    stage = make(per_person=4)
    shards = [shard["left"] for shard in stage.call("GET", "/stock", wants=200).body["shards"]]
    told = [", ".join(map(str, shards))]
    for number in range(7):
        reserve(f"guest-{number}")(stage)
    for number in range(3):
        then(f"guest-{number}", "pay")(stage)
    then("guest-3", "cancel")(stage)
    tell = lambda: "{} = {} sold + {} held + {} left".format(*stock(stage))
    told.append(tell())
    assert reserve("guest-8", quantity=4)(stage).body["shard"] == 0
    told.append(tell())
    assert tuple(told) == TestFlashSale.worked_sum


def test_a_reservation_says_what_pays_for_it(make):
    stage = make()
    body = reserve("guest-a")(stage).body
    assert body["shard"] in {1, 2, 3, 4}
    assert body["expires_at"] == "2026-11-22T04:20:06.000Z"
    assert body["amount_fen"] == 990
    order = stage.one("SELECT * FROM orders WHERE id = :id", id=body["order"])
    assert (order["state"], order["amount_fen"], order["campaign"]) == ("created", 990, "trial")
    assert stage.call("GET", f"/reservations/{body['reservation']}", wants=200).body == body


def test_the_sale_s_own_price_is_what_is_paid(make):
    stage = make(price_fen=100, per_person=3)
    assert reserve("guest-a", quantity=3)(stage).body["amount_fen"] == 300


def test_without_any_price_the_item_costs_its_value(make):
    stage = make(item="book-5off")
    assert reserve("guest-a")(stage).body["amount_fen"] == 500


def test_R177_all_are_sold_and_not_one_more(make):
    stage = make()
    for number in range(10):
        reserve(f"guest-{number}")(stage)
    refused = reserve("guest-x", wants=409)(stage)
    assert refused.body["code"] == "sold_out"
    assert stock(stage) == (10, 0, 10, 0)


def test_R179_the_limit_is_told_as_such(make):
    stage = make()
    reserve("guest-a")(stage)
    assert reserve("guest-a", wants=409)(stage).body["code"] == "limit"
    assert reserve("guest-b", wants=409, quantity=2)(stage).body["code"] == "limit"


def test_R179_one_key_is_one_reservation_even_when_its_answer_was_lost(make):
    stage = make(per_person=0)
    body = {"openid": "guest-a", "channel": "noodles-pay", "quantity": 1}
    first = stage.call("POST", "/reservations", body, key="once", wants=201)
    # The answer was kept by the house; without it the module still knows its own.
    stage.store.write(lambda tx: tx.run("DELETE FROM idempotency"))
    again = stage.call("POST", "/reservations", body, key="once", wants=201)
    assert again.body == first.body
    assert stock(stage) == (10, 0, 1, 9)


@pytest.mark.parametrize("quantity", [0, -1, 1.5, "1", True, None, 101, 10**30, [1], {}])
def test_quantities_that_are_none_are_refused_by_name(make, quantity):
    stage = make()
    refused = reserve("guest-a", wants=422, quantity=quantity)(stage)
    assert refused.body["code"] == "invalid"
    assert set(refused.body["fields"]) == {"quantity"}
    assert stock(stage) == (10, 0, 0, 10)


def test_R171_in_fen_each_sale_deducts_its_own_value(make):
    stage = make(unit="fen", total=1000, shards=2, per_person=3)
    sent = {"openid": "guest-a", "channel": "noodles-pay"}
    assert stage.call("POST", "/reservations", {**sent, "quantity": 1}, wants=422).body["fields"].keys() == {
        "amount_fen",
        "quantity",
    }
    assert stage.call("POST", "/reservations", {**sent, "amount_fen": 10**20}, wants=422)
    made = stage.call("POST", "/reservations", {**sent, "amount_fen": 600}, wants=201).body
    assert (made["units"], made["quantity"]) == (600, 1)
    assert stock(stage) == (1000, 0, 600, 400)
    assert stage.call("POST", "/reservations", {**sent, "amount_fen": 401}, wants=409).body["code"] == "sold_out"
    stage.memory["guest-a"] = made["reservation"]
    assert then("guest-a", "pay")(stage).body["state"] == "sold"
    assert stock(stage) == (1000, 600, 0, 400)


def test_R180_before_its_time_nothing_changes_and_then_it_opens(make):
    start = flash_house.NOW + timedelta(minutes=5)
    stage = make(shared={"state": "scheduled", "starts_at": start})
    refused = reserve("guest-a", wants=409)(stage)
    assert refused.body["code"] == "not_open"
    assert stage.all("SELECT 1 AS n FROM flash_sale_sales") == []
    stage.later(minutes=5)
    reserve("guest-a")(stage)


def test_R180_after_its_time_it_is_over(make):
    stage = make(shared={"ends_at": flash_house.NOW + timedelta(minutes=5)})
    reserve("guest-a")(stage)
    stage.later(minutes=6)
    assert reserve("guest-b", wants=409)(stage).body["code"] == "not_open"
    # What was reserved in time may still be paid.
    assert then("guest-a", "pay")(stage).body["state"] == "sold"
    assert stock(stage) == (10, 1, 0, 9)


def test_R181_what_nobody_pays_goes_back_once(make):
    stage = make(total=1, shards=1)
    reserve("guest-a")(stage)
    stage.later(minutes=14)
    assert reserve("guest-b", wants=409)(stage).body["code"] == "sold_out"
    stage.later(minutes=2)
    stage.later(minutes=2)
    assert stock(stage) == (1, 0, 0, 1)
    reserve("guest-b")(stage)
    assert then("guest-a", "pay")(stage).body["state"] == "refunded"
    assert then("guest-a", "pay")(stage).body["state"] == "refunded"
    assert then("guest-b", "pay")(stage).body["state"] == "sold"
    assert stock(stage) == (1, 1, 0, 0)


def test_R047_late_money_buys_what_is_left(make):
    stage = make()
    reserve("guest-a")(stage)
    stage.later(minutes=16)
    assert stock(stage) == (10, 0, 0, 10)
    assert then("guest-a", "pay")(stage).body["state"] == "sold"
    assert then("guest-a", "cancel", wants=409)(stage).body["code"] == "bad_transition"
    assert stock(stage) == (10, 1, 0, 9)


def test_R174_R182_pause_split_and_go_on(make):
    stage = make(per_person=5)
    reserve("guest-a", quantity=5)(stage)
    split = lambda body, **more: stage.call("POST", "/resplit", body, role="operator", **more)
    assert split({"total": 20}, wants=409).body["code"] == "not_paused"
    move(stage, "paused")
    assert reserve("guest-b", wants=409)(stage).body["code"] == "not_live"
    assert split({"total": 4}, wants=409).body["code"] == "below_sold"
    for wrong in ({"total": "4"}, {"shards": 1.5}, {"shards": 300}, {"total": 0}, {"parts": 3}, {"total": True}):
        assert split(wrong, wants=422).body["code"] == "invalid"
    body = split({"total": 20, "shards": 5}, wants=200).body
    assert (body["total"], body["left"], body["map"]) == (20, 15, 2)
    move(stage, "live")
    reserve("guest-b", quantity=5)(stage)
    then("guest-a", "pay")(stage)
    assert stock(stage) == (20, 5, 5, 10)


def test_R183_only_an_operator_rebuilds_a_paused_sale(make):
    stage = make()
    reserve("guest-a")(stage)
    assert stage.call("POST", "/rebuild", {}, role="manager").status == 403
    assert stage.call("POST", "/rebuild", {}, role="operator", wants=409).body["code"] == "not_paused"
    move(stage, "paused")
    stage.store.write(lambda tx: tx.run("UPDATE flash_sale_shards SET units_left = 0"))
    assert stage.call("POST", "/rebuild", {}, role="operator", wants=200).body["left"] == 9
    assert stock(stage) == (10, 0, 1, 9)


def test_the_item_s_own_stock_may_end_first(make):
    catalog = '[item.few]\nmerchant = "cafe"\nname = "拿铁券"\nvalue_fen = 3000\nprice_fen = 990\nstock = 1\n'
    stage = make(catalog=catalog, item="few")
    reserve("guest-a")(stage)
    assert reserve("guest-b", wants=409)(stage).body["code"] == "sold_out"
    assert stock(stage) == (10, 0, 1, 9)


def test_R063_what_it_gives_away_is_bounded_by_its_budget(make):
    stage = make(shared={"budget_fen": 9000})
    reserve("guest-a")(stage)
    reserve("guest-b")(stage)
    assert reserve("guest-c", wants=409)(stage).body["code"] == "budget"
    then("guest-a", "pay")(stage)
    then("guest-b", "cancel")(stage)
    budget = stage.call("GET", "", wants=200).body["budget"]
    assert (budget["reserved_fen"], budget["consumed_fen"]) == (0, 4010)
    reserve("guest-c")(stage)


def test_the_journal_tells_every_change(make):
    stage = make(total=4, shards=2)
    reserve("guest-a")(stage)
    then("guest-a", "pay")(stage)
    items = stage.call("GET", "/journal", wants=200).body["items"]
    assert [item["entry"] for item in items] == ["sell", "deduct", "load", "load"]
    assert items[1]["reservation"] == stage.known("guest-a")
    assert sum(item["left"] + item["held"] + item["sold"] for item in items) == 4


def test_the_journal_is_read_page_by_page(make):
    stage = make(total=100, shards=60)
    reserve("guest-a")(stage)
    first = stage.call("GET", "/journal", wants=200).body
    rest = stage.call("GET", f"/journal?cursor={first['next']}", wants=200).body
    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (50, 11, None)


def test_R170_going_live_loads_it_before_the_first_buyer(make):
    stage = make()
    stage.later(seconds=1)
    (sale,) = stage.all("SELECT map, told_at FROM flash_sale_sales")
    assert sale["map"] == 1
    stage.later(seconds=1)
    (sale,) = stage.all("SELECT map, told_at FROM flash_sale_sales")
    assert sale["told_at"] is not None
