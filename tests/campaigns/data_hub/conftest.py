"""What the hub's tests may ask for."""

import pytest

from campaigns.data_hub.kind import kind
from gateway.store import migrate_store
from tests.support.hub import Bench, Program, Receiver, catalog
from tests.support.redis_server import RedisServer
from tests.support.world import World


@pytest.fixture
def bench(store_url, store, tmp_path):
    """A bench on each database."""
    migrate_store(store_url, tmp_path, {"data_hub": kind.migrations})
    return Bench(store, tmp_path / "files")


@pytest.fixture(scope="session")
def redis_address():
    """The address of a throw-away Redis of this test process. Skips where its program is missing."""
    server = RedisServer()
    yield server.url
    server.stop()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def world(tmp_path, receiver):
    made = World(tmp_path, catalog=catalog())
    made.apply(catalog(receiver.url))
    yield made
    made.close()


@pytest.fixture
def crm(world):
    return Program(world)
