"""A throw-away Redis server for tests: a process of our own on a free port, ended by its own id."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.support.databases import missing


class RedisServer:
    """Keeps nothing on disk, so that `kill` and `start` are a loss of everything."""

    def __init__(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            missing("no Redis server program is installed")
        self._program = program or ""
        self._home = Path(tempfile.mkdtemp(prefix="drainage-redis-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Up when this returns."""
        self._process = subprocess.Popen(
            [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
             "--dir", str(self._home)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(5000):
            if self._process.poll() is not None:
                raise RuntimeError("redis-server did not start")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as line:
                line.sendall(b"PING\r\n")
                if line.recv(5) == b"+PONG":
                    return
        raise RuntimeError("redis-server does not answer")

    def kill(self) -> None:
        """As after a power cut."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End it, and leave nothing behind."""
        assert self._process is not None
        if self._process.poll() is None:
            self.kill()
        shutil.rmtree(self._home)
