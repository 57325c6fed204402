"""nginx with a file of `deploy/nginx/`, told this machine's ports and folders in place of the names it ships with."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from crypto.certs import self_signed
from crypto.rsa import load_private_key, new_private_key
from tests.e2e.house import Answer, free_port
from tests.support.databases import missing

SITES = Path(__file__).resolve().parents[2] / "deploy/nginx"


def program() -> str:
    """Where nginx is; skips where it is not."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        missing("nginx is not installed")
    return found or ""


def configuration(folder: Path, site: str, port: int, addresses: Mapping[str, str]) -> Path:
    """A whole configuration around the shipped file, in `folder`. Everything told must stand in it."""
    pem, now = new_private_key(), datetime.now(timezone.utc)
    (folder / "key.pem").write_text(pem)
    (folder / "cert.pem").write_text(self_signed(load_private_key(pem), "pay.example.com", serial=1, now=now))
    text = (SITES / site).read_text("utf-8")
    told = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "listen 80": f"listen 127.0.0.1:{free_port()}",
        "/etc/ssl/pay.example.com.pem": str(folder / "cert.pem"),
        "/etc/ssl/pay.example.com.key": str(folder / "key.pem"),
        **addresses,
    }
    for shipped, real in told.items():
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, real)
    places = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{name}_temp_path {folder}/{name};" for name in places)
    # Started by root it would hand its work to a user who may not look into this folder.
    user = "user root;" if os.geteuid() == 0 else ""
    # `gzip on` as distributions ship it, so that the site has to turn it off.
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; worker_processes 1; pid {folder}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; gzip on; gzip_proxied any; {temporary}\n{text}\n}}\n"
    )
    return folder / "nginx.conf"


@contextmanager
def balancer(folder: Path, site: str, addresses: Mapping[str, str]) -> Iterator[int]:
    """nginx, up with the shipped `site`; its port."""
    port = free_port()
    conf = configuration(folder, site, port, addresses)
    log = (folder / "nginx.log").open("wb")
    process = subprocess.Popen([program(), "-p", str(folder), "-e", "stderr", "-c", str(conf)], stderr=log)
    log.close()
    try:
        _wait_for(port, process, folder)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        assert process.poll() is None, (folder / "nginx.log").read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            continue
        return
    raise AssertionError("nginx did not come up")


_TRUSTING = ssl.create_default_context()
_TRUSTING.check_hostname, _TRUSTING.verify_mode = False, ssl.CERT_NONE


def ask(port: int, method: str, target: str, headers: tuple[tuple[str, str], ...] = (), body: bytes = b"") -> Answer:
    """One request by https on a connection of its own, to pay.example.com. Raises OSError, HTTPException."""
    import http.client

    connection = http.client.HTTPSConnection("127.0.0.1", port, context=_TRUSTING, timeout=20)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", "pay.example.com")
        if method != "GET" or body:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in headers:
            connection.putheader(name, value)
        connection.putheader("Connection", "close")
        connection.endheaders(body or None)
        got = connection.getresponse()
        return Answer(got.status, tuple(got.getheaders()), got.read())
    finally:
        connection.close()
