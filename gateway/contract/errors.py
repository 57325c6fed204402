"""The one error family. Facts are attributes; the text is made from them and holds no secret.

DrainageError
├── BadConfig                 what an operator wrote does not hold; every fault at once
├── BadNotification           a stranger's bytes were refused; `reason` is a stable word
│   ├── Malformed             not in the platform's shape at all
│   ├── BadSignature          signed wrongly, or not signed
│   │   └── SignatureProbe    WeChat's own deliberate probe: a refusal without an alarm
│   ├── StaleTimestamp        signed rightly but too long ago, or in the future
│   ├── UnknownKey            names a key this channel does not hold
│   └── Undecryptable         signed rightly, yet our decryption key does not open it
├── Refused                   a caller's request was understood and declined (`code`, `status`)
└── StoreTrouble              the store did not answer as it should
    ├── StoreUnavailable      gone, read-only, full, broken
    └── StoreBusy             alive, but not within the time the caller had
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class DrainageError(Exception):
    """Root of every error this project raises on purpose."""


class BadConfig(DrainageError):
    """Settings or an apply file that do not hold.

    `faults` is a list of (path, message): the path as written in the file (`channel.x.keys.mchid`), the message
    for a person. A message never repeats a secret value.
    """

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        self.faults: list[tuple[str, str]] = list(faults)
        super().__init__("; ".join(f"{path}: {message}" for path, message in self.faults))


class BadNotification(DrainageError):
    """A notification that must change nothing. `reason` is a stable word, `detail` helps an operator."""

    reason: ClassVar[str] = "bad_notification"

    def __init__(self, detail: str = "") -> None:
        self.detail = detail
        super().__init__(f"{self.reason}: {detail}" if detail else self.reason)


class Malformed(BadNotification):
    """The bytes do not have the platform's shape."""

    reason = "malformed"


class BadSignature(BadNotification):
    """The signature is missing, of an unknown kind, or does not verify."""

    reason = "bad_signature"


class SignatureProbe(BadSignature):
    """WeChat Pay's deliberate wrong signature (`WECHATPAY/SIGNTEST/`): refused like any other, alarms nobody."""

    reason = "signature_probe"


class StaleTimestamp(BadNotification):
    """The signed time is outside the window, past or future."""

    reason = "stale_timestamp"


class UnknownKey(BadNotification):
    """The notification names a signing key that the channel does not hold."""

    reason = "unknown_key"


class Undecryptable(BadNotification):
    """A good signature around bytes that our decryption key does not open: the key is wrong or was reset."""

    reason = "undecryptable"


class Refused(DrainageError):
    """A request that was understood and declined.

    `code` is stable and documented, `status` the HTTP status, `facts` what may be told to the caller.
    """

    def __init__(self, code: str, status: int, message: str = "", **facts: Any) -> None:
        self.code = code
        self.status = status
        self.facts: Mapping[str, Any] = facts
        super().__init__(message or code)


class StoreTrouble(DrainageError):
    """The store did not do what was asked; nothing of the work in question is known to be durable."""


class StoreUnavailable(StoreTrouble):
    """The store is gone, read-only, full or broken."""


class StoreBusy(StoreTrouble):
    """The store did not answer within the caller's time; the work may still be committed later."""
