"""The sandbox from the payers' side: pays at a sandbox channel as its platform would, and asks the sandbox till.

Every notification is signed and encrypted by the channel's own sandbox platform with the keys that lie in the home,
and goes over real HTTP; nothing here can reach a channel that is not marked `sandbox`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from gateway.catalog.channel_rules import keys_table
from gateway.catalog.directory import LiveChannel
from gateway.contract.adapter import Platform, RawNotification, SandboxOrder, SandboxRefund
from gateway.contract.errors import Refused
from gateway.contract.wallet import TwinEvent
from gateway.runtime import Runtime

PLATFORM_PATIENCE_S: Final = 8.0
"""Longer than our own bound on the relay, so that the gateway's answer is seen and not our impatience."""

_TILL_PATIENCE_S: Final = 2.0
_NONCE_BYTES: Final = 16
_DIGIT: Final = re.compile(rb"[0-9]")


@dataclass(frozen=True, slots=True)
class TillRequest:
    """One request as the sandbox till recorded it; headers in order, `number` counted from 1."""

    number: int
    at: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body_base64: str
    body_sha256: str


def make_payment(
    runtime: Runtime,
    channel_slug: str,
    *,
    openid: str,
    amount_fen: int,
    now: datetime,
    sent_at: datetime | None = None,
) -> tuple[RawNotification, SandboxOrder]:
    """A new payment by `openid` and the notification that tells of it; `sent_at` (default `now`) is its signed time.

    Raises Refused: `not_found` 404 for a channel that is no sandbox channel, `no_platform` 409 where nothing signs.
    """
    channel = sandbox_channel(runtime, channel_slug)
    number = int.from_bytes(runtime.random(8), "big") % 10**16
    order = SandboxOrder(
        openid=openid,
        amount_fen=amount_fen,
        # 28 digits that begin like WeChat Pay's own (4200…); Alipay's trade numbers have the same length.
        transaction_id=f"4200{now:%Y%m%d}{number:016d}",
        out_trade_no=f"T{now:%Y%m%d%H%M%S}{number % 10**8:08d}",
        paid_at=now,
        sent_at=sent_at or now,
        nonce=runtime.random(_NONCE_BYTES).hex(),
    )
    return _payment(runtime, channel, order), order


def make_refund(
    runtime: Runtime,
    channel_slug: str,
    order: SandboxOrder,
    *,
    refund_fen: int,
    now: datetime,
    refunded_before_fen: int = 0,
) -> RawNotification:
    """The notification that `refund_fen` of `order` was given back. Raises Refused as `make_payment` does."""
    channel = sandbox_channel(runtime, channel_slug)
    refund = SandboxRefund(
        order=order,
        refund_id=f"5030{now:%Y%m%d}{int.from_bytes(runtime.random(8), 'big') % 10**16:016d}",
        refund_fen=refund_fen,
        refunded_total_fen=refunded_before_fen + refund_fen,
        refunded_at=now,
        sent_at=now,
        nonce=runtime.random(_NONCE_BYTES).hex(),
    )
    platform, private = _platform(runtime, channel)
    return platform.refund(private, keys_table(channel.spec), refund)


def notification_of(runtime: Runtime, channel: LiveChannel, event: TwinEvent, now: datetime) -> RawNotification:
    """What the channel's platform sends when its wallet's twin has been paid or has given back.

    Raises Refused `no_platform` 409 where nothing signs.
    """
    platform, private = _platform(runtime, channel)
    order = SandboxOrder(
        openid=event.openid,
        amount_fen=event.amount_fen,
        transaction_id=event.transaction_id,
        out_trade_no=event.out_trade_no,
        paid_at=now,
        sent_at=now,
        nonce=runtime.random(_NONCE_BYTES).hex(),
    )
    if event.kind == "payment":
        return platform.payment(private, keys_table(channel.spec), order)
    refund = SandboxRefund(
        order=order,
        # Of our own number, so that one refund told twice has one id.
        refund_id=f"5030{int.from_bytes(sha256(event.refund_no.encode()).digest()[:8], 'big') % 10**24:024d}",
        refund_fen=event.refund_fen,
        refunded_total_fen=event.refunded_total_fen,
        refunded_at=now,
        sent_at=now,
        nonce=runtime.random(_NONCE_BYTES).hex(),
    )
    return platform.refund(private, keys_table(channel.spec), refund)


