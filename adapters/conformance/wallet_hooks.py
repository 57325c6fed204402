"""What a subclass of the wallets' kit tells about its wallet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from adapters.conformance.hooks import secret_texts
from gateway.contract.wallet import GiveBack, Purchase, Reply, Wallet

READERS = ("identity", "prepaid", "queried", "closed", "refunded", "refund_queried")
"""The members that read a reply."""


class WalletHooks:
    """Inherit, name the subclass `Test…`, set `wallet` and write the hooks."""

    wallet: ClassVar[Wallet]

    def tables(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """The channel's `wallet` and `keys` tables, good for orders, that trust `replies`."""
        raise NotImplementedError

    def now(self) -> datetime:
        """The time at which `replies` are fresh."""
        raise NotImplementedError

    def purchase(self) -> Purchase:
        """An order that fits."""
        raise NotImplementedError

    def give_back(self) -> GiveBack:
        """A refund that fits."""
        raise NotImplementedError

    def replies(self) -> Mapping[str, Reply]:
        """A right reply for each of `READERS`, each of a success."""
        raise NotImplementedError

    def expected(self) -> Mapping[str, object]:
        """What each reader makes of its reply."""
        raise NotImplementedError

    def declining(self, code: str) -> Reply:
        """The platform's refusal of a money call with this code, as good as the platform can say it."""
        raise NotImplementedError

    def final(self) -> Mapping[str, Iterable[str]]:
        """By reader (`prepaid`, `refunded`), the codes that must end the call for good."""
        raise NotImplementedError

    def forged(self, reply: Reply) -> Iterable[Reply]:
        """`reply` with its signature missing, wrong, by another, too old …: () where the platform signs nothing."""
        raise NotImplementedError

    def content(self, reader: str) -> Mapping[str, Any]:
        """What the reply of `replies` for this reader tells, as the object that the platform signs; {} for none."""
        raise NotImplementedError

    def rightly_signed(self, reader: str, told: Mapping[str, Any]) -> Reply:
        """A success that tells `told`, signed by the platform as it should be (where it signs)."""
        raise NotImplementedError

    def back(self) -> tuple[Mapping[str, str], str]:
        """The query that a browser comes back with, and the code in it."""
        raise NotImplementedError

    def secrets(self) -> Iterable[str]:
        """What must never be shown: by default every text of the two tables under a name that speaks of a secret."""
        return [text for table in self.tables() for text in secret_texts(table)]

    # Helpers.

    def keys(self) -> Any:
        """The loaded keys of `tables`."""
        return self.wallet.load(*self.tables())

    def read(self, reader: str, reply: Reply, keys: Any = None) -> Any:
        """What `reader` makes of `reply`."""
        keys = self.keys() if keys is None else keys
        if reader == "identity":
            return self.wallet.identity(keys, reply)
        return getattr(self.wallet, reader)(keys, reply, self.now())
