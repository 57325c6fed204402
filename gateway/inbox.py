"""What came in: a row for every request, and one payment or refund for every event, however often it is told (R009)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Literal

import orjson

from gateway.contract.adapter import RawNotification
from gateway.contract.campaign import Verdict
from gateway.contract.clock import to_text
from gateway.contract.events import PaymentEvent, RefundEvent
from gateway.contract.jsontext import json_text
from gateway.contract.store import Row, Tx
from gateway.tagging import Standing

DeliveryOutcome = Literal["processed", "seen", "ignored", "refused"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request as it is kept: its digest in clear, itself sealed. Made before the transaction."""

    id: str
    channel: str
    received_at: datetime
    digest: bytes
    sealed: bytes | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a payment happened."""

    channel: str
    circle: str
    merchant: str
    shop: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """One rule's word on one payment; `reason` is stable and documented."""

    rule: str
    outcome: Literal["done", "skipped", "refused"]
    reason: str

    def as_json(self) -> dict[str, str]:
        """As the API shows it."""
        return {"rule": self.rule, "outcome": self.outcome, "reason": self.reason}


def record_delivery(
    tx: Tx, delivery: Delivery, outcome: DeliveryOutcome, *, reason: str | None = None, payment: str | None = None
) -> bool:
    """Write the request down; False when this very delivery was written before (a spool replay)."""
    return bool(
        tx.run(
            "INSERT INTO deliveries (id, channel, received_at, outcome, reason, payment, digest, sealed) "
            "VALUES (:id, :channel, :received_at, :outcome, :reason, :payment, :digest, :sealed) "
            "ON CONFLICT (id) DO NOTHING",
            {
                "id": delivery.id,
                "channel": delivery.channel,
                "received_at": to_text(delivery.received_at),
                "outcome": outcome,
                "reason": reason,
                "payment": payment,
                "digest": delivery.digest,
                "sealed": delivery.sealed,
            },
        )
    )


def lock_transaction(tx: Tx, transaction_id: str) -> None:
    """Everything that concerns one transaction number follows each other: payment, refunds, redemptions on it."""
    tx.lock(f"transaction:{transaction_id}")


@dataclass(frozen=True, slots=True)
class Met:
    """What the store already holds about a payment's number: the payment itself, refunds or redemptions before it."""

    payment: str | None = None
    refunds_wait: bool = False
    redemptions_wait: bool = False


def met(tx: Tx, event: PaymentEvent) -> Met:
    """One look for all that a payment may meet; for most payments there is nothing."""
    rows = tx.all(
        "SELECT 'payment' AS what, id FROM payments "
        "WHERE transaction_id = :transaction AND provider = :provider AND mch_id = :mch "
        "UNION ALL SELECT 'refund', id FROM refunds "
        "WHERE transaction_id = :transaction AND provider = :provider AND mch_id = :mch AND state = 'waiting' "
        "UNION ALL SELECT 'redemption', id FROM redemptions WHERE transaction_id = :transaction AND payment IS NULL",
        {"transaction": event.transaction_id, "provider": event.provider, "mch": event.mch_id},
    )
    if not rows:
        return _NOTHING_MET
    found = {row["what"]: str(row["id"]) for row in rows}
    return Met(found.get("payment"), "refund" in found, "redemption" in found)


_NOTHING_MET: Final = Met()


def link_redemptions(tx: Tx, payment: str, transaction_id: str, merchant: str) -> None:
    """Redemptions of this merchant's coupons that named the number before its payment came (R060)."""
    tx.run(
        "UPDATE redemptions SET payment = :payment WHERE transaction_id = :transaction AND payment IS NULL "
        "AND EXISTS (SELECT 1 FROM coupons c WHERE c.code = redemptions.coupon AND c.merchant = :merchant)",
        {"payment": payment, "transaction": transaction_id, "merchant": merchant},
    )


def find_payment(tx: Tx, provider: str, mch_id: str, transaction_id: str) -> Row | None:
    """The payment that this event key names."""
    return tx.one(
        "SELECT * FROM payments WHERE transaction_id = :transaction AND provider = :provider AND mch_id = :mch",
        {"transaction": transaction_id, "provider": provider, "mch": mch_id},
    )


def record_payment(
    tx: Tx,
    id_: str,
    event: PaymentEvent,
    place: Place,
    *,
    received_at: datetime,
    person: str | None,
    before: Standing,
    after: Standing,
    decisions: Sequence[Decision],
) -> None:
    """Write a payment with everything that was decided about it. The unique index refuses a second one."""
    source = after.source or before.source
    tx.run(
        "INSERT INTO payments (id, provider, mch_id, sub_mch_id, transaction_id, out_trade_no, channel, circle, "
        "merchant, shop, amount_fen, payer_total_fen, currency, trade_type, device_id, paid_at, received_at, person, "
        "tag_before, tag_after, tag_source, decisions) "
        "VALUES (:id, :provider, :mch_id, :sub_mch_id, :transaction_id, :out_trade_no, :channel, :circle, "
        ":merchant, :shop, :amount_fen, :payer_total_fen, :currency, :trade_type, :device_id, :paid_at, :received_at, "
        ":person, :tag_before, :tag_after, :tag_source, :decisions)",
        {
            "id": id_,
            "provider": event.provider,
            "mch_id": event.mch_id,
            "sub_mch_id": event.sub_mch_id,
            "transaction_id": event.transaction_id,
            "out_trade_no": event.out_trade_no,
            "channel": place.channel,
            "circle": place.circle,
            "merchant": place.merchant,
            "shop": place.shop,
            "amount_fen": event.amount_fen,
            "payer_total_fen": event.payer_total_fen,
            "currency": event.currency,
            "trade_type": event.trade_type,
            "device_id": event.device_id,
            "paid_at": to_text(event.paid_at),
            "received_at": to_text(received_at),
            "person": person,
            "tag_before": before.state,
            "tag_after": after.state,
            "tag_source": json_text(source.as_json()) if source is not None else None,
            "decisions": json_text([decision.as_json() for decision in decisions]),
        },
    )


