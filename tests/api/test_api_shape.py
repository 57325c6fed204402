"""One shape for every refusal, whatever is sent; nothing repeated, nothing leaked, nothing broken (R077)."""

import json
import logging

import pytest
import structlog

from gateway.contract import StoreUnavailable
from gateway.web.api.bodies import is_storable
from tests.support.world import PASSWORD, SECRET


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("GET", "/api/v1/nothing", (404, "not_found")),
        ("POST", "/api/v1/nothing", (404, "not_found")),
        ("GET", "/api/", (404, "not_found")),
        ("GET", "/api/v1/", (404, "not_found")),
        ("GET", "/api/v2/summary", (404, "not_found")),
        ("GET", "/api/v1/summary/", (404, "not_found")),
        ("GET", "/api/v1/login", (405, "method_not_allowed")),
        ("DELETE", "/api/v1/payments", (405, "method_not_allowed")),
        ("PUT", "/api/v1/coupons/x/redeem", (405, "method_not_allowed")),
        ("TRACE", "/api/v1/summary", (405, "method_not_allowed")),
    ],
)
def test_addresses_and_methods_that_are_none(world, says, method, path, answer):
    response = world.client("admin").open(path, method=method)
    assert says(response) == answer
    assert ("Allow" in response.headers) == (answer[0] == 405)


@pytest.mark.parametrize(
    ("body", "media", "answer"),
    [
        (b"{", "application/json", (400, "bad_request")),
        (b"", "application/json", (422, "invalid")),
        (b"[]", "application/json", (400, "bad_request")),
        (b"null", "application/json", (400, "bad_request")),
        (b'"x"', "application/json", (400, "bad_request")),
        (b'{"username": NaN}', "application/json", (400, "bad_request")),
        (b'{"username": Infinity}', "application/json", (400, "bad_request")),
        (b'{"username": "a", "username": "b", "password": "x"}', "application/json", (400, "bad_request")),
        (b'{"username": "a\\u0000", "password": "x"}', "application/json", (400, "bad_request")),
        (b'{"username": "\\ud800", "password": "x"}', "application/json", (400, "bad_request")),
        (b'{"username": "a", "password": "x", "y": [{"\\u0000": 1}]}', "application/json", (400, "bad_request")),
        (b"\xff\xfe{}", "application/json", (400, "bad_request")),
        (b"[" * 60_000, "application/json", (400, "bad_request")),
        (b'{"a":' * 10_000, "application/json", (400, "bad_request")),
        (b'{"username": ' + b"9" * 5000 + b"}", "application/json", (400, "bad_request")),
        (b"username=a&password=x", "application/x-www-form-urlencoded", (415, "unsupported_media_type")),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", (415, "unsupported_media_type")),
        (b'{"username": "a"}', "text/plain", (415, "unsupported_media_type")),
        (b'{"username": "a"}', "", (415, "unsupported_media_type")),
        (b"<a/>", "application/xml", (415, "unsupported_media_type")),
        (b"{}" + b" " * 64 * 1024, "application/json", (413, "too_large")),
    ],
)
def test_bodies_that_are_no_json_objects(world, says, body, media, answer):
    assert says(world.client().post("/api/v1/login", data=body, content_type=media)) == answer


def test_a_body_at_the_limit_is_read(world, says):
    body = b'{"username": "a"}'
    padded = body + b" " * (64 * 1024 - len(body))
    assert says(world.client().post("/api/v1/login", data=padded, content_type="application/json")) == (422, "invalid")


def test_a_json_subtype_is_json(world, says):
    body = json.dumps({"username": "a", "password": "b"})
    answer = world.client().post("/api/v1/login", data=body, content_type="application/vnd.api+json; charset=utf-8")
    assert says(answer) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("value", "fine"),
    [
        ({"a": ["b", {"c": "滨江"}], "d": 1, "e": None}, True),
        ({"a\x00": 1}, False),
        ({"a": ["\x00"]}, False),
        ({"a": {"b": "\udfff"}}, False),
        ([["x"], "\\u0000"], True),
    ],
)
def test_what_every_store_can_keep(value, fine):
    assert is_storable(value) is fine


# -- request ids, languages, headers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("told", ["till-7.0001", "A" * 64, "12345678"])
def test_a_callers_request_id_is_kept(world, told):
    answer = world.client().get("/api/v1/summary", headers={"X-Request-ID": told})
    assert answer.json["request_id"] == answer.headers["X-Request-ID"] == told


