"""Help-to-cut by its calls: a session from its beginning to every end it may have (R130–R149)."""

from hashlib import sha256

import pytest

from gateway import people
from gateway.contract.account import fund
from gateway.contract.errors import BadConfig
from gateway.ledger import book
from tests.campaigns.help_cut.cutting import Cutting, catalog_of, who
from tests.support.invariants import broken


@pytest.fixture
def make(tmp_path):
    made = []

    def cutting(table=None, **shared):
        made.append(Cutting(tmp_path / str(len(made)), table, **shared))
        return made[-1]

    yield cutting
    for one in made:
        now = one.clock()
        assert one.store.read(lambda tx, now=now: broken(tx, now)) == []
        one.close()


@pytest.fixture
def shop(make):
    return make()


# -- before it starts -------------------------------------------------------------------------------------------------


def test_R130_R144_the_whole_offer_is_told_before_anybody_starts(shop):
    told = shop.did("GET", "/policy")
    assert told["prices_fen"] == [990, 890, 790, 690]
    assert (told["packets"], told["packet_floor_fen"], told["packet_cap_fen"], told["total_fen"]) == (2, 10, 200, 200)
    assert (told["item"]["name"], told["quantity"], told["left"], told["refused"]) == ("双人套餐", 3, 3, "")


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"packets": 0}, "packets"),
        ({"packet_cap_fen": 9}, "packet_cap_fen"),
        ({"total_fen": 401}, "total_fen"),
        ({"total_fen": 19}, "total_fen"),
        ({"helpers": 0}, "helpers"),
        ({"helpers": 2}, "floor_price_fen"),
        ({"item": "soup-of-nobody"}, "item"),
    ],
)
def test_R132_what_cannot_be_is_a_fault_of_the_file_by_its_key(shop, table, key):
    with pytest.raises(BadConfig) as refused:
        shop.apply(catalog_of(table))
    assert f"campaign.cut.{key}" in [path for path, _ in refused.value.faults]


def test_R148_a_campaign_without_the_money_for_its_sessions_does_not_go_live(make, shop):
    with pytest.raises(BadConfig) as refused:
        shop.apply(catalog_of(budget_fen=1999))
    assert [path for path, _ in refused.value.faults] == ["campaign.cut.budget_fen"]
    draft = make(state="draft", budget_fen=1999)
    answer = draft.client("operator").post(
        "/api/v1/campaigns/cut/state", json={"to": "live"}, headers={"Idempotency-Key": "k"}
    )
    assert (answer.status_code, answer.json["code"]) == (409, "underfunded")
    assert draft.refused("POST", "/sessions", who("buyer")) == (409, "not_live")


def test_R148_each_session_takes_its_reserve_and_no_more_start_than_are_paid_for(make):
    shop = make({"sessions": 2}, budget_fen=400)
    shop.start("one")
    shop.start("two")
    assert shop.budget()["reserved_fen"] == 400
    refused = shop.call("POST", "/sessions", who("three"))[1]
    assert (refused["code"], refused["which"]) == ("limit", "sessions")


def test_R148_what_a_lapsed_session_did_not_grant_returns(make):
    shop = make({"sessions": 1}, budget_fen=200)
    session = shop.start()
    (invitation, _) = shop.name(session, "a", "b")
    given = shop.agree(invitation, "a")["amount_fen"]
    assert shop.budget() == {"total_fen": 200, "reserved_fen": 200 - given, "consumed_fen": given}
    shop.later(hours=5)
    assert (shop.show(session)["state"], shop.show(session)["reason"]) == ("lost", "too_few_helps")
    assert shop.budget() == {"total_fen": 200, "reserved_fen": 0, "consumed_fen": given}
    assert [packet["state"] for packet in shop.show(session)["packets"]] == ["granted", "expired"]


def test_R148_a_session_that_gave_nothing_makes_room_for_another(make):
    shop = make({"sessions": 1}, budget_fen=200)
    session = shop.start()
    assert shop.refused("POST", "/sessions", who("other")) == (409, "limit")
    shop.did("POST", f"/sessions/{session}/cancel")
    assert shop.start("other")
    assert shop.budget()["reserved_fen"] == 200


