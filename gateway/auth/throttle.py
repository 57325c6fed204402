"""Throttles: how often someone may guess, counted in the store so that every process counts together (R204, R056).

Windows are fixed: they begin at whole multiples of their length, and a count is gone with its window.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.store import Tx
from gateway.ledger import limits

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_NETWORK_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Throttle:
    """At most `cap` in each `window`, counted for each subject by itself."""

    name: str
    cap: int
    window: timedelta

    def check(self, tx: Tx, now: datetime, *subjects: str) -> None:
        """Raises Refused `too_many` (429, `retry_after_s`) where nothing is left. Counts nothing."""
        if limits.reached(tx, self._limits(now, subjects)) is not None:
            raise self._refused(now)

    def count(self, tx: Tx, now: datetime, *subjects: str) -> None:
        """Count one for every subject. Raises Refused `too_many` (429, `retry_after_s`) where none was left."""
        if limits.take(tx, self._limits(now, subjects)) is not None:
            raise self._refused(now)

    def uncount(self, tx: Tx, now: datetime, *subjects: str) -> None:
        """Undo one `count` of the same moment and subjects: it was no guess after all."""
        limits.give_back(tx, self._limits(now, subjects))

    def _limits(self, now: datetime, subjects: tuple[str, ...]) -> list[limits.Limit]:
        number, end = self._window(now)
        # A subject may be a stranger's text of any length: its digest is what is kept.
        digests = (sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[:32] for subject in subjects)
        return [
            limits.Limit(f"throttle:{self.name}:{digest}:{number}", self.cap, to_text(end), "too_many")
            for digest in digests
        ]

    def _window(self, now: datetime) -> tuple[int, datetime]:
        number = (now - _EPOCH) // self.window
        return number, _EPOCH + (number + 1) * self.window

    def _refused(self, now: datetime) -> Refused:
        left = self._window(now)[1] - now
        return Refused("too_many", 429, "too many tries; wait", retry_after_s=max(1, -(-left // timedelta(seconds=1))))


LOGIN: Final = Throttle("login", 10, timedelta(minutes=15))
"""Passwords tried for one account from one address; `login_subject` names the two."""

UNKNOWN_CODE: Final = Throttle("code", 30, timedelta(minutes=1))
"""Coupon codes that are none, typed with one token."""

UNKNOWN_LINK: Final = Throttle("link", 10, timedelta(minutes=1))
"""Claim links that are none, opened from one address, and in one browser session."""


def login_subject(account: str, address: str) -> str:
    """The subject of LOGIN."""
    return f"{account}\n{source(address)}"


def source(address: str) -> str:
    """Who is counted as one: an IPv4 address, or the /64 that an IPv6 address lies in, which is one household's."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((int(parsed), _NETWORK_BITS), strict=False))
    return str(parsed)
