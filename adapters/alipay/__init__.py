"""Alipay's asynchronous payment notification (支付宝异步通知): form POST, RSA2 over the sorted fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from adapters.alipay import ack as _ack
from adapters.alipay import keys as _keys
from adapters.alipay.parse import PROVIDER, event_of
from adapters.alipay.verify import verified
from gateway.contract import Ack, Event, Headers, Outcome, RawNotification

__all__ = ["AlipayAdapter", "adapter"]


class AlipayAdapter:
    """The adapter. It holds nothing, so one object serves every channel and thread.

    Keys: `app_id`, `seller_id`, `public_keys` or `certificates` (lists), and optionally `seller_email`, `sign_type`
    (`RSA2`, or `RSA` where the app is that old), `aes_key`, `app_private_key`.
    """

    slug: Final = "alipay"
    provider: Final = PROVIDER
    stale_after_s: Final = None
    """The scheme has no timestamp window: a repeat is told by its trade number, and a late relay still verifies."""

    def load_keys(self, table: Mapping[str, Any]) -> _keys.Keys:
        """The channel's `keys` table → keys for `parse`. Raises BadConfig with every fault at once."""
        return _keys.load(table)

    def parse(self, raw: RawNotification, keys: _keys.Keys, now: datetime) -> Event:  # noqa: ARG002 - no time window
        """Verify, map. Raises Malformed, BadSignature or UnknownKey, and nothing else."""
        return event_of(verified(raw.body, keys), keys, raw.received_at)

    def ack(self, outcome: Outcome, event: Event | None = None) -> Ack:  # noqa: ARG002 - the same for every event
        """`success`, or `fail`."""
        return _ack.ack_for(outcome)

    def accepted(self, status: int, headers: Headers, body: bytes) -> bool:
        """Whether a till's answer means that it took the event: 200 and `success` in any case."""
        return _ack.accepted(status, headers, body)


adapter = AlipayAdapter()
