"""The narrow waist: all that adapters, campaigns and delivery channels see of the gateway."""

from gateway.contract.adapter import (
    Ack,
    Adapter,
    Headers,
    Outcome,
    Platform,
    RawNotification,
    SandboxOrder,
    SandboxRefund,
)
from gateway.contract.errors import (
    BadConfig,
    BadNotification,
    BadSignature,
    DrainageError,
    Malformed,
    Refused,
    SignatureProbe,
    StaleTimestamp,
    StoreBusy,
    StoreTrouble,
    StoreUnavailable,
    Undecryptable,
    UnknownKey,
)
from gateway.contract.events import Event, IdType, Ignored, Payer, PaymentEvent, RefundEvent
from gateway.contract.money import Bps, Fen
from gateway.contract.secret import Secret

__all__ = [
    "Ack",
    "Adapter",
    "BadConfig",
    "BadNotification",
    "BadSignature",
    "Bps",
    "DrainageError",
    "Event",
    "Fen",
    "Headers",
    "IdType",
    "Ignored",
    "Malformed",
    "Outcome",
    "Payer",
    "PaymentEvent",
    "Platform",
    "RawNotification",
    "RefundEvent",
    "Refused",
    "SandboxOrder",
    "SandboxRefund",
    "Secret",
    "SignatureProbe",
    "StaleTimestamp",
    "StoreBusy",
    "StoreTrouble",
    "StoreUnavailable",
    "Undecryptable",
    "UnknownKey",
]
