"""The audit log (R246): who did what to which object, before and after, in a hash chain that shows tampering."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from gateway.contract.clock import to_text
from gateway.contract.store import Row, Tx

_TRIMMED: Final = "audit_trimmed"
_CHECKED: Final = "audit_checked"
_FIELDS: Final = ("seq", "at", "who", "action", "object", "before", "after", "request_id")


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
    """The number of the first row that was changed or follows a missing one; None when the chain holds."""
    seq, previous = _beginning(tx)
    for row in tx.all("SELECT seq, at, who, action, object, before, after, request_id, hash FROM audit ORDER BY seq"):
        if row["seq"] != seq + 1 or row["hash"] != _chained(previous, row):
            return int(row["seq"])
        seq, previous = row["seq"], row["hash"]
    return None


@dataclass(frozen=True, slots=True)
class ChainMark:
    """How far a chain has been followed: the number of a row and its hash."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Checked:
    """One stretch of the chain: how far it holds, the first bad row or None, and how many rows were looked at."""

    mark: ChainMark
    broken_at: int | None
    rows: int


def check(tx: Tx, mark: ChainMark, most: int) -> Checked:
    """Follow the chain from behind `mark` for up to `most` rows."""
    rows = tx.all(
        f"SELECT {', '.join(_FIELDS)}, hash FROM audit WHERE seq > :seq ORDER BY seq LIMIT :most",
        {"seq": mark.seq, "most": most},
    )
    seq, previous = mark.seq, mark.hash
    for row in rows:
        if row["seq"] != seq + 1 or row["hash"] != _chained(previous, row):
            return Checked(ChainMark(seq, previous), int(row["seq"]), len(rows))
        seq, previous = int(row["seq"]), str(row["hash"])
    return Checked(ChainMark(seq, previous), None, len(rows))


def beginning(tx: Tx) -> ChainMark:
    """Where the chain begins: behind what was trimmed."""
    return ChainMark(*_beginning(tx))


def count(tx: Tx) -> int:
    """How many rows there are; the numbers are without gaps, so nothing is counted."""
    row = tx.one("SELECT min(seq) AS first, max(seq) AS last FROM audit")
    return int(row["last"]) - int(row["first"]) + 1 if row is not None and row["last"] is not None else 0


def keep(tx: Tx, mark: ChainMark, broken_at: int | None) -> None:
    """Keep what a whole check has found."""
    tx.run(
        "INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = :value",
        {"name": _CHECKED, "value": json.dumps([mark.seq, mark.hash, broken_at])},
    )


def kept(tx: Tx) -> Checked | None:
    """What the last whole check found; None when there was none, or what it stood on has been trimmed since."""
    row = tx.one("SELECT value FROM meta WHERE name = :name", {"name": _CHECKED})
    if row is None:
        return None
    seq, digest, broken_at = json.loads(row["value"])
    mark = ChainMark(int(seq), str(digest))
    if mark.seq < beginning(tx).seq:
        return None
    return Checked(mark, broken_at, 0)


def trim(tx: Tx, before: datetime, most: int) -> int:
    """Drop up to `most` rows older than `before` from the front; how many. The chain goes on from where it was cut."""
    last = tx.one(
        "SELECT seq, hash FROM (SELECT seq, at, hash FROM audit ORDER BY seq LIMIT :most) front "
        "WHERE at < :before ORDER BY seq DESC LIMIT 1",
        {"most": most, "before": to_text(before)},
    )
    # The last row stays, for the next one is chained to it.
    if last is None or tx.one("SELECT seq FROM audit WHERE seq > :seq LIMIT 1", {"seq": last["seq"]}) is None:
        return 0
    tx.run(
        "INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = :value",
        {"name": _TRIMMED, "value": json.dumps([last["seq"], last["hash"]])},
    )
    return tx.run("DELETE FROM audit WHERE seq <= :seq", {"seq": last["seq"]})


def _beginning(tx: Tx) -> tuple[int, str]:
    """Number and hash of the last row that was trimmed."""
    row = tx.one("SELECT value FROM meta WHERE name = :name", {"name": _TRIMMED})
    seq, digest = json.loads(row["value"]) if row is not None else (0, "")
    return int(seq), str(digest)


def _chained(previous: str, row: Mapping[str, Any] | Row) -> str:
    text = json.dumps([previous, *(row[name] for name in _FIELDS)], ensure_ascii=False, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _text(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
