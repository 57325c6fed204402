"""A day with newcomers, four that fire until the budget ends, and a refund."""

import pytest

from tests.support.world import CATALOG, World

TABLE = """
[campaign.both]
kind = "two_sided"
circle = "riverside"
state = "live"
budget_fen = 1000
user_fen = 200
merchant_fen = 100
quota_codes = false
[campaign.sale]
kind = "two_sided"
circle = "hillside"
state = "draft"
user_fen = 200
merchant_fen = 100
quota_codes = false
"""


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path, catalog=CATALOG + TABLE)
    number = 0
    for openid in ("a", "b", "c", "a", "b", "c", "a", "b"):
        number += 1
        world.clock.move(minutes=3)
        world.pay(f"T{number}", openid)
    world.clock.move(minutes=3)
    world.refund("T5", 10_000)
    world.pay("T-none")
    yield world
    world.close()
