"""Payments with every decision's reason (R076), page by page, and nobody else's (R072)."""

import pytest

from gateway import inbox
from gateway.contract.clock import to_text


def get(world, path, role="operator", **scope):
    return world.client(role, **scope).get(f"/api/v1/{path}")


def test_R076_a_first_payment_tags_and_gives_no_link(world):
    world.pay("T1", "openid-a")
    assert get(world, "payments/T1").json == {
        "transaction_id": "T1",
        "provider": "plainpay",
        "channel": "hotpot-pay",
        "merchant": "hotpot",
        "amount_fen": 10_000,
        "refunded_fen": 0,
        "paid_at": "2026-11-22T04:05:06.000Z",
        "payer": world.person_of("T1"),
        "tag": {
            "before": "untagged",
            "after": "tagged",
            "source": {"type": "payee", "id": "hotpot", "mode": "passive"},
        },
        "links": [],
        "decisions": [
            {"rule": "tag", "outcome": "done", "reason": "first_payment"},
            {"rule": "payer_link", "outcome": "skipped", "reason": "first_payment"},
        ],
        "relay": {"state": "none", "attempts": 0, "last_status": None},
        "deliveries": 1,
    }


def test_R076_a_second_payment_gives_a_link_that_works(world):
    world.pay("T1", "openid-a")
    world.pay("T2", "openid-a")
    told = get(world, "payments/T2").json
    (link,) = told["links"]
    assert (link["for"], link["state"], sorted(link["items"])) == ("payer", "issued", ["bowl-5off", "soup"])
    assert link["url"] == world.link_url(link["id"])
    token = link["url"].rpartition("/")[2]
    world.runtime.claiming.claim(world.runtime.directory(), token, world.clock())
    assert get(world, "payments/T2").json["links"][0]["state"] == "claimed"
    assert [one["reason"] for one in told["decisions"]] == ["already_tagged", "issued", "passive_source"]


def test_R076_a_link_that_ran_out_is_expired_before_the_sweep(world):
    world.pay("T1", "openid-a")
    world.pay("T2", "openid-a")
    world.clock.move(days=7)
    assert get(world, "payments/T2").json["links"][0]["state"] == "expired"


def test_R076_what_could_not_be_tagged_says_why(world):
    world.pay("T1")
    world.pay("T2", "openid-a", amount_fen=99)
    assert get(world, "payments/T1").json["tag"] == {"before": "untaggable", "after": "untaggable", "source": None}
    assert get(world, "payments/T1").json["payer"] is None
    assert get(world, "payments/T2").json["decisions"] == [
        {"rule": "tag", "outcome": "skipped", "reason": "below_minimum"}
    ]


def test_R076_repeats_are_counted_and_refunds_told(world):
    for _ in range(3):
        world.pay("T1", "openid-a")
    assert get(world, "payments/T1").json["deliveries"] == 3
    world.refund("T1", 4_000)
    assert get(world, "payments/T1").json["refunded_fen"] == 4_000


def relayed(world, transaction_id, outcome, status):
    row = world.one("SELECT id FROM payments WHERE transaction_id = :id", id=transaction_id)
    delivery = world.all("SELECT id FROM deliveries WHERE payment = :id", id=row["id"])[-1]
    attempt = {
        "id": world.runtime.ids.new("ra", world.clock()),
        "delivery": delivery["id"],
        "payment": row["id"],
        "channel": "hotpot-second",
        "at": to_text(world.clock()),
        "outcome": outcome,
        "status": status,
        "ms": 5,
        "replay": 0,
    }
    world.store.write(lambda tx: inbox.record_relay(tx, attempt))


def test_the_relays_state_is_told_and_goes_stale_with_the_signature(world):
    """The second platform's signatures are refused after five minutes: then nobody can deliver it any more."""

    def relay():
        return get(world, "payments/T1").json["relay"]

    world.pay("T1", "openid-a", channel="hotpot-second")
    relayed(world, "T1", "timeout", None)
    assert relay() == {"state": "failed", "attempts": 1, "last_status": None}
    world.clock.move(minutes=5)
    assert relay()["state"] == "failed"
    world.clock.move(milliseconds=1)
    assert relay()["state"] == "stale"
    # The platform sends again, newly signed: it can be delivered again.
    world.pay("T1", "openid-a", channel="hotpot-second", received_at=world.clock())
    assert relay()["state"] == "failed"
    relayed(world, "T1", "answered", 200)
    world.clock.move(days=1)
    assert relay() == {"state": "answered", "attempts": 2, "last_status": 200}


