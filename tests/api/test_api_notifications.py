"""Copy mode over HTTP: an integrator hands us what the till received."""

import base64

import pytest

from tests.support.plainpay import paid
from tests.support.world import SECRET


@pytest.fixture
def integrator(world):
    return world.client("integrator")


def copied(world, transaction_id="T1", channel="hotpot-pay", secret=SECRET, event="paid", **changes):
    raw = paid(secret, transaction_id, ("openid-a",), 10_000, world.clock(), event=event)
    body = {
        "channel": channel,
        "headers": [list(pair) for pair in raw.headers],
        "body_base64": base64.b64encode(raw.body).decode(),
    }
    return {**body, **changes}


def send(client, body):
    return client.post("/api/v1/notifications", json=body)


def test_a_genuine_copy_is_a_payment_once(world, integrator):
    assert send(integrator, copied(world)).json == {"outcome": "processed"}
    assert send(integrator, copied(world)).json == {"outcome": "seen"}
    assert send(integrator, copied(world, "T2", event="parking")).json == {"outcome": "ignored"}
    told = world.client("operator").get("/api/v1/payments/T1").json
    assert (told["merchant"], told["deliveries"], told["tag"]["after"]) == ("hotpot", 2, "tagged")


def test_R003_what_is_not_genuine_tags_nobody_and_is_kept_aside(world, integrator, says):
    answer = send(integrator, copied(world, secret="another secret"))
    assert says(answer) == (422, "refused")
    assert answer.json["reason"] == "bad_signature"
    assert world.all("SELECT id FROM payments") == []
    row = world.one("SELECT outcome, reason, sealed FROM deliveries")
    assert (row["outcome"], row["reason"]) == ("refused", "bad_signature")
    assert row["sealed"] is not None
    assert world.client("operator").get("/api/v1/summary").json["refused"] == 1


def test_a_header_sent_twice_is_no_signature(world, integrator, says):
    body = copied(world)
    body["headers"] += [pair for pair in body["headers"] if pair[0].startswith("Plainpay")]
    answer = send(integrator, body)
    assert (says(answer), answer.json["reason"]) == ((422, "refused"), "malformed")


@pytest.mark.parametrize("channel", ["nowhere", "Hotpot-Pay", "'", "../x"])
def test_channels_that_are_not_there(world, integrator, says, channel):
    assert says(send(integrator, copied(world, channel=channel))) == (404, "not_found")


def test_a_channel_that_is_not_for_copies_is_refused(world, integrator, says):
    answer = send(integrator, copied(world, channel="hotpot-second"))
    assert (says(answer), answer.json["reason"]) == ((422, "refused"), "not_a_copy_channel")


def test_R072_an_integrator_with_a_scope_stays_in_it(world, says):
    own = world.client("integrator", merchant="hotpot")
    assert says(send(own, copied(world, channel="sweets-pay"))) == (404, "not_found")
    assert send(own, copied(world)).status_code == 200
    hill = world.client("integrator", circle="hillside")
    assert says(send(hill, copied(world, "T2"))) == (404, "not_found")


def test_a_paused_channel_records_nothing(world, integrator):
    from tests.support.world import CATALOG

    world.apply(CATALOG.replace("[channel.hotpot-pay]\n", "[channel.hotpot-pay]\npaused = true\n"))
    world.runtime.holder._next_look = 0.0
    assert send(integrator, copied(world)).json == {"outcome": "ignored"}
    assert world.all("SELECT id FROM deliveries") == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"body_base64": "not base64!"}, "body_base64"),
        ({"body_base64": "YQ"}, "body_base64"),
        ({"body_base64": "é"}, "body_base64"),
        ({"body_base64": None}, "body_base64"),
        ({"headers": {}}, "headers"),
        ({"headers": [["a"]]}, "headers.0"),
        ({"headers": [["a", "b", "c"]]}, "headers.0"),
        ({"headers": [["a", 5]]}, "headers.0.1"),
        ({"headers": [["a", "b"]] * 101}, "headers"),
        ({"channel": ""}, "channel"),
        ({"extra": 1}, "extra"),
    ],
)
def test_envelopes_that_do_not_hold(world, integrator, says, changes, field):
    answer = send(integrator, copied(world, **changes))
    assert says(answer) == (422, "invalid")
    assert set(answer.json["fields"]) == {field}


def test_a_copy_at_the_limit_is_taken_and_beyond_it_is_not(world, integrator, says):
    def of(size):
        return copied(world, body_base64=base64.b64encode(bytes(size)).decode())

    assert says(send(integrator, of(64 * 1024))) == (422, "refused")
    assert says(send(integrator, of(64 * 1024 + 1))) == (413, "too_large")
    assert says(send(integrator, of(100 * 1024)))[0] in {413, 422}
    assert says(send(integrator, of(200 * 1024))) == (413, "too_large")
