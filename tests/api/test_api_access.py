"""Signing in over HTTP: neutral refusals, the throttle, and tokens that die everywhere at once (R200–R205)."""

import pytest

from tests.support.world import PASSWORD

NEW = "a longer new password"


@pytest.fixture
def nobody(world):
    world.user("wang", "clerk", merchant="sweets")
    return world.client()


def login(client, name="wang", password=PASSWORD, **named):
    return client.post("/api/v1/login", json={"username": name, "password": password}, **named)


def change(client, old=PASSWORD, new=NEW, name="wang"):
    return client.post("/api/v1/password", json={"username": name, "password": old, "new_password": new})


def test_R200_a_name_and_its_password_give_a_token_that_works(world, nobody):
    answer = login(nobody)
    assert answer.status_code == 200
    assert set(answer.json) == {"token", "expires_at"}
    assert answer.json["expires_at"] == "2026-11-22T06:05:06.000Z"
    assert answer.headers["Cache-Control"] == "no-store"
    client = world.client(token=answer.json["token"])
    code = world.code()
    used = client.post(f"/api/v1/coupons/{code}/redeem", headers={"Idempotency-Key": "1"})
    assert used.json["redeemed"]["by"] == "wang"
    world.clock.move(hours=2)
    assert client.get(f"/api/v1/coupons/{code}").status_code == 401


def test_R204_unknown_names_and_wrong_passwords_get_one_answer(nobody, says):
    answers = [login(nobody, "nobody", "x"), login(nobody, "wang", "x"), login(nobody, "", "")]
    assert {says(answer) for answer in answers} == {(401, "unauthorized")}
    assert {tuple(sorted(answer.json)) for answer in answers} == {("code", "message", "request_id")}
    assert len({answer.json["message"] for answer in answers}) == 1


def test_R204_beyond_ten_tries_retry_after_says_when(world, nobody, says):
    for _ in range(10):
        assert says(login(nobody, password="wrong")) == (401, "unauthorized")
    answer = login(nobody)
    assert says(answer) == (429, "too_many")
    wait = int(answer.headers["Retry-After"])
    assert 0 < wait <= 900
    # Another worker counts with this one; another address is another.
    other = world.app(world.another_runtime()).test_client()
    assert says(login(other)) == (429, "too_many")
    assert login(other, environ_base={"REMOTE_ADDR": "192.0.2.9"}).status_code == 200
    world.clock.move(seconds=wait)
    assert login(nobody).status_code == 200


def test_R204_whoever_makes_up_a_forwarded_address_is_not_believed(nobody, says):
    peer = {"REMOTE_ADDR": "198.51.100.7"}
    for number in range(10):
        login(nobody, password="wrong", headers={"X-Forwarded-For": f"192.0.2.{number}"}, environ_base=peer)
    answer = login(nobody, headers={"X-Forwarded-For": "192.0.2.99"}, environ_base=peer)
    assert says(answer) == (429, "too_many")


def test_R204_customers_behind_a_trusted_proxy_are_counted_apart(nobody, says):
    """This machine is trusted by default: it is where a proxy in front of us stands."""
    for _ in range(10):
        login(nobody, password="wrong", headers={"X-Forwarded-For": "192.0.2.1"})
    assert says(login(nobody, headers={"X-Forwarded-For": "203.0.113.5, 192.0.2.1"})) == (429, "too_many")
    assert login(nobody, headers={"X-Forwarded-For": "192.0.2.2"}).status_code == 200


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer x", "Basic d2FuZzp4", "bearer\tx", "Bearer é", "Bearer " + "A" * 5000]
)
def test_R202_missing_and_malformed_tokens_tell_nothing(world, says, header):
    client = world.client()
    answer = client.get("/api/v1/payments", headers={"Authorization": header.encode().decode("latin-1")})
    assert says(answer) == (401, "unauthorized")
    assert set(answer.json) == {"code", "message", "request_id"}


