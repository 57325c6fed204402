"""Orders and shares: bought for a customer, paid by the sandbox's wallet, given back; invitations in his name."""

import pytest

from tests.support.world import CATALOG, PASSWORD, World


@pytest.fixture
def person(sandbox_world):
    sandbox_world.pay("T1", "openid-a")
    return sandbox_world.person_of("T1")


@pytest.fixture
def manager(sandbox_world):
    return sandbox_world.client("manager")


def order(client, person, quantity=1, item="set-menu"):
    return client.post("/api/v1/orders", json={"item": item, "quantity": quantity, "person": person})


def test_an_order_is_made_paid_and_given_back(sandbox_world, manager, person, says):
    made = order(manager, person, 2)
    assert made.status_code == 201
    assert {**made.json, "order": ""} == {
        "order": "",
        "state": "created",
        "amount_fen": 1980,
        "expires_at": "2026-11-22T04:20:06.000Z",
    }
    path = f"/api/v1/orders/{made.json['order']}"
    assert says(manager.post(f"{path}/refund", json={"quantity": 1})) == (409, "not_paid")
    paid = manager.post(f"{path}/pay")
    assert (paid.status_code, paid.json["state"], len(paid.json["coupons"]), paid.json["link"]) == (
        200,
        "fulfilled",
        2,
        None,
    )
    assert manager.post(f"{path}/pay").json == paid.json
    assert says(manager.post(f"{path}/refund", json={"quantity": 3})) == (409, "used")
    assert manager.post(f"{path}/refund", json={"quantity": 2}).json["state"] == "refunded"


def test_R205_giving_much_money_back_asks_for_a_password(sandbox_world, manager, person, says):
    made = order(manager, person, 3).json["order"]
    manager.post(f"/api/v1/orders/{made}/pay")
    sandbox_world.user("mia", "manager", merchant="hotpot")
    # Two units may go as they are, three are asked for.
    object.__setattr__(sandbox_world.runtime.accounts, "reauth_above_fen", 1980)
    refused = manager.post(f"/api/v1/orders/{made}/refund", json={"quantity": 3})
    assert says(refused) == (401, "reauthentication_required")
    assert refused.json["limit_fen"] == 1980
    assert {row["state"] for row in sandbox_world.all("SELECT state FROM coupons")} == {"claimed"}
    assert manager.post(f"/api/v1/orders/{made}/refund", json={"quantity": 2}).status_code == 200
    object.__setattr__(sandbox_world.runtime.accounts, "reauth_above_fen", 989)
    assert says(manager.post(f"/api/v1/orders/{made}/refund", json={"quantity": 1}))[0] == 401
    told = manager.post("/api/v1/reauthenticate", json={"username": "mia", "password": PASSWORD})
    assert told.status_code == 200
    assert manager.post(f"/api/v1/orders/{made}/refund", json={"quantity": 1}).json["state"] == "refunded"


EARNING = """
bought_threshold = 1
[item.hot-set]
merchant = "hotpot"
name = "四人套餐"
value_fen = 20000
price_fen = 15000
weight = 0
"""


def test_R045_an_order_that_earns_a_link_shows_it(tmp_path):
    world = World(tmp_path, sandbox=True, catalog=CATALOG + EARNING)
    world.pay("T1", "openid-a")
    manager = world.client("manager")
    made = order(manager, world.person_of("T1"), 2, "hot-set").json["order"]
    paid = manager.post(f"/api/v1/orders/{made}/pay").json
    link = world.one("SELECT id FROM links WHERE purpose = 'order'")["id"]
    assert (paid["state"], len(paid["coupons"])) == ("fulfilled", 2)
    assert paid["link"] == {
        "id": link,
        "for": "payer",
        "state": "issued",
        "items": ["soup", "bowl-5off"],
        "url": world.link_url(link),
    }
    world.close()


def test_stock_runs_out(sandbox_world, manager, person, says):
    assert order(manager, person, 4).status_code == 201
    assert says(order(manager, person, 2)) == (409, "sold_out")
    assert order(manager, person, 1).status_code == 201


