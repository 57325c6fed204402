"""Status pages over a small installation, on each database."""

import pytest

from tests.support.world import World


@pytest.fixture
def world(tmp_path, store_url):
    made = World(tmp_path, store_url=store_url)
    yield made
    made.close()


@pytest.fixture
def closed_world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def open_world(tmp_path):
    made = World(tmp_path, sandbox=True)
    yield made
    made.close()
