"""Invitations, bindings, rewards and their way back (R190–R195), by the calls and the payments alone."""

import itertools

import pytest

from gateway import people


def test_R191_R192_an_invitation_is_reusable_shown_again_and_its_token_is_not_in_the_store(make_hands, database):
    hands = make_hands(None, database)
    first = hands.invite()
    again = hands.invite(wants=200)
    assert first == again
    assert first["url"].startswith("https://pay.example.com/r/")
    assert first["qr_svg"].startswith("<svg")
    assert first["expires_at"] == "2026-12-22T04:05:06.000Z"
    token = first["url"].rpartition("/")[2]
    assert token not in str({name: rows for name, rows in hands.dump().items() if name.startswith("referral_")})
    for openid in ("friend-a", "friend-b"):
        assert hands.bind(first["invitation"], openid)["state"] == "bound"


def test_R192_a_revoked_or_expired_invitation_binds_nobody(make_hands):
    hands = make_hands({"invitation_days": 10})
    made = hands.invite()
    assert hands.ask("/invitations/revoke", "host", 200).body == {"revoked": True}
    assert hands.ask("/invitations/revoke", "host", 200).body == {"revoked": False}
    assert hands.bind(made["invitation"], wants=409)["code"] == "expired"
    other = hands.invite()
    assert other["invitation"] != made["invitation"]
    hands.later(days=10)
    assert hands.bind(other["invitation"], wants=409)["code"] == "expired"


def test_R190_R194_a_friends_payment_brings_both_a_link_after_the_hold(make_hands, database):
    hands = make_hands({"hold_days": 2}, database)
    binding = hands.brought()
    hands.comes("T1", fen=999)
    assert hands.state(binding) == ("bound", "")
    hands.comes("T2", shop="books")
    assert hands.state(binding) == ("qualified", "")
    assert hands.sides(binding) == set()
    hands.later(days=1, hours=23, minutes=59)
    assert hands.state(binding) == ("qualified", "")
    hands.later(minutes=1)
    assert hands.state(binding) == ("rewarded", "")
    (item,) = hands.call("GET", f"/referrals?person={hands.person_of('T2')}", role="operator").body["items"]
    assert [(link["side"], link["person"]) for link in item["links"]] == [
        ("referrer", item["referrer"]),
        ("referred", hands.person_of("T2")),
    ]
    assert all(link["url"].startswith("https://pay.example.com/c/") for link in item["links"])
    assert hands.claim(item["links"][0]["link"]).keys() == {"book-5off"}
    assert hands.claim(item["links"][1]["link"]).keys() == {"side"}
    hands.comes("T3")
    hands.later(days=3)
    assert len(hands.all("SELECT id FROM links WHERE purpose = 'campaign'")) == 2, "only the first payment counts"
    hands.holds()


def test_R194_without_a_hold_rewards_come_with_the_payment(make_hands):
    hands = make_hands()
    binding = hands.brought()
    hands.comes("T1")
    assert hands.state(binding) == ("rewarded", "")
    assert hands.sides(binding) == {"referrer", "referred"}


@pytest.mark.parametrize(
    ("settings", "sides"), [({"referrer_item": ""}, {"referred"}), ({"referred_item": ""}, {"referrer"})]
)
def test_R194_the_file_says_which_side_is_rewarded(make_hands, settings, sides):
    hands = make_hands(settings)
    binding = hands.brought()
    hands.comes("T1")
    assert hands.sides(binding) == sides


def test_R193_one_is_bound_once_in_a_campaign(make_hands):
    hands = make_hands()
    one, other = hands.invite("host-a"), hands.invite("host-b")
    hands.bind(one["invitation"])
    for made in (one, other):
        assert hands.bind(made["invitation"], wants=409)["code"] == "already_bound"


def test_R193_existing_customers_do_not_count_unless_the_file_says_so(make_hands):
    hands = make_hands()
    hands.pay("T0", "friend")
    assert hands.bind(hands.invite()["invitation"], wants=409)["code"] == "existing_customer"
    hands = make_hands({"new_only": False})
    hands.pay("T0", "friend")
    assert hands.bind(hands.invite()["invitation"])["state"] == "bound"


