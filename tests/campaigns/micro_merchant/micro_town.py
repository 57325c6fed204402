"""A town with a micro-merchant campaign, and the moves its tests make in it by the calls of the API."""

from __future__ import annotations

import itertools

from gateway.ledger import book
from tests.support.world import CATALOG, EMBEDDED, World

CAMPAIGN = """
[campaign.helpers]
kind = "micro_merchant"
circle = "riverside"
merchants = ["hotpot"]
state = "live"
{shared}
{table}
"""
TERMS = {"discount_bps": 1000, "reward_bps": 500, "refund_days": 7, "mode": '"pending"'}
ROOT = "/api/v1/campaigns/helpers"
BANK = "6222020200112233445"


class Town:
    """See the module. Terms by name, each as it would stand in the apply file."""

    def __init__(self, root, *, store_url=EMBEDDED, shared="", more="", **terms):
        self._terms = {**TERMS, **terms}
        self._more = more
        self.world = World(root, sandbox=True, catalog=self.catalog(shared), store_url=store_url)
        self.app = self.world.app()
        self._numbers = itertools.count(1)

    def catalog(self, shared="", **terms):
        self._terms |= terms
        table = "\n".join(f"{name} = {value}" for name, value in self._terms.items())
        return CATALOG + CAMPAIGN.format(shared=shared, table=table) + self._more

    def apply(self, **terms):
        """The campaign's table becomes another one, known at once."""
        self.world.apply(self.catalog(**terms))
        self.world.runtime.holder._next_look = 0.0

    @property
    def clock(self):
        return self.world.clock

    def call(self, method, path, body=None, *, role="manager", key=None, **scope):
        # One application for all threads: building one is no business of several at a time.
        client = self.app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {self.world.token(role, **scope)}"
        headers = {"Idempotency-Key": key or f"key-{next(self._numbers)}"} if method == "POST" else {}
        return client.open(ROOT + path, method=method, json=body if method != "GET" else None, headers=headers)

    def post(self, path, body=None, *, wants=None, role="manager", **more):
        answer = self.call("POST", path, body or {}, role=role, **more)
        if wants is not None:
            assert answer.status_code == wants, (answer.status_code, answer.json)
        return answer

    def get(self, path, *, role="manager", wants=200, **more):
        answer = self.call("GET", path, role=role, **more)
        assert answer.status_code == wants, (answer.status_code, answer.json)
        return answer.json

    def applied(self, wechat_id=None, **more):
        body = {"wechat_id": wechat_id or f"wx_helper_{next(self._numbers)}", **more}
        return self.post("/micro-merchants", body, wants=201).json["id"]

    def member(self, wechat_id=None, **more):
        """An approved one: (id, code)."""
        id_ = self.applied(wechat_id, **more)
        return id_, self.post(f"/micro-merchants/{id_}/approve", role="operator", wants=200).json["code"]

    def ordered(self, price_fen=10_000, **more):
        return self.post("/orders", {"price_fen": price_fen, **more}, wants=201).json

    def bought(self, price_fen=10_000, **more):
        """A purchase that is paid for."""
        order = self.ordered(price_fen, **more)
        return self.post(f"/orders/{order['order']}/paid", {"amount_fen": order["price_fen"]}, wants=200).json

    def completed(self, price_fen=10_000, **more):
        order = self.bought(price_fen, **more)["order"]
        self.post(f"/orders/{order}/complete", wants=200)
        return order

    def rewarded(self, fen, code):
        """A purchase whose reward of so many fen has been credited."""
        order = self.completed(original_for(fen, self._terms), code=code)
        self.sweep(days=int(self._terms["refund_days"]))
        return order

    def refund(self, order, amount_fen, wants=200):
        return self.post(f"/orders/{order}/refund", {"amount_fen": amount_fen}, wants=wants).json

    def balance(self, member):
        return self.get(f"/micro-merchants/{member}/balance")

    def sweep(self, **ahead):
        """Time passes, and the worker's pass over the campaign."""
        from campaigns.micro_merchant.kind import kind

        self.clock.move(**ahead)
        host = self.world.runtime.campaigns
        now = self.clock()

        def work(tx):
            view = host.find(tx, "helpers", now)
            return sum(sweep(tx, host.house, view, now, 100) for sweep in kind.sweeps)

        return self.world.store.write(work)

    def faults(self):
        """What does not add up in the ledger, and in the members' own books beside it."""
        found = self.world.store.read(book.faults)
        rows = self.world.all(
            "SELECT member, kind, item, sum(amount) AS n FROM micro_merchant_entries GROUP BY member, kind, item"
        )
        for row in rows:
            purpose = f"rewards/{row['item']}" if row["item"] else "rewards"
            account = book.Account(f"micro:{row['member']}", purpose, row["kind"])
            held = self.world.store.read(lambda tx, account=account: book.balance(tx, account))
            if held != row["n"]:
                found.append(f"{account.id} holds {held}, its book says {row['n']}")
        return found


def original_for(fen, terms):
    """An original price at which the reward is exactly `fen` (for terms that divide well)."""
    price = fen * 10_000 // int(terms["reward_bps"])
    return price * 10_000 // (10_000 - int(terms["discount_bps"]))
