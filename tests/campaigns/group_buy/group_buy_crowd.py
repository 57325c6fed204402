"""What each process of a crowd does: it is started from nothing and works on the home of the test."""

from __future__ import annotations

from pathlib import Path

from campaigns.group_buy import deals, reminders, tables
from gateway.contract.campaign_kind import Caller
from tests.support.crowd import in_threads
from tests.support.world import Clock, runtime_of

BY = Caller("tests", "operator", None)


def _parts(home, moved_to=None):
    clock = Clock()
    if moved_to is not None:
        clock.now = moved_to
    runtime = runtime_of(Path(home), clock)
    runtime.directory()
    (campaign,) = runtime.campaigns.of_kind("group_buy")
    return runtime, campaign, clock()


def pick_at_once(gate, number, home, orders, slots):
    """Every order of this process's half picks the slots, each in a thread."""
    runtime, campaign, now = _parts(home)
    house = runtime.campaigns.house
    mine = orders[number::2]

    def pick(order, at):
        # Half of them name the slots the other way round.
        wanted = list(slots) if at % 2 else list(reversed(slots))
        return house.store.write(lambda tx: deals.choose(tx, house, campaign, order, wanted, now)["id"])

    gate.wait(60)
    told = in_threads([lambda order=order, at=at: pick(order, at) for at, order in enumerate(mine)])
    runtime.store.close()
    return told


def remind_at_once(gate, number, home, moment):
    """A worker sends what is due, a few at a time, until nothing is left."""
    runtime, campaign, now = _parts(home, moment)
    house = runtime.campaigns.house
    gate.wait(60)

    def sweep():
        found = []
        while done := house.store.write(lambda tx: reminders.send_due(tx, house, campaign, now, 7)):
            found.append(done)
        return sum(found)

    told = in_threads([sweep, sweep])
    runtime.store.close()
    return told


def use_and_choose(gate, number, home, order, slots):
    """One process uses the order while the other picks other times for it."""
    runtime, campaign, now = _parts(home)
    house = runtime.campaigns.house
    gate.wait(60)

    def use():
        return house.store.write(lambda tx: deals.use(tx, house, campaign, order, "", BY, now)["state"])

    def choose(slot):
        return house.store.write(lambda tx: deals.choose(tx, house, campaign, order, [slot], now)["state"])

    told = in_threads([use, *(lambda slot=slot: choose(slot) for slot in slots)])
    seats = house.store.read(lambda tx: tables.order(tx, order)["state"])
    runtime.store.close()
    return [(number, *told, seats)]
