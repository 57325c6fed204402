"""One job at a time, beside the worker's passes: what is owed to tills never waits for long work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from gateway import jobs
from gateway.contract.errors import Refused, StoreTrouble
from gateway.jobs import Job, Kind, Progress
from gateway.runtime import Runtime

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

IDLE_S: Final = 1.0


class Runner:
    """Does jobs of these kinds. Any number may run on any machine; each job has one taker."""

    def __init__(
        self, runtime: Runtime, kinds: Mapping[str, Kind], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._runtime = runtime
        self._kinds = kinds
        self._monotonic = monotonic

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop. A store in trouble is waited for."""
        while not stop.is_set():
            try:
                did = self.do_one(stop.is_set)
            except StoreTrouble as trouble:
                log.warning("store_trouble", error=str(trouble))
                did = False
            except Exception:
                log.exception("job_runner_failed")
                did = False
            if not did:
                stop.wait(IDLE_S)

    def do_one(self, told_to_stop: Callable[[], bool] = lambda: False) -> bool:
        """The oldest job that waits, to its end; whether there was one. Raises StoreTrouble: it is taken up later."""
        runtime = self._runtime
        now = runtime.clock()
        job = runtime.store.write(lambda tx: jobs.lease(tx, now))
        if job is None:
            return False
        progress = Progress(runtime.store, runtime.clock, job, monotonic=self._monotonic, told_to_stop=told_to_stop)
        try:
            self._do(job, progress)
        except jobs.Lost:
            runtime.store.write(lambda tx: jobs.hand_back(tx, job))
        return True

    def _do(self, job: Job, progress: Progress) -> None:
        kind = self._kinds.get(job.kind)
        if kind is None or job.tries > jobs.MOST_TRIES:
            self._end(job, "failed", error="unknown_kind" if kind is None else "gave_up")
            return
        try:
            result = kind(self._runtime, job.params, progress)
        except jobs.Cancelled:
            self._end(job, "cancelled")
        except (jobs.Lost, StoreTrouble):
            raise
        except Refused as refused:
            self._end(job, "failed", error=refused.code)
        except Exception as failure:
            log.exception("job_failed", job=job.id, kind=job.kind)
            self._end(job, "failed", error=type(failure).__name__)
        else:
            now = self._runtime.clock()
            self._runtime.store.write(lambda tx: jobs.end(tx, now, job, "done", result=result))

    def _end(self, job: Job, state: str, error: str = "") -> None:
        now = self._runtime.clock()
        self._runtime.store.write(lambda tx: jobs.end(tx, now, job, state, error=error))
