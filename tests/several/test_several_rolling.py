"""Three gateways behind the balancer that is shipped, restarted in turn while platforms go on sending (R009, R013)."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.house import eventually
from tests.e2e.platforms import Sent, fresh_openid
from tests.e2e.till import Mode
from tests.several.balancer import ask, balancer
from tests.several.fleet import MACHINES, Fleet

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180)]

BASE_URL = "http://pay.example.com"
HANDS = 3
PAUSE_S = 0.08
"""Between two of one hand: a gateway that starts needs some of this machine, too."""

PAYERS = 12
MOST = 4000
"""How many notifications the sender sends at the very most."""

LINES = ("v3", "v2", "ack")
WELL = {"v3": (200, b"till-says-ok"), "v2": (200, b"till-says-ok"), "ack": (200, b"success")}


class Sending:
    """Platforms that send through the balancer and never send anything twice: what is not answered is lost."""

    def __init__(self, here: Fleet, port: int) -> None:
        self._here = here
        self._port = port
        self._openids = [fresh_openid() for _ in range(PAYERS)]
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._next = 0
        self.told: dict[str, tuple[str, tuple[int, bytes] | str]] = {}
        self._pool = ThreadPoolExecutor(HANDS)
        self._hands = [self._pool.submit(self._send) for _ in range(HANDS)]

    def _one(self) -> tuple[str, Sent] | None:
        with self._lock:
            number, self._next = self._next, self._next + 1
        if number >= MOST:
            return None
        line = LINES[number % len(LINES)]
        return line, self._here.platforms[line].payment(self._openids[number % PAYERS])

    def _send(self) -> None:
        while not self._stop.wait(PAUSE_S) and (given := self._one()) is not None:
            line, sent = given
            try:
                answer = ask(self._port, "POST", f"/notify/{line}", sent.headers, sent.body)
                told: tuple[int, bytes] | str = (answer.status, answer.body)
            except (OSError, http.client.HTTPException) as error:
                told = type(error).__name__
            with self._lock:
                self.told[sent.transaction] = (line, told)

    def more(self, count: int) -> None:
        """Wait for so many answers more."""
        goal = len(self.told) + count
        eventually(lambda: len(self.told) >= goal, f"{count} more answers", 40)

    def end(self) -> None:
        self._stop.set()
        for hand in self._hands:
            hand.result(60)
        self._pool.shutdown()


def test_r009_r013_r244_a_rolling_restart_answers_every_callback(here: Fleet, tmp_path) -> None:
    """None is lost, none is done twice, and the platforms notice nothing: they are never asked to send again.

    Each gateway is told to end and started again, then the processes that serve are killed in the middle of requests.
    """
    addresses = {f"10.0.0.1{n + 1}:8000": f"127.0.0.1:{house.port}" for n, house in enumerate(here.houses)}
    before = here.first.summary()
    with balancer(tmp_path, "several-machines.conf", addresses) as port:
        sending = Sending(here, port)
        try:
            sending.more(60)
            for house in here.houses:
                assert house.stop() == 0
                sending.more(30)
                house.start()
                sending.more(60)
            _break_off(here, sending)
        finally:
            here.till.mode = Mode()
            sending.end()
        wrong = Counter((line, told) for line, told in sending.told.values() if told != WELL[line])
        assert wrong == {}
        assert len(sending.told) < MOST
        here.settled()
        _check(here, sending, port, before)


def _break_off(here: Fleet, sending: Sending) -> None:
    """Kill the process that serves, of each gateway in turn, while its till is slow: requests are cut in the middle."""
    here.till.mode = Mode("slow", body=b"till-says-ok")
    for house in here.houses:
        sending.more(4)
        _, workers = house.gunicorn()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        sending.more(8)


def _check(here: Fleet, sending: Sending, port: int, before: dict[str, int]) -> None:
    found = Counter(row["transaction_id"] for row in here.all("SELECT transaction_id FROM payments"))
    assert {transaction: found[transaction] for transaction in sending.told} == dict.fromkeys(sending.told, 1)
    after = here.first.summary()
    assert after["payments"] == before["payments"] + len(sending.told)
    firsts = after["tagged"] - before["tagged"]
    assert 0 < firsts <= PAYERS * len(LINES)
    assert after["links_issued"] == before["links_issued"] + len(sending.told) - firsts
    heard = here.ack_till.bodies()
    for transaction, (line, _) in sending.told.items():
        if line == "ack":
            assert sum(transaction.encode() in body for body in heard) == 1
    assert here.broken() == []
    # Each gateway tells the same address of a link, and any of them opens it through the balancer.
    (url,) = {house.payment(max(sending.told))["links"][0]["url"] for house in here.houses}
    assert url.startswith(BASE_URL + "/c/")
    assert [ask(port, "GET", url.removeprefix(BASE_URL)).status for _ in range(MACHINES)] == [200] * MACHINES
    assert ask(port, "GET", "/metrics").status == 404