def of_campaign(slug: str, verdict: Verdict) -> Decision:
    """What a campaign made of a payment, as it stands among the payment's decisions."""
    return Decision(f"campaign:{slug}", verdict.outcome, verdict.reason)


def add_decisions(tx: Tx, payment: Row, decisions: Sequence[Decision]) -> None:
    """Append to what was decided about a payment."""
    row = tx.one("SELECT decisions FROM payments WHERE id = :id", {"id": payment["id"]})
    known = orjson.loads(row["decisions"] if row is not None else payment["decisions"])
    tx.run(
        "UPDATE payments SET decisions = :decisions WHERE id = :id",
        {"decisions": json_text([*known, *(decision.as_json() for decision in decisions)]), "id": payment["id"]},
    )


def find_refund(tx: Tx, event: RefundEvent) -> Row | None:
    """The refund that this event key names."""
    return tx.one(
        "SELECT * FROM refunds WHERE transaction_id = :transaction AND provider = :provider AND mch_id = :mch "
        "AND refund_no = :refund",
        {
            "transaction": event.transaction_id,
            "provider": event.provider,
            "mch": event.mch_id,
            "refund": event.refund_id,
        },
    )


def waiting_refunds(tx: Tx, event: PaymentEvent) -> list[Row]:
    """Refunds of this payment that were told before it (R015)."""
    return tx.all(
        "SELECT * FROM refunds WHERE transaction_id = :transaction AND provider = :provider AND mch_id = :mch "
        "AND state = 'waiting' ORDER BY id",
        {"transaction": event.transaction_id, "provider": event.provider, "mch": event.mch_id},
    )


def record_refund(
    tx: Tx, id_: str, event: RefundEvent, *, received_at: datetime, payment: str | None, state: str
) -> None:
    """Write a refund; `state` is applied, waiting (its payment has not come) or excess."""
    tx.run(
        "INSERT INTO refunds (id, provider, mch_id, transaction_id, refund_no, refund_fen, refunded_total_fen, "
        "refunded_at, received_at, payment, state) "
        "VALUES (:id, :provider, :mch_id, :transaction_id, :refund_no, :refund_fen, :refunded_total_fen, "
        ":refunded_at, :received_at, :payment, :state)",
        {
            "id": id_,
            "provider": event.provider,
            "mch_id": event.mch_id,
            "transaction_id": event.transaction_id,
            "refund_no": event.refund_id,
            "refund_fen": event.refund_fen,
            "refunded_total_fen": event.refunded_total_fen,
            "refunded_at": to_text(event.refunded_at),
            "received_at": to_text(received_at),
            "payment": payment,
            "state": state,
        },
    )


def settle_refund(tx: Tx, refund_id: str, payment: str, state: str) -> None:
    """A waiting refund has met its payment."""
    tx.run(
        "UPDATE refunds SET payment = :payment, state = :state WHERE id = :id",
        {"payment": payment, "state": state, "id": refund_id},
    )


def record_relay(tx: Tx, row: Mapping[str, Any]) -> None:
    """One try to hand a delivery to the POS. `row`: id, delivery, payment, channel, at, outcome, status, ms, replay."""
    tx.run(
        "INSERT INTO relay_attempts (id, delivery, payment, channel, at, outcome, status, ms, replay) "
        "VALUES (:id, :delivery, :payment, :channel, :at, :outcome, :status, :ms, :replay)",
        row,
    )
    if row["payment"] is not None:
        tx.run(
            "UPDATE payments SET relay_state = :state, relay_status = :status, relay_attempts = relay_attempts + 1 "
            "WHERE id = :payment",
            {
                "state": "answered" if row["outcome"] == "answered" else "failed",
                "status": row["status"],
                "payment": row["payment"],
            },
        )


def digest_of(body: bytes) -> bytes:
    """SHA-256 of a body: what of a request is kept in clear."""
    return sha256(body).digest()


def pack(raw: RawNotification, query: str | None) -> bytes:
    """A request as bytes, to be sealed; `unpack` is the inverse."""
    head = orjson.dumps([raw.method, raw.path_tail, query, raw.headers, raw.received_at])
    return len(head).to_bytes(4, "big") + head + raw.body


def unpack(packed: bytes) -> tuple[RawNotification, str | None]:
    """(the request that was packed, its query), body and headers as they came."""
    size = int.from_bytes(packed[:4], "big")
    method, tail, query, headers, received_at = orjson.loads(packed[4 : 4 + size])
    pairs = tuple((str(name), str(value)) for name, value in headers)
    return RawNotification(method, tail, pairs, packed[4 + size :], datetime.fromisoformat(received_at)), query
