"""R240, R242, R063: what random transfers, holds and budgets keep, whatever their order, on both databases.

Beside each step stands a model: sums in a dictionary, which has no transactions, no locks and no SQL.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.contract.account import Account
from gateway.ledger import book, budget, limits
from gateway.ledger.book import Overdrawn, TransferClash
from tests.support.builders import START
from tests.support.crowd import in_processes, in_threads
from tests.support.databases import opened

FUNDS = {unit: Account("campaign:spring", "rewards", unit, overdraft=True) for unit in ("cash", "points", "coupons")}
PERSONS = [Account(f"person:p_{who}", "rewards", unit) for who in "ab" for unit in FUNDS]
ACCOUNTS = [*FUNDS.values(), *PERSONS]
PROPERTY = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


class Undo(Exception):
    """Ends a property's transaction without a trace."""


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def kept_store(request, tmp_path_factory):
    """One database for all examples of a property: each ends by undoing its transaction."""
    if request.param == "sqlite":
        url = request.getfixturevalue("sqlite_files").new_database(tmp_path_factory.mktemp("properties"))
    else:
        url = request.getfixturevalue("postgres_server").new_database()
    made = opened(url)
    yield made
    made.close()


class Model:
    """What the book should hold: (posted, held) by account, and each key's transfer."""

    def __init__(self):
        self.posted = dict.fromkeys(ACCOUNTS, 0)
        self.held = dict.fromkeys(ACCOUNTS, 0)
        self.transfers = {}

    def spendable(self, account):
        return self.posted[account] - self.held[account]

    def hold(self, key, debit, credit, amount):
        """The error that is due, or None when it was done (now or before)."""
        if amount <= 0 or debit.unit != credit.unit or debit == credit:
            return ValueError
        if key in self.transfers:
            return None if self.transfers[key][:3] == (debit, credit, amount) else TransferClash
        if not debit.overdraft and self.spendable(debit) < amount:
            return Overdrawn
        self.transfers[key] = (debit, credit, amount, "pending")
        self.held[debit] += amount
        return None

    def settle(self, key, state):
        if key not in self.transfers:
            return TransferClash
        debit, credit, amount, was = self.transfers[key]
        if was != "pending":
            return None if was == state else TransferClash
        self.transfers[key] = (debit, credit, amount, state)
        self.held[debit] -= amount
        if state == "posted":
            self.posted[debit] -= amount
            self.posted[credit] += amount
        return None


STEP = st.tuples(
    st.sampled_from(["hold", "hold", "transfer", "post", "void"]),
    st.integers(0, 7),
    st.sampled_from(ACCOUNTS),
    st.sampled_from(ACCOUNTS),
    st.integers(-3, 200),
)


def done(tx, what, key, debit, credit, amount, number):
    """The error that a step ended with, None for none."""
    try:
        with tx.savepoint():
            if what in ("hold", "transfer"):
                step = book.hold if what == "hold" else book.transfer
                step(tx, f"t_{number}", key, debit, credit, amount, "test", START)
            else:
                (book.post if what == "post" else book.void)(tx, key, START)
    except (Overdrawn, TransferClash, ValueError) as error:
        return type(error)
    return None


def due(model, what, key, debit, credit, amount):
    if what == "hold":
        return model.hold(key, debit, credit, amount)
    if what == "transfer":
        is_new = key not in model.transfers
        wrong = model.hold(key, debit, credit, amount)
        # A transfer that is known is only read again: what was held under its key stays held.
        return wrong or (model.settle(key, "posted") if is_new else None)
    return model.settle(key, "posted" if what == "post" else "voided")


@PROPERTY
@given(steps=st.lists(STEP, max_size=40))
def test_R240_the_book_does_what_the_model_does(kept_store, steps):
    """Σ = 0 in every unit, no account below zero, each account what its transfers make it, errors where they are due."""
    model = Model()

    def work(tx):
        for number, (what, key, debit, credit, amount) in enumerate(steps):
            said = done(tx, what, str(key), debit, credit, amount, number)
            assert said == due(model, what, str(key), debit, credit, amount), (number, what)
        assert book.faults(tx) == []
        for account in ACCOUNTS:
            assert book.balance(tx, account) == model.spendable(account)
            assert account.overdraft or model.spendable(account) >= 0
        for unit in FUNDS:
            assert sum(model.posted[account] for account in ACCOUNTS if account.unit == unit) == 0
        raise Undo

    with pytest.raises(Undo):
        kept_store.write(work)


@PROPERTY
@given(steps=st.lists(STEP, max_size=25), again=st.lists(st.integers(0, 99), max_size=10))
def test_R240_steps_that_come_again_change_nothing(kept_store, steps, again):
    """Idempotent: each done step, said again later, leaves every balance as it is."""

    def work(tx):
        fine = []
        for number, (what, key, debit, credit, amount) in enumerate(steps):
            if done(tx, what, str(key), debit, credit, amount, number) is None:
                fine.append((what, str(key), debit, credit, amount))
        before = [dict(row) for row in tx.all("SELECT * FROM accounts ORDER BY id")]
        for number, place in enumerate(again if fine else (), 1000):
            done(tx, *fine[place % len(fine)], number)
        assert [dict(row) for row in tx.all("SELECT * FROM accounts ORDER BY id")] == before
        raise Undo

    with pytest.raises(Undo):
        kept_store.write(work)


