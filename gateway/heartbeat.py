"""Signs of life that processes of one home leave for each other under `run/`."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from gateway.contract.clock import from_text, to_text

SILENT_AFTER: Final = timedelta(seconds=60)
_WORKER: Final = "worker.beat"
_DRAINING: Final = "draining"

WorkerState = Literal["ok", "silent", "none"]


def beat(run_dir: Path, now: datetime) -> None:
    """The background worker is alive. Raises OSError."""
    (run_dir / _WORKER).write_text(to_text(now), "utf-8")


def worker_state(run_dir: Path, now: datetime) -> WorkerState:
    """`ok`, `silent` (no sign of life for a minute), or `none` (never one)."""
    try:
        at = from_text((run_dir / _WORKER).read_text("utf-8"))
    except (OSError, ValueError):
        return "none"
    return "ok" if abs(now - at) < SILENT_AFTER else "silent"


def is_draining(run_dir: Path) -> bool:
    """Whether the server has been told to stop and lets a balancer know before it does."""
    return (run_dir / _DRAINING).exists()


def set_draining(run_dir: Path, *, draining: bool) -> None:
    """Note that the server has been told to stop, or that it begins anew. Raises OSError."""
    path = run_dir / _DRAINING
    if draining:
        path.touch()
    else:
        path.unlink(missing_ok=True)
