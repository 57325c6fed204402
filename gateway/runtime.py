"""One process's working parts, wired once; `create` is the only place that knows how they fit together."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from crypto.vault import Vault
from gateway.auth.accounts import Accounts
from gateway.auth.passwords import Hasher
from gateway.calls import Carrier, HttpCarrier
from gateway.campaigning import CampaignHost, GatewayHouse
from gateway.campaigning.house import Parts
from gateway.catalog.directory import Directory
from gateway.catalog.holder import CatalogCache, DirectoryHolder
from gateway.catalog.registry import Registry, installed
from gateway.claiming import Claiming
from gateway.config import load_config, process_environ
from gateway.contract.campaign import PayoutMoved
from gateway.contract.clock import Clock, system_clock
from gateway.contract.ids import IdFactory, RandomBytes, system_random
from gateway.contract.store import Store, Tx
from gateway.handover import HandingOver
from gateway.home import Home
from gateway.keyring import Keyring
from gateway.links import LinkKeys
from gateway.orders import Ordering
from gateway.payouts.story import PayingOut
from gateway.redeeming import Redeeming
from gateway.relay.guard import Guard
from gateway.relay.target import BadUpstream
from gateway.rulebook import Rulebook
from gateway.service import TakeIn
from gateway.settings import Config
from gateway.sharing import Sharing
from gateway.signin import SignIn
from gateway.store import open_store
from gateway.webhooks import Hooks
from gateway.webhooks.sending import HttpPost


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything a surface (page, API, command, worker) may need. Shared by all threads of a process."""

    config: Config
    home: Home
    store: Store
    registry: Registry
    holder: DirectoryHolder
    keyring: Keyring
    link_keys: LinkKeys
    ids: IdFactory
    clock: Clock
    random: RandomBytes
    intake: TakeIn
    claiming: Claiming
    redeeming: Redeeming
    sharing: Sharing
    handing_over: HandingOver
    ordering: Ordering
    accounts: Accounts
    carrier: Carrier
    signing_in: SignIn
    campaigns: CampaignHost
    paying_out: PayingOut

    def directory(self) -> Directory:
        """The catalogue as it is now. Raises StoreUnavailable when it was never read and no copy is kept."""
        return self.holder.current(time.monotonic())

    def vault(self) -> Vault:
        """The vault over the store's data keys. Raises StoreTrouble while they have never been read."""
        return self.keyring.vault()

    @property
    def base_url(self) -> str:
        """Where customers reach us, without a slash at its end."""
        return self.config.server.base_url


def create(
    home_path: Path,
    *,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    random: RandomBytes = system_random,
    registry: Registry | None = None,
    store: Store | None = None,
    hasher: Hasher | None = None,
    carrier: Carrier | None = None,
) -> Runtime:
    """The parts of one process over a home that `drainage init` made. Nothing is opened before its first use.

    `clock`, `random`, `registry`, `store`, `hasher` and `carrier` are given by tests. Raises BadConfig with all faults.
    """
    home = Home(home_path)
    config = load_config(home.root, process_environ() if environ is None else environ)
    registry = registry or installed(config.plugins.allow)
    store = store or open_store(config.store.url.reveal(), home.root)
    keyring = Keyring(home.master_key(), store, random)
    carrier = carrier or HttpCarrier()
    ids = IdFactory(random)
    rulebook = Rulebook()
    link_keys = keyring.link_keys()
    holder = DirectoryHolder(
        store,
        keyring.reload,
        registry,
        sandbox_enabled=config.sandbox.enabled,
        cache=CatalogCache(home.cache_file, keyring.local),
        base_url=config.server.base_url,
    )
    clock = clock or system_clock(timedelta(seconds=config.sandbox.clock_offset_s))
    campaigns = CampaignHost(registry, lambda: holder.known, clock, lambda: house)
    hear = campaigns.hear
    guard = Guard(config.relay.allow)
    redeeming = Redeeming(store, ids, Hooks(lambda: holder.current(time.monotonic()), lambda: holder.known), hear)
    ordering = Ordering(store, ids, random, link_keys, rulebook, hear)

    def tell(tx: Tx, moved: PayoutMoved, now: datetime) -> None:
        hear(tx, moved, now)

    # The house is called late: it is made of this.
    paying_out = PayingOut(ids, lambda: house.directory(), keyring.vault, tell)  # noqa: PLW0108
    house = GatewayHouse(
        Parts(
            store=store,
            ids=ids,
            random=random,
            link_keys=link_keys,
            known=lambda: holder.known,
            vault=keyring.vault,
            ordering=ordering,
            redeeming=redeeming,
            paying_out=paying_out,
            post=HttpPost(guard),
            check_url=lambda url: _refusal(guard, url),
            base_url=config.server.base_url,
            sandbox=config.sandbox.enabled,
            redis_url=config.redis.url.reveal(),
            folder=home.root / "campaigns",
            views=campaigns.of_kind,
            find=campaigns.find,
        )
    )
    return Runtime(
        config=config,
        home=home,
        store=store,
        registry=registry,
        holder=holder,
        keyring=keyring,
        link_keys=link_keys,
        ids=ids,
        clock=clock,
        random=random,
        intake=TakeIn(store, keyring.vault, link_keys, ids, rulebook, hear),
        claiming=Claiming(store, random, hear),
        redeeming=redeeming,
        sharing=Sharing(store, ids, link_keys),
        handing_over=HandingOver(store, ids, random, link_keys),
        ordering=ordering,
        accounts=Accounts(
            store,
            keyring.token_keys(),
            hasher or Hasher(),
            ids,
            random,
            reauth_above_fen=config.security.reauth_above_fen,
            longest_login=timedelta(hours=config.security.login_hours),
        ),
        carrier=carrier,
        signing_in=SignIn(store, keyring.vault, ids, random, carrier),
        campaigns=campaigns,
        paying_out=paying_out,
    )


def _refusal(guard: Guard, url: str) -> str | None:
    """Why an address may not be called; None for one that may."""
    try:
        guard.check_literal(url)
    except BadUpstream as refused:
        return str(refused)
    return None
