"""The gate in Redis: one step in Lua, made anew from the store after any loss, closed when Redis is away."""

import sys
import threading
from datetime import timedelta

import pytest
import redis

from campaigns.flash_sale import redis_stock, splitting, tables
from campaigns.flash_sale.buying import buy
from campaigns.flash_sale.kind import RECONCILE, kind
from campaigns.flash_sale.redis_stock import GRACE, RedisStock, gate_of
from campaigns.flash_sale.stock import Ask
from gateway.contract.errors import Refused, StoreUnavailable
from gateway.contract.ids import system_random
from tests.campaigns.flash_sale.flash_house import NOW, House, figures, view, wish
from tests.support.redis_server import RedisServer


@pytest.fixture
def house(sale_store, redis_url):
    return House(sale_store, redis_url)


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url, decode_responses=True) as made:
        yield made


def refused(work):
    with pytest.raises(Refused) as caught:
        work()
    return caught.value.code, caught.value.status


def gate_left(house):
    return sum((gate_of(house).left("rush") or {}).values())


def ask(number=1, person="p_1", units=1, most=0, chance=0, **more):
    return Ask("rush", 0, f"fr_{number}", f"r{number}", (person,), units, units, most, chance=chance, **more)


@pytest.fixture
def gate(house):
    house.store.write(lambda tx: splitting.loaded(tx, house, view(total=8, shards=4), NOW))
    return gate_of(house)


def test_R171_the_gate_is_made_from_the_store(gate):
    assert gate.load("rush")
    assert gate.left("rush") == {0: 0, 1: 2, 2: 2, 3: 2, 4: 2}


def test_R175_chance_chooses_the_shard(gate):
    assert [gate.deduct(ask(n, chance=n), NOW) for n in range(4)] == [1, 2, 3, 4]


def test_R176_R178_an_empty_shard_is_passed_over_and_leftovers_are_merged(gate):
    assert [gate.deduct(ask(n, chance=0), NOW) for n in range(2)] == [1, 1]
    assert gate.deduct(ask(3, chance=0), NOW) != 1
    assert gate.deduct(ask(4, units=4, chance=0), NOW) == 0
    assert refused(lambda: gate.deduct(ask(5, units=2), NOW)) == ("sold_out", 409)
    assert gate.deduct(ask(6), NOW) == 0
    assert refused(lambda: gate.deduct(ask(7), NOW)) == ("sold_out", 409)


def test_R179_a_request_made_twice_is_one_deduction(gate):
    assert gate.admit(ask(1, chance=2), NOW) == ("fr_1", 3)
    again = Ask("rush", 0, "fr_other", "r1", ("p_1",), 1, 1, 0)
    assert gate.admit(again, NOW) == ("fr_1", 3)
    assert sum(gate.left("rush").values()) == 7


def test_R179_the_limit_comes_before_the_deduction(gate):
    gate.deduct(ask(1, most=1), NOW)
    assert refused(lambda: gate.deduct(ask(2, most=1), NOW)) == ("limit", 409)
    assert sum(gate.left("rush").values()) == 7
    assert gate.deduct(ask(3, "p_2", most=1), NOW)


def test_R180_the_window_comes_before_the_deduction(gate):
    early = ask(1, starts_at=NOW + timedelta(seconds=1))
    over = ask(1, ends_at=NOW)
    assert refused(lambda: gate.deduct(early, NOW)) == ("not_open", 409)
    assert refused(lambda: gate.deduct(over, NOW)) == ("not_open", 409)
    assert sum(gate.left("rush").values()) == 8


def test_R174_with_the_switch_off_the_main_key_gives(gate):
    assert gate.deduct(ask(1, single=True), NOW) == 0
    assert gate.left("rush") == {0: 7, 1: 0, 2: 0, 3: 0, 4: 0}


def test_R181_giving_back_is_done_once(gate):
    gate.deduct(ask(1, most=3, units=3), NOW)
    assert [gate.keep("rush", "fr_1", 1, 1) for _ in range(3)] == [2, 0, 0]
    assert [gate.keep("rush", "fr_1") for _ in range(3)] == [1, 0, 0]
    assert sum(gate.left("rush").values()) == 8
    assert gate.deduct(ask(2, most=3, units=3), NOW) >= 0


def test_following_the_store_is_done_once(gate):
    gate.load("rush")
    assert [gate.follow(ask(1)) for _ in range(3)] == [True, False, False]
    assert sum(gate.left("rush").values()) == 7