def test_R190_only_payments_after_the_binding_count(make_hands):
    hands = make_hands({"new_only": False})
    binding = hands.brought()
    hands.later(seconds=-1)
    hands.pay("T1", "friend")
    assert hands.state(binding) == ("bound", ""), "it was paid before, and told after"
    hands.later(seconds=1)
    hands.comes("T2")
    assert hands.state(binding) == ("rewarded", "")


def test_R190_who_may_invite(make_hands):
    hands = make_hands({"referrers": "tagged"})
    assert hands.invite("host", wants=409)["code"] == "not_in_group"
    hands.pay("T1", "host")
    person = hands.person_of("T1")
    listed = hands.call("GET", f"/open?person={person}", role="manager", wants=200).body["items"]
    assert [(one["campaign"], one["invitation"]) for one in listed] == [("trial", None)]
    made = hands.invite("host")
    listed = hands.call("GET", f"/open?person={person}", role="manager").body["items"]
    assert listed[0]["invitation"] == made["invitation"]
    assert hands.call("GET", "/open?person=p_nobody", role="manager").status == 404


def test_R195_oneself_is_refused_under_whichever_wallet(make_hands):
    hands = make_hands({"new_only": False})
    made = hands.invite()
    assert hands.bind(made["invitation"], "host", wants=409)["code"] == "self_referral"
    hands.pay("T1", "host")
    hands.pay("T2", "other-wallet")
    one, other = hands.person_of("T1"), hands.person_of("T2")
    hands.store.write(
        lambda tx: people.merge(tx, hands.runtime.ids, hands.now, winner=one, loser=other, by="t", reason="t")
    )
    assert hands.bind(made["invitation"], "other-wallet", wants=409)["code"] == "self_referral"


def test_R195_two_who_turn_out_to_be_one_are_not_rewarded(make_hands):
    hands = make_hands({"hold_days": 1})
    binding = hands.brought()
    hands.comes("T1")
    row = hands.one("SELECT * FROM referral_bindings WHERE id = :id", id=binding)
    hands.store.write(
        lambda tx: people.merge(
            tx, hands.runtime.ids, hands.now, winner=row["referrer"], loser=row["referred"], by="t", reason="t"
        )
    )
    hands.later(days=1)
    assert hands.state(binding) == ("rejected", "self_referral")
    assert hands.all("SELECT id FROM links WHERE purpose = 'campaign'") == []


@pytest.mark.parametrize("others", [1, 2])
def test_R195_a_ring_waits_for_staff_however_long(make_hands, others, database):
    hands = make_hands({"new_only": False}, database)
    names = ["a", *(f"m{number}" for number in range(others))]
    for host, friend in itertools.pairwise(names):
        hands.brought(friend, host)
    made = hands.invite(names[-1])
    bound = hands.bind(made["invitation"], "a")
    assert (bound["state"], bound["reason"]) == ("review", "ring")
    hands.comes("T1", "a")
    assert hands.state(bound["binding"]) == ("review", "ring"), "no reward before somebody looked"
    assert hands.sides(bound["binding"]) == set()
    assert hands.reviewed(bound["binding"], "approve").body == {"referral": bound["binding"], "state": "rewarded"}
    assert hands.sides(bound["binding"]) == {"referrer", "referred"}
    again = hands.reviewed(bound["binding"], "reject")
    assert (again.status, again.body["code"]) == (409, "bad_transition")


def test_R195_the_same_device_waits_for_staff_and_may_be_rejected(make_hands):
    hands = make_hands()
    made = hands.invite()
    assert hands.bind(made["invitation"], "friend-a", device="phone-1")["state"] == "bound"
    assert hands.bind(made["invitation"], "friend-b", device="phone-2")["state"] == "bound"
    odd = hands.bind(made["invitation"], "friend-c", device="phone-1")
    assert (odd["state"], odd["reason"]) == ("review", "same_device")
    assert "phone-1" not in str(hands.all("SELECT * FROM referral_devices"))
    assert hands.reviewed(odd["binding"], "reject").body["state"] == "rejected"
    hands.comes("T1", "friend-c")
    assert hands.state(odd["binding"]) == ("rejected", "same_device")


def test_R195_approved_before_the_payment_it_is_an_ordinary_binding(make_hands):
    hands = make_hands()
    made = hands.invite()
    hands.bind(made["invitation"], "friend-a", device="phone-1")
    odd = hands.bind(made["invitation"], "friend-b", device="phone-1")
    assert hands.reviewed(odd["binding"], "approve").body["state"] == "bound"
    hands.comes("T1", "friend-b")
    assert hands.state(odd["binding"]) == ("rewarded", "")


