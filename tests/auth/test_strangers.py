"""Whoever comes with a token that is none, over HTTP: one answer for all, and no way around it (R200–R205)."""

import ast
import base64
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto.mac import hmac_sha256
from gateway.auth import tokens
from gateway.contract.errors import Refused
from tests.support.browsing import Browser, pages_of
from tests.support.world import PASSWORD

ROOT = Path(__file__).parent.parent.parent
NEW = "another long password"
ASKED = ("/api/v1/payments", "/api/v1/summary", "/api/v1/campaigns/nothing", "/api/v1/persons/p_0")


def login(world, name="wang", password=PASSWORD):
    return world.client().post("/api/v1/login", json={"username": name, "password": password})


@pytest.fixture
def token(world):
    """The token of an operator who has just signed in."""
    world.user("wang", "operator")
    return login(world).json["token"]


def claims_of(text):
    return json.loads(base64.urlsafe_b64decode(text.removeprefix(tokens.PREFIX).split(".")[0] + "=="))


def packed(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def made(claims, key=b"", prefix=tokens.PREFIX):
    body = prefix + packed(json.dumps(claims).encode())
    return f"{body}.{packed(hmac_sha256(key, body.encode())) if key else ''}"


def jwt(header, claims, key=b""):
    head = f"{packed(json.dumps(header).encode())}.{packed(json.dumps(claims).encode())}"
    return f"{head}.{packed(hmac_sha256(key, head.encode())) if key else ''}"


def own_key(world):
    return world.home.master_key().derive("api tokens 1")


def expired(world, token):
    world.clock.move(hours=2)
    return f"Bearer {token}"


def revoked(world, token):
    assert world.client(token=token).post("/api/v1/logout").status_code == 204
    return f"Bearer {token}"


def replaced(world, token):
    assert world.client(token=token).post("/api/v1/refresh").status_code == 200
    return f"Bearer {token}"


def password_changed(world, token):
    change = {"username": "wang", "password": PASSWORD, "new_password": NEW}
    assert world.client().post("/api/v1/password", json=change).status_code == 204
    return f"Bearer {token}"


def disabled(world, token):
    world.runtime.accounts.disable_user("wang", world.clock(), "tests")
    return f"Bearer {token}"


def a_browsers(world, _token):
    return f"Bearer {world.runtime.accounts.login('wang', PASSWORD, '192.0.2.1', world.clock(), 'session').text}"


BAD = {
    "missing": lambda _world, _token: None,
    "empty": lambda _world, _token: "",
    "the scheme alone": lambda _world, _token: "Bearer",
    "another scheme": lambda _world, token: f"Basic {token}",
    "no scheme": lambda _world, token: token,
    "two of them": lambda _world, token: f"Bearer {token}, Bearer {token}",
    "malformed": lambda _world, _token: "Bearer x.y.z",
    "not ASCII": lambda _world, token: f"Bearer {token}é",
    "endless": lambda _world, token: f"Bearer {token}{'A' * 9000}",
    "cut off": lambda _world, token: f"Bearer {token[:-1]}",
    "without its signature": lambda _world, token: f"Bearer {token.split('.')[0]}.",
    "wrong signature": lambda _world, token: f"Bearer {token.split('.')[0]}.{packed(b'0' * 32)}",
    "another key": lambda _world, token: f"Bearer {made(claims_of(token), b'k' * 32)}",
    "alg none": lambda _world, token: f"Bearer {made({**claims_of(token), 'alg': 'none'})}",
    "a JWT with alg none": lambda _world, token: f"Bearer {jwt({'alg': 'none'}, claims_of(token))}",
    "a JWT by our key": lambda world, token: f"Bearer {jwt({'alg': 'HS256'}, claims_of(token), own_key(world))}",
    "other kid": lambda world, token: f"Bearer {made({**claims_of(token), 'kid': '2'}, own_key(world))}",
    "a kid that leads elsewhere": lambda world, token: (
        f"Bearer {made({**claims_of(token), 'kid': '../1'}, own_key(world))}"
    ),
    "no kid": lambda world, token: f"Bearer {made({'jti': claims_of(token)['jti']}, own_key(world))}",
    "a longer life": lambda world, token: f"Bearer {made({**claims_of(token), 'exp': 2**40}, own_key(world))}",
    "another role": lambda world, token: f"Bearer {made({**claims_of(token), 'role': 'admin'}, own_key(world))}",
    "another's row": lambda world, token: f"Bearer {made({**claims_of(token), 'jti': 'tk_0'}, own_key(world))}",
    "a browser's": a_browsers,
    "expired": expired,
    "revoked": revoked,
    "replaced by its successor": replaced,
    "of an earlier password": password_changed,
    "of a user who was shut out": disabled,
}


@pytest.mark.parametrize("how", BAD)
def test_R202_R203_every_bad_token_gets_the_one_answer(world, token, how):
    """401, the same words for all, no cookie, and not a word about what was wrong; the good one was answered before."""
    assert world.client(token=token).get("/api/v1/payments").status_code == 200
    header = BAD[how](world, token)
    client = world.client()
    if header is not None:
        client.environ_base["HTTP_AUTHORIZATION"] = header
    plain = world.client().get("/api/v1/payments")
    for path in ASKED:
        answer = client.get(path)
        assert answer.status_code == 401, (how, path)
        assert {**answer.json, "request_id": ""} == {**plain.json, "request_id": ""}
        assert set(answer.json) == {"code", "message", "request_id"}
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert "Set-Cookie" not in answer.headers


def test_R200_the_claims_hold_who_how_long_and_nothing_more(token):
    claims = claims_of(token)
    assert set(claims) == {"kid", "jti", "iat", "exp", "name", "role", "rnd"}
    assert (claims["name"], claims["role"]) == ("wang", "operator")
    assert PASSWORD not in json.dumps(claims)


def test_R200_two_logins_are_two_tokens(world, token):
    another = login(world).json["token"]
    assert another != token
    assert claims_of(another)["rnd"] != claims_of(token)["rnd"]


def test_R201_a_program_is_given_no_cookie_and_a_cookie_opens_no_call(world, token):
    answer = login(world)
    assert "Set-Cookie" not in answer.headers
    client = world.client()
    for name in ("token", "session", "Authorization", "staff"):
        client.set_cookie(name, token)
    assert client.get("/api/v1/payments").status_code == 401
    assert client.get(f"/api/v1/payments?access_token={token}&token={token}").status_code == 401


def test_R201_a_browsers_cookies_are_for_the_server_alone(world):
    world.user("li", "operator")
    browser = Browser(pages_of(world))
    page = browser.get("/login")
    answer = browser.send(page, "/login", username="li", password=PASSWORD)
    cookies = answer.response.headers.getlist("Set-Cookie") + page.response.headers.getlist("Set-Cookie")
    assert len(cookies) >= 2
    for cookie in cookies:
        parts = {part.strip().lower() for part in cookie.split(";")}
        assert {"httponly", "samesite=lax", "secure"} <= parts, cookie


def test_R201_a_form_without_its_token_signs_nobody_in(world):
    world.user("li", "operator")
    browser = Browser(pages_of(world))
    browser.get("/login")
    answer = browser.post("/login", {"username": "li", "password": PASSWORD})
    assert answer.status == 400
    assert browser.get("/admin").status in {302, 303}


def test_R201_no_script_keeps_or_reads_a_token():
    """What scripts keep on a device: scans that wait, and whether the sound is on. None reads a cookie."""
    scripts = [*(ROOT / "gateway/web/static").rglob("*.js"), *(ROOT / "campaigns").rglob("static/**/*.js")]
    assert scripts
    kept = set()
    for script in scripts:
        text = re.sub(r"//[^\n]*|/\*.*?\*/", "", script.read_text("utf-8"), flags=re.DOTALL)
        assert "document.cookie" not in text, script
        assert "sessionStorage" not in text, script
        assert "Authorization" not in text, script
        if "localStorage" in text:
            kept.add(script.name)
    assert kept <= {"queue.js", "scan.js"}, kept


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.lists(st.integers(1, 7300), min_size=1, max_size=12))
def test_R203_however_often_it_is_refreshed_no_token_lives_beyond_two_hours_nor_the_login_beyond_its_day(world, waits):
    accounts = world.runtime.accounts
    if not world.all("SELECT name FROM users WHERE name = 'wang'"):
        world.user("wang", "operator")
    begun = world.clock()
    text = accounts.login("wang", PASSWORD, "192.0.2.1", world.clock()).text
    for wait in waits:
        claims = claims_of(text)
        assert claims["exp"] - claims["iat"] <= 7200
        assert claims["exp"] <= (begun + timedelta(hours=12)).timestamp()
        world.clock.move(seconds=wait)
        try:
            text = accounts.refresh(accounts.authenticate(text, world.clock(), {"login"}), world.clock()).text
        except Refused as refused:
            assert refused.code == "unauthorized"
            assert world.clock().timestamp() >= claims["exp"] or world.clock() - begun >= timedelta(hours=12)
            return


