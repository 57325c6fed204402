"""What each process of the gift tests runs, so that it can be imported there."""

from __future__ import annotations

from gateway.catalog.specs import Item
from gateway.handover import HandingOver
from tests.support.builders import House, changed
from tests.support.crowd import in_threads

THREADS = 12
GIVING = (changed(Item, "bowl", transferable=True), changed(Item, "cut", weight=0))


def giving(house: House) -> HandingOver:
    """The use case over a house."""
    return HandingOver(house.store, house.ids, house.claiming.random, house.link_keys)


def take_at_once(gate, number, url, token, people):
    """Every person takes the same gift at the same moment: (person, what he got) of each."""
    house = House(url, *GIVING)
    use = giving(house)
    gate.wait(60)
    jobs = [lambda p=person: (p, _taken(use, token, p, house.now)) for person in people[number]]
    got = in_threads(jobs)
    house.close()
    return got


def _taken(use, token, person, now):
    from gateway.contract.errors import Refused

    try:
        return use.take(token, person, now)
    except Refused as refused:
        return refused.code


def make_at_once(gate, number, url, code, person):
    """One coupon, handed on by many taps: the gift's id of each."""
    house = House(url, *GIVING)
    use = giving(house)
    gate.wait(60)
    got = in_threads([lambda: use.make(house.directory, code, person, house.now) for _ in range(THREADS)])
    house.close()
    return got


def back_against_take(gate, number, url, gift, token, giver, taker):
    """The giver takes back in one process while the friend takes in the other."""
    house = House(url, *GIVING)
    use = giving(house)
    gate.wait(60)
    if number:
        got = [("back", use.take_back(gift, giver, house.now))]
    else:
        got = [("take", _taken(use, token, taker, house.now))]
    house.close()
    return got
