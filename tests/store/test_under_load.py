"""Many threads in several processes, and processes that are killed while they write (R244, reliability: nothing lost)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gateway.store.sqlite import BATCH
from tests.store import hands
from tests.support.crowd import in_processes, in_threads
from tests.support.databases import opened, sqlite_store

ROOT = Path(__file__).resolve().parents[2]


def test_32_threads_in_two_processes_lose_and_double_nothing(store, store_url):
    store.write(lambda tx: tx.run(hands.PUT, {"name": "sum", "value": "0"}))
    acknowledged = sum(in_processes(2, hands.add_up, store_url, 16, 10))
    assert acknowledged == 2 * 16 * 8
    total = store.read(lambda tx: tx.one("SELECT value FROM meta WHERE name = 'sum'"))["value"]
    rows = store.read(lambda tx: tx.one("SELECT count(*) AS n FROM meta WHERE name <> 'sum'"))["n"]
    assert (int(total), rows) == (acknowledged, acknowledged)


def test_works_that_share_a_commit_keep_their_own_results_and_errors(tmp_path):
    """The writer is held up, so that everything queued behind it goes into one transaction."""
    store = sqlite_store(tmp_path / "d.db")
    inside, go = threading.Event(), threading.Event()
    first = threading.Thread(target=lambda: store.write(lambda tx: (inside.set(), go.wait(10))))
    first.start()
    assert inside.wait(10)

    def work(number):
        def run(tx):
            tx.run(hands.PUT, {"name": f"n{number:03d}", "value": "x"})
            if number % 3 == 0:
                raise KeyError(number)
            if number % 3 == 1:
                tx.run(hands.PUT, {"name": f"n{number:03d}", "value": "again"})
            return number

        return run

    def caller(number):
        try:
            return store.write(work(number), timeout=20)
        except Exception as error:
            return type(error).__name__

    timer = threading.Timer(0.2, go.set)
    timer.start()
    results = in_threads([lambda number=number: caller(number) for number in range(60)])
    first.join()
    timer.join()
    assert results == [("KeyError", "IntegrityError", number)[number % 3] for number in range(60)]
    names = {row["name"] for row in store.read(lambda tx: tx.all("SELECT name FROM meta"))}
    assert names == {f"n{number:03d}" for number in range(2, 60, 3)}
    store.close()


def test_a_batch_has_a_bound(tmp_path):
    """More work than one commit takes is all done, in the order in which it came."""
    store = sqlite_store(tmp_path / "d.db")
    count = 2 * BATCH + 7
    order = []
    for number in range(count):
        store.write_later(lambda tx, number=number: order.append(number))
    store.close()
    assert order == list(range(count))


def test_closing_while_others_write_leaves_nobody_waiting_and_loses_no_work(tmp_path):
    store = sqlite_store(tmp_path / "d.db")
    done = []

    def caller(number):
        for turn in range(20):
            name = f"{number}-{turn}"
            store.write(lambda tx, name=name: tx.run(hands.PUT, {"name": name, "value": "x"}), timeout=20)
            done.append(name)

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        store.close()
    for thread in threads:
        thread.join()
    names = [row["name"] for row in store.read(lambda tx: tx.all("SELECT name FROM meta"))]
    assert sorted(names) == sorted(done)
    assert len(done) == 80
    store.close()


@pytest.mark.parametrize("round_", range(4))
def test_what_was_acknowledged_before_a_kill_is_there_afterwards(store, store_url, round_):
    """kill -9 in the middle of writing; the server's or the file's next user finds every acknowledged row."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.store.hands", store_url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdout is not None
    said = [child.stdout.readline() for _ in range(40 + 37 * round_)]
    child.kill()
    said += child.stdout.read().splitlines(keepends=True)
    child.wait()
    child.stdout.close()
    acknowledged = {line.decode().strip() for line in said if line.endswith(b"\n")}
    assert len(acknowledged) >= 40
    kept = {row["name"] for row in store.read(lambda tx: tx.all("SELECT name FROM meta"))}
    assert acknowledged <= kept
    # A write that was committed but not yet acknowledged may be there; at most one a thread.
    assert len(kept - acknowledged) <= 4
    store.write(lambda tx: tx.run(hands.PUT, {"name": "after", "value": "x"}), timeout=10)


def test_a_store_made_and_used_before_a_fork_serves_both_sides(store, store_url):
    """Threads of a fresh child all use it at once; the parent's own connections stay whole."""
    store.write(lambda tx: tx.run(hands.PUT, {"name": "parent-before", "value": "x"}))
    store.read(lambda tx: tx.one("SELECT 1 AS one"))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            in_threads(
                [
                    lambda n=n: store.write(
                        lambda tx: tx.run(hands.PUT, {"name": f"child-{n}", "value": "x"}), timeout=20
                    )
                    for n in range(8)
                ]
            )
            in_threads([lambda: store.read(lambda tx: tx.one("SELECT count(*) AS n FROM meta")) for _ in range(8)])
            code = 0
        finally:
            os._exit(code)
    store.write(lambda tx: tx.run(hands.PUT, {"name": "parent-meanwhile", "value": "x"}), timeout=20)
    deadline = time.monotonic() + 30
    done, status = os.waitpid(child, os.WNOHANG)
    while not done and time.monotonic() < deadline:
        store.read(lambda tx: tx.one("SELECT 1 AS one"))
        done, status = os.waitpid(child, os.WNOHANG)
    assert (done, status) == (child, 0)
    store.write(lambda tx: tx.run(hands.PUT, {"name": "parent-after", "value": "x"}), timeout=20)
    other = opened(store_url)
    names = {row["name"] for row in other.read(lambda tx: tx.all("SELECT name FROM meta"))}
    assert names == {"parent-before", "parent-meanwhile", "parent-after", *(f"child-{n}" for n in range(8))}
    other.close()
