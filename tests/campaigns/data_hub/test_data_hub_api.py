"""The hub over HTTP, with the worker, a real receiver, and whoever comes with a wrong token."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.hub import Program, catalog, work


def test_R210_R215_a_record_goes_from_its_source_to_every_target_and_reader(world, receiver):
    """Pushed, assembled, archived, delivered to an address and a file, read by cursor and by a campaign's selection."""
    crm = Program(world)
    status, put = crm.push(amt="8800", way="wechat")
    assert status == 201
    work(world)
    ((headers, body),) = receiver.got
    assert body == {"amount": 8800, "way": "wechat", "visit_id": "v-1"}
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Drainage-Hash"] == put["hash"]
    status, told = crm.get("/deliveries", state="done")
    assert sorted(one["target"] for one in told["items"]) == ["crm", "lake"]
    assert (world.home.root / "campaigns" / "data_hub" / "hub" / "visits.db").is_file()
    _, data = crm.get("/models/visit/data")
    assert [(one["key"], one["version"], one["data"]) for one in data["items"]] == [
        ("v-1", 1, {"amount_fen": 8800, "way": "wechat"})
    ]
    _, narrowed = Program(world, "spring token").get("/models/visit/data", campaign="spring")
    assert [one["data"] for one in narrowed["items"]] == [{"amount_fen": 8800}]


def test_R214_a_receiver_that_fails_gets_the_same_again(world, receiver):
    receiver.statuses = [500, 503]
    crm = Program(world)
    crm.push()
    for _ in range(3):
        work(world)
        world.clock.move(minutes=1)
    assert len(receiver.got) == 3
    assert len({headers["Idempotency-Key"] for headers, _ in receiver.got}) == 1
    (done,) = crm.get("/deliveries", target="crm")[1]["items"]
    assert (done["state"], done["tries"]) == ("done", 3)
    world.clock.move(days=1)
    work(world)
    assert len(receiver.got) == 3


def test_R214_a_retry_over_the_api(world, receiver):
    receiver.statuses = [500] * 3
    crm = Program(world)
    crm.push()
    work(world)
    (failed,) = crm.get("/deliveries", state="failed")[1]["items"]
    receiver.statuses = []
    status, told = crm.post(f"/deliveries/{failed['delivery']}/retry", {}, key="again")
    assert (status, told["state"]) == (200, "pending")
    assert crm.post(f"/deliveries/{failed['delivery']}/retry", {}, key="again") == (status, told)
    work(world)
    (done,) = crm.get("/deliveries", target="crm")[1]["items"]
    assert done["state"] == "done"
    assert world.one("SELECT who FROM audit WHERE action = 'data_hub.retry'")["who"] == "crm token"


def test_R214_an_address_that_may_not_be_called_is_not_called(world, crm):
    """The rule of the relay's guard: an apply refuses it, and one that slipped in all the same is not called."""
    world.apply(catalog("http://169.254.169.254/latest"))
    crm.push()
    work(world)
    (failed,) = crm.get("/deliveries", target="crm")[1]["items"]
    assert failed["state"] == "failed"
    assert failed["error"] == "forbidden_address"
    refuses = world.runtime.campaigns.house.catalogue().refuses
    assert refuses("http://169.254.169.254/latest") is not None
    assert refuses("http://127.0.0.1:9100/in") is None


@pytest.mark.parametrize(
    ("role", "scope", "status"),
    [
        ("admin", {}, 201),
        ("operator", {}, 201),
        ("operator", {"circle": "riverside"}, 201),
        ("operator", {"circle": "hillside"}, 404),
        ("manager", {"merchant": "hotpot"}, 403),
        ("clerk", {"merchant": "hotpot"}, 403),
        ("integrator", {}, 403),
    ],
)
def test_R210_R072_a_grant_is_not_enough_without_the_role(world, role, scope, status):
    assert Program(world, role=role, **scope).push()[0] == status