def test_R201_a_token_elsewhere_than_in_the_header_is_none(world, says):
    token = world.token("operator")
    client = world.client()
    client.set_cookie("token", token)
    client.set_cookie("session", token)
    for path in (f"summary?token={token}", f"summary?access_token={token}", "summary"):
        assert says(client.get(f"/api/v1/{path}"))[0] == 401


def test_R201_the_scheme_is_read_as_http_says(world):
    token = world.token("operator")
    assert world.client().get("/api/v1/summary", headers={"Authorization": f"bearer {token}"}).status_code == 200


def test_R203_logged_out_is_dead_in_every_worker(world, nobody, says):
    token = login(nobody).json["token"]
    other = world.app(world.another_runtime()).test_client()
    header = {"Authorization": f"Bearer {token}"}
    assert other.get("/api/v1/coupons/x", headers=header).status_code == 404
    answer = nobody.post("/api/v1/logout", headers=header)
    assert (answer.status_code, answer.data) == (204, b"")
    assert says(other.get("/api/v1/coupons/x", headers=header)) == (401, "unauthorized")
    assert says(nobody.post("/api/v1/logout", headers=header)) == (401, "unauthorized")


def test_R203_a_refreshed_token_replaces_the_old_one(world, nobody, says):
    old = {"Authorization": f"Bearer {login(nobody).json['token']}"}
    world.clock.move(minutes=90)
    answer = nobody.post("/api/v1/refresh", headers=old)
    assert answer.json["expires_at"] == "2026-11-22T07:35:06.000Z"
    assert says(nobody.post("/api/v1/refresh", headers=old)) == (401, "unauthorized")
    assert world.client(token=answer.json["token"]).get("/api/v1/coupons/x").status_code == 404


def test_R203_a_new_password_ends_all_earlier_tokens(world, nobody, says):
    tokens = [login(nobody).json["token"] for _ in range(2)]
    assert change(nobody).status_code == 204
    assert {says(world.client(token=token).get("/api/v1/coupons/x")) for token in tokens} == {(401, "unauthorized")}
    assert says(login(nobody)) == (401, "unauthorized")
    assert login(nobody, password=NEW).status_code == 200


def test_R204_the_first_login_must_replace_the_one_time_password(world, nobody, says):
    once = world.runtime.accounts.create_user("zhao", "operator", None, None, world.clock(), "tests")
    assert says(login(nobody, "zhao", once)) == (403, "password_change_required")
    assert says(login(nobody, "zhao", "wrong")) == (401, "unauthorized")
    assert change(nobody, once, name="zhao").status_code == 204
    token = login(nobody, "zhao", NEW).json["token"]
    assert world.client(token=token).get("/api/v1/summary").status_code == 200


@pytest.mark.parametrize("new", ["", "short", "x" * 11, PASSWORD, "x" * 1001])
def test_R204_weak_passwords_change_nothing(nobody, says, new):
    answer = change(nobody, new=new)
    assert says(answer) == (422, "weak_password")
    assert login(nobody).status_code == 200


def test_R204_changing_a_password_is_throttled_like_signing_in(nobody, says):
    for _ in range(10):
        assert says(change(nobody, old="wrong")) == (401, "unauthorized")
    assert says(change(nobody)) == (429, "too_many")
    assert says(login(nobody)) == (429, "too_many")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "wang"},
        {"username": None, "password": "x"},
        {"username": ["wang"], "password": "x"},
        {"username": "wang", "password": {"$ne": ""}},
        {"username": "wang", "password": 5},
        {"username": "wang", "password": "x", "role": "admin"},
        {"username": "w" * 1001, "password": "x"},
    ],
)
def test_bodies_that_do_not_hold_repeat_nothing(nobody, says, body):
    answer = nobody.post("/api/v1/login", json={**body, **({"password": "canary-pw"} if "x" in body.values() else {})})
    assert says(answer) == (422, "invalid")
    assert "canary-pw" not in answer.text


def test_a_browsers_session_is_no_bearer_token(world, nobody, says):
    session = world.runtime.accounts.login("wang", PASSWORD, "192.0.2.1", world.clock(), "session")
    assert says(world.client(token=session.text).get("/api/v1/coupons/x")) == (401, "unauthorized")
