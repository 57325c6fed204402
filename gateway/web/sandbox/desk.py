"""What the sandbox page remembers: its guests and newest exchanges, in one file of the home that all workers share."""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from gateway.contract.adapter import RawNotification, SandboxOrder
from gateway.contract.clock import from_text, to_text
from gateway.home import Home, write_private

KEPT: Final = 20
GUESTS: Final = tuple(string.ascii_uppercase)
_FIRST_GUESTS: Final = 3
_FILE: Final = "sandbox.json"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One press of a button: what went out, how often, and what the platform was answered.

    `statuses` are our answers in order, 0 where none came; `till_after` is the till's last number before it.
    """

    at: str
    kind: str
    channel: str
    guest: str
    order: dict[str, Any]
    headers: tuple[tuple[str, str], ...]
    body_base64: str
    statuses: tuple[int, ...]
    ms: int
    till_after: int
    refund_fen: int = 0

    @property
    def body(self) -> bytes:
        """The bytes that went out."""
        return base64.b64decode(self.body_base64)

    @property
    def sha256(self) -> str:
        """Their SHA-256, as the till's record gives it."""
        return sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything remembered. `exchanges` newest first."""

    guests: int = _FIRST_GUESTS
    exchanges: tuple[Exchange, ...] = ()

    @property
    def names(self) -> Sequence[str]:
        """The guests' letters."""
        return GUESTS[: self.guests]

    def with_guest(self) -> Desk:
        """One guest more, as long as there are letters."""
        return replace(self, guests=min(self.guests + 1, len(GUESTS)))

    def with_exchange(self, exchange: Exchange) -> Desk:
        """With the newest exchange; the oldest goes."""
        return replace(self, exchanges=(exchange, *self.exchanges)[:KEPT])

    def last_channel(self, guest: str) -> str:
        """Where the guest did anything last; "" for nowhere."""
        return next((one.channel for one in self.exchanges if one.guest == guest), "")

    def last_payment(self, channel: str, guest: str) -> Exchange | None:
        """The guest's newest payment there that was signed rightly."""
        return next(
            (
                one
                for one in self.exchanges
                if (one.channel, one.guest) == (channel, guest) and one.kind in {"pay", "down"}
            ),
            None,
        )


def openid_of(guest: str) -> str:
    """The openid by which a guest pays, the same at every channel."""
    return f"sandbox-guest-{guest}"


def exchange_of(
    kind: str,
    channel: str,
    guest: str,
    order: SandboxOrder,
    raw: RawNotification,
    now: datetime,
    *,
    statuses: Sequence[int],
    ms: int,
    till_after: int,
    refund_fen: int = 0,
) -> Exchange:
    """What happened, as it is remembered."""
    kept = {**asdict(order), "paid_at": to_text(order.paid_at), "sent_at": to_text(order.sent_at)}
    body = base64.b64encode(raw.body).decode("ascii")
    return Exchange(
        to_text(now), kind, channel, guest, kept, raw.headers, body, tuple(statuses), ms, till_after, refund_fen
    )


def order_of(exchange: Exchange) -> SandboxOrder:
    """The order that an exchange told of."""
    kept = exchange.order
    times = {name: from_text(kept[name]) for name in ("paid_at", "sent_at")}
    return SandboxOrder(**{**kept, **times})


def raw_of(exchange: Exchange, now: datetime) -> RawNotification:
    """The notification that went out, byte for byte."""
    return RawNotification("POST", "", exchange.headers, exchange.body, now)


def read_desk(home: Home) -> Desk:
    """What is remembered; a fresh desk where there is nothing, or nothing that can be read."""
    try:
        found = json.loads(_path(home).read_bytes())
        exchanges = tuple(
            Exchange(
                **{
                    **one,
                    "headers": tuple((str(name), str(value)) for name, value in one["headers"]),
                    "statuses": tuple(one["statuses"]),
                }
            )
            for one in found["exchanges"]
        )
        return Desk(max(_FIRST_GUESTS, min(int(found["guests"]), len(GUESTS))), exchanges)
    except (OSError, ValueError, KeyError, TypeError):
        return Desk()


def keep_desk(home: Home, desk: Desk) -> None:
    """Remember; of two at once the later stays, which the sandbox can bear. Raises OSError."""
    home.run_dir.mkdir(parents=True, exist_ok=True)
    write_private(_path(home), json.dumps(asdict(desk)).encode(), replace=True)


def _path(home: Home) -> Path:
    return home.run_dir / _FILE
