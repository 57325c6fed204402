"""Handing a coupon on (R052): one friend, once, on both databases; what a refund, a clerk and time do to a gift."""

from __future__ import annotations

from collections import Counter

import pytest

from gateway import audit, coupons, handover, people
from gateway.contract.errors import Refused
from tests.me import hands
from tests.support.builders import House
from tests.support.crowd import in_processes
from tests.support.invariants import broken

NEVER = "AAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture
def house(store_url):
    made = House(store_url, *hands.GIVING)
    yield made
    assert made.store.read(lambda tx: broken(tx, made.now)) == []
    made.close()


@pytest.fixture
def use(house):
    return hands.giving(house)


@pytest.fixture
def code(house):
    """A coupon of `a` that may be handed on."""
    return house.claimed("a")["bowl"]


def known(house, openid):
    """A customer with one payment behind him."""
    house.pay(f"known-{openid}", openid)
    return house.person(openid)


def gift_of(use, house, code, openid="a"):
    """(id, token) of a gift link that `openid` makes."""
    id_ = use.make(house.directory, code, house.person(openid), house.now)
    return id_, use.token(use.given(id_, house.person(openid), house.now).row)


def coupon(house, code):
    return house.store.read(lambda tx: coupons.by_code(tx, code))


def refusal(work):
    with pytest.raises(Refused) as caught:
        work()
    return caught.value.code, caught.value.status


