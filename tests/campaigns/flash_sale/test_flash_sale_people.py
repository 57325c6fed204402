"""R016: a buyer's reservations in his copy; forgetting him touches no figure of the sale."""

import pytest

from campaigns.flash_sale.kind import kind
from tests.support.forgotten import copy_of, forget
from tests.support.world import CATALOG, World

SALE = """
[campaign.rush]
kind = "flash_sale"
circle = "riverside"
state = "live"
item = "set-menu"
total = 5
shards = 2
per_person = 2
price_fen = 500
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request, tmp_path):
    more = {"store_url": request.getfixturevalue("postgres_url")} if request.param == "postgres" else {}
    made = World(tmp_path, sandbox=True, catalog=CATALOG + SALE, **more)
    made.runtime.directory()
    made.store.write(lambda tx: made.runtime.campaigns.sweep(tx, made.clock(), 100))
    yield made
    made.close()


def reserve(world, openid):
    answer = world.client("manager").post(
        "/api/v1/campaigns/rush/reservations",
        json={"openid": openid, "channel": "hotpot-pay", "quantity": 1},
        headers={"Idempotency-Key": openid},
    )
    assert answer.status_code == 201, answer.json
    return world.one("SELECT * FROM flash_sale_reservations WHERE id = :id", id=answer.json["reservation"])["person"]


def test_R016_his_reservations_are_told_and_stay_as_figures(world):
    person, other = reserve(world, "guest-a"), reserve(world, "guest-b")
    kept = copy_of(world, person)["flash_sale.flash_sale_reservations"]
    assert [(row["quantity"], row["amount_fen"], row["state"]) for row in kept] == [(1, 500, "held")]
    assert person not in str(kept)
    assert other not in str(kept)
    before = [dict(row) for row in world.all("SELECT * FROM flash_sale_shards ORDER BY number")]
    forget(world, person)
    assert [dict(row) for row in world.all("SELECT * FROM flash_sale_shards ORDER BY number")] == before
    assert len(world.all("SELECT id FROM flash_sale_reservations")) == 2
    house = world.runtime.campaigns.house
    assert world.store.read(lambda tx: kind.copy_for(tx, house, ())) == {"flash_sale_reservations": []}
