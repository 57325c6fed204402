"""Proving a channel: that its keys open what the platform would seal, that its address and its POS answer.

What can be proven without the platform is told as such: a sample of ours, sealed with the merchant's own key, opens;
whether the platform holds the same key is proven by its first notification, and by nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

import requests

from gateway import inbox
from gateway.catalog.channel_rules import keys_table
from gateway.catalog.directory import LiveChannel
from gateway.contract.adapter import RawNotification, SandboxOrder
from gateway.contract.clock import from_text
from gateway.contract.errors import BadConfig, BadNotification, Refused
from gateway.contract.events import PaymentEvent
from gateway.contract.store import Row, Tx
from gateway.relay import Answer, Guard, Hop, Relay, RelayFailed, Upstream
from gateway.runtime import Runtime
from gateway.setup import checks

PATIENCE_S: Final = 8.0
SLACK: Final = timedelta(minutes=2)
"""A clock may differ by this much before it is said; WeChat Pay v3 refuses five minutes."""

_TEST_OPENID: Final = "drainage-test-payer"
_TELLING: Final = ("undecryptable", "unknown_key", "bad_signature", "stale_timestamp")


@dataclass(frozen=True, slots=True)
class Seen:
    """What the platform itself has told about a channel: its newest genuine payment, the newest telling refusal."""

    payment: datetime | None
    amount_fen: int
    refused: str | None
    refused_at: datetime | None
    clock_off_s: int | None


def run_self_test(runtime: Runtime, channel: LiveChannel, now: datetime, by: str) -> str:
    """Check ①: make a sample in the platform's shape with the channel's own key, and open it; the check's id.

    Raises Refused `too_many` (429).
    """
    state, facts = _opens(runtime, channel, now)
    return runtime.store.write(
        lambda tx: checks.begin(tx, runtime.ids, now, channel.spec.slug, "self", state, by, facts)
    )


def _opens(runtime: Runtime, channel: LiveChannel, now: datetime) -> tuple[str, dict[str, Any]]:  # noqa: PLR0911
    adapter = runtime.registry.adapters.get(channel.spec.adapter)
    if adapter is None:
        return "failed", {"why": "adapter"}
    table = keys_table(channel.spec)
    try:
        adapter.load_keys(table)
    except BadConfig as fault:
        return "failed", {"why": "keys", "fields": sorted({path.partition(".")[0] for path, _ in fault.faults})}
    except Exception as error:  # noqa: BLE001 - a third party's adapter; its text may hold a key, so it is not told
        return "failed", {"why": "keys", "fields": [], "error": type(error).__name__}
    if channel.spec.adapter not in runtime.registry.platforms:
        return "ok", {"sample": False}
    try:
        raw, trusting = _sample(runtime, channel, now, own_keys=True)
        event = adapter.parse(raw, adapter.load_keys(trusting), now)
    except (BadNotification, BadConfig, ValueError, KeyError) as error:
        return "failed", {"why": "sample", "error": getattr(error, "reason", type(error).__name__)}
    if not isinstance(event, PaymentEvent):
        return "failed", {"why": "merchant"}
    return "ok", {"sample": True}


def _sample(
    runtime: Runtime, channel: LiveChannel, now: datetime, *, own_keys: bool
) -> tuple[RawNotification, Mapping[str, Any]]:
    """(a notification of one fen in the platform's shape, the keys table that trusts who signed it).

    A sandbox channel's is signed by its platform, and so genuine. Any other's is signed with a key made for it, which
    no real POS trusts: it can never be booked as a payment. With `own_keys` it is sealed with the merchant's key.
    """
    platform = runtime.registry.platforms[channel.spec.adapter]
    table = dict(keys_table(channel.spec))
    made = runtime.home.sandbox_keys(channel.spec.slug) if channel.spec.sandbox else None
    number = int.from_bytes(runtime.random(8), "big") % 10**12
    order = SandboxOrder(
        openid=_TEST_OPENID,
        amount_fen=1,
        transaction_id=f"0000{now:%Y%m%d}TEST{number:012d}",
        out_trade_no=f"TEST{now:%Y%m%d%H%M%S}{number % 10**8:08d}",
        paid_at=now,
        sent_at=now,
        nonce=runtime.random(16).hex(),
    )
    if made is not None and made.adapter == channel.spec.adapter:
        return platform.payment(made.private, table, order), table
    private, trusted = platform.new_keys()
    if own_keys:
        trusting = {**table, **{name: _joined(table[name], trusted[name]) for name in trusted if name in table}}
        trusting |= {name: value for name, value in trusted.items() if name not in table and _is_signers(value)}
        return platform.payment(private, trusting, order), trusting
    # The merchant's names with a stranger's secrets: what WeChat Pay v2 signs with must not be the real key.
    names = {name: value for name, value in table.items() if isinstance(value, str) and name in _NAMES}
    dropped = ("mchid", "appid") if "sp_mchid" in names else ()
    forged = {**{name: value for name, value in trusted.items() if name not in dropped}, **names}
    return platform.payment(private, forged, order), forged


_NAMES: Final = frozenset({"mchid", "appid", "sp_mchid", "sp_appid", "sub_mchid", "sub_appid", "app_id", "seller_id"})


def _is_signers(value: Any) -> bool:
    return isinstance(value, (Mapping, list))


def _joined(own: Any, added: Any) -> Any:
    """Signers' keys of both; of anything else the merchant's own."""
    if isinstance(own, Mapping) and isinstance(added, Mapping):
        return {**own, **added}
    if isinstance(own, (list, tuple)) and isinstance(added, (list, tuple)):
        return [*own, *added]
    return own


def send_test(runtime: Runtime, channel: LiveChannel, now: datetime, by: str) -> str:
    """Check ②: a marked notification to the channel's own address over the real way; the check's id.

    It comes back through the intake, which notes its arrival and the POS's answer. Where our own address cannot be
    reached from here, the POS is asked directly, so that one fault does not hide the other. Raises Refused
    `too_many` (429).
    """
    slug = channel.spec.slug
    if channel.spec.adapter in runtime.registry.platforms:
        raw, _ = _sample(runtime, channel, now, own_keys=False)
    else:
        raw = RawNotification("POST", "", (("Content-Type", "text/plain"),), b"drainage test notification", now)
    facts = {"sent": inbox.digest_of(raw.body).hex(), "bytes": len(raw.body), "relays": bool(channel.upstream)}
    id_ = runtime.store.write(lambda tx: checks.begin(tx, runtime.ids, now, slug, "notice", "sent", by, facts))
    token = checks.mark(runtime.keyring.test_key(), id_, slug, raw.body)
    raw = replace(raw, headers=(*raw.headers, (checks.HEADER, token)))
    try:
        _post(raw, f"{runtime.base_url}/notify/{slug}")
    except requests.RequestException as error:
        unreached = type(error).__name__
    else:
        unreached = "not_ours"
    check = runtime.store.read(lambda tx: checks.latest(tx, slug, "notice"))
    if check is not None and check.id == id_ and check.state != "sent":
        return id_
    told = pass_on(Relay(Guard(runtime.config.relay.allow)), channel, raw, now) if channel.upstream else {}
    runtime.store.write(lambda tx: checks.settle(tx, id_, "failed", unreached=unreached, **told))
    return id_


def pass_on(relay: Relay, channel: LiveChannel, raw: RawNotification, now: datetime) -> dict[str, Any]:
    """Hand a test to the POS; the facts of it."""
    try:
        answer = forward(relay, channel, raw, Hop())
    except (RelayFailed, Refused) as failed:
        return failure_facts(failed)
    return answer_facts(answer, raw, now)


def forward(relay: Relay, channel: LiveChannel, raw: RawNotification, hop: Hop) -> Answer:
    """Hand a test to the POS as any notification, with no say in its breaker. Raises RelayFailed, Refused."""
    upstream = Upstream.of(channel.spec.slug, channel.upstream, channel.spec.timeout_ms)
    return relay.forward(upstream, raw, hop=hop, verified=False)


def answer_facts(answer: Answer, raw: RawNotification, now: datetime) -> dict[str, Any]:
    """What the POS's answer tells: status, time, the digest of what it was sent, how far its clock is from ours."""
    return {
        "status": answer.status,
        "ms": answer.ms,
        "gone": inbox.digest_of(raw.body).hex(),
        "clock_off_s": _clock_off(answer, now),
    }


def failure_facts(failed: RelayFailed | Refused) -> dict[str, Any]:
    """Why there was no answer."""
    return {"relay": failed.kind if isinstance(failed, RelayFailed) else failed.code}


def _clock_off(answer: Answer, now: datetime) -> int | None:
    """How many seconds our clock is ahead of the POS's, by its Date header (RFC 9110 section 6.6.1)."""
    told = [value for name, value in answer.headers if name.lower() == "date"]
    try:
        at = parsedate_to_datetime(told[0]) if len(told) == 1 else None
    except (ValueError, TypeError):
        return None
    return int((now - at).total_seconds()) if at is not None and at.tzinfo is not None else None


def what_was_seen(tx: Tx, runtime: Runtime, channel: LiveChannel, since: datetime | None) -> Seen:
    """Check ③ and what the platform's own notifications prove; refusals only of after `since` (the last change)."""
    spec = channel.spec
    newest: Row | None = None
    for merchant in sorted({spec.merchant, *spec.sub_merchants.values()}):
        row = tx.one(
            "SELECT id, received_at, amount_fen FROM payments WHERE merchant = :merchant AND channel = :channel "
            "ORDER BY id DESC LIMIT 1",
            {"merchant": merchant, "channel": spec.slug},
        )
        if row is not None and (newest is None or row["id"] > newest["id"]):
            newest = row
    refused = next(
        (
            row
            for row in tx.all(
                "SELECT id, reason, received_at, sealed FROM deliveries WHERE channel = :channel "
                "AND outcome = 'refused' ORDER BY id DESC LIMIT 20",
                {"channel": spec.slug},
            )
            if row["reason"] in _TELLING
        ),
        None,
    )
    payment = from_text(newest["received_at"]) if newest is not None else None
    if refused is not None:
        at = from_text(refused["received_at"])
        # A key that was mended, or a payment that came since: the old refusal tells nothing any more.
        if (since is not None and at < since) or (payment is not None and payment >= at):
            refused = None
    return Seen(
        payment,
        int(newest["amount_fen"]) if newest is not None else 0,
        refused["reason"] if refused is not None else None,
        from_text(refused["received_at"]) if refused is not None else None,
        _stale_by(runtime, refused) if refused is not None and refused["reason"] == "stale_timestamp" else None,
    )


def _stale_by(runtime: Runtime, row: Row) -> int | None:
    """How many seconds our clock was ahead of the time that WeChat Pay v3 wrote into the notification."""
    if row["sealed"] is None:
        return None
    raw, _ = inbox.unpack(runtime.keyring.open(bytes(row["sealed"]), row["id"].encode()))
    try:
        told = raw.header("Wechatpay-Timestamp") or ""
        return int(raw.received_at.timestamp()) - int(told)
    except ValueError:
        return None


def _post(raw: RawNotification, url: str) -> None:
    """Send a notification with exactly its own body and headers: no proxy of the environment, no redirect."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers.clear()
        request = requests.Request(raw.method, url, headers=dict(raw.headers), data=raw.body)
        session.send(session.prepare_request(request), timeout=PATIENCE_S, allow_redirects=False).close()
