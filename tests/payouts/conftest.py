"""A purse on each of the two databases; after each test every account is what its transfers and payouts make it."""

import pytest

from gateway.ledger import book
from gateway.payouts import rows
from tests.payouts.purse import Purse


@pytest.fixture
def purse(store):
    made = Purse(store)
    yield made
    assert store.read(book.faults) == []
    assert store.read(rows.faults) == []
