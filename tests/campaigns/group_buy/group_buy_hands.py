"""A world with a group buy in it, and the moves that its tests make."""

from __future__ import annotations

import itertools

from tests.support.world import CATALOG

DEAL = """
[campaign.dinner]
kind = "group_buy"
circle = "riverside"
state = "live"
item = "set-menu"
price_fen = 880
lunch = "11:30"
dinner = "17:00"
days = 3
slot_capacity = 2
max_picks = 2
push_minutes = [-30, 0, 60]
rechoices = 1
"""
BASE = "/api/v1/campaigns/dinner"
_numbers = itertools.count(1)


def catalog(*, stock=100, more=""):
    return CATALOG.replace("stock = 5\n", f"stock = {stock}\n") + DEAL + more


def keyed():
    return {"Idempotency-Key": f"k{next(_numbers)}"}


class Deal:
    """Calls of a manager of the sweets."""

    def __init__(self, world):
        self.world = world
        self.manager = world.client("manager", merchant="sweets")
        self.operator = world.client("operator", circle="riverside")

    def post(self, path, body=None, *, by=None):
        return (by or self.manager).post(f"{BASE}{path}", json=body or {}, headers=keyed())

    def get(self, path):
        return self.manager.get(f"{BASE}{path}")

    def put(self, path, body):
        return self.manager.put(f"{BASE}{path}", json=body)

    def order(self, openid="guest-a", shop="sweets-1"):
        answer = self.post("/orders", {"openid": openid, "channel": "sweets-pay", "shop": shop})
        assert answer.status_code == 201, answer.json
        return answer.json["order"]

    def paid(self, openid="guest-a"):
        order = self.order(openid)
        answer = self.post(f"/orders/{order}/pay")
        assert answer.json["state"] == "paid", answer.json
        return order

    def used(self, openid="guest-a"):
        order = self.paid(openid)
        answer = self.post(f"/orders/{order}/use")
        assert answer.status_code == 200, answer.json
        return order

    def choose(self, order, *slots):
        return self.put(f"/orders/{order}/slots", {"slots": list(slots)})

    def sweep(self):
        """What the worker does: sweeps and deeds that are due."""
        import json

        from gateway import campaigning, outbox

        world = self.world
        now = world.clock()
        world.store.write(lambda tx: world.runtime.ordering.close_overdue(tx, now, 100))
        world.store.write(lambda tx: world.runtime.campaigns.sweep(tx, now, 100))
        for row in world.store.write(lambda tx: outbox.lease(tx, now, 60, 100)):
            if row["topic"] == campaigning.TOPIC:
                error = world.runtime.campaigns.do(json.loads(row["payload"]), now)
                assert error is None, error
            world.store.write(lambda tx, row=row: outbox.done(tx, now, row["id"]))
