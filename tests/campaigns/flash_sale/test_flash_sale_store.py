"""The stock in the store: loading, taking, giving back, merging, splitting anew; on both databases (R244)."""

from datetime import timedelta

import pytest

from campaigns.flash_sale import reserving, splitting, tables
from campaigns.flash_sale.buying import buy
from campaigns.flash_sale.kind import kind
from campaigns.flash_sale.stock import SqlStock, drawer
from gateway.contract.campaign import OrderLate
from gateway.contract.errors import Refused
from gateway.contract.money import Fen
from tests.campaigns.flash_sale.flash_house import NOW, House, figures, view, wish


@pytest.fixture
def house(sale_store):
    return House(sale_store)


def refused(work):
    with pytest.raises(Refused) as caught:
        work()
    return caught.value.code, caught.value.status


def shards(house, campaign):
    return {shard.number: shard.left for shard in house.store.read(lambda tx: splitting.shards_now(tx, campaign)[1])}


def stands(house, campaign):
    found = figures(house.store, campaign)
    return found.total, found.sold, found.held, found.left


def test_R171_a_sale_is_split_evenly_when_it_is_loaded(house):
    campaign = view(total=10, shards=4)
    assert shards(house, campaign) == {0: 0, 1: 3, 2: 3, 3: 2, 4: 2}
    assert house.store.read(lambda tx: tables.sale_of(tx, "rush")) is None
    house.store.write(lambda tx: splitting.loaded(tx, house, campaign, NOW))
    assert shards(house, campaign) == {0: 0, 1: 3, 2: 3, 3: 2, 4: 2}
    assert stands(house, campaign) == (10, 0, 0, 10)


def test_R170_loading_is_told_to_the_nodes_once(house):
    campaign = view()
    for _ in range(3):
        house.store.write(lambda tx: kind.sweeps[0](tx, house, campaign, NOW, 100))
    assert house.owed == [(splitting.LOADED, {"map": 1})]
    house.do_owed(campaign)
    assert house.store.read(lambda tx: tables.sale_of(tx, "rush")).told_at == NOW


@pytest.mark.parametrize("state", ["scheduled", "paused", "ended"])
def test_R170_only_a_live_sale_is_loaded_by_the_worker(house, state):
    assert house.store.write(lambda tx: kind.sweeps[0](tx, house, view(state), NOW, 100)) == 0
    assert house.store.read(lambda tx: tables.sale_of(tx, "rush")) is None


def test_R172_loading_again_never_refills(house):
    campaign = view(total=4, shards=2, per_person=0)
    for number in range(3):
        buy(house, campaign, wish(request=f"r{number}"), NOW)
    for version in (1, 1, 2, 7):
        again = view(version=version, total=400, shards=2, per_person=0)
        house.store.write(lambda tx, again=again: splitting.loaded(tx, house, again, NOW))
    assert stands(house, campaign) == (4, 0, 3, 1)


def test_R179_one_request_is_one_reservation(house):
    campaign = view(per_person=0)
    first = buy(house, campaign, wish(), NOW)
    again = buy(house, campaign, wish(), NOW + timedelta(minutes=3))
    assert again == first
    assert stands(house, campaign) == (100, 0, 1, 99)
    assert refused(lambda: buy(house, campaign, wish(quantity=2), NOW)) == ("idempotency_key_reused", 409)
    assert refused(lambda: buy(house, campaign, wish("p_2"), NOW)) == ("idempotency_key_reused", 409)


def test_R179_the_limit_is_looked_at_before_anything_is_taken(house):
    campaign = view(per_person=2, total=10)
    buy(house, campaign, wish(request="a", quantity=2), NOW)
    before = house.store.read(lambda tx: tables.journal_page(tx, "rush", "", 50))
    assert refused(lambda: buy(house, campaign, wish(request="b"), NOW)) == ("limit", 409)
    assert refused(lambda: buy(house, campaign, wish("p_2", "c", 3), NOW)) == ("limit", 409)
    assert len(house.store.read(lambda tx: tables.journal_page(tx, "rush", "", 50))) == len(before)
    assert stands(house, campaign) == (10, 0, 2, 8)


def test_R179_what_is_known_of_one_human_counts_together(house):
    campaign = view(per_person=2)
    house.group = lambda tx, person: ("p_1", "p_2") if person in ("p_1", "p_2") else (person,)
    buy(house, campaign, wish("p_1", "a"), NOW)
    buy(house, campaign, wish("p_2", "b"), NOW)
    assert refused(lambda: buy(house, campaign, wish("p_2", "c"), NOW)) == ("limit", 409)


