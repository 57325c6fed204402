"""Carrying calls over a real socket: one request, no redirect, a bounded answer, and no secret in a trouble's text."""

import http.server
import threading
import traceback

import pytest

from gateway.calls import LONGEST, HttpCarrier
from gateway.contract.wallet import Call, CallUnknown

SECRET = "s3cretOfTheApp"


class _Platform(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.command, self.path, dict(self.headers), b""))
        self._answer()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        self._answer()

    def _answer(self):
        if self.path.startswith("/hang-up"):
            self.close_connection = True
            return
        moved = self.path.startswith("/moved")
        body = b"x" * (LONGEST + 1) if self.path.startswith("/huge") else b'{"a":1}'
        self.send_response(302 if moved else 200)
        if moved:
            self.send_header("Location", "/elsewhere")
        self.send_header("Wechatpay-Serial", "PUB_KEY_ID_01")
        self.send_header("Content-Length", str(len(body) + (5 if self.path.startswith("/cut") else 0)))
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass  # it had read enough

    def log_message(self, *_):
        pass


@pytest.fixture
def platform():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Platform)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def at(platform, path):
    return f"http://127.0.0.1:{platform.server_address[1]}{path}"


def test_R053_a_call_is_sent_as_it_stands(platform):
    call = Call(
        "POST", at(platform, "/v3/x?b=2&a=%2F"), (("Authorization", "A b"), ("Accept", "text/x")), b'{"z":"\xe9"}'
    )
    reply = HttpCarrier()(call)
    assert (reply.status, reply.body, reply.header("wechatpay-serial")) == (200, b'{"a":1}', "PUB_KEY_ID_01")
    ((method, path, headers, body),) = platform.seen
    assert (method, path, body) == ("POST", "/v3/x?b=2&a=%2F", call.body)
    assert (headers["Authorization"], headers["Accept"]) == ("A b", "text/x")


def test_R053_a_redirect_is_an_answer_and_not_followed(platform):
    """A merchant's secret goes nowhere but where he said."""
    assert HttpCarrier()(Call("GET", at(platform, f"/moved?secret={SECRET}"))).status == 302
    assert len(platform.seen) == 1


@pytest.mark.parametrize(
    ("path", "code"), [("/hang-up", "not_reached"), ("/cut", "not_reached"), ("/huge", "too_long")]
)
def test_R053_no_whole_answer_is_unknown(platform, path, code):
    with pytest.raises(CallUnknown) as caught:
        HttpCarrier()(Call("GET", at(platform, f"{path}?secret={SECRET}")))
    assert caught.value.code == code
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_R016_a_platform_out_of_reach_is_told_without_its_address(platform):
    """The address of a sign-in holds the app's secret, and a library's error repeats it."""
    port = platform.server_address[1]
    platform.shutdown()
    platform.server_close()
    with pytest.raises(CallUnknown) as caught:
        HttpCarrier()(Call("GET", f"http://127.0.0.1:{port}/sns/oauth2/access_token?secret={SECRET}"))
    assert caught.value.code == "not_reached"
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + str(caught.value) + repr(caught.value)
