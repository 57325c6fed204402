"""Killed without a word, again and again, under load: whatever was answered is there, and there once."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.chaos.square import Square, all_at_once, drained, square
from tests.e2e.house import eventually
from tests.e2e.platforms import Sent, fresh_openid
from tests.e2e.till import Mode

ROUNDS = 30
PAYERS = 40
LINES = ("v3", "v2", "ali")


class Load:
    """Platforms that send payments of a few people without a pause, and again what was not answered."""

    def __init__(self, here: Square, hands: int = 6) -> None:
        self._here = here
        self._openids = {line: [fresh_openid() for _ in range(PAYERS)] for line in LINES}
        self.answered: dict[str, tuple[str, str]] = {}
        self.unanswered: dict[str, Sent] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(hands)
        self._hands = [self._pool.submit(self._send, random.Random(n)) for n in range(hands)]

    def _send(self, dice: random.Random) -> None:
        while not self._stop.is_set():
            line = dice.choice(LINES)
            openid = dice.choice(self._openids[line])
            sent = self._here.platforms[line].payment(openid)
            # A platform tries a few times; what it then gives up may or may not have been kept.
            for _ in range(3):
                if self._one(line, sent, openid) or self._stop.wait(0.05):
                    break

    def _one(self, line: str, sent: Sent, openid: str) -> bool:
        try:
            answer = self._here.house.notify(line, sent)
        except (OSError, http.client.HTTPException):
            answer = None
        with self._lock:
            if answer is not None and answer.status == 200:
                self.answered[sent.transaction] = (line, openid)
                self.unanswered.pop(sent.transaction, None)
                return True
            self.unanswered[sent.transaction] = sent
        # Nobody there: do not burn the machine that is to start it again.
        time.sleep(0.02)
        return False

    def more(self, count: int, seconds: float = 30) -> None:
        """Wait for so many answers more."""
        goal = len(self.answered) + count
        eventually(lambda: len(self.answered) >= goal, f"{count} more answers", seconds)

    def end(self) -> None:
        self._stop.set()
        for hand in self._hands:
            hand.result(60)
        self._pool.shutdown()


def _kill_a_web_worker(here: Square, dice: random.Random) -> None:
    _, workers = here.house.gunicorn()
    if workers:
        _kill(dice.choice(workers))


def _kill_the_background_worker(here: Square, dice: random.Random) -> None:
    pid = here.house.background_worker()
    if pid is not None:
        _kill(pid)


def _kill_everything(here: Square, dice: random.Random) -> None:
    here.house.kill()
    here.house.start()


def _kill_the_master(here: Square, dice: random.Random) -> None:
    """gunicorn's master alone: the rest must notice, end, and let a new start have the port."""
    process = here.house.process
    assert process is not None
    master, _ = here.house.gunicorn()
    _kill(master)
    assert process.wait(30) == 1
    here.house.stop()
    here.house.start()


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.timeout(400)
def test_r009_r013_r019_thirty_kills_under_load_lose_nothing_and_do_nothing_twice() -> None:
    dice = random.Random(20261122)
    deeds: list[Callable[[Square, random.Random], None]] = [_kill_a_web_worker] * 15 + [_kill_the_background_worker] * 9
    deeds += [_kill_everything] * 4 + [_kill_the_master] * 2
    dice.shuffle(deeds)
    assert len(deeds) == ROUNDS
    with square() as here:
        load = Load(here)
        try:
            load.more(100)
            for deed in deeds:
                deed(here, dice)
                load.more(dice.randrange(5, 40))
        finally:
            load.end()
        assert len(load.answered) > ROUNDS * 5
        drained(here.house)
        eventually(lambda: here.house.summary()["outbox_depth"] == 0, "the outbox is empty")
        _check(here, load)


def _check(here: Square, load: Load) -> None:
    """Every answered transaction is one payment; of each payer one is the first and all others have one link."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = here.house.api("GET", "/payments" + (f"?cursor={cursor}" if cursor else "")).json
        found += page["items"]
        cursor = page["next"]
    numbers = Counter(one["transaction_id"] for one in found)
    assert [number for number, n in numbers.items() if n > 1] == []
    assert set(load.answered) - set(numbers) == set()
    # Nothing was made up either: what was never sent is not there.
    assert set(numbers) <= set(load.answered) | set(load.unanswered)

    with ThreadPoolExecutor(8) as hands:
        whole = list(hands.map(here.house.payment, numbers))
    by_payer: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for paid in whole:
        by_payer[paid["payer"]].append(paid)
    for paid in by_payer.values():
        assert Counter(one["tag"]["before"] for one in paid)["untagged"] == 1
        for one in paid:
            assert len(one["links"]) == (0 if one["tag"]["before"] == "untagged" else 1), one
            assert Counter(decision["rule"] for decision in one["decisions"])["tag"] == 1
    assert len(by_payer) <= len(LINES) * PAYERS
    summary = here.house.summary()
    assert summary["payments"] == len(numbers)
    assert summary["tagged"] == len(by_payer)
    assert summary["links_issued"] == sum(len(one["links"]) for one in whole)


def test_r010_r013_sigterm_lets_every_request_in_flight_have_its_answer() -> None:
    with square() as here:
        here.till.mode = Mode("slow", body=b"late but well")
        sent = [(line, here.platforms[line].payment(fresh_openid())) for line in LINES for _ in range(4)]
        statuses: list[int] = []

        def deliver() -> list[tuple[int, bytes]]:
            told = all_at_once([lambda at=line, one=one: here.house.notify(at, one) for line, one in sent])
            return [(answer.status, answer.body) for answer in told]

        with ThreadPoolExecutor(1) as hand:
            waiting = hand.submit(deliver)
            eventually(lambda: all(here.till.find(one.body) for _, one in sent), "the till has them all")
            statuses.append(here.house.stop())
            told = waiting.result(30)
        assert set(told) == {(200, b"late but well")}
        assert statuses == [0]
        here.till.mode = Mode()
        here.house.start()
        for _, one in sent:
            assert here.house.payment(one.transaction)["deliveries"] == 1
            assert here.house.relayed(one.transaction)["state"] == "answered"