def test_a_failed_relay_without_a_deadline_stays_failed(world):
    world.pay("T1", "openid-a")
    relayed(world, "T1", "refused", 502)
    world.clock.move(days=30)
    assert get(world, "payments/T1").json["relay"] == {"state": "failed", "attempts": 1, "last_status": 502}


def test_one_number_of_two_providers_is_ambiguous_until_one_is_named(world, says):
    world.pay("T1", "openid-a")
    world.pay("T1", "openid-b", channel="hotpot-second")
    answer = get(world, "payments/T1")
    assert says(answer) == (409, "ambiguous")
    assert answer.json["providers"] == ["plainpay", "secondpay"]
    assert get(world, "payments/T1?provider=secondpay").json["channel"] == "hotpot-second"
    assert get(world, "payments/T1?provider=plainpay").json["channel"] == "hotpot-pay"
    assert says(get(world, "payments/T1?provider=alipay")) == (404, "not_found")


def test_R072_anothers_number_makes_none_of_mine_ambiguous(world):
    world.pay("T1", "openid-a")
    world.pay("T1", "openid-b", channel="noodles-pay")
    assert get(world, "payments/T1", "manager").json["merchant"] == "hotpot"
    assert get(world, "payments/T1", "operator", circle="hillside").json["merchant"] == "noodles"
    assert get(world, "payments/T1", "admin").status_code == 409


@pytest.mark.parametrize(
    ("role", "scope", "seen"),
    [
        ("admin", {}, True),
        ("operator", {}, True),
        ("operator", {"circle": "riverside"}, True),
        ("operator", {"circle": "hillside"}, False),
        ("manager", {"merchant": "hotpot"}, True),
        ("manager", {"merchant": "sweets"}, False),
        ("manager", {"merchant": "noodles"}, False),
        ("manager", {"merchant": "gone"}, False),
    ],
)
def test_R072_anothers_payment_is_not_there(world, says, role, scope, seen):
    world.pay("T1", "openid-a")
    answer = get(world, "payments/T1", role, **scope)
    listed = get(world, "payments", role, **scope).json["items"]
    if seen:
        assert answer.status_code == 200
        assert [one["transaction_id"] for one in listed] == ["T1"]
    else:
        assert says(answer) == (404, "not_found")
        assert listed == []
        absent = get(world, "payments/NOT-THERE", role, **scope).json
        assert {**answer.json, "request_id": ""} == {**absent, "request_id": ""}


@pytest.mark.parametrize(
    "number", ["T%00", "%00", "T1'%20OR%201=1--", "T" * 5000, "%F0%9F%98%80", "%ff%fe", "%C0%80", "T%2F1", ".", "T1%0a"]
)
def test_numbers_that_are_none_are_not_there(world, says, number):
    world.pay("T1", "openid-a")
    assert says(get(world, f"payments/{number}"))[0] == 404


def test_pages_are_newest_first_and_stay_while_payments_come_in(world):
    numbers = [f"T{number:03d}" for number in range(120)]
    for number in numbers:
        world.pay(number)
    seen, cursor, sizes = [], "", []
    while True:
        page = get(world, f"payments?cursor={cursor}" if cursor else "payments").json
        sizes.append(len(page["items"]))
        seen += [one["transaction_id"] for one in page["items"]]
        world.pay(f"later-{len(sizes)}")
        cursor = page["next"]
        if cursor is None:
            break
    assert sizes == [50, 50, 20]
    assert seen == numbers[::-1]


def test_pages_of_several_merchants_are_one_list(world):
    for number in range(60):
        world.pay(f"T{number:03d}", channel=("hotpot-pay", "sweets-pay", "noodles-pay")[number % 3])
        world.clock.move(seconds=1)
    wanted = [f"T{number:03d}" for number in reversed(range(60)) if number % 3 != 2]
    client = world.client("operator", circle="riverside")
    first = client.get("/api/v1/payments").json
    assert [one["transaction_id"] for one in first["items"]] == wanted
    assert first["next"] is None
    assert [one["transaction_id"] for one in get(world, "payments", "manager", merchant="noodles").json["items"]] == [
        f"T{number:03d}" for number in reversed(range(60)) if number % 3 == 2
    ]


def test_a_page_that_is_just_full_is_the_last(world):
    for number in range(50):
        world.pay(f"T{number}")
    page = get(world, "payments").json
    assert (len(page["items"]), page["next"]) == (50, None)


