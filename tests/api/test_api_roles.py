"""Every route against every role: what is not listed here is open to nobody (R072)."""

import pytest
from flask import Flask

from gateway.web.api.guard import openness
from gateway.web.api.messages import MESSAGES

ROLES = ("admin", "operator", "manager", "clerk", "integrator")
FROM_CLERK = {"admin", "operator", "manager", "clerk"}
FROM_MANAGER = {"admin", "operator", "manager"}
FROM_OPERATOR = {"admin", "operator"}
ANY = set(ROLES)
OPEN = None

TABLE = {
    ("GET", "/api/v1/payments/<transaction_id>"): FROM_MANAGER,
    ("GET", "/api/v1/payments"): FROM_MANAGER,
    ("GET", "/api/v1/persons/<person_id>"): FROM_OPERATOR,
    ("POST", "/api/v1/shares"): FROM_MANAGER,
    ("POST", "/api/v1/orders"): FROM_MANAGER,
    ("POST", "/api/v1/orders/<order_id>/pay"): FROM_MANAGER,
    ("POST", "/api/v1/orders/<order_id>/refund"): FROM_MANAGER,
    ("GET", "/api/v1/summary"): FROM_OPERATOR,
    ("GET", "/api/v1/coupons/<code>"): FROM_CLERK,
    ("POST", "/api/v1/coupons/<code>/redeem"): FROM_CLERK,
    ("POST", "/api/v1/coupons/<code>/reverse"): FROM_MANAGER,
    ("POST", "/api/v1/scans"): FROM_CLERK,
    ("GET", "/api/v1/scans/conflicts"): FROM_CLERK,
    ("POST", "/api/v1/scans/<nonce>/acknowledge"): FROM_MANAGER,
    ("GET", "/api/v1/campaigns/<campaign>"): FROM_MANAGER,
    ("POST", "/api/v1/campaigns/<campaign>/state"): FROM_OPERATOR,
    # Each kind's own calls lie below; their roles are those of its routes (the conformance kit asks every one).
    ("GET", "/api/v1/campaigns/<campaign>/<path:rest>"): FROM_CLERK,
    ("POST", "/api/v1/campaigns/<campaign>/<path:rest>"): FROM_CLERK,
    ("PUT", "/api/v1/campaigns/<campaign>/<path:rest>"): FROM_CLERK,
    ("PATCH", "/api/v1/campaigns/<campaign>/<path:rest>"): FROM_CLERK,
    ("POST", "/api/v1/reauthenticate"): ANY,
    ("POST", "/api/v1/logout"): ANY,
    ("POST", "/api/v1/refresh"): ANY,
    ("POST", "/api/v1/notifications"): {"integrator"},
    ("POST", "/api/v1/login"): OPEN,
    ("POST", "/api/v1/password"): OPEN,
    ("GET", "/api/v1/openapi.json"): OPEN,
    ("GET", "/api/v1/docs"): OPEN,
    ("GET", "/api/v1/docs/errors"): OPEN,
    ("GET", "/api/v1/docs/<tag>"): OPEN,
}
CASES = [(method, path, role) for method, path in TABLE for role in (*ROLES, "nobody")]


def test_R072_the_table_names_every_route_there_is(sandbox_world):
    rules = {
        (method, rule.rule)
        for rule in sandbox_world.app().url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert rules == set(TABLE)


@pytest.mark.parametrize(("method", "path", "role"), CASES)
def test_R072_every_route_for_every_role(sandbox_world, says, method, path, role):
    allowed = TABLE[method, path]
    client = sandbox_world.client(None if role == "nobody" else role)
    address = path.replace("<transaction_id>", "T").replace("<person_id>", "p_x").replace("<order_id>", "o_x")
    address = address.replace("<tag>", "payments").replace("<campaign>", "none").replace("<path:rest>", "nothing")
    response = client.open(
        address.replace("<code>", "H7KQ2M9WXT4B5").replace("<nonce>", "nonce-000000000001"),
        method=method,
        json={} if method == "POST" else None,
    )
    if allowed is OPEN:
        assert response.status_code in {200, 422}
    elif role == "nobody":
        assert says(response) == (401, "unauthorized")
        assert response.headers["WWW-Authenticate"] == "Bearer"
    elif role in allowed:
        assert response.status_code not in {401, 403, 405, 500}
    else:
        assert says(response) == (403, "forbidden")


def test_R072_a_view_that_says_nothing_is_open_to_nobody(world, says):
    """Whoever adds a view below /api and forgets to say who may call it has closed it."""
    from flask import Blueprint

    from gateway.web.api import protect
    from gateway.web.api.guard import finish

    app = Flask("tests.api")
    forgotten = Blueprint("forgotten", "tests.api", url_prefix="/api/forgotten")
    forgotten.get("/")(lambda: "secret")
    protect(forgotten, world.runtime)
    app.register_blueprint(forgotten)
    finish(app, world.runtime)
    client = app.test_client()
    assert says(client.get("/api/forgotten/")) == (401, "unauthorized")
    for role in ROLES:
        header = {"Authorization": f"Bearer {world.token(role)}"}
        assert says(client.get("/api/forgotten/", headers=header)) == (403, "forbidden")


def test_the_sandboxs_payment_of_an_order_is_nowhere_else(world, says):
    assert says(world.client("admin").post("/api/v1/orders/o_x/pay")) == (404, "not_found")
    assert "/api/v1/orders/{order_id}/pay" not in world.client().get("/api/v1/openapi.json").json["paths"]


def test_R072_a_role_of_a_newer_version_may_nothing(world, says):
    token = world.token("clerk")
    world.store.write(lambda tx: tx.run("UPDATE tokens SET role = 'auditor'"))
    client = world.client(token=token)
    for (method, path), allowed in TABLE.items():
        if allowed not in (OPEN, ANY) and "pay" not in path.split("/"):
            answer = client.open(path.replace("<", "").replace(">", ""), method=method)
            assert says(answer) == (403, "forbidden")


def test_the_document_says_the_roles_that_hold(sandbox_world):
    app = sandbox_world.app()
    document = sandbox_world.client().get("/api/v1/openapi.json").json
    least = {frozenset(FROM_CLERK): "clerk", frozenset(FROM_MANAGER): "manager", frozenset(FROM_OPERATOR): "operator"}
    least |= {frozenset(ANY): "any", frozenset({"integrator"}): "integrator"}
    for (method, path), allowed in TABLE.items():
        told = document["paths"].get(path.replace("<", "{").replace(">", "}"), {}).get(method.lower())
        view = next(app.view_functions[rule.endpoint] for rule in app.url_map.iter_rules() if rule.rule == path)
        wanted = "open" if allowed is OPEN else least[frozenset(allowed)]
        assert openness(view) == wanted
        if told is not None:
            assert told["x-role"] == wanted
            assert (told.get("security") == []) == (allowed is OPEN)


def test_R077_every_code_has_words_in_both_languages():
    assert all(english and chinese and not chinese.isascii() for english, chinese in MESSAGES.values())
    assert all(code == code.lower() and code.replace("_", "").isalpha() for code in MESSAGES)
