"""R240: the double-entry ledger. Whatever is moved, held, posted or let go, every unit sums to zero."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ledger import book
from gateway.ledger.book import Account, Overdrawn, TransferClash
from tests.support.builders import START
from tests.support.crowd import in_processes, in_threads
from tests.support.databases import opened

WORLD = Account("world", "payments", overdraft=True)
SHOP = Account("merchant:hotpot", "sales")
OTHER = Account("merchant:sweets", "sales")


def _move(store, key, debit, credit, amount, *, at=START):
    store.write(lambda tx: book.transfer(tx, f"tr_{key}", key, debit, credit, amount, "test", at))


def _hold(store, key, debit, credit, amount):
    return store.write(lambda tx: book.hold(tx, f"tr_{key}", key, debit, credit, amount, "test", START))


def _balance(store, account):
    return store.read(lambda tx: book.balance(tx, account))


def _faults(store):
    return store.read(book.faults)


def test_R240_what_one_account_loses_the_other_gains(store):
    _move(store, "1", WORLD, SHOP, 990)
    _move(store, "2", SHOP, OTHER, 90)
    assert [_balance(store, account) for account in (WORLD, SHOP, OTHER)] == [-990, 900, 90]
    assert _balance(store, Account("nobody", "sales")) == 0
    assert _faults(store) == []


def test_R240_one_key_moves_once(store):
    for _ in range(3):
        _move(store, "1", WORLD, SHOP, 100)
    assert _balance(store, SHOP) == 100


@pytest.mark.parametrize(
    ("debit", "credit", "amount"), [(WORLD, SHOP, 101), (WORLD, OTHER, 100), (OTHER, SHOP, 100), (SHOP, WORLD, 100)]
)
def test_R240_one_key_for_something_else_is_a_clash(store, debit, credit, amount):
    _move(store, "1", WORLD, SHOP, 100)
    with pytest.raises(TransferClash) as clash:
        _move(store, "1", debit, credit, amount)
    assert clash.value.key == "1"
    assert _balance(store, SHOP) == 100
    assert _faults(store) == []


def test_R240_nobody_spends_what_he_has_not(store):
    _move(store, "1", WORLD, SHOP, 100)
    with pytest.raises(Overdrawn) as refused:
        _move(store, "2", SHOP, OTHER, 101)
    assert (refused.value.account, refused.value.amount) == (SHOP.id, 101)
    with pytest.raises(Overdrawn):
        _move(store, "3", OTHER, SHOP, 1)
    assert _balance(store, SHOP) == 100
    assert _faults(store) == []


def test_R240_a_refusal_that_is_swallowed_leaves_the_books_right(store):
    def work(tx):
        with pytest.raises(Overdrawn):
            book.transfer(tx, "tr_1", "1", SHOP, OTHER, 5, "test", START)
        book.transfer(tx, "tr_2", "2", WORLD, SHOP, 7, "test", START)

    store.write(work)
    assert (_balance(store, SHOP), _balance(store, OTHER)) == (7, 0)
    assert _faults(store) == []


@pytest.mark.parametrize(
    ("debit", "credit", "amount"),
    [
        (WORLD, SHOP, 0),
        (WORLD, SHOP, -5),
        (SHOP, SHOP, 5),
        (WORLD, Account("merchant:hotpot", "sales", "points"), 5),
    ],
)
def test_R240_a_transfer_that_is_none_is_a_fault_of_the_caller(store, debit, credit, amount):
    with pytest.raises(ValueError, match="positive amount of one unit"):
        _move(store, "1", debit, credit, amount)
    assert store.read(lambda tx: tx.all("SELECT * FROM transfers")) == []


def test_R240_a_hold_takes_from_what_can_be_spent_but_gives_nothing_yet(store):
    _move(store, "1", WORLD, SHOP, 100)
    assert _hold(store, "2", SHOP, OTHER, 60)
    assert not _hold(store, "2", SHOP, OTHER, 60)
    assert (_balance(store, SHOP), _balance(store, OTHER)) == (40, 0)
    with pytest.raises(Overdrawn):
        _hold(store, "3", SHOP, OTHER, 41)
    store.write(lambda tx: book.post(tx, "2", START))
    store.write(lambda tx: book.post(tx, "2", START))
    assert (_balance(store, SHOP), _balance(store, OTHER)) == (40, 60)
    with pytest.raises(TransferClash):
        store.write(lambda tx: book.void(tx, "2", START))
    assert _faults(store) == []


def test_R240_a_hold_let_go_is_as_if_it_had_not_been(store):
    _move(store, "1", WORLD, SHOP, 100)
    _hold(store, "2", SHOP, OTHER, 60)
    for _ in range(2):
        store.write(lambda tx: book.void(tx, "2", START + timedelta(days=-1)))
    assert (_balance(store, SHOP), _balance(store, OTHER)) == (100, 0)
    with pytest.raises(TransferClash):
        store.write(lambda tx: book.post(tx, "2", START))
    assert _faults(store) == []


@pytest.mark.parametrize("settle", [book.post, book.void])
def test_R240_settling_what_was_never_held_is_a_clash(store, settle):
    with pytest.raises(TransferClash):
        store.write(lambda tx: settle(tx, "nothing", START))


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE accounts SET credits_posted = credits_posted + 1 WHERE id = 'merchant:hotpot:sales:cash'",
        "UPDATE accounts SET credits_pending = credits_pending + 1 WHERE id = 'merchant:hotpot:sales:cash'",
        "UPDATE accounts SET debits_pending = debits_pending + 1 WHERE id = 'world:payments:cash'",
        "UPDATE transfers SET amount = amount + 1 WHERE state = 'posted'",
        "UPDATE transfers SET state = 'posted' WHERE state = 'pending'",
        "DELETE FROM transfers WHERE state = 'posted'",
    ],
)
def test_R240_the_nightly_check_finds_what_was_changed_behind_its_back(store, tampering):
    _move(store, "1", WORLD, SHOP, 100)
    _hold(store, "2", SHOP, OTHER, 30)
    assert _faults(store) == []
    store.write(lambda tx: tx.run(tampering))
    assert _faults(store) != []


ACCOUNTS = (WORLD, SHOP, OTHER, Account("person:p_1", "rewards"))
_STEP = st.tuples(
    st.sampled_from(["transfer", "hold", "post", "void"]),
    st.integers(0, 9),
    st.sampled_from(ACCOUNTS),
    st.sampled_from(ACCOUNTS),
    st.integers(-5, 300),
)


@pytest.fixture(scope="module")
def module_store(sqlite_files, tmp_path_factory):
    made = opened(sqlite_files.new_database(tmp_path_factory.mktemp("book")))
    yield made
    made.close()


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(_STEP, max_size=30))
def test_R240_any_sequence_of_moves_keeps_the_sums(module_store, steps):
    """Right or wrong, in any order: zero in sum, no account below zero, every account what its transfers make it."""

    class Undo(Exception):
        pass

    def work(tx):
        for number, (what, key, debit, credit, amount) in enumerate(steps):
            try:
                with tx.savepoint():
                    if what == "transfer":
                        book.transfer(tx, f"tr_{number}", str(key), debit, credit, amount, "test", START)
                    elif what == "hold":
                        book.hold(tx, f"tr_{number}", str(key), debit, credit, amount, "test", START)
                    else:
                        {"post": book.post, "void": book.void}[what](tx, str(key), START)
            except (Overdrawn, TransferClash, ValueError):
                pass
            assert book.faults(tx) == []
            for account in ACCOUNTS[1:]:
                assert book.balance(tx, account) >= 0
        raise Undo

    with pytest.raises(Undo):
        module_store.write(work)


def _spend(gate, number, url, count):
    store = opened(url)
    gate.wait()

    def one(turn):
        def work(tx):
            try:
                book.transfer(tx, f"tr_{number}-{turn}", f"{number}-{turn}", SHOP, OTHER, 10, "test", START)
            except Overdrawn:
                return 0
            # Back again at times, so that transfers meet that go the other way.
            if turn % 3 == 0:
                book.transfer(tx, f"tr_b{number}-{turn}", f"b{number}-{turn}", OTHER, SHOP, 10, "test", START)
                return 0
            return 1

        return store.write(work)

    done = in_threads([lambda turn=turn: one(turn) for turn in range(count)])
    store.close()
    return done


def test_R240_parallel_spenders_in_two_processes_never_overdraw(store, store_url):
    _move(store, "start", WORLD, SHOP, 120)
    done = in_processes(2, _spend, store_url, 15)
    assert (_balance(store, SHOP), _balance(store, OTHER)) == (120 - 10 * sum(done), 10 * sum(done))
    assert sum(done) == 12
    assert _faults(store) == []


def _same_key(gate, number, url):
    store = opened(url)
    gate.wait()
    in_threads([lambda turn=turn: _move(store, "the one", WORLD, SHOP, 10) for turn in range(8)])
    store.close()
    return [1]


def test_R240_parallel_transfers_with_one_key_are_one_transfer(store, store_url):
    in_processes(2, _same_key, store_url)
    assert _balance(store, SHOP) == 10
