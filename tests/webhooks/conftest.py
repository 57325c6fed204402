"""Receivers over a small installation: the riverside circle and the sweets are told."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gateway.webhooks.sending import Courier, Sent
from tests.support.world import CATALOG, World

KEY = bytes(range(32))
OLD_KEY = bytes(range(1, 33))


def whsec(key=KEY):
    return "whsec_" + base64.b64encode(key).decode()


HOOKS = f"""
[webhook.erp]
circle = "riverside"
url = "https://erp.example.com/drainage?shop=1"
secret = "{whsec()}"
[webhook.sweets-till]
merchant = "sweets"
url = "https://till.example.com/"
secret = "{whsec(OLD_KEY)}"
events = ["coupon.redeemed", "coupon.reversed"]
"""


class Receiver:
    """Takes messages in a list; fails where a test says so."""

    def __init__(self):
        self.got = []
        self.answer = lambda _message: Sent(200)
        self._lock = threading.Lock()

    def __call__(self, url, headers, body):
        message = {"url": url, "headers": dict(headers), "raw": body, **json.loads(body)}
        with self._lock:
            self.got.append(message)
        return self.answer(message)

    def at(self, host):
        return [message for message in self.got if host in message["url"]]


@pytest.fixture
def told(tmp_path, store_url):
    made = World(tmp_path, catalog=CATALOG + HOOKS, store_url=store_url)
    made.runtime.directory()
    yield made
    made.close()


@pytest.fixture
def receiver():
    return Receiver()


@pytest.fixture
def courier(told, receiver):
    return courier_of(told, receiver)


def courier_of(world, post, runtime=None):
    runtime = runtime or world.runtime
    return Courier(runtime.store, runtime.ids, world.clock, lambda: runtime.directory().catalog.webhooks, post)


class Server:
    """A real receiver on a port of this machine that answers as it is told."""

    def __init__(self, status=200, headers=(), pause=None):
        self.requests = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.requests.append((self.path, dict(self.headers), body))
                if pause is not None:
                    pause.wait(20)
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
