"""Payouts (R113–R115): money that leaves the house to a wallet or a bank account.

`PayingOut` is what campaigns ask for, inside their transactions; `Sender` carries what was begun to the platforms and
asks how it stands. Neither ever uses a second number for one payout.
"""

from __future__ import annotations

from gateway.payouts.rows import faults
from gateway.payouts.story import PayingOut

__all__ = ["PayingOut", "faults"]
