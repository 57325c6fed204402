"""What a subclass of the conformance kit tells about its adapter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from gateway.contract import Ack, Adapter, BadNotification, Outcome, PaymentEvent, RawNotification, RefundEvent


class AdapterHooks:
    """Inherit, name the subclass `Test…`, set `adapter` and write the hooks.

    To write: `keys_table`, `genuine`, `expected`, `foreign_keys_table`, `with_amount`, `acks`.
    To override where it applies: `refund` with `expected_refund`, `now`, `signed_parts`, `signature_headers`,
    `refusals`, `rightly_signed`, `secrets`.
    """

    adapter: ClassVar[Adapter]
    signature_headers: ClassVar[Sequence[str]] = ()
    """Headers that carry the signature or what it covers: dropping, doubling or changing one must be refused."""

    # Hooks.

    def keys_table(self) -> Mapping[str, Any]:
        """The channel's `keys` table, as in the apply file, that trusts `genuine`."""
        raise NotImplementedError

    def foreign_keys_table(self) -> Mapping[str, Any]:
        """The same signing keys under another merchant: `genuine` must then be Ignored as `foreign_merchant`."""
        raise NotImplementedError

    def genuine(self) -> RawNotification:
        """A right notification of a payment, the same at each call."""
        raise NotImplementedError

    def expected(self) -> PaymentEvent:
        """What `genuine` tells."""
        raise NotImplementedError

    def with_amount(self, amount: object) -> RawNotification | None:
        """`genuine` with `amount` in the place of the total, rightly signed.

        `None` where the wire has no way to write it, or where it would be a right amount there (yuan as text).
        """
        raise NotImplementedError

    def acks(self) -> Mapping[Outcome, Ack]:
        """The exact answers the platform wants."""
        raise NotImplementedError

    def refund(self) -> RawNotification | None:
        """A right notification of a refund, if the platform tells of refunds."""
        return None

    def expected_refund(self) -> RefundEvent | None:
        """What `refund` tells."""
        return None

    def now(self) -> datetime:
        """The time at which `genuine` is fresh."""
        return self.genuine().received_at

    def signed_parts(self, raw: RawNotification) -> Iterable[slice]:
        """The parts of `raw.body` where any turned bit must be refused; elsewhere it may also change nothing."""
        return (slice(0, len(raw.body)),)

    def refusals(self) -> Iterable[tuple[str, RawNotification, type[BadNotification]]]:
        """Triples: what is wrong, the notification, the exact class it must be refused with (unknown key, …)."""
        return ()

    def rightly_signed(self, content: bytes) -> RawNotification | None:
        """`content` where the platform puts a payment's data, encrypted and signed as it should be, if that can be."""
        del content
        return None

    def secrets(self) -> Iterable[str]:
        """What must never be shown: by default every text in the table under a name that speaks of a secret."""
        return secret_texts(self.keys_table())

    # Helpers.

    def keys(self) -> Any:
        """The loaded keys of `keys_table`."""
        return self.adapter.load_keys(self.keys_table())

    def same_or_refused(self, raw: RawNotification, keys: Any, now: datetime) -> bool:
        """Whether `raw` is refused (False), or tells what `genuine` tells (True); anything else fails the test."""
        try:
            event = self.adapter.parse(raw, keys, now)
        except BadNotification:
            return False
        assert event == self.expected(), f"a damaged notification tells something else: {event!r}"
        return True


def secret_texts(table: Mapping[str, Any], secret: bool = False) -> list[str]:
    """Every text of the table under a name that speaks of a secret."""
    found: list[str] = []
    for name, value in table.items():
        hidden = secret or (("key" in name or "secret" in name) and "public" not in name)
        if isinstance(value, Mapping):
            found += secret_texts(value, hidden)
        elif isinstance(value, str) and hidden:
            found.append(value)
        elif isinstance(value, list | tuple) and hidden:
            found += [one for one in value if isinstance(one, str)]
    return found
