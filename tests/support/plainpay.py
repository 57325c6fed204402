"""A small payment platform and its adapter: JSON signed with HMAC-SHA256. For tests of what comes after an adapter."""

from __future__ import annotations

import hmac
import json
from datetime import datetime

from gateway.contract import (
    Ack,
    BadConfig,
    BadSignature,
    Fen,
    Ignored,
    Malformed,
    Payer,
    PaymentEvent,
    RawNotification,
    RefundEvent,
)
from gateway.contract.clock import from_text, to_text

_STATUS = {"accepted": 200, "refused": 401, "try_later": 503}


class Plainpay:
    """An adapter as a third party would ship it. Keys: `mchid`, `appid`, `secret`."""

    slug = "plainpay"

    def __init__(self, slug: str = "plainpay", stale_after_s: int | None = None) -> None:
        self.slug = slug
        self.stale_after_s = stale_after_s

    def load_keys(self, table):
        faults = [(name, "is required") for name in ("mchid", "appid", "secret") if not table.get(name)]
        if faults:
            raise BadConfig(faults)
        return dict(table)

    def parse(self, raw, keys, now):
        try:
            signature = raw.header("Plainpay-Signature")
        except ValueError as error:
            raise Malformed(str(error)) from None
        if signature is None or not hmac.compare_digest(signature.encode(), _signed(raw.body, keys["secret"]).encode()):
            raise BadSignature
        said = json.loads(raw.body)
        common = {
            "provider": self.slug,
            "mch_id": keys["mchid"],
            "sub_mch_id": None,
            "transaction_id": said["transaction_id"],
            "out_trade_no": None,
            "event_id": said["event_id"],
        }
        if said["event"] == "paid":
            return PaymentEvent(
                **common,
                payers=tuple(Payer(keys["appid"], "openid", value) for value in said["openids"]),
                amount_fen=Fen(said["amount_fen"]),
                payer_total_fen=None,
                currency="CNY",
                paid_at=from_text(said["at"]),
                trade_type=None,
                device_id=None,
                store_id=None,
                attach=None,
            )
        if said["event"] == "refunded":
            return RefundEvent(
                **common,
                refund_id=said["refund_id"],
                refund_fen=Fen(said["refund_fen"]),
                refunded_total_fen=None,
                refunded_at=from_text(said["at"]),
            )
        return Ignored(said["event"], "unknown_event", said["event_id"])

    def ack(self, outcome, event=None):
        return Ack(_STATUS[outcome], (("Content-Type", "text/plain"),), outcome.encode())


def paid(
    secret: str,
    transaction_id: str,
    openids: tuple[str, ...],
    amount_fen: int,
    at: datetime,
    *,
    event: str = "paid",
    received_at: datetime | None = None,
) -> RawNotification:
    """A genuine notification of a payment; another `event` makes one that the adapter ignores."""
    said = {
        "event": event,
        "event_id": f"e-{transaction_id}",
        "transaction_id": transaction_id,
        "openids": list(openids),
        "amount_fen": amount_fen,
        "at": to_text(at),
    }
    return _sent(said, secret, received_at or at)


def refunded(secret: str, transaction_id: str, refund_id: str, refund_fen: int, at: datetime) -> RawNotification:
    """A genuine notification of a refund."""
    said = {
        "event": "refunded",
        "event_id": f"e-{refund_id}",
        "transaction_id": transaction_id,
        "refund_id": refund_id,
        "refund_fen": refund_fen,
        "at": to_text(at),
    }
    return _sent(said, secret, at)


def _sent(said, secret: str, at: datetime) -> RawNotification:
    body = json.dumps(said).encode()
    headers = (("Content-Type", "application/json"), ("Plainpay-Signature", _signed(body, secret)))
    return RawNotification("POST", "", headers, body, at)


def _signed(body: bytes, secret: str) -> str:
    return hmac.digest(secret.encode(), body, "sha256").hex()