def with_bad_signature(raw: RawNotification) -> RawNotification:
    """The same notification with one digit of its body changed after it was signed."""
    middle = len(raw.body) // 2
    found = _DIGIT.search(raw.body, middle) or _DIGIT.search(raw.body)
    place = found.start() if found is not None else middle
    other = b"1" if raw.body[place : place + 1] != b"1" else b"2"
    return replace(raw, body=raw.body[:place] + other + raw.body[place + 1 :])


def post(raw: RawNotification, url: str, *, timeout_s: float = PLATFORM_PATIENCE_S) -> requests.Response:
    """Send a notification to `url` with exactly its own body and headers. Raises requests.RequestException.

    No proxy of the environment, no redirect, no header of the client library's own choice but the framing.
    """
    with requests.Session() as session:
        session.trust_env = False
        session.headers.clear()
        request = requests.Request(raw.method, url + raw.path_tail, headers=dict(raw.headers), data=raw.body)
        return session.send(session.prepare_request(request), timeout=timeout_s, allow_redirects=False)


def sandbox_channel(runtime: Runtime, slug: str) -> LiveChannel:
    """The sandbox channel of that name. Raises Refused `not_found` (404) for any other."""
    channel = runtime.directory().channel(slug)
    if channel is None or not channel.spec.sandbox:
        raise Refused("not_found", 404, "no such sandbox channel")
    return channel


def till_requests(channel: LiveChannel, after: int = 0) -> Sequence[TillRequest] | None:
    """What the sandbox till behind `channel` recorded, oldest first; None where no sandbox till answers."""
    found = _ask_till("GET", channel, f"/_sandbox/requests?after={after}")
    try:
        return [_recorded(entry) for entry in found["requests"]] if found is not None else None
    except (KeyError, TypeError, ValueError):
        return None


def set_till_mode(channel: LiveChannel, mode: str) -> bool:
    """Tell the sandbox till how to behave (`ok`, `status:503`, …); whether it took it."""
    return _ask_till("POST", channel, "/_sandbox/mode", {"mode": mode}) is not None


def _payment(runtime: Runtime, channel: LiveChannel, order: SandboxOrder) -> RawNotification:
    platform, private = _platform(runtime, channel)
    return platform.payment(private, keys_table(channel.spec), order)


def _platform(runtime: Runtime, channel: LiveChannel) -> tuple[Platform, Mapping[str, str]]:
    platform = runtime.registry.platforms.get(channel.spec.adapter)
    made = runtime.home.sandbox_keys(channel.spec.slug)
    if platform is None or made is None or made.adapter != channel.spec.adapter:
        raise Refused("no_platform", 409, "no sandbox platform signs for this channel; apply its file again")
    return platform, made.private


def _ask_till(method: str, channel: LiveChannel, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """The till's JSON answer; None where there is no till, no answer, or one that is not JSON with a 200."""
    parts = urlsplit(channel.upstream)
    if not parts.netloc:
        return None
    try:
        with requests.Session() as session:
            session.trust_env = False
            url = f"{parts.scheme}://{parts.netloc}{path}"
            answer = session.request(method, url, json=body, timeout=_TILL_PATIENCE_S, allow_redirects=False)
            return answer.json() if answer.ok else None
    except (requests.RequestException, ValueError):
        return None


def _recorded(entry: Mapping[str, Any]) -> TillRequest:
    return TillRequest(
        number=int(entry["n"]),
        at=str(entry["at"]),
        method=str(entry["method"]),
        target=str(entry["target"]),
        headers=tuple((str(name), str(value)) for name, value in entry["headers"]),
        body_base64=str(entry["body_base64"]),
        body_sha256=str(entry["body_sha256"]),
    )
