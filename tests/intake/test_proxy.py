"""Transparent mode (R011, R012): everything on a channel's host streams through, and none of it harms the relay."""

import contextlib
import hashlib
import http.client
import io
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from raw_server import OK, reply

from gateway.intake.proxy import Proxy, ProxyLimits
from gateway.relay import Guard, RelayFailed, Upstream
from gateway.relay.names import Names

LOOPBACK = ["127.0.0.0/8"]
HEAD = b"HTTP/1.1 200 OK\r\n"


def call(proxy, server, method="GET", target="/", body=b"", **environ):
    """(status, headers, body iterable) of one request through the proxy."""
    started = []
    environ = {
        "REQUEST_METHOD": method,
        "RAW_URI": target,
        "REMOTE_ADDR": "203.0.113.9",
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        **({"CONTENT_LENGTH": str(len(body))} if body else {}),
        **environ,
    }
    url = server if isinstance(server, str) else server.url("/pay/wx?own=1")
    answer = proxy(environ, lambda status, headers: started.append((status, headers)), Upstream.of("c", url))
    return (*started[0], answer)


def text(answer):
    body = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    return body


@pytest.fixture
def proxy():
    return Proxy(Guard(LOOPBACK))


@pytest.mark.parametrize("target", ["/", "/shop/a%2Fb?x=%20&x", "//a/../b", "/?", "/pay/other", "/%E5%A5%B6"])
def test_R012_the_whole_path_goes_to_the_origin_as_it_came(pos, proxy, target):
    server = pos()
    status, headers, answer = call(proxy, server, target=target, HTTP_HOST="shop.example", HTTP_COOKIE="a=1")
    assert (status, text(answer)) == ("200 OK", b"ok")
    assert ("Content-Length", "2") in headers
    request = server.requests.popleft()
    assert (request.method, request.target) == ("GET", target)
    assert request.all("cookie") == ["a=1"]
    assert request.all("host") == [f"127.0.0.1:{server.port}"]
    assert request.all("x-forwarded-host") == ["shop.example"]
    assert request.all("x-forwarded-for") == ["203.0.113.9"]


def test_asking_about_the_server_itself_is_passed_on(pos, proxy):
    server = pos()
    text(call(proxy, server, "OPTIONS", "*")[2])
    assert server.requests.popleft().target == "*"


@pytest.mark.parametrize("size", [1, 65_536, 65_537, 1 << 20])
def test_a_body_of_known_length_arrives_whole(pos, proxy, size):
    server = pos()
    body = os.urandom(size)
    text(call(proxy, server, "PUT", "/upload", body)[2])
    request = server.requests.popleft()
    assert request.body == body
    assert request.all("content-length") == [str(size)]


def test_a_chunked_body_stays_chunked_and_arrives_whole(pos, proxy):
    server = pos()
    body = os.urandom(100_000)
    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    text(call(proxy, server, "POST", "/upload", body, **environ)[2])
    request = server.requests.popleft()
    assert request.all("transfer-encoding") == ["chunked"]
    assert request.all("content-length") == []
    assert request.body == b"10000\r\n%b\r\n86a0\r\n%b\r\n0\r\n\r\n" % (body[:65536], body[65536:])


def test_the_answer_is_handed_on_while_it_is_still_being_made(pos, proxy):
    """The POS sends its second half only once the first has been received here: nothing is held back."""

    def half_by_half(conn, server):
        conn.sendall(HEAD + b"Transfer-Encoding: chunked\r\nX-Kept: 1\r\n\r\n5\r\nfirst\r\n")
        server.release.wait()
        conn.sendall(b"6\r\nsecond\r\n0\r\n\r\n")

    server = pos(half_by_half)
    _, headers, answer = call(proxy, server)
    pieces = iter(answer)
    assert next(pieces) == b"first"
    server.release.set()
    assert list(pieces) == [b"second"]
    assert headers == [("X-Kept", "1")]
    answer.close()


