"""What a platform tells us, as plain frozen values. What may be absent is `None`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gateway.contract.money import Fen

IdType = Literal["openid", "unionid", "alipay_open_id", "alipay_user_id", "phone_hash"]
"""Known kinds of payer id (R007); a third party's adapter may name another."""


@dataclass(frozen=True, slots=True)
class Payer:
    """One id of the one human who paid. Identity is (provider, app_id, value); the kind is an attribute (R007)."""

    app_id: str
    id_type: str
    value: str

    def __repr__(self) -> str:
        return f"Payer(app_id={self.app_id!r}, id_type={self.id_type!r}, value=…)"


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """A payment that truly happened (R002). Amounts in fen; `paid_at` aware UTC.

    `amount_fen` is the order's total, `payer_total_fen` what the payer really gave after the platform's own coupons.
    """

    provider: str
    mch_id: str
    sub_mch_id: str | None
    transaction_id: str
    out_trade_no: str | None
    payers: tuple[Payer, ...]
    amount_fen: Fen
    payer_total_fen: Fen | None
    currency: str
    paid_at: datetime
    trade_type: str | None
    device_id: str | None
    store_id: str | None
    attach: str | None
    event_id: str


@dataclass(frozen=True, slots=True)
class RefundEvent:
    """A refund that truly happened. `refunded_total_fen` is what has been given back so far, where told."""

    provider: str
    mch_id: str
    sub_mch_id: str | None
    transaction_id: str
    out_trade_no: str | None
    refund_id: str
    refund_fen: Fen
    refunded_total_fen: Fen | None
    refunded_at: datetime
    event_id: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """Genuine, yet nothing for us: another event type, an unpaid state, another merchant (`foreign_merchant`)."""

    event_type: str
    reason: str
    event_id: str


Event = PaymentEvent | RefundEvent | Ignored
