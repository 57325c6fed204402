"""A shop's till, unchanged: a raw socket that notes every byte it is sent and answers as it is told to."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Self

OK_HEADERS = (
    ("Content-Type", "text/plain"),
    ("X-Pos", "one"),
    ("X-Pos", "two"),
    ("Set-Cookie", "a=1"),
    ("Set-Cookie", "b=2"),
)


@dataclass(frozen=True)
class Heard:
    """One request as it lay on the wire."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass
class Mode:
    """How the till behaves. `kind`: answer, slow (0.7 s), hang, reset, trickle, garbage."""

    kind: str = "answer"
    status: int = 200
    reason: str = "OK"
    headers: tuple[tuple[str, str], ...] = OK_HEADERS
    body: bytes = b"till-says-ok"


@dataclass
class Till:
    """Listens on 127.0.0.1 from construction on; a context manager that closes it.

    `answers` are modes of single targets, `mode` that of all others.
    """

    mode: Mode = field(default_factory=Mode)
    answers: dict[str, Mode] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.heard: list[Heard] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._open: set[socket.socket] = set()
        self._socket = _bound(0)
        self.port = int(self._socket.getsockname()[1])
        self._listening = threading.Event()
        self._listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closed.set()
        self._listening.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            for open_ in self._open:
                with contextlib.suppress(OSError):
                    open_.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def die(self) -> None:
        """Refuse every connection from now on; the port stays ours, since nobody else may bind it."""
        self._listening.clear()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._socket = _bound(self.port)

    def come_back(self) -> None:
        self.mode = Mode()
        self._listen()

    def bodies(self) -> list[bytes]:
        with self._lock:
            return [one.body for one in self.heard]

    def find(self, body: bytes) -> list[Heard]:
        """The requests that had this very body."""
        with self._lock:
            return [one for one in self.heard if one.body == body]

    def wait_for(self, body: bytes, *, count: int = 1, seconds: float = 15.0) -> list[Heard]:
        """The requests with this body, once there are `count`; fails after `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.find(body)
            if len(found) >= count:
                return found
            time.sleep(0.02)
        raise AssertionError(f"the till heard the body {len(self.find(body))} times, not {count}")

    def _listen(self) -> None:
        self._socket.listen(256)
        self._listening.set()

    def _serve(self) -> None:
        while not self._closed.is_set():
            self._listening.wait()
            try:
                connection, _ = self._socket.accept()
            except OSError:
                time.sleep(0.01)
                continue
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
        try:
            connection.settimeout(30)
            heard = _read_request(connection)
            if heard is None:
                return
            with self._lock:
                self.heard.append(heard)
            self._answer(connection, heard)
        except OSError:
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _answer(self, connection: socket.socket, heard: Heard) -> None:
        mode = self.answers.get(heard.target, self.mode)
        if mode.kind == "hang":
            connection.recv(1)  # until the caller gives up
        elif mode.kind == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif mode.kind == "garbage":
            connection.sendall(b"\x00\xff this is not HTTP\r\n\r\n")
        elif mode.kind == "trickle":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
            with contextlib.suppress(OSError):
                while not self._closed.wait(0.2):
                    connection.sendall(b"x")
        else:
            if mode.kind == "slow":
                self._closed.wait(0.7)
            head = f"HTTP/1.1 {mode.status} {mode.reason}\r\n"
            head += "".join(f"{name}: {value}\r\n" for name, value in mode.headers)
            body = b"" if heard.method == "HEAD" else mode.body
            head += f"Content-Length: {len(mode.body)}\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode("latin-1") + body)


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


def _read_request(connection: socket.socket) -> Heard | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ")
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:]))
    named = {name.lower(): value for name, value in headers}
    if named.get("transfer-encoding", "").lower() == "chunked":
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65536)
        return Heard(method, target, headers, _joined_chunks(body))
    length = int(named.get("content-length", "0"))
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            return None
        body += piece
    return Heard(method, target, headers, body)


def _joined_chunks(data: bytes) -> bytes:
    whole = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        n = int(size, 16)
        if not n:
            return whole
        whole, data = whole + data[:n], data[n + 2 :]