def test_R140_without_a_total_the_largest_sum_is_reserved_until_the_end(make):
    shop = make({"total_fen": None, "sessions": 2}, budget_fen=800)
    session = shop.start()
    assert shop.budget()["reserved_fen"] >= 400
    shop.did("POST", f"/sessions/{session}/cancel")
    shop.later(seconds=1)
    assert shop.budget()["consumed_fen"] == 0


def test_per_person_bounds_how_many_sessions_one_starts(make):
    shop = make({"per_person": 1})
    shop.start("buyer")
    assert shop.call("POST", "/sessions", who("buyer"))[1]["which"] == "per_person"
    assert shop.start("another")


# -- helpers ----------------------------------------------------------------------------------------------------------


def test_R133_a_session_goes_from_draft_to_won_and_sells_at_the_exact_price(shop):
    session = shop.start()
    assert shop.show(session)["state"] == "draft"
    first, second, third = shop.name(session, "a", "b", "c")
    assert shop.show(session)["state"] == "inviting"
    assert shop.refused("POST", f"/sessions/{session}/pay", {"method": "wechat"}) == (409, "conditions_not_met")
    amounts = [shop.agree(first, "a")["amount_fen"], shop.agree(second, "b")["amount_fen"]]
    assert sum(amounts) == 200
    last = shop.agree(third, "c")
    assert (last["packet"], last["price_fen"], "amount_fen" in last) == ("none_left", 690, False)
    assert last["item"]["name"] == "双人套餐"
    assert shop.show(session)["state"] == "settling"
    told = shop.pay_for(session, "bank_card")
    assert (told["state"], told["reason"], told["price_fen"]) == ("won", "paid", 690)
    order = shop.one("SELECT * FROM orders WHERE campaign = 'cut'")
    assert (order["state"], order["amount_fen"], order["quantity"]) == ("fulfilled", 690, 1)
    assert shop.pay_for(session)["state"] == "won"
    assert len(shop.all("SELECT id FROM orders")) == 1


@pytest.mark.parametrize(
    "helpers",
    [
        None, [], {}, "a", [1], [{}], [{"type": "openid"}], [{"account": "a"}], [{"type": "qq", "account": "1"}],
        [{"type": "phone", "account": ""}], [{"type": "phone", "account": "  "}], [{"type": "phone", "account": 138}],
        [{"type": "phone", "account": "1" * 129}], [{"type": "phone", "account": "a\u2028b"}],
        [{"type": "phone", "account": "138", "name": "x"}], [{"type": "phone", "account": "1"}] * 2,
        [{"type": "phone", "account": str(n)} for n in range(501)], [{"type": ["openid"], "account": "a"}],
    ],
)  # fmt: skip
def test_R133_helpers_of_no_shape_are_refused_by_field(shop, helpers):
    session = shop.start()
    status, told = shop.call("PUT", f"/sessions/{session}/helpers", {"helpers": helpers})
    assert (status, told["code"], list(told["fields"])) == (422, "invalid", ["helpers"])
    assert shop.show(session)["state"] == "draft"


@pytest.mark.parametrize("by", ["member", "phone", "wechat", "alipay", "douyin"])
def test_R134_an_account_that_is_no_openid_belongs_to_whoever_comes_first(shop, by):
    session = shop.start()
    first, second = shop.name(session, "138", "139", by=by)
    assert shop.agree(first, "a")["packet"] == "granted"
    assert shop.refused("POST", f"/invitations/{first}/agree", who("b")) == (403, "not_invited")
    # One human opens two of them: one help (R137).
    assert shop.agree(second, "a") | {} == shop.agree(second, "a")
    assert shop.agree(second, "a")["reason"] == "helped_before"


def test_R134_one_named_by_his_openid_is_for_him_alone(shop):
    session = shop.start()
    (invitation,) = shop.name(session, "a")
    assert shop.refused("POST", f"/invitations/{invitation}/agree", who("b")) == (403, "not_invited")
    assert shop.refused("POST", f"/invitations/{invitation}/decline", who("b")) == (403, "not_invited")
    shop.pay("T1", "a", channel="sweets-pay")
    assert shop.agree(invitation, "a")["packet"] == "granted"


