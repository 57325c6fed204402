"""Payouts: money that leaves the house to a wallet or a bank account (R113–R115).

held → sent → settled | failed | unknown. The amount is held in the ledger first; `settled` posts it, `failed` lets it
go back to where it was; `unknown` is asked about and never sent again under another number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from gateway.contract.money import Fen

PayoutState = Literal["held", "sent", "settled", "failed", "unknown"]
OPEN: Final = frozenset({"held", "sent", "unknown"})
"""The states in which a payout is in flight."""


@dataclass(frozen=True, slots=True)
class Payee:
    """Who is paid. By `person`: in the wallet he is known by. Else into `bank_account`, which belongs to `name`."""

    person: str = ""
    bank_account: str = field(default="", repr=False)
    name: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Payout:
    """One payout as it stands. `way`: `wechat`, `alipay` or `bank`; `to`: what may be shown, such as `•••• 4242`.

    `reason` is a stable word where it failed or waits, such as `second_approval` or `receiver_confirms`.
    """

    id: str
    campaign: str
    account: str
    about: str
    way: str
    to: str
    amount_fen: Fen
    state: PayoutState
    reason: str
    created_at: datetime
    moved_at: datetime
