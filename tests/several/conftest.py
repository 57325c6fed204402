"""One fleet for the tests that leave it in order."""

from __future__ import annotations

import pytest

from tests.several.fleet import fleet

BASE_URL = "http://pay.example.com"


@pytest.fixture(scope="session")
def here(postgres_server):
    with fleet(postgres_server.new_database(), SERVER_BASE_URL=BASE_URL) as running:
        yield running
