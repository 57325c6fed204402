"""R113–R115, R240: a payout inside the store, on both databases."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from gateway.contract.account import PAID_OUT, Account, merchant_rewards
from gateway.contract.errors import Refused
from gateway.contract.payout import Payee
from gateway.ledger import book
from gateway.payouts import rows
from tests.payouts.purse import BANK, VAULT, Purse
from tests.support.crowd import in_processes, in_threads
from tests.support.databases import opened


def refusal(work):
    with pytest.raises(Refused) as caught:
        work()
    return caught.value


def test_R113_the_amount_is_held_before_anything_goes_out(purse):
    purse.earn(800)
    made = purse.pay_out(500)
    assert (made.state, made.reason, made.way, made.to, made.amount_fen) == ("held", "", "wechat", "微信", 500)
    assert (made.campaign, made.account, made.about) == ("spring", purse.account.id, "about-k1")
    assert purse.balance == 300
    assert purse.store.read(lambda tx: book.balance(tx, PAID_OUT)) == 0
    [owed] = purse.owed()
    assert json.loads(owed["payload"]) == {"payout": made.id, "asked": 0}
    assert purse.told == []


def test_R113_one_key_is_one_payout(purse):
    purse.earn(800)
    made = [purse.pay_out(500) for _ in range(3)]
    assert len({one.id for one in made}) == 1
    assert purse.balance == 300
    assert len(purse.owed()) == 1


@pytest.mark.parametrize("change", [{"fen": 501}, {"account": merchant_rewards("noodles")}])
def test_R205_a_key_that_said_something_else_is_refused(purse, change):
    purse.earn(800)
    purse.earn(800, "other", merchant_rewards("noodles"))
    purse.pay_out(500)
    refused = refusal(lambda: purse.pay_out(**{"fen": 500, **change}))
    assert (refused.code, refused.status) == ("idempotency_key_reused", 409)


def test_R113_one_in_flight_an_account(purse):
    purse.earn(800)
    first = purse.pay_out(300)
    refused = refusal(lambda: purse.pay_out(300, "k2"))
    assert (refused.code, refused.facts) == ("payout_in_flight", {"payout": first.id})
    purse.earn(500, "m", merchant_rewards("noodles"))
    assert purse.pay_out(300, "k3", account=merchant_rewards("noodles")).state == "held"


def test_R113_no_more_than_there_is(purse):
    purse.earn(499)
    refused = refusal(lambda: purse.pay_out(500))
    assert (refused.code, refused.facts) == ("insufficient", {"balance_fen": 499})
    assert purse.all("SELECT id FROM payouts") == []
    assert purse.balance == 499


@pytest.mark.parametrize("fen", [0, -1, 1.5, True, "500", None, 10**15])
def test_amounts_that_are_none(purse, fen):
    purse.earn(800)
    assert refusal(lambda: purse.pay_out(fen)).status == 422


def test_R115_the_platforms_bounds_are_told(purse):
    purse.earn(200_000)
    least = refusal(lambda: purse.pay_out(9))
    assert (least.code, least.facts) == ("below_least", {"least_fen": 10})
    most = refusal(lambda: purse.pay_out(100_001))
    assert (most.code, most.facts) == ("above_most", {"most_fen": 100_000})


def test_points_are_not_paid_out(purse):
    with pytest.raises(ValueError, match="cash"):
        purse.pay_out(500, account=Account("person:p_1", "rewards", "points"))


def no_channel(purse):
    purse.channel = None


def paused(purse):
    purse.channel.spec.paused = True


def only_signs_in(purse):
    purse.bank.sends = False


def an_old_wallet(purse):
    purse.channel.wallet.seam = SimpleNamespace(slug="wechat", can_pay=lambda _keys: True)


def another_app(purse):
    purse.channel.wallet.values = {"appid": "wx2"}


def another_circle(purse):
    purse.directory.catalog.merchants["noodles"] = SimpleNamespace(slug="noodles", circle="hill")


@pytest.mark.parametrize("why", [no_channel, paused, only_signs_in, an_old_wallet, another_app, another_circle])
def test_no_way_to_pay_into(purse, why):
    purse.earn(800)
    why(purse)
    refused = refusal(purse.pay_out)
    assert (refused.code, refused.status) == ("no_way", 409)
    assert purse.balance == 800


@pytest.mark.parametrize("payee", [Payee(), Payee(person="p_nobody")])
def test_nobody_to_pay(purse, payee):
    purse.earn(800)
    assert refusal(lambda: purse.pay_out(500, payee=payee)).code == "no_way"


def test_R115_a_bank_account_lies_sealed_and_is_shown_as_its_last_four(purse):
    purse.earn(800)
    made = purse.pay_out(500, payee=BANK)
    assert (made.way, made.to) == ("bank", "•••• 4242")
    assert purse.owed() == []
    row = purse.one("SELECT * FROM payouts WHERE id = :id", id=made.id)
    assert b"6222021234564242" not in bytes(row["request"])
    assert "6222" not in json.dumps({name: str(row[name]) for name in row.keys() if name != "request"})
    assert rows.request_of(VAULT, row) == {"bank_account": "6222021234564242", "name": "陈"}
    assert "4242" not in repr(BANK)


def test_R113_the_bank_settles_or_lets_go(purse):
    purse.earn(800)
    first = purse.pay_out(500, payee=BANK)
    assert purse.bank_says(first.id, "settled").state == "settled"
    assert purse.told == [("sent", ""), ("settled", "")]
    assert (purse.balance, purse.store.read(lambda tx: book.balance(tx, PAID_OUT))) == (300, 500)
    second = purse.pay_out(300, "k2", payee=BANK)
    failed = purse.bank_says(second.id, "failed", "name")
    assert (failed.state, failed.reason) == ("failed", "name")
    assert purse.balance == 300
    assert purse.all("SELECT id FROM payouts WHERE request IS NOT NULL") == []


def test_the_bank_may_say_it_twice_but_not_otherwise(purse):
    purse.earn(800)
    made = purse.pay_out(500, payee=BANK)
    purse.bank_says(made.id, "settled")
    told = list(purse.told)
    assert purse.bank_says(made.id, "settled").state == "settled"
    assert refusal(lambda: purse.bank_says(made.id, "failed")).code == "bad_transition"
    assert purse.told == told
    assert purse.balance == 300


def test_the_bank_says_nothing_of_a_wallets_payout(purse):
    purse.earn(800)
    made = purse.pay_out()
    assert refusal(lambda: purse.bank_says(made.id, "settled")).code == "bad_transition"
    assert refusal(lambda: purse.bank_says("po_nothing", "settled")).status == 404
    assert purse.balance == 300


def test_R115_four_eyes(purse):
    purse.earn(800)
    made = purse.pay_out(500, begun_by="小周", second_approval=True)
    assert (made.state, made.reason) == ("held", "second_approval")
    assert purse.owed() == []
    for who in ("小周", ""):
        assert refusal(lambda who=who: purse.approve(made.id, who)).code == "same_person"
    assert refusal(lambda: purse.approve("po_nothing", "王")).status == 404
    approved = purse.approve(made.id, "王")
    assert (approved.state, approved.reason) == ("held", "")
    assert len(purse.owed()) == 1
    assert refusal(lambda: purse.approve(made.id, "李")).code == "not_waiting"
    assert purse.balance == 300


def test_R115_what_waits_for_approval_goes_nowhere(purse):
    purse.earn(800)
    made = purse.pay_out(500, payee=BANK, begun_by="小周", second_approval=True)
    assert refusal(lambda: purse.bank_says(made.id, "settled")).code == "bad_transition"
    assert purse.store.read(lambda tx: rows.for_bank(tx, None, 9)) == []
    purse.approve(made.id, "王")
    assert [row["id"] for row in purse.store.read(lambda tx: rows.for_bank(tx, None, 9))] == [made.id]


def test_payouts_of_an_account_newest_first(purse):
    purse.earn(900)
    made = []
    for number in range(3):
        made.append(purse.pay_out(100, f"k{number}", payee=BANK).id)
        purse.bank_says(made[-1], "settled")
    found = purse.store.read(lambda tx: purse.paying.payouts_of(tx, purse.account, 2))
    assert [one.id for one in found] == [made[2], made[1]]
    assert purse.standing("po_nothing") is None


def test_R074_each_move_is_told_in_order_and_R246_written_down(purse):
    purse.hooks = [SimpleNamespace(slug="till", events=()), SimpleNamespace(slug="deaf", events=("link.issued",))]
    purse.earn(800)
    made = purse.pay_out(500, payee=BANK, begun_by="小周")
    purse.bank_says(made.id, "settled")
    told = purse.all("SELECT webhook, event, seq, body FROM messages ORDER BY seq")
    assert [(row["webhook"], row["event"], row["seq"]) for row in told] == [
        ("till", "payout.held", 1),
        ("till", "payout.sent", 2),
        ("till", "payout.settled", 3),
    ]
    for row in told:
        assert "6222" not in row["body"]
        assert "openid" not in row["body"]
        assert json.loads(row["body"])["data"]["payout"] == made.id
    audits = purse.all("SELECT who, action, object FROM audit ORDER BY seq")
    assert [(row["who"], row["action"]) for row in audits] == [
        ("小周", "payout.held"),
        ("bank", "payout.sent"),
        ("bank", "payout.settled"),
    ]
    assert {row["object"] for row in audits} == {made.id}


def test_a_campaign_that_fails_on_hearing_undoes_the_move(purse):
    """What the host does not catch, a store's trouble, leaves payout and ledger as they were."""
    purse.earn(800)
    made = purse.pay_out(500, payee=BANK)

    def trouble(_tx, _moved, _now):
        raise RuntimeError("gone")

    purse.paying._hear = trouble
    with pytest.raises(RuntimeError):
        purse.bank_says(made.id, "settled")
    assert purse.standing(made.id).state == "held"


