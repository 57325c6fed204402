"""The sandbox till: a server that records every request byte for byte and answers as told.

`python -m adapters.sandbox.pos --port 9001 [--mode ok] [--log FILE.jsonl]` runs one; tests use `SandboxPos` directly.
It listens on 127.0.0.1 alone. Two paths are its own and are not recorded: `GET /_sandbox/requests?after=N` (the last
50 requests numbered above N) and `POST /_sandbox/mode` with `{"mode": "fail"}`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import socket
import struct
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self
from urllib.parse import parse_qs

from adapters.sandbox.answers import GARBAGE, MODES, Answer, Mode, answer_of, mode_of
from adapters.sandbox.http1 import Request, read_request
from adapters.sandbox.journal import Journal, Recorded
from gateway.contract.clock import Clock, system_clock

HOST: Final = "127.0.0.1"
SHOWN: Final = 50
_OWN: Final = b"/_sandbox/"
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: close() then sends RST instead of FIN."""


class SandboxPos:
    """One till on one port. A context manager: started on entry, stopped with all its connections on exit.

    `port` 0 takes a free one; `log` is a file that gets a JSON line per request; `pause_s` is the time between two
    bytes of a `trickle`; `keep` bounds how many requests are remembered.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        mode: str = "ok",
        log: Path | None = None,
        clock: Clock | None = None,
        pause_s: float = 0.2,
        keep: int = 10_000,
    ) -> None:
        self._wanted_port = port
        self._mode = mode_of(mode)
        self._fixed: Answer | None = None
        self._journal = Journal(clock or system_clock(), log=log, keep=keep)
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        """The port it listens on. Raises RuntimeError when it is not started."""
        if self._listener is None:
            raise RuntimeError("the till is not started")
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """Its origin, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every remembered request, oldest first."""
        return tuple(recorded.request for recorded in self._journal.since(0))

    def since(self, number: int) -> tuple[Recorded, ...]:
        """The remembered records numbered above `number`, oldest first."""
        return self._journal.since(number)

    def wait_for(self, count: int, timeout_s: float = 10.0) -> tuple[Request, ...]:
        """The requests, once at least `count` have come since the start. Raises TimeoutError."""
        self._journal.wait_for(count, timeout_s)
        return self.requests

    def set_mode(self, mode: str) -> None:
        """Answer by this mode from the next request on. Raises ValueError for an unknown one."""
        chosen = mode_of(mode)
        with self._lock:
            self._mode, self._fixed = chosen, None

    def set_answer(self, answer: Answer) -> None:
        """Answer exactly this from the next request on, until a mode is set."""
        with self._lock:
            self._mode, self._fixed = Mode("ok"), answer

    def start(self) -> None:
        """Bind, listen and serve in threads. Raises OSError when the port is taken or the log cannot be opened."""
        self._journal.open()
        try:
            self._listener = socket.create_server((HOST, self._wanted_port), backlog=128)
        except OSError:
            self._journal.close()
            raise
        self._stopping.clear()
        self._spawn(self._accept, self._listener)

    def stop(self) -> None:
        """Stop listening, cut every connection, wait for the threads. Safe to call again."""
        self._stopping.set()
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        # One at a time: until the accepting thread has ended, it may still add one.
        while thread := self._next_thread():
            thread.join(timeout=10)
        self._journal.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _next_thread(self) -> threading.Thread | None:
        with self._lock:
            return self._threads.pop() if self._threads else None

    def _spawn(self, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True, name="sandbox-pos")
        with self._lock:
            self._threads = [known for known in self._threads if known.is_alive()]
            self._threads.append(thread)
            # Started under the lock, so that a thread just listed is never taken for one that has ended.
            thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
            if self._stopping.is_set():
                with self._lock:
                    self._open.discard(connection)
                connection.close()
                return
            self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        try:
            with contextlib.suppress(OSError):  # the client went away, or stop() cut the line: nothing to tell
                while not self._stopping.is_set() and self._one(connection, stream):
                    pass
        finally:
            stream.close()
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _one(self, connection: socket.socket, stream: BinaryIO) -> bool:
        """Read and answer one request; False when the connection is to end."""
        try:
            request = read_request(stream, lambda: connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n"))
        except ValueError as error:
            refusal = Answer(400, (), str(error).encode())
            connection.sendall(refusal.head(keep_alive=False) + refusal.body)
            return False
        if request is None:
            return False
        if request.target.startswith(_OWN):
            return self._send(connection, request, self._control(request))
        self._journal.add(request)
        with self._lock:
            mode, fixed = self._mode, self._fixed
        return self._play(connection, stream, request, mode, fixed or answer_of(mode, request.body))

    def _play(self, connection: socket.socket, stream: BinaryIO, request: Request, mode: Mode, answer: Answer) -> bool:
        """Send `answer` as `mode` would; False when the connection is to end."""
        match mode.kind:
            case "hang":
                while stream.read(1):  # until the client gives up or the till is stopped
                    pass
                return False
            case "garbage":
                connection.sendall(GARBAGE)
                return False
            case "reset":
                connection.sendall(answer.head(keep_alive=False) + answer.body[: len(answer.body) // 2])
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                return False
            case "trickle":
                return self._trickle(connection, answer.head(keep_alive=False) + answer.payload(request.method))
            case _:
                return self._send(connection, request, answer)

    def _send(self, connection: socket.socket, request: Request, answer: Answer) -> bool:
        keep_alive = request.keeps_alive
        connection.sendall(answer.head(keep_alive=keep_alive) + answer.payload(request.method))
        return keep_alive

    def _trickle(self, connection: socket.socket, octets: bytes) -> bool:
        for position in range(len(octets)):
            if self._stopping.wait(self._pause_s):
                break
            connection.sendall(octets[position : position + 1])
        return False

    def _control(self, request: Request) -> Answer:
        path, _, query = request.target.partition(b"?")
        if (request.method, path) == ("GET", b"/_sandbox/requests"):
            after = parse_qs(query.decode("latin-1")).get("after", ["0"])[-1]
            if not (after.isascii() and after.isdigit()):
                return _reply(422, {"code": "invalid", "fields": {"after": "a number"}})
            shown = self.since(int(after))[-SHOWN:]
            return _reply(200, {"mode": self._mode_name(), "requests": [recorded.as_json() for recorded in shown]})
        if (request.method, path) == ("POST", b"/_sandbox/mode"):
            try:
                self.set_mode(json.loads(request.body)["mode"])
            except (ValueError, KeyError, TypeError):
                return _reply(422, {"code": "invalid", "fields": {"mode": f"one of {', '.join(MODES)}"}})
            return _reply(200, {"mode": self._mode_name()})
        return _reply(404, {"code": "not_found"})

    def _mode_name(self) -> str:
        with self._lock:
            return str(self._mode)


def _reply(status: int, value: dict[str, Any]) -> Answer:
    return Answer(status, (("Content-Type", "application/json; charset=utf-8"),), json.dumps(value).encode())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a till until SIGINT or SIGTERM. The exit code: 0, or 1 when it could not start."""
    parser = argparse.ArgumentParser(prog="python -m adapters.sandbox.pos", description="A till to try things on.")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--mode", default="ok", help=", ".join(MODES))
    parser.add_argument("--log", type=Path, default=None, help="a file that gets a JSON line per request")
    chosen = parser.parse_args(arguments)
    ended = threading.Event()
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with SandboxPos(chosen.port, mode=chosen.mode, log=chosen.log) as pos:
            sys.stdout.write(f"sandbox till on {pos.url}\n")
            sys.stdout.flush()
            ended.wait()
    except (OSError, ValueError) as error:
        sys.stderr.write(f"sandbox till: {error}\n")
        return 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


if __name__ == "__main__":
    sys.exit(main())