def test_redirects_errors_and_cookies_come_back_as_they_are(pos, proxy):
    raw = b"HTTP/1.1 302 Found\r\nLocation: /login\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nServer: x\r\nContent-Length: 0\r\n\r\n"
    status, headers, answer = call(proxy, pos(reply(raw)))
    assert (status, text(answer)) == ("302 Found", b"")
    assert headers == [("Location", "/login"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Length", "0")]


def test_a_head_request_keeps_the_length_it_asked_about(pos, proxy):
    _, headers, answer = call(proxy, pos(reply(HEAD + b"Content-Length: 12345\r\n\r\n")), "HEAD")
    assert headers == [("Content-Length", "12345")]
    assert text(answer) == b""


def test_an_answer_before_the_end_of_the_upload_stops_it(pos, proxy):
    def refuse(conn, server):
        conn.recv(65536)
        conn.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        server.arrived.release()
        server.release.wait()

    server = pos(refuse, read=False)
    upload = Waiting(b"x" * (8 << 20), server.arrived)
    status, _, answer = call(proxy, server, "POST", "/", CONTENT_LENGTH=str(8 << 20), **{"wsgi.input": upload})
    assert status.startswith("413")
    assert text(answer) == b"no"
    assert upload.tell() < 8 << 20


class Waiting(io.BytesIO):
    """An upload whose second piece is read only once the upstream has answered."""

    def __init__(self, data, arrived):
        super().__init__(data)
        self._arrived = arrived

    def read(self, size=-1):
        if self.tell():
            # Twice: the raw server says once that it was reached, and once that it has answered.
            assert self._arrived.acquire(timeout=30)
            assert self._arrived.acquire(timeout=30)
            self._arrived.release(2)
        return super().read(size)


def test_an_interim_answer_does_not_stop_the_upload(pos, proxy):
    def continues(conn, server):
        conn.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        total = 0
        while total < 1 << 20:
            total += len(conn.recv(65536))
        conn.sendall(OK)

    server = pos(continues, read=False)
    assert text(call(proxy, server, "POST", "/", b"x" * (1 << 20), HTTP_EXPECT="100-continue")[2]) == b"ok"


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"CONTENT_LENGTH": "-1"}, "400"),
        ({"CONTENT_LENGTH": "+1"}, "400"),
        ({"CONTENT_LENGTH": "１"}, "400"),
        ({"CONTENT_LENGTH": "104857601"}, "413"),
        ({"CONTENT_LENGTH": "9" * 40}, "413"),
        ({"REQUEST_METHOD": "CONNECT", "RAW_URI": "pos:443"}, "400"),
        ({"REQUEST_METHOD": "CONNECT"}, "400"),
        ({"RAW_URI": "pos:443"}, "400"),
        ({"RAW_URI": "*"}, "400"),
        ({"RAW_URI": "/a b"}, "400"),
        ({"RAW_URI": "/a\r\nX: y"}, "400"),
        ({"HTTP_X": "a\r\nb"}, "400"),
    ],
)
def test_what_cannot_be_passed_on_is_refused_before_the_network(pos, proxy, environ, status):
    server = pos()
    got, _, answer = call(proxy, server, **environ)
    assert got.startswith(status)
    assert b'"code"' in text(answer)
    assert server.connections == 0


@pytest.mark.parametrize("framing", [{"CONTENT_LENGTH": ""}, {"CONTENT_LENGTH": "100"}])
def test_half_an_upload_is_never_made_a_whole_one(pos, framing):
    """Cut off by the client, or by our own limit: the POS must see that the end is missing."""
    ends, ended = [], threading.Event()

    def listen(conn, server):
        data = b""
        with contextlib.suppress(ConnectionError):
            while piece := conn.recv(65536):
                data += piece
        ends.append(data)
        ended.set()

    server = pos(listen, read=False)
    proxy = Proxy(Guard(LOOPBACK), limits=ProxyLimits(bytes=1000))
    chunked = not framing["CONTENT_LENGTH"]
    body = b"x" * (2000 if chunked else 99)
    environ = {"HTTP_TRANSFER_ENCODING": "chunked"} if chunked else {}
    status, _, _ = call(proxy, server, "POST", "/", body, **environ, **framing)
    assert status.startswith("413" if chunked else "400")
    assert ended.wait(30)
    assert not ends[0].endswith(b"0\r\n\r\n")
    assert ends[0].count(b"x") < 100


@pytest.mark.parametrize(
    ("behave", "status"),
    [
        (lambda conn, server: None, "502"),
        (reply(b"garbage\r\n\r\n"), "502"),
        (reply(HEAD + b"Content-Length: 104857601\r\n\r\n"), "502"),
        (lambda conn, server: server.release.wait(), "504"),
    ],
)
def test_a_pos_that_fails_before_its_answer_is_told_as_the_relay_tells_it(pos, behave, status):
    proxy = Proxy(Guard(LOOPBACK), limits=ProxyLimits(idle_s=0.1))
    got, _, answer = call(proxy, pos(behave), "POST", "/", b"upload")
    assert got.startswith(status)
    assert b"merchant" in text(answer)


