"""The campaigns in the API's own description, and moving one with what does not hold (R075, R077)."""

import re
from html import unescape

import pytest

from gateway.catalog.registry import installed
from tests.support.world import CATALOG, World

KINDS = installed(()).campaigns
OF_ITS_OWN = (
    CATALOG + '\n[campaign.both]\nkind = "two_sided"\ncircle = "riverside"\nuser_fen = 100\nmerchant_fen = 100\n'
)
HERE = "/api/v1/campaigns/both"


@pytest.fixture
def town(tmp_path):
    if "two_sided" not in KINDS:
        pytest.skip("its campaign is of a kind that is not here")
    made = World(tmp_path, sandbox=True, catalog=OF_ITS_OWN)
    yield made
    made.close()


def calls_shown(page):
    """Kind → its calls as the page has them: (method, path, role, whether it names a person, whether it wants a key)."""
    found = {}
    for kind, part in re.findall(r'<h3 id="kind-(\w+)">.*?</h3>(.*?)</section>', page.text, re.DOTALL):
        rows = re.findall(
            r"<tr><td><code>(\w+) ([^<]+)</code>[^<]*</td><td>(\w+)</td><td>(\w+)</td><td>(\w+)</td>", part
        )
        found[kind] = [(method, unescape(path), *cells) for method, path, *cells in rows]
    return found


@pytest.mark.parametrize("sandbox", [True, False])
def test_R077_every_call_of_every_installed_kind_is_listed(tmp_path, sandbox):
    world = World(tmp_path, sandbox=sandbox)
    page = world.client().get("/api/v1/docs/campaigns?lang=en")
    people = {"needed": "yes", "optional": "may", "no": "no"}
    assert page.status_code == 200
    assert calls_shown(page) == {
        slug: [
            (route.method, route.path, route.role, people[route.person], "yes" if route.method == "POST" else "no")
            for route in kind.routes
            if sandbox or not route.sandbox
        ]
        for slug, kind in KINDS.items()
    }
    assert ("sandbox only" in page.text) == (sandbox and bool(KINDS))
    world.close()


def test_R077_the_list_is_in_chinese_too_and_linked_from_every_page(sandbox_world):
    page = sandbox_world.client().get("/api/v1/docs/campaigns?lang=zh")
    assert "<h1>活动</h1>" in page.text
    assert "仅沙盒" in page.text
    for other in ("", "/errors", "/payments"):
        assert (
            'href="/api/v1/docs/campaigns?lang=en"' in sandbox_world.client().get(f"/api/v1/docs{other}?lang=en").text
        )


def test_R077_how_a_campaign_stands_and_its_moves_are_in_the_document(sandbox_world):
    document = sandbox_world.client().get("/api/v1/openapi.json").json
    show = document["paths"]["/api/v1/campaigns/{campaign}"]["get"]
    move = document["paths"]["/api/v1/campaigns/{campaign}/state"]["post"]
    assert (show["x-role"], move["x-role"]) == ("manager", "operator")
    assert [one["name"] for one in move["parameters"]] == ["campaign", "Idempotency-Key"]
    assert {"200", "401", "403", "404", "409", "422"} <= set(move["responses"])
    states = document["components"]["schemas"]["CampaignMove"]["properties"]["to"]["enum"]
    assert states == ["draft", "scheduled", "live", "paused", "ended", "archived"]


def test_R075_a_campaign_is_shown_as_the_document_says(town):
    schema = town.client().get("/api/v1/openapi.json").json["components"]["schemas"]["Campaign"]
    shown = town.client("manager").get(HERE).json
    assert set(shown) == set(schema["properties"])
    assert (shown["id"], shown["kind"], shown["state"]) == ("both", "two_sided", "draft")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"to"}),
        ({"to": "open"}, {"to"}),
        ({"to": ""}, {"to"}),
        ({"to": None}, {"to"}),
        ({"to": 3}, {"to"}),
        ({"to": ["live"]}, {"to"}),
        ({"to": "live", "now": True}, {"now"}),
        ({"to": "live", "person": "p_1"}, {"person"}),
    ],
)
def test_R075_a_move_that_is_none_names_its_fields_and_moves_nothing(town, says, body, fields):
    answer = town.client("operator").post(f"{HERE}/state", json=body, headers={"Idempotency-Key": "1"})
    assert says(answer) == (422, "invalid")
    assert set(answer.json["fields"]) == fields
    assert town.client("manager").get(HERE).json["state"] == "draft"


@pytest.mark.parametrize("key", [None, "", "with blank", "ü", "x" * 201])
def test_R075_a_move_wants_a_key(town, says, key):
    headers = {} if key is None else {"Idempotency-Key": key.encode().decode("latin-1")}
    answer = town.client("operator").post(f"{HERE}/state", json={"to": "live"}, headers=headers)
    assert says(answer) == (400, "idempotency_key_required")
    assert town.client("manager").get(HERE).json["state"] == "draft"


def test_R075_one_key_moves_once_and_answers_the_same(town, says):
    operator, key = town.client("operator"), {"Idempotency-Key": "1"}
    first = operator.post(f"{HERE}/state", json={"to": "live"}, headers=key)
    operator.post(f"{HERE}/state", json={"to": "paused"}, headers={"Idempotency-Key": "2"})
    again = operator.post(f"{HERE}/state", json={"to": "live"}, headers=key)
    assert (first.json["state"], again.json) == ("live", first.json)
    assert town.client("manager").get(HERE).json["state"] == "paused"
    other = operator.post(f"{HERE}/state", json={"to": "ended"}, headers=key)
    assert says(other) == (409, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("accept", "words"),
    [("en", "There is no such code."), ("zh-CN", "没有这个码。")],
)
def test_R077_a_campaigns_refusal_comes_in_the_callers_words(town, accept, words):
    answer = town.client("manager").post(
        f"{HERE}/merchants",
        json={"merchant": "hotpot", "code": "none"},
        headers={"Idempotency-Key": "1", "Accept-Language": accept},
    )
    assert (answer.status_code, answer.json["code"], answer.json["message"]) == (404, "no_such_code", words)


def test_R077_a_payouts_or_a_moves_refusal_has_words(town):
    operator, key = town.client("operator"), {"Idempotency-Key": "1", "Accept-Language": "zh"}
    answer = operator.post(f"{HERE}/state", json={"to": "ended"}, headers=key)
    assert (answer.status_code, answer.json["code"]) == (409, "bad_transition")
    assert answer.json["message"] == "当前状态不能这样变更。"