def test_R135_helpers_are_replaced_until_the_deadline_and_who_agreed_stays(shop):
    session = shop.start()
    first, second = shop.name(session, "a", "b")
    shop.agree(first, "a")
    kept = shop.did("PUT", f"/sessions/{session}/helpers", {"helpers": [{"type": "openid", "account": "c"}]})
    assert shop.refused("POST", f"/invitations/{second}/agree", who("b")) == (409, "revoked")
    states = {one["invitation"]: one["state"] for one in shop.show(session)["invitations"]}
    assert states == {first: "agreed", second: "revoked", kept["invitations"][0]["invitation"]: "sent"}
    assert shop.agree(kept["invitations"][0]["invitation"], "c")["packet"] == "granted"
    # Named again, he is asked anew.
    (third,) = shop.name(session, "b")
    assert third != second
    assert shop.agree(third, "b")["packet"] == "none_left"


def test_R135_the_same_list_again_changes_nothing(shop):
    session = shop.start()
    body = {"helpers": [{"type": "phone", "account": "138"}, {"type": "openid", "account": "a"}]}
    first = shop.did("PUT", f"/sessions/{session}/helpers", body)
    assert shop.did("PUT", f"/sessions/{session}/helpers", body) == first
    assert len({one["url"] for one in first["invitations"]}) == 2


def test_R135_after_the_time_for_naming_nobody_is_changed(shop):
    session, other = shop.start(), shop.start("other")
    shop.name(session, "a")
    shop.clock.move(minutes=60)
    for one in (session, other):
        body = {"helpers": [{"type": "openid", "account": "b"}]}
        assert shop.refused("PUT", f"/sessions/{one}/helpers", body) == (410, "too_late")
    shop.work()
    assert (shop.show(other)["state"], shop.show(other)["reason"]) == ("expired", "no_helpers_named")
    assert shop.show(session)["state"] == "inviting"


@pytest.mark.parametrize("swept", [False, True])
def test_R136_agreeing_a_second_after_the_deadline_is_too_late(shop, swept):
    session = shop.start()
    (invitation, other) = shop.name(session, "a", "b")
    shop.clock.move(minutes=119, seconds=59)
    assert shop.agree(invitation, "a")["packet"] == "granted"
    shop.clock.move(seconds=2)
    if swept:
        shop.work()
    assert shop.refused("POST", f"/invitations/{other}/agree", who("b")) == (410, "too_late")
    assert shop.refused("POST", f"/invitations/{other}/decline", who("b")) == (410, "too_late")
    assert [one["state"] for one in shop.show(session)["invitations"]] == ["agreed", "timed_out"]
    assert shop.did("GET", f"/invitations/{other}")["state"] == "timed_out"


def test_R136_also_when_the_whole_session_is_over_by_then(shop):
    (invitation,) = shop.name(shop.start(), "a")
    shop.later(days=2)
    assert shop.refused("POST", f"/invitations/{invitation}/agree", who("a")) == (410, "too_late")


def test_R137_who_declines_is_done_and_who_agreed_stays(shop):
    session = shop.start()
    first, second = shop.name(session, "a", "b")
    assert shop.did("POST", f"/invitations/{first}/decline", who("a"))["state"] == "declined"
    assert shop.did("POST", f"/invitations/{first}/decline")["state"] == "declined"
    assert shop.refused("POST", f"/invitations/{first}/agree", who("a")) == (409, "declined")
    given = shop.agree(second, "b")
    assert shop.refused("POST", f"/invitations/{second}/decline", who("b")) == (409, "agreed")
    assert shop.agree(second, "b") == given
    assert shop.show(session)["helps"] == 1


def test_R147_nobody_helps_himself_by_person_merged_person_or_device(shop):
    session = shop.start("buyer", device="phone-1")
    first, second = shop.name(session, "138", "139", by="phone")
    assert shop.refused("POST", f"/invitations/{first}/agree", who("buyer")) == (409, "self_help")
    body = {**who("a"), "device": "phone-1"}
    assert shop.refused("POST", f"/invitations/{first}/agree", body) == (409, "self_help")
    assert shop.agree(first, "a", device="phone-2")["packet"] == "granted"
    assert shop.agree(second, "b", device="phone-2")["reason"] == "same_device"
    assert shop.agree(second, "b", device="phone-3")["packet"] == "granted"


def test_R147_merged_persons_are_one_human(shop):
    shop.pay("T1", "buyer")
    shop.pay("T2", "second-wallet")
    session = shop.start("buyer")
    (invitation,) = shop.name(session, "138", by="phone")
    winner, loser = shop.person_of("T1"), shop.person_of("T2")
    shop.store.write(
        lambda tx: people.merge(
            tx, shop.runtime.ids, shop.clock(), winner=winner, loser=loser, by="tests", reason="same"
        )
    )
    assert shop.refused("POST", f"/invitations/{invitation}/agree", who("second-wallet")) == (409, "self_help")