def test_R195_a_refund_during_the_review_leaves_nothing_to_reward(make_hands):
    hands = make_hands()
    made = hands.invite()
    hands.bind(made["invitation"], "friend-a", device="phone-1")
    odd = hands.bind(made["invitation"], "friend-b", device="phone-1")
    hands.comes("T1", "friend-b")
    hands.refund("T1", 5000)
    assert hands.reviewed(odd["binding"], "approve").body["state"] == "bound"
    hands.comes("T2", "friend-b")
    assert hands.state(odd["binding"]) == ("rewarded", "")


def test_R194_a_referrers_caps_leave_the_friend_his_own(make_hands, database):
    hands = make_hands({"per_day": 1, "total": 2}, database)
    given = []
    for number in range(4):
        binding = hands.brought(f"friend-{number}")
        hands.comes(f"T{number}", f"friend-{number}")
        given.append((hands.state(binding)[1], len(hands.sides(binding))))
        if number:
            hands.later(days=1)
    # The first two on one day, the third and the fourth each on a day of its own.
    assert given == [("", 2), ("limit_day", 1), ("", 2), ("limit_total", 1)]
    hands.holds()


def test_R194_a_cap_without_a_friends_reward_rejects(make_hands):
    hands = make_hands({"total": 1, "referred_item": ""})
    for number in range(2):
        binding = hands.brought(f"friend-{number}")
        hands.comes(f"T{number}", f"friend-{number}")
    assert hands.state(binding) == ("rejected", "limit_total")


def test_R194_the_worked_sum(make_hands):
    hands = make_hands({"per_day": 1, "hold_days": 2})
    bindings = [hands.brought(openid) for openid in ("friend-a", "friend-b")]
    for openid in ("friend-a", "friend-b"):
        hands.comes(f"T-{openid}", openid)
    hands.later(days=2)
    assert [(hands.state(one), len(hands.sides(one))) for one in bindings] == [
        (("rewarded", ""), 2),
        (("rewarded", "limit_day"), 1),
    ]
    assert len(hands.all("SELECT id FROM links WHERE purpose = 'campaign'")) == 3


@pytest.mark.parametrize("hold_days", [0, 2])
def test_R194_a_refund_undoes_it_before_and_after_the_reward(make_hands, hold_days, database):
    hands = make_hands({"hold_days": hold_days, "total": 1}, database)
    binding = hands.brought()
    hands.comes("T1")
    hands.refund("T1", 3000, number="R1")
    assert hands.state(binding)[0] in {"qualified", "rewarded"}, "enough of it is left"
    for _ in range(2):
        hands.refund("T1", 1500, number="R2")
    hands.later(days=3)
    assert hands.state(binding) == ("rejected", "refunded")
    assert hands.sides(binding) == set()
    assert not any(hands.given().values())
    other = hands.brought("friend-b")
    hands.comes("T2", "friend-b")
    hands.later(days=3)
    assert hands.sides(other) == {"referrer", "referred"}, "the place in the cap was given back"
    hands.holds()


def test_R194_what_is_used_stays_used_and_what_is_not_is_void(make_hands):
    hands = make_hands()
    binding = hands.brought()
    hands.comes("T1")
    row = hands.one("SELECT * FROM referral_bindings WHERE id = :id", id=binding)
    used = hands.claim(row["referrer_link"])["book-5off"]
    kept = hands.claim(row["referred_link"])["side"]
    assert hands.redeem(used, "books") == 200
    hands.refund("T1", 5000)
    states = {one["code"]: one["state"] for one in hands.all("SELECT code, state FROM coupons")}
    assert (states[used], states[kept]) == ("redeemed", "void")
    hands.holds()


def test_R194_what_is_sold_out_is_tried_again_and_then_given_up(make_hands):
    hands = make_hands(budget_fen=600)
    first, second = hands.brought("friend-a"), hands.brought("friend-b")
    hands.comes("T1", "friend-a")
    hands.comes("T2", "friend-b")
    assert hands.sides(first) == {"referrer"}, "the budget bears 500 fen, and not 300 more"
    assert hands.state(first) == ("qualified", "")
    hands.later(days=1)
    assert hands.state(second) == ("qualified", "")
    for _ in range(7):
        hands.later(days=1)
    assert hands.state(first) == ("rewarded", "none_left")
    assert hands.state(second) == ("rejected", "none_left")
    hands.holds()


