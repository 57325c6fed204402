"""The kit for an adapter that ships a sandbox platform and no samples of its own: the platform makes the samples.

Weaker than a class written by hand, since platform and adapter may err alike: the exact answers and the parts that are
signed are only known to whoever reads the payment platform's own documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, Final

from adapters.conformance.kit import AdapterConformance
from adapters.conformance.mutate import without_header
from gateway.contract import (
    Ack,
    Adapter,
    BadNotification,
    Outcome,
    PaymentEvent,
    Platform,
    RawNotification,
    RefundEvent,
    SandboxOrder,
    SandboxRefund,
)

_SENT: Final = datetime(2026, 11, 22, 4, 5, 6, tzinfo=timezone.utc)
ORDER: Final = SandboxOrder(
    openid="oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
    amount_fen=1280,
    transaction_id="4200002026112212345678901234",
    out_trade_no="T20261122040506",
    paid_at=_SENT.replace(second=3),
    sent_at=_SENT,
    nonce="0123456789abcdef0123456789abcdef",
)
REFUND: Final = SandboxRefund(
    order=ORDER,
    refund_id="50300020261122123456789",
    refund_fen=300,
    refunded_total_fen=300,
    refunded_at=_SENT,
    sent_at=_SENT,
    nonce="fedcba9876543210fedcba9876543210",
)
_MERCHANTS: Final = ("sp_mchid", "mchid", "seller_id", "app_id")
_OUTCOMES: Final[tuple[Outcome, ...]] = ("accepted", "refused", "try_later")


class PlatformConformance(AdapterConformance):
    """Give it `adapter` and `platform`; see `conformance_of`."""

    platform: Platform

    @property
    def _made(self) -> tuple[Mapping[str, str], Mapping[str, Any]]:
        return _new_keys(self.platform)

    def keys_table(self) -> Mapping[str, Any]:
        """A table that the platform made."""
        return self._made[1]

    def foreign_keys_table(self) -> Mapping[str, Any]:
        """The same with the last digit of the merchant's number changed."""
        table = dict(self.keys_table())
        name = next(name for name in _MERCHANTS if name in table)
        table[name] = table[name][:-1] + ("1" if table[name][-1] != "1" else "2")
        return table

    def genuine(self) -> RawNotification:
        """What the platform sends for `ORDER`."""
        return self.platform.payment(*self._made, ORDER)

    def expected(self) -> PaymentEvent:
        """What the adapter reads, which must be what was ordered."""
        event = self.adapter.parse(self.genuine(), self.keys(), self.now())
        assert isinstance(event, PaymentEvent)
        told = (event.transaction_id, event.out_trade_no, event.amount_fen, event.paid_at)
        assert told == (ORDER.transaction_id, ORDER.out_trade_no, ORDER.amount_fen, ORDER.paid_at)
        assert ORDER.openid in {payer.value for payer in event.payers}
        return event

    def with_amount(self, amount: object) -> RawNotification | None:
        """The order with this amount; None for what is no whole number, which a platform cannot be asked for."""
        if isinstance(amount, bool) or not isinstance(amount, int):
            return None
        return self.platform.payment(*self._made, replace(ORDER, amount_fen=amount))

    def acks(self) -> Mapping[Outcome, Ack]:
        """The adapter's own: that they do not depend on the event is all that can be told."""
        return {outcome: self.adapter.ack(outcome) for outcome in _OUTCOMES}

    def refund(self) -> RawNotification:
        """What the platform sends for `REFUND`."""
        return self.platform.refund(*self._made, REFUND)

    def expected_refund(self) -> RefundEvent:
        """What the adapter reads, which must be what was given back."""
        event = self.adapter.parse(self.refund(), self.keys(), REFUND.sent_at)
        assert isinstance(event, RefundEvent)
        assert (event.transaction_id, event.refund_fen) == (ORDER.transaction_id, REFUND.refund_fen)
        return event

    def signed_parts(self, raw: RawNotification) -> Iterable[slice]:
        """None is known for sure; that no turned bit tells anything else is tried all the same."""
        del raw
        return ()


_KEPT: Final[dict[str, tuple[Mapping[str, str], Mapping[str, Any]]]] = {}


def _new_keys(platform: Platform) -> tuple[Mapping[str, str], Mapping[str, Any]]:
    """One set a platform and run: pytest makes an instance for each test, and keys take a second to make."""
    if platform.slug not in _KEPT:
        _KEPT[platform.slug] = platform.new_keys()
    return _KEPT[platform.slug]


def conformance_of(adapter: Adapter, platform: Platform) -> type[PlatformConformance]:
    """The class to name `Test…` in a test module."""
    return type(
        "PlatformChecks",
        (PlatformConformance,),
        {"adapter": adapter, "platform": platform, "signature_headers": _needed_headers(adapter, platform)},
    )


def _needed_headers(adapter: Adapter, platform: Platform) -> tuple[str, ...]:
    """The headers without which a payment is refused: those that carry the signature or are covered by it."""
    raw = platform.payment(*_new_keys(platform), ORDER)
    keys = adapter.load_keys(_new_keys(platform)[1])
    needed = []
    for name, _ in raw.headers:
        try:
            adapter.parse(without_header(raw, name), keys, raw.received_at)
        except BadNotification:
            needed.append(name)
    return tuple(needed)