def test_R147_a_helper_helps_so_often_a_day_and_again_the_next(make):
    shop = make({"helps_per_day": 2, "deadline_minutes": 3000, "agree_minutes": 3000})
    sessions = [shop.start(f"buyer-{n}") for n in range(3)]
    invitations = [shop.name(session, "a", "b")[0] for session in sessions]
    assert [shop.agree(one, "a")["packet"] for one in invitations] == ["granted", "granted", "not_eligible"]
    third = shop.show(sessions[2])
    assert (third["helps"], third["price_fen"]) == (0, 990)
    assert shop.agree(invitations[2], "a")["reason"] == "limit_day"
    shop.clock.move(days=1)
    assert shop.agree(invitations[2], "a")["packet"] == "granted"


# -- the sale ---------------------------------------------------------------------------------------------------------


def test_R143_the_last_piece_goes_to_one_and_the_other_has_lost_and_pays_nothing(make):
    shop = make({"quantity": 1})
    first, second = shop.reached("one"), shop.reached("two")
    assert shop.pay_for(first)["state"] == "won"
    told = shop.pay_for(second)
    assert (told["state"], told["reason"]) == ("lost", "sold_out")
    assert shop.pay_for(second)["state"] == "lost"
    assert len(shop.all("SELECT id FROM orders")) == 1
    assert shop.refused("POST", "/sessions", who("three")) == (409, "sold_out")


def test_R143_the_items_own_stock_counts_too(make):
    shop = make({"quantity": 9})
    for number in range(5):
        assert shop.pay_for(shop.reached(f"buyer-{number}", helpers=(f"a{number}", f"b{number}", f"c{number}")))
    told = shop.pay_for(shop.reached("late"))
    assert (told["state"], told["reason"]) == ("lost", "sold_out")
    assert shop.did("GET", "/policy")["left"] == 4


@pytest.mark.parametrize("body", [{}, {"method": "cash"}, {"method": None}, {"method": ["wechat"]}])
def test_R145_only_three_ways_of_paying_are_known(shop, body):
    session = shop.reached()
    status, told = shop.call("POST", f"/sessions/{session}/pay", body)
    assert (status, list(told["fields"])) == (422, ["method"])


def test_R145_unpaid_after_its_minutes_the_piece_is_back_and_the_buyer_may_try_again(make):
    shop = make({"quantity": 1})
    first, second = shop.reached("one"), shop.reached("two")
    order = shop.buy(first)
    assert shop.buy(first) == order
    assert shop.refused("POST", f"/sessions/{second}/pay", {"method": "wechat"}) == (409, "all_held")
    shop.later(minutes=16)
    assert shop.show(first)["state"] == "settling"
    again = shop.buy(first)
    assert again.id != order.id
    shop.later(minutes=16)
    assert shop.pay_for(second)["state"] == "won"
    assert shop.pay_for(first)["reason"] == "sold_out"
    assert sum(row["taken"] for row in shop.all("SELECT taken FROM stock WHERE item = 'set-menu'")) == 1


def test_R145_a_price_that_nobody_pays_expires(shop):
    session = shop.reached()
    shop.later(hours=3)
    assert shop.show(session)["state"] == "settling"
    shop.later(hours=2)
    assert (shop.show(session)["state"], shop.show(session)["reason"]) == ("expired", "unpaid")
    assert shop.refused("POST", f"/sessions/{session}/pay", {"method": "wechat"}) == (409, "session_over")


def test_R047_money_that_comes_late_buys_while_the_session_stands_and_goes_back_after(make):
    shop = make({"quantity": 1, "pay_minutes": 15})
    first = shop.reached("one")
    order = shop.buy(first)
    shop.later(minutes=20)
    assert shop.store.write(lambda tx: shop.house.mark_paid(tx, order.id, shop.clock())) == "fulfilled"
    assert shop.show(first)["state"] == "won"
    second = make({"quantity": 1})
    session = second.reached("one")
    order = second.buy(session)
    second.later(hours=6)
    second.work()
    assert second.show(session)["state"] == "expired"
    assert second.store.write(lambda tx: second.house.mark_paid(tx, order.id, second.clock())) == "refunded"
    assert second.show(session)["state"] == "expired"
    assert second.did("GET", "/policy")["left"] == 1


