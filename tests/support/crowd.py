"""Many hands at once: threads of this process, and of further processes started from nothing (spawn)."""

from __future__ import annotations

import multiprocessing
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any

from gateway.contract.errors import Refused

TIMEOUT_S = 60


def in_threads(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run every job in a thread of its own, all let go at once; their results in order.

    A Refused is a result: its code. Any other exception is raised here.
    """
    gate = threading.Barrier(len(jobs))
    results: list[Any] = [None] * len(jobs)
    failures: list[BaseException] = []

    def run(place: int, job: Callable[[], Any]) -> None:
        try:
            gate.wait(TIMEOUT_S)
            results[place] = job()
        except Refused as refused:
            results[place] = refused.code
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(place, job)) for place, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
    if failures:
        raise failures[0]
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    return results


def in_processes(count: int, work: Callable[..., list[Any]], *arguments: Any) -> list[Any]:
    """`work(gate, number, *arguments)` in `count` processes at once; their lists of results, joined.

    `gate.wait()` lets all processes go together; `work` must be importable and its results picklable.
    """
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(count)
    answers = context.Queue()
    processes = [
        context.Process(target=_child, args=(answers, gate, number, work, arguments), daemon=True)
        for number in range(count)
    ]
    for process in processes:
        process.start()
    results: list[Any] = []
    try:
        for _ in processes:
            try:
                kind, value = answers.get(timeout=TIMEOUT_S)
            except queue.Empty:
                raise AssertionError("a process gives no answer") from None
            assert kind == "ok", value
            results.extend(value)
        for process in processes:
            process.join(TIMEOUT_S)
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
                process.join()
        answers.close()
        answers.join_thread()
    return results


def _child(answers: Any, gate: Any, number: int, work: Callable[..., list[Any]], arguments: tuple[Any, ...]) -> None:
    try:
        answers.put(("ok", work(gate, number, *arguments)))
    except BaseException as error:
        answers.put(("failed", f"{type(error).__name__}: {error}"))
        gate.abort()
