"""The campaigns' calls: who may, whom they name, what a key is worth, what is kept of a refused one (R072, R205)."""

import pytest

from tests.support.tally import table


def call(world, path="/things", *, role="manager", key="k1", method="POST", slug="tally", **more):
    headers = {"Idempotency-Key": key} if key else {}
    return world.client(role).open(
        f"/api/v1/campaigns/{slug}{path}", method=method, headers={**headers, **more.pop("headers", {})}, **more
    )


@pytest.fixture
def world(worlds):
    return worlds(table(), table("far", circle="hillside"))


def test_R205_the_same_key_gets_the_same_answer_and_is_done_once(world):
    first = call(world, json={"size": 1})
    again = call(world, json={"size": 1})
    assert first.status_code == again.status_code == 201
    assert first.json == again.json == {"person": "", "made": 1}
    assert call(world, json={"size": 1}, key="k2").json["made"] == 2


def test_R205_a_key_for_another_call_is_refused(world):
    call(world, json={"size": 1})
    answer = call(world, json={"size": 2})
    assert (answer.status_code, answer.json["code"]) == (409, "idempotency_key_reused")


def test_R205_another_caller_may_use_the_same_key(world):
    call(world, json={"size": 1})
    assert call(world, json={"size": 2}, role="operator").json["made"] == 2


@pytest.mark.parametrize("key", ["", "   ", "a" * 201, "söndag"])
def test_R205_without_a_good_key_nothing_is_done(world, key):
    answer = world.client("manager").post(
        "/api/v1/campaigns/tally/things", json={}, headers={"Idempotency-Key": key} if key else {}
    )
    assert (answer.status_code, answer.json["code"]) == (400, "idempotency_key_required")


def test_what_is_refused_leaves_nothing_behind_and_its_key_may_be_tried_again(world):
    for _ in range(2):
        answer = call(world, json={"size": "none"})
        assert (answer.status_code, answer.json["code"]) == (409, "sold_out")
    assert world.store.read(lambda tx: tx.all("SELECT * FROM tally_heard")) == []
    assert world.store.read(lambda tx: tx.all("SELECT * FROM idempotency WHERE scope LIKE 'campaign:%'")) == []


@pytest.mark.parametrize("slug", ["none", "far"])
def test_R072_an_unknown_campaign_and_another_circles_are_not_found(world, slug):
    answer = call(world, json={}, slug=slug)
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert world.client("manager").get(f"/api/v1/campaigns/{slug}").status_code == 404


@pytest.mark.parametrize(
    ("path", "role", "status"),
    [
        ("/things", "clerk", 403),
        ("/things", "integrator", 403),
        ("/things", None, 401),
        ("/secrets", "manager", 403),
        ("/secrets", "operator", 201),
        ("/none", "manager", 404),
        ("/things/", "manager", 404),
        ("/things/../secrets", "manager", 404),
    ],
)
def test_R072_a_call_is_for_its_role(world, path, role, status):
    assert call(world, path, role=role, json={}).status_code == status


def test_a_path_of_another_method_says_so(world):
    assert call(world, "/things/x", json={}).status_code == 405
    assert call(world, "/things/x", method="GET").json == {"thing": "x"}


def test_a_call_of_the_sandbox_is_not_there_without_it(worlds):
    assert call(worlds(table(), sandbox=False), "/plays", json={}).status_code == 404


# -- whom a call names ------------------------------------------------------------------------------------------------


def test_an_openid_that_nobody_knew_makes_an_untagged_person(world):
    said = {"openid": "openid-new", "channel": "hotpot-pay"}
    person = call(world, json=said).json["person"]
    assert person.startswith("p_")
    assert call(world, json=said, key="k2").json["person"] == person
    assert call(world, json={"person": person}, key="k3").json["person"] == person
    assert world.store.read(lambda tx: tx.all("SELECT * FROM tags")) == []


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"openid": "openid-a"}, "channel"),
        ({"channel": "hotpot-pay"}, "openid"),
        ({"openid": "openid-a", "channel": "noodles-pay"}, "channel"),
        ({"openid": "openid-a", "channel": "none"}, "channel"),
        ({"openid": "with space", "channel": "hotpot-pay"}, "openid"),
        ({"openid": 7, "channel": "hotpot-pay"}, "openid"),
        ({"openid": "openid-a", "channel": "hotpot-pay", "person": "p_x"}, "openid"),
        ({"person": ["p_x"]}, "person"),
    ],
)
def test_a_person_that_is_named_badly_is_told_by_field(world, said, field):
    answer = call(world, json=said)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
    assert field in answer.json["fields"]
    assert "openid-a" not in answer.text


def test_a_person_who_is_nobody_is_not_found(world):
    assert call(world, json={"person": "p_none"}).status_code == 404


def test_outside_the_sandbox_an_openid_names_nobody(worlds):
    answer = call(worlds(table(), sandbox=False), json={"openid": "openid-a", "channel": "hotpot-pay"})
    assert (answer.status_code, list(answer.json["fields"])) == (422, ["openid"])


# -- bytes ------------------------------------------------------------------------------------------------------------


def test_a_call_of_bytes_takes_them_as_they_are_and_no_more_than_it_wants(world):
    answer = call(
        world,
        "/files",
        method="PATCH",
        data=b"\x00\xff" * 20,
        headers={"Content-Type": "application/offset+octet-stream"},
    )
    assert (answer.status_code, answer.headers["Upload-Offset"], answer.data) == (204, "40", b"")
    assert call(world, "/files", method="PATCH", data=b"x" * 101).status_code == 413


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"a":1,"a":2}', b'"x"', b"\xff"])
def test_a_body_that_is_no_object_is_refused(world, body):
    answer = call(world, data=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json["code"]) == (400, "bad_request")
