"""The other ways in: answering by ourselves, copies, paused channels, transparent hosts; and what is refused."""

from __future__ import annotations

import base64

import pytest

from tests.e2e.house import call, eventually
from tests.e2e.platforms import Sent, fresh_openid
from tests.e2e.till import Mode
from tests.e2e.town import HOST, Town

V2_SUCCESS = b"SUCCESS"
ACKS = pytest.mark.parametrize("line", ["v2-ack", "alipay-ack"])


def _is_success(line: str, body: bytes) -> bool:
    return body == b"success" if line.startswith("alipay") else b"<return_code><![CDATA[SUCCESS]]>" in body


# -- answer = "ack" ---------------------------------------------------------------------------------------------------


@ACKS
def test_r241_ack_answers_at_once_and_the_till_gets_it_untouched(here: Town, line: str) -> None:
    here.ack_till.mode = _accepting(line)
    sent = here.platforms[line].payment(fresh_openid())
    answer = here.house.notify(line, sent, "/a%2Fb?x=1")
    assert answer.status == 200
    assert _is_success(line, answer.body)
    (heard,) = here.ack_till.wait_for(sent.body)
    assert heard.target == f"/pay/{line}/a%2Fb?x=1"
    assert heard.method == "POST"
    for name, value in sent.headers:
        assert heard.all(name) == [value]
    paid = eventually(
        lambda: (got := here.house.payment(sent.transaction))["relay"]["state"] == "answered" and got, "relayed"
    )
    assert paid["relay"]["attempts"] == 1


@ACKS
def test_r009_r241_ack_does_not_relay_again_what_the_till_accepted(here: Town, line: str) -> None:
    here.ack_till.mode = _accepting(line)
    sent = here.platforms[line].payment(fresh_openid())
    here.house.notify(line, sent)
    here.ack_till.wait_for(sent.body)
    eventually(lambda: here.house.payment(sent.transaction)["relay"]["state"] == "answered", "relayed")
    assert _is_success(line, here.house.notify(line, sent).body)
    # A later one of the same channel has come through, so the repeat would have by now.
    marker = here.platforms[line].payment(fresh_openid())
    here.house.notify(line, marker)
    here.ack_till.wait_for(marker.body)
    assert len(here.ack_till.find(sent.body)) == 1
    assert here.house.payment(sent.transaction)["deliveries"] == 2


@ACKS
def test_r013_r241_ack_with_a_dead_till_delivers_when_it_is_back(here: Town, line: str) -> None:
    here.ack_till.die()
    sent = here.platforms[line].payment(fresh_openid())
    try:
        assert _is_success(line, here.house.notify(line, sent).body)
        eventually(lambda: here.house.payment(sent.transaction)["relay"]["attempts"] >= 1, "a failed try")
        assert here.house.payment(sent.transaction)["relay"]["state"] == "failed"
    finally:
        here.ack_till.come_back()
        here.ack_till.mode = _accepting(line)
    here.ack_till.wait_for(sent.body, seconds=30)
    eventually(lambda: here.house.payment(sent.transaction)["relay"]["state"] == "answered", "noted")


def test_r241_ack_tries_again_while_the_till_says_fail(here: Town) -> None:
    here.ack_till.mode = Mode(body=b"fail")
    sent = here.platforms["alipay-ack"].payment(fresh_openid())
    here.house.notify("alipay-ack", sent)
    here.ack_till.wait_for(sent.body, count=2, seconds=30)
    here.ack_till.mode = _accepting("alipay-ack")
    count = len(here.ack_till.find(sent.body))
    here.ack_till.wait_for(sent.body, count=count + 1, seconds=30)


def test_r013_r241_a_till_that_hangs_does_not_hold_up_anothers_deliveries(here: Town) -> None:
    here.ack_till.mode = _accepting("alipay-ack")
    here.ack_till.answers["/pay/v2-ack"] = Mode("hang")
    stuck = [here.platforms["v2-ack"].payment(fresh_openid()) for _ in range(20)]
    for sent in stuck:
        assert _is_success("v2-ack", here.house.notify("v2-ack", sent).body)
    free = here.platforms["alipay-ack"].payment(fresh_openid())
    here.house.notify("alipay-ack", free)
    here.ack_till.wait_for(free.body, seconds=25)
    here.ack_till.answers["/pay/v2-ack"] = _accepting("v2-ack")
    for sent in stuck:
        here.ack_till.wait_for(sent.body, seconds=60)
    eventually(lambda: here.house.summary()["outbox_depth"] == 0, "all is delivered", 60)


