"""What a channel's checks came to, kept in the store so that the page may be closed and opened again.

A test notification goes to the channel's own address over the real way. It bears a mark that only this home can make;
the intake knows it by that, hands it on to the POS, and writes nothing of it but here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from crypto.mac import equal, hmac_sha256
from gateway.contract.adapter import RawNotification
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.ids import IdFactory, floor_id
from gateway.contract.store import Row, Tx

HEADER: Final = "X-Drainage-Test"
"""Bears the mark of a test notification: its id, a dot, and a MAC over id, channel and body."""

AWAITED: Final = timedelta(seconds=60)
MOST_A_MINUTE: Final = 10


@dataclass(frozen=True, slots=True)
class Check:
    """One check as it stands."""

    id: str
    channel: str
    kind: str
    state: str
    facts: Mapping[str, Any]
    at: datetime
    by: str


def mark(key: bytes, id_: str, channel: str, body: bytes) -> str:
    """The mark of a test notification."""
    return f"{id_}.{_mac(key, id_, channel, body)}"


def marked(key: bytes, raw: RawNotification, channel: str) -> str | None:
    """The id of the test that `raw` is; None for any other request, one with a made-up mark too."""
    try:
        text = raw.header(HEADER)
    except ValueError:
        return None
    if text is None or not text.isascii():
        return None
    id_, _, mac = text.partition(".")
    return id_ if equal(mac.encode(), _mac(key, id_, channel, raw.body).encode()) else None


def begin(
    tx: Tx, ids: IdFactory, now: datetime, channel: str, kind: str, state: str, by: str, facts: Mapping[str, Any]
) -> str:
    """Write a check down; its id. Raises Refused `too_many` (429) beyond ten a minute and channel."""
    row = tx.one(
        "SELECT count(*) AS n FROM setup_checks WHERE channel = :channel AND kind = :kind AND id >= :since",
        {"channel": channel, "kind": kind, "since": floor_id("ck", now - timedelta(minutes=1))},
    )
    if row is not None and row["n"] >= MOST_A_MINUTE:
        raise Refused("too_many", 429, retry_after_s=60)
    id_ = ids.new("ck", now)
    tx.run(
        "INSERT INTO setup_checks (id, channel, kind, state, facts, at, by) "
        "VALUES (:id, :channel, :kind, :state, :facts, :at, :by)",
        {
            "id": id_,
            "channel": channel,
            "kind": kind,
            "state": state,
            "facts": _text(facts),
            "at": to_text(now),
            "by": by,
        },
    )
    return id_


def arrive(tx: Tx, id_: str, channel: str, digest: bytes, now: datetime) -> bool:
    """The test has come in at the channel's address; False where none is awaited: it was here, or is too old."""
    row = tx.one("SELECT * FROM setup_checks WHERE id = :id AND channel = :channel", {"id": id_, "channel": channel})
    if row is None or row["state"] != "sent" or now - from_text(row["at"]) > AWAITED:
        return False
    facts = {**json.loads(row["facts"]), "came": digest.hex()}
    return bool(
        tx.run(
            "UPDATE setup_checks SET state = 'arrived', facts = :facts WHERE id = :id AND state = 'sent'",
            {"id": id_, "facts": _text(facts)},
        )
    )


def settle(tx: Tx, id_: str, state: str, **facts: Any) -> None:
    """What became of it; the facts join those known."""
    row = tx.one("SELECT facts FROM setup_checks WHERE id = :id", {"id": id_})
    if row is not None:
        tx.run(
            "UPDATE setup_checks SET state = :state, facts = :facts WHERE id = :id",
            {"id": id_, "state": state, "facts": _text({**json.loads(row["facts"]), **facts})},
        )


def latest(tx: Tx, channel: str, kind: str) -> Check | None:
    """The channel's newest check of this kind."""
    row = tx.one(
        "SELECT * FROM setup_checks WHERE channel = :channel AND kind = :kind ORDER BY id DESC LIMIT 1",
        {"channel": channel, "kind": kind},
    )
    return _check(row) if row is not None else None


def drop_old(tx: Tx, now: datetime, most: int) -> int:
    """Drop checks older than a month; how many."""
    return tx.run(
        "DELETE FROM setup_checks WHERE id IN (SELECT id FROM setup_checks WHERE id < :before LIMIT :most)",
        {"before": floor_id("ck", now - timedelta(days=30)), "most": most},
    )


def _check(row: Row) -> Check:
    return Check(
        row["id"],
        row["channel"],
        row["kind"],
        row["state"],
        json.loads(row["facts"]),
        from_text(row["at"]),
        row["by"],
    )


def _mac(key: bytes, id_: str, channel: str, body: bytes) -> str:
    return hmac_sha256(key, b"\n".join((id_.encode(), channel.encode(), body))).hex()


def _text(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, sort_keys=True, ensure_ascii=False)
