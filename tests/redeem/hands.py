"""What one of several processes does in the racing tests; importable, so that it can be started from nothing."""

from __future__ import annotations

from gateway.catalog.specs import Offer
from gateway.offline import Offline, Scan
from gateway.redeeming import Clerk
from tests.support.builders import House, changed
from tests.support.crowd import in_threads


def scans_and_redeems(gate, number, url, code):
    """One coupon: eight kept scans with nonces of their own against eight live ones; what each of them was told."""
    house = House(url, changed(Offer, "default", own=1, elsewhere=2, budget_fen=100_000))
    till = Offline(house.store, house.redeeming)

    def kept(n):
        clerk = Clerk(f"kept-{number}-{n}", frozenset({"sweets"}))
        scan = Scan(f"nonce-{number}-{n}-0000000", code, house.now)
        (said,) = till.merge([scan], house.now, clerk, "sweets", "t", house.now)
        return said.reason or said.outcome

    def live(n):
        return house.redeem(code, f"live-{number}-{n}", by=f"live-{number}-{n}")["state"]

    jobs = [lambda n=n: kept(n) for n in range(8)] + [lambda n=n: live(n) for n in range(8)]
    gate.wait(60)
    said = in_threads(jobs)
    house.close()
    return said
