"""One running town for all end-to-end tests of a process: each test brings people and payments of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.town import Town, town


@pytest.fixture(scope="session")
def here() -> Iterator[Town]:
    """The town, up and serving."""
    with town() as running:
        yield running
