"""A town of wallets for each test."""

import pytest

from tests.support.wallets import WalletTown


@pytest.fixture
def town(tmp_path):
    made = WalletTown(tmp_path)
    yield made
    made.close()
