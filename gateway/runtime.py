"""One process's working parts, wired once; `create` is the only place that knows how they fit together."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from crypto.vault import Vault
from gateway.auth.accounts import Accounts
from gateway.auth.passwords import Hasher
from gateway.calls import Carrier, HttpCarrier
from gateway.catalog.directory import Directory
from gateway.catalog.holder import CatalogCache, DirectoryHolder
from gateway.catalog.registry import Registry, installed
from gateway.claiming import Claiming
from gateway.config import load_config, process_environ
from gateway.contract.clock import Clock, system_clock
from gateway.contract.ids import IdFactory, RandomBytes, system_random
from gateway.contract.store import Store
from gateway.handover import HandingOver
from gateway.home import Home
from gateway.keyring import Keyring
from gateway.links import LinkKeys
from gateway.orders import Ordering
from gateway.redeeming import Redeeming
from gateway.rulebook import Rulebook
from gateway.service import TakeIn
from gateway.settings import Config
from gateway.sharing import Sharing
from gateway.signin import SignIn
from gateway.store import open_store
from gateway.webhooks import Hooks


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
    return Runtime(
        config=config,
        home=home,
        store=store,
        registry=registry,
        holder=holder,
        keyring=keyring,
        link_keys=link_keys,
        ids=ids,
        clock=clock or system_clock(timedelta(seconds=config.sandbox.clock_offset_s)),
        random=random,
        intake=TakeIn(store, keyring.vault, link_keys, ids, rulebook),
        claiming=Claiming(store, random),
        redeeming=Redeeming(store, ids, Hooks(lambda: holder.current(time.monotonic()), lambda: holder.known)),
        sharing=Sharing(store, ids, link_keys),
        handing_over=HandingOver(store, ids, random, link_keys),
        ordering=Ordering(store, ids, random, link_keys, rulebook),
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
    )