@pytest.mark.parametrize(
    "raw", [HEAD + b"Content-Length: 10\r\n\r\nhalf", HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhal"]
)
def test_an_answer_cut_off_midway_is_cut_off_for_the_client_too(pos, proxy, raw):
    _, _, answer = call(proxy, pos(reply(raw)))
    with pytest.raises(RelayFailed, match="broken"):
        list(answer)
    answer.close()


def test_an_answer_beyond_the_limit_is_cut_off(pos):
    proxy = Proxy(Guard(LOOPBACK), limits=ProxyLimits(bytes=1000))
    _, _, answer = call(proxy, pos(reply(HEAD + b"\r\n" + b"x" * 1001)))
    with pytest.raises(RelayFailed, match="too large"):
        list(answer)
    answer.close()


def test_a_trickle_ends_with_the_whole_exchanges_time(pos):
    def trickle(conn, server):
        conn.sendall(HEAD + b"\r\n")
        while not server.release.wait(0.02):
            conn.sendall(b"x")

    proxy = Proxy(Guard(LOOPBACK), limits=ProxyLimits(idle_s=10, whole_s=0.3))
    _, _, answer = call(proxy, pos(trickle))
    with pytest.raises(RelayFailed, match="timeout"):
        list(answer)
    answer.close()


def test_R012_the_guard_holds_here_too(proxy):
    guarded = Proxy(Guard(LOOPBACK, Names(lambda _: ["169.254.169.254"])))
    status, _, answer = call(guarded, "http://metadata.example/")
    assert status.startswith("502")
    assert b"169.254" not in text(answer)


def test_R013_slow_downloads_take_their_own_slots_and_give_them_back(pos):
    proxy = Proxy(Guard(LOOPBACK), limits=ProxyLimits(slots=2))
    server = pos()
    first, second = (call(proxy, server)[2] for _ in range(2))
    assert call(proxy, server)[0].startswith("503")
    # Closed before a single piece was asked for, as a server does whose client went away.
    first.close()
    assert text(call(proxy, server)[2]) == b"ok"
    assert text(second) == b"ok"


@pytest.fixture
def gunicorn(pos):
    """Starts the proxy behind a real gunicorn, in front of a raw POS; gives (port, pos)."""
    processes = []

    def start(behave=reply(OK)):
        server = pos(behave)
        process = subprocess.Popen(
            [
                sys.executable,
                *("-m", "gunicorn", "proxy_app:app", "--chdir", Path(__file__).parent, "--bind", "127.0.0.1:0"),
                *("--worker-class", "gthread", "--threads", "4", "--graceful-timeout", "1", "--no-control-socket"),
            ],
            env={**os.environ, "POS_URL": server.url(), "PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        for line in process.stderr:
            found = re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", line)
            if found:
                return int(found.group(1)), server
        raise AssertionError("gunicorn did not start")

    yield start
    for process in processes:
        process.terminate()
        process.communicate()


def test_R012_behind_a_real_server_targets_and_streams_arrive_exactly(gunicorn):
    answer = os.urandom(2 << 20)
    port, server = gunicorn(
        reply(HEAD + b"Content-Length: %d\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n" % len(answer) + answer)
    )
    client = http.client.HTTPConnection("127.0.0.1", port)
    body = os.urandom(2 << 20)
    client.putrequest("POST", "/a%2Fb/../c?x=%41&y", skip_accept_encoding=True)
    client.putheader("Content-Length", str(len(body)))
    client.putheader("X-Sent", "1, 2")
    client.endheaders(body)
    response = client.getresponse()
    assert hashlib.sha256(response.read()).digest() == hashlib.sha256(answer).digest()
    assert response.headers.get_all("Set-Cookie") == ["a", "b"]
    request = server.requests.popleft()
    assert (request.target, request.all("x-sent")) == ("/a%2Fb/../c?x=%41&y", ["1, 2"])
    assert request.body == body
    client.close()


def test_behind_a_real_server_refused_uploads_leave_the_connection_usable(gunicorn):
    port, _ = gunicorn(lambda conn, server: None)
    client = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(20):
        client.request("POST", "/", b"x" * 5000)
        response = client.getresponse()
        assert (response.status, b"merchant" in response.read()) == (502, True)
    client.close()


def test_behind_a_real_server_a_cut_off_answer_is_seen_to_be_cut_off(gunicorn):
    port, _ = gunicorn(reply(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"))
    client = http.client.HTTPConnection("127.0.0.1", port)
    client.request("GET", "/")
    with pytest.raises(http.client.IncompleteRead):
        client.getresponse().read()
    client.close()