@ACKS
def test_r003_ack_refuses_what_is_not_genuine_and_relays_it_once(here: Town, line: str) -> None:
    here.ack_till.mode = _accepting(line)
    sent = here.platforms[line].wrong(fresh_openid())["another amount"]
    refused = here.house.summary()["refused"]
    answer = here.house.notify(line, sent)
    assert not _is_success(line, answer.body)
    assert answer.body == b"fail" if line.startswith("alipay") else b"FAIL" in answer.body
    here.ack_till.wait_for(sent.body)
    assert here.house.summary()["refused"] == refused + 1
    marker = here.platforms[line].payment(fresh_openid())
    here.house.notify(line, marker)
    here.ack_till.wait_for(marker.body)
    assert len(here.ack_till.find(sent.body)) == 1


# -- copies -----------------------------------------------------------------------------------------------------------


def _copy(here: Town, channel: str, sent: Sent) -> tuple[int, dict]:
    body = {
        "channel": channel,
        "headers": [list(pair) for pair in sent.headers],
        "body_base64": base64.b64encode(sent.body).decode(),
    }
    answer = here.house.api("POST", "/notifications", body, token=here.house.token("integrator"))
    return answer.status, answer.json


@pytest.mark.parametrize("line", ["copied", "copied-alipay"])
def test_r011_a_copy_is_taken_in_once(here: Town, line: str) -> None:
    openid = fresh_openid()
    first, second = (here.platforms[line].payment(openid) for _ in range(2))
    assert _copy(here, line, first) == (200, {"outcome": "processed"})
    assert _copy(here, line, first) == (200, {"outcome": "seen"})
    assert _copy(here, line, second) == (200, {"outcome": "processed"})
    paid = here.house.payment(second.transaction)
    assert len(paid["links"]) == 1
    assert paid["relay"]["state"] == "none"
    assert _copy(here, line, here.platforms[line].unpaid(openid)) == (200, {"outcome": "ignored"})


@pytest.mark.parametrize("line", ["copied", "copied-alipay"])
def test_r011_r003_a_copy_that_is_not_genuine_is_refused(here: Town, line: str) -> None:
    for name, sent in here.platforms[line].wrong(fresh_openid()).items():
        status, answer = _copy(here, line, sent)
        assert (status, answer["code"]) == (422, "refused"), name
        assert "request_id" in answer


def test_r072_copies_are_the_integrators_alone(here: Town) -> None:
    body = {"channel": "copied", "headers": [], "body_base64": ""}
    assert here.house.api("POST", "/notifications", body, token=here.clerk("hotpot")).status == 403
    assert here.house.api("POST", "/notifications", body, token="nonsense").status == 401
    assert here.house.api("GET", "/summary", token=here.house.token("integrator")).status == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"channel": "copied"},
        {"channel": "copied", "headers": "x", "body_base64": ""},
        {"channel": "copied", "headers": [["a"]], "body_base64": ""},
        {"channel": "copied", "headers": [[1, 2]], "body_base64": ""},
        {"channel": "copied", "headers": [], "body_base64": "%%%"},
        {"channel": 7, "headers": [], "body_base64": ""},
        {"channel": "no-such", "headers": [], "body_base64": ""},
        [],
        "text",
    ],
)
def test_r011_a_misshapen_copy_is_refused_clearly(here: Town, body: object) -> None:
    answer = here.house.api("POST", "/notifications", body, token=here.house.token("integrator"))
    assert answer.status in {400, 404, 422}, answer.body
    assert {"code", "message", "request_id"} <= set(answer.json)


def test_r011_a_channel_without_a_till_gives_the_platforms_own_answers(here: Town) -> None:
    v3, alipay = here.platforms["copied"], here.platforms["copied-alipay"]
    assert here.house.notify("copied", v3.payment(fresh_openid())).status in {200, 204}
    refused = here.house.notify("copied", v3.wrong(fresh_openid())["a stranger's key"])
    assert (refused.status, refused.json["code"]) == (401, "FAIL")
    assert here.house.notify("copied-alipay", alipay.payment(fresh_openid())).body == b"success"
    assert here.house.notify("copied-alipay", alipay.wrong(fresh_openid())["no sign"]).body == b"fail"
    assert here.house.notify("copied", v3.payment(fresh_openid()), method="PUT").status == 405


# -- paused -----------------------------------------------------------------------------------------------------------


def test_r013_a_paused_channel_is_relayed_and_nothing_is_recorded(here: Town) -> None:
    before = here.house.summary()
    sent = here.platforms["paused"].payment(fresh_openid())
    assert here.house.notify("paused", sent).body == b"till-says-ok"
    assert len(here.till.find(sent.body)) == 1
    assert here.house.api("GET", f"/payments/{sent.transaction}").status == 404
    v2 = here.platforms["paused-copied"].payment(fresh_openid())
    assert V2_SUCCESS in here.house.notify("paused-copied", v2).body
    assert here.house.api("GET", f"/payments/{v2.transaction}").status == 404
    after = here.house.summary()
    for unmoved in ("payments", "tagged", "links_issued", "refused"):
        assert after[unmoved] == before[unmoved]


