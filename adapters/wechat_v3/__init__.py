"""WeChat Pay APIv3: notifications signed with RSA-SHA256 and encrypted with AES-256-GCM.

Facts from the platform's documentation and its official SDKs (`wechatpay-apiv3/wechatpay-go`, `…/wechatpay-java`);
each room names the source of what it relies on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from adapters.wechat_v3 import ack as _ack
from adapters.wechat_v3.keys import Keys, load_keys
from adapters.wechat_v3.parse import event_of
from adapters.wechat_v3.verify import WINDOW_S, verify
from gateway.contract import Ack, Event, Headers, Outcome, RawNotification


class WechatV3:
    """The adapter (see `gateway.contract.Adapter`). It holds nothing."""

    slug = "wechat_v3"
    provider = "wechat"
    stale_after_s = WINDOW_S

    def load_keys(self, table: Mapping[str, Any]) -> Keys:
        """The channel's `keys` table → keys. Raises BadConfig with every fault."""
        return load_keys(table)

    def parse(self, raw: RawNotification, keys: Keys, now: datetime) -> Event:
        """Verify, decrypt, map. `now` is aware. Raises BadNotification or a child."""
        return event_of(verify(raw, keys, now), keys)

    def ack(self, outcome: Outcome, event: Event | None = None) -> Ack:  # noqa: ARG002 - the same for every event
        """200 SUCCESS, 401 FAIL, or 503 FAIL."""
        return _ack.ACKS[outcome]

    def accepted(self, status: int, headers: Headers, body: bytes) -> bool:  # noqa: ARG002 - status and body tell
        """Whether a POS's answer means that it took the event."""
        return _ack.accepted(status, body)


adapter = WechatV3()

__all__ = ["Keys", "WechatV3", "adapter"]