def test_R113_many_at_once_make_one_payout(purse):
    """Threads that hold several keys for one account: one gets it, the others hear that one is in flight."""
    purse.earn(5000)
    results = in_threads([lambda n=n: purse.pay_out(500, f"k{n}").id for n in range(8)])
    assert sorted(results.count(word) for word in set(results)) == [1, 7]
    assert results.count("payout_in_flight") == 7
    assert purse.balance == 4500


def test_R205_one_key_at_once_makes_one_payout(purse):
    purse.earn(5000)
    assert len(set(in_threads([lambda: purse.pay_out(500).id for _ in range(8)]))) == 1
    assert purse.balance == 4500


def test_the_banks_two_words_at_once_settle_once(purse):
    purse.earn(500)
    made = purse.pay_out(500, payee=BANK)
    words = ["settled", "failed"] * 4
    results = in_threads([lambda word=word: purse.bank_says(made.id, word).state for word in words])
    end = purse.standing(made.id).state
    assert results.count(end) == 4
    assert results.count("bad_transition") == 4
    assert purse.balance == (0 if end == "settled" else 500)


def _rush(gate, number, url, person):
    store = opened(url)
    purse = Purse(store)
    purse.account = Account(f"person:{person}", "rewards")
    gate.wait(60)
    results = []
    for turn in range(6):
        try:
            made = purse.pay_out(100, f"{number}-{turn}", payee=BANK)
            purse.bank_says(made.id, "settled" if turn % 2 else "failed")
            results.append("settled" if turn % 2 else "failed")
        except Refused as refused:
            results.append(refused.code)
    store.close()
    return results


