"""The whole audit chain checked, row by row; how far it holds is kept, so that a page need only look at what is new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway import audit
from gateway.jobs import Progress
from gateway.runtime import Runtime

NAME: Final = "chain"
_AT_ONCE: Final = 1000


def check(runtime: Runtime, params: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:  # noqa: ARG001 - the seam
    """The result: `intact_to`, and `broken_at`, the first bad row, or None."""
    total = runtime.store.read(audit.count)
    mark = runtime.store.read(audit.beginning)
    done = 0
    while True:
        part = runtime.store.read(lambda tx, mark=mark: audit.check(tx, mark, _AT_ONCE))  # type: ignore[misc]
        done += part.rows
        mark = part.mark
        progress(done, max(total, done))
        if part.broken_at is not None or part.rows < _AT_ONCE:
            break
    runtime.store.write(lambda tx: audit.keep(tx, mark, part.broken_at))
    return {"intact_to": mark.seq, "broken_at": part.broken_at}
