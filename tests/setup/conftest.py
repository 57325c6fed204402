import pytest

from gateway.catalog.registry import installed
from gateway.runtime import create
from tests.support.browsing import Browser, pages_of
from tests.support.world import World, cheap_hasher

PLAIN = """
[circle.wutong]
name = "梧桐里"
min_amount_fen = 100
binding = "bearer"
[circle.hillside]
name = "山脚商圈"
binding = "bearer"
[merchant.noodles]
circle = "wutong"
name = "老陈面馆"
[merchant.books]
circle = "wutong"
name = "青禾书店"
[merchant.away]
circle = "hillside"
name = "半日咖啡"
[shop.noodles-1]
merchant = "noodles"
name = "梧桐里店"
"""


class RealWorld(World):
    """A world whose platforms are the real ones: keys are read and samples made by the built-in adapters."""

    def another_runtime(self):
        made = create(self.home.root, environ={}, clock=self.clock, registry=installed([]), hasher=cheap_hasher())
        self._runtimes.append(made)
        return made


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def real(tmp_path):
    made = RealWorld(tmp_path, sandbox=True, catalog=PLAIN)
    yield made
    made.close()


class Staff:
    """Browsers of signed-in staff of a world."""

    def __init__(self, world):
        self.world = world
        self.app = pages_of(world)

    def as_(self, role, *, circle=None, merchant=None, language="zh-CN"):
        name = f"{role}-{circle or merchant or 'all'}"
        if not self.world.all("SELECT 1 AS one FROM users WHERE name = :name", name=name):
            self.world.user(name, role, circle=circle, merchant=merchant)
        return Browser(self.app, language).sign_in(name)


@pytest.fixture
def staff(world):
    return Staff(world)


@pytest.fixture
def real_staff(real):
    return Staff(real)