def test_R240_processes_pay_out_of_one_account(purse, store_url):
    """Whoever comes, the account is never overdrawn and each settled payout left once."""
    purse.earn(250)
    results = in_processes(2, _rush, store_url, purse.person)
    settled = results.count("settled")
    assert 0 < settled <= 2
    assert set(results) <= {"settled", "failed", "payout_in_flight", "insufficient"}
    assert purse.balance == 250 - 100 * settled
    assert purse.store.read(lambda tx: book.balance(tx, PAID_OUT)) == 100 * settled


# -- the nightly check --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        ("UPDATE transfers SET state = 'posted' WHERE key LIKE 'payout:%'", "is held, its hold posted"),
        ("UPDATE transfers SET state = 'voided' WHERE key LIKE 'payout:%'", "is held, its hold voided"),
        ("UPDATE payouts SET state = 'settled'", "is settled, its hold pending"),
        ("UPDATE payouts SET amount_fen = 1", "is held, its hold pending"),
        ("UPDATE payouts SET account = 'person:x:rewards:cash'", "is held, its hold pending"),
        ("DELETE FROM transfers WHERE key LIKE 'payout:%'", "its hold missing"),
        ("DELETE FROM payouts", "leaves the house without a payout"),
    ],
)
def test_R240_the_check_sees_a_payout_that_differs_from_its_hold(store, harm, found):
    purse = Purse(store)
    purse.earn(800)
    purse.pay_out(500)
    assert store.read(rows.faults) == []
    store.write(lambda tx: tx.run(harm))
    [line] = store.read(rows.faults)
    assert found in line