# -- a till's own host ------------------------------------------------------------------------------------------------


def test_r011_a_transparent_host_takes_in_its_notify_path_and_forwards_all_else(here: Town) -> None:
    sent = here.platforms["hosted"].payment(fresh_openid())
    host = (("Host", f"{HOST.upper()}:80"),)
    answer = call(here.house.port, "POST", "/wx/notify?a=1", (*host, *sent.headers), sent.body)
    assert answer.body == b"till-says-ok"
    assert [heard.target for heard in here.till.find(sent.body)] == ["/wx/notify?a=1"]
    assert here.house.payment(sent.transaction)["channel"] == "hosted"

    other = here.platforms["hosted"].payment(fresh_openid())
    answer = call(here.house.port, "POST", "/elsewhere/x%2Fy", (*host, *other.headers), other.body)
    assert answer.body == b"till-says-ok"
    assert [heard.target for heard in here.till.find(other.body)] == ["/elsewhere/x%2Fy"]
    assert here.house.api("GET", f"/payments/{other.transaction}").status == 404


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/summary", "/login", "/notify/v3", "/metrics", "/c/x"])
def test_r011_on_a_tills_host_nothing_of_ours_is_served(here: Town, path: str) -> None:
    here.till.answers[path] = Mode(status=217, body=b"the till's own page")
    answer = call(here.house.port, "GET", path, (("Host", HOST),))
    assert (answer.status, answer.body) == (217, b"the till's own page")


def test_r011_forwarded_traffic_has_no_cap_of_64_kib(here: Town) -> None:
    body = b"0123456789abcdef" * 20_000
    answer = call(here.house.port, "PUT", "/upload", (("Host", HOST),), body)
    assert answer.status == 200
    assert len(here.till.find(body)) == 1


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_another_method_is_relayed_and_never_taken_in(here: Town, method: str) -> None:
    sent = here.platforms["v3"].payment(fresh_openid())
    answer = here.house.notify("v3", sent, f"/m-{method}", method=method)
    assert answer.status == 200
    assert answer.body == (b"" if method == "HEAD" else b"till-says-ok")
    assert [heard.method for heard in here.till.find(sent.body)] == [method]
    assert here.house.api("GET", f"/payments/{sent.transaction}").status == 404


def test_a_body_over_64_kib_is_refused_with_413(here: Town) -> None:
    most = Sent((("Content-Type", "text/plain"),), b"x" * 65536)
    assert here.house.notify("v2", most).status == 200
    assert here.house.notify("v2", most.with_body(b"x" * 65537)).status == 413
    assert len(here.till.find(b"x" * 65537)) == 0


@pytest.mark.parametrize("slug", ["no-such", "V3", "v3%2F", "v3.", "..", "", "%00", "v3%20"])
def test_an_unknown_channel_is_404_and_relayed_nowhere(here: Town, slug: str) -> None:
    sent = here.platforms["v3"].payment(fresh_openid())
    assert here.house.notify(slug, sent).status == 404
    assert here.till.find(sent.body) == []


def test_notify_sets_no_cookie_of_ours(here: Town) -> None:
    here.till.answers["/pay/v3/plain"] = Mode(headers=())
    answer = here.house.notify("v3", here.platforms["v3"].payment(fresh_openid()), "/plain")
    assert answer.all("Set-Cookie") == []
    assert here.house.notify("no-such", here.platforms["v3"].payment(fresh_openid())).all("Set-Cookie") == []


def test_r003_unverified_traffic_beyond_its_bucket_is_relayed_and_kept_nowhere(here: Town) -> None:
    sent = here.platforms["crowd"].wrong(fresh_openid())["another key"]
    before = here.house.summary()["refused"]
    for n in range(200):
        assert here.house.notify("crowd", sent, f"/{n}").status == 200
    assert len(here.till.find(sent.body)) == 200
    kept = here.house.summary()["refused"] - before
    assert 120 <= kept < 200
    # Genuine traffic of that address is never held back.
    assert here.house.pay("crowd", here.platforms["crowd"], fresh_openid())["tag"]["after"] == "tagged"


def _accepting(line: str) -> Mode:
    """What this platform's till says when it took the event."""
    if line.startswith("alipay"):
        return Mode(body=b"success")
    return Mode(body=b"<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>")