@pytest.mark.parametrize(
    "cursor", ["", "%00", "!!!!", "é", "A", "a" * 61, "pay_01", "l_01a", "0' OR 1=1", "0%0a", "-1", "%ED%A0%80"]
)
def test_cursors_that_are_none_of_ours_are_refused(world, says, cursor):
    assert says(get(world, f"payments?cursor={cursor}")) in {(422, "invalid"), (400, "bad_request")}


def test_a_cursor_opens_nothing_that_is_anothers(world):
    world.pay("T1", "openid-a")
    assert get(world, f"payments?cursor={'z' * 32}").json["items"] != []
    assert get(world, f"payments?cursor={'z' * 32}", "manager", merchant="noodles").json["items"] == []


@pytest.mark.parametrize("query", ["provider=", "limit=5", "provider=a&x=1", "provider=" + "x" * 201])
def test_questions_that_are_not_understood_are_refused(world, says, query):
    assert says(get(world, f"payments/T1?{query}")) == (422, "invalid")


def test_without_a_base_url_links_lead_to_where_we_were_asked(tmp_path):
    from tests.support.world import World

    world = World(tmp_path)
    world.home.config_file.write_text('[store]\nurl = "sqlite:///drainage.db"\n')
    world.pay("T1", "openid-a")
    world.pay("T2", "openid-a")
    client = world.app(world.another_runtime()).test_client()
    header = {"Authorization": f"Bearer {world.token('operator')}", "Host": "127.0.0.1:8080"}
    url = client.get("/api/v1/payments/T2", headers=header).json["links"][0]["url"]
    assert url.startswith("http://127.0.0.1:8080/c/")
    world.close()


# -- persons and the summary ------------------------------------------------------------------------------------------


def test_a_person_with_tags_links_and_coupons(world):
    gift = world.claimed("openid-a")
    person = world.one("SELECT person FROM links")["person"]
    told = get(world, f"persons/{person}").json
    assert told["person"] == person
    assert told["circles"]["riverside"] == {
        "tag": "tagged",
        "source": {"type": "payee", "id": "hotpot", "mode": "passive"},
    }
    assert told["circles"]["hillside"] == {"tag": "untagged", "source": None}
    assert [link["id"] for link in told["links"]] == [gift.link]
    assert sorted(told["coupons"]) == sorted(gift.codes.values())
    assert "openid-a" not in str(told)


def test_R072_a_person_is_shown_as_far_as_the_circle_knows_him(world, says):
    world.claimed("openid-a")
    person = world.one("SELECT person FROM links")["person"]
    own = get(world, f"persons/{person}", circle="riverside").json
    assert set(own["circles"]) == {"riverside"}
    assert own["coupons"]
    assert says(get(world, f"persons/{person}", circle="hillside")) == (404, "not_found")
    world.pay("N1", "openid-n", channel="noodles-pay")
    other = get(world, f"persons/{world.person_of('N1')}", circle="hillside").json
    assert (set(other["circles"]), other["links"], other["coupons"]) == ({"hillside"}, [], [])


@pytest.mark.parametrize("person", ["p_none", "p_%00", "x", "%20", "p_" + "0" * 4000])
def test_persons_that_are_none_are_not_there(world, says, person):
    assert says(get(world, f"persons/{person}")) == (404, "not_found")


def test_the_summary_counts_what_happened(world):
    gift = world.claimed("openid-a")
    world.pay("T3", "openid-a", channel="sweets-pay")
    world.pay("N1", "openid-n", channel="noodles-pay")
    world.client("clerk").post(f"/api/v1/coupons/{gift.codes['soup']}/redeem", headers={"Idempotency-Key": "1"})
    relayed(world, "T3", "timeout", None)
    counts = get(world, "summary").json
    assert counts == {
        "payments": 4,
        "tagged": 2,
        "links_issued": 1,
        "links_claimed": 1,
        "coupons_claimed": 2,
        "coupons_redeemed": 1,
        "relays_failed": 1,
        "refused": 0,
        "outbox_depth": 0,
        "parked": 0,
    }
    own = get(world, "summary", circle="hillside").json
    assert (own["payments"], own["tagged"], own["links_issued"], own["relays_failed"]) == (1, 1, 0, 0)
    assert get(world, "summary", circle="riverside").json["payments"] == 3
    assert sum(get(world, "summary", circle="gone").json.values()) == 0


def test_the_summary_counts_living_tags_only(world):
    world.pay("T1", "openid-a")
    world.clock.move(days=89)
    assert get(world, "summary").json["tagged"] == 1
    world.clock.move(days=91)
    later = world.runtime.accounts.create_token("y", "operator", None, None, world.clock(), "tests")
    assert world.client(token=later.text).get("/api/v1/summary").json["tagged"] == 0
