"""What one of several processes does in the crowd tests; importable, so that it can be started from nothing.

Each function makes a house of its own over the shared store, waits at the gate, lets many threads go at once, and
gives back what each of them got: a value, or the code of a refusal.
"""

from __future__ import annotations

from gateway import orders
from gateway.catalog.specs import Item, Offer
from gateway.contract.errors import Refused
from tests.support.builders import House, changed, payment
from tests.support.crowd import in_threads

THREADS = 25

SCARCE = (
    changed(Offer, "default", own=1, elsewhere=2, budget_fen=16_000, per_person_per_day=3),
    changed(Item, "bowl", stock=4),
    changed(Item, "menu", stock=10),
)


def one_story(gate, number, url):
    """Everything that many copies of one thing may do, one after another; {what: results}."""
    house = House(url, *SCARCE)
    said = []

    def all_at_once(what, jobs):
        gate.wait(60)
        said.append((what, in_threads(jobs)))

    # R009, R027: one first payment of one payer, told fifty times; then the second.
    for turn in (1, 2):
        all_at_once(f"pay-{turn}", [lambda t=turn: house.pay(f"T{t}", "a").outcome for _ in range(THREADS)])
    # R027: many different first payments of another payer, who is known by two ids.
    all_at_once("known", [lambda: house.pay(f"known-{number}", "b", "b2", channel="noodles").outcome])
    all_at_once("first", [lambda n=n: house.pay(f"F{number}-{n}", ("b", "b2")[n % 2]).outcome for n in range(THREADS)])
    # R054: one link, claimed fifty times.
    link = house.link("T2")
    all_at_once("claim", [lambda: tuple(row["code"] for row in house.claim(link).coupons) for _ in range(THREADS)])
    # R060: one coupon, redeemed by fifty scans of many clerks; and one scan, sent fifty times.
    first, second = (row["code"] for row in house.claim(link).coupons[:2])
    all_at_once("redeem", [lambda n=n: _redeem(house, first, n, f"scan-{number}-{n}") for n in range(THREADS)])
    all_at_once("same scan", [lambda: house.redeem(second, "one scan")["state"] for _ in range(THREADS)])
    # R061: one refund, told fifty times.
    all_at_once("refund", [lambda: house.refund("T2", "R1", 10_000).outcome for _ in range(THREADS)])
    house.close()
    return said


def _redeem(house, code, n, key):
    """("redeemed" or why not, by whom it was)."""
    try:
        shown = house.redeem(code, key, by=f"clerk-{n % 3}")
    except Refused as refused:
        return refused.code, refused.facts["redeemed"]["by"]
    return shown["state"], shown["redeemed"]["by"]


def scarcity(gate, number, url):
    """Many payers, few items, a small budget, limits: each pays twice, claims, redeems or lets be."""
    house = House(url, *SCARCE)

    def customer(n):
        openid = f"c{number}-{n}"
        reached = []
        for turn in range(2):
            house.pay(f"{openid}-{turn}", openid)
        reached.append(house.decisions(f"{openid}-1")["payer_link"][1])
        if house.links(f"{openid}-1"):
            page = house.claim(house.link(f"{openid}-1"))
            reached.append(tuple(row["item"] for row in page.coupons))
        return tuple(reached)

    def impatient(n):
        """One payer from all sides: his limit is three."""
        return house.pay(f"hasty-{number}-{n}", "hasty").outcome

    gate.wait(60)
    said = in_threads([lambda n=n: customer(n) for n in range(12)] + [lambda n=n: impatient(n) for n in range(10)])
    house.close()
    return said


def buyers(gate, number, url):
    """Ten of an item; each buyer orders two and pays late or in time while the sweep closes what is overdue."""
    house = House(url, *SCARCE)
    house.pay(f"known-{number}", f"buyer-{number}")
    person = house.person(f"buyer-{number}")

    def buyer(n):
        order = house.ordering.create(house.directory, "menu", 2, person, house.now)
        late = house.now.replace(minute=house.now.minute + 15 + (n % 2), second=6, microsecond=0)
        return house.ordering.pay(house.directory, order["id"], late if n % 3 else house.now).state

    def sweeper():
        house.write(lambda tx: orders.close_overdue(tx, house.now.replace(minute=house.now.minute + 15), 100))
        return "swept"

    gate.wait(60)
    said = in_threads([lambda n=n: buyer(n) for n in range(10)] + [sweeper] * 5)
    house.close()
    return said


def quarrels(gate, number, url):
    """Each round: a claim, a redemption, a refund and an opt-out that concern the same payment meet each other."""
    house = House(url, changed(Offer, "default", own=1, elsewhere=2, budget_fen=1_000_000))
    said = []
    for turn in range(6):
        openid = f"q-{turn}"
        gate.wait(60)
        if number == 0:
            house.pay(f"{openid}-1", openid)
            house.pay(f"{openid}-2", openid)
            if turn % 2:
                house.claim(house.link(f"{openid}-2"))
        gate.wait(60)
        link = house.link(f"{openid}-2")
        coupons = house.all("SELECT code FROM coupons WHERE origin = :l ORDER BY item", l=link["id"])
        jobs = [
            lambda link=link: house.claim(link).view,
            lambda o=openid: house.refund(f"{o}-2", "R1", 10_000).outcome,
            lambda o=openid: house.take_in(payment(f"{o}-2", o)).outcome,
            lambda link=link: house.claiming.opt_out(house.directory, house.token(link), house.now),
        ]
        jobs += [lambda c=row["code"], t=turn: house.redeem(c, f"s-{number}-{t}-{c}")["state"] for row in coupons]
        said.append((turn, in_threads(jobs)))
    house.close()
    return said