def test_a_purchase_that_is_given_back_frees_its_piece(shop):
    session = shop.reached()
    shop.pay_for(session)
    order = shop.one("SELECT id FROM orders")["id"]
    assert shop.did("GET", "/policy")["left"] == 2
    shop.runtime.ordering.refund(order, 1, shop.clock())
    assert (shop.show(session)["state"], shop.show(session)["reason"]) == ("won", "refunded")
    assert shop.did("GET", "/policy")["left"] == 3


def test_R146_short_of_helpers_it_is_lost_and_packets_stay(shop):
    session = shop.start()
    (invitation, _) = shop.name(session, "a", "b")
    shop.agree(invitation, "a")
    shop.clock.move(hours=4)
    told = shop.show(session)
    assert (told["state"], told["reason"]) == ("lost", "too_few_helps")
    assert told["packets"][0]["state"] == "granted"


def test_R146_or_it_is_sold_at_the_price_reached(make):
    shop = make({"on_deadline": "buy"})
    session = shop.start()
    (invitation, _) = shop.name(session, "a", "b")
    shop.agree(invitation, "a")
    shop.clock.move(hours=4)
    assert (shop.show(session)["state"], shop.show(session)["price_fen"]) == ("settling", 890)
    assert shop.pay_for(session) | {"session": ""} == {
        "session": "", "state": "won", "reason": "paid", "price_fen": 890,
    }  # fmt: skip
    other = shop.start("other")
    shop.name(other, "a")
    shop.clock.move(hours=4, minutes=15)
    assert shop.show(other)["state"] == "expired"
    shop.work()
    assert (shop.show(other)["state"], shop.show(other)["reason"]) == ("expired", "unpaid")


def test_giving_up_twice_is_the_same_and_closes_an_open_order(shop):
    session = shop.reached()
    shop.buy(session)
    assert shop.did("POST", f"/sessions/{session}/cancel")["state"] == "cancelled"
    assert shop.did("POST", f"/sessions/{session}/cancel")["state"] == "cancelled"
    assert shop.one("SELECT state FROM orders")["state"] == "closed"
    assert shop.did("GET", "/policy")["left"] == 3
    assert shop.refused("POST", f"/sessions/{session}/pay", {"method": "wechat"}) == (409, "session_over")
    won = shop.reached("two")
    shop.pay_for(won)
    assert shop.refused("POST", f"/sessions/{won}/cancel") == (409, "session_over")


# -- fairness and privacy ---------------------------------------------------------------------------------------------