def test_R210_strangers_are_told_nothing(world):
    Program(world).push()
    nobody = world.client()
    for path in ("/models", "/models/visit/data", "/deliveries", "/models/visit/sources"):
        answer = nobody.get(f"/api/v1/campaigns/hub{path}")
        assert answer.status_code == 401
        assert "8800" not in answer.text
    another = Program(world, "stranger")
    assert another.get("/models/visit/data")[0] == 403
    assert another.get("/models/nothing/data")[0] == 404
    assert another.get("/models")[1] == {"items": []}
    assert another.push()[1]["code"] == "no_grant"


def test_R210_the_same_key_is_the_same_answer(world):
    crm = Program(world)
    first = crm.post("/models/visit/records", {"key": "a", "version": 1, "data": {"amt": 1}}, key="one")
    assert crm.post("/models/visit/records", {"key": "a", "version": 1, "data": {"amt": 1}}, key="one") == first
    again = crm.post("/models/visit/records", {"key": "b", "version": 1, "data": {"amt": 1}}, key="one")
    assert again[1]["code"] == "idempotency_key_reused"
    unnamed = crm.client.post("/api/v1/campaigns/hub/models/visit/records", json={})
    assert unnamed.get_json()["code"] == "idempotency_key_required"


def test_R075_a_paused_hub_takes_nothing_in(world):
    crm = Program(world)
    assert crm.post("/state", {"to": "paused"})[0] == 200
    assert crm.push()[1]["code"] == "not_live"
    assert crm.get("/models/visit/data")[0] == 200


def test_R211_models_are_stored_by_the_worker(world):
    work(world)
    _, told = Program(world).get("/models/visit")
    assert [one["version"] for one in told["versions"]] == [1]


numbers = itertools.count(1)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(body=_JSON, path=st.sampled_from(["/models/visit/records", "/models/visit/batches", "/deliveries/x/retry"]))
def test_R212_whatever_is_pushed_gives_no_fault_of_ours(crm, body, path):
    status, told = crm.post(path, body, key=f"k-{next(numbers)}")
    assert status < 500
    assert status < 400 or {"code", "message", "request_id"} <= set(told)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(
    data=st.dictionaries(st.sampled_from(["amt", "amount_fen", "way", "x"]), _JSON, max_size=4), number=st.integers()
)
def test_R212_whatever_a_record_holds_gives_no_fault_of_ours(crm, data, number):
    crm.number = next(numbers)
    status, told = crm.push(key=f"v-{number}", **data)
    assert status in {200, 201, 400, 422}, told
    if status == 422:
        assert told["code"] in {"invalid", "handler_failed"}


def test_R212_deep_and_large_bodies_are_refused(world):
    crm = Program(world)
    deep = "[" * 300 + "]" * 300
    for text, statuses in (
        (f'{{"key":"a","version":1,"data":{{"x":{deep}}}}}', {400, 422}),
        ('{"key":"a","version":1,"data":{"amt":' + "9" * 5000 + "}}", {400, 422}),
        ('{"key":"a","version":1,"data":{"amt":"' + "9" * 5000 + '"}}', {422}),
        ('{"key":"a","version":1,"data":{"amt":1e400}}', {400, 422}),
        ('{"key":"a","version":1,"data":{"amt":"' + "x" * 70_000 + '"}}', {413}),
        ('{"key":"a\\u0000","version":1,"data":{}}', {400}),
        ('{"key":"\\ud800","version":1,"data":{}}', {400}),
        ("[]", {400}),
        ("not json", {400}),
    ):
        crm.number += 1
        answer = crm.client.post(
            "/api/v1/campaigns/hub/models/visit/records",
            data=text,
            headers={"Idempotency-Key": f"k-{crm.number}", "Content-Type": "application/json"},
        )
        assert answer.status_code in statuses, (text[:60], answer.status_code, answer.text[:200])
