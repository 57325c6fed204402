"""The sandbox till over real sockets: what it records is what was sent (R012), and each way of breaking breaks."""

import base64
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from datetime import datetime, timezone

import pytest

from adapters.sandbox.answers import GARBAGE, HUGE_BYTES, Answer, failure, mode_of, success
from adapters.sandbox.pos import HOST, SHOWN, SandboxPos, main

JSON_BODY = '{"id":"EV-1","summary":"支付成功"}'.encode()
XML_BODY = b"<xml><return_code>SUCCESS</return_code></xml>"
FORM_BODY = b"app_id=1&subject=%B4%F3+x"


@pytest.fixture
def pos():
    with SandboxPos(clock=lambda: datetime(2026, 3, 1, 4, 0, tzinfo=timezone.utc), pause_s=0.0) as till:
        yield till


def talk(till, wire: bytes) -> bytes:
    """Send bytes on a fresh connection, end our side, read until the other side ends."""
    with socket.create_connection((HOST, till.port), timeout=10) as line:
        line.sendall(wire)
        line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(65536), b""))


def post(body: bytes, target: bytes = b"/pay/wx", *more: bytes) -> bytes:
    head = [b"POST " + target + b" HTTP/1.1", b"Host: till", b"Content-Length: %d" % len(body), *more]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def fetch(till, method, path, body=None):
    line = http.client.HTTPConnection(HOST, till.port, timeout=10)
    try:
        line.request(method, path, body)
        answer = line.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        line.close()


def test_r012_records_every_byte_in_order(pos):
    body = bytes(range(256)) + b"\r\n\x00"
    wire = (
        b"POST /pay/wx/a%2Fb?x=%41&y HTTP/1.1\r\nHost: till\r\nwechatpay-NONCE:  a b \r\nX-Twice: 1\r\nx-twice: 2\r\n"
        b"X-Empty:\r\nX-Latin: \xe9\r\nContent-Length: 259\r\n\r\n" + body
    )
    talk(pos, wire)
    (request,) = pos.requests
    assert request.method == "POST"
    assert request.target == b"/pay/wx/a%2Fb?x=%41&y"
    assert request.header_lines == (
        b"Host: till",
        b"wechatpay-NONCE:  a b ",
        b"X-Twice: 1",
        b"x-twice: 2",
        b"X-Empty:",
        b"X-Latin: \xe9",
        b"Content-Length: 259",
    )
    assert request.headers[1] == ("wechatpay-NONCE", "a b")
    assert request.values("X-TWICE") == ("1", "2")
    assert request.values("x-empty") == ("",)
    assert (request.body, request.framing) == (body, "length")


def test_records_a_chunked_body_without_its_framing(pos):
    wire = (
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n4;x=y\r\na\r\nb\r\n1\r\n\x00\r\n0\r\nTrailer: t\r\n\r\n"
    )
    assert b"200 OK" in talk(pos, wire)
    (request,) = pos.requests
    assert (request.method, request.body, request.framing) == ("PUT", b"a\r\nb\x00", "chunked")


def test_a_get_without_a_body_is_recorded(pos):
    talk(pos, b"GET /x HTTP/1.1\r\n\r\n")
    assert (pos.requests[0].body, pos.requests[0].framing) == (b"", "none")


def test_one_connection_carries_several_requests(pos):
    answer = talk(pos, post(b"one") + post(b"two", b"/pay/wx", b"Connection: close") + post(b"never"))
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert [request.body for request in pos.requests] == [b"one", b"two"]


def test_http_1_0_gets_one_answer_and_the_end(pos):
    answer = talk(pos, b"POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\nx" * 2)
    assert answer.count(b"HTTP/1.1 200 OK") == 1
    assert b"Connection: close" in answer


def test_a_client_that_waits_for_continue_is_told_to_go_on(pos):
    with socket.create_connection((HOST, pos.port), timeout=10) as line:
        line.sendall(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert line.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(b"ok")
        assert line.recv(1000).startswith(b"HTTP/1.1 200 OK")
    assert pos.requests[0].body == b"ok"


@pytest.mark.parametrize(
    "wire",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\n\n",
        b"GET / HTTP/1.1\r\nNo colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: 1\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nName : v\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: 1\r\n" * 201 + b"\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"x" * 70_000 + b"\r\n\r\n",
        post(b"x", b"/", b"Content-Length: 1"),
        post(b"x", b"/", b"Transfer-Encoding: chunked"),
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\nx",
        b"POST / HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\nx",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nshor",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff0\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
    ],
)
def test_what_is_no_whole_request_is_refused_and_not_recorded(pos, wire):
    assert talk(pos, wire).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert pos.requests == ()
    assert talk(pos, post(b"still serving")).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (JSON_BODY, '{"code":"SUCCESS","message":"成功"}'.encode()),
        (
            XML_BODY,
            b"<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>",
        ),
        (FORM_BODY, b"success"),
        (b"", b"success"),
    ],
)
def test_ok_answers_in_the_words_of_the_platform(pos, body, expected):
    answer = talk(pos, post(body))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n" + expected)


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [(JSON_BODY, 500, b'"FAIL"'), (XML_BODY, 200, b"CDATA[FAIL]"), (FORM_BODY, 200, b"\r\n\r\nfail")],
)
def test_fail_refuses_in_the_words_of_the_platform(pos, body, status, word):
    pos.set_mode("fail")
    answer = talk(pos, post(body))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert word in answer
    assert b"SUCCESS" not in answer


