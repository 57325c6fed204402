"""What the flash sale's tests ask for: its tables on both databases, and a Redis server."""

from pathlib import Path

import pytest

from campaigns.flash_sale.tables import MIGRATIONS
from gateway.store import migrate_store
from tests.support.databases import opened
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_server():
    server = RedisServer()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server):
    """A Redis server without a key."""
    import redis

    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def sale_url(store_url):
    """The URL of a database with the flash sale's tables, of both kinds (R244)."""
    migrate_store(store_url, Path("/"), {"flash_sale": MIGRATIONS})
    return store_url


@pytest.fixture
def sale_store(sale_url):
    store = opened(sale_url)
    yield store
    store.close()
