"""One notification after another, from the event to tag, link and reward (R002, R007–R009, R018, R020–R024, R027–R030,
R033–R036, R038, R042, R043)."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest

from gateway import inbox, incidents, links, tagging
from gateway.catalog.specs import Channel, Circle, Item, Merchant, Offer, Pair
from gateway.contract import BadNotification, Ignored, Malformed, Payer, RawNotification
from gateway.contract.errors import StoreBusy
from gateway.service import Taken
from tests.support.builders import START, House, changed, payment, raw_of, refund
from tests.support.invariants import broken


@pytest.fixture
def house(store_url):
    made = House(store_url)
    yield made
    assert made.store.read(lambda tx: broken(tx, made.now)) == []
    made.close()


def _standing(house, openid, circle="riverside"):
    return house.in_tx(openid, lambda tx, person: tagging.standing(tx, circle, person, house.now))


def test_R002_every_field_of_the_event_is_kept(house):
    event = payment(
        "T1", "a", amount=1280, mch_id="M9", sub_mch_id="S1", out_trade_no="O1", payer_total_fen=1180, trade_type="NATIVE",
        device_id="pos-3", attach="x", at=START - timedelta(minutes=2),
    )  # fmt: skip
    taken = house.take_in(event)
    assert (taken.outcome, taken.event) == ("processed", event)
    row = house.payment("T1")
    kept = {name: row[name] for name in ("provider", "mch_id", "sub_mch_id", "out_trade_no", "amount_fen", "currency")}
    assert kept == {
        "provider": "open", "mch_id": "M9", "sub_mch_id": "S1", "out_trade_no": "O1", "amount_fen": 1280, "currency": "CNY",
    }  # fmt: skip
    assert (row["payer_total_fen"], row["trade_type"], row["device_id"]) == (1180, "NATIVE", "pos-3")
    assert (row["paid_at"], row["circle"], row["merchant"], row["shop"]) == (
        "2026-11-22T04:03:06.000Z", "riverside", "hotpot", "hotpot-1",
    )  # fmt: skip


def test_R002_a_payment_without_a_payer_is_kept_and_nothing_else_happens(house):
    for number in ("T1", "T2"):
        assert house.take_in(payment(number)).outcome == "processed"
        assert house.decisions(number) == {"tag": ("skipped", "untaggable")}
    assert [house.count(table) for table in ("persons", "tags", "links")] == [0, 0, 0]
    row = house.payment("T1")
    assert (row["person"], row["tag_before"], row["tag_after"]) == (None, "untaggable", "untaggable")


def test_R020_R021_R022_the_first_payment_tags_and_gives_no_link(house):
    house.pay("T1", "a")
    assert house.decisions("T1") == {"tag": ("done", "first_payment"), "payer_link": ("skipped", "first_payment")}
    assert house.count("links") == 0
    row = house.payment("T1")
    assert (row["tag_before"], row["tag_after"]) == ("untagged", "tagged")


def test_R022_a_welcome_item_is_given_where_the_circle_has_one(house):
    house.apply(changed(Circle, "riverside", welcome_item="soup"), changed(Offer, "default", per_person=1))
    house.pay("T1", "a")
    assert json.loads(house.link("T1")["items"]) == ["soup"]
    # It is a link like others: limits count it, and leaving and coming back gives no second one.
    house.in_tx("a", lambda tx, person: tagging.revoke(tx, "riverside", person, house.now, "left"))
    house.pay("T2", "a")
    assert house.decisions("T2")["payer_link"] == ("refused", "limit_total")


@pytest.mark.parametrize("parts", [{"paused": True}, {"stock": 0}])
def test_R022_a_welcome_item_that_cannot_be_given_is_no_inventory(house, parts):
    house.apply(changed(Circle, "riverside", welcome_item="soup"), changed(Item, "soup", **parts))
    if "stock" in parts:
        house.write(lambda tx: tx.run("INSERT INTO stock (item, total, taken) VALUES ('soup', 0, 0)"))
    house.pay("T1", "a")
    assert house.decisions("T1")["payer_link"] == ("refused", "no_inventory")
    assert _standing(house, "a").state == "tagged"


def test_R023_a_tag_counts_in_its_circle_and_nowhere_else(house):
    house.pay("T1", "a", channel="hotpot")
    house.pay("T2", "a", channel="sweets")
    house.pay("T3", "a", channel="noodles")
    assert house.links("T2") == {"payer"}
    assert house.decisions("T3")["tag"] == ("done", "first_payment")
    assert house.count("tags") == 2


def test_R024_R025_a_payments_tag_says_where_it_comes_from(house):
    taken = house.pay("T1", "a", channel="sweets")
    tag = house.one("SELECT * FROM tags")
    assert (tag["source_type"], tag["source_id"], tag["mode"], tag["origin"]) == (
        "payee",
        "sweets",
        "passive",
        taken.payment,
    )
    assert (tag["created_at"], tag["expires_at"]) == ("2026-11-22T04:05:06.000Z", "2027-05-21T04:05:06.000Z")
    assert json.loads(house.payment("T1")["tag_source"]) == {"type": "payee", "id": "sweets", "mode": "passive"}


def test_R028_a_tag_that_ran_out_counts_as_none_and_the_next_payment_tags_anew(house):
    house.pay("T1", "a", channel="hotpot")
    house.later(days=180, milliseconds=-1)
    assert _standing(house, "a").state == "tagged"
    house.later(milliseconds=1)
    assert _standing(house, "a").state == "untagged"
    house.pay("T2", "a", channel="sweets")
    assert house.decisions("T2")["tag"] == ("done", "first_payment")
    assert _standing(house, "a").source.id == "sweets"
    assert [row["state"] for row in house.all("SELECT state FROM tags ORDER BY id")] == ["expired", "active"]


def test_R028_a_revoked_tag_counts_as_none(house):
    house.pay("T1", "a")
    assert house.in_tx("a", lambda tx, person: tagging.revoke(tx, "riverside", person, house.now, "fraud"))
    assert not house.in_tx("a", lambda tx, person: tagging.revoke(tx, "riverside", person, house.now, "fraud"))
    house.pay("T2", "a")
    assert house.decisions("T2")["tag"] == ("done", "first_payment")
    assert house.one("SELECT closed_reason FROM tags WHERE state = 'revoked'")["closed_reason"] == "fraud"


def test_R029_who_left_is_neither_tagged_nor_given_anything_until_he_joins_again(house):
    house.pay("T1", "a")
    house.in_tx("a", lambda tx, person: tagging.opt_out(tx, "riverside", person, house.now))
    house.in_tx("a", lambda tx, person: tagging.opt_out(tx, "riverside", person, house.now))
    for number in ("T2", "T3"):
        house.pay(number, "a")
        assert house.decisions(number) == {"tag": ("skipped", "opted_out")}
    assert house.payment("T3")["tag_after"] == "opted_out"
    house.pay("T4", "a", channel="noodles")
    assert house.decisions("T4")["tag"] == ("done", "first_payment")
    house.in_tx("a", lambda tx, person: tagging.opt_in(tx, "riverside", person))
    house.pay("T5", "a")
    assert house.decisions("T5")["tag"] == ("done", "first_payment")


def test_R030_R039_a_tagged_payer_gets_one_link_with_own_and_others_items(house):
    house.pay("T1", "a")
    house.pay("T2", "a")
    link = house.link("T2")
    items = json.loads(link["items"])
    assert (items[0], items[1] in {"bowl", "cut"}, len(items)) == ("soup", True, 2)
    assert (link["state"], link["purpose"], link["merchant"], link["shop"]) == ("issued", "payer", "hotpot", "hotpot-1")
    assert house.decisions("T2")["payer_link"] == ("done", "issued")


def test_R041_why_it_was_chosen_is_kept_and_the_seed_is_the_payment(house):
    house.pay("T1", "a")
    taken = house.pay("T2", "a")
    assert json.loads(house.link("T2")["choice"]) == {
        "considered": 4, "dropped": {"enough": 1, "weight": 1}, "seed": taken.payment,
    }  # fmt: skip


def test_R041_what_is_held_unused_is_not_given_again_and_the_used_is(house):
    house.apply(changed(Offer, "default", own=1, elsewhere=0))
    codes = house.claimed("a")
    house.pay("T3", "a")
    assert house.decisions("T3")["payer_link"] == ("refused", "no_inventory")
    house.redeem(codes["soup"])
    house.pay("T4", "a")
    assert house.decisions("T4")["payer_link"] == ("done", "issued")


@pytest.mark.parametrize(
    ("changes", "elsewhere"),
    [
        ((Pair("p", "hotpot", "sweets", relation="prefer"),), {"bowl"}),
        ((Pair("p", "hotpot", "sweets", both=True, relation="block"),), {"cut"}),
        ((Pair("p", "sweets", "hotpot", both=True, relation="block"),), {"cut"}),
        ((Pair("p", "hotpot", "barber", relation="block"), Pair("q", "hotpot", "sweets", relation="block")), set()),
        ((changed(Item, "bowl", paused=True),), {"cut"}),
        ((changed(Item, "bowl", offer="own"),), {"cut"}),
        ((changed(Merchant, "sweets", paused=True),), {"cut"}),
    ],
)
def test_R040_R043_relations_consent_and_pauses_decide_who_is_offered(house, changes, elsewhere):
    house.apply(changed(Offer, "default", own=0, elsewhere=1), *changes)
    house.pay("T1", "a")
    house.pay("T2", "a")
    given = {slug for row in house.all("SELECT items FROM links") for slug in json.loads(row["items"])}
    assert given == elsewhere
    assert house.decisions("T2")["payer_link"] == (("done", "issued") if elsewhere else ("refused", "no_inventory"))


def test_R042_no_inventory_changes_nothing_about_the_payment(house):
    house.apply(changed(Offer, "default", own=0, elsewhere=0))
    house.pay("T1", "a")
    assert house.pay("T2", "a").outcome == "processed"
    assert house.decisions("T2")["payer_link"] == ("refused", "no_inventory")
    assert house.count("links") == 0


def test_R018_below_the_minimum_is_kept_and_skipped(house):
    house.pay("T1", "a", amount=99)
    assert house.decisions("T1") == {"tag": ("skipped", "below_minimum")}
    house.pay("T2", "a", amount=100)
    assert house.decisions("T2")["tag"] == ("done", "first_payment")
    house.pay("T3", "a", amount=99)
    assert (house.links("T3"), house.payment("T3")["tag_after"]) == (set(), "tagged")
    house.pay("T4", "b", amount=0)
    assert house.decisions("T4")["tag"] == ("skipped", "below_minimum")


def test_R009_the_same_payment_again_is_success_and_nothing_more(house):
    house.pay("T1", "a")
    first = house.pay("T2", "a")
    for _ in range(3):
        again = house.pay("T2", "a")
        assert (again.outcome, again.payment) == ("seen", first.payment)
    house.later(days=400)
    assert house.pay("T2", "somebody else", amount=1).outcome == "seen"
    assert (house.count("payments"), house.count("links"), house.count("deliveries")) == (2, 1, 6)
    assert house.payment("T2")["amount_fen"] == 10_000


def test_R009_the_key_is_provider_merchant_number_kind_and_number(house):
    house.pay("T1", "a")
    assert house.pay("T1", "a", mch_id="M2").outcome == "processed"
    assert house.pay("T1", "a", provider="other").outcome == "processed"
    assert house.refund("T1", "R1", 10).outcome == "processed"
    assert house.refund("T1", "R1", 10).outcome == "seen"
    assert house.refund("T1", "R2", 10).outcome == "processed"
    assert house.count("payments") == 3


def test_R009_a_replay_of_one_delivery_is_one_delivery(house):
    """The spool hands the same request in again after a commit that came too late."""
    event = payment("T1", "a")
    assert house.take_in(event, delivery_id="d_1").outcome == "processed"
    assert house.take_in(event, delivery_id="d_1").outcome == "seen"
    assert house.one("SELECT outcome FROM deliveries")["outcome"] == "processed"


def test_R007_R008_one_payment_with_several_ids_knows_the_payer_by_each(house):
    house.take_in(payment("T1", Payer("sp-app", "openid", "a"), Payer("sub-app", "openid", "b")))
    house.take_in(payment("T2", Payer("sub-app", "openid", "b")))
    assert house.links("T2") == {"payer"}
    house.take_in(payment("T3", Payer("sp-app", "openid", "b")))
    assert house.decisions("T3")["tag"] == ("done", "first_payment")


def test_R008_two_known_persons_become_one_in_the_middle_of_a_payment(house):
    house.take_in(payment("T1", Payer("app-1", "openid", "a")))
    house.take_in(payment("T2", Payer("app-2", "openid", "b")), "sweets")
    house.take_in(payment("T3", Payer("app-1", "openid", "a"), Payer("app-2", "openid", "b")))
    assert house.links("T3") == {"payer"}
    assert json.loads(house.payment("T3")["tag_source"])["id"] == "hotpot"


def test_R017_a_foreign_merchants_event_makes_an_incident_and_no_payment(house):
    house.apply(Channel("partner", "hotpot", "openbook", intake="copy", sub_merchants={"S1": "sweets"}))
    mine = house.take_in(payment("T1", "a", sub_mch_id="S1"), "partner")
    foreign = house.take_in(payment("T2", "a", sub_mch_id="S2"), "partner")
    assert (mine.outcome, foreign.outcome, foreign.reason) == ("processed", "ignored", "foreign_merchant")
    assert house.payment("T1")["merchant"] == "sweets"
    assert (house.count("payments"), house.count("tags")) == (1, 1)
    assert house.take_in(Ignored("payment", "foreign_merchant", "e-1"), "partner").outcome == "ignored"
    (incident,) = house.store.read(incidents.open_ones)
    assert (incident["kind"], incident["subject"], incident["n"]) == ("foreign_merchant", "partner", 2)


def test_what_is_genuine_and_nothing_for_us_is_a_delivery_only(house):
    taken = house.take_in(Ignored("voucher", "unknown_event", "e-1"))
    assert (taken.outcome, taken.reason) == ("ignored", "unknown_event")
    assert (house.count("deliveries"), house.count("payments"), house.count("incidents")) == (1, 0, 0)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b'{"kind": "payment"}', b"\xff\xfe", b'{"kind": "payment", "paid_at": "x"}']
)
def test_what_the_adapter_refuses_writes_nothing_and_is_quarantined_on_request(house, body):
    channel = house.directory.channel("hotpot")
    raw = RawNotification("POST", "/a%2Fb", (("X-A", "1"), ("X-A", "2")), body, START)
    with pytest.raises(BadNotification) as refused:
        house.intake.take_in(house.directory, channel, raw, START)
    assert house.count("deliveries") == 0
    taken = house.intake.quarantine(channel, raw, refused.value, START, query="q=1")
    assert taken == Taken("refused", taken.delivery, None, Malformed.reason)
    row = house.one("SELECT * FROM deliveries")
    assert (row["outcome"], row["reason"], body not in bytes(row["sealed"]) or body == b"") == (
        "refused",
        "malformed",
        True,
    )
    assert [house.count(table) for table in ("payments", "persons", "tags", "links")] == [0, 0, 0, 0]


def test_what_joins_the_transaction_stands_or_falls_with_it(house):
    def owe(tx, taken):
        tx.run("INSERT INTO meta (name, value) VALUES ('owed', :id)", {"id": taken.delivery})
        if taken.outcome == "processed":
            raise KeyError("no")

    with pytest.raises(KeyError):
        house.take_in(payment("T1", "a"), on_event=owe)
    assert (house.count("payments"), house.count("meta"), house.count("persons"), house.count("deliveries")) == (
        0,
        0,
        0,
        0,
    )
    house.pay("T1", "a")
    house.take_in(payment("T1", "a"), on_event=owe)
    assert house.count("meta") == 1


def test_R019_a_store_that_is_late_raises_in_time(house):
    inside, go = threading.Event(), threading.Event()

    def hold(tx):
        tx.lock("transaction:T1")
        inside.set()
        go.wait(20)

    thread = threading.Thread(target=lambda: house.write(hold))
    thread.start()
    assert inside.wait(10)
    with pytest.raises(StoreBusy):
        house.take_in(payment("T1", "a"), timeout=0.1)
    go.set()
    thread.join()
    assert house.pay("T1", "a").payment is not None
    assert house.count("payments") == 1


# -- limits, budgets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "reason", "wait"),
    [
        ({"per_person_per_day": 2}, "limit_day", {"days": 1}),
        ({"per_person_per_week": 2}, "limit_week", {"days": 7}),
        ({"per_person": 2}, "limit_total", None),
    ],
)
def test_R033_limits_are_exact_recorded_and_end_with_their_window(house, limit, reason, wait):
    items = [Item(f"i{number}", "hotpot", "x", offer="own") for number in range(9)]
    house.apply(changed(Offer, "default", elsewhere=0, **limit), *items)
    house.pay("T0", "a")
    for number in range(1, 6):
        house.pay(f"T{number}", "a")
    assert [house.decisions(f"T{number}")["payer_link"][1] for number in range(1, 6)] == [
        "issued",
        "issued",
        *[reason] * 3,
    ]
    house.pay("U0", "b")
    house.pay("U1", "b")
    assert house.links("U1") == {"payer"}
    if wait is not None:
        house.later(**wait)
        house.pay("V1", "a")
        assert house.links("V1") == {"payer"}


def test_R033_R041_a_refused_link_takes_from_no_limit(house):
    house.apply(changed(Offer, "default", own=1, elsewhere=0, per_person=2))
    house.claimed("a")
    for number in range(4):
        house.pay(f"T{number}", "a")
        assert house.decisions(f"T{number}")["payer_link"] == ("refused", "no_inventory")
    assert house.one("SELECT n FROM counters")["n"] == 1


def test_R063_the_budget_ends_the_giving_to_the_fen(house):
    house.apply(changed(Offer, "default", own=1, elsewhere=0, budget_fen=899, per_person=9))
    for name in "abcd":
        house.pay(f"{name}-1", name)
        house.pay(f"{name}-2", name)
    assert [house.decisions(f"{name}-2")["payer_link"][1] for name in "abcd"] == [
        "issued",
        "issued",
        "budget",
        "budget",
    ]
    assert house.one("SELECT reserved_fen FROM budgets")["reserved_fen"] == 600
    assert house.count("counters WHERE n = 1") == 2  # a budget's refusal gives the limit back


def test_R063_a_days_budget_is_the_shops_day(house):
    house.apply(changed(Offer, "default", own=1, elsewhere=0, budget_fen_per_day=300))
    for number in (1, 2):
        house.pay(f"a-{number}", "a")
        house.pay(f"b-{number}", "b")
    assert house.decisions("b-2")["payer_link"] == ("refused", "budget")
    house.later(hours=11, minutes=54, seconds=54)  # midnight in the shop
    house.pay("b-3", "b")
    assert house.links("b-3") == {"payer"}
    assert {row["name"] for row in house.all("SELECT name FROM budgets")} == {
        "offer:riverside:2026-11-22", "offer:riverside:2026-11-23",
    }  # fmt: skip


# -- the source's reward ------------------------------------------------------------------------------------------------


@pytest.fixture
def rewarding(house):
    house.apply(changed(Offer, "default", source_item="cut"))
    return house


def _brought(house, source, friend):
    """`source` is a customer; `friend` takes his share up."""
    if house.count("payments WHERE transaction_id = :t", t=f"{source}-known") == 0:
        house.pay(f"{source}-known", source)
    assert house.confirm(house.share(source), friend) == "tagged"


def test_R034_a_friends_payment_rewards_who_brought_him_also(rewarding):
    _brought(rewarding, "a", "b")
    rewarding.pay("T1", "b")
    assert rewarding.decisions("T1")["tag"] == ("skipped", "already_tagged")
    link = rewarding.link("T1", "source")
    assert (link["person"], link["about"], json.loads(link["items"])) == (
        rewarding.person("a"), rewarding.person("b"), ["cut"],
    )  # fmt: skip
    assert rewarding.link("T1", "payer")["person"] == rewarding.person("b")
    assert json.loads(rewarding.payment("T1")["tag_source"]) == {
        "type": "payer", "id": rewarding.person("a"), "mode": "active",
    }  # fmt: skip


def test_R035_once_for_each_friend(rewarding):
    _brought(rewarding, "a", "b")
    _brought(rewarding, "a", "c")
    for number, name in enumerate("bbcc"):
        rewarding.pay(f"T{number}", name)
    said = [rewarding.decisions(f"T{number}")["source_link"] for number in range(4)]
    assert said == [("done", "issued"), ("refused", "already_rewarded")] * 2


def test_R035_or_for_the_first_payments_that_are_set(rewarding):
    rewarding.apply(changed(Offer, "default", source_item="cut", source_first_payments=2))
    _brought(rewarding, "a", "b")
    for number in range(4):
        rewarding.pay(f"T{number}", "b")
    said = [rewarding.decisions(f"T{number}")["source_link"][1] for number in range(4)]
    assert said == ["issued", "issued", "already_rewarded", "already_rewarded"]


def test_R035_not_below_the_minimum_and_not_for_what_came_back(rewarding):
    _brought(rewarding, "a", "b")
    rewarding.pay("T1", "b", amount=99)
    assert rewarding.links("T1") == set()
    rewarding.pay("T2", "b")
    rewarding.refund("T2", "R1", 10_000)
    assert rewarding.link("T2", "source")["state"] == "revoked"
    # The withdrawn one does not count as the one reward there is.
    rewarding.pay("T3", "b")
    assert rewarding.decisions("T3")["source_link"] == ("done", "issued")


def test_R035_a_reward_that_was_used_before_the_refund_stays_the_one(rewarding):
    _brought(rewarding, "a", "b")
    rewarding.pay("T1", "b")
    page = rewarding.claim(rewarding.link("T1", "source"))
    rewarding.redeem(page.coupons[0]["code"])
    rewarding.refund("T1", "R1", 10_000)
    rewarding.pay("T2", "b")
    assert rewarding.decisions("T2")["source_link"] == ("refused", "already_rewarded")


def test_R036_who_was_tagged_by_a_merchant_brings_nobody_a_reward(rewarding):
    rewarding.pay("T1", "a")
    rewarding.pay("T2", "a")
    assert rewarding.decisions("T2")["source_link"] == ("skipped", "passive_source")


@pytest.mark.parametrize(
    "parts", [{"source_item": ""}, {"source_item": "nothing-of-the-kind"}, {"source_item": "dumpling"}]
)
def test_R034_no_item_for_sources_is_no_inventory(house, parts):
    house.apply(changed(Offer, "default", **parts))
    _brought(house, "a", "b")
    house.pay("T1", "b")
    assert house.decisions("T1")["source_link"] == ("refused", "no_inventory")
    assert house.links("T1") == {"payer"}


def test_R034_the_source_has_a_budget_of_his_own(house):
    house.apply(changed(Offer, "default", source_item="cut", source_budget_fen=1000, budget_fen=300, elsewhere=0))
    _brought(house, "a", "b")
    _brought(house, "a", "c")
    house.pay("T1", "b")
    house.pay("T2", "c")
    assert house.decisions("T1")["source_link"] == ("done", "issued")
    assert (house.decisions("T2")["source_link"], house.decisions("T2")["payer_link"]) == (
        ("refused", "budget"), ("refused", "budget"),
    )  # fmt: skip
    # What the budget refused was no reward: the next payment may bring it.
    house.apply(changed(Offer, "default", source_item="cut", source_budget_fen=5000, elsewhere=0))
    house.pay("T3", "c")
    assert house.decisions("T3")["source_link"] == ("done", "issued")


def test_R037_a_source_nobody_can_reach_finds_the_link_in_his_wallet_until_it_expires(rewarding):
    house = rewarding
    _brought(house, "a", "b")
    house.pay("T1", "b")
    link = house.link("T1", "source")
    found = house.in_tx("a", lambda tx, person: links.of_person(tx, person))
    assert [row["id"] for row in found] == [link["id"]]
    assert house.in_tx("b", lambda tx, person: [row["purpose"] for row in links.of_person(tx, person)]) == ["payer"]
    house.later(days=6)
    assert {row["item"] for row in house.claim(link).coupons} == {"cut"}
    _brought(house, "a", "c")
    house.pay("T2", "c")
    house.later(days=7)
    assert links.state_at(house.link("T2", "source"), house.now) == "expired"


def test_R038_one_who_turns_out_to_be_his_own_source_is_refused(rewarding):
    _brought(rewarding, "a", "b")
    rewarding.take_in(payment("T1", "a", "b"))
    # Now both openids are one person, whose first tag counts: the merchant's.
    assert rewarding.decisions("T1")["source_link"] == ("skipped", "passive_source")
    house = rewarding
    house.in_tx("a", lambda tx, person: tagging.revoke(tx, "riverside", person, house.now, "test"))
    house.in_tx("a", lambda tx, person: tagging.tag(
        tx, house.ids, house.now, circle="riverside", person=person, source=tagging.payer(person.group[-1]), origin="s_x", days=9
    ))  # fmt: skip
    house.pay("T2", "b")
    assert house.decisions("T2")["source_link"] == ("refused", "self_referral")


def test_R038_two_who_brought_each_other_are_flagged_and_not_rewarded(rewarding):
    _brought(rewarding, "a", "b")
    house = rewarding
    house.in_tx("a", lambda tx, person: tagging.revoke(tx, "riverside", person, house.now, "left"))
    assert house.confirm(house.share("b"), "a") == "tagged"
    house.pay("T1", "b")
    house.pay("T2", "a")
    assert [house.decisions(number)["source_link"] for number in ("T1", "T2")] == [("refused", "ring")] * 2
    assert house.links("T1") == {"payer"}
    (incident,) = house.store.read(incidents.open_ones)
    assert (incident["kind"], incident["n"]) == ("ring", 2)


def test_a_source_that_is_no_person_any_more_brings_nothing(rewarding):
    house = rewarding
    house.pay("T0", "b")
    house.in_tx("b", lambda tx, person: tagging.revoke(tx, "riverside", person, house.now, "test"))
    house.in_tx("b", lambda tx, person: tagging.tag(
        tx, house.ids, house.now, circle="riverside", person=person, source=tagging.payer("p_gone"), origin="s_x", days=9
    ))  # fmt: skip
    house.pay("T1", "b")
    assert house.decisions("T1")["source_link"] == ("refused", "no_inventory")


# -- refunds ------------------------------------------------------------------------------------------------------------


def test_R015_a_refund_before_its_payment_waits_for_it(house):
    house.pay("T0", "a")
    assert house.refund("T1", "R1", 4000).outcome == "processed"
    assert house.refund("T1", "R1", 4000).outcome == "seen"
    assert house.one("SELECT state, payment FROM refunds")["state"] == "waiting"
    house.pay("T1", "a")
    assert house.one("SELECT state FROM refunds")["state"] == "applied"
    assert (house.payment("T1")["refunded_fen"], house.links("T1")) == (4000, {"payer"})


def test_R015_a_full_refund_before_its_payment_lets_nothing_be_given(house):
    house.refund("T1", "R1", 6000)
    house.refund("T1", "R2", 3950)
    house.pay("T1", "a")
    assert house.decisions("T1") == {"tag": ("skipped", "refunded")}
    assert (house.payment("T1")["refunded_fen"], house.count("tags"), house.count("links")) == (9950, 0, 0)


def test_R015_R061_too_large_a_refund_before_its_payment_is_an_incident_and_nothing_else(house):
    house.refund("T1", "R1", 20_000)
    house.pay("T1", "a")
    assert house.decisions("T1")["tag"] == ("done", "first_payment")
    assert house.payment("T1")["refunded_fen"] == 0
    assert [row["kind"] for row in house.store.read(incidents.open_ones)] == ["refund_excess"]
    assert house.one("SELECT state FROM refunds")["state"] == "excess"


def test_R015_a_total_told_early_counts(house):
    """The second partial refund is told first, with the running total; nothing of the payment stays."""
    house.refund("T1", "R2", 3000, total=9950)
    house.pay("T1", "a")
    assert house.decisions("T1") == {"tag": ("skipped", "refunded")}
    house.refund("T1", "R1", 6950, total=6950)
    assert house.payment("T1")["refunded_fen"] == 9950


def test_a_refund_of_another_merchants_number_waits_and_harms_nobody(house):
    house.pay("T1", "a")
    stray = refund("T1", "R1", 10_000)
    house.take_in(type(stray)(**{**{name: getattr(stray, name) for name in stray.__slots__}, "mch_id": "M-other"}))
    assert house.payment("T1")["refunded_fen"] == 0
    assert house.one("SELECT state FROM refunds")["state"] == "waiting"


def test_the_raw_request_can_be_read_back_as_it_came(house):
    raw = raw_of(payment("T1", "a"), START)
    taken = house.take_in(payment("T1", "a"), query="x=%20")
    sealed = house.one("SELECT id, sealed, digest FROM deliveries")
    again, query = inbox.unpack(house.vault.open(bytes(sealed["sealed"]), taken.delivery.encode()))
    assert (again, query) == (raw, "x=%20")
    assert bytes(sealed["digest"]) == inbox.digest_of(raw.body)
