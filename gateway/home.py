"""The home folder: what one installation keeps on its own disk beside the store.

- `config.toml`: the deployment's settings (`gateway.config`).
- `secret.key`: the master key, readable by its owner alone.
- `sandbox/<channel>.json`: the sandbox platform's private material, likewise.
- `catalog.cache`: a sealed copy of the catalogue, so that a process can start while the store is gone.
- `run/`: what running processes leave for each other.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from crypto.errors import KeyMaterialError
from crypto.vault import MasterKey
from gateway.contract.errors import BadConfig
from gateway.contract.ids import RandomBytes, system_random

_OWNER_ONLY_FILE: Final = 0o600
_OWNER_ONLY_DIR: Final = 0o700
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class SandboxWallet:
    """What a wallet platform's twin signs with, and the `wallet` table that trusts it; `made_for` tells which keys."""

    made_for: str
    private: Mapping[str, str]
    table: Mapping[str, Any]

    def __repr__(self) -> str:
        return "SandboxWallet()"


@dataclass(frozen=True, slots=True)
class SandboxKeys:
    """What a sandbox platform signs with (`private`) and the `keys` table that trusts it, made for one adapter."""

    adapter: str
    private: Mapping[str, str]
    keys: Mapping[str, Any]
    wallet: SandboxWallet | None = None

    def __repr__(self) -> str:
        return f"SandboxKeys(adapter={self.adapter!r})"


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one home and the few files of it that hold secrets. `root` need not exist yet."""

    root: Path

    @property
    def config_file(self) -> Path:
        """The deployment's settings."""
        return self.root / "config.toml"

    @property
    def secret_file(self) -> Path:
        """The master key's text."""
        return self.root / "secret.key"

    @property
    def cache_file(self) -> Path:
        """The sealed copy of the catalogue."""
        return self.root / "catalog.cache"

    @property
    def run_dir(self) -> Path:
        """Where running processes meet: heartbeats, metrics files, locks."""
        return self.root / "run"

    def path(self, name: str) -> Path:
        """A path from the settings: relative ones begin at the home."""
        return self.root / name

    def create(self) -> None:
        """Make the folders that are missing, closed to others. Raises BadConfig where that cannot be done."""
        try:
            for folder in (self.root, self.run_dir, self.root / "sandbox"):
                folder.mkdir(mode=_OWNER_ONLY_DIR, parents=True, exist_ok=True)
        except OSError as error:
            raise BadConfig([(str(self.root), f"the home cannot be made: {error.strerror}")]) from None

    def create_master_key(self, random: RandomBytes) -> bool:
        """Make `secret.key` unless it is there; whether it was made. Of two at once one wins and both go on with it."""
        return write_private(self.secret_file, MasterKey.new(random).to_text().encode(), replace=False)

    def master_key(self) -> MasterKey:
        """The key in `secret.key`. Raises BadConfig: missing, readable by others, not a key."""
        try:
            with self.secret_file.open("rb") as file:
                # Asked of the open file, so that what was checked is what is read.
                open_to_others = stat.S_IMODE(os.fstat(file.fileno()).st_mode) & _OTHERS
                text = file.read(4096)
        except FileNotFoundError:
            raise BadConfig([("secret.key", "is missing; `drainage init` makes it")]) from None
        except OSError as error:
            raise BadConfig([("secret.key", f"cannot be read: {error.strerror}")]) from None
        if open_to_others:
            raise BadConfig([("secret.key", "is open to other users; `chmod 600` it and consider it known")])
        try:
            return MasterKey.from_text(text.decode("ascii"))
        except (KeyMaterialError, UnicodeDecodeError):
            raise BadConfig([("secret.key", "does not hold a key of ours")]) from None

    def sandbox_keys(self, channel: str) -> SandboxKeys | None:
        """The sandbox platform's material for `channel`, or None. Raises BadConfig for a file that is not ours."""
        path = self._sandbox_file(channel)
        try:
            found = json.loads(path.read_bytes())
            made = SandboxKeys(str(found["adapter"]), dict(found["private"]), dict(found["keys"]))
            if (kept := found.get("wallet")) is None:
                return made
            wallet = SandboxWallet(str(kept["made_for"]), dict(kept["private"]), dict(kept["table"]))
            return replace(made, wallet=wallet)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            raise BadConfig([(f"sandbox/{path.name}", "cannot be read; remove it to have new keys made")]) from None

    def keep_sandbox_keys(self, channel: str, made: SandboxKeys) -> None:
        """Write the material of `channel`, in place of any before it."""
        self.create()
        body: dict[str, Any] = {"adapter": made.adapter, "private": dict(made.private), "keys": dict(made.keys)}
        if made.wallet is not None:
            kept = made.wallet
            body["wallet"] = {"made_for": kept.made_for, "private": dict(kept.private), "table": dict(kept.table)}
        write_private(self._sandbox_file(channel), json.dumps(body, indent=1).encode(), replace=True)

    def _sandbox_file(self, channel: str) -> Path:
        if not channel or "/" in channel or channel.startswith("."):
            raise ValueError("not a channel's name")
        return self.root / "sandbox" / f"{channel}.json"


def write_private(path: Path, content: bytes, *, replace: bool) -> bool:
    """Write a file that only its owner may read: whole or not at all, on the disk when this returns.

    With `replace` false a file already there stays; the return value tells whether this content was put in place.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.{system_random(4).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY_FILE)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            # A hard link, unlike a rename, refuses to cover what is there.
            path.hardlink_to(draft)
    except FileExistsError:
        return False
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True
