"""One link, many hands: exactly one password is set (R203), on both databases; two admins never end with none."""

import threading

from gateway.auth import grants, invites
from gateway.auth.grants import Scope
from gateway.contract.errors import Refused
from tests.support.browsing import Browser, pages_of
from tests.support.world import World


def together(work, n):
    start, found = threading.Barrier(n), []

    def run(number):
        start.wait()
        found.append(work(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_R203_of_many_hands_on_one_link_one_sets_the_password(tmp_path, store_url):
    world = World(tmp_path, store_url=store_url)
    try:
        world.user("boss", "admin")
        runtime, now = world.runtime, world.clock()
        made = world.store.write(
            lambda tx: invites.make(
                tx, runtime.ids, runtime.random, now, "join", "小周", Scope("clerk", None, "hotpot"), "boss"
            )
        )
        directory = runtime.directory()
        others = [world.another_runtime() for _ in range(2)]

        def take(number):
            hashed = runtime.accounts.hasher.hash(f"password number {number}")
            store = others[number % 2].store
            try:
                store.write(
                    lambda tx: invites.take(
                        tx, made.token, now, hashed, lambda who, scope: grants.may_give(who, scope, directory)
                    )
                )
            except Refused as refused:
                return refused.code
            return number

        found = together(take, 8)
        winners = [one for one in found if isinstance(one, int)]
        assert len(winners) == 1, found
        assert set(found) - set(winners) == {"not_found"}
        assert runtime.accounts.login("小周", f"password number {winners[0]}", "192.0.2.1", now).text
        assert len(world.all("SELECT seq FROM audit WHERE action = 'user.join'")) == 1
    finally:
        world.close()


def test_two_admins_who_disable_each_other_leave_one(tmp_path, store_url):
    world = World(tmp_path, store_url=store_url)
    try:
        apps = []
        for name, other in (("one", "two"), ("two", "one")):
            world.user(name, "admin")
            apps.append((name, other))
        app = pages_of(world)
        ready = []
        for name, other in apps:
            browser = Browser(app).sign_in(name)
            ready.append((browser, browser.get("/admin/staff").form("/admin/staff/invite")["hidden"], other))

        def disable(number):
            browser, hidden, other = ready[number]
            return browser.post("/admin/staff/disable", {**hidden, "name": other}).status

        found = together(disable, 2)
        enabled = world.all("SELECT name FROM users WHERE disabled = 0")
        assert len(enabled) == 1, found
        assert 303 in found
    finally:
        world.close()