@pytest.mark.parametrize(("code", "phrase"), [(201, b"Created"), (503, b"Service Unavailable"), (599, b"Unassigned")])
def test_status_answers_that_status(pos, code, phrase):
    pos.set_mode(f"status:{code}")
    answer = talk(pos, post(FORM_BODY))
    assert answer.startswith(b"HTTP/1.1 %d %s\r\n" % (code, phrase))
    assert answer.endswith(b"status %d" % code)


def test_status_without_a_body_has_none(pos):
    pos.set_mode("status:204")
    assert talk(pos, post(b"x") + post(b"y")).count(b"HTTP/1.1 204 No Content\r\n") == 2
    assert b"Content-Length" not in talk(pos, post(b"x"))


def test_head_gets_no_body(pos):
    assert talk(pos, b"HEAD / HTTP/1.1\r\n\r\n").endswith(b"Content-Length: 7\r\n\r\n")


def test_hang_takes_the_request_and_says_nothing(pos):
    pos.set_mode("hang")
    assert talk(pos, post(FORM_BODY)) == b""
    assert [request.body for request in pos.wait_for(1)] == [FORM_BODY]


def test_stop_ends_a_hanging_connection():
    till = SandboxPos(mode="hang")
    till.start()
    with socket.create_connection((HOST, till.port), timeout=10) as line:
        line.sendall(post(b"x"))
        till.wait_for(1)
        till.stop()
        assert line.recv(100) == b""


def test_reset_breaks_within_the_body(pos):
    pos.set_mode("reset")
    seen = b""
    with socket.create_connection((HOST, pos.port), timeout=10) as line:
        line.sendall(post(FORM_BODY))
        with pytest.raises(ConnectionResetError):
            while True:
                seen += line.recv(1)
                assert len(seen) < 1000
    assert seen.endswith(b"\r\n\r\nsuc")
    assert b"Content-Length: 7" in seen


def test_garbage_is_no_http(pos):
    pos.set_mode("garbage")
    assert talk(pos, post(FORM_BODY)) == GARBAGE
    line = http.client.HTTPConnection(HOST, pos.port, timeout=10)
    line.request("POST", "/", b"x")
    with pytest.raises(http.client.HTTPException):
        line.getresponse()
    line.close()


def test_trickle_sends_the_right_answer_in_single_bytes(pos):
    pos.set_mode("trickle")
    answer = talk(pos, post(FORM_BODY))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nsuccess")


def test_stop_ends_a_trickle_that_would_take_hours():
    till = SandboxPos(mode="trickle", pause_s=3600.0)
    till.start()
    with socket.create_connection((HOST, till.port), timeout=10) as line:
        line.sendall(post(b"x"))
        till.wait_for(1)
        till.stop()
        assert line.recv(1000) in (b"", b"H")


def test_huge_sends_more_than_a_till_may(pos):
    pos.set_mode("huge")
    head, _, body = talk(pos, post(FORM_BODY)).partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % HUGE_BYTES in head
    assert len(body) == HUGE_BYTES > 1024 * 1024


