"""Handing a stored notification to the POS: the schedule of a channel that answers by itself, and replays by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from gateway import inbox
from gateway.catalog.directory import LiveChannel
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.store import Tx
from gateway.relay import Answer, Relay, RelayFailed, Upstream
from gateway.runtime import Runtime

Verdict = Literal["accepted", "not_accepted", "failed", "stale", "gone"]


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one try. `detail` is a stable word or the POS's status."""

    verdict: Verdict
    detail: str


def hand_over(runtime: Runtime, relay: Relay, delivery_id: str, now: datetime, *, replay: bool) -> Tried:
    """Send a stored delivery to its channel's POS, untouched, and write the try down.

    Bytes whose signature has gone stale are not sent: the POS would refuse them (WeChat Pay v3, five minutes).
    Raises StoreTrouble, DecryptFailed.
    """
    row = runtime.store.read(
        lambda tx: tx.one(
            "SELECT channel, payment, received_at, sealed FROM deliveries WHERE id = :id", {"id": delivery_id}
        )
    )
    channel = runtime.directory().channel(row["channel"]) if row is not None else None
    if row is None or row["sealed"] is None or channel is None or not channel.upstream:
        return Tried("gone", "the bytes or the channel are not kept any more")
    stale_after = getattr(channel.adapter, "stale_after_s", None)
    if stale_after is not None and now - from_text(row["received_at"]) >= timedelta(seconds=stale_after):
        return Tried("stale", "its signature is too old for the POS")
    raw, query = inbox.unpack(runtime.keyring.open(bytes(row["sealed"]), delivery_id.encode()))
    upstream = Upstream.of(channel.spec.slug, channel.upstream, channel.spec.timeout_ms)
    if raw.path_tail in channel.spec.notify_paths:
        upstream = upstream.origin
    try:
        answer = relay.forward(upstream, raw, query=query)
    except (RelayFailed, Refused) as failed:
        word = failed.kind if isinstance(failed, RelayFailed) else failed.code
        _note(runtime, delivery_id, row["payment"], channel, now, word, None, 0, replay=replay)
        return Tried("failed", word)
    _note(runtime, delivery_id, row["payment"], channel, now, "answered", answer.status, answer.ms, replay=replay)
    return Tried("accepted" if accepts(channel, answer) else "not_accepted", str(answer.status))


def accepts(channel: LiveChannel, answer: Answer) -> bool:
    """Whether the POS took the event: in its platform's own words where the adapter knows them, else any 2xx."""
    accepted = getattr(channel.adapter, "accepted", None)
    if accepted is None:
        return 200 <= answer.status < 300  # noqa: PLR2004 - HTTP's own classes
    return bool(accepted(answer.status, answer.headers, answer.body))


def _note(
    runtime: Runtime,
    delivery: str,
    payment: str | None,
    channel: LiveChannel,
    now: datetime,
    outcome: str,
    status: int | None,
    ms: int,
    *,
    replay: bool,
) -> None:
    row = {
        "id": runtime.ids.new("ra", now),
        "delivery": delivery,
        "payment": payment,
        "channel": channel.spec.slug,
        "at": to_text(now),
        "outcome": outcome,
        "status": status,
        "ms": ms,
        "replay": int(replay),
    }

    def write(tx: Tx) -> None:
        inbox.record_relay(tx, row)

    runtime.store.write(write)