@pytest.mark.parametrize("doubled", [1, 2])
def test_R172_loading_again_never_refills(gate, house, doubled):
    buy(house, view(total=8, shards=4), wish(), NOW)
    for _ in range(doubled):
        house.do_owed(view())
    assert gate_left(house) == 7
    assert refused(lambda: buy(house, view(total=8), wish(request="r2"), NOW)) == ("limit", 409)


def test_R172_of_two_that_load_at_once_one_does(house, gate, monkeypatch):
    other = RedisStock(house.redis_url, house.store, system_random)
    seen = redis_stock.snapshot

    def faster():
        assert other.load("rush")
        other.deduct(ask(1), NOW)

    def meanwhile(tx, campaign):
        monkeypatch.setattr(redis_stock, "snapshot", seen)
        thread = threading.Thread(target=faster)
        thread.start()
        thread.join()
        return seen(tx, campaign)

    monkeypatch.setattr(redis_stock, "snapshot", meanwhile)
    assert not gate.load("rush")
    assert sum(gate.left("rush").values()) == 7


def test_R173_an_old_map_only_costs_another_look(house, gate):
    other = RedisStock(house.redis_url, house.store, system_random)
    other.deduct(ask(1), NOW)
    paused = view("paused", total=8, shards=4)
    house.store.write(lambda tx: splitting.resplit(tx, house, paused, "boss", 2, 4, NOW))
    house.do_owed(paused)
    assert other.map_of("rush") == 1
    assert other.deduct(ask(2, chance=0), NOW) == 1
    assert other.map_of("rush") == 2
    assert sum(gate.left("rush").values()) == 3


def test_R183_a_reservation_stands_in_the_store_when_it_is_answered(house):
    campaign = view(total=3, shards=2, per_person=0)
    for number in range(3):
        buy(house, campaign, wish(request=f"r{number}"), NOW)
    assert refused(lambda: buy(house, campaign, wish(request="r9"), NOW)) == ("sold_out", 409)
    found = figures(house.store, campaign)
    assert (found.held, found.left, gate_left(house)) == (3, 0, 0)


@pytest.mark.parametrize("kept_back", [0, 1])
def test_R183_after_a_loss_of_everything_the_gate_is_made_anew(house, client, kept_back):
    campaign = view(total=5, shards=2, per_person=2)
    made = [buy(house, campaign, wish(f"p_{n}", f"r{n}", 2), NOW) for n in range(2)]
    if kept_back:
        house.store.write(lambda tx: house.end(tx, campaign, made[0].id))
    client.flushall()
    assert refused(lambda: buy(house, campaign, wish("p_1", "again"), NOW)) == ("limit", 409)
    assert gate_left(house) == 1 + 2 * kept_back
    # What came back before the loss is said once more after it, and changes nothing.
    house.do_owed(campaign)
    assert gate_left(house) == 1 + 2 * kept_back
    again = buy(house, campaign, wish("p_1", "r1", 2), NOW)
    assert again.id == made[1].id
    assert figures(house.store, campaign).left == 1 + 2 * kept_back


def test_R183_a_gate_that_holds_too_much_cannot_oversell(house, client):
    campaign = view(total=2, shards=2, per_person=0)
    buy(house, campaign, wish(request="r0"), NOW)
    client.hset("drainage:flash_sale:{rush}:left", mapping={"1": 50, "2": 50})
    assert buy(house, campaign, wish(request="r1"), NOW).state == "held"
    for number in range(2, 6):
        assert refused(lambda number=number: buy(house, campaign, wish(request=f"r{number}"), NOW)) == ("sold_out", 409)
    assert figures(house.store, campaign).held == 2


def test_R183_redis_away_refuses_everybody_and_there_is_no_falling_back(house, monkeypatch):
    server = RedisServer()
    try:
        house.redis_url = server.url
        campaign = view(total=5, per_person=0)
        buy(house, campaign, wish(request="r0"), NOW)
        server.kill()
        assert refused(lambda: buy(house, campaign, wish(request="r1"), NOW)) == ("stock_unavailable", 503)
        assert figures(house.store, campaign).held == 1
        server.start()
        assert buy(house, campaign, wish(request="r1"), NOW).state == "held"
        assert figures(house.store, campaign).held == 2
        assert gate_left(house) == 3
    finally:
        server.stop()


