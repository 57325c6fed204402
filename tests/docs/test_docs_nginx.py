"""The nginx block of docs/operating.md, run by nginx itself: what is promised of bytes and addresses holds behind it."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pages import blocks, text_of

from crypto.certs import self_signed
from crypto.rsa import load_private_key, new_private_key

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
(BLOCK,) = blocks(text_of("operating.md"), "nginx")
BODY = bytes(range(256))

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


class Behind(BaseHTTPRequestHandler):
    """Stands where the gateway stands, and remembers what came."""

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.server.seen.append((self.path, list(self.headers.items()), self.rfile.read(length)))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "2000")
        self.end_headers()
        self.wfile.write(b"x" * 2000)

    def log_message(self, *_):
        """Nothing on stderr."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def behind():
    with ThreadingHTTPServer(("127.0.0.1", 0), Behind) as server:
        server.seen = []
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy(behind, tmp_path):
    """nginx with the block as it stands, its certificate, port and the address behind put in; its port."""
    pem = new_private_key()
    now = datetime.now(timezone.utc)
    (tmp_path / "key.pem").write_text(pem)
    (tmp_path / "cert.pem").write_text(self_signed(load_private_key(pem), "pay.example.com", serial=1, now=now))
    port = free_port()
    block = BLOCK
    for told, real in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/pay.example.com.pem", str(tmp_path / "cert.pem")),
        ("/etc/ssl/pay.example.com.key", str(tmp_path / "key.pem")),
        ("http://127.0.0.1:8000", f"http://127.0.0.1:{behind.server_port}"),
    ):
        assert block.count(told) == 1
        block = block.replace(told, real)
    places = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{name}_temp_path {tmp_path}/{name};" for name in places)
    # `gzip on` as distributions ship it, so that the block has to turn it off.
    # Started by root it would hand its work to a user who may not look into this folder.
    user = "user root;" if os.geteuid() == 0 else ""
    (tmp_path / "nginx.conf").write_text(
        f"{user} daemon off; pid {tmp_path}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; gzip on; gzip_proxied any; {temporary}\n{block}\n}}\n"
    )
    process = subprocess.Popen(
        [NGINX, "-p", str(tmp_path), "-e", "stderr", "-c", str(tmp_path / "nginx.conf")], stderr=subprocess.PIPE
    )
    try:
        wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(10)
        process.stderr.close()


def wait_for(port, process):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        assert process.poll() is None, process.stderr.read().decode()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            continue
        return
    raise AssertionError("nginx did not come up")


def ask(port, method, path, headers, body=b""):
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=trusting, timeout=10)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_bytes_come_through_untouched_and_the_address_is_told(proxy, behind):
    """R012: the raw target and the body; an address that the sender made up is not believed."""
    sent = {
        "Host": "pay.example.com",
        "X-Forwarded-For": "203.0.113.9",
        "Accept-Encoding": "gzip",
        "Wechatpay-Nonce": "n",
    }
    status, headers, body = ask(proxy, "POST", "/notify/hotpot-wechat/a%2Fb//c?x=%20", sent, BODY)
    assert (status, body) == (200, b"x" * 2000)
    assert "Content-Encoding" not in headers
    ((path, seen, received),) = behind.seen
    assert path == "/notify/hotpot-wechat/a%2Fb//c?x=%20"
    assert received == BODY
    told = {name.lower(): value for name, value in seen}
    assert told["host"] == "pay.example.com"
    assert told["x-forwarded-for"] == "127.0.0.1"
    assert told["x-forwarded-proto"] == "https"
    assert told["wechatpay-nonce"] == "n"


def test_a_large_notification_is_refused_by_the_gateway_and_not_before(proxy, behind):
    status, _, _ = ask(proxy, "POST", "/notify/hotpot-wechat", {"Host": "pay.example.com"}, b"x" * (2 << 20))
    assert status == 200
    assert len(behind.seen[0][2]) == 2 << 20


def test_metrics_stay_inside(proxy, behind):
    status, _, _ = ask(proxy, "POST", "/metrics", {"Host": "pay.example.com"}, b"x")
    assert status == 404
    assert behind.seen == []
