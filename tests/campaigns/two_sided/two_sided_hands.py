"""A house with one campaign of two-sided incentive, and what tests of it do and ask."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from campaigns.conformance.listening import Listening
from campaigns.conformance.stage import HOUSE, Stage, _channels, _registry, campaign_text
from campaigns.conformance.told import paid
from campaigns.two_sided.kind import kind
from gateway.contract.account import clerk_rewards, fund, merchant_rewards, person_rewards
from gateway.ledger import book
from gateway.runtime import create

RIGHT = {"user_bps": 500, "merchant_fen": 100, "merchant_bps": 250}


class Hands(Stage):
    """A stage of this kind, with its own moves."""

    def __init__(self, folder, database, settings=None, **shared):
        table = {"budget_fen": 1_000_000, **shared}
        super().__init__(
            folder, Listening(kind), campaign_text("two_sided", {**RIGHT, **(settings or {})}, table), database
        )

    def edit(self, settings):
        """Another table for the campaign, which this process knows at once."""
        self.apply(HOUSE + _channels() + campaign_text("two_sided", settings, {"budget_fen": 1_000_000}))
        self.runtime.holder.current(time.monotonic() + 60)

    def codes(self, count=1, **more):
        return self.call("POST", "/quota-codes", {"count": count, **more}, wants=201).body["codes"]

    def join(self, merchant="noodles", code=None, wants=201, **more):
        body = {"merchant": merchant, "code": code or self.codes()[0], **more}
        return self.call("POST", "/merchants", body, role="manager", merchant=merchant, wants=wants)

    def known_guest(self, openid="guest-a"):
        """A customer whom an earlier payment tagged."""
        self.pay(f"first-{openid}", openid, 500)
        return self.person_of(f"first-{openid}")

    def firing(self, transaction):
        (item,) = self.call("GET", f"/firings?transaction_id={transaction}", wants=200).body["items"]
        return item

    def told(self, transaction):
        item = self.firing(transaction)
        return item["state"], item["reason"]

    def held(self, account):
        return self.store.read(lambda tx: book.balance(tx, account))

    def balances(self, person, merchant="noodles", clerk="xiaozhou"):
        accounts = (person_rewards(person), merchant_rewards(merchant), clerk_rewards(clerk), fund("trial"))
        return tuple(self.held(account) for account in accounts)

    def holds(self):
        """R240, R063: the ledger balances and no budget is overdrawn."""
        assert self.store.read(book.faults) == []
        for row in self.all("SELECT * FROM budgets"):
            assert row["reserved_fen"] + row["consumed_fen"] <= row["total_fen"]


def tell_in_a_process(gate, number, root, transactions, openid, at):
    """Take the same notifications in, in two threads of this process."""
    runtime = create(Path(root), environ={}, clock=lambda: at, registry=_registry(Listening(kind)))
    channel = runtime.directory().channel("noodles-pay")
    results = []

    def tell():
        for transaction in transactions:
            gate_once.wait()
            results.append(
                runtime.intake.take_in(runtime.directory(), channel, paid(transaction, openid, 10_000, at), at)
            )

    gate_once = threading.Barrier(2)
    gate.wait()
    threads = [threading.Thread(target=tell) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runtime.store.close()
    return [len(results)]


def join_in_a_process(gate, number, root, merchants, code, at):
    """Each merchant tries to join with the same code, in a thread of its own."""
    from campaigns.two_sided import quota
    from gateway.contract.errors import Refused

    runtime = create(Path(root), environ={}, clock=lambda: at, registry=_registry(Listening(kind)))
    runtime.directory()
    (campaign,) = runtime.campaigns.of_kind("two_sided")
    answers = []

    def join(merchant):
        try:
            runtime.store.write(lambda tx: quota.bind(tx, campaign, merchant, code, "test", at))
            answers.append("bound")
        except Refused as refused:
            answers.append(refused.code)

    threads = [threading.Thread(target=join, args=(merchant,)) for merchant in merchants[number]]
    gate.wait()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runtime.store.close()
    return answers
