"""The real thing, from outside: a home, the `drainage` command, gunicorn and the background worker as processes.

Uses the contract's names alone: commands, the apply file, paths, JSON. Nothing of the gateway is imported.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from tests.e2e.platforms import Platform, Sent

COMMAND = str(Path(sys.executable).parent / "drainage")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; headers in order, repeats kept."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


def call(
    port: int,
    method: str,
    target: str,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    timeout: float = 15.0,
) -> Answer:
    """One request with exactly these headers, on a connection of its own. Raises OSError, HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        named = {name.lower() for name, _ in headers}
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        if "host" not in named:
            connection.putheader("Host", f"127.0.0.1:{port}")
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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(ask: Callable[[], Any], what: str, seconds: float = 15.0, every: float = 0.05) -> Any:
    """The first truthy answer of `ask`; fails after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        got = ask()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what}; last: {got!r}")
        time.sleep(every)


@dataclass
class Customer:
    """A browser without scripts: keeps cookies, reads forms."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, url: str) -> Answer:
        return self._go("GET", url, b"")

    def post(self, url: str, form: Mapping[str, str]) -> Answer:
        return self._go("POST", url, urlencode(form).encode())

    def confirm(self, url: str, **more: str) -> Answer:
        """Open a page and send its first form as it stands, with `more` filled in; the page it leads to."""
        page = self.get(url)
        assert page.status == 200, (page.status, page.text[:300])
        form = Form.of(page.text)
        sent = self.post(form.action or url, {**form.hidden, **more})
        assert sent.status == 303, (sent.status, sent.text[:500])
        return self.get(sent.header("Location") or "")

    def _go(self, method: str, url: str, body: bytes) -> Answer:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = [("Accept-Language", "zh-CN"), ("User-Agent", "Mozilla/5.0 MicroMessenger")]
        if self.cookies:
            headers.append(("Cookie", "; ".join(f"{k}={v}" for k, v in self.cookies.items())))
        if method == "POST":
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
            headers.append(("Origin", f"http://127.0.0.1:{self.port}"))
        answer = call(self.port, method, target, headers, body)
        for cookie in answer.all("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name.strip()] = value.strip()
        return answer


class Form(HTMLParser):
    """The first post form of a page: its action and hidden inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.hidden: dict[str, str] = {}
        self.found = False
        self._inside = False

    @classmethod
    def of(cls, page: str) -> Form:
        form = cls()
        form.feed(page)
        return form

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "form" and named.get("method", "").lower() == "post" and not self.found:
            self.found = self._inside = True
            self.action = named.get("action", "")
        elif tag == "input" and self._inside and named.get("type") == "hidden":
            self.hidden[named["name"]] = named.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


def coupons_of(page: Answer) -> list[str]:
    """The codes that stand on a claimed page."""
    return re.findall(r'data-coupon="([^"]+)"', page.text)


@dataclass
class House:
    """A running gateway over a home in a folder of its own.

    `settings` are DRAINAGE_ variables for every process of it; `environ` others, for `{ env = … }`.
    """

    workers: int = 2
    settings: dict[str, str] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    config: str = ""
    home: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="house-")))

    def __post_init__(self) -> None:
        self.root = self.home
        self.home = self.root / "home"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.admin_password = ""
        self._tokens: dict[tuple[str, ...], str] = {}

    # -- the command --------------------------------------------------------------------------------------------------

    def run(self, *words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """One `drainage` command, whatever comes of it."""
        return subprocess.run(
            [COMMAND, *words],
            env=self._environ(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=self.root,
        )

    def drainage(self, *words: str, timeout: float = 60) -> str:
        """One `drainage` command that must succeed; its output."""
        done = self.run(*words, timeout=timeout)
        assert done.returncode == 0, (words, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout

    def init(self) -> House:
        self.home.mkdir(parents=True, exist_ok=True)
        if self.config:
            (self.home / "config.toml").write_text(self.config, "utf-8")
        text = self.drainage("init")
        found = re.search(r"password\S*\s+(\S+)\s*$", text.strip(), re.IGNORECASE)
        self.admin_password = found.group(1) if found else ""
        return self

    def apply(self, toml: str, files: Mapping[str, str] | None = None, *more: str, name: str = "shops.toml") -> str:
        """Write an apply file with its key files beside it, and apply it."""
        for path, text in (files or {}).items():
            (self.root / path).write_text(text, "utf-8")
        (self.root / name).write_text(toml, "utf-8")
        return self.drainage("apply", str(self.root / name), *more)

    def token(self, role: str, **scope: str) -> str:
        """An API token of a role, made once."""
        key = (role, *(f"{k}={v}" for k, v in sorted(scope.items())))
        if key not in self._tokens:
            words = [part for name, value in scope.items() for part in (f"--{name}", value)]
            made = self.drainage("token", "create", "--role", role, "--name", "-".join(key).replace("=", "-"), *words)
            self._tokens[key] = made.strip().splitlines()[-1]
        return self._tokens[key]

    # -- serving ------------------------------------------------------------------------------------------------------

    def start(self, *more: str) -> House:
        log = (self.root / "serve.log").open("ab")
        bind = f"127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [COMMAND, "serve", "--bind", bind, "--workers", str(self.workers), *more],
            env=self._environ(),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd=self.root,
            start_new_session=True,
        )
        log.close()
        self.wait_ready()
        return self

    def wait_ready(self, seconds: float = 40) -> None:
        def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log()[-3000:]
            with contextlib.suppress(OSError, http.client.HTTPException):
                return call(self.port, "GET", "/readyz", timeout=2).status == 200
            return False

        try:
            eventually(ready, "the gateway is ready", seconds)
        except AssertionError:
            print(self.log()[-4000:])
            raise

    def stop(self) -> int:
        """SIGTERM, and after a while SIGKILL for its own group alone; the exit status."""
        process, self.process = self.process, None
        if process is None:
            return 0
        tree = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(25)
        except subprocess.TimeoutExpired:
            return -9
        finally:
            self._kill(process, tree)

    def kill(self) -> None:
        """SIGKILL to all of it at once, as when the machine's power goes."""
        process, self.process = self.process, None
        if process is not None:
            self._kill(process, descendants(process.pid))

    @staticmethod
    def _kill(process: subprocess.Popen[bytes], tree: Sequence[int]) -> None:
        for pid in (process.pid, *tree):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        # The port is free again only when the last of them is gone.
        eventually(lambda: not [pid for pid in tree if _alive(pid)], "every process is gone", 10)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def log(self) -> str:
        return (self.root / "serve.log").read_text("utf-8", errors="replace")

    def gunicorn(self) -> tuple[int, list[int]]:
        """gunicorn's master and its workers, by pid."""
        assert self.process is not None
        for child in children(self.process.pid):
            if "gunicorn" in _cmdline(child):
                return child, children(child)
        raise AssertionError("no gunicorn")

    def background_worker(self) -> int | None:
        assert self.process is not None
        return next((pid for pid in children(self.process.pid) if "gunicorn" not in _cmdline(pid)), None)

    # -- HTTP ---------------------------------------------------------------------------------------------------------

    def notify(
        self, channel: str, sent: Sent, tail: str = "", *, method: str = "POST", extra: Sequence[tuple[str, str]] = ()
    ) -> Answer:
        """What a platform does."""
        return call(self.port, method, f"/notify/{channel}{tail}", (*sent.headers, *extra), sent.body)

    def api(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, key: str | None = None
    ) -> Answer:
        """A call under /api/v1, by default an operator's."""
        headers = [("Authorization", f"Bearer {token if token is not None else self.token('operator')}")]
        if key is not None:
            headers.append(("Idempotency-Key", key))
        data = b""
        if body is not None:
            headers.append(("Content-Type", "application/json"))
            data = json.dumps(body).encode()
        answer = call(self.port, method, f"/api/v1{path}", headers, data)
        assert answer.status != 500, (method, path, self.log()[-3000:])
        return answer

    def payment(self, transaction: str) -> dict[str, Any]:
        """One payment as the API tells it; must exist."""
        answer = self.api("GET", f"/payments/{transaction}")
        assert answer.status == 200, (answer.status, answer.body)
        return dict(answer.json)

    def relayed(self, transaction: str, attempts: int = 1) -> dict[str, Any]:
        """What is noted of a payment's relays, once there are `attempts`: notes are written after the answer."""

        def noted() -> dict[str, Any] | None:
            relay = dict(self.payment(transaction)["relay"])
            return relay if relay["attempts"] >= attempts else None

        return dict(eventually(noted, f"{attempts} relays are noted"))

    def summary(self) -> dict[str, int]:
        return dict(self.api("GET", "/summary").json)

    def customer(self) -> Customer:
        return Customer(self.port)

    def pay(self, channel: str, platform: Platform, openid: str, fen: int = 2500) -> dict[str, Any]:
        """A payment that goes right; what the API says of it."""
        sent = platform.payment(openid, fen)
        answer = self.notify(channel, sent)
        assert answer.status == 200, (answer.status, answer.body)
        return self.payment(sent.transaction)

    def link(self, channel: str, platform: Platform, openid: str | None = None, fen: int = 2500) -> dict[str, Any]:
        """Two payments of one person, and the link that the second one gave."""
        from tests.e2e.platforms import fresh_openid

        openid = openid or fresh_openid()
        self.pay(channel, platform, openid, fen)
        second = self.pay(channel, platform, openid, fen)
        links = [link for link in second["links"] if link["for"] == "payer"]
        assert len(links) == 1, second
        return {**links[0], "payment": second, "openid": openid}

    def claim(self, url: str) -> list[str]:
        """Claim a link through its page; the coupons' codes."""
        page = self.customer().confirm(url)
        assert page.status == 200
        codes = coupons_of(page)
        assert codes
        return codes

    def redeem(self, code: str, *, token: str, key: str, **body: Any) -> Answer:
        return self.api("POST", f"/coupons/{code}/redeem", body or None, token=token, key=key)

    def _environ(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DRAINAGE_")}
        clean.pop("PROMETHEUS_MULTIPROC_DIR", None)
        return {**clean, **self.environ, **self.settings, "DRAINAGE_HOME": str(self.home), "PYTHONWARNINGS": "default"}


# -- processes, by /proc ----------------------------------------------------------------------------------------------


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                found.append(int(path.parent.name))
    return sorted(found)


def descendants(pid: int) -> list[int]:
    """Every process below this one."""
    return [each for child in children(pid) for each in (child, *descendants(child))]


def _cmdline(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def _alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def channel(
    slug: str, merchant: str, platform: Platform, *, upstream: str = "", name: str = "", **more: str
) -> tuple[str, dict[str, str]]:
    """One channel's TOML and its key files. `more` are further lines, values as TOML text."""
    keys, files = platform.keys(name or slug)
    lines = [f"[channel.{slug}]", f'merchant = "{merchant}"', f'adapter = "{platform.adapter}"']
    if upstream:
        lines.append(f'upstream = "{upstream}"')
    lines += [f"{key} = {value}" for key, value in more.items()]
    return "\n".join([*lines, f"[channel.{slug}.keys]", keys, ""]), files


@contextlib.contextmanager
def running(house: House, toml: str, files: Mapping[str, str]) -> Iterator[House]:
    """`house` with its home made, `toml` applied and everything up; closed at the end."""
    with house:
        house.init().apply(toml, files)
        house.start()
        yield house
