"""Webhooks out (R074): what happens at a circle or a merchant, told to whoever they named, signed and in order."""

from gateway.webhooks.events import Hooks, claimed, issued, issued_link, redeemed, reversed_, tell

__all__ = ["Hooks", "claimed", "issued", "issued_link", "redeemed", "reversed_", "tell"]
