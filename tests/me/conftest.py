"""A small installation whose customers sign in with a wallet; one of them is here already."""

import pytest
from flask import session

from gateway.web.pages import customer
from tests.support.browsing import Browser, pages_of
from tests.support.world import BASE_URL, CATALOG, World

MINE = CATALOG.replace('offer = "elsewhere"', 'offer = "elsewhere"\ntransferable = true')
assert MINE.count("transferable") == 1


class Guest(Browser):
    """A browser in which a person has signed in with his wallet."""

    def __init__(self, world, app, person="", language="zh-CN"):
        super().__init__(app, language)
        self.world, self.app = world, app
        if person:
            self.enter(person)

    def enter(self, person, circle="riverside"):
        """What the wallet's sign-in leaves behind in a session."""
        with self.client.session_transaction(base_url=BASE_URL) as kept, self.app.test_request_context():
            customer.enter(person, "wechat", circle, self.world.clock())
            kept.update(session)
        return self


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, catalog=MINE)
    yield made
    made.close()


@pytest.fixture
def app(world):
    return pages_of(world)


@pytest.fixture
def signed_in(world, app):
    """`signed_in(person)`: a browser of that person."""
    return lambda person="", language="zh-CN": Guest(world, app, person, language)


def claim(world, openid, *, token=None):
    """Claim the newest link of this payer, as its owner; {item: code}."""
    link = world.links()[-1]
    token = token or world.runtime.link_keys.token(link["id"])
    page = world.runtime.claiming.claim(world.runtime.directory(), token, world.clock(), person=link["person"])
    return {row["item"]: row["code"] for row in page.coupons}


@pytest.fixture
def held(world):
    """`held(openid)`: two payments at the hotpot and the link claimed: (person, {item: code})."""

    def make(openid="openid-a"):
        number = len(world.all("SELECT id FROM payments"))
        world.pay(f"T{number}", openid)
        world.pay(f"T{number + 1}", openid)
        return world.person_of(f"T{number}"), claim(world, openid)

    return make


def address_of(world, code):
    """Where a coupon's page is."""
    from gateway.web.pages.me.visitor import Names

    return f"/me/coupons/{Names(world.runtime.keyring.names_key()).of(code)}"