def test_R183_without_its_library_it_is_closed_and_says_how_to_open_it(house, monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(Refused, match=r"pip install drainage-gateway\[redis\]") as caught:
        buy(house, view(), wish(), NOW)
    assert (caught.value.code, caught.value.status) == ("stock_unavailable", 503)


def test_R177_what_dies_between_gate_and_store_comes_back_after_a_minute(house, monkeypatch):
    campaign = view(total=4, shards=2, per_person=1)
    write = house.store.write

    def dies(work, **more):
        if house.store.read(lambda tx: tables.sale_of(tx, "rush")) is not None:
            raise StoreUnavailable("gone")
        return write(work, **more)

    monkeypatch.setattr(house.store, "write", dies)
    with pytest.raises(StoreUnavailable):
        buy(house, campaign, wish(), NOW)
    monkeypatch.setattr(house.store, "write", write)
    assert gate_left(house) == 3
    assert kind.deeds[RECONCILE](house, campaign, {}, NOW + GRACE - timedelta(seconds=1)) is None
    assert gate_left(house) == 3
    assert kind.deeds[RECONCILE](house, campaign, {}, NOW + GRACE) is None
    assert gate_left(house) == 4
    assert figures(house.store, campaign).left == 4
    assert buy(house, campaign, wish(request="r2"), NOW).state == "held"


def test_R179_a_retry_after_dying_between_gate_and_store_finishes_the_same_one(house, gate):
    campaign = view(total=8, shards=4)
    gate.admit(Ask("rush", 0, "fr_dead", "r1", ("p_1",), 1, 1, 1), NOW)
    made = buy(house, campaign, wish(request="r1"), NOW)
    assert made.id == "fr_dead"
    assert gate_left(house) == figures(house.store, campaign).left == 7


def test_what_the_store_refuses_goes_back_to_the_gate(house):
    campaign = view(total=4, shards=2)
    house.refuse = Refused("not_for_sale", 409)
    assert refused(lambda: buy(house, campaign, wish(), NOW)) == ("not_for_sale", 409)
    house.refuse = Refused("sold_out", 409)
    assert refused(lambda: buy(house, campaign, wish(), NOW)) == ("sold_out", 409)
    assert gate_left(house) == 4
    house.refuse = None
    assert buy(house, campaign, wish(), NOW).state == "held"


def test_reconciling_clears_what_the_store_holds_and_mends_a_gate_that_is_off(house, client):
    campaign = view(total=4, shards=2, per_person=0)
    buy(house, campaign, wish(), NOW)
    later = NOW + GRACE
    kind.deeds[RECONCILE](house, campaign, {}, later)
    assert client.xlen("drainage:flash_sale:{rush}:journal") == 0
    client.hincrby("drainage:flash_sale:{rush}:left", "1", -1)
    kind.deeds[RECONCILE](house, campaign, {}, later)
    assert gate_left(house) == 3
    client.flushall()
    kind.deeds[RECONCILE](house, campaign, {}, later)
    assert gate_left(house) == 3


def test_a_look_at_the_gate_is_owed_once_a_minute(house):
    campaign = view()
    house.store.write(lambda tx: splitting.loaded(tx, house, campaign, NOW))
    house.owed.clear()
    look = lambda now: house.store.write(lambda tx: kind.sweeps[2](tx, house, campaign, now, 10))
    assert [look(NOW), look(NOW + timedelta(minutes=1)), look(NOW + timedelta(minutes=1))] == [0, 1, 0]
    assert house.owed == [(RECONCILE, {})]
    house.redis_url = ""
    assert look(NOW + timedelta(hours=1)) == 0


def test_units_that_come_back_come_back_to_the_gate_too(house):
    campaign = house.campaign = view(total=4, shards=2, per_person=3)
    made = buy(house, campaign, wish(quantity=3), NOW)
    house.store.write(lambda tx: house.paid(tx, campaign, made.id))
    house.store.write(lambda tx: house.end(tx, campaign, made.id, paid=True, units=1))
    house.do_owed(campaign)
    assert gate_left(house) == figures(house.store, campaign).left == 2
    house.store.write(lambda tx: house.end(tx, campaign, made.id, paid=True, units=3))
    house.do_owed(campaign)
    assert gate_left(house) == figures(house.store, campaign).left == 4


def test_no_name_of_a_person_but_the_house_s_own_lies_in_redis(house, client):
    buy(house, view(), wish(), NOW)
    values = [client.hgetall(key) for key in client.keys("*taken*") + client.keys("*people*")]
    assert all("p_1" in str(value) for value in values)
    assert all(key.startswith("drainage:flash_sale:{rush}:") for key in client.keys("*"))


def test_a_sale_that_nobody_looks_after_any_more_leaves_nothing_in_redis(house, client):
    buy(house, view(), wish(), NOW)
    kind.deeds[RECONCILE](house, view(), {}, NOW)
    keys = client.keys("*")
    assert len(keys) == 6
    assert all(7 * 86_400 < client.ttl(key) <= 8 * 86_400 for key in keys)
