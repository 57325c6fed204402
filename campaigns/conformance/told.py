"""The kit's own payment platform: an adapter that believes what it is told. It is never installed under an entry point.

Kinds of campaign hear of payments after they were verified, so here nothing need be signed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from gateway.contract import (
    Ack,
    BadConfig,
    Event,
    Fen,
    Malformed,
    Outcome,
    Payer,
    PaymentEvent,
    RawNotification,
    RefundEvent,
)
from gateway.contract.clock import from_text, to_text

SLUG: Final = "kitpay"
_STATUS: Final[Mapping[Outcome, int]] = {"accepted": 200, "refused": 401, "try_later": 503}


class Told:
    """The adapter. Keys: `mchid`, `appid`."""

    slug = SLUG

    def load_keys(self, table: Mapping[str, Any]) -> Any:
        """The table, which must name both."""
        faults = [(name, "is required") for name in ("mchid", "appid") if not table.get(name)]
        if faults:
            raise BadConfig(faults)
        return dict(table)

    def parse(self, raw: RawNotification, keys: Any, now: datetime) -> Event:
        """What the body says. Raises Malformed."""
        del now
        try:
            said = json.loads(raw.body)
            common: dict[str, Any] = {
                "provider": SLUG,
                "mch_id": keys["mchid"],
                "sub_mch_id": None,
                "transaction_id": said["transaction_id"],
                "out_trade_no": None,
                "event_id": said["event_id"],
            }
            if "refund_id" in said:
                return RefundEvent(
                    **common,
                    refund_id=said["refund_id"],
                    refund_fen=Fen(said["fen"]),
                    refunded_total_fen=None,
                    refunded_at=from_text(said["at"]),
                )
            payers = (Payer(keys["appid"], "openid", said["openid"]),) if said["openid"] else ()
            return PaymentEvent(
                **common,
                payers=payers,
                amount_fen=Fen(said["fen"]),
                payer_total_fen=None,
                currency="CNY",
                paid_at=from_text(said["at"]),
                trade_type=None,
                device_id=None,
                store_id=None,
                attach=None,
            )
        except (ValueError, KeyError, TypeError):
            raise Malformed("not the kit's own") from None

    def ack(self, outcome: Outcome, event: Event | None = None) -> Ack:
        """A status for each."""
        del event
        return Ack(_STATUS[outcome], (), b"")


def paid(transaction: str, openid: str, fen: int, at: datetime) -> RawNotification:
    """A notification of a payment; `openid` "" for a payer whom the platform does not tell."""
    said = {"event_id": f"e-{transaction}", "transaction_id": transaction, "openid": openid, "fen": fen}
    return _sent(said, at)


def refunded(transaction: str, refund: str, fen: int, at: datetime) -> RawNotification:
    """A notification of a refund."""
    said = {"event_id": f"e-{refund}", "transaction_id": transaction, "refund_id": refund, "fen": fen}
    return _sent(said, at)


def _sent(said: Mapping[str, Any], at: datetime) -> RawNotification:
    body = json.dumps({**said, "at": to_text(at)}).encode()
    return RawNotification("POST", "", (("Content-Type", "application/json"),), body, at)
