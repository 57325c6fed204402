"""Tills: a merchant's own channel whose wallet may pay, the payer as it knows him, and the line to its platform.

Orders are paid at a till, and payouts are made from one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar, get_args

from crypto.vault import Vault
from gateway import people
from gateway.calls import Carrier
from gateway.catalog.channel_rules import keys_table
from gateway.catalog.directory import Directory, LiveChannel
from gateway.contract.events import Payer
from gateway.contract.ids import RandomBytes
from gateway.contract.store import Tx
from gateway.contract.wallet import Call, CallUnknown, Platform, Reply, Wallet

T = TypeVar("T")
QUIET: Final = timedelta(seconds=10)
_NONCE_BYTES: Final = 16
_APP_IDS: Final = ("appid", "app_id")
"""Where a wallet names the app that its customers are known to."""


@dataclass(frozen=True, slots=True)
class Till:
    """A channel that can be paid at: its wallet, the wallet's keys, and the apps that its payers are known to."""

    channel: LiveChannel
    wallet: Wallet
    keys: Any = field(repr=False)
    apps: tuple[str, ...]

    @property
    def slug(self) -> str:
        """The channel's name."""
        return self.channel.spec.slug


def tills_of(directory: Directory, merchant: str, platform: Platform) -> list[Till]:
    """The merchant's channels at which this platform's wallet can pay; paused ones are left out."""
    found = (
        till_of(directory, channel.spec.slug)
        for channel in directory.channels()
        if channel.merchant.slug == merchant and not channel.spec.paused
    )
    return [till for till in found if till is not None and till.wallet.slug == platform]


def till_of(directory: Directory, slug: str) -> Till | None:
    """The channel as a till; None for one that is gone, has no wallet of its own, or whose wallet only signs in."""
    channel = directory.channel(slug)
    live = channel.wallet if channel is not None else None
    # Another channel's wallet, by which the customer may sign in, would bring the money to another account.
    if channel is None or live is None or live.channel != slug or live.seam is None or not live.seam.can_pay(live.keys):
        return None
    keys = keys_table(channel.spec)
    named = (str(live.values.get(name) or keys.get(name) or "").strip() for name in _APP_IDS)
    return Till(channel, live.seam, live.keys, tuple(dict.fromkeys(app for app in named if app)))


def payer_at(tx: Tx, vault: Vault, till: Till, person: str) -> Payer | None:
    """The payer that a person is at this till: the ordering and the paying openid must be one app's. None: unknown."""
    who = people.look_up(tx, person)
    if who is None:
        return None
    marks, params = people.in_group(who)
    rows = tx.all(
        f"SELECT blind, app_id, id_type, sealed FROM identities WHERE person IN ({marks}) AND provider = :provider "
        f"ORDER BY id_type, created_at DESC, blind",
        {**params, "provider": till.wallet.slug},
    )
    for app in till.apps:
        for row in rows:
            if row["app_id"] == app and row["id_type"] != "unionid":
                value = vault.open(bytes(row["sealed"]), bytes(row["blind"])).decode()
                return Payer(row["app_id"], row["id_type"], value)
    return None


def can_be_paid(directory: Directory, merchant: str) -> bool:
    """Whether any wallet can pay the merchant."""
    return any(tills_of(directory, merchant, platform) for platform in get_args(Platform))


@dataclass(slots=True)
class Line:
    """The way to all platforms of one process; one that is away is left alone for a moment. Safe between threads."""

    carrier: Carrier
    random: RandomBytes
    _quiet: dict[str, datetime] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(
        self,
        till: Till,
        now: datetime,
        make: Callable[[str], Call],
        read: Callable[[Any, Reply, datetime], T],
    ) -> T:
        """Send what `make(nonce)` gives and read the answer. Raises CallFailed, CallUnknown.

        `make` and `read` are the wallet's; an answer that cannot be read says nothing.
        """
        try:
            return read(till.keys, self.carrier(make(self.random(_NONCE_BYTES).hex())), now)
        except CallUnknown as unknown:
            if unknown.code == "not_reached":
                with self._lock:
                    self._quiet[till.slug] = now + QUIET
            raise

    def is_quiet(self, till: Till, now: datetime) -> bool:
        """Whether this channel's platform was out of reach just now, so that work behind it need not wait again."""
        with self._lock:
            until = self._quiet.get(till.slug)
        return until is not None and now < until
