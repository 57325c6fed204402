"""Calls that several processes make at the same moment; what each process runs, so that it can be imported there."""

from __future__ import annotations

import threading
from pathlib import Path

from flask import Flask

from gateway.web.api import register_api
from tests.support.world import Clock, runtime_of


def redeem_at_once(home: Path, token: str, code: str, keys: list[str]) -> list[tuple[int, str]]:
    """Redeem `code` once for every key, each in a thread, all released together: (status, code or state) of each."""
    runtime = runtime_of(home, Clock())
    app = Flask("tests.support.racing")
    register_api(app, runtime)
    start = threading.Barrier(len(keys))
    answers: list[tuple[int, str]] = []

    def redeem(key: str) -> None:
        client = app.test_client()
        start.wait()
        answer = client.post(
            f"/api/v1/coupons/{code}/redeem",
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": key},
        )
        answers.append((answer.status_code, answer.json.get("code") if answer.status_code != 200 else "redeemed"))

    threads = [threading.Thread(target=redeem, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runtime.store.close()
    return answers