def test_a_fixed_answer_keeps_repeated_headers_apart_until_a_mode_is_set(pos):
    pos.set_answer(Answer(302, (("Location", "/x"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")), b"\x00body"))
    answer = talk(pos, post(b"x"))
    assert answer.startswith(b"HTTP/1.1 302 Found\r\nLocation: /x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n")
    assert answer.endswith(b"\r\n\r\n\x00body")
    pos.set_mode("ok")
    assert talk(pos, post(FORM_BODY)).endswith(b"success")


@pytest.mark.parametrize("name", ["", "OK", "status", "status:", "status:99", "status:600", "status:2x0", "nope"])
def test_an_unknown_mode_is_refused_and_changes_nothing(pos, name):
    with pytest.raises(ValueError, match="not a mode"):
        pos.set_mode(name)
    assert talk(pos, post(FORM_BODY)).endswith(b"success")


def test_a_mode_prints_as_it_is_set():
    assert [str(mode_of(name)) for name in ("ok", "status:503", "huge")] == ["ok", "status:503", "huge"]


def test_the_control_path_shows_the_newest_and_is_not_recorded(pos):
    for number in range(SHOWN + 3):
        talk(pos, post(b"%d" % number))
    status, shown = fetch(pos, "GET", "/_sandbox/requests")
    assert status == 200
    assert shown["mode"] == "ok"
    assert [one["n"] for one in shown["requests"]] == list(range(4, SHOWN + 4))
    one = shown["requests"][-1]
    assert one["at"] == "2026-03-01T04:00:00.000Z"
    assert (one["method"], one["target"], one["framing"]) == ("POST", "/pay/wx", "length")
    assert one["headers"] == [["Host", "till"], ["Content-Length", "2"]]
    assert base64.b64decode(one["body_base64"]) == b"52"
    assert one["body_sha256"] == hashlib.sha256(b"52").hexdigest()
    assert [one["n"] for one in fetch(pos, "GET", "/_sandbox/requests?after=52")[1]["requests"]] == [53]
    assert fetch(pos, "GET", "/_sandbox/requests?after=999")[1]["requests"] == []
    assert len(pos.requests) == SHOWN + 3


def test_the_control_path_sets_the_mode(pos):
    assert fetch(pos, "POST", "/_sandbox/mode", b'{"mode":"status:503"}') == (200, {"mode": "status:503"})
    assert talk(pos, post(FORM_BODY)).startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"mode":7}', b'{"mode":"nope"}', b"\xff", b'"ok"'])
def test_the_control_path_refuses_a_bad_mode(pos, body):
    status, answer = fetch(pos, "POST", "/_sandbox/mode", body)
    assert (status, answer["code"]) == (422, "invalid")
    assert talk(pos, post(FORM_BODY)).endswith(b"success")


@pytest.mark.parametrize("after", ["x", "-1", "%D9%A3", "1.5"])
def test_the_control_path_refuses_a_bad_number(pos, after):
    assert fetch(pos, "GET", f"/_sandbox/requests?after={after}")[0] == 422


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/_sandbox/requests"), ("GET", "/_sandbox/mode"), ("GET", "/_sandbox/")]
)
def test_the_control_path_has_no_other_rooms(pos, method, path):
    assert fetch(pos, method, path) == (404, {"code": "not_found"})
    assert pos.requests == ()


def test_only_the_newest_are_kept_but_all_are_counted():
    with SandboxPos(keep=2) as till:
        for number in range(3):
            talk(till, post(b"%d" % number))
        assert [one.number for one in till.since(0)] == [2, 3]
        assert [request.body for request in till.wait_for(3)] == [b"1", b"2"]


def test_waiting_for_what_never_comes_ends(pos):
    with pytest.raises(TimeoutError, match="0 of 1"):
        pos.wait_for(1, timeout_s=0.0)


def test_the_log_has_a_line_per_request_and_grows_over_restarts(tmp_path):
    log = tmp_path / "till.jsonl"
    for body in (b"\x00\xff", b"two"):
        with SandboxPos(log=log) as till:
            talk(till, post(body))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [base64.b64decode(line["body_base64"]) for line in lines] == [b"\x00\xff", b"two"]


def test_it_starts_again_after_a_stop_and_stops_twice():
    till = SandboxPos()
    with pytest.raises(RuntimeError):
        _ = till.port
    for count in (1, 2):
        till.start()
        talk(till, post(b"x"))
        assert len(till.wait_for(count)) == count
        till.stop()
        till.stop()


def test_two_tills_do_not_share_a_port(pos, tmp_path):
    second = SandboxPos(pos.port, log=tmp_path / "log")
    with pytest.raises(OSError):
        second.start()
    assert talk(pos, post(FORM_BODY)).endswith(b"success")


def test_it_listens_on_the_loopback_alone(pos):
    assert pos.url == f"http://127.0.0.1:{pos.port}"


def test_success_and_failure_are_told_apart_for_every_platform():
    for body in (JSON_BODY, XML_BODY, FORM_BODY):
        assert success(body) != failure(body)


def test_the_command_serves_logs_and_ends_on_sigterm(tmp_path):
    log = tmp_path / "till.jsonl"
    command = [sys.executable, "-m", "adapters.sandbox.pos", "--port", "0", "--mode", "status:201", "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=os.getcwd()) as process:
        try:
            told = process.stdout.readline()
            port = int(told.rsplit(":", 1)[1])
            with socket.create_connection((HOST, port), timeout=10) as line:
                line.sendall(post(b"hello"))
                assert line.recv(100).startswith(b"HTTP/1.1 201 ")
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    assert json.loads(log.read_text())["body_base64"] == base64.b64encode(b"hello").decode()


def test_the_command_tells_why_it_cannot_start(pos, capsys, tmp_path):
    assert main(["--port", str(pos.port)]) == 1
    assert main(["--port", "0", "--mode", "nope"]) == 1
    assert main(["--port", "0", "--log", str(tmp_path / "no" / "such")]) == 1
    assert capsys.readouterr().err.count("sandbox till: ") == 3


def test_the_command_wants_a_port(capsys):
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "--port" in capsys.readouterr().err
