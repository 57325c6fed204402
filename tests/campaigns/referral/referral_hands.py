"""A house with one campaign of referral, and what tests of it do and ask."""

from __future__ import annotations

import threading
from pathlib import Path

from campaigns.conformance.listening import Listening
from campaigns.conformance.stage import Stage, _registry, campaign_text
from campaigns.referral.kind import kind
from gateway.contract.errors import Refused
from gateway.ledger import book
from gateway.runtime import create

RIGHT = {"referrer_item": "book-5off", "referred_item": "side", "qualify": {"min_amount_fen": 1000}}


class Hands(Stage):
    """A stage of this kind, with its own moves. Every payment is made a second after what was before it."""

    def __init__(self, folder, database, settings=None, **shared):
        table = {"budget_fen": 1_000_000, **shared}
        text = campaign_text("referral", {**RIGHT, **(settings or {})}, table)
        super().__init__(folder, Listening(kind), text, database)

    def ask(self, path, openid, wants=None, **body):
        body = {"openid": openid, "channel": "noodles-pay", **body}
        return self.call("POST", path, body, role="manager", wants=wants)

    def invite(self, openid="host", wants=201):
        return self.ask("/invitations", openid, wants).body

    def bind(self, invitation, openid="friend", wants=201, **more):
        return self.ask("/bindings", openid, wants, invitation=invitation, **more).body

    def brought(self, openid="friend", host="host"):
        """A friend who has confirmed."""
        made = self.ask("/invitations", host).body
        return self.bind(made["invitation"], openid)["binding"]

    def comes(self, transaction, openid="friend", fen=5000, shop="noodles"):
        self.later(seconds=1)
        self.pay(transaction, openid, fen, shop=shop)

    def state(self, binding):
        row = self.one("SELECT * FROM referral_bindings WHERE id = :id", id=binding)
        return row["state"], row["reason"]

    def sides(self, binding):
        """Which sides have a link that is not revoked."""
        row = self.one("SELECT * FROM referral_bindings WHERE id = :id", id=binding)
        return {
            side
            for side in ("referrer", "referred")
            if row[f"{side}_link"] is not None
            and self.one("SELECT state FROM links WHERE id = :id", id=row[f"{side}_link"])["state"] != "revoked"
        }

    def reviewed(self, binding, word):
        return self.call("POST", f"/referrals/{binding}/{word}", {})

    def holds(self):
        assert self.store.read(book.faults) == []
        for row in self.all("SELECT * FROM budgets"):
            assert row["reserved_fen"] + row["consumed_fen"] <= row["total_fen"]
        assert all(row["n"] >= 0 for row in self.all("SELECT n FROM counters"))


def bind_in_a_process(gate, number, root, invitations, person, at):
    """One person confirms every invitation, each in a thread of its own."""
    from campaigns.referral import binding
    from campaigns.referral import invitations as made

    runtime = create(Path(root), environ={}, clock=lambda: at, registry=_registry(Listening(kind)))
    runtime.directory()
    house = runtime.campaigns.house
    (campaign,) = house.campaigns("referral")
    answers = []

    def confirm(invitation):
        def write(tx):
            row = made.by_id(tx, campaign.slug, invitation)
            return binding.bind(tx, house, campaign, row, person, "", at).state

        try:
            answers.append(runtime.store.write(write))
        except Refused as refused:
            answers.append(refused.code)

    threads = [threading.Thread(target=confirm, args=(one,)) for one in invitations[number]]
    gate.wait()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runtime.store.close()
    return answers


def reward_in_a_process(gate, number, root, bindings, at):
    """Give what is due for every referral, as a worker's sweep does, in two threads."""
    from campaigns.referral import rewarding

    runtime = create(Path(root), environ={}, clock=lambda: at, registry=_registry(Listening(kind)))
    runtime.directory()
    house = runtime.campaigns.house
    (campaign,) = house.campaigns("referral")
    answers = []

    def give():
        for id_ in bindings:
            answers.append(runtime.store.write(lambda tx, id_=id_: rewarding.reward(tx, house, campaign, id_, at)))

    threads = [threading.Thread(target=give) for _ in range(2)]
    gate.wait()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runtime.store.close()
    return answers
