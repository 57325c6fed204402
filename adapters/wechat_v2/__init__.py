"""WeChat Pay APIv2: XML signed with MD5 or HMAC-SHA256 under the merchant's API key, as many tills still use it.

Nothing in a notification says when it was sent, and who holds the API key can sign: what protects against a repeat is
that the same payment is taken once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from adapters.wechat_v2 import ack as _ack
from adapters.wechat_v2.keys import Keys, load_keys
from adapters.wechat_v2.parse import event_of
from adapters.wechat_v2.verify import verify
from gateway.contract import Ack, Event, Headers, Outcome, RawNotification


class WechatV2:
    """The adapter (see `gateway.contract.Adapter`). It holds nothing."""

    slug = "wechat_v2"
    provider = "wechat"
    stale_after_s = None

    def load_keys(self, table: Mapping[str, Any]) -> Keys:
        """The channel's `keys` table → keys. Raises BadConfig with every fault."""
        return load_keys(table)

    def parse(self, raw: RawNotification, keys: Keys, now: datetime) -> Event:  # noqa: ARG002 - v2 signs no time
        """Verify, decrypt, map. Raises BadNotification or a child."""
        return event_of(verify(raw.body, keys), keys)

    def ack(self, outcome: Outcome, event: Event | None = None) -> Ack:  # noqa: ARG002 - the same for every event
        """SUCCESS or FAIL as XML; the body decides, so a refusal is a 200 too."""
        return _ack.ACKS[outcome]

    def accepted(self, status: int, headers: Headers, body: bytes) -> bool:  # noqa: ARG002 - status and body tell
        """Whether a POS's answer means that it took the event."""
        return _ack.accepted(status, body)


adapter = WechatV2()

__all__ = ["Keys", "WechatV2", "adapter"]
