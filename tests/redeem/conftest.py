"""A small installation with its pages, and staff at two merchants' tills."""

import pytest

from tests.support.browsing import Browser, pages_of
from tests.support.world import CATALOG, World

DEAR = CATALOG.replace("value_fen = 500\nmin_spend_fen = 2000", "value_fen = 150000\nmin_spend_fen = 2000")
ASKING = CATALOG.replace('name = "甜甜糖水"', 'name = "甜甜糖水"\nconfirm_first = true')


@pytest.fixture
def catalog():
    """The apply file's text; tests name another by `@pytest.mark.parametrize("catalog", [...])`."""
    return CATALOG


@pytest.fixture
def world(tmp_path, catalog):
    made = World(tmp_path, catalog=catalog)
    made.user("mia", "manager", merchant="sweets")
    made.user("lin", "clerk", merchant="sweets")
    made.user("wang", "manager", merchant="hotpot")
    yield made
    made.close()


@pytest.fixture
def app(world):
    return pages_of(world)


@pytest.fixture
def clerk(app):
    """Lin, a clerk of the sweets shop, at her till."""
    return Browser(app).sign_in("lin")


@pytest.fixture
def manager(app):
    """Mia, her manager."""
    return Browser(app).sign_in("mia")
