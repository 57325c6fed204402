"""R177 with real processes and threads: 200 buyers of 100 units, a process killed in the middle, Redis lost."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import redis

from campaigns.flash_sale import reserving
from campaigns.flash_sale.kind import RECONCILE, kind
from campaigns.flash_sale.redis_stock import GRACE, gate_of
from gateway.contract.errors import Refused
from tests.campaigns.flash_sale.flash_crowd import crowd
from tests.campaigns.flash_sale.flash_house import NOW, House, figures, view, wish
from tests.support.redis_server import RedisServer

ROOT = Path(__file__).parents[3]
TOTAL = 100


@pytest.fixture(params=["", "redis"])
def gate_url(request):
    """Without Redis, and with it in front."""
    return request.getfixturevalue("redis_url") if request.param else ""


def process(url, gate_url, name, buyers):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.campaigns.flash_sale.flash_crowd", url, gate_url, name, str(buyers), str(TOTAL)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def read(one):
    # Not by `communicate`: it would lose what an earlier `readline` has read ahead.
    told = one.stdout.read()
    one.stdout.close()
    assert one.wait(timeout=100) == 0
    return told.split("\n")[:-1]


def test_R177_two_hundred_buyers_of_a_hundred_units_make_a_hundred_sales(sale_url, sale_store, gate_url):
    processes = [process(sale_url, gate_url, name, 100) for name in ("a", "b")]
    told = Counter(line.split()[0 if line.startswith("R") else 1] for one in processes for line in read(one))
    assert told == {"R": TOTAL, "sold_out": 100}
    found = figures(sale_store, view(total=TOTAL))
    assert (found.total, found.sold, found.held, found.left) == (TOTAL, 0, TOTAL, 0)


def test_R177_a_process_killed_in_the_middle_costs_nobody_a_unit(sale_url, sale_store, gate_url):
    dying = process(sale_url, gate_url, "a", 80)
    answered = [dying.stdout.readline().strip() for _ in range(15)]
    dying.kill()
    answered += [line for line in dying.stdout.read().split("\n") if line]
    dying.stdout.close()
    dying.wait()
    promised = {line.split()[1] for line in answered if line.startswith("R ")}
    assert len(promised) >= 15

    campaign, house = view(total=TOTAL), House(sale_store, gate_url)
    kept = {row["id"] for row in sale_store.read(lambda tx: tx.all("SELECT id FROM flash_sale_reservations"))}
    assert promised <= kept
    found = figures(sale_store, campaign)
    assert (found.total, found.held) == (TOTAL, len(kept))
    # The gate gives back what died on its way; then the rest is sold to the last unit.
    if gate_url:
        assert kind.deeds[RECONCILE](house, campaign, {}, NOW + 2 * GRACE) is None
        assert sum(gate_of(house).left("rush").values()) == TOTAL - len(kept)
    told = crowd(sale_url, gate_url, "late", TOTAL - len(kept) + 5, TOTAL)
    assert Counter(line[0] for line in told) == {"R": TOTAL - len(kept), "N": 5}
    assert figures(sale_store, campaign).left == 0


@pytest.mark.parametrize("loss", ["flushed", "killed"])
def test_R183_losing_redis_while_selling_neither_oversells_nor_undersells(sale_url, sale_store, loss):
    server = RedisServer()
    try:
        selling = process(sale_url, server.url, "a", 120)
        told = [selling.stdout.readline().strip() for _ in range(20)]
        if loss == "flushed":
            with redis.Redis.from_url(server.url) as client:
                client.flushall()
        else:
            server.kill()
            server.start()
        told += read(selling)
        sold = sum(line.startswith("R ") for line in told)
        found = figures(sale_store, view(total=TOTAL))
        assert (found.total, found.held, found.left) == (TOTAL, sold, TOTAL - sold)
        # Whoever was told that all is gone came at the moment of the loss at worst; what is left is still for sale.
        house = House(sale_store, server.url)
        kind.deeds[RECONCILE](house, view(total=TOTAL), {}, NOW + 2 * GRACE)
        rest = crowd(sale_url, server.url, "late", TOTAL - sold + 3, TOTAL)
        assert sum(line.startswith("R ") for line in rest) == TOTAL - sold
        found = figures(sale_store, view(total=TOTAL))
        assert (found.held, found.left) == (TOTAL, 0)
    finally:
        server.stop()


def test_R179_fifty_copies_of_one_request_are_one_reservation(sale_store, gate_url):
    import threading

    from campaigns.flash_sale.buying import buy

    house, campaign = House(sale_store, gate_url), view(total=10, shards=2)
    start, made = threading.Barrier(50), []

    def click():
        start.wait()
        made.append(buy(house, campaign, wish(), NOW).id)

    threads = [threading.Thread(target=click) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 50
    assert len(set(made)) == 1
    assert figures(sale_store, campaign).held == 1


def test_R181_cancelled_paid_and_lapsed_at_once_it_ends_one_way(sale_store):
    import threading

    from campaigns.flash_sale.buying import buy

    house, campaign = House(sale_store), view(total=10, shards=2)
    house.campaign = campaign
    for number in range(10):
        made = buy(house, campaign, wish(f"p_{number}", f"r{number}"), NOW)
        start = threading.Barrier(6)

        def end(work, made=made, start=start):
            start.wait()
            try:
                sale_store.write(work)
            except Refused as refused:
                assert refused.code == "bad_transition"

        works = [
            lambda tx, made=made: reserving.cancel(tx, house, campaign, made.id, NOW),
            lambda tx, made=made: house.paid(tx, campaign, made.id),
            lambda tx, made=made: house.end(tx, campaign, made.id),
        ]
        threads = [threading.Thread(target=end, args=(work,)) for work in works * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = figures(sale_store, campaign)
    assert (found.total, found.held) == (10, 0)
    assert found.sold + found.left == 10
