"""What moves value by a campaign's call asks for a password above the limit, and answers nobody for another (R205)."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from gateway.contract.campaign_kind import Caller, Request
from gateway.contract.errors import Refused
from tests.support.world import CATALOG, PASSWORD, START, World

micro_merchants = pytest.importorskip("campaigns.micro_merchant.api")
pytest.importorskip("campaigns.group_buy.kind")

DEAR_DEAL = """
[campaign.dinner]
kind = "group_buy"
circle = "riverside"
state = "live"
item = "set-menu"
price_fen = 150000
lunch = "11:30"
dinner = "17:00"
days = 3
slot_capacity = 2
max_picks = 2
"""
BASE = "/api/v1/campaigns/dinner"


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, sandbox=True, catalog=CATALOG + DEAR_DEAL)
    yield made
    made.close()


def post(client, path, body=None, key="k"):
    return client.post(f"{BASE}{path}", json=body or {}, headers={"Idempotency-Key": key})


def bought(client):
    order = post(client, "/orders", {"openid": "a", "channel": "sweets-pay", "shop": "sweets-1"}, "order").json["order"]
    assert post(client, f"/orders/{order}/pay", key="pay").json["state"] == "paid"
    return order


def test_R205_using_a_dear_order_asks_for_a_password(world):
    world.user("mia", "manager", merchant="sweets")
    client = world.client("manager", merchant="sweets")
    order = bought(client)
    refused = post(client, f"/orders/{order}/use", key="use")
    assert (refused.status_code, refused.json["code"]) == (401, "reauthentication_required")
    assert refused.json["limit_fen"] == 100_000
    assert world.all("SELECT 1 FROM redemptions") == []
    told = client.post("/api/v1/reauthenticate", json={"username": "mia", "password": PASSWORD})
    assert told.status_code == 200
    assert post(client, f"/orders/{order}/use", key="use").json["state"] == "used"


def test_R205_what_one_was_answered_is_not_told_to_another_of_his_name(world):
    """Two tokens may bear one name: the same request id of a narrower one is refused, not answered for the other."""
    wide = world.client("operator", circle="riverside", name="till")
    narrow = world.client("manager", merchant="sweets", name="till")
    said = {"openid": "a", "channel": "sweets-pay", "shop": "sweets-1"}
    first = post(wide, "/orders", said, "same")
    assert first.status_code == 201
    assert post(wide, "/orders", said, "same").json == first.json
    other = post(narrow, "/orders", said, "same")
    assert (other.status_code, other.json["code"]) == (409, "idempotency_key_reused")
    assert first.json["order"] not in other.text


@pytest.mark.parametrize(("most", "asks"), [(None, False), (100_000, True), (150_000, False)])
def test_R205_a_second_approval_of_a_large_payout_asks_for_a_password(monkeypatch, most, asks):
    payout = SimpleNamespace(amount_fen=150_000)
    monkeypatch.setattr(micro_merchants.paying, "the", lambda *_args: payout)
    monkeypatch.setattr(micro_merchants.paying, "approve", lambda *_args: payout)
    monkeypatch.setattr(micro_merchants, "_payout", lambda _payout: {"state": "sent"})
    asked = Request(None, Caller("mia", "operator", None), "", {"payout": "po_1"}, {}, {}, START)
    asked = replace(asked, caller=replace(asked.caller, most_fen=most))
    if asks:
        with pytest.raises(Refused) as refused:
            micro_merchants._approve_payout(None, None, asked)
        assert (refused.value.code, refused.value.status) == ("reauthentication_required", 401)
    else:
        assert micro_merchants._approve_payout(None, None, asked).status == 200


@pytest.mark.parametrize(("most", "asks"), [(None, False), (99, True), (100, False)])
def test_R205_many_points_ask_for_a_password(monkeypatch, most, asks):
    spent = []
    monkeypatch.setattr(micro_merchants.members, "the", lambda *_args: {"id": "mm_1"})
    monkeypatch.setattr(micro_merchants.rewarding, "spend_points", lambda *args: spent.append(args[4]))
    monkeypatch.setattr(micro_merchants.rewarding, "balances", lambda *_args: {})
    house = SimpleNamespace(audit=lambda *_args: None)
    asked = Request(
        None, Caller("mia", "manager", None, most), "", {"member": "mm_1"}, {}, {"points": 100, "reason": "茶"}, START
    )
    if asks:
        with pytest.raises(Refused) as refused:
            micro_merchants._points(None, house, asked)
        assert (refused.value.code, refused.value.facts["limit_fen"], spent) == ("reauthentication_required", most, [])
    else:
        assert micro_merchants._points(None, house, asked).status == 200
        assert spent == [100]


@pytest.mark.parametrize(("most", "leads_on"), [(None, False), (100_000, True), (150_000, False)])
def test_R205_the_console_sends_a_large_approval_to_the_page_that_asks_for_a_password(monkeypatch, most, leads_on):
    from campaigns.micro_merchant import console
    from gateway.contract.campaign_kind import GoTo, Visit

    approved = []
    monkeypatch.setattr(console.paying, "the", lambda *_args: SimpleNamespace(amount_fen=150_000))
    monkeypatch.setattr(console.paying, "approve", lambda *args: approved.append(args[3]))
    store = SimpleNamespace(read=lambda work: work(None), write=lambda work: work(None))
    looked = Visit(
        "POST",
        "",
        "",
        "",
        "192.0.2.1",
        {},
        {},
        {"payout": "po_1"},
        {},
        START,
        caller=Caller("mia", "operator", None, most),
    )
    went = console.payout_list(SimpleNamespace(store=store), SimpleNamespace(slug="helpers"), looked)
    assert isinstance(went, GoTo)
    assert went.path == ("/admin/payouts/po_1" if leads_on else "/admin/campaigns/helpers/payouts")
    assert approved == ([] if leads_on else ["po_1"])


def test_R072_R205_a_campaign_redeems_within_what_its_caller_may(world):
    code, house = world.code("soup"), world.runtime.campaigns.house
    world.runtime.directory()

    def use(**more):
        return world.store.write(lambda tx: house.redeem(tx, code, "mia", "k", None, world.clock(), **more))

    with pytest.raises(Refused) as refused:
        use(merchants=frozenset({"sweets"}))
    assert (refused.value.code, refused.value.status) == ("wrong_merchant", 403)
    with pytest.raises(Refused) as refused:
        use(merchants=frozenset({"hotpot"}), most_fen=299)
    assert (refused.value.code, refused.value.facts["limit_fen"]) == ("reauthentication_required", 299)
    assert world.all("SELECT 1 FROM redemptions") == []
    assert use(merchants=frozenset({"hotpot"}), most_fen=300)["state"] == "redeemed"
