"""A password once more above a limit, and logins that end (R203, R205), for programs and people."""

import pytest

from tests.redeem.conftest import DEAR
from tests.support.world import PASSWORD


def login(world, name="mia"):
    answer = world.client().post("/api/v1/login", json={"username": name, "password": PASSWORD})
    assert answer.status_code == 200
    return world.client(token=answer.json["token"]), answer.json


def redeem(client, code, key="k1", **body):
    return client.post(f"/api/v1/coupons/{code}/redeem", json=body, headers={"Idempotency-Key": key})


def said(answer):
    return answer.status_code, (answer.json or {}).get("code")


REQUIRED = (401, "reauthentication_required")


@pytest.mark.parametrize("catalog", [DEAR])
def test_R205_a_login_moves_large_values_for_five_minutes_and_then_asks(world):
    client, _ = login(world)
    assert redeem(client, world.code(), "k1").status_code == 200
    world.clock.move(minutes=5, seconds=1)
    code = world.code()
    answer = redeem(client, code, "k2")
    assert said(answer) == REQUIRED
    assert answer.json["limit_fen"] == 100_000
    assert world.all("SELECT id FROM redemptions WHERE coupon = :c", c=code) == []
    told = client.post("/api/v1/reauthenticate", json={"username": "mia", "password": PASSWORD})
    assert (told.status_code, told.json) == (200, {"until": "2026-11-22T04:15:07.000Z"})
    # The same request id goes on: what was refused has used nothing up.
    assert redeem(client, code, "k2").status_code == 200


@pytest.mark.parametrize("catalog", [DEAR])
def test_R205_what_was_answered_once_is_answered_again_without_a_password(world):
    client, _ = login(world)
    code = world.code()
    first = redeem(client, code)
    world.clock.move(minutes=30)
    assert redeem(client, code).json == first.json


@pytest.mark.parametrize("catalog", [DEAR])
def test_R205_what_the_bill_makes_of_it_is_what_counts(world):
    client, _ = login(world)
    world.clock.move(minutes=6)
    code = world.code()
    assert said(redeem(client, code, "k1", amount_fen=100_001)) == REQUIRED
    assert redeem(client, code, "k2", amount_fen=100_000).status_code == 200


@pytest.mark.parametrize("catalog", [DEAR])
def test_R205_reversing_a_large_value_asks_too(world):
    client, _ = login(world)
    code = world.code()
    assert redeem(client, code).status_code == 200
    world.clock.move(minutes=6)
    reverse = lambda: client.post(f"/api/v1/coupons/{code}/reverse", json={"reason": "why"})
    assert said(reverse()) == REQUIRED
    client.post("/api/v1/reauthenticate", json={"username": "mia", "password": PASSWORD})
    assert reverse().json["state"] == "claimed"


@pytest.mark.parametrize("catalog", [DEAR])
@pytest.mark.parametrize(
    ("name", "password"), [("mia", "wrong"), ("lin", PASSWORD), ("wang", PASSWORD), ("nobody", "x"), ("", "")]
)
def test_R205_only_his_own_password_counts_for_a_persons_token(world, name, password):
    client, _ = login(world)
    world.clock.move(minutes=6)
    answer = client.post("/api/v1/reauthenticate", json={"username": name, "password": password})
    assert said(answer) == (401, "unauthorized")
    assert said(redeem(client, world.code())) == REQUIRED


@pytest.mark.parametrize("catalog", [DEAR])
def test_R205_a_programs_token_takes_a_user_of_its_scope_and_that_is_audited(world):
    till = world.client("clerk", merchant="sweets", name="till-7")
    code = world.code()
    assert said(redeem(till, code)) == REQUIRED
    for name in ("wang", "nobody"):
        answer = till.post("/api/v1/reauthenticate", json={"username": name, "password": PASSWORD})
        assert said(answer) == (401, "unauthorized")
    assert till.post("/api/v1/reauthenticate", json={"username": "lin", "password": PASSWORD}).status_code == 200
    assert redeem(till, code).status_code == 200
    row = world.one("SELECT who, after FROM audit WHERE action = 'token.confirm'")
    assert (row["who"], row["after"]) == ("lin", '{"name":"till-7"}')


@pytest.mark.parametrize("catalog", [DEAR])
def test_R205_a_clerk_vouches_for_no_managers_token(world):
    program = world.client("manager", merchant="sweets", name="back-office")
    answer = program.post("/api/v1/reauthenticate", json={"username": "lin", "password": PASSWORD})
    assert said(answer) == (401, "unauthorized")
    assert program.post("/api/v1/reauthenticate", json={"username": "mia", "password": PASSWORD}).status_code == 200


def test_R204_R205_guessing_there_is_throttled_like_a_sign_in(world):
    client, _ = login(world)
    for _ in range(10):
        client.post("/api/v1/reauthenticate", json={"username": "mia", "password": "wrong"})
    answer = client.post("/api/v1/reauthenticate", json={"username": "mia", "password": PASSWORD})
    assert said(answer) == (429, "too_many")
    assert int(answer.headers["Retry-After"]) > 0


def test_R202_R205_without_a_token_nobody_is_asked(world):
    answer = world.client().post("/api/v1/reauthenticate", json={"username": "mia", "password": PASSWORD})
    assert said(answer) == (401, "unauthorized")


