"""The host of the campaign modules: tells them what happens, moves their states, does for them what a `House` does."""

from gateway.campaigning.host import CampaignHost
from gateway.campaigning.house import TOPIC, GatewayHouse

__all__ = ["TOPIC", "CampaignHost", "GatewayHouse"]
