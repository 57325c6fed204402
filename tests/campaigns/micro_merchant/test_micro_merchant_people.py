"""R016: what a micro-merchant typed is told to himself, goes when he is forgotten, and goes by itself in time."""

from __future__ import annotations

import json

import pytest
from micro_town import Town

from campaigns.micro_merchant import personal
from gateway.ledger import book
from tests.me.conftest import Guest
from tests.support.browsing import pages_of
from tests.support.forgotten import copy_of, forget, found_in, in_clear

WECHAT, BANK, NAME = "wx_canary_helper", "6222020299887766554", "canary name of a holder"
TYPED = {"wechat_id": WECHAT, "bank_account": BANK, "bank_name": NAME}
TABLES = ("micro_merchant_members", "micro_merchant_orders", "micro_merchant_entries", "idempotency", "audit", "outbox")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def town(request, tmp_path):
    more = {"store_url": request.getfixturevalue("postgres_url")} if request.param == "postgres" else {}
    made = Town(tmp_path, **more)
    yield made
    made.world.close()


def applied(town, openid="guest-a", **typed):
    return town.applied(openid=openid, channel="hotpot-pay", **{**TYPED, **typed})


def row_of(town, member):
    return town.world.one("SELECT * FROM micro_merchant_members WHERE id = :id", id=member)


def sealed(row):
    return [bytes(row[name]) for name in ("wechat_sealed", "bank_sealed", "wechat_blind") if row[name]]


def test_R016_his_copy_holds_what_he_typed_and_no_buyer(town):
    town.world.pay("T1", "buyer-b")
    member = applied(town)
    code = town.post(f"/micro-merchants/{member}/approve", role="operator", wants=200).json["code"]
    town.rewarded(300, code)
    person = row_of(town, member)["person"]
    kept = copy_of(town.world, person)
    (record,) = kept["micro_merchant.micro_merchant_members"]
    assert (record["wechat_id"], record["bank_account"], record["bank_name"]) == (WECHAT, BANK, NAME)
    assert (record["state"], record["code"]) == ("approved", code)
    assert [entry["amount"] for entry in kept["micro_merchant.micro_merchant_entries"]] == [300]
    assert kept["micro_merchant.micro_merchant_orders"] == []
    other = town.world.person_of("T1")
    assert WECHAT not in json.dumps(copy_of(town.world, other))
    assert other not in json.dumps(kept)


def test_R016_the_privacy_page_gives_the_copy_and_forgets(town):
    member = applied(town)
    person = row_of(town, member)["person"]
    guest = Guest(town.world, pages_of(town.world), person)
    assert (
        json.loads(guest.client.get("/me/privacy/export.json").data)["micro_merchant.micro_merchant_members"][0][
            "wechat_id"
        ]
        == WECHAT
    )
    page = guest.get("/me/privacy/delete")
    assert guest.send(page, "/me/privacy/delete", confirm="删除").status == 303
    assert sealed(row_of(town, member)) == []


def test_R016_a_forgotten_member_leaves_figures_alone(town):
    member = applied(town)
    code = town.post(f"/micro-merchants/{member}/approve", role="operator", wants=200).json["code"]
    town.rewarded(300, code)
    pending = town.completed(code=code)
    before = row_of(town, member)
    balance, entries = town.balance(member), town.world.all("SELECT * FROM micro_merchant_entries ORDER BY id")
    was = sealed(before)
    assert len(was) == 3
    forget(town.world, before["person"])
    after = row_of(town, member)
    assert (after["state"], sealed(after), after["bank_last4"], after["code"]) == ("closed", [], "", code)
    assert found_in(town.world, TABLES, *was, WECHAT, BANK, NAME) == []
    assert [name for text in (WECHAT, BANK, NAME) for name in in_clear(town.world, text)] == []
    assert town.balance(member) == balance
    assert town.world.all("SELECT * FROM micro_merchant_entries ORDER BY id") == entries
    assert town.world.store.read(book.faults) == []
    # His code brings nobody any more; what it brought before goes on, for figures.
    assert town.ordered(code=code)["price_fen"] == 10_000
    town.refund(pending, 100)
    assert town.world.store.read(book.faults) == []
    # Again changes nothing, and staff still see the record.
    assert (
        town.world.runtime.campaigns.house.store.write(
            lambda tx: personal.forget(tx, town.world.runtime.campaigns.house, [before["person"]], town.clock())
        )
        == 0
    )
    assert town.get(f"/micro-merchants/{member}")["state"] == "closed"
    # The WeChat ID is free for whoever has it now.
    town.applied(WECHAT)


def test_R016_an_application_of_somebody_forgotten_is_not_reviewed(town):
    member = applied(town)
    forget(town.world, row_of(town, member)["person"])
    assert row_of(town, member)["state"] == "rejected"
    assert town.post(f"/micro-merchants/{member}/approve", role="operator").json["code"] == "bad_transition"


def test_R016_two_forgotten_members_are_no_obstacle_to_each_other(town):
    members = [applied(town, f"guest-{n}", wechat_id=f"wx_{n}_one") for n in range(3)]
    for member in members:
        forget(town.world, row_of(town, member)["person"])
    assert {row_of(town, member)["state"] for member in members} == {"rejected"}


def test_R016_somebody_elses_forgetting_touches_nobody(town):
    member = applied(town)
    town.world.pay("T1", "other")
    before = dict(row_of(town, member))
    forget(town.world, town.world.person_of("T1"))
    assert dict(row_of(town, member)) == before


@pytest.mark.parametrize("end", ["rejected", "closed"])
def test_R016_what_was_typed_for_an_ended_record_goes_after_its_time(town, end):
    member, standing = applied(town), applied(town, "guest-b", wechat_id="wx_other_one")
    if end == "rejected":
        town.post(f"/micro-merchants/{member}/reject", {"reason": "no"}, role="operator", wants=200)
    else:
        town.post(f"/micro-merchants/{member}/approve", role="operator", wants=200)
        town.post(f"/micro-merchants/{member}/close", {"reason": "no"}, role="operator", wants=200)
    town.sweep(days=personal.KEPT_FOR.days - 1)
    assert len(sealed(row_of(town, member))) == 3
    town.sweep(days=1)
    assert (row_of(town, member)["state"], sealed(row_of(town, member))) == (end, [])
    assert len(sealed(row_of(town, standing))) == 3
    assert town.sweep() == 0
