"""The same API over PostgreSQL, with two gateways on one database."""

import concurrent.futures
import multiprocessing

import pytest

from tests.support.racing import redeem_at_once
from tests.support.world import PASSWORD, World

pytestmark = pytest.mark.postgres


@pytest.fixture
def shared(tmp_path, postgres_url):
    world = World(tmp_path, store_url=postgres_url)
    yield world
    world.close()


def test_what_operators_read_is_the_same(shared, says):
    gift = shared.claimed("openid-a")
    for number in range(60):
        shared.pay(f"T{number:02d}", channel="sweets-pay")
    client = shared.client("operator", circle="riverside")
    first = client.get("/api/v1/payments").json
    rest = client.get(f"/api/v1/payments?cursor={first['next']}").json
    assert [len(first["items"]), len(rest["items"]), rest["next"]] == [50, 12, None]
    assert [one["transaction_id"] for one in rest["items"]][-2:] == ["second-1", "first-1"]
    person = shared.person_of("second-1")
    assert sorted(client.get(f"/api/v1/persons/{person}").json["coupons"]) == sorted(gift.codes.values())
    counts = client.get("/api/v1/summary").json
    assert (counts["payments"], counts["tagged"], counts["coupons_claimed"]) == (62, 1, 2)
    assert says(shared.client("manager", merchant="noodles").get("/api/v1/payments/second-1")) == (404, "not_found")


def test_R203_R204_tokens_and_throttles_are_one_for_both_gateways(shared, says):
    shared.user("wang", "clerk", merchant="sweets")
    here, there = (shared.app(runtime).test_client() for runtime in (shared.runtime, shared.another_runtime()))
    body = {"username": "wang", "password": PASSWORD}
    header = {"Authorization": f"Bearer {here.post('/api/v1/login', json=body).json['token']}"}
    assert there.get("/api/v1/coupons/x", headers=header).status_code == 404
    assert there.post("/api/v1/logout", headers=header).status_code == 204
    assert says(here.get("/api/v1/coupons/x", headers=header)) == (401, "unauthorized")
    for number in range(10):
        client = (here, there)[number % 2]
        assert says(client.post("/api/v1/login", json={**body, "password": "wrong"})) == (401, "unauthorized")
    assert says(here.post("/api/v1/login", json=body)) == (429, "too_many")
    assert says(there.post("/api/v1/login", json=body)) == (429, "too_many")


def test_R060_fifty_redeems_over_two_gateways_have_one_winner(shared):
    code = shared.code()
    tokens = [shared.token("clerk", merchant="sweets", name=name) for name in ("clerk-one", "clerk-two")]
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=spawn) as pool:
        running = [
            pool.submit(redeem_at_once, shared.home.root, token, code, [f"{place}-{n}" for n in range(25)])
            for place, token in enumerate(tokens)
        ]
        answers = [answer for one in running for answer in one.result()]
    assert sorted(answers) == [(200, "redeemed")] + [(409, "already_redeemed")] * 49
