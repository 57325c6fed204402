"""What every adapter, and every wallet, has to hold, as pytest classes to inherit; they need pytest and hypothesis.

    from adapters.conformance import AdapterConformance

    class TestMine(AdapterConformance):
        adapter = my_adapter
        def keys_table(self): ...
        def genuine(self): ...
        def expected(self): ...

The hooks that have a default are worth overriding: each opens a group of tests (see `AdapterHooks`).
`WalletConformance` is the same for a wallet (see `WalletHooks`), `TransferConformance` for
one that sends money to customers.
"""

from __future__ import annotations

import pytest

# Before the import, so that a failing assert shows its values.
pytest.register_assert_rewrite(
    *(
        f"adapters.conformance.{room}"
        for room in ("kit", "surface", "hooks", "wallet_kit", "wallet_hooks", "transfer_kit")
    )
)

from adapters.conformance.hooks import AdapterHooks  # noqa: E402 - asserts first
from adapters.conformance.kit import AdapterConformance  # noqa: E402 - asserts first
from adapters.conformance.transfer_kit import TransferConformance  # noqa: E402 - asserts first
from adapters.conformance.wallet_hooks import READERS, WalletHooks  # noqa: E402 - asserts first
from adapters.conformance.wallet_kit import WalletConformance  # noqa: E402 - asserts first

__all__ = ["READERS", "AdapterConformance", "AdapterHooks", "TransferConformance", "WalletConformance", "WalletHooks"]
