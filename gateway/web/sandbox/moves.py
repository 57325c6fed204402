"""What the sandbox's buttons do: pay as a guest, also wrongly, and compare what the till got with what went out."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, get_args

import requests

from gateway import people, sandbox
from gateway.catalog.directory import Directory, LiveChannel
from gateway.contract.adapter import RawNotification
from gateway.contract.errors import Refused
from gateway.contract.store import Row, Tx
from gateway.runtime import Runtime
from gateway.sandbox import TillRequest
from gateway.wallets import payer_of
from gateway.web.sandbox.desk import Desk, Exchange, exchange_of, openid_of, order_of, raw_of

Kind = Literal["pay", "repeat", "bad_signature", "stale", "down", "refund"]
KINDS: Final = frozenset(get_args(Kind))

REPEATS: Final = 3
STALE_BY: Final = timedelta(minutes=10)
_TILL_DOWN: Final = "status:503"
_FRAMING: Final = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """What went out beside one request that the till recorded. `differs_at` counts bytes from 1; None: alike."""

    recorded: TillRequest
    sent_bytes: int
    got_bytes: int
    differs_at: int | None
    headers_alike: int
    headers_sent: int
    method_alike: bool

    @property
    def is_identical(self) -> bool:
        """Whether method, body and every header came as they went."""
        return self.differs_at is None and self.headers_alike == self.headers_sent and self.method_alike


def play(
    runtime: Runtime, desk: Desk, kind: Kind, channel: LiveChannel, guest: str, amount_fen: int, base_url: str
) -> Exchange:
    """Press a button. Raises Refused: `nothing_to_repeat` (409) where a payment must come first, `no_platform`."""
    slug, now = channel.spec.slug, runtime.clock()
    last = desk.last_payment(slug, guest)
    seen = sandbox.till_requests(channel) or ()
    after = seen[-1].number if seen else 0
    refund_fen = 0
    if kind in {"repeat", "refund"}:
        if last is None:
            raise Refused("nothing_to_repeat", 409)
        order = order_of(last)
        raw = raw_of(last, now)
        if kind == "refund":
            refund_fen = order.amount_fen
            raw = sandbox.make_refund(runtime, slug, order, refund_fen=refund_fen, now=now)
    else:
        sent_at = now - STALE_BY if kind == "stale" else now
        raw, order = sandbox.make_payment(
            runtime, slug, openid=openid_of(guest), amount_fen=amount_fen, now=now, sent_at=sent_at
        )
        if kind == "bad_signature":
            raw = sandbox.with_bad_signature(raw)
    begun = time.monotonic()
    statuses = _send(channel, raw, f"{base_url}/notify/{slug}", kind)
    return exchange_of(
        kind,
        slug,
        guest,
        order,
        raw,
        now,
        statuses=statuses,
        ms=int((time.monotonic() - begun) * 1000),
        till_after=after,
        refund_fen=refund_fen,
    )


def _send(channel: LiveChannel, raw: RawNotification, url: str, kind: Kind) -> list[int]:
    if kind == "down":
        sandbox.set_till_mode(channel, _TILL_DOWN)
        try:
            first = _status(raw, url)
        finally:
            sandbox.set_till_mode(channel, "ok")
        # The till is back, and the platform sends again, as it does after anything but a success.
        return [first, _status(raw, url)]
    return [_status(raw, url) for _ in range(REPEATS if kind == "repeat" else 1)]


def _status(raw: RawNotification, url: str) -> int:
    try:
        return sandbox.post(raw, url).status_code
    except requests.RequestException:
        return 0


def at_the_till(channel: LiveChannel, exchange: Exchange) -> Sequence[Comparison] | None:
    """What the till recorded of an exchange, oldest first; None where no sandbox till answers."""
    recorded = sandbox.till_requests(channel, exchange.till_after)
    if recorded is None:
        return None
    # Other guests pay at the same till; where nothing has our bytes, the newest record shows what differs.
    same = [one for one in recorded if one.body_sha256 == exchange.sha256] or list(recorded[-1:])
    return [compare(exchange.headers, exchange.body, one) for one in same[-REPEATS:]]


def compare(headers: Sequence[tuple[str, str]], body: bytes, recorded: TillRequest) -> Comparison:
    """Pure: `headers` and `body` as they went out beside what was recorded; framing belongs to each hop itself."""
    got = base64.b64decode(recorded.body_base64)
    wanted = [(name.lower(), value) for name, value in headers if name.lower() not in _FRAMING]
    came = [(name.lower(), value) for name, value in recorded.headers]
    return Comparison(
        recorded=recorded,
        sent_bytes=len(body),
        got_bytes=len(got),
        differs_at=first_difference(body, got),
        headers_alike=sum(pair in came for pair in wanted),
        headers_sent=len(wanted),
        method_alike=recorded.method == "POST",
    )


def first_difference(one: bytes, other: bytes) -> int | None:
    """Pure: the first byte, counted from 1, at which two texts differ; None for equal ones."""
    if one == other:
        return None
    alike = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    return (min(len(one), len(other)) if alike is None else alike) + 1


def became_of(runtime: Runtime, exchange: Exchange) -> str:
    """The reason of the last word on a payment's link, `first_payment` for a tagging one; "" where none is known."""

    def ask(tx: Tx) -> Row | None:
        return tx.one(
            "SELECT decisions FROM payments WHERE transaction_id = :id AND channel = :channel",
            {"id": exchange.order["transaction_id"], "channel": exchange.channel},
        )

    row = runtime.store.read(ask)
    if row is None:
        return ""
    decisions = {one["rule"]: one for one in json.loads(row["decisions"])}
    chosen = decisions.get("payer_link") or decisions.get("tag") or {}
    return str(chosen.get("reason", ""))


def persons_of(tx: Tx, runtime: Runtime, directory: Directory, guest: str) -> list[people.Person]:
    """The persons that a guest is: one for each app that his payments named him to."""
    found: dict[str, people.Person] = {}
    vault = runtime.vault()
    for channel in directory.channels():
        if not channel.spec.sandbox:
            continue
        payer = payer_of(channel, openid_of(guest))
        person = people.find(tx, vault, channel.provider, payer.app_id, payer.value)
        if person is not None:
            found[person.id] = person
    return list(found.values())


def visible(body: bytes) -> str:
    """Bytes as text to look at: control characters and what is no UTF-8 are shown as escapes."""
    text = body.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
