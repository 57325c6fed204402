"""The seam that a payment platform's adapter fills. A third party ships one under `drainage.adapters`.

An adapter is pure: no socket, no file, no clock, no global state. Bytes, keys and the time come in as values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from gateway.contract.events import Event

Headers = tuple[tuple[str, str], ...]
Outcome = Literal["accepted", "refused", "try_later"]


@dataclass(frozen=True, slots=True)
class RawNotification:
    """A request as it came. `headers` is an ordered sequence of (name, value), repeats kept; `body` is untouched.

    `path_tail` is what followed `/notify/<channel>`, percent-encoding as it came, `""` when nothing did.
    """

    method: str
    path_tail: str
    headers: Headers
    body: bytes
    received_at: datetime

    def header(self, name: str) -> str | None:
        """The value of the header that occurs exactly once, letter case ignored; `None` if absent.

        Raises ValueError when it occurs more than once: two signatures are no signature.
        """
        wanted = name.lower()
        found = [value for key, value in self.headers if key.lower() == wanted]
        if len(found) > 1:
            raise ValueError(f"header {name} is repeated")
        return found[0] if found else None

    def __repr__(self) -> str:
        return f"RawNotification(method={self.method!r}, path_tail={self.path_tail!r}, body=<{len(self.body)} bytes>)"


@dataclass(frozen=True, slots=True)
class Ack:
    """What the platform is answered when no POS answers for us. The bytes are exact: platforms compare them."""

    status: int
    headers: Headers
    body: bytes


@runtime_checkable
class Adapter(Protocol):
    """One payment platform, one direction: its notifications in, our acknowledgement out.

    Optional attributes, read with a default:

    - `provider` (default: the slug): the name under which payments and identities are kept, so that two
      adapters of one platform (`wechat_v3`, `wechat_v2`) share them.
    - `stale_after_s` (default: None): seconds after which a signed notification is refused by any verifier; such
      a notification can't be relayed later, so `answer = "ack"` is refused for it.
    - `accepted(status, headers, body) -> bool` (default: 2xx): whether a POS's answer means that it took the event.
    """

    @property
    def slug(self) -> str:
        """The name used in the apply file."""

    def load_keys(self, table: Mapping[str, Any]) -> Any:
        """The channel's `keys` table, secrets already read to strings → keys for `parse`.

        Raises BadConfig with every fault at once; paths are relative to the table.
        """

    def parse(self, raw: RawNotification, keys: Any, now: datetime) -> Event:
        """Verify, decrypt, map. Raises BadNotification or a child, and nothing else."""

    def ack(self, outcome: Outcome, event: Event | None = None) -> Ack:
        """Our own answer to the platform, as it wants it."""


@runtime_checkable
class Platform(Protocol):
    """A platform's own side, for the sandbox: makes what the platform would send, signed and encrypted.

    Found under the entry point group `drainage.platforms`, by the adapter's slug.
    """

    @property
    def slug(self) -> str:
        """The slug of the adapter that reads what this platform sends."""

    def new_keys(self) -> tuple[Mapping[str, str], Mapping[str, Any]]:
        """A fresh pair of (platform's private material by name, the channel's `keys` table that trusts it)."""

    def payment(self, private: Mapping[str, str], keys: Mapping[str, Any], order: SandboxOrder) -> RawNotification:
        """A correctly signed notification of one payment."""

    def refund(self, private: Mapping[str, str], keys: Mapping[str, Any], refund: SandboxRefund) -> RawNotification:
        """A correctly signed notification of one refund."""


@dataclass(frozen=True, slots=True)
class SandboxOrder:
    """A payment that the sandbox platform is to tell about. Times aware UTC, amounts fen."""

    openid: str
    amount_fen: int
    transaction_id: str
    out_trade_no: str
    paid_at: datetime
    sent_at: datetime
    nonce: str
    device_id: str | None = None
    attach: str | None = None


@dataclass(frozen=True, slots=True)
class SandboxRefund:
    """A refund that the sandbox platform is to tell about; `order` is the payment it gives back."""

    order: SandboxOrder
    refund_id: str
    refund_fen: int
    refunded_total_fen: int
    refunded_at: datetime
    sent_at: datetime
    nonce: str
