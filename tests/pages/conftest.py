"""A small installation with its pages."""

import pytest

from tests.support.browsing import Browser, link_token, pages_of
from tests.support.world import World


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def app(world):
    return pages_of(world)


@pytest.fixture
def browser(app):
    return Browser(app)


@pytest.fixture
def token(world):
    """A fresh unclaimed link's token: the payer's second payment at the hotpot."""
    return link_token(world, "openid-a")
