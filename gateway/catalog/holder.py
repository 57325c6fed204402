"""Keeps a process's directory in step with the store, and a sealed copy of it at hand for when the store is gone."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog

from crypto.errors import CryptoError
from crypto.vault import Vault
from gateway.catalog.directory import Directory
from gateway.catalog.encoding import decode, encode, to_json
from gateway.catalog.registry import Registry
from gateway.catalog.specs import Catalog
from gateway.catalog.storage import Stored, load, secret_id, version_of
from gateway.contract.errors import BadConfig, StoreTrouble, StoreUnavailable
from gateway.contract.store import Store
from gateway.home import write_private

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_AAD: Final = b"catalog cache"
_TROUBLE: Final = (StoreTrouble, BadConfig, CryptoError, LookupError)
"""What loading may raise: the store, rows that don't open, data keys under another master key, none yet."""


class CatalogCache:
    """The catalogue in a file, sealed by a vault that needs no store: the data keys lie in the store."""

    def __init__(self, path: Path, vault: Vault) -> None:
        self._path = path
        self._vault = vault

    def keep(self, stored: Stored) -> None:
        """Write it, whole or not at all. Raises OSError."""
        name = secret_id(self._vault)
        objects = [(kind, spec.slug, *encode(spec, name)) for kind, spec in stored.catalog.specs()]
        body = to_json({"version": stored.version, "objects": objects})
        write_private(self._path, self._vault.seal(body.encode(), _AAD), replace=True)

    def read(self) -> Stored | None:
        """What was kept last; None when there is nothing, or nothing that this master key opens."""
        try:
            body: dict[str, Any] = json.loads(self._vault.open(self._path.read_bytes(), _AAD))
            specs = [decode(kind, slug, values, secrets) for kind, slug, values, secrets in body["objects"]]
            return Stored(int(body["version"]), Catalog.of(specs))
        except (OSError, CryptoError, ValueError, KeyError, TypeError):
            return None


class DirectoryHolder:
    """Gives the current directory. Safe between threads; one a process, made before or after a fork."""

    def __init__(
        self,
        store: Store,
        vault: Callable[[], Vault],
        registry: Registry,
        *,
        sandbox_enabled: bool,
        cache: CatalogCache | None = None,
        min_interval: float = 0.5,
        rest_after_failure: float = 2.0,
        base_url: str = "",
    ) -> None:
        """`vault` reads the data keys of now and gives the vault over them; it is asked before each loading.

        The intervals are seconds between two looks at the store. After a failure the looks are rarer, so that a store
        that hangs holds up few requests.
        """
        self._store = store
        self._vault = vault
        self._registry = registry
        self._sandbox_enabled = sandbox_enabled
        self._cache = cache
        self._min_interval = min_interval
        self._rest_after_failure = rest_after_failure
        self._base_url = base_url
        self._lock = threading.Lock()
        self._directory: Directory | None = None
        self._next_look = float("-inf")
        self._failing = False

    @property
    def known(self) -> Directory | None:
        """The last one that was looked up, without looking: for use inside a transaction."""
        return self._directory

    def current(self, monotonic_now: float) -> Directory:
        """The directory, at most `min_interval` behind the store while the store answers, else the last one known.

        `monotonic_now` is seconds of a clock that never goes back. Raises StoreUnavailable when there is none: the
        store does not answer and nothing was kept.
        """
        directory = self._directory
        if directory is None:
            with self._lock:
                # A second thread that waited here finds what the first one made.
                return self._directory or self._begin(monotonic_now)
        if monotonic_now >= self._next_look and self._lock.acquire(blocking=False):
            try:
                self._look(directory, monotonic_now)
            finally:
                self._lock.release()
        return self._directory or directory

    def _begin(self, monotonic_now: float) -> Directory:
        try:
            self._directory = self._load()
            self._next_look = monotonic_now + self._min_interval
        except _TROUBLE as error:
            kept = self._cache.read() if self._cache is not None else None
            if kept is None:
                raise StoreUnavailable(f"no catalogue: {type(error).__name__}, and no copy of it is kept") from error
            self._fail(error, monotonic_now)
            self._directory = self._directory_of(kept)
        return self._directory

    def _look(self, directory: Directory, monotonic_now: float) -> None:
        try:
            if self._store.read(version_of) != directory.version:
                self._directory = self._load()
            self._next_look = monotonic_now + self._min_interval
            if self._failing:
                self._failing = False
                log.info("catalog_followed_again")
        except _TROUBLE as error:
            self._fail(error, monotonic_now)

    def _fail(self, error: Exception, monotonic_now: float) -> None:
        self._next_look = monotonic_now + self._rest_after_failure
        if not self._failing:
            self._failing = True
            log.warning("catalog_not_followed", error=str(error))

    def _load(self) -> Directory:
        vault = self._vault()
        stored = self._store.read(lambda tx: load(tx, vault))
        directory = self._directory_of(stored)
        if self._cache is not None:
            try:
                self._cache.keep(stored)
            except OSError as error:
                log.warning("catalog_copy_not_kept", error=str(error))
        return directory

    def _directory_of(self, stored: Stored) -> Directory:
        directory = Directory(
            stored.version,
            stored.catalog,
            self._registry,
            sandbox_enabled=self._sandbox_enabled,
            base_url=self._base_url,
        )
        for channel in directory.channels():
            if channel.trouble:
                log.error("channel_closed", channel=channel.spec.slug, trouble=channel.trouble)
        for _, wallet in directory.wallets():
            if wallet.trouble:
                log.error("wallet_closed", channel=wallet.channel, trouble=wallet.trouble)
        return directory
