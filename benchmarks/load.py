"""A small load generator: prepared requests over keep-alive connections on 127.0.0.1, one thread, every answer counted.

The same for every side, so that its own cost cancels out of the ratios. Bounded by the number of requests.
"""

from __future__ import annotations

import selectors
import socket
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """What one run came to: seconds for all, latencies in milliseconds, answers by status."""

    seconds: float
    latencies_ms: tuple[float, ...]
    statuses: Counter[int]

    @property
    def per_second(self) -> float:
        return len(self.latencies_ms) / self.seconds

    def percentile(self, percent: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

    @property
    def median(self) -> float:
        return statistics.median(self.latencies_ms)


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.began = 0.0
        self.buffer = b""

    def send(self, request: bytes, began: float) -> None:
        self.began = began
        self.buffer = b""
        self.socket.sendall(request)

    def receive(self) -> int | None:
        """The status once the whole answer is there."""
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError("the server closed a connection in mid-answer")
        self.buffer += piece
        head, mark, body = self.buffer.partition(b"\r\n\r\n")
        if not mark:
            return None
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return int(head[9:12]) if len(body) >= length else None


def drive(port: int, requests: Sequence[bytes], *, connections: int = 32, per_second: float | None = None) -> Result:
    """Send every request once; with `per_second`, at that rate (latency counts from when it was due)."""
    selector = selectors.DefaultSelector()
    idle = [_Connection(port) for _ in range(connections)]
    for connection in idle:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    position = 0
    start = time.perf_counter()
    while len(latencies) < len(requests):
        now = time.perf_counter()
        while idle and position < len(requests):
            due = start + position / per_second if per_second else now
            if due > now:
                break
            idle.pop().send(requests[position], due)
            position += 1
        wait = None
        if per_second and position < len(requests) and idle:
            wait = max(0.0, start + position / per_second - time.perf_counter())
        for key, _ in selector.select(wait):
            connection: _Connection = key.data
            status = connection.receive()
            if status is not None:
                latencies.append((time.perf_counter() - connection.began) * 1000)
                statuses[status] += 1
                idle.append(connection)
    seconds = time.perf_counter() - start
    for connection in idle:
        connection.socket.close()
    selector.close()
    return Result(seconds, tuple(latencies), statuses)
