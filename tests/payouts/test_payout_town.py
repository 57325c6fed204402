"""R113, R114 from the campaign's call to the customer's tap: real adapters before the twins of both platforms."""

from __future__ import annotations

import pytest

from gateway.app import build_relay, build_spool
from gateway.contract.account import PAID_OUT, fund, person_rewards
from gateway.contract.campaign import CampaignView
from gateway.contract.money import Fen
from gateway.contract.payout import Payee
from gateway.ledger import book
from gateway.payouts import rows
from gateway.relay import Guard
from gateway.worker import Worker
from tests.support.browsing import Browser
from tests.support.wallets import ALIPAY_UA, WECHAT_UA, WalletTown

FUNDERS = frozenset({"noodles", "books"})
CAMPAIGN = CampaignView("spring", "help_cut", "wutong", FUNDERS, "live", 1, None, None, Fen(0), Fen(0), None)


class Town(WalletTown):
    """A town whose guests are owed money."""

    def work(self):
        guard = Guard(self.runtime.config.relay.allow)
        worker = Worker(self.runtime, build_relay(self.runtime, guard), build_spool(self.runtime))
        return worker.finish_due()

    def owe(self, guest="A", channel="noodles-wechat", fen=880):
        """(person, his payout's id): he has paid once, was rewarded, and takes all of it."""
        self.pay_as(guest, channel)
        person = self.person(guest, channel)
        account = person_rewards(person)
        ids, now = self.runtime.ids, self.clock()

        def write(tx):
            book.transfer(tx, ids.new("t", now), f"earned:{person}", fund("spring"), account, fen, "reward", now)
            payee = Payee(person=person)
            return self.runtime.paying_out.pay_out(tx, CAMPAIGN, account, payee, fen, "k1", "about", now)

        self.runtime.directory()
        return person, self.store.write(write).id

    def standing(self, payout):
        return self.store.read(lambda tx: self.runtime.paying_out.payout(tx, payout))

    def balance(self, account):
        return self.store.read(lambda tx: book.balance(tx, account))


@pytest.fixture
def town(tmp_path):
    made = Town(tmp_path)
    yield made
    assert made.store.read(book.faults) == []
    assert made.store.read(rows.faults) == []
    made.close()


def test_R113_alipay_pays_at_once(town):
    person, payout = town.owe("B", "books-alipay")
    town.work()
    assert (town.standing(payout).state, town.standing(payout).way) == ("settled", "alipay")
    assert town.balance(person_rewards(person)) == 0
    assert town.balance(PAID_OUT) == 880


def test_R113_wechat_waits_for_the_tap(town):
    person, payout = town.owe()
    town.work()
    assert (town.standing(payout).state, town.standing(payout).reason) == ("sent", "receiver_confirms")
    phone = Browser(town.app)
    page = phone.get(f"/sandbox/phone/A/payout/{payout}")
    for _ in range(8):
        if page.status not in {302, 303}:
            break
        page = phone.get(page.response.headers["Location"])
    assert page.status == 200
    assert "确认收款 ¥8.80" in page.text
    answer = phone.send(
        page, f"/sandbox/phone/A/payout/{payout}/tap", f"/sandbox/phone/A/payout/{payout}/tap", move="take"
    )
    assert answer.status == 303
    assert town.standing(payout).state == "sent"
    town.work()
    assert town.standing(payout).state == "settled"
    assert "¥8.80 已到账" in phone.get(f"/sandbox/phone/A/payout/{payout}").text
    assert (town.balance(person_rewards(person)), town.balance(PAID_OUT)) == (0, 880)


def test_R113_nobody_taps_for_a_day(town):
    person, payout = town.owe()
    town.work()
    town.clock.move(hours=24, minutes=1)
    town.work()
    assert (town.standing(payout).state, town.standing(payout).reason) == ("failed", "expired")
    assert town.balance(person_rewards(person)) == 880


