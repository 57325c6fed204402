"""The keys that a running process holds: data keys from the store, the rest derived from the home's master key.

A data key is random and lies in the store wrapped under the master key; rotation adds one and makes it the active
one. Every process takes up a new key when it meets bytes sealed with one it does not hold, and when told to look.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from crypto.errors import UnknownDataKey
from crypto.vault import MasterKey, Vault
from gateway import audit
from gateway.auth.tokens import TokenKeys
from gateway.contract.clock import to_text
from gateway.contract.ids import RandomBytes
from gateway.contract.store import Store, Tx
from gateway.links import LinkKeys

_DATA_KEY_BYTES: Final = 32
_LOCAL: Final = "local"


class Keyring:
    """Holds the vault of one process. Safe between threads; nothing is read before the first use."""

    def __init__(self, master: MasterKey, store: Store, random: RandomBytes) -> None:
        self._master = master
        self._store = store
        self._random = random
        self._index_key = master.derive("blind index")
        self._vault: Vault | None = None
        self.local = Vault({_LOCAL: master.derive("local files")}, _LOCAL, self._index_key, random=random)
        """Seals what must be written and read while the store is gone: the spool and the catalogue's cache."""

    def vault(self) -> Vault:
        """The vault over the store's data keys. Raises StoreTrouble while they have never been read."""
        return self._vault or self.reload()

    def reload(self) -> Vault:
        """Read the data keys anew. Raises StoreTrouble."""
        rows = self._store.read(lambda tx: tx.all("SELECT id, wrapped, active FROM data_keys ORDER BY created_at, id"))
        if not rows:
            raise LookupError("the store holds no data key; `drainage init` makes the first")
        keys = {row["id"]: self._master.unwrap(row["id"], bytes(row["wrapped"])) for row in rows}
        active = next(row["id"] for row in reversed(rows) if row["active"])
        self._vault = Vault(keys, active, self._index_key, random=self._random)
        return self._vault

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        """Open what any process sealed, also with a key made since this one last looked. Raises DecryptFailed."""
        try:
            return self.vault().open(sealed, aad)
        except UnknownDataKey:
            return self.reload().open(sealed, aad)

    def link_keys(self) -> LinkKeys:
        """The link keys; derived, so that they exist while the store does not."""
        return LinkKeys({"1": self._master.derive("link key 1")}, "1")

    def token_keys(self) -> TokenKeys:
        """The keys that sign tokens for the API and for browsers' sessions."""
        return TokenKeys({"1": self._master.derive("api tokens 1")}, "1")

    def session_key(self) -> bytes:
        """Signs what a browser carries: sessions' cookies and form tokens."""
        return self._master.derive("browser sessions")

    def test_key(self) -> bytes:
        """Marks the test notifications that this home sends to itself."""
        return self._master.derive("test notices")

    def names_key(self) -> bytes:
        """Makes the names under which coupons stand in customers' addresses."""
        return self._master.derive("names in addresses")

    def make_first(self, tx: Tx, now: datetime) -> bool:
        """Make the first data key where there is none; whether one was made."""
        tx.lock("data_keys")
        if tx.one("SELECT id FROM data_keys LIMIT 1") is not None:
            return False
        self._add(tx, "k1", now)
        return True

    def rotate(self, tx: Tx, now: datetime, who: str) -> str:
        """Add a data key and seal with it from now on; its id. What older keys sealed stays readable."""
        tx.lock("data_keys")
        count = tx.one("SELECT count(*) AS n FROM data_keys")
        key_id = f"k{(count['n'] if count is not None else 0) + 1}"
        tx.run("UPDATE data_keys SET active = 0")
        self._add(tx, key_id, now)
        audit.record(tx, now, who, "keys.rotate", key_id)
        return key_id

    def _add(self, tx: Tx, key_id: str, now: datetime) -> None:
        wrapped = self._master.wrap(key_id, self._random(_DATA_KEY_BYTES), self._random)
        tx.run(
            "INSERT INTO data_keys (id, wrapped, active, created_at) VALUES (:id, :wrapped, 1, :now)",
            {"id": key_id, "wrapped": wrapped, "now": to_text(now)},
        )

    def __repr__(self) -> str:
        return "Keyring()"
