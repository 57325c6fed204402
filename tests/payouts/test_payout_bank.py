"""R113, R115: the bank's file and its results, on both databases."""

from __future__ import annotations

import csv
import io

import pytest

from gateway.contract.account import merchant_rewards
from gateway.contract.errors import Refused
from gateway.contract.payout import Payee
from gateway.payouts import bank, rows
from tests.payouts.purse import BANK, VAULT
from tests.support.crowd import in_threads


def refusal(work):
    with pytest.raises(Refused) as caught:
        work()
    return caught.value


def owe(purse, *payees):
    made = []
    for number, payee in enumerate(payees):
        account = merchant_rewards(f"m{number}")
        purse.earn(1000, f"e{number}", account)
        made.append(purse.pay_out(100 + number, f"k{number}", payee=payee, account=account).id)
    return made


def take(purse, circles=None):
    return purse.store.write(lambda tx: bank.take(tx, purse.paying, purse.ids, circles, "小周", purse.now))


def text_of(purse, batch, circles=None):
    return purse.store.write(lambda tx: bank.text_of(tx, VAULT, batch, circles, "小周", purse.now))


def settle(purse, text, circles=None):
    results = bank.read_results(text.encode())
    return purse.store.write(lambda tx: bank.settle(tx, purse.paying, results, circles, "小周", purse.now))


def lines_of(text):
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_R113_the_file_holds_what_waits_and_sends_it(purse):
    first, second = owe(purse, BANK, Payee(bank_account="6217000012345678", name="周"))
    batch = take(purse)
    assert lines_of(text_of(purse, batch)) == [
        ["付款编号", "收款户名", "收款账号", "金额(元)", "附言"],
        [first, "陈", "6222021234564242", "1.00", "spring"],
        [second, "周", "6217000012345678", "1.01", "spring"],
    ]
    assert {purse.standing(one).state for one in (first, second)} == {"sent"}
    assert purse.told == [("sent", ""), ("sent", "")]
    assert take(purse) is None


def test_the_file_can_be_read_again_while_it_is_open(purse):
    first, second = owe(purse, BANK, BANK)
    batch = take(purse)
    assert text_of(purse, batch) == text_of(purse, batch)
    settle(purse, f"付款编号,结果\n{first},成功\n")
    assert [line[0] for line in lines_of(text_of(purse, batch))[1:]] == [second]
    settle(purse, f"付款编号,结果\n{second},失败\n")
    assert refusal(lambda: text_of(purse, batch)).code == "not_found"
    assert refusal(lambda: text_of(purse, "bf_nothing")).code == "not_found"
    audits = [row["action"] for row in purse.all("SELECT action FROM audit ORDER BY seq")]
    assert audits.count("payout.bank_file") == 3


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@SUM", "\t=1", "\r=1", "＝1", "＋1", "－1", "＠1"])
def test_no_name_becomes_a_formula(purse, name):
    owe(purse, Payee(bank_account="6222021234564242", name=name))
    [_, line] = lines_of(text_of(purse, take(purse)))
    assert line[1].startswith("'")


def test_R113_results_settle_and_let_go(purse):
    first, second = owe(purse, BANK, BANK)
    take(purse)
    assert settle(purse, f"\ufeff付款编号,结果,原因\n{first},成功,\n{second},失败,户名不符\n") == 2
    assert purse.standing(first).state == "settled"
    assert (purse.standing(second).state, purse.standing(second).reason) == ("failed", "户名不符")


def test_results_may_come_again(purse):
    [first] = owe(purse, BANK)
    take(purse)
    text = f"payout,result,extra\r\n{first},settled,x\r\n\r\n"
    assert [settle(purse, text), settle(purse, text)] == [1, 0]
    assert purse.told == [("sent", ""), ("settled", "")]


def test_results_of_a_chinese_spreadsheet(purse):
    [first] = owe(purse, BANK)
    take(purse)
    results = bank.read_results(f"付款编号,结果\n{first},成功\n".encode("gb18030"))
    assert [(one.payout, one.state) for one in results] == [(first, "settled")]


