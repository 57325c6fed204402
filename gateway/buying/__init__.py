"""Buying with real wallets (R044–R047): announced, paid, asked about, closed and given back at the platform.

`Buying` is the use case; its calls go out between transactions, and what is still to be asked stands in the outbox.
"""

from __future__ import annotations

from gateway.buying.story import Buying

__all__ = ["Buying"]
