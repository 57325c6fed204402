"""R113, R114: payouts carried to a platform that says what it likes, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.contract.wallet import CallFailed, CallUnknown
from tests.payouts.purse import ACCEPTED, BANK, CONFIRMS, DONE, NOT_FOUND, UNKNOWN, failed


@pytest.fixture
def payout(purse):
    purse.earn(800)
    return purse.pay_out(500).id


def incidents(purse):
    return {row["kind"] for row in purse.all("SELECT kind FROM incidents WHERE closed_at IS NULL")}


def numbers(purse):
    """Every number that the platform was ever told."""
    return {what if isinstance(what, str) else what.number for _, what in purse.bank.asks}


def test_R113_done_at_once(purse, payout):
    assert purse.look(payout, DONE).state == "settled"
    assert purse.told == [("sent", ""), ("settled", "")]
    assert purse.balance == 300
    assert purse.one("SELECT request FROM payouts")["request"] is None


def test_R113_the_payee_confirms(purse, payout):
    """Sent, with what his phone needs; settled when the platform says so."""
    assert (purse.look(payout, CONFIRMS).state, purse.standing(payout).reason) == ("sent", "receiver_confirms")
    assert purse.one("SELECT handle FROM payouts")["handle"] == "package"
    assert purse.look(payout, CONFIRMS).state == "sent"
    assert purse.look(payout, DONE).state == "settled"
    assert purse.told == [("sent", "receiver_confirms"), ("settled", "")]
    assert [kind for kind, _ in purse.bank.asks] == ["transfer", "query", "query"]
    assert purse.one("SELECT handle FROM payouts")["handle"] == ""


def test_accepted_first_confirmed_later(purse, payout):
    assert purse.look(payout, ACCEPTED).reason == ""
    assert purse.look(payout, CONFIRMS).reason == "receiver_confirms"
    assert purse.told == [("sent", "")]


def test_R113_a_day_without_the_tap_brings_the_money_back(purse, payout):
    purse.look(payout, CONFIRMS)
    purse.now += timedelta(hours=25)
    ended = purse.look(payout, failed("expired", "OVERDUE_CLOSE"))
    assert (ended.state, ended.reason) == ("failed", "expired")
    assert purse.balance == 800
    assert incidents(purse) == set()
    assert purse.pay_out(500, "again").id != payout


def test_R114_unknown_is_asked_about_and_never_sent_under_a_new_number(purse, payout):
    assert purse.look(payout, UNKNOWN).state == "unknown"
    assert purse.balance == 300
    assert purse.look(payout, UNKNOWN).state == "unknown"
    assert purse.look(payout, NOT_FOUND, UNKNOWN).state == "unknown"
    assert purse.look(payout, DONE).state == "settled"
    assert numbers(purse) == {payout.removeprefix("po_")}
    sent = [what for kind, what in purse.bank.asks if kind == "transfer"]
    assert sent[0] == sent[1]
    assert purse.told == [("unknown", "no_answer"), ("settled", "")]


def test_R114_what_was_sent_stays_sent_while_nobody_knows(purse, payout):
    purse.look(payout, CONFIRMS)
    assert purse.look(payout, UNKNOWN).state == "sent"
    assert purse.look(payout, CallFailed("ODD")).state == "sent"
    assert purse.told == [("sent", "receiver_confirms")]


def test_R114_a_no_counts_once_the_platform_knows_nothing_of_it(purse, payout):
    ended = purse.look(payout, failed("balance", "NOT_ENOUGH"), NOT_FOUND)
    assert (ended.state, ended.reason) == ("failed", "balance")
    assert purse.balance == 800
    assert incidents(purse) == {"payout_declined"}
    assert purse.one("SELECT detail FROM payouts")["detail"] == "NOT_ENOUGH"


@pytest.mark.parametrize(("says", "state"), [(CONFIRMS, "sent"), (DONE, "settled"), (UNKNOWN, "unknown")])
def test_R114_a_no_about_what_went_through_before_is_no_end(purse, payout, says, state):
    """The first try was lost on its way back: the second one's refusal must not bring the money back."""
    assert purse.look(payout, failed("declined", "INVALID_REQUEST"), says).state == state
    assert purse.balance == 300


