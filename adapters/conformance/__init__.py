"""What every adapter has to hold, as a pytest class to inherit; it needs pytest and hypothesis installed.

    from adapters.conformance import AdapterConformance

    class TestMine(AdapterConformance):
        adapter = my_adapter
        def keys_table(self): ...
        def genuine(self): ...
        def expected(self): ...

The hooks that have a default are worth overriding: each opens a group of tests (see `AdapterHooks`).
"""

from __future__ import annotations

import pytest

# Before the import, so that a failing assert shows its values.
pytest.register_assert_rewrite("adapters.conformance.kit", "adapters.conformance.surface", "adapters.conformance.hooks")

from adapters.conformance.hooks import AdapterHooks  # noqa: E402 - asserts first
from adapters.conformance.kit import AdapterConformance  # noqa: E402 - asserts first

__all__ = ["AdapterConformance", "AdapterHooks"]
