"""A running square for the tests that leave it in order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.square import Square, square


@pytest.fixture(scope="session")
def here() -> Iterator[Square]:
    """The square, up and serving. A crowd may be at one till at once: what is asserted there is not the bulkhead."""
    with square(RELAY_UPSTREAM_CONCURRENCY="64") as running:
        yield running
