"""The keys of sandbox channels: made by their platform once, kept in the home, the same at every apply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from gateway.catalog.specs import Channel
from gateway.contract.adapter import Platform
from gateway.contract.wallet import Twin
from gateway.home import Home, SandboxKeys, SandboxWallet


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

    def wallet_of(self, channel: Channel, keys: Mapping[str, Any], twin: Twin) -> Mapping[str, Any]:
        """The `wallet` table that trusts `twin`, for the `keys` as they are; made anew when those have changed.

        Raises BadConfig as `keys_of` does.
        """
        self.keys_of(channel)
        known = self._made.get(channel.slug) or self._home.sandbox_keys(channel.slug)
        assert known is not None  # `keys_of` has made it
        made_for = sha256(json.dumps([twin.slug, keys], sort_keys=True).encode()).hexdigest()
        if known.wallet is None or known.wallet.made_for != made_for:
            private, table = twin.new_keys(keys)
            known = replace(known, wallet=SandboxWallet(made_for, dict(private), dict(table)))
            self._made[channel.slug] = known
        assert known.wallet is not None
        return known.wallet.table

    def keep(self) -> None:
        """Write what was made, which is to happen before the catalogue is written.

        Keys that only the home knows are found again at the next apply; keys that only the store knew sign nothing.
        """
        for channel, made in self._made.items():
            self._home.keep_sandbox_keys(channel, made)