# -- budgets and limits -------------------------------------------------------------------------------------------------

WHOLE, DAY = budget.Budget("spring", 1000), budget.Budget("spring:2026-11-22", 600)
MOVES = {
    "consume": (budget.consume, "reserved", "consumed"),
    "give_back": (budget.give_back, "reserved", "returned"),
    "unspend": (budget.unspend, "consumed", "reserved"),
}


@PROPERTY
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["reserve", "reserve", *MOVES, "take_again"]), st.integers(0, 6), st.integers(0, 500)
        ),
        max_size=40,
    )
)
def test_R063_R242_reserve_commit_release_as_the_model_does(kept_store, steps):
    """Never more promised and spent than there is, in the day's budget and in the whole one alike."""
    parts = {}

    def bears(fen):
        used = sum(held for held, state in parts.values() if state in ("reserved", "consumed"))
        return used + fen <= DAY.total_fen

    def work(tx):
        for what, origin, fen in steps:
            if what == "reserve":
                if origin in parts:
                    continue
                fits = bears(fen)
                assert budget.reserve(tx, (WHOLE, DAY), str(origin), (("reward", fen),)) == fits
                if fits and fen:
                    parts[origin] = (fen, "reserved")
            elif what == "take_again":
                held, state = parts.get(origin, (0, ""))
                fits = state != "returned" or bears(held)
                assert budget.take_again(tx, str(origin), "reward") == fits
                if state == "returned" and fits:
                    parts[origin] = (held, "reserved")
            else:
                move, before, after = MOVES[what]
                move(tx, str(origin), "reward")
                if parts.get(origin, (0, ""))[1] == before:
                    parts[origin] = (parts[origin][0], after)
            for name in (WHOLE.name, DAY.name):
                row = tx.one("SELECT * FROM budgets WHERE name = :name", {"name": name})
                sums = {s: sum(held for held, state in parts.values() if state == s) for s in ("reserved", "consumed")}
                told = (row["reserved_fen"], row["consumed_fen"]) if row is not None else (0, 0)
                assert told == (sums["reserved"], sums["consumed"])
        raise Undo

    with pytest.raises(Undo):
        kept_store.write(work)


@PROPERTY
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=40))
def test_R242_a_limiter_is_exact(kept_store, steps):
    """Taken and given back in any order: never above a cap, and all of several limits, or none of them."""
    caps = [3, 5, 2]
    every = [limits.Limit(f"n{place}", cap, limits.FOREVER, f"full_{place}") for place, cap in enumerate(caps)]
    counts = [0, 0, 0]

    def work(tx):
        for takes, last in steps:
            chosen = every[: last + 1]
            if takes:
                full = next((one for place, one in enumerate(chosen) if counts[place] >= caps[place]), None)
                assert limits.take(tx, chosen) == full
                if full is None:
                    for place in range(len(chosen)):
                        counts[place] += 1
            else:
                limits.give_back(tx, chosen)
                for place in range(len(chosen)):
                    counts[place] = max(counts[place] - 1, 0)
            for place, one in enumerate(every):
                row = tx.one("SELECT n FROM counters WHERE name = :name", {"name": one.name})
                assert (row["n"] if row is not None else 0) == counts[place]
        raise Undo

    with pytest.raises(Undo):
        kept_store.write(work)


# -- many hands ---------------------------------------------------------------------------------------------------------

PURSE = Account("person:p_rush", "rewards")
OUT = Account("world", "payouts", overdraft=True)


def _rush(gate, number, url):
    store = opened(url)
    gate.wait(60)

    def one(turn):
        key = f"{number}-{turn}"
        try:
            store.write(lambda tx: book.hold(tx, f"t_{key}", key, PURSE, OUT, 10, "test", START))
        except Overdrawn:
            return "overdrawn"
        # Two settle the same hold at once, each in his own way: one of them does.
        ways = [lambda: _settled(store, book.post, key), lambda: _settled(store, book.void, key)]
        ends = in_threads(ways if turn % 2 else ways[::-1])
        assert sorted(ends) == ["clash", "done"]
        return "posted" if (ends[0] == "done") == bool(turn % 2) else "voided"

    ends = in_threads([lambda turn=turn: one(turn) for turn in range(8)])
    store.close()
    return ends


def _settled(store, how, key):
    try:
        store.write(lambda tx: how(tx, key, START))
    except TransferClash:
        return "clash"
    return "done"


def test_R240_holds_of_two_processes_are_settled_once_and_never_overdraw(store, store_url):
    store.write(lambda tx: book.transfer(tx, "t_0", "start", FUNDS["cash"], PURSE, 95, "test", START))
    ends = in_processes(2, _rush, store_url)
    assert len(ends) == 16
    posted = ends.count("posted")
    assert store.read(lambda tx: book.balance(tx, PURSE)) == 95 - 10 * posted
    assert store.read(lambda tx: book.balance(tx, OUT)) == 10 * posted
    assert store.read(book.faults) == []
    assert store.read(lambda tx: tx.all("SELECT key FROM transfers WHERE state = 'pending'")) == []
