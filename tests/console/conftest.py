"""A small installation with its console: the hotpot and the sweets in one circle, the noodles in another."""

import pytest

from tests.support.browsing import Browser, pages_of
from tests.support.world import World

PEOPLE = {
    "admin": ("admin", {}),
    "operator": ("operator", {}),
    "operator-riverside": ("operator", {"circle": "riverside"}),
    "operator-hillside": ("operator", {"circle": "hillside"}),
    "manager-hotpot": ("manager", {"merchant": "hotpot"}),
    "manager-sweets": ("manager", {"merchant": "sweets"}),
    "manager-noodles": ("manager", {"merchant": "noodles"}),
    "clerk-hotpot": ("clerk", {"merchant": "hotpot"}),
}


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def app(world):
    return pages_of(world)


@pytest.fixture
def enter(world, app):
    """`enter("manager-hotpot")`: a browser signed in as one of PEOPLE."""
    known = set()

    def browser(name, language="zh-CN"):
        if name not in known:
            role, scope = PEOPLE[name]
            world.user(name, role, **scope)
            known.add(name)
        return Browser(app, language).sign_in(name)

    return browser