@pytest.mark.parametrize(
    "told", ["", "short", "A" * 65, "with space", "<script>", "a\tb\tc\td\te", "日本語日本語日本語"]
)
def test_a_request_id_that_is_none_is_replaced(world, told):
    header = {"X-Request-ID": told.encode().decode("latin-1")}
    answers = [world.client().get("/api/v1/summary", headers=header) for _ in range(2)]
    assert all(answer.json["request_id"].startswith("rq_") for answer in answers)
    assert answers[0].json["request_id"] != answers[1].json["request_id"]


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("zh", "zh"),
        ("zh-TW", "zh"),
        ("en", "en"),
        ("fr", "en"),
        ("", "en"),
        (",;q=x", "en"),
    ],
)
def test_R077_words_come_in_the_callers_language_and_codes_stay(world, wanted, language):
    answer = world.client().get("/api/v1/summary", headers={"Accept-Language": wanted})
    assert answer.json["code"] == "unauthorized"
    assert answer.json["message"].isascii() == (language == "en")
    assert answer.headers["Content-Language"] == language


def test_answers_are_not_kept_by_anybody(world):
    for path in ("summary", "nothing", "payments"):
        headers = world.client("operator").get(f"/api/v1/{path}").headers
        assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
        assert "Set-Cookie" not in headers


def test_other_addresses_are_left_alone(world):
    app = world.app()
    app.add_url_rule("/page", "page", lambda: ("gone", 404))
    answer = app.test_client().get("/page")
    assert (answer.text, "X-Request-ID" in answer.headers) == ("gone", False)


def test_an_error_page_of_others_is_put_in_our_shape(world, says):
    """The pages have their own error handlers; a program must not get their HTML."""
    app = world.app()
    app.register_error_handler(404, lambda _error: ("<h1>nothing here</h1>", 404))
    app.register_error_handler(405, lambda _error: ("<h1>not so</h1>", 405, {"Allow": "GET"}))
    assert says(app.test_client().get("/api/v1/nothing")) == (404, "not_found")
    assert says(app.test_client().delete("/api/v1/login")) == (405, "method_not_allowed")


# -- our own faults ---------------------------------------------------------------------------------------------------


def test_a_store_that_is_gone_is_told_as_such(world, says):
    client = world.client("operator")
    (world.home.root / "drainage.db").rename(world.home.root / "moved.db")
    answer = client.get("/api/v1/summary")
    assert says(answer) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert says(client.post("/api/v1/login", json={"username": "a", "password": "b"})) == (503, "unavailable")
    (world.home.root / "moved.db").rename(world.home.root / "drainage.db")
    assert client.get("/api/v1/summary").status_code == 200


class Broken:
    """A store whose reads fail as no store does: a bug of ours, with a secret in its text."""

    def __init__(self, store):
        self._store = store
        self.broken = False

    def read(self, work):
        if self.broken:
            raise ZeroDivisionError("canary-in-the-text")
        return self._store.read(work)

    def __getattr__(self, name):
        return getattr(self._store, name)


def test_a_bug_is_a_500_that_tells_nothing(world, says, capsys):
    import dataclasses

    from flask import Flask

    from gateway.web.api import register_api

    store = Broken(world.store)
    app = Flask("tests.api")
    register_api(app, dataclasses.replace(world.runtime, store=store))
    header = {"Authorization": f"Bearer {world.token('operator')}"}
    store.broken = True
    with structlog.testing.capture_logs() as logs:
        answer = app.test_client().get("/api/v1/summary", headers=header)
    assert says(answer) == (500, "internal")
    assert "canary" not in answer.text
    (line,) = [line for line in logs if line["event"] == "api_failed"]
    assert line["request_id"] == answer.json["request_id"]


def test_a_reply_off_its_model_is_our_fault_and_shows_nothing(world, says):
    world.pay("canary-T1", "openid-a")
    world.store.write(lambda tx: tx.run("UPDATE payments SET tag_before = 'canary-state'"))
    with structlog.testing.capture_logs() as logs:
        answer = world.client("operator").get("/api/v1/payments/canary-T1")
    assert says(answer) == (500, "internal")
    assert "canary" not in answer.text
    assert "canary-state" not in str(logs[-1]["exc_info"])


