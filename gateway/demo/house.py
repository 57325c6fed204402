"""Starting and stopping what the demo needs: a home, the sandbox till, and the gateway itself, as real processes."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import requests

from gateway.catalog.registry import Registry, installed
from gateway.config import process_environ
from gateway.contract.errors import DrainageError

START_PATIENCE_S: Final = 60.0
STOP_PATIENCE_S: Final = 15.0

_CONFIG: Final = """\
# The demo's own settings: everything on this machine, sandbox on.
[server]
base_url = "{base_url}"

[relay]
allow = ["127.0.0.0/8"]

[sandbox]
enabled = true
"""


def campaigns_text(registry: Registry) -> str:
    """What each installed campaign kind brings to the demo: the `demo.toml` beside its pages."""
    folders = [kind.pages.folder for kind in registry.campaigns.values() if kind.pages is not None]
    files_ = [folder / "demo.toml" for folder in folders]
    return "\n".join(["", *(file.read_text("utf-8") for file in files_ if file.is_file())])


class DemoFailed(DrainageError):
    """A part of the demo did not come up or did not do as told."""


@dataclass
class DemoHouse:
    """The running demo. A context manager: everything is up on entry and stopped on exit.

    `home` is made if need be and kept; `port` is the gateway's, 0 for a free one.
    """

    home: Path
    port: int = 0
    workers: int = 2
    say: Callable[[str], None] = print
    admin_password: str | None = None
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        """Where the gateway answers."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def drainage(self, *words: str) -> str:
        """Run one command of ours on the demo's home; what it printed. Raises DemoFailed with its complaint."""
        done = subprocess.run(  # noqa: S603 - our own command, words of ours
            self._command(*words), capture_output=True, text=True, check=False, env=self._environ()
        )
        if done.returncode:
            raise DemoFailed(f"drainage {words[0]}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def wait(self) -> None:
        """Until one of the processes ends. Raises DemoFailed then."""
        while all(process.poll() is None for process in self._processes):
            time.sleep(0.5)
        raise DemoFailed("a part of the demo has ended")

    def _start(self) -> None:
        self.port = self.port or _free_port()
        till = f"http://127.0.0.1:{_free_port()}"
        self.home.mkdir(parents=True, exist_ok=True)
        self.say("· home: " + str(self.home))
        (self.home / "config.toml").write_text(_CONFIG.format(base_url=self.base_url), "utf-8")
        found = re.search(r"password\S*\s+(\S+)\s*$", self.drainage("init").strip(), re.IGNORECASE)
        self.admin_password = found.group(1) if found else None
        shops = self.home / "shops.toml"
        text = files("gateway.demo").joinpath("shops.toml").read_text("utf-8")
        shops.write_text(text.replace("{till}", till) + campaigns_text(installed(())), "utf-8")
        self.drainage("apply", str(shops))
        self.say("· shops: 老陈面馆, 青禾书店, 半日咖啡 (WeChat Pay v3, Alipay, WeChat Pay v2)")
        self._run([sys.executable, "-m", "adapters.sandbox.pos", "--port", till.rpartition(":")[2]], "till")
        bind = f"127.0.0.1:{self.port}"
        self._run(self._command("serve", "--bind", bind, "--workers", str(self.workers)), "gateway")
        self._until_ready(till + "/_sandbox/requests", "the sandbox till")
        self._until_ready(self.base_url + "/readyz", "the gateway")
        self.say("· gateway, worker and sandbox till are up")

    def _until_ready(self, url: str, what: str) -> None:
        end = time.monotonic() + START_PATIENCE_S
        while time.monotonic() < end:
            if any(process.poll() is not None for process in self._processes):
                break
            try:
                if requests.get(url, timeout=1).ok:
                    return
            except requests.RequestException:
                time.sleep(0.1)
        raise DemoFailed(f"{what} did not come up; see {self.home}/*.log")

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "gateway.cli", "--home", str(self.home), *words]

    def _environ(self) -> Mapping[str, str]:
        # A DRAINAGE_ variable of the caller's own deployment must not reach the demo.
        return {name: value for name, value in process_environ().items() if not name.startswith("DRAINAGE_")}

    def _run(self, command: Sequence[str], name: str) -> None:
        with (self.home / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own commands
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self._environ(), start_new_session=True
            )
        self._processes.append(process)

    def _stop(self) -> None:
        for process in reversed(self._processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in reversed(self._processes):
            try:
                process.wait(STOP_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