def test_R204_what_is_secret_is_compared_in_constant_time(world, token, monkeypatch):
    """Signature and digest alike go through the one comparison whose time tells nothing."""
    compared = []

    def equal(left, right):
        compared.append((left, right))
        return left == right

    monkeypatch.setattr(tokens, "equal", equal)
    assert world.client(token=token).get("/api/v1/payments").status_code == 200
    assert len(compared) == 2
    source = ast.parse((ROOT / "gateway/auth/tokens.py").read_text("utf-8"))
    plain = {
        ast.unparse(node)
        for node in ast.walk(source)
        if isinstance(node, ast.Compare) and re.search("digest|signature|hmac", ast.unparse(node))
    }
    assert plain == set()


def test_R204_an_unknown_name_is_hashed_like_a_known_one(world, monkeypatch):
    world.user("wang", "operator")
    hasher, asked = world.runtime.accounts.hasher, []
    verify = type(hasher).verify

    def noted(self, stored, password):
        asked.append(stored is None)
        return verify(self, stored, password)

    monkeypatch.setattr(type(hasher), "verify", noted)
    answers = [login(world, "wang", "wrong"), login(world, "nobody", "wrong")]
    assert asked == [False, True]
    assert answers[0].json["message"] == answers[1].json["message"]


def test_R205_what_moves_value_wants_a_request_id_of_its_own(world):
    """Redeeming, and every POST of a campaign: without a key nothing is even looked up, nor with one that is none."""
    code = world.code()
    client = world.client("clerk", merchant="sweets")
    for headers in ({}, {"Idempotency-Key": ""}, {"Idempotency-Key": "with blank"}, {"Idempotency-Key": "x" * 201}):
        answer = client.post(f"/api/v1/coupons/{code}/redeem", headers=headers)
        assert (answer.status_code, answer.json["code"]) == (400, "idempotency_key_required")
    assert client.get(f"/api/v1/coupons/{code}").json["state"] == "claimed"
    first = client.post(f"/api/v1/coupons/{code}/redeem", headers={"Idempotency-Key": "once"})
    again = client.post(f"/api/v1/coupons/{code}/redeem", headers={"Idempotency-Key": "once"})
    assert (first.status_code, first.json) == (again.status_code, again.json)
    other = client.post(f"/api/v1/coupons/{code}/redeem", headers={"Idempotency-Key": "twice"})
    assert other.json["code"] == "already_redeemed"
