"""What every campaign module has to hold, as a pytest class to inherit; it needs pytest and hypothesis.

    from campaigns.conformance import CampaignContract, Stage, Step

    class TestMine(CampaignContract):
        kind = my_kind
        def settings(self): ...
        def bad_settings(self): ...
        def rewarding_events(self): ...

The hooks that have a default are worth overriding: each opens a group of tests (see `CampaignHooks`).
"""

from __future__ import annotations

import pytest

# Before the import, so that a failing assert shows its values.
pytest.register_assert_rewrite(
    *(f"campaigns.conformance.{room}" for room in ("kit", "surface", "calls", "stories", "standing", "seen", "stage"))
)

from campaigns.conformance.hooks import CampaignHooks, Step  # noqa: E402 - asserts first
from campaigns.conformance.kit import CampaignContract  # noqa: E402 - asserts first
from campaigns.conformance.stage import Stage  # noqa: E402 - asserts first

__all__ = ["CampaignContract", "CampaignHooks", "Stage", "Step"]
