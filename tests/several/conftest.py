"""One fleet for the tests that leave it in order."""

from __future__ import annotations

import pytest

from tests.several.fleet import fleet


@pytest.fixture(scope="module")
def here(postgres_server):
    with fleet(postgres_server.new_database()) as running:
        yield running
