"""Whatever order purchases, completions, refunds, payouts and time come in, the ledger holds (R112, R119, R120)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from micro_town import BANK, Town

from campaigns.micro_merchant import members, paying, purchases, rewarding, tables
from campaigns.micro_merchant.referring import Asked
from gateway.contract.errors import Refused
from gateway.ledger import book
from tests.support.crowd import in_threads


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def town(request, tmp_path):
    """A town on each of the two databases."""
    more = {"store_url": request.getfixturevalue("postgres_url")} if request.param == "postgres" else {}
    made = Town(tmp_path, **more)
    made.world.token("manager")
    made.world.token("operator")
    yield made
    made.world.close()


# -- at the same moment (R120) ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ['"direct"', '"pending"'])
def test_R120_completions_at_the_same_moment_are_one_credit(town, mode):
    town.apply(refund_days=0, mode=mode)
    id_, code = town.member()
    order = town.bought(10_000, code=code)["order"]
    answers = in_threads([lambda n=n: town.post(f"/orders/{order}/complete", key=f"c-{n}") for n in range(8)])
    assert {answer.status_code for answer in answers} == {200}
    assert town.balance(id_)["cash_fen"] == 450
    assert len(town.world.all("SELECT * FROM micro_merchant_rewards")) == 1
    assert len(town.world.all("SELECT * FROM transfers WHERE state = 'posted'")) == 1
    assert len(town.world.all("SELECT * FROM micro_merchant_entries")) == 1
    assert town.faults() == []


def test_R120_payments_told_at_the_same_moment_are_one_record(town):
    id_, code = town.member()
    order = town.ordered(10_000, code=code)
    body = {"amount_fen": order["price_fen"]}
    in_threads([lambda n=n: town.post(f"/orders/{order['order']}/paid", body, key=f"p-{n}") for n in range(8)])
    assert town.balance(id_)["cash_pending_fen"] == 450
    assert len(town.world.all("SELECT * FROM transfers")) == 1


def test_R120_sweeps_at_the_same_moment_credit_each_purchase_once(town):
    found = [town.member() for _ in range(2)]
    for _ in range(3):
        for _, code in found:
            town.completed(10_000, code=code)
    town.clock.move(days=7)
    in_threads([town.sweep for _ in range(4)])
    assert [town.balance(id_)["cash_fen"] for id_, _ in found] == [1350, 1350]
    assert len(town.world.all("SELECT * FROM micro_merchant_entries")) == 6
    assert town.faults() == []


def test_R119_a_refund_and_the_credit_at_the_same_moment_leave_nothing(town):
    id_, code = town.member()
    orders = [town.completed(10_000, code=code) for _ in range(4)]
    town.clock.move(days=7)
    refunds = [
        lambda order=order: town.post(f"/orders/{order}/refund", {"amount_fen": 9000}, key=f"r-{order}")
        for order in orders
    ]
    in_threads([*refunds, town.sweep, town.sweep])
    found = town.balance(id_)
    assert (found["cash_fen"], found["cash_pending_fen"], found["debt_fen"]) == (0, 0, 0)
    assert town.faults() == []


def test_R119_refunds_at_the_same_moment_never_give_back_more_than_was_paid(town):
    id_, code = town.member()
    order = town.rewarded(450, code)
    path = f"/orders/{order}/refund"
    answers = in_threads([lambda n=n: town.post(path, {"amount_fen": 4000}, key=f"r-{n}") for n in range(5)])
    assert sorted(answer.status_code for answer in answers) == [200, 200, 422, 422, 422]
    assert town.balance(id_)["cash_fen"] == 50
    assert town.faults() == []


def test_R102_of_applications_at_the_same_moment_one_has_the_wechat_id(town):
    body = {"wechat_id": "wx_zhou_1"}
    answers = in_threads([lambda n=n: town.post("/micro-merchants", body, key=f"a-{n}") for n in range(6)])
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 5]


def test_R101_of_decisions_at_the_same_moment_one_holds(town):
    id_ = town.applied()
    paths = [f"/micro-merchants/{id_}/{word}" for word in ("approve", "reject") * 3]
    answers = in_threads(
        [lambda n=n, path=path: town.post(path, role="operator", key=f"d-{n}") for n, path in enumerate(paths)]
    )
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 5]


# -- in any order (R112, R119) ----------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("buy"), st.integers(1, 50_000)),
        st.tuples(st.just("pay"), st.integers(0, 3)),
        st.tuples(st.just("complete"), st.integers(0, 3)),
        st.tuples(st.just("refund"), st.integers(0, 3), st.integers(1, 20_000)),
        st.tuples(st.just("refund_all"), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.integers(1, 9)),
        st.tuples(st.just("pay_out"), st.integers(1, 1000)),
        st.tuples(st.just("bank"), st.sampled_from(["settled", "failed"])),
        st.tuples(st.just("points"), st.integers(1, 20_000)),
    ),
    max_size=30,
)


class Story:
    """The use cases by themselves, over one store that every example goes on with: each has a member of its own."""

    def __init__(self, town):
        self.town, self.world, self.house = town, town.world, town.world.runtime.campaigns.house
        self.numbers = 0
        self.world.runtime.directory()

    def begin(self):
        self.numbers += 1
        self.orders, self.payouts = [], []
        form = members.Application(f"wx_story_{self.numbers}", members.BankAccount(BANK), "")
        row = self.write(lambda tx, view, now: members.apply(tx, self.house, view, form, now))
        self.id = row["id"]
        self.code = self.write(
            lambda tx, view, now: members.decide(tx, self.house, view, self.id, "approved", "tests", "", now)
        )["code"]

    def write(self, work):
        now = self.world.clock()

        def run(tx):
            view = self.world.runtime.campaigns.find(tx, "helpers", now)
            return work(tx, view, now)

        try:
            return self.world.store.write(run)
        except Refused as refused:
            return refused

    def order(self, place):
        return self.orders[place % len(self.orders)] if self.orders else "mo_nobody"

    def step(self, word, *parts):
        house = self.house
        if word == "buy":
            made = self.write(
                lambda tx, view, now: purchases.create(tx, house, view, Asked(code=self.code), parts[0], "", now)
            )
            self.orders.append(made["id"])
        elif word == "pay":
            id_ = self.order(parts[0])

            def pay(tx, view, now):
                return purchases.pay(tx, house, view, id_, purchases.the(tx, view, id_)["price_fen"], now)

            self.write(pay)
        elif word == "complete":
            self.write(lambda tx, view, now: purchases.complete(tx, house, view, self.order(parts[0]), now))
        elif word == "refund":
            self.write(lambda tx, view, now: purchases.refund(tx, house, view, self.order(parts[0]), parts[1], now))
        elif word == "refund_all":

            def refund(tx, view, now):
                row = purchases.the(tx, view, self.order(parts[0]))
                return purchases.refund(tx, house, view, row["id"], row["price_fen"] - row["refunded_fen"], now)

            self.write(refund)
        elif word == "wait":
            self.world.clock.move(days=parts[0])
            self.write(lambda tx, view, now: purchases.confirm_due(tx, house, view, now, 100))
        elif word == "pay_out":
            key = house.ids.new("mp", self.world.clock())
            made = self.write(
                lambda tx, view, now: paying.pay_out(tx, house, view, self.id, parts[0], key, "tests", now)
            )
            if not isinstance(made, Refused):
                self.payouts.append(made.id)
        elif word == "bank" and self.payouts:
            self.write(lambda tx, view, now: paying.bank_says(tx, house, view, self.payouts[-1], parts[0], now))
        elif word == "points":
            self.write(lambda tx, view, now: rewarding.spend_points(tx, house, view, self.id, parts[0], "used", now))

    def check(self):
        assert self.town.faults() == []
        found = self.world.store.read(lambda tx: dict(rewarding.balances(tx, self.id)))
        assert min(found.values()) >= 0, found
        records = self.world.all("SELECT * FROM micro_merchant_rewards WHERE member = :id", id=self.id)
        assert len({(row["order_id"], row["kind"]) for row in records}) == len(records)
        for order in self.orders:
            row = self.world.one("SELECT * FROM micro_merchant_orders WHERE id = :id", id=order)
            credited = self.world.all(
                "SELECT kind FROM micro_merchant_entries WHERE about = :id AND reason = 'reward'", id=order
            )
            assert len({one["kind"] for one in credited}) == len(credited), "credited twice"
            if row["state"] == "refunded":
                left = [one["amount"] - one["taken_back"] for one in records if one["order_id"] == order
                        and one["state"] == "confirmed"]  # fmt: skip
                assert sum(left) == 0
        earned = sum(
            row["amount"] - row["taken_back"]
            for row in records
            if row["kind"] == "cash" and row["state"] == "confirmed"
        )
        paid_out = self.world.one(
            "SELECT coalesce(sum(amount_fen), 0) AS n FROM payouts WHERE about = :id AND state <> 'failed'", id=self.id
        )["n"]
        assert found["cash_fen"] - found["debt_fen"] + paid_out == earned
        pending = self.world.store.read(lambda tx: tables.pending_sums(tx, self.id))
        assert pending.get("cash", 0) == found["cash_pending_fen"]


@pytest.fixture(scope="module", params=["direct", "pending"])
def story(request, tmp_path_factory):
    town = Town(
        tmp_path_factory.mktemp("story"),
        mode=f'"{request.param}"',
        credit='["cash", "points", "coupons"]',
        points_bps=10_000,
        coupon_item='"soup"',
        refund_days=3,
        shared="budget_fen = 100000000",
    )
    yield Story(town)
    town.world.close()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_R112_R119_R120_in_any_order_nothing_is_credited_twice_and_no_cash_is_below_zero(story, steps):
    story.begin()
    for word, *parts in steps:
        story.step(word, *parts)
    story.check()


def test_R112_the_store_itself_refuses_cash_below_zero(story):
    story.begin()
    account = book.Account(f"micro:{story.id}", "rewards")
    world = book.Account("world", "tests", overdraft=True)

    def below(tx):
        book.transfer(tx, "tr_below", "below", world, account, 5, "test", story.world.clock())
        tx.run("UPDATE accounts SET debits_posted = 6 WHERE id = :id", {"id": account.id})

    with pytest.raises(Exception, match=r"(?i)check"):
        story.world.store.write(below)
