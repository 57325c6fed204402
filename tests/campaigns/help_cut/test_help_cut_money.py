"""Red packets on their way to wallets (R142), and sums that hold whatever is done in whatever order."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.help_cut.rules import Ladder
from gateway.app import build_relay, build_spool
from gateway.contract.account import PAID_OUT, fund, person_rewards
from gateway.ledger import book
from gateway.relay import Guard
from gateway.web.sandbox.desk import openid_of
from gateway.worker import Worker
from tests.campaigns.help_cut.cutting import Cutting, who
from tests.support.invariants import broken
from tests.support.wallets import CATALOG, WalletTown

FEAST = """
[item.feast]
merchant = "noodles"
name = "双人面"
value_fen = 5000
stock = 50
weight = 0
[campaign.cut]
kind = "help_cut"
circle = "wutong"
merchants = ["noodles", "books"]
state = "live"
budget_fen = 100000
item = "feast"
price_fen = 900
floor_price_fen = 800
quantity = 9
sessions = 9
helpers = 2
cut_fen = [50]
packets = 2
"""
CHANNELS = {"alipay": "books-alipay", "wechat": "noodles-wechat"}


class Packets(WalletTown):
    """A town with a campaign whose packets all have one size."""

    def __init__(self, root, fen):
        sizes = f"packet_floor_fen = {fen}\npacket_cap_fen = {fen}\ntotal_fen = {2 * fen}\n"
        super().__init__(root, catalog=CATALOG + FEAST + sizes)
        self._keys, self._tokens = itertools.count(1), {}

    def work(self):
        guard = Guard(self.runtime.config.relay.allow)
        return Worker(self.runtime, build_relay(self.runtime, guard), build_spool(self.runtime)).finish_due()

    def later(self, **parts):
        self.clock.move(**parts)
        self.work()

    def call(self, method, path, body=None):
        token = self.token("manager", merchant="noodles")
        answer = self.app.test_client().open(
            f"/api/v1/campaigns/cut{path}",
            method=method,
            headers={"Idempotency-Key": f"k{next(self._keys)}", "Authorization": f"Bearer {token}"},
            **({} if method == "GET" else {"json": body or {}}),
        )
        assert answer.status_code < 300, answer.json
        return answer.json

    def helped(self, buyer="Z", helper="B", wallet="alipay"):
        """(session, invitation): a guest has helped a buyer."""
        channel = CHANNELS[wallet]
        session = self.call("POST", "/sessions", {"openid": openid_of(buyer), "channel": "noodles-wechat"})["session"]
        named = [{"type": "openid", "account": openid_of(helper)}]
        told = self.call("PUT", f"/sessions/{session}/helpers", {"helpers": named})
        invitation = told["invitations"][0]["invitation"]
        self.call("POST", f"/invitations/{invitation}/agree", {"openid": openid_of(helper), "channel": channel})
        return session, invitation

    def states(self):
        return [(row["state"], row["obstacle"]) for row in self.packets()]

    def packets(self):
        return self.all("SELECT * FROM help_cut_packets WHERE helper IS NOT NULL ORDER BY session")

    def balance(self, account):
        return self.store.read(lambda tx: book.balance(tx, account))

    def held(self):
        """What the helper of the first packet has on his account."""
        return self.balance(person_rewards(self.packets()[0]["helper"]))


@pytest.fixture
def make(tmp_path):
    made = []

    def packets(fen):
        made.append(Packets(tmp_path / str(len(made)), fen))
        return made[-1]

    yield packets
    for one in made:
        now = one.clock()
        assert one.store.read(lambda tx, now=now: broken(tx, now)) == []
        one.close()


def test_R142_a_packet_is_paid_into_the_helpers_wallet(make):
    town = make(88)
    _, invitation = town.helped()
    assert town.states() == [("granted", "")]
    assert town.held() == 0
    town.work()
    assert town.states() == [("paid", "")]
    assert town.call("GET", f"/invitations/{invitation}")["packet_state"] == "paid"
    assert (town.balance(fund("cut")), town.balance(PAID_OUT), town.held()) == (-88, 88, 0)
    town.work()
    assert town.balance(PAID_OUT) == 88


def test_R142_a_packet_too_small_to_send_waits_and_goes_with_the_next_ones(make):
    town = make(6)
    town.helped("Y")
    town.later(days=3)
    assert town.states() == [("granted", "below_least")]
    assert town.held() == 6
    town.helped("Z")
    assert {row["payout"] for row in town.packets()} != {None}
    town.work()
    assert town.states() == [("paid", ""), ("paid", "")]
    assert (town.balance(PAID_OUT), town.held()) == (12, 0)
    assert len(town.all("SELECT id FROM payouts")) == 1


def test_R142_a_second_packet_waits_for_the_payout_before_it(make):
    town = make(88)
    town.helped("Y", wallet="wechat", helper="A")
    town.helped("Z", wallet="wechat", helper="A")
    assert town.states() == [("granted", ""), ("granted", "payout_in_flight")]
    town.work()
    assert len(town.all("SELECT id FROM payouts")) == 1


def test_R142_nobody_confirmed_within_a_day_so_the_money_is_the_merchants_again(make):
    town = make(88)
    town.helped("Y", wallet="wechat", helper="A")
    town.work()
    budget = "SELECT reserved_fen, consumed_fen FROM budgets WHERE name = 'campaign:cut'"
    assert town.one(budget)["consumed_fen"] == 88
    for _ in range(4):
        town.later(hours=13)
    assert [state for state, _ in town.states()] == ["expired"]
    assert (town.balance(fund("cut")), town.balance(PAID_OUT), town.held()) == (0, 0, 0)
    assert town.one(budget)["consumed_fen"] == 0
    assert len(town.all("SELECT id FROM payouts")) == 1


def test_R142_a_payout_that_fails_is_tried_again_under_a_new_number(make):
    town = make(88)
    town.arm("transfer", "NOT_ENOUGH", "noodles-wechat")
    town.helped("Y", wallet="wechat", helper="A")
    town.work()
    (first,) = town.all("SELECT id, state, reason FROM payouts")
    assert (first["state"], first["reason"]) == ("failed", "balance")
    assert town.states() == [("failed", "balance")]
    assert town.held() == 88
    town.later(minutes=6)
    payouts = town.all("SELECT id, state FROM payouts ORDER BY id")
    assert [row["state"] for row in payouts] == ["failed", "sent"]
    assert town.states() == [("granted", "")]


def test_R142_the_reason_of_a_failed_payout_does_not_take_a_packet_back_that_was_not_the_helpers_fault(make):
    town = make(88)
    for _ in range(12):
        town.arm("transfer", "NOT_ENOUGH", "noodles-wechat")
        if not town.packets():
            town.helped("Y", wallet="wechat", helper="A")
        town.later(hours=7)
    assert town.states() == [("failed", "balance")]
    town.later(hours=7)
    assert town.states() == [("granted", "")]


# -- whatever order ---------------------------------------------------------------------------------------------------

BUYERS, HELPERS = ("one", "two"), ("a", "b", "c", "d", "one")
moves = st.one_of(
    st.tuples(st.just("start"), st.sampled_from(BUYERS)),
    st.tuples(st.just("name"), st.integers(0, 3), st.sets(st.sampled_from(HELPERS), min_size=1, max_size=4)),
    st.tuples(st.just("agree"), st.integers(0, 15), st.sampled_from(HELPERS)),
    st.tuples(st.just("agree"), st.integers(0, 15), st.sampled_from(HELPERS)),
    st.tuples(st.just("agree"), st.integers(0, 15), st.sampled_from(HELPERS)),
    st.tuples(st.just("decline"), st.integers(0, 15), st.sampled_from(HELPERS)),
    st.tuples(st.just("buy"), st.integers(0, 3)),
    st.tuples(st.just("pay"), st.integers(0, 3)),
    st.tuples(st.just("cancel"), st.integers(0, 3)),
    st.tuples(st.just("later"), st.sampled_from((5, 20, 70, 130, 300, 1500))),
    st.tuples(st.just("work")),
)


def play(shop, sessions, invitations, move):
    kind, *rest = move
    if kind == "start":
        status, told = shop.call("POST", "/sessions", who(rest[0]))
        if status == 201:
            sessions.append(told["session"])
    elif kind == "later":
        shop.clock.move(minutes=rest[0])
    elif kind == "work":
        shop.work()
    elif kind in {"agree", "decline"} and invitations:
        shop.call("POST", f"/invitations/{invitations[rest[0] % len(invitations)]}/{kind}", who(rest[1]))
    elif sessions and kind in {"name", "pay", "cancel", "buy"}:
        session = sessions[rest[0] % len(sessions)]
        if kind == "name":
            helpers = [{"type": "openid", "account": one} for one in sorted(rest[1])]
            status, told = shop.call("PUT", f"/sessions/{session}/helpers", {"helpers": helpers})
            invitations += [one["invitation"] for one in told["invitations"]] if status == 200 else []
        elif kind == "buy" and shop.show(session)["state"] == "settling":
            shop.try_to_buy(session)
        elif kind != "buy":
            shop.call("POST", f"/sessions/{session}/{kind}", {"method": "wechat"} if kind == "pay" else {})


def check(shop, total):
    """Everything that must hold of sums, prices and pieces."""
    assert shop.store.read(lambda tx: broken(tx, shop.clock())) == []
    ladder = Ladder(990, 690, (100,), 3)
    packets = shop.all("SELECT * FROM help_cut_packets")
    given = [packet for packet in packets if packet["state"] in {"granted", "paid", "failed"}]
    assert shop.store.read(lambda tx: -book.balance(tx, fund("cut"))) == sum(one["amount_fen"] for one in given)
    assert shop.budget()["consumed_fen"] == sum(one["amount_fen"] for one in given)
    open_fen = won = held = 0
    for row in shop.all("SELECT * FROM help_cut_sessions"):
        mine = [packet for packet in packets if packet["session"] == row["id"]]
        assert sum(packet["amount_fen"] for packet in mine) == total
        assert row["price_fen"] == ladder.price_after(row["helps"]) >= 690
        agreed = shop.all("SELECT * FROM help_cut_invitations WHERE session = :s AND state = 'agreed'", s=row["id"])
        assert len(agreed) == row["helps"] == len({one["helper"] for one in agreed})
        assert row["buyer"] not in {one["helper"] for one in agreed}
        ever = [packet for packet in mine if packet["helper"] is not None]
        assert len(ever) == min(2, row["helps"]) == row["next_packet"]
        if row["state"] in {"draft", "inviting", "settling"}:
            open_fen += sum(packet["amount_fen"] for packet in mine if packet["state"] == "reserved")
            held += row["sale"] is not None
        else:
            assert {packet["state"] for packet in mine} <= {"granted", "paid", "expired", "failed"}
        won += row["state"] == "won"
    funded = sum(
        row["fen"] for row in shop.all("SELECT fen FROM budget_holds WHERE item = 'funding' AND state = 'reserved'")
    )
    assert shop.budget()["reserved_fen"] == open_fen + funded
    assert len(shop.all("SELECT id FROM orders WHERE state = 'fulfilled'")) == won <= 2
    (sold,) = [row["n"] for row in shop.all("SELECT n FROM counters WHERE name = 'help_cut:cut:sold'")] or [0]
    assert sold == won + held <= 2


def test_R240_R148_sums_prices_and_pieces_hold_in_any_order(tmp_path_factory):
    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.lists(moves, min_size=6, max_size=30))
    def story(told):
        shop = Cutting(tmp_path_factory.mktemp("any-order"), {"quantity": 2, "sessions": 3}, budget_fen=600)
        sessions, invitations = [], []
        play(shop, sessions, invitations, ("start", "one"))
        play(shop, sessions, invitations, ("name", 0, {"a", "b", "c"}))
        for move in told:
            play(shop, sessions, invitations, move)
        check(shop, 200)
        shop.clock.move(days=5)
        for _ in range(2):
            shop.work()
        check(shop, 200)
        assert not shop.all("SELECT id FROM help_cut_sessions WHERE state IN ('draft', 'inviting', 'settling')")
        assert not shop.all("SELECT * FROM help_cut_packets WHERE state = 'reserved'")
        shop.close()

    story()
