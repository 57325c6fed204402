"""Helpers who agree at the same moment; what each process runs, so that it can be imported there."""

import threading

from flask import Flask

from gateway.web.api import register_api
from tests.support.world import Clock, runtime_of


def agree_at_once(home, token, asked):
    """(invitation, openid) pairs, each agreed to in a thread of its own, all released together: the answers."""
    runtime = runtime_of(home, Clock())
    app = Flask("helpers_at_once")
    register_api(app, runtime)
    start = threading.Barrier(len(asked))
    answers = []

    def agree(invitation, openid):
        client = app.test_client()
        start.wait()
        answer = client.post(
            f"/api/v1/campaigns/cut/invitations/{invitation}/agree",
            json={"openid": openid, "channel": "hotpot-pay"},
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": f"{invitation}-{openid}"},
        )
        told = answer.json
        answers.append((answer.status_code, told.get("packet") or told.get("code"), told.get("amount_fen")))

    threads = [threading.Thread(target=agree, args=pair) for pair in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runtime.store.close()
    return answers
