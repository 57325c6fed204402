"""The keys of sandbox channels: made by their platform once, kept in the home, the same at every apply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.catalog.specs import Channel
from gateway.contract.adapter import Platform
from gateway.home import Home, SandboxKeys


class SandboxKeyring:
    """Gives each sandbox channel its `keys` table; what it had to make is on the disk only after `keep`."""

    def __init__(self, home: Home, platforms: Mapping[str, Platform]) -> None:
        self._home = home
        self._platforms = platforms
        self._made: dict[str, SandboxKeys] = {}

    def keys_of(self, channel: Channel) -> Mapping[str, Any]:
        """The table that trusts the channel's platform. Keys made for another adapter are made anew.

        Raises BadConfig for a file in the home that cannot be read.
        """
        known = self._made.get(channel.slug) or self._home.sandbox_keys(channel.slug)
        if known is None or known.adapter != channel.adapter:
            private, keys = self._platforms[channel.adapter].new_keys()
            known = self._made[channel.slug] = SandboxKeys(channel.adapter, dict(private), dict(keys))
        return known.keys

    def keep(self) -> None:
        """Write what was made, which is to happen before the catalogue is written.

        Keys that only the home knows are found again at the next apply; keys that only the store knew sign nothing.
        """
        for channel, made in self._made.items():
            self._home.keep_sandbox_keys(channel, made)
