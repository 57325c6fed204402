"""Our own answer to Alipay: exactly the seven characters `success`, or anything else to have it sent again.

Alipay reads the body, not the status; it sends again on anything but `success` (8 times within 25 hours).
"""

from __future__ import annotations

from typing import Final

from gateway.contract import Ack, Headers, Outcome

_HEADERS: Final = (("Content-Type", "text/plain; charset=utf-8"),)

_ACKS: Final = {
    "accepted": Ack(200, _HEADERS, b"success"),
    # Refused for good: the documented word, and a status that makes no balancer take us for broken.
    "refused": Ack(200, _HEADERS, b"fail"),
    # Our own trouble: the same word to Alipay, and a status that our monitoring and any proxy between understand.
    "try_later": Ack(503, _HEADERS, b"fail"),
}


def ack_for(outcome: Outcome) -> Ack:
    """The answer for an outcome."""
    return _ACKS[outcome]


def accepted(status: int, _headers: Headers, body: bytes) -> bool:
    """Whether a till's answer means that it took the event. Alipay is known to live with `SUCCESS` in capitals."""
    return status == 200 and body.strip().lower() == b"success"  # noqa: PLR2004 - HTTP's own number