def test_R179_who_became_one_human_later_is_counted_for_both(house):
    campaign = view(per_person=2)
    buy(house, campaign, wish("p_1", "a"), NOW)
    buy(house, campaign, wish("p_2", "b"), NOW)
    house.group = lambda tx, person: ("p_2", "p_1")
    assert refused(lambda: buy(house, campaign, wish("p_1", "c"), NOW)) == ("limit", 409)


@pytest.mark.parametrize(
    ("campaign", "code"),
    [
        (view(starts_at=NOW + timedelta(seconds=1)), "not_open"),
        (view("scheduled", starts_at=NOW + timedelta(seconds=1)), "not_open"),
        (view(ends_at=NOW), "not_open"),
        (view("ended", ends_at=NOW), "not_open"),
        (view("paused"), "not_live"),
        (view("draft"), "not_live"),
        (view("archived"), "not_live"),
        (view("ended"), "not_live"),
    ],
)
def test_R174_R180_closed_is_closed_and_nothing_changes(house, campaign, code):
    assert refused(lambda: buy(house, campaign, wish(), NOW)) == (code, 409)
    assert house.store.read(lambda tx: tables.sale_of(tx, "rush")) is None


def test_R174_with_the_switch_off_everything_comes_from_the_main_key(house):
    campaign = view(flow_switch=False, total=5, per_person=0)
    assert buy(house, campaign, wish(), NOW).shard == 0
    assert shards(house, campaign) == {0: 4}


def test_R174_switching_it_off_later_gathers_the_shards(house):
    house.store.write(lambda tx: splitting.loaded(tx, house, view(total=5), NOW))
    off = view(flow_switch=False, total=5, per_person=0)
    assert [buy(house, off, wish(request=f"r{n}"), NOW).shard for n in range(5)] == [0] * 5
    assert refused(lambda: buy(house, off, wish(request="r9"), NOW)) == ("sold_out", 409)
    assert stands(house, off) == (5, 0, 5, 0)


def test_R176_every_unit_is_sold_and_not_one_more(house):
    campaign = view(total=7, shards=3)
    for number in range(7):
        buy(house, campaign, wish(f"p_{number}", f"r{number}"), NOW)
    assert refused(lambda: buy(house, campaign, wish("p_9", "r9"), NOW)) == ("sold_out", 409)
    assert stands(house, campaign) == (7, 0, 7, 0)


def test_R176_R178_what_fits_no_shard_is_merged_and_taken_once(house):
    campaign = view(total=8, shards=4, per_person=0)
    assert buy(house, campaign, wish(quantity=5), NOW).shard == 0
    assert stands(house, campaign) == (8, 0, 5, 3)
    assert refused(lambda: buy(house, campaign, wish(request="r2", quantity=4), NOW)) == ("sold_out", 409)
    assert buy(house, campaign, wish(request="r3", quantity=3), NOW).units == 3
    assert stands(house, campaign) == (8, 0, 8, 0)


def test_R178_small_shards_are_closed_into_the_central_one(house):
    campaign = view(total=9, shards=4, per_person=0, shard_floor=3)
    house.store.write(lambda tx: splitting.loaded(tx, house, campaign, NOW))
    assert house.store.write(lambda tx: kind.sweeps[1](tx, house, campaign, NOW, 100)) == 3
    assert shards(house, campaign) == {0: 6, 1: 3, 2: 0, 3: 0, 4: 0}
    assert stands(house, campaign) == (9, 0, 0, 9)


def test_R178_when_it_is_over_all_rests_lie_in_the_central_one(house):
    campaign = view(total=9, shards=4)
    buy(house, campaign, wish(), NOW)
    house.store.write(lambda tx: kind.sweeps[1](tx, house, view("ended", total=9), NOW, 100))
    assert shards(house, campaign) == {0: 8, 1: 0, 2: 0, 3: 0, 4: 0}
    assert stands(house, campaign) == (9, 0, 1, 8)


def test_R181_an_unpaid_one_goes_back_once(house):
    campaign = view(total=4, shards=2)
    made = buy(house, campaign, wish(), NOW)
    for _ in range(3):
        house.store.write(lambda tx: house.end(tx, campaign, made.id))
    assert stands(house, campaign) == (4, 0, 0, 4)
    assert buy(house, campaign, wish(request="again"), NOW).state == "held"


def test_R181_cancelling_twice_is_cancelling_once(house):
    campaign = house.campaign = view(total=4, shards=2)
    made = buy(house, campaign, wish(), NOW)
    for _ in range(2):
        done = house.store.write(lambda tx: reserving.cancel(tx, house, campaign, made.id, NOW))
        assert done.state == "cancelled"
    assert stands(house, campaign) == (4, 0, 0, 4)