def verified(commitment, reveal, packets, floor, cap, total):
    """Anybody's own sum, from the documented steps alone; nothing of ours is used."""
    seed, salt, told = bytes.fromhex(reveal["seed"]), bytes.fromhex(reveal["salt"]), reveal["split"]
    line = f"{reveal['seed']}:{reveal['salt']}:{','.join(map(str, told))}"
    if sha256(line.encode()).hexdigest() != commitment:
        return False
    place, rest, made = 0, total, []

    def draw(low, high):
        nonlocal place
        while True:
            number = int.from_bytes(sha256(seed + salt + place.to_bytes(8, "big")).digest(), "big")
            place += 1
            if number < 2**256 // (high - low + 1) * (high - low + 1):
                return low + number % (high - low + 1)

    for after in reversed(range(packets)):
        if total is None:
            made.append(draw(floor, cap))
        elif after == 0:
            made.append(rest)
        else:
            low = max(floor, rest - after * cap)
            made.append(draw(low, max(low, min(cap, rest - after * floor, 2 * (rest // (after + 1))))))
            rest -= made[-1]
    return made == told


@pytest.mark.parametrize(
    "policy",
    [
        {"packets": 2, "packet_floor_fen": 10, "packet_cap_fen": 200, "total_fen": 200},
        {"packets": 9, "packet_floor_fen": 1, "packet_cap_fen": 77, "total_fen": 333},
        {"packets": 5, "packet_floor_fen": 3, "packet_cap_fen": 20, "total_fen": None},
        {"packets": 1, "packet_floor_fen": 5, "packet_cap_fen": 5, "total_fen": 5},
    ],
)
def test_R139_what_is_told_at_the_end_can_be_checked_by_anybody(make, policy):
    shop = make(policy, budget_fen=10_000)
    for number in range(4):
        begun = shop.did("POST", "/sessions", who(f"buyer-{number}"), wants=201)
        session = begun["session"]
        before = shop.show(session)
        assert "reveal" not in before
        assert {packet["amount_fen"] for packet in before["packets"]} == {None}
        (invitation, _) = shop.name(session, "a", f"b{number}")
        given = shop.agree(invitation, "a")["amount_fen"]
        shop.did("POST", f"/sessions/{session}/cancel")
        after = shop.show(session)
        assert after["commitment"] == begun["commitment"]
        assert after["reveal"]["split"][0] == given
        bounds = [policy[name] for name in ("packets", "packet_floor_fen", "packet_cap_fen", "total_fen")]
        assert verified(begun["commitment"], after["reveal"], *bounds)
        changed = {**after["reveal"], "split": [*after["reveal"]["split"][::-1], 1]}
        assert not verified(begun["commitment"], changed, *bounds)


def test_R134_accounts_and_tokens_are_sealed_in_the_store(shop):
    session = shop.start()
    told = shop.did(
        "PUT", f"/sessions/{session}/helpers", {"helpers": [{"type": "phone", "account": "canary-13800138000"}]}
    )
    token = told["invitations"][0]["url"].rsplit("/", 1)[1]
    row = shop.one("SELECT * FROM help_cut_invitations")
    kept = b"".join(value if isinstance(value, bytes) else str(value).encode() for value in tuple(row))
    assert b"canary" not in kept
    assert token.encode() not in kept
    assert "canary" not in str(shop.show(session))


def test_R072_another_campaigns_sessions_are_not_there(shop):
    for path in ("/sessions/nothing", "/invitations/nothing"):
        assert shop.refused("GET", path) == (404, "not_found")
    for path in ("/sessions/nothing/cancel", "/invitations/nothing/decline"):
        assert shop.refused("POST", path) == (404, "not_found")


def test_R075_a_paused_campaign_rests_and_an_ended_one_keeps_its_word(shop):
    session = shop.start()
    (invitation, other, third) = shop.name(session, "a", "b", "c")
    operator = shop.client("operator")

    def move(to):
        headers = {"Idempotency-Key": f"to-{to}"}
        assert operator.post("/api/v1/campaigns/cut/state", json={"to": to}, headers=headers).status_code == 200

    move("paused")
    assert shop.refused("POST", f"/invitations/{invitation}/agree", who("a")) == (409, "not_live")
    assert shop.refused("POST", "/sessions", who("late")) == (409, "not_live")
    move("live")
    shop.agree(invitation, "a")
    move("ended")
    assert shop.refused("POST", "/sessions", who("late")) == (409, "not_live")
    shop.agree(other, "b")
    shop.agree(third, "c")
    assert shop.pay_for(session)["state"] == "won"


def test_a_session_keeps_the_table_that_it_began_with(shop):
    session = shop.start()
    shop.apply(catalog_of({"cut_fen": [300], "helpers": 1}))
    (invitation, _) = shop.name(session, "a", "b")
    assert shop.agree(invitation, "a")["price_fen"] == 890
    assert shop.show(session)["helpers"] == 3


def test_R240_everything_given_stands_in_the_books(shop):
    session = shop.reached()
    shop.pay_for(session)
    given = shop.store.read(lambda tx: -book.balance(tx, fund("cut")))
    assert given == 200 == shop.budget()["consumed_fen"]
    counts = shop.counts()
    assert (counts["sessions_won"], counts["packets_granted"], counts["packets_granted_fen"]) == (1, 2, 200)


def test_R142_a_packet_for_whom_no_wallet_is_known_goes_back_after_a_day(shop):
    session = shop.start()
    (invitation, _) = shop.name(session, "a", "b")
    given = shop.agree(invitation, "a")["amount_fen"]
    shop.later(hours=23, minutes=59)
    assert shop.show(session)["packets"][0]["state"] == "granted"
    for _ in range(2):
        shop.later(minutes=60)
    assert shop.show(session)["packets"][0]["state"] == "expired"
    assert shop.store.read(lambda tx: book.balance(tx, fund("cut"))) == 0
    assert shop.budget() == {"total_fen": 2000, "reserved_fen": shop.budget()["reserved_fen"], "consumed_fen": 0}
    assert shop.counts()["packets_expired_fen"] == given