def test_a_store_fault_in_words_stays_in_the_log(world):
    with structlog.testing.capture_logs() as logs, world.app().test_request_context("/api/v1/summary"):
        from gateway.web.api import refusals
        from gateway.web.api.guard import name_request

        name_request(world.runtime)
        answer = refusals.on_store_trouble(StoreUnavailable("canary-path"))
    assert "canary" not in answer.get_data(as_text=True)
    assert "canary" in logs[0]["error"]


def test_R016_no_token_password_or_openid_is_in_any_answer_or_log(world, caplog, capsys):
    """Canaries through every call, good and bad; then everything that came out is searched for them."""
    caplog.set_level(logging.DEBUG)
    world.user("wang", "manager", merchant="sweets")
    gift = world.claimed("canary-openid")
    code = gift.codes["bowl-5off"]
    person = world.one("SELECT person FROM links")["person"]
    texts = []
    with structlog.testing.capture_logs() as logs:
        nobody = world.client()
        token = nobody.post("/api/v1/login", json={"username": "wang", "password": PASSWORD}).json["token"]
        for body in (
            {"username": "wang", "password": "canary-wrong"},
            {"username": "canary-user"},
            {"canary_field": 1},
        ):
            texts.append(nobody.post("/api/v1/login", json=body).text)
        for client in (world.client("admin"), world.client(token=token), world.client(token="canary-token")):
            for path in (
                "payments",
                "payments/second-1",
                f"persons/{person}",
                "summary",
                f"coupons/{code}",
                "canary-path",
            ):
                texts.append(client.get(f"/api/v1/{path}").text)
            texts += [
                client.post("/api/v1/shares", json={"person": "canary-person"}).text,
                client.post("/api/v1/orders", json={"item": "x", "quantity": "canary-quantity", "person": person}).text,
                client.post(f"/api/v1/coupons/{code}/redeem", headers={"Idempotency-Key": "canary-key"}).text,
                client.post("/api/v1/login", data="canary-form", content_type="text/canary").text,
            ]
    assert any('"state":"redeemed"' in text.replace(" ", "") for text in texts)
    out = capsys.readouterr()
    told = "\n".join([*texts, *(str(line) for line in logs), caplog.text, out.out, out.err])
    for secret in ("canary-openid", PASSWORD, SECRET, token, world.token("admin"), "canary-wrong", "canary-token"):
        assert secret not in told
    for word in ("canary-user", "canary-quantity", "canary-form", "text/canary", "canary-person", "canary-key"):
        assert word not in told


# -- the document -----------------------------------------------------------------------------------------------------


def test_R077_the_page_for_people_says_every_call_object_and_code(world):
    document = world.client().get("/api/v1/openapi.json").json
    answer = world.client().get("/api/v1/docs")
    assert answer.mimetype == "text/html"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "://" not in answer.text
    for path, methods in document["paths"].items():
        assert all(f"{method.upper()} {path}" in answer.text for method in methods)
    for name in document["components"]["schemas"]:
        assert f'id="{name}"' in answer.text
    from gateway.web.api.messages import MESSAGES

    assert all(f"<code>{code}</code>" in answer.text for code in MESSAGES)


def test_the_document_is_whole(sandbox_world):
    document = sandbox_world.client().get("/api/v1/openapi.json").json
    assert document["openapi"].startswith("3.1")
    assert document["components"]["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}
    text = json.dumps(document)
    names = set(document["components"]["schemas"])
    refs = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert refs <= names
    redeem = document["paths"]["/api/v1/coupons/{code}/redeem"]["post"]
    assert redeem["requestBody"]["required"] is False
    assert [one["name"] for one in redeem["parameters"]] == ["code", "Idempotency-Key"]
    assert document["components"]["schemas"]["RedeemBill"]["properties"]["amount_fen"]["anyOf"][0]["maximum"] == 10**12
    assert all(operation["summary"] for path in document["paths"].values() for operation in path.values())


def test_two_applications_in_one_process_have_a_document_each(world, sandbox_world):
    paths = [set(one.client().get("/api/v1/openapi.json").json["paths"]) for one in (world, sandbox_world)]
    assert paths[1] - paths[0] == {"/api/v1/orders/{order_id}/pay"}