def test_what_was_paid_cannot_be_cancelled(house):
    campaign = house.campaign = view()
    made = buy(house, campaign, wish(), NOW)
    house.store.write(lambda tx: house.paid(tx, campaign, made.id))
    house.store.write(lambda tx: house.paid(tx, campaign, made.id))
    cancel = lambda: house.store.write(lambda tx: reserving.cancel(tx, house, campaign, made.id, NOW))
    assert refused(cancel) == ("bad_transition", 409)
    assert stands(house, campaign) == (100, 1, 0, 99)
    unknown = lambda: house.store.write(lambda tx: reserving.cancel(tx, house, campaign, "fr_none", NOW))
    assert refused(unknown) == ("not_found", 404)


def late(house, campaign, made):
    event = OrderLate(made.order_id, campaign.slug, made.id, made.person, 1, Fen(990))
    return house.store.write(lambda tx: kind.take(tx, house, campaign, event, NOW)).outcome


def test_R047_late_money_takes_again_what_is_left(house):
    campaign = view(total=2, shards=2, per_person=1)
    made = buy(house, campaign, wish(), NOW)
    house.store.write(lambda tx: house.end(tx, campaign, made.id))
    assert late(house, campaign, made) == "done"
    assert stands(house, campaign) == (2, 0, 1, 1)
    house.store.write(lambda tx: house.paid(tx, campaign, made.id))
    assert stands(house, campaign) == (2, 1, 0, 1)


@pytest.mark.parametrize("why", ["sold_out", "limit", "paused"])
def test_R047_late_money_never_oversells(house, why):
    campaign = view(total=1, shards=1)
    made = buy(house, campaign, wish(), NOW)
    house.store.write(lambda tx: house.end(tx, campaign, made.id))
    if why == "sold_out":
        buy(house, campaign, wish("p_2", "r2"), NOW)
    elif why == "limit":
        buy(house, campaign, wish("p_1", "r2"), NOW)
    else:
        campaign = view("paused", total=1, shards=1)
    assert late(house, campaign, made) == "refused"
    house.store.write(lambda tx: house.end(tx, campaign, made.id, paid=True, units=1))
    assert house.store.read(lambda tx: tables.reservation_of(tx, "rush", made.id)).state == "refunded"
    assert sum(stands(house, campaign)[1:]) == 1


def test_R047_money_within_an_order_that_was_just_not_closed_keeps_its_units(house):
    campaign = view(total=1, shards=1)
    made = buy(house, campaign, wish(), NOW)
    assert late(house, campaign, made) == "done"
    house.store.write(lambda tx: house.end(tx, campaign, made.id, paid=True, units=1))
    assert stands(house, campaign) == (1, 0, 0, 1)


def test_refunded_pieces_are_sold_again_and_counted_once(house):
    campaign = view(total=10, shards=2, per_person=3)
    made = buy(house, campaign, wish(quantity=3), NOW)
    house.store.write(lambda tx: house.paid(tx, campaign, made.id))
    for units in (1, 1, 3, 3):
        house.store.write(lambda tx, units=units: house.end(tx, campaign, made.id, paid=True, units=units))
    assert stands(house, campaign) == (10, 0, 0, 10)
    assert buy(house, campaign, wish(request="again", quantity=3), NOW).state == "held"


def resplit(house, campaign, shards=None, total=None):
    return house.store.write(lambda tx: splitting.resplit(tx, house, campaign, "boss", shards, total, NOW))


def test_R182_a_paused_sale_is_split_anew(house):
    campaign = view(total=10, shards=2, per_person=0)
    held = buy(house, campaign, wish(request="a", quantity=3), NOW)
    sold = buy(house, campaign, wish(request="b", quantity=2), NOW)
    house.store.write(lambda tx: house.paid(tx, campaign, sold.id))
    paused = view("paused", total=10, shards=2, per_person=0)
    assert refused(lambda: resplit(house, campaign, 5)) == ("not_paused", 409)
    assert refused(lambda: resplit(house, paused, total=4)) == ("below_sold", 409)
    assert refused(lambda: resplit(house, paused, shards=0)) == ("invalid", 422)
    assert refused(lambda: resplit(house, paused, shards=257)) == ("invalid", 422)
    assert refused(lambda: resplit(house, paused, total=10**10)) == ("invalid", 422)
    assert stands(house, campaign) == (10, 2, 3, 5)
    assert resplit(house, paused, 3, 12).map == 2
    assert shards(house, campaign) == {0: 0, 1: 3, 2: 2, 3: 2}
    assert stands(house, campaign) == (12, 2, 3, 7)
    # What was held before the split goes back after it, once.
    for _ in range(2):
        house.store.write(lambda tx: house.end(tx, campaign, held.id))
    assert stands(house, campaign) == (12, 2, 0, 10)
    assert resplit(house, paused, 1, 2).map == 3
    assert stands(house, campaign) == (2, 2, 0, 0)
    assert refused(lambda: buy(house, campaign, wish(request="c"), NOW)) == ("sold_out", 409)


