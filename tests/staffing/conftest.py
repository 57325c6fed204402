"""A small installation with its console, and everybody who may sign in to it."""

import pytest

from tests.console.conftest import PEOPLE
from tests.support.browsing import Browser, pages_of
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
