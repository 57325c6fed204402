"""A shop that sells, on each of the two databases; after each test every promise of the store is checked."""

import pytest

from tests.buying.wepay import Platform, Shop
from tests.support.invariants import broken


@pytest.fixture
def platform():
    return Platform()


@pytest.fixture
def shop(tmp_path, store_url, platform):
    made = Shop(tmp_path, store_url, platform)
    yield made
    assert made.store.read(lambda tx: broken(tx, made.clock())) == []
    made.close()
