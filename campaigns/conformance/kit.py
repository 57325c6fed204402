"""The conformance kit of campaign modules. A subclass gives the kind and one story; the tests come with it."""

from __future__ import annotations

from campaigns.conformance.calls import CallsContract
from campaigns.conformance.seen import SeenContract
from campaigns.conformance.standing import StandingContract
from campaigns.conformance.stories import StoriesContract
from campaigns.conformance.surface import SurfaceContract


class CampaignContract(SurfaceContract, CallsContract, StoriesContract, StandingContract, SeenContract):
    """All of it; see `CampaignHooks` for what to write."""