PO = "po_" + "0" * 32


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "file"),
        ("付款编号\n", "line 1"),
        ("结果\n", "line 1"),
        ("付款编号,结果\n", "line 2"),
        ("付款编号,结果\n\n,\n", "line 2"),
        (f"付款编号,结果\n{PO},也许\n", "line 2"),
        (f"付款编号,结果\n{PO}\n", "line 2"),
        (f"付款编号,结果\n{PO},\n", "line 2"),
        ("付款编号,结果\nbf_1,成功\n", "line 2"),
        ("付款编号,结果\n' OR 1=1,成功\n", "line 2"),
        (f"付款编号,结果\n{PO},成功\n{PO},成功\n", "line 3"),
        (f'付款编号,结果\n"{PO},成功\n', "file"),
        ("x" * (bank.LONGEST + 1), "file"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_place(text, place):
    refused = refusal(lambda: bank.read_results(text.encode()))
    assert (refused.code, refused.status) == ("invalid", 422)
    assert list(refused.facts["fields"]) == [place]


@pytest.mark.parametrize("noise", [b"\x00\xff\xfe", b"PK\x03\x04" + b"\x00" * 99, "付款编号,结果\n".encode() + b"\xff"])
def test_bytes_of_any_kind_are_survived(noise):
    assert refusal(lambda: bank.read_results(noise)).code == "invalid"


def test_one_fault_and_nothing_counts(purse):
    first, waits = owe(purse, BANK, BANK)
    circle = frozenset({"wutong"})
    purse.store.write(lambda tx: tx.run("UPDATE payouts SET reason = 'second_approval' WHERE id = :id", {"id": waits}))
    take(purse)
    for wrong, why in ((f"{PO},成功", "is not there"), (f"{waits},成功", "is held")):
        refused = refusal(lambda wrong=wrong: settle(purse, f"付款编号,结果\n{first},成功\n{wrong}\n", circle))
        assert list(refused.facts["fields"].values()) == [why]
    assert purse.standing(first).state == "sent"


def test_the_other_word_afterwards_is_a_fault(purse):
    [first] = owe(purse, BANK)
    take(purse)
    settle(purse, f"付款编号,结果\n{first},失败\n")
    assert refusal(lambda: settle(purse, f"付款编号,结果\n{first},成功\n")).facts["fields"] == {first: "is failed"}


def test_a_wallets_payout_is_none_of_the_banks(purse):
    purse.earn(800)
    made = purse.pay_out(100)
    assert refusal(lambda: settle(purse, f"付款编号,结果\n{made.id},成功\n")).facts["fields"] == {
        made.id: "is not there"
    }


def test_R072_each_circle_has_its_own_files(purse):
    owe(purse, BANK)
    assert take(purse, frozenset({"hill"})) is None
    assert take(purse, frozenset()) is None
    batch = take(purse, frozenset({"wutong"}))
    assert refusal(lambda: text_of(purse, batch, frozenset({"hill"}))).code == "not_found"
    [row] = purse.store.read(lambda tx: rows.open_batches(tx, frozenset({"wutong"}), 9))
    assert (row["batch"], row["n"], row["fen"]) == (batch, 1, 100)
    assert purse.store.read(lambda tx: rows.open_batches(tx, frozenset({"hill"}), 9)) == []
    assert purse.store.read(lambda tx: rows.listed(tx, circles=frozenset())) == []
    assert len(purse.store.read(lambda tx: rows.listed(tx, circles=frozenset({"wutong"}), state="sent"))) == 1


def test_two_who_make_a_file_at_once_share_nothing(purse):
    made = owe(purse, *[BANK] * 6)
    batches = {batch for batch in in_threads([lambda: take(purse)] * 4) if batch}
    told = [row["id"] for batch in batches for row in purse.store.read(lambda tx, b=batch: rows.of_batch(tx, b))]
    assert sorted(told) == sorted(made)
    assert len(batches) == 1