@pytest.mark.parametrize("catalog", [DEAR])
def test_R205_the_limit_is_a_setting_and_0_is_none(world):
    world.home.config_file.write_text(world.home.config_file.read_text() + "[security]\nreauth_above_fen = 0\n")
    runtime = world.another_runtime()
    mia = runtime.accounts.authenticate(login(world)[1]["token"], world.clock(), ("login",))
    world.clock.move(hours=1)
    assert runtime.accounts.most_without_password(mia, world.clock()) is None
    assert world.runtime.accounts.most_without_password(mia, world.clock()) == 100_000


@pytest.mark.parametrize("catalog", [DEAR])
def test_R205_a_password_given_in_the_future_is_none(world):
    mia = world.runtime.accounts.authenticate(login(world)[1]["token"], world.clock(), ("login",))
    world.clock.move(minutes=-1)
    assert world.runtime.accounts.most_without_password(mia, world.clock()) == 100_000


# -- how long a login goes on -----------------------------------------------------------------------------------------


def test_R203_a_login_ends_twelve_hours_after_its_password_however_often_it_is_refreshed(world):
    client, told = login(world)
    ends = []
    for _ in range(11):
        world.clock.move(hours=1)
        told = client.post("/api/v1/refresh").json
        ends.append(told["expires_at"])
        client = world.client(token=told["token"])
    # Two hours each time, but never beyond 04:05:06 + 12 h.
    assert ends[:2] == ["2026-11-22T07:05:06.000Z", "2026-11-22T08:05:06.000Z"]
    assert ends[-1] == ends[-2] == "2026-11-22T16:05:06.000Z"
    world.clock.move(minutes=59, seconds=59)
    assert client.get("/api/v1/coupons/H7KQ2M9WXT4B5").status_code == 404
    world.clock.move(seconds=1)
    assert said(client.get("/api/v1/coupons/H7KQ2M9WXT4B5")) == (401, "unauthorized")
    assert said(client.post("/api/v1/refresh")) == (401, "unauthorized")


@pytest.mark.parametrize("catalog", [DEAR])
def test_R205_refreshing_is_no_password(world):
    client, _ = login(world)
    world.clock.move(minutes=4)
    client = world.client(token=client.post("/api/v1/refresh").json["token"])
    assert redeem(client, world.code(), "k1").status_code == 200
    world.clock.move(minutes=2)
    assert said(redeem(client, world.code(), "k2")) == REQUIRED


def test_R203_an_api_token_keeps_its_own_end(world):
    program = world.client("clerk", merchant="sweets")
    before = world.one("SELECT expires_at FROM tokens WHERE kind = 'api'")["expires_at"]
    world.clock.move(days=20)
    assert program.post("/api/v1/refresh").json["expires_at"] == before


# -- the API's merge of kept scans ------------------------------------------------------------------------------------


def scans(world, *codes, **more):
    at = world.clock().isoformat()
    listed = [{"nonce": f"nonce-{n:012}", "code": code, "at": at, **more} for n, code in enumerate(codes)]
    return {"sent_at": at, "scans": listed}


def test_R064_a_program_merges_kept_scans(world):
    till = world.client("clerk", merchant="sweets")
    code = world.code()
    foreign = world.code("soup")
    answer = till.post("/api/v1/scans", json=scans(world, code, foreign))
    assert answer.status_code == 200
    first, second = answer.json["results"]
    assert (first["outcome"], first["reason"], first["redeemed"]) == ("redeemed", "", None)
    assert (second["outcome"], second["reason"], second["merchant"]) == ("conflict", "wrong_merchant", "hotpot")
    listed = till.get("/api/v1/scans/conflicts").json["items"]
    assert [one["nonce"] for one in listed] == [second["nonce"]]
    path = f"/api/v1/scans/{second['nonce']}/acknowledge"
    assert said(till.post(path)) == (403, "forbidden")
    assert said(world.client("manager", merchant="hotpot").post(path)) == (404, "not_found")
    assert world.client("manager", merchant="sweets").post(path).status_code == 204
    assert till.get("/api/v1/scans/conflicts").json["items"] == []


def test_R064_another_shops_name_or_too_many_are_refused_whole(world):
    till = world.client("clerk", merchant="sweets")
    assert said(till.post("/api/v1/scans", json=scans(world, world.code(), shop="hotpot-1"))) == (404, "no_such_shop")
    assert till.post("/api/v1/scans", json=scans(world, *["x"] * 21)).status_code == 422
    assert said(world.client("integrator").post("/api/v1/scans", json=scans(world, "x"))) == (403, "forbidden")
    assert world.all("SELECT nonce FROM scans") == []


@pytest.mark.parametrize("catalog", [DEAR])
def test_R064_R205_a_held_scan_goes_through_when_it_is_sent_again_after_the_password(world):
    till = world.client("clerk", merchant="sweets")
    code = world.code()
    body = scans(world, code)
    (one,) = till.post("/api/v1/scans", json=body).json["results"]
    assert (one["outcome"], one["reason"]) == ("held", "reauthentication_required")
    assert till.get(f"/api/v1/coupons/{code}").json["state"] == "reserved"
    till.post("/api/v1/reauthenticate", json={"username": "mia", "password": PASSWORD})
    (one,) = till.post("/api/v1/scans", json=body).json["results"]
    assert one["outcome"] == "redeemed"
