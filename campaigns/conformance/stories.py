"""The tests of what a kind does when things happen: once, in any order, within its budget, and back again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.conformance.furnished import Furnished, MakeStage
from campaigns.conformance.hooks import Step
from campaigns.conformance.stage import Stage, dump
from gateway.contract.campaign import Verdict
from gateway.contract.store import Tx
from gateway.ledger import book

_ORDERS: Final = settings(
    max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
)


class StoriesContract(Furnished):
    """Inherited by `CampaignContract`."""

    def test_the_story_gives_and_the_ledger_holds(self, any_stage: Stage) -> None:
        """R240: the story in its order: something is given, transfers have two sides, no budget is overdrawn."""
        nothing = self.given(any_stage)
        assert not any(nothing.values()), nothing
        self.play(any_stage, list(self.rewarding_events()))
        if self.gives:
            assert any(self.given(any_stage).values())
        assert broken(any_stage) == []

    def test_what_is_heard_twice_is_done_once(self, any_stage: Stage) -> None:
        """R009: each event of the story and its undoing told twice in a row, all once more at the end: no row moves."""
        moved: list[str] = []

        def twice(tx: Tx, take: Callable[[], Verdict | None]) -> Verdict | None:
            verdict = take()
            once = dump(tx)
            take()
            moved.extend(name for name, rows in dump(tx).items() if rows != once[name])
            return verdict

        any_stage.kind.around = twice
        self.play(any_stage, [*self.rewarding_events(), *self.undoing_events()])
        any_stage.kind.around = None
        assert not moved, f"an event that was told twice moved rows of {sorted(set(moved))}"
        told, house = list(any_stage.kind.heard), any_stage.kind.house
        before = any_stage.dump()

        def again(tx: Tx) -> None:
            for one in told:
                assert house is not None
                self.kind.take(tx, house, one.campaign, one.event, one.now)

        any_stage.store.write(again)
        assert any_stage.dump() == before

    def test_any_order_keeps_the_promises(self, make_stage: MakeStage) -> None:
        """R240, R063: payments, refunds, calls and time in any order, some of them twice: books and budgets hold."""
        steps: list[Step] = [*self.rewarding_events(), *self.undoing_events()]

        @_ORDERS
        @given(st.permutations(range(len(steps))), st.lists(st.integers(0, len(steps) - 1), max_size=3))
        def check(order: list[int], again: list[int]) -> None:
            stage = make_stage()
            self.prepare(stage)
            stage.in_order = False
            fresh: list[Step] = [*self.rewarding_events(), *self.undoing_events()]
            self.play(stage, [fresh[place] for place in [*order, *again]])
            assert broken(stage) == []
            assert all(count >= 0 for count in self.given(stage).values())
            stage.close()

        check()

    def test_what_was_given_goes_back_and_history_stays(self, any_stage: Stage) -> None:
        """R240: after the undoing nothing is given any more, and not one earlier transfer was changed or taken out."""
        undoing = self.undoing_events()
        if not undoing:
            pytest.skip("the kind has nothing that is taken back")
        self.play(any_stage, list(self.rewarding_events()))
        before = _transfers(any_stage)
        self.play(any_stage, list(undoing))
        assert not any(self.given(any_stage).values()), self.given(any_stage)
        assert before.items() <= _transfers(any_stage).items()
        assert broken(any_stage) == []

    def test_a_budget_of_one_fen_is_never_passed(self, make_stage: MakeStage) -> None:
        """R063: the same story with next to no money: whatever is refused, the budget holds.

        A kind that must be funded is not live then, and gives nothing at all.
        """
        stage = make_stage(state="draft", budget_fen=1)
        stage.call("POST", "/state", {"to": "live"})
        stage.in_order = False
        self.prepare(stage)
        self.play(stage, [*self.rewarding_events(), *self.undoing_events()])
        assert broken(stage) == []

    def test_the_worker_comes_any_number_of_times(self, stage: Stage) -> None:
        """Deeds and sweeps at the same moment again find nothing left to do, and break nothing."""
        self.play(stage, list(self.rewarding_events()))
        stage.work()
        before = stage.dump()
        stage.work()
        after = stage.dump()
        own = [name for name in after if name.startswith(f"{self.kind.slug}_") or name in {"transfers", "budget_holds"}]
        assert {name: after[name] for name in own} == {name: before[name] for name in own}

    def test_time_may_jump(self, stage: Stage) -> None:
        """R243: a clock a day back and a month ahead after the story: every promise still holds."""
        self.play(stage, list(self.rewarding_events()))
        stage.later(days=-1)
        assert broken(stage) == []
        stage.later(days=31)
        assert broken(stage) == []


def broken(stage: Stage) -> list[str]:
    """Every promise about money and limits that the store breaks; empty when all is well."""
    return stage.store.read(_broken)


def _broken(tx: Tx) -> list[str]:
    found = list(book.faults(tx))
    for what, query in _NEVER.items():
        row = tx.one(query)
        if row is not None:
            found.append(f"{what}: {row['name']}")
    failed = tx.all("SELECT subject, detail FROM incidents WHERE kind = 'campaign_failed'")
    found += [f"the kind raised {row['detail']} at {row['subject']}" for row in failed]
    return found


_NEVER: Final = {
    "a budget that is overdrawn": "SELECT name FROM budgets WHERE reserved_fen + consumed_fen > total_fen",
    "a budget that differs from its holds": (
        "SELECT b.name AS name FROM budgets b WHERE b.reserved_fen <> coalesce((SELECT sum(fen) FROM budget_holds h "
        "WHERE h.budget = b.name AND h.state = 'reserved'), 0) OR b.consumed_fen <> coalesce((SELECT sum(fen) "
        "FROM budget_holds h WHERE h.budget = b.name AND h.state = 'consumed'), 0)"
    ),
    "an account below zero": (
        "SELECT id AS name FROM accounts WHERE overdraft = 0 AND credits_posted - debits_posted - debits_pending < 0"
    ),
    "stock that is oversold": "SELECT item AS name FROM stock WHERE taken > total OR taken < 0",
    "two links of one occasion": (
        "SELECT about AS name FROM links WHERE purpose = 'campaign' GROUP BY offer, person, about HAVING count(*) > 1"
    ),
}


def _transfers(stage: Stage) -> dict[str, tuple[object, ...]]:
    """Every transfer by id: what of it may never change."""
    rows = stage.all("SELECT id, key, debit, credit, amount, reason, at FROM transfers")
    names = ("key", "debit", "credit", "amount", "reason", "at")
    return {row["id"]: tuple(row[name] for name in names) for row in rows}
