"""The same SQL on PostgreSQL: every page of setting up opens, a day is rehearsed, progress is noted."""

import pytest

from gateway.setup import checks, progress
from tests.setup.conftest import Staff
from tests.setup.test_rehearsal import begin, counts
from tests.support.world import World

PAGES = (
    "/admin/setup",
    "/admin/setup/live?merchant=hotpot",
    "/admin/merchants",
    "/admin/channels",
    "/admin/channels/hotpot-pay",
    "/admin/items",
    "/admin/items/soup",
    "/admin/pairs",
    "/admin/offers",
)


@pytest.mark.postgres
def test_pages_rehearsal_checks_and_progress_on_postgresql(tmp_path, postgres_url):
    world = World(tmp_path, store_url=postgres_url)
    try:
        world.claimed("openid-a")
        world.pay("B1", "openid-b")
        browser = Staff(world).as_("admin")
        for path in PAGES:
            assert browser.get(path).status == 200, path
        result = begin(world, {"own": 1, "elsewhere": 1, "min_amount_fen": 100})
        assert counts(result["drafts"][0]) == counts(result["real"])
        now = world.clock()
        world.store.write(lambda tx: progress.note(tx, "hotpot", now, pays="both"))
        world.store.write(lambda tx: progress.note(tx, "hotpot", now, is_live=True))
        world.clock.move(hours=1)
        world.store.write(lambda tx: progress.note(tx, "hotpot", world.clock(), is_live=True))
        found = world.store.read(lambda tx: progress.look(tx, "hotpot"))
        assert (found.pays, found.live_at) == ("both", now)
        id_ = world.store.write(
            lambda tx: checks.begin(tx, world.runtime.ids, now, "hotpot-pay", "notice", "sent", "x", {"sent": "aa"})
        )
        assert world.store.write(lambda tx: checks.arrive(tx, id_, "hotpot-pay", b"\xaa", now))
        assert not world.store.write(lambda tx: checks.arrive(tx, id_, "hotpot-pay", b"\xaa", now))
    finally:
        world.close()
