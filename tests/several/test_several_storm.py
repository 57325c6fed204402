"""Three gateways and three workers on one PostgreSQL: what comes to all of them at once is done once (R009, R013, R244)."""

from __future__ import annotations

import http.client
import json
import random
import shutil
import threading
import time
from collections import Counter

import pytest

from tests.e2e.house import Form, House, coupons_of, eventually
from tests.e2e.platforms import fresh_openid, fresh_transaction
from tests.several.fleet import MACHINES, SCARCE, Fleet, at_once

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180)]

COPIES = 20
REFUND_COPIES = 6
PAYERS = 10
CLAIMED_BEFORE = 4
TO_CLAIM = 8
SALE = 5


def _paid_links(here: Fleet, count: int) -> list[dict]:
    return [here.houses[n % MACHINES].link("v3", here.platforms["v3"]) for n in range(count)]


def test_r009_r027_r044_r054_r060_r061_r244_a_storm_over_three_gateways_does_everything_once(here: Fleet) -> None:
    """Fifty payments twenty times each, refunds, claims, redemptions and orders, all at the three at once."""
    dice = random.Random(20261122)
    # South's cups run out with the first claims: those links were made before.
    links = _paid_links(here, TO_CLAIM + CLAIMED_BEFORE)
    codes = [here.first.claim(link["url"])[0] for link in links[:CLAIMED_BEFORE]]
    owner = {code: here.first.api("GET", f"/coupons/{code}").json["merchant"] for code in codes}
    person = links[0]["payment"]["payer"]
    manager = here.first.token("manager", merchant="north")
    clerks = {merchant: here.first.token("clerk", merchant=merchant) for merchant in ("north", "south")}
    before = here.first.summary()
    taken_before = here.all("SELECT taken FROM stock WHERE item = 'south-cup'")[0]["taken"]

    payments, jobs = {}, []
    for line in ("v3", "v2", "ack"):
        platform = here.platforms[line]
        openids = [fresh_openid() for _ in range(PAYERS)]
        for n in range({"v3": 20, "v2": 15, "ack": 15}[line]):
            openid, transaction = openids[n % PAYERS], fresh_transaction()
            payments[transaction] = (line, openid)
            first = platform.payment(openid, 2500, transaction)
            for copy in range(COPIES):
                # Half of them the same bytes, half signed anew, as a platform that lost our answer sends them.
                sent = first if copy % 2 else platform.payment(openid, 2500, transaction)
                jobs.append(("notify", here.houses[copy % MACHINES], line, sent))
    refunded = dice.sample([one for one, (line, _) in payments.items() if line != "ack"], 8)
    for transaction in refunded:
        line = payments[transaction][0]
        refund = here.platforms[line].refund(transaction, 1000, 2500)
        jobs += [("notify", here.houses[copy % MACHINES], line, refund) for copy in range(REFUND_COPIES)]
    for code in codes:
        jobs += [("redeem", here.houses[n % MACHINES], code, f"{code}-{n}") for n in range(9)]
    for link in links[CLAIMED_BEFORE:]:
        for house in here.houses * 2:
            customer = house.customer()
            jobs.append(("claim", customer, link["url"], Form.of(customer.get(link["url"]).text)))
    jobs += [("order", here.houses[n % MACHINES], None, None) for n in range(SALE * 3)]
    dice.shuffle(jobs)

    def do(job):
        kind, who, what, how = job
        if kind == "notify":
            answer = who.notify(what, how)
        elif kind == "redeem":
            answer = who.redeem(what, token=clerks[owner[what]], key=how)
        elif kind == "claim":
            answer = who.post(how.action or what, how.hidden)
        else:
            body = {"item": "rare", "quantity": 1, "person": person}
            answer = who.api("POST", "/orders", body, token=manager)
        return kind, what, answer

    answers = at_once([lambda job=job: do(job) for job in jobs])

    # Every callback has its answer: the till's own, or ours where the channel answers by itself.
    told = Counter((what, answer.status, answer.body) for kind, what, answer in answers if kind == "notify")
    assert set(told) == {("v3", 200, b"till-says-ok"), ("v2", 200, b"till-says-ok"), ("ack", 200, b"success")}
    here.settled()
    _each_payment_is_there_once(here, payments)
    _each_push_came_once(here, payments)

    redeemed = Counter((what, answer.status) for kind, what, answer in answers if kind == "redeem")
    assert redeemed == {(code, status): n for code in codes for status, n in ((200, 1), (409, 8))}
    assert {answer.status for kind, _, answer in answers if kind == "claim"} == {303}
    orders = Counter(answer.status for kind, _, answer in answers if kind == "order")
    assert orders == {201: SALE, 409: SALE * 2}
    pages = [coupons_of(house.customer().get(link["url"])) for link in links[CLAIMED_BEFORE:] for house in here.houses]
    assert {tuple(page) for page in pages} == {tuple(page) for page in pages[::MACHINES]}
    stock = here.all("SELECT taken, total FROM stock WHERE item = 'south-cup'")[0]
    assert taken_before <= stock["taken"] == stock["total"] == SCARCE

    for transaction in refunded:
        assert here.first.payment(transaction)["refunded_fen"] == 1000
    after = here.first.summary()
    assert after["payments"] == before["payments"] + len(payments)
    assert after["tagged"] == before["tagged"] + len({(line, openid) for line, openid in payments.values()})
    assert after["links_claimed"] == before["links_claimed"] + TO_CLAIM
    assert here.broken() == []