def test_R194_room_in_the_budget_brings_what_was_missing(make_hands):
    hands = make_hands(budget_fen=800, settings={"link_days": 3})
    first, second = hands.brought("friend-a"), hands.brought("friend-b")
    hands.comes("T1", "friend-a")
    hands.comes("T2", "friend-b")
    assert hands.sides(second) == set()
    hands.refund("T1", 5000)
    hands.later(days=1)
    assert hands.state(second) == ("rewarded", "")
    assert hands.sides(second) == {"referrer", "referred"}
    assert hands.state(first) == ("rejected", "refunded")


def test_R193_who_does_not_come_in_time_expires(make_hands):
    hands = make_hands({"qualify_days": 7})
    binding = hands.brought()
    hands.later(days=7, seconds=1)
    assert hands.state(binding) == ("expired", "")
    hands.comes("T1")
    assert hands.state(binding) == ("expired", "")


def test_R193_the_campaigns_end_expires_bindings_but_keeps_promises(make_hands):
    hands = make_hands({"hold_days": 2})
    promised, bound = hands.brought("friend-a"), hands.brought("friend-b")
    hands.comes("T1", "friend-a")
    hands.call("POST", "/state", {"to": "paused"}, wants=200)
    hands.later(days=3)
    assert hands.state(promised)[0] == "qualified", "a paused campaign's rewards wait"
    assert hands.invite("host", wants=409)["code"] == "not_live"
    hands.call("POST", "/state", {"to": "ended"}, wants=200)
    hands.later(minutes=1)
    assert hands.state(promised) == ("rewarded", "")
    assert hands.state(bound) == ("expired", "")


def test_R029_payments_of_one_who_left_are_not_followed(make_hands):
    hands = make_hands()
    binding = hands.brought()
    hands.comes("T1", fen=500)
    from gateway import tagging

    def leave(tx):
        tagging.opt_out(tx, "lane", people.look_up(tx, hands.person_of("T1")), hands.now)

    hands.store.write(leave)
    hands.comes("T2")
    assert hands.state(binding) == ("bound", "")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"invitation": "ri_0"}, 404, "not_found"),
        ({}, 422, "invalid"),
        ({"invitation": 7}, 422, "invalid"),
        ({"invitation": "a\nb"}, 422, "invalid"),
        ({"invitation": "x" * 200}, 422, "invalid"),
        ({"invitation": "ri_0", "device": ["phone"]}, 422, "invalid"),
    ],
)
def test_bindings_of_no_shape_are_refused(make_hands, body, status, code):
    answer = make_hands().ask("/bindings", "friend", **body)
    assert (answer.status, answer.body["code"]) == (status, code)


def test_R072_a_manager_sees_friends_who_paid_at_his_own_shop_alone(make_hands):
    hands = make_hands()
    hands.brought()
    hands.comes("T1", shop="books")
    path = "/referrals"
    assert hands.call("GET", path, role="manager", merchant="noodles").body["items"] == []
    (seen,) = hands.call("GET", path, role="manager", merchant="books").body["items"]
    assert seen["state"] == "rewarded"
    by_person = f"/referrals?person={hands.person_of('T1')}"
    (foreign,) = hands.call("GET", by_person, role="manager", merchant="noodles").body["items"]
    assert [link["url"] for link in foreign["links"]] == [None, None]


def test_R016_a_persons_copy_and_his_forgetting(make_hands, database):
    from campaigns.referral.kind import kind

    hands = make_hands(None, database)
    made = hands.invite()
    hands.bind(made["invitation"], "friend", device="phone-1")
    (row,) = hands.all("SELECT * FROM referral_bindings")
    persons, house = (row["referrer"], row["referred"]), hands.runtime.campaigns.house
    copy = hands.store.read(lambda tx: kind.copy_for(tx, house, persons))
    assert copy == {"referral_devices": [{"campaign": "trial", "seen_at": "2026-11-22T04:05:06.000Z"}]}
    assert hands.store.write(lambda tx: kind.forget(tx, house, persons, hands.now)) == 2
    assert hands.all("SELECT device FROM referral_devices") == []
    assert hands.bind(made["invitation"], "other", wants=409)["code"] == "expired"
