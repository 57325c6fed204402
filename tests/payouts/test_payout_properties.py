"""R113, R114, R240: whatever is asked, said and repeated, money neither comes nor goes but by a settled payout."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.contract.account import PAID_OUT
from gateway.contract.errors import Refused
from gateway.ledger import book
from gateway.payouts import rows
from tests.payouts.purse import ACCEPTED, BANK, CONFIRMS, DONE, NOT_FOUND, UNKNOWN, Purse, failed
from tests.support.databases import opened

SAYINGS = (CONFIRMS, ACCEPTED, DONE, UNKNOWN, NOT_FOUND, failed("expired"), failed("balance"))
STEP = st.one_of(
    st.tuples(st.just("pay"), st.integers(0, 5), st.integers(1, 400), st.booleans(), st.booleans()),
    st.tuples(st.just("look"), st.lists(st.sampled_from(SAYINGS), min_size=3, max_size=3)),
    st.tuples(st.just("bank"), st.sampled_from(["settled", "failed"])),
    st.tuples(st.just("approve"), st.sampled_from(["小周", "王", ""])),
)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def one_purse(request, tmp_path_factory):
    if request.param == "sqlite":
        url = request.getfixturevalue("sqlite_files").new_database(tmp_path_factory.mktemp("payouts"))
    else:
        url = request.getfixturevalue("postgres_server").new_database()
    store = opened(url)
    yield Purse(store)
    store.close()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEP, max_size=14))
def test_any_order_of_words_keeps_the_money(one_purse, steps):
    purse = one_purse
    purse.store.write(_empty)
    purse.told.clear()
    purse.bank.asks.clear()
    purse.earn(600)
    for step in steps:
        latest = purse.one("SELECT * FROM payouts ORDER BY id DESC LIMIT 1")
        try:
            if step[0] == "pay":
                _, key, fen, by_bank, four_eyes = step
                more = {"payee": BANK} if by_bank else {}
                purse.pay_out(fen, f"k{key}", begun_by="小周", second_approval=four_eyes, **more)
            elif latest is None:
                continue
            elif step[0] == "look":
                # More words than are asked for are left unsaid.
                purse.bank.says = list(step[1])
                purse.sender.look({"payout": latest["id"], "asked": latest["asked"]}, purse.now)
            elif step[0] == "bank":
                purse.bank_says(latest["id"], step[1])
            else:
                purse.approve(latest["id"], step[1])
        except Refused:
            pass
        _holds(purse)


def _holds(purse):
    found = purse.all("SELECT id, state, amount_fen, reason FROM payouts")
    paid = sum(row["amount_fen"] for row in found if row["state"] == "settled")
    flying = [row["amount_fen"] for row in found if row["state"] in ("held", "sent", "unknown")]
    assert len(flying) <= 1
    assert purse.balance == 600 - paid - sum(flying) >= 0
    assert purse.store.read(lambda tx: book.balance(tx, PAID_OUT)) == paid
    assert purse.store.read(book.faults) == []
    assert purse.store.read(rows.faults) == []
    # R114: one payout is one number at the platform, and one request.
    sent = {}
    for kind, what in purse.bank.asks:
        if kind == "transfer":
            assert sent.setdefault(what.number, what) == what
    assert {f"po_{number}" for number in sent} <= {row["id"] for row in found}


def _empty(tx):
    for table in ("payouts", "transfers", "accounts", "outbox", "incidents", "messages"):
        tx.run(f"DELETE FROM {table}")
