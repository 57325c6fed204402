"""Many at the same moment, in threads and processes, on both databases: packets, helps, pieces and sessions hold."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from gateway.contract.account import fund
from gateway.ledger import book
from tests.campaigns.help_cut.cutting import Cutting, who
from tests.campaigns.help_cut.helpers_at_once import agree_at_once
from tests.support.invariants import broken

CROWD = 200
TABLE = {
    "helpers": CROWD, "price_fen": 9000, "floor_price_fen": 1000, "cut_fen": [40], "packets": 10, "packet_cap_fen": 300,
    "packet_floor_fen": 1, "total_fen": 1000, "sessions": 3, "quantity": 3,
}  # fmt: skip


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def crowd(request, tmp_path):
    url = {} if request.param == "sqlite" else {"store_url": request.getfixturevalue("postgres_url")}
    made = Cutting(tmp_path, TABLE, budget_fen=10_000, **url)
    yield made
    assert made.store.read(lambda tx: broken(tx, made.clock())) == []
    made.close()


def at_once(crowd, asked, processes):
    """Every pair agreed to, by so many processes that begin together."""
    token = crowd.token("manager")
    parts = [asked[place::processes] for place in range(processes)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        found = [pool.submit(agree_at_once, crowd.home.root, token, part) for part in parts]
        return [answer for one in found for answer in one.result(timeout=240)]


def test_R141_two_hundred_helpers_at_once_on_ten_packets_get_ten(crowd):
    session = crowd.start()
    names = [f"helper-{number}" for number in range(CROWD)]
    asked = list(zip(crowd.name(session, *names), names, strict=True))
    answers = at_once(crowd, asked, processes=2)
    assert {status for status, _, _ in answers} == {200}
    results = [packet for _, packet, _ in answers]
    assert (results.count("granted"), results.count("none_left")) == (10, CROWD - 10)
    assert sum(amount for _, _, amount in answers if amount) == 1000
    told = crowd.show(session)
    assert (told["helps"], told["price_fen"], told["state"]) == (CROWD, 1000, "settling")
    assert sorted(packet["amount_fen"] for packet in told["packets"]) == sorted(a for _, _, a in answers if a)
    assert crowd.store.read(lambda tx: -book.balance(tx, fund("cut"))) == 1000
    assert crowd.budget()["consumed_fen"] == 1000


def test_R137_one_human_with_many_invitations_is_counted_once(crowd):
    session = crowd.start()
    invitations = crowd.name(session, *(f"138{number}" for number in range(30)), by="phone")
    crowd.pay("T1", "helper")
    answers = at_once(crowd, [(one, "helper") for one in invitations], processes=2)
    results = [packet for _, packet, _ in answers]
    assert (results.count("granted"), results.count("not_eligible")) == (1, 29)
    assert crowd.show(session)["helps"] == 1


def test_R134_an_open_invitation_belongs_to_one_of_many_who_try(crowd):
    session = crowd.start()
    (invitation,) = crowd.name(session, "138", by="phone")
    answers = at_once(crowd, [(invitation, f"helper-{number}") for number in range(30)], processes=2)
    results = [packet for _, packet, _ in answers]
    assert (results.count("granted"), results.count("not_invited")) == (1, 29)


def test_R143_R148_pieces_and_sessions_at_once(tmp_path, store_url):
    sqlite = store_url.startswith("sqlite")
    table = {"quantity": 3, "sessions": 8, "helpers": 1, "cut_fen": [300]}
    shop = Cutting(tmp_path / "shop", table, **({} if sqlite else {"store_url": store_url}))
    clients = [shop.client("manager") for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        begun = list(
            pool.map(
                lambda n: shop.call("POST", "/sessions", who(f"buyer-{n}"), key=f"s{n}", client=clients[n]), range(12)
            )
        )
        sessions = [told["session"] for status, told in begun if status == 201]
        assert len(sessions) == 8
        assert {told["which"] for status, told in begun if status == 409} == {"sessions"}
        for number, session in enumerate(sessions):
            shop.agree(shop.name(session, f"h{number}")[0], f"h{number}")
        ended = list(
            pool.map(
                lambda n: shop.call(
                    "POST", f"/sessions/{sessions[n]}/pay", {"method": "alipay"}, key=f"p{n}", client=clients[n]
                ),
                range(8),
            )
        )
    assert sorted(told["state"] for _, told in ended) == ["lost"] * 5 + ["won"] * 3
    assert len(shop.all("SELECT id FROM orders WHERE state = 'fulfilled'")) == 3
    assert shop.store.read(lambda tx: broken(tx, shop.clock())) == []
    shop.close()