@pytest.mark.parametrize(
    ("guest", "channel", "fault", "state"),
    [
        ("A", "noodles-wechat", "SYSTEM_ERROR", "sent"),
        ("A", "noodles-wechat", "drop", "sent"),
        ("B", "books-alipay", "isp.unknow-error", "settled"),
        ("B", "books-alipay", "drop", "settled"),
    ],
)
def test_R114_an_answer_that_was_lost_is_found_by_asking(town, guest, channel, fault, state):
    _, payout = town.owe(guest, channel)
    town.arm("transfer", fault, channel)
    town.work()
    assert town.standing(payout).state == "unknown"
    town.clock.move(seconds=30)
    town.work()
    assert town.standing(payout).state == state
    kept = town.all("SELECT key FROM twin_state WHERE kind = 'transfer'")
    assert [row["key"] for row in kept] == [payout.removeprefix("po_")]


@pytest.mark.parametrize(
    ("guest", "channel", "fault", "reason"),
    [
        ("A", "noodles-wechat", "NOT_ENOUGH", "balance"),
        ("A", "noodles-wechat", "NO_AUTH", "permission"),
        ("B", "books-alipay", "PAYER_BALANCE_NOT_ENOUGH", "balance"),
        ("B", "books-alipay", "PAYEE_NOT_EXIST", "account"),
    ],
)
def test_R113_a_no_brings_the_money_back(town, guest, channel, fault, reason):
    person, payout = town.owe(guest, channel)
    town.arm("transfer", fault, channel)
    town.work()
    assert (town.standing(payout).state, town.standing(payout).reason) == ("failed", reason)
    assert town.balance(person_rewards(person)) == 880


def test_R114_a_platform_that_is_away_is_waited_for(town):
    _, payout = town.owe()
    town.down = True
    town.work()
    assert town.standing(payout).state == "unknown"
    town.down = False
    town.clock.move(minutes=1)
    town.work()
    assert town.standing(payout).state == "sent"


# -- the customer's page ------------------------------------------------------------------------------------------------


@pytest.fixture
def waiting(town):
    _, payout = town.owe()
    town.work()
    return payout


def test_the_page_asks_wechat_for_the_tap(town, waiting):
    page = town.phone(WECHAT_UA).walk(f"/payout/{waiting}", guest="A")
    assert page.status == 200
    html = page.response.get_data(as_text=True)
    assert "js/receive.js" in html
    assert "ABBQO" in html
    assert "openid" not in html.lower()
    assert "<script>" not in html


def test_another_customer_and_another_number_find_nothing(town, waiting):
    town.pay_as("C")
    phone = town.phone(WECHAT_UA)
    assert phone.walk(f"/payout/{waiting}", guest="C").status == 404
    for name in ("po_nothing", "po_" + "0" * 32, "..", "po_" + "z" * 32, "%00"):
        assert phone.get(f"/payout/{name}").status == 404
    assert phone.get(f"/payout/{waiting}/live").status == 404


def test_a_stranger_is_sent_to_his_wallet_and_his_live_part_is_refused(town, waiting):
    phone = town.phone(WECHAT_UA)
    assert phone.get(f"/payout/{waiting}").status == 302
    assert phone.get(f"/payout/{waiting}/live").status == 401


def test_in_another_browser_the_page_says_where_to_go(town, waiting):
    town.pay_as("A", "books-alipay")
    page = town.phone(ALIPAY_UA).walk(f"/payout/{waiting}", guest="A")
    assert page.status in {200, 404}
    assert "ABBQO" not in page.response.get_data(as_text=True)


def test_looking_at_the_page_asks_the_platform_at_once(town, waiting):
    before = town.one("SELECT due_at FROM outbox WHERE topic = 'payout' AND state = 'due'")["due_at"]
    town.phone(WECHAT_UA).walk(f"/payout/{waiting}", guest="A")
    assert town.one("SELECT due_at FROM outbox WHERE topic = 'payout' AND state = 'due'")["due_at"] < before


@pytest.mark.parametrize("move", ["", "steal", "take\n"])
def test_a_tap_of_no_kind_is_refused(town, waiting, move):
    phone = Browser(town.app)
    page = phone.get(f"/sandbox/phone/A/payout/{waiting}")
    for _ in range(8):
        if page.status not in {302, 303}:
            break
        page = phone.get(page.response.headers["Location"])
    path = f"/sandbox/phone/A/payout/{waiting}/tap"
    assert phone.send(page, path, path, move=move).status == 400
    assert phone.client.post(path, data={"move": "take"}).status_code == 400
    town.work()
    assert town.standing(waiting).state == "sent"