def test_what_no_platform_takes_ends_without_having_been_sent(purse, payout):
    def unfit(*_):
        raise CallFailed("unfit", "amount")

    purse.bank.transfer = unfit
    assert purse.look(payout, NOT_FOUND).state == "failed"
    assert purse.balance == 800


def test_a_fault_of_the_payee_alarms_nobody(purse, payout):
    purse.look(payout, CONFIRMS)
    assert purse.look(payout, failed("name")).reason == "name"
    assert incidents(purse) == set()


def test_an_hour_of_silence_is_told_and_an_end_closes_it(purse, payout):
    purse.look(payout, UNKNOWN)
    purse.now += timedelta(minutes=59)
    purse.look(payout, UNKNOWN)
    assert incidents(purse) == set()
    purse.now += timedelta(minutes=2)
    purse.look(payout, UNKNOWN)
    assert incidents(purse) == {"payout_unknown"}
    purse.look(payout, DONE)
    assert incidents(purse) == set()


def test_a_transfer_that_stays_open_beyond_its_day_is_told(purse, payout):
    purse.look(payout, CONFIRMS)
    purse.now += timedelta(hours=27)
    assert purse.look(payout, CONFIRMS).state == "sent"
    assert incidents(purse) == {"payout_overdue"}
    purse.look(payout, failed("expired"))
    assert incidents(purse) == set()


def test_each_look_plans_the_next_and_an_end_plans_none(purse, payout):
    waits = []
    for says in (UNKNOWN, UNKNOWN, ACCEPTED, ACCEPTED):
        purse.store.write(lambda tx: tx.run("UPDATE outbox SET state = 'done'"))
        purse.look(payout, says)
        [owed] = purse.owed()
        waits.append(owed["due_at"])
    assert waits == sorted(waits)
    assert len(set(waits)) == 4
    purse.store.write(lambda tx: tx.run("UPDATE outbox SET state = 'done'"))
    purse.look(payout, DONE)
    assert purse.owed() == []


def test_a_look_that_was_done_twice_asks_once(purse, payout):
    """A lease that ended without a word: the row of the outbox that is older does nothing."""
    purse.look(payout, CONFIRMS)
    asks = list(purse.bank.asks)
    assert purse.sender.look({"payout": payout, "asked": 0}, purse.now) is None
    assert purse.sender.look({"payout": "po_nothing", "asked": 0}, purse.now) is None
    assert purse.bank.asks == asks


def test_a_platform_out_of_reach_is_left_alone_for_a_moment(purse, payout):
    purse.look(payout, CallUnknown("not_reached"))
    asks = len(purse.bank.asks)
    purse.look(payout)
    assert len(purse.bank.asks) == asks
    purse.now += timedelta(seconds=11)
    assert purse.look(payout, DONE).state == "settled"


def test_a_channel_that_is_gone_is_told_and_the_payout_waits(purse, payout):
    channel, purse.channel = purse.channel, None
    assert purse.look(payout).state == "held"
    assert incidents(purse) == {"payout_without_till"}
    assert purse.balance == 300
    purse.channel = channel
    assert purse.look(payout, NOT_FOUND, DONE).state == "settled"
    assert incidents(purse) == set()


def test_a_bank_payout_and_one_that_waits_are_not_sent(purse):
    purse.earn(800)
    made = purse.pay_out(100, payee=BANK)
    assert purse.look(made.id).state == "held"
    purse.bank_says(made.id, "settled")
    waiting = purse.pay_out(100, "k2", begun_by="小周", second_approval=True)
    assert purse.look(waiting.id).state == "held"
    assert purse.bank.asks == []


def test_the_request_is_the_same_however_the_catalogue_changes(purse, payout):
    """R114: what was first written down is what is sent again."""
    purse.look(payout, UNKNOWN)
    purse.directory.circle = lambda _slug: None
    purse.look(payout, NOT_FOUND, ACCEPTED)
    first, second = (what for kind, what in purse.bank.asks if kind == "transfer")
    assert first == second
    assert first.title == "梧桐里"
    assert first.payee.value == "openid-of-7F3A"
