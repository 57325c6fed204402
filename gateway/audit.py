"""The audit log (R246): who did what to which object, before and after, in a hash chain that shows tampering."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from gateway.contract.clock import to_text
from gateway.contract.store import Row, Tx

_FIELDS = ("seq", "at", "who", "action", "object", "before", "after", "request_id")


def record(
    tx: Tx,
    now: datetime,
    who: str,
    action: str,
    object_: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    request_id: str | None = None,
) -> None:
    """Append one row. `before` and `after` hold no secret and no raw openid; the caller sees to that."""
    tx.lock("audit")
    last = tx.one("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
    row = {
        "seq": last["seq"] + 1 if last is not None else 1,
        "at": to_text(now),
        "who": who,
        "action": action,
        "object": object_,
        "before": _text(before),
        "after": _text(after),
        "request_id": request_id,
    }
    tx.run(
        "INSERT INTO audit (seq, at, who, action, object, before, after, request_id, hash) "
        "VALUES (:seq, :at, :who, :action, :object, :before, :after, :request_id, :hash)",
        {**row, "hash": _chained(last["hash"] if last is not None else "", row)},
    )


def first_broken(tx: Tx) -> int | None:
    """The number of the first row that was changed or is missing; None when the chain holds."""
    previous, expected = "", None
    for row in tx.all("SELECT seq, at, who, action, object, before, after, request_id, hash FROM audit ORDER BY seq"):
        # Rows older than the retention are gone from the front; the chain is checked from the first one left.
        if expected is not None and (row["seq"] != expected or row["hash"] != _chained(previous, row)):
            return int(row["seq"])
        if expected is None and row["seq"] == 1 and row["hash"] != _chained("", row):
            return 1
        previous, expected = row["hash"], row["seq"] + 1
    return None


def _chained(previous: str, row: Mapping[str, Any] | Row) -> str:
    text = json.dumps([previous, *(row[name] for name in _FIELDS)], ensure_ascii=False, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _text(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