def test_R182_without_numbers_the_file_s_newer_ones_are_taken(house):
    house.store.write(lambda tx: splitting.loaded(tx, house, view(total=10, shards=2), NOW))
    same = view("paused", total=10, shards=2)
    assert resplit(house, same).map == 2
    assert stands(house, same) == (10, 0, 0, 10)
    newer = view("paused", version=2, total=20, shards=5)
    assert resplit(house, newer).shards == 5
    assert stands(house, newer) == (20, 0, 0, 20)


def rebuild(house, campaign):
    house.store.write(lambda tx: splitting.rebuild(tx, house, campaign, "boss", NOW))


def test_R183_shards_are_made_anew_from_the_journal(house):
    campaign = view(total=10, shards=3, per_person=0)
    kept = [buy(house, campaign, wish(request=f"r{n}", quantity=2), NOW) for n in range(4)]
    house.store.write(lambda tx: house.paid(tx, campaign, kept[0].id))
    house.store.write(lambda tx: house.end(tx, campaign, kept[1].id))
    before = shards(house, campaign)
    house.store.write(lambda tx: tx.run("UPDATE flash_sale_shards SET units_left = 99, held = 0, sold = 0"))
    assert not house.store.read(lambda tx: splitting.report(tx, campaign)).agrees
    assert refused(lambda: rebuild(house, campaign)) == ("not_paused", 409)
    rebuild(house, view("paused", total=10, shards=3))
    assert shards(house, campaign) == before
    assert stands(house, campaign) == (10, 2, 4, 4)


def test_R177_the_item_s_own_stock_may_end_first_and_nothing_is_lost(house):
    campaign = view(total=3, shards=1)
    house.refuse = Refused("sold_out", 409)
    assert refused(lambda: buy(house, campaign, wish(), NOW)) == ("sold_out", 409)
    house.refuse = None
    assert buy(house, campaign, wish(), NOW).state == "held"
    assert stands(house, campaign) == (3, 0, 1, 2)


def test_R171_a_total_in_fen_is_deducted_by_each_sale_s_own_value(house):
    campaign = view(unit="fen", total=1000, shards=2, per_person=3)
    made = buy(house, campaign, wish(request="a", cost_fen=700), NOW)
    assert (made.units, made.quantity, made.shard) == (700, 1, 0)
    assert stands(house, campaign) == (1000, 0, 700, 300)
    assert refused(lambda: buy(house, campaign, wish(request="b", cost_fen=301), NOW)) == ("sold_out", 409)
    buy(house, campaign, wish(request="c", cost_fen=300), NOW)
    house.store.write(lambda tx: house.end(tx, campaign, made.id))
    assert stands(house, campaign) == (1000, 0, 300, 700)


def test_a_shard_never_goes_below_zero_whatever_is_asked(house):
    campaign = view(total=3, shards=1)
    house.store.write(lambda tx: splitting.loaded(tx, house, campaign, NOW))
    line = tables.Line("rush", 1, 1, "deduct", "x")
    for change in (tables.Change(left=-4, held=4), tables.Change(held=-1, sold=1), tables.Change(sold=-1, left=1)):
        assert not house.store.write(lambda tx, change=change: tables.move(tx, house.ids, line, change, NOW))
    assert stands(house, campaign) == (3, 0, 0, 3)


def test_chance_is_spread_over_the_shards(house):
    campaign = view(total=400, shards=4, per_person=0)
    house.store.write(lambda tx: splitting.loaded(tx, house, campaign, NOW))
    seen = {buy(house, campaign, wish(request=f"r{n}"), NOW).shard for n in range(60)}
    assert seen == {1, 2, 3, 4}


def test_a_merge_with_nothing_to_merge_moves_nothing(house):
    campaign = view(total=4, shards=4)
    house.store.write(lambda tx: splitting.loaded(tx, house, campaign, NOW))
    stock = lambda tx: SqlStock(tx, house.ids, drawer(house.random))
    assert not house.store.write(lambda tx: stock(tx).gather("rush", 1, 5, NOW))
    assert house.store.write(lambda tx: stock(tx).close_small("rush", 1, 0, NOW)) == 0
    assert shards(house, campaign) == {0: 0, 1: 1, 2: 1, 3: 1, 4: 1}
