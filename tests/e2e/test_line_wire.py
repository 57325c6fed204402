"""HTTP as it lies on the wire: chunks, odd heads, smuggling; and what operations may ask."""

from __future__ import annotations

import re
import socket

import pytest

from tests.e2e.house import call
from tests.e2e.platforms import Sent, fresh_openid
from tests.e2e.town import Town


def _raw(here: Town, data: bytes, seconds: float = 10) -> bytes:
    """Everything that comes back for these bytes until the other side closes."""
    with socket.create_connection(("127.0.0.1", here.house.port), timeout=seconds) as line:
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        got = b""
        while piece := line.recv(65536):
            got += piece
    return got


def _head(sent: Sent, target: str, *more: str) -> bytes:
    rows = [f"POST {target} HTTP/1.1", "Host: gateway", "Connection: close", *more]
    rows += [f"{name}: {value}" for name, value in sent.headers]
    return ("\r\n".join(rows) + "\r\n\r\n").encode()


@pytest.mark.parametrize("line", ["v3", "v2", "alipay-gbk"])
def test_r012_a_chunked_body_reaches_us_and_the_till_whole(here: Town, line: str) -> None:
    sent = here.platforms[line].payment(fresh_openid())
    pieces = [sent.body[:1], sent.body[1:100], sent.body[100:]]
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    answer = _raw(here, _head(sent, f"/notify/{line}/chunked", "Transfer-Encoding: chunked") + body)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert len(here.till.find(sent.body)) == 1
    assert here.house.payment(sent.transaction)["tag"]["after"] == "tagged"


def test_a_chunked_body_without_end_is_cut_off_at_64_kib(here: Town) -> None:
    endless = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    answer = _raw(here, _head(Sent((), b""), "/notify/v2/endless", "Transfer-Encoding: chunked") + endless * 4)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert [heard for heard in here.till.heard if heard.target.endswith("/endless")] == []


def test_r012_an_empty_body_is_relayed(here: Town) -> None:
    answer = _raw(here, _head(Sent((), b""), "/notify/v2/empty", "Content-Length: 0"))
    assert answer.startswith(b"HTTP/1.1 200 ")
    (heard,) = [heard for heard in here.till.heard if heard.target.endswith("/empty")]
    assert heard.body == b""


@pytest.mark.parametrize(
    "rows",
    [
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: +5"],
        ["Content-Length: five"],
        ["Transfer-Encoding: chunked, identity"],
        ["X-Bad Name: 1", "Content-Length: 5"],
        ["X-Fold: a\r\n b", "Content-Length: 5"],
        [f"X-Long: {'a' * 9000}", "Content-Length: 5"],
        [*(f"X-Many-{n}: 1" for n in range(120)), "Content-Length: 5"],
    ],
    ids=["CL+TE", "two CL", "+5", "words", "TE twice", "a blank in a name", "folded", "9 kB", "120 headers"],
)
def test_a_request_that_two_servers_may_read_differently_is_refused(here: Town, rows: list[str]) -> None:
    count = len(here.till.heard)
    head = "\r\n".join(["POST /notify/v2/smuggled HTTP/1.1", "Host: gateway", "Connection: close", *rows])
    answer = _raw(here, head.encode() + b"\r\n\r\n" + b"5\r\nhello\r\n0\r\n\r\n")
    assert re.match(rb"HTTP/1\.1 4\d\d ", answer), answer[:80]
    assert len(here.till.heard) == count


def test_a_request_that_breaks_off_is_not_taken_in(here: Town) -> None:
    sent = here.platforms["v2"].payment(fresh_openid())
    _raw(here, _head(sent, "/notify/v2", f"Content-Length: {len(sent.body)}") + sent.body[:-10])
    assert here.house.api("GET", f"/payments/{sent.transaction}").status == 404
    assert here.till.find(sent.body) == []


def test_two_requests_on_one_connection_are_two_answers(here: Town) -> None:
    both = [here.platforms["v2"].payment(fresh_openid()) for _ in range(2)]
    data = b""
    for sent in both:
        head = _head(sent, "/notify/v2/kept", f"Content-Length: {len(sent.body)}")
        data += head.replace(b"Connection: close\r\n", b"", 1 if sent is both[0] else 0) + sent.body
    assert _raw(here, data).count(b"HTTP/1.1 200 ") == 2
    for sent in both:
        assert here.house.payment(sent.transaction)["tag"]["after"] == "tagged"


def test_r070_operations_are_answered(here: Town) -> None:
    assert call(here.house.port, "GET", "/healthz").status == 200
    state = call(here.house.port, "GET", "/readyz")
    assert state.status == 200
    assert {"status", "store", "worker", "spool"} <= set(state.json)
    here.house.pay("v2", here.platforms["v2"], fresh_openid())
    page = call(here.house.port, "GET", "/metrics")
    names = {re.split(r"[{ ]", row)[0] for row in page.text.splitlines() if row and not row.startswith("#")}
    for name in (
        "drainage_notifications_total",
        "drainage_links_total",
        "drainage_outbox_depth",
        "drainage_parked",
        "drainage_spool_bytes",
        "drainage_breaker_open",
    ):
        assert name in names
    assert any(name.startswith("drainage_relay_seconds") for name in names)
    # Somebody far away, told by a proxy that is believed, is told nothing.
    far = (("X-Forwarded-For", "203.0.113.7"),)
    assert call(here.house.port, "GET", "/metrics", far).status == 404
    token = ("Authorization", f"Bearer {here.house.token('operator')}")
    assert call(here.house.port, "GET", "/metrics", (*far, token)).status == 200


def test_the_api_describes_itself(here: Town) -> None:
    document = call(here.house.port, "GET", "/api/v1/openapi.json")
    assert document.status == 200
    assert "/api/v1/payments/{transaction_id}" in document.json["paths"]
    assert call(here.house.port, "GET", "/api/v1/docs").status == 200
    missing = here.house.api("GET", "/no-such")
    assert missing.status == 404
    assert {"code", "message", "request_id"} <= set(missing.json)