def _each_payment_is_there_once(here: Fleet, payments: dict[str, tuple[str, str]]) -> None:
    rows = here.all("SELECT transaction_id, count(*) AS n FROM payments GROUP BY transaction_id")
    found = {row["transaction_id"]: row["n"] for row in rows}
    assert {transaction: found.get(transaction) for transaction in payments} == dict.fromkeys(payments, 1)
    firsts: Counter[tuple[str, str]] = Counter()
    for n, (transaction, payer) in enumerate(payments.items()):
        paid = here.houses[n % MACHINES].payment(transaction)
        # A refund that was told before its payment is a delivery of no payment.
        assert COPIES <= paid["deliveries"] <= COPIES + (REFUND_COPIES if paid["refunded_fen"] else 0)
        first = paid["tag"]["before"] == "untagged"
        firsts[payer] += first
        assert len(paid["links"]) == (0 if first else 1)
    assert set(firsts.values()) == {1}


def _each_push_came_once(here: Fleet, payments: dict[str, tuple[str, str]]) -> None:
    """The outbox's relays, and the webhooks' messages: one each, whichever worker sent it."""
    heard = Counter(
        transaction
        for one in here.ack_till.bodies()
        for transaction, (line, _) in payments.items()
        if line == "ack" and transaction.encode() in one
    )
    assert heard == {transaction: 1 for transaction, (line, _) in payments.items() if line == "ack"}
    issued = {row["id"] for row in here.all("SELECT id FROM links")}

    def told() -> Counter[str]:
        messages = [json.loads(body) for body in here.hook.bodies()]
        return Counter(one["data"]["link"] for one in messages if one["type"] == "link.issued")

    eventually(lambda: set(told()) == issued, "every link is told of")
    assert set(told().values()) == {1}
    ids = Counter(one.all("webhook-id")[0] for one in list(here.hook.heard))
    assert set(ids.values()) == {1}


def test_r244_a_catalogue_change_is_seen_by_every_gateway_within_two_seconds(here: Fleet) -> None:
    """The contract's two seconds (an apply file is in force in every process by then), counted from the command's end."""
    unknown = here.platforms["v2"].payment(fresh_openid())
    assert {house.notify("side", unknown).status for house in here.houses} == {404}
    here.houses[1].apply(
        '[channel.side]\nmerchant = "south"\nadapter = "wechat_v3"\nsandbox = true\n', name="side.toml"
    )
    end = time.monotonic() + 2
    waiting = set(range(MACHINES))
    while waiting and time.monotonic() < end:
        waiting -= {n for n in waiting if here.houses[n].notify("side", unknown).status != 404}
    assert waiting == set()


def test_r244_a_machine_with_another_master_key_does_not_serve(here: Fleet) -> None:
    with House(settings=here.first.settings) as stranger:
        stranger.home.mkdir(mode=0o700)
        refused = stranger.run("init")
        assert refused.returncode == 1
        assert "copy it here" in refused.stderr
        with House() as another:
            shutil.copy2(another.init().home / "secret.key", stranger.home / "secret.key")
        for words in (("serve", "--bind", f"127.0.0.1:{stranger.port}"), ("check",)):
            assert stranger.run(*words).returncode == 1


def test_r009_r013_r244_a_gateway_killed_in_a_storm_loses_nothing(here: Fleet) -> None:
    """Power off at one of three; a sender that gets no answer sends again, elsewhere."""
    platform, openids = here.platforms["v2"], [fresh_openid() for _ in range(6)]
    sent = [platform.payment(openids[n % 6]) for n in range(120)]
    answered: Counter[str] = Counter()
    unanswered: Counter[str] = Counter()
    lock = threading.Lock()
    under_way = threading.Event()

    def deliver(place: int) -> None:
        one = sent[place % len(sent)]
        # Every payment comes three times; each copy begins at another gateway and goes on until one answers.
        for turn in range(30):
            try:
                answer = here.houses[(place + turn) % MACHINES].notify("v2", one)
            except (OSError, http.client.HTTPException):
                with lock:
                    unanswered[one.transaction] += 1
                continue
            if answer.status == 200:
                with lock:
                    answered[one.transaction] += 1
                if answered.total() >= len(sent):
                    under_way.set()
                return
        raise AssertionError("nobody answers")

    def kill() -> None:
        assert under_way.wait(60)
        here.houses[1].kill()

    at_once([kill, *(lambda place=place: deliver(place) for place in range(len(sent) * 3))], hands=12)
    assert unanswered.total() > 0
    assert answered == dict.fromkeys((one.transaction for one in sent), 3)
    here.houses[1].start()
    here.settled()
    paid = [here.houses[1].payment(one.transaction) for one in sent]
    assert Counter(one["tag"]["before"] for one in paid) == {"untagged": 6, "tagged": len(sent) - 6}
    assert all(len(one["links"]) == (one["tag"]["before"] == "tagged") for one in paid)
    assert here.broken() == []
