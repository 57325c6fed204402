"""A running square for the tests that leave it in order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.square import Square, square


@pytest.fixture(scope="session")
def here() -> Iterator[Square]:
    """The square, up and serving."""
    with square() as running:
        yield running
