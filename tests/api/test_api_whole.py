"""The API as part of the whole application: the pages' cookies, form tokens and error pages are none of its business."""

import pytest
import structlog
from werkzeug.test import Client

from gateway.app import create_app
from tests.support.world import PASSWORD


@pytest.fixture
def front(world):
    before = structlog.get_config()
    yield Client(create_app(world.runtime))
    structlog.configure(**before)


def test_R201_a_program_needs_neither_cookie_nor_form_token(world, front):
    world.user("wang", "manager", merchant="sweets")
    answer = front.post("/api/v1/login", json={"username": "wang", "password": PASSWORD})
    header = {"Authorization": f"Bearer {answer.json['token']}"}
    code = world.code()
    used = front.post(f"/api/v1/coupons/{code}/redeem", headers={**header, "Idempotency-Key": "1"})
    undone = front.post(f"/api/v1/coupons/{code}/reverse", headers=header, json={"reason": "x"})
    assert [answer.status_code, used.status_code, undone.status_code] == [200, 200, 200]
    assert not any("Set-Cookie" in one.headers for one in (answer, used, undone))


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("GET", "/api/v1/nothing", (404, "not_found")),
        ("GET", "/api/v1/login", (405, "method_not_allowed")),
        ("GET", "/api/v1/summary", (401, "unauthorized")),
        ("POST", "/api/v1/login", (422, "invalid")),
    ],
)
def test_a_program_gets_json_where_people_get_pages(front, says, method, path, answer):
    assert says(front.open(path, method=method, headers={"Accept": "text/html"})) == answer


def test_R201_a_browsers_session_cookie_opens_no_api(world, front, says):
    world.user("wang", "admin")
    session = world.runtime.accounts.login("wang", PASSWORD, "192.0.2.1", world.clock(), "session").text
    for name in ("session", "drainage_session", "__Host-session"):
        front.set_cookie(name, session)
    assert says(front.get("/api/v1/summary")) == (401, "unauthorized")
