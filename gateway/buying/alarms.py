"""What an operator must hear of an order, written by itself."""

from __future__ import annotations

from datetime import datetime

from gateway import incidents
from gateway.runtime import Runtime


def raise_(runtime: Runtime, now: datetime, *, kind: str, subject: str, detail: str) -> None:
    """Open an incident or count the open one up, in a transaction of its own."""
    runtime.store.write(lambda tx: incidents.raise_(tx, runtime.ids, now, kind, subject, detail))