def test_R052_a_friend_takes_it_under_a_new_code_and_the_old_one_is_worth_nothing(house, use, code):
    friend = known(house, "b")
    before = coupon(house, code)
    gift, token = gift_of(use, house, code)
    assert coupon(house, code)["state"] == "reserved"
    assert refusal(lambda: house.redeem(code)) == ("reserved", 409)
    new = use.take(token, friend, house.now)
    assert new != code
    after = coupon(house, new)
    assert (after["state"], after["person"]) == ("claimed", friend)
    same = set(after.keys()) - {"code", "person"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert refusal(lambda: house.redeem(code)) == ("no_such_coupon", 404)
    assert house.redeem(new)["state"] == "redeemed"
    assert use.given(gift, house.person("a"), house.now).state == "taken"


def test_R052_the_giver_sees_neither_the_new_code_nor_the_coupon(house, use, code):
    _, token = gift_of(use, house, code)
    new = use.take(token, known(house, "b"), house.now)
    page = house.claim(house.link("a-2"), person=house.person("a"))
    assert page.view == "claimed"
    assert page.missed == ()
    shown = {row["code"] for row in page.coupons}
    assert new not in shown
    assert code not in shown
    assert len(shown) == 1
    assert page.given == 1


def test_R052_taking_twice_is_taking_once_and_others_find_nothing(house, use, code):
    friend, other = known(house, "b"), known(house, "c")
    _, token = gift_of(use, house, code)
    new = use.take(token, friend, house.now)
    assert use.take(token, friend, house.now) == new
    assert refusal(lambda: use.take(token, other, house.now)) == ("not_found", 404)
    assert house.count("coupons WHERE person = :p", p=other) == 0


def test_R052_it_changes_hands_only_once(house, use, code):
    friend = known(house, "b")
    _, token = gift_of(use, house, code)
    new = use.take(token, friend, house.now)
    assert refusal(lambda: use.make(house.directory, new, friend, house.now)) == ("not_transferable", 409)
    assert coupon(house, new)["state"] == "claimed"


def test_nobody_gives_to_himself_not_even_as_a_person_he_was_merged_with(house, use, code):
    _, token = gift_of(use, house, code)
    other = known(house, "b")
    assert refusal(lambda: use.take(token, house.person("a"), house.now)) == ("own_gift", 409)

    def merge(tx):
        people.merge(tx, house.ids, house.now, winner=house.person("a"), loser=other, by="t", reason="one man")

    house.write(merge)
    assert refusal(lambda: use.take(token, other, house.now)) == ("own_gift", 409)
    assert coupon(house, code)["state"] == "reserved"


def test_taken_back_it_is_usable_again_and_may_be_given_anew(house, use, code):
    friend = known(house, "b")
    gift, token = gift_of(use, house, code)
    assert use.take_back(gift, house.person("a"), house.now) == "taken_back"
    assert use.take_back(gift, house.person("a"), house.now) == "taken_back"
    assert coupon(house, code)["state"] == "claimed"
    assert refusal(lambda: use.take(token, friend, house.now)) == ("not_found", 404)
    assert refusal(lambda: use.look(token, house.now)) == ("not_found", 404)
    second, other_token = gift_of(use, house, code)
    assert second != gift
    assert other_token != token
    assert use.take(other_token, friend, house.now)


def test_nobody_but_the_giver_sees_or_takes_it_back(house, use, code):
    gift, _ = gift_of(use, house, code)
    stranger = known(house, "b")
    assert refusal(lambda: use.given(gift, stranger, house.now)) == ("not_found", 404)
    assert refusal(lambda: use.take_back(gift, stranger, house.now)) == ("not_found", 404)
    assert refusal(lambda: use.take_back("g_none", house.person("a"), house.now)) == ("not_found", 404)
    assert coupon(house, code)["state"] == "reserved"


def test_nobody_else_makes_a_gift_of_it(house, use, code):
    stranger = known(house, "b")
    assert refusal(lambda: use.make(house.directory, code, stranger, house.now)) == ("not_found", 404)
    assert refusal(lambda: use.make(house.directory, "NONE", stranger, house.now)) == ("not_found", 404)
    assert refusal(lambda: use.make(house.directory, code, "p_none", house.now)) == ("not_found", 404)
    assert coupon(house, code)["state"] == "claimed"


def test_only_what_may_be_handed_on(house, use, code):
    held = house.claimed("z")
    assert "soup" in held
    person = house.person("z")
    assert refusal(lambda: use.make(house.directory, held["soup"], person, house.now)) == ("not_transferable", 409)
    house.redeem(code)
    assert refusal(lambda: use.make(house.directory, code, house.person("a"), house.now)) == ("not_transferable", 409)
    house.apply()
    bowl = held["bowl"]
    assert refusal(lambda: use.make(house.directory, bowl, person, house.now)) == ("not_transferable", 409)


def test_a_coupon_whose_time_is_over_is_not_given(house, use, code):
    house.later(days=14)
    assert refusal(lambda: use.make(house.directory, code, house.person("a"), house.now)) == ("not_transferable", 409)


def test_a_gift_that_nobody_takes_lapses_and_gives_the_coupon_back(house, use, code):
    friend = known(house, "b")
    gift, token = gift_of(use, house, code)
    house.later(days=handover.GIFT_DAYS, seconds=-1)
    assert house.write(lambda tx: handover.lapse(tx, house.now, 10)) == 0
    house.later(seconds=1)
    assert use.given(gift, house.person("a"), house.now).state == "lapsed"
    assert refusal(lambda: use.take(token, friend, house.now)) == ("not_found", 404)
    assert house.write(lambda tx: handover.lapse(tx, house.now, 10)) == 1
    assert house.write(lambda tx: handover.lapse(tx, house.now, 10)) == 0
    assert coupon(house, code)["state"] == "claimed"
    assert house.redeem(code)["state"] == "redeemed"


def test_a_lapsed_gift_that_no_sweep_has_met_does_not_stand_in_the_way(house, use, code):
    first, _ = gift_of(use, house, code)
    house.later(days=handover.GIFT_DAYS)
    second, token = gift_of(use, house, code)
    assert second != first
    assert use.take(token, known(house, "b"), house.now)


def test_a_gift_ends_with_its_coupon(house, use, code):
    house.later(days=12)
    gift, token = gift_of(use, house, code)
    row = use.given(gift, house.person("a"), house.now).row
    assert row["expires_at"] == coupon(house, code)["valid_to"]
    house.later(days=2)
    assert refusal(lambda: use.take(token, known(house, "b"), house.now)) == ("not_found", 404)
    house.write(lambda tx: handover.lapse(tx, house.now, 10))
    assert (
        house.write(lambda tx: sum(coupons.expire(tx, row, house.now) for row in coupons.overdue(tx, house.now, 9)))
        == 2
    )
    assert coupon(house, code)["state"] == "expired"


def test_R061_a_refund_takes_a_waiting_gift_away(house, use, code):
    friend = known(house, "b")
    gift, token = gift_of(use, house, code)
    house.refund("a-2", "R1", 10_000)
    assert coupon(house, code)["state"] == "void"
    assert refusal(lambda: use.take(token, friend, house.now)) == ("not_found", 404)
    assert use.take_back(gift, house.person("a"), house.now) == "lapsed"
    assert coupon(house, code)["state"] == "void"


def test_R061_a_refund_takes_a_taken_gift_away_too(house, use, code):
    _, token = gift_of(use, house, code)
    new = use.take(token, known(house, "b"), house.now)
    house.refund("a-2", "R1", 10_000)
    assert coupon(house, new)["state"] == "void"


def test_a_reversed_redemption_follows_the_coupon_to_its_new_code(house, use, code):
    from gateway.redeeming import Clerk

    house.redeem(code)
    house.redeeming.reverse(code, Clerk("boss", None), "wrong one", house.now)
    _, token = gift_of(use, house, code)
    new = use.take(token, known(house, "b"), house.now)
    assert house.count("redemptions WHERE coupon = :c", c=new) == 1
    assert house.redeem(new, "scan-2")["state"] == "redeemed"


def test_R016_the_audit_tells_who_gave_and_who_took(house, use, code):
    friend = known(house, "b")
    gift, token = gift_of(use, house, code)
    new = use.take(token, friend, house.now)
    rows = house.all("SELECT who, action, object, after FROM audit WHERE object = :g ORDER BY seq", g=gift)
    assert [(row["who"], row["action"]) for row in rows] == [(house.person("a"), "gift.make"), (friend, "gift.take")]
    assert new in rows[1]["after"]
    assert house.store.read(audit.first_broken) is None


@pytest.mark.parametrize("token", ["", NEVER, "x", "../g", "Ａ" * 22, "A" * 5000, NEVER[:-1]])
def test_tokens_that_are_none(house, use, code, token):
    gift_of(use, house, code)
    assert refusal(lambda: use.look(token, house.now)) == ("not_found", 404)
    assert refusal(lambda: use.take(token, house.person("a"), house.now)) == ("not_found", 404)


def test_R052_of_many_friends_at_one_moment_one_gets_it(house, use, code, store_url):
    friends = [known(house, f"f{n}") for n in range(2 * hands.THREADS)]
    _, token = gift_of(use, house, code)
    halves = [friends[: hands.THREADS], friends[hands.THREADS :]]
    got = in_processes(2, hands.take_at_once, store_url, token, halves)
    codes = [(person, word) for person, word in got if word != "not_found"]
    assert len(got) == 2 * hands.THREADS
    assert len(codes) == 1
    ((winner, new),) = codes
    assert coupon(house, new)["person"] == winner
    assert house.count("coupons WHERE item = 'bowl'") == 1


def test_R052_many_taps_of_one_friend_are_one_gift(house, use, code, store_url):
    friend = known(house, "b")
    _, token = gift_of(use, house, code)
    taps = [[friend] * hands.THREADS, [friend] * hands.THREADS]
    got = {word for _, word in in_processes(2, hands.take_at_once, store_url, token, taps)}
    (new,) = got
    assert coupon(house, new)["person"] == friend


def test_many_taps_make_one_gift_link(house, code, store_url):
    got = in_processes(2, hands.make_at_once, store_url, code, house.person("a"))
    assert len(got) == 2 * hands.THREADS
    assert len(set(got)) == 1
    assert house.count("handovers") == 1


@pytest.mark.parametrize("turn", range(3))
def test_taking_back_against_taking_has_one_winner(house, use, code, store_url, turn):
    friend = known(house, "b")
    gift, token = gift_of(use, house, code)
    said = dict(in_processes(2, hands.back_against_take, store_url, gift, token, house.person("a"), friend))
    state = use.given(gift, house.person("a"), house.now).state
    if state == "taken":
        assert said["back"] == "taken"
        assert coupon(house, said["take"])["person"] == friend
    else:
        assert (state, said["take"]) == ("taken_back", "not_found")
        assert coupon(house, code)["state"] == "claimed"
    assert Counter(row["state"] for row in house.all("SELECT state FROM handovers")) == {state: 1}


def test_the_worker_gives_back_what_nobody_took(tmp_path):
    from gateway.app import build_relay, build_spool
    from gateway.relay import Guard
    from gateway.worker import Worker
    from tests.me.conftest import MINE
    from tests.support.world import World

    world = World(tmp_path, catalog=MINE)
    code = world.claimed("openid-a").codes["bowl-5off"]
    person = world.person_of("first-1")
    world.runtime.handing_over.make(world.runtime.directory(), code, person, world.clock())
    worker = Worker(world.runtime, build_relay(world.runtime, Guard(())), build_spool(world.runtime))
    worker.pass_once()
    assert world.one("SELECT state FROM coupons WHERE code = :c", c=code)["state"] == "reserved"
    world.clock.move(days=handover.GIFT_DAYS)
    worker.finish_due()
    assert world.one("SELECT state FROM coupons WHERE code = :c", c=code)["state"] == "claimed"
    assert world.one("SELECT state FROM handovers")["state"] == "lapsed"
    world.close()
