"""Child processes beside each other: started, watched, started again with back-off, stopped together."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Final

_BACKOFF_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
_SETTLED_S: Final = 60.0
_POLL_S: Final = 0.2
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep. The supervision ends with one that is `vital`; any other is started again when it ends."""

    name: str
    command: Sequence[str]
    vital: bool


class Supervisor:
    """Runs children until a vital one ends or this process is told to stop; `tell` gets a line for each event."""

    def __init__(
        self,
        children: Sequence[Child],
        environ: Mapping[str, str],
        *,
        grace_s: float,
        tell: Callable[[str], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._environ = dict(environ)
        self._grace_s = grace_s
        self._tell = tell
        self._monotonic = monotonic
        self._kept = [_Kept(child) for child in children]
        self._stop = threading.Event()

    def run(self, on_stop: Callable[[], None]) -> int:
        """Run to the end; the exit status: the vital child's, or 0 when told to stop and it ended in order.

        `on_stop` is called before the children are told to end. SIGTERM and SIGINT stop; must be called in the main
        thread.
        """

        def told(_number: int, _frame: FrameType | None) -> None:
            self._stop.set()

        former = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            return self._watch(on_stop)
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _watch(self, on_stop: Callable[[], None]) -> int:
        while not self._stop.is_set():
            for kept in self._kept:
                status = kept.ended()
                if status is not None and kept.child.vital:
                    self._tell(f"{kept.child.name} ended with status {status}")
                    self._end(on_stop)
                    return status or 1
                if status is not None:
                    self._tell(f"{kept.child.name} ended with status {status}; it is started again in {kept.wait:g} s")
                    kept.rest(self._monotonic())
                if kept.due(self._monotonic()):
                    kept.start(self._environ, self._monotonic())
            self._stop.wait(_POLL_S)
        return self._end(on_stop)

    def _end(self, on_stop: Callable[[], None]) -> int:
        on_stop()
        running = [(kept.child, kept.process) for kept in self._kept if kept.process is not None]
        for _, process in running:
            process.terminate()
        deadline = self._monotonic() + self._grace_s
        status = 0
        for child, process in running:
            try:
                code = process.wait(max(0.0, deadline - self._monotonic()))
            except subprocess.TimeoutExpired:
                self._tell(f"{child.name} did not end within {self._grace_s:g} s and is killed")
                process.kill()
                code = process.wait()
            if child.vital and code not in {0, -signal.SIGTERM}:
                status = 1
        return status


class _Kept:
    """One child and what became of it."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.process: subprocess.Popen[bytes] | None = None
        self._failures = 0
        self._started_at = float("-inf")
        self._due_at = float("-inf")

    @property
    def wait(self) -> float:
        return _BACKOFF_S[min(self._failures, len(_BACKOFF_S) - 1)]

    def ended(self) -> int | None:
        """The status of a child that has ended since the last look, else None."""
        return None if self.process is None else self.process.poll()

    def rest(self, now: float) -> None:
        """Note that it ended: the next start comes after a wait, longer each time unless it ran for a while."""
        self.process = None
        self._due_at = now + self.wait
        self._failures = 0 if now - self._started_at >= _SETTLED_S else self._failures + 1

    def due(self, now: float) -> bool:
        return self.process is None and now >= self._due_at

    def start(self, environ: Mapping[str, str], now: float) -> None:
        # A group of its own: Ctrl-C reaches the supervisor alone, which then stops the children in order.
        # No thread of ours runs yet that could hold a lock which the new child's hook would wait for.
        self.process = subprocess.Popen(  # noqa: S603 - the commands are our own
            self.child.command,
            env=dict(environ),
            process_group=0,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - as said above
        )
        self._started_at = now


_libc: Final = ctypes.CDLL(None)


def _end_with_parent() -> None:
    """In the new child: have the kernel send SIGTERM when the supervisor dies, also by SIGKILL."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