@pytest.mark.parametrize(
    ("item", "answer"),
    [("soup", (409, "not_for_sale")), ("nothing", (404, "not_found")), ("\u0000", (400, "bad_request"))],
)
def test_items_that_cannot_be_bought(manager, person, says, item, answer):
    assert says(order(manager, person, item=item)) == answer


@pytest.mark.parametrize("quantity", [0, -1, 1.5, "1", True, None, 101, 10**30, []])
def test_quantities_that_are_none(sandbox_world, manager, person, says, quantity):
    assert says(order(manager, person, quantity)) == (422, "invalid")
    made = order(manager, person).json["order"]
    manager.post(f"/api/v1/orders/{made}/pay")
    answer = manager.post(f"/api/v1/orders/{made}/refund", json={"quantity": quantity})
    assert says(answer) == (422, "invalid")
    assert sandbox_world.one("SELECT state FROM coupons")["state"] == "claimed"


def test_orders_for_nobody(manager, says):
    assert says(order(manager, "p_none")) == (404, "not_found")


def test_R072_another_circles_orders_are_not_there(sandbox_world, manager, person, says):
    made = order(manager, person).json["order"]
    stranger = sandbox_world.client("manager", merchant="noodles")
    assert says(order(stranger, person)) == (404, "not_found")
    for client in (stranger, sandbox_world.client("operator", circle="hillside")):
        assert says(client.post(f"/api/v1/orders/{made}/pay")) == (404, "not_found")
        assert says(client.post(f"/api/v1/orders/{made}/refund", json={"quantity": 1})) == (404, "not_found")
    assert says(manager.post("/api/v1/orders/o_none/pay")) == (404, "not_found")
    assert sandbox_world.client("operator", circle="riverside").post(f"/api/v1/orders/{made}/pay").status_code == 200


# -- shares -----------------------------------------------------------------------------------------------------------


def test_R025_a_share_is_an_invitation_that_works(sandbox_world, manager, person):
    answer = manager.post("/api/v1/shares", json={"person": person})
    assert answer.status_code == 201
    url = answer.json["url"]
    assert url.startswith("https://pay.example.com/i/")
    assert sandbox_world.runtime.sharing.look(url.rpartition("/")[2], sandbox_world.clock()) == "riverside"


@pytest.mark.parametrize(
    ("role", "scope", "body", "answer"),
    [
        ("manager", {}, {"circle": "riverside"}, (201, "riverside")),
        ("manager", {}, {"circle": "hillside"}, (404, "not_found")),
        ("manager", {"merchant": "noodles"}, {}, (201, "hillside")),
        ("manager", {"merchant": "gone"}, {}, (404, "not_found")),
        ("operator", {"circle": "riverside"}, {}, (201, "riverside")),
        ("operator", {}, {}, (409, "ambiguous")),
        ("operator", {}, {"circle": "hillside"}, (201, "hillside")),
        ("operator", {}, {"circle": "nowhere"}, (404, "not_found")),
        ("admin", {}, {}, (409, "ambiguous")),
    ],
)
def test_R072_a_share_is_for_a_circle_in_scope(sandbox_world, person, says, role, scope, body, answer):
    response = sandbox_world.client(role, **scope).post("/api/v1/shares", json={"person": person, **body})
    if answer[0] == 201:
        assert response.status_code == 201
        assert sandbox_world.one("SELECT circle FROM shares")["circle"] == answer[1]
    else:
        assert says(response) == answer
        assert sandbox_world.all("SELECT id FROM shares") == []


@pytest.mark.parametrize("body", [{}, {"person": ""}, {"person": 5}, {"person": "x" * 201}, {"people": "p_x"}])
def test_shares_of_nobody(manager, says, body):
    assert says(manager.post("/api/v1/shares", json=body)) == (422, "invalid")
    assert says(manager.post("/api/v1/shares", json={"person": "p_none"})) == (404, "not_found")
