"""Signing a customer in with his wallet (R052, R053): a browser is sent to the platform and comes back known.

A hop is a random state, used once, bound to the browser that began it; where it leads back to lies sealed in the store
and never in an address. The platform is asked outside any transaction, by whoever took the state: of two requests
that come back with one state (a reload, a prefetch) the first asks and the other reads what it was told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from crypto.tokens import token_digest
from crypto.vault import Vault
from gateway import people
from gateway.calls import Carrier
from gateway.catalog.directory import Directory, LiveWallet
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.ids import IdFactory, RandomBytes
from gateway.contract.store import Row, Store, Tx
from gateway.contract.wallet import CallUnknown, Platform, SignInFailed

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LASTS: Final = timedelta(minutes=10)
TWICE_WITHIN: Final = timedelta(minutes=1)
"""How long after a state was taken its browser may come back with it once more and be told the same."""

ROUNDS: Final = 2
"""How often a browser is sent to the platform by itself; after that the customer taps."""

_PAUSE_S: Final = 0.1
_WAITS: Final = 75
"""Longer together than the platform may take to answer, so that a second request outlasts the first."""

_AAD: Final = b"sign-in target"
_SECRET_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Hop:
    """One way to the platform and back. `target` is a path of ours; `makes`: a stranger becomes a person by it."""

    channel: str
    platform: Platform
    circle: str
    target: str
    makes: bool
    round: int = 1


@dataclass(frozen=True, slots=True)
class Arrival:
    """A browser is back. `person` "" is one whom nobody here knows; `failed` "" or why the platform did not tell.

    `again`: a fresh start may do, and has not been tried.
    """

    hop: Hop
    person: str = ""
    failed: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class SignIn:
    """The use case; its parts are shared by all threads of a process."""

    store: Store
    vault: Callable[[], Vault]
    ids: IdFactory
    random: RandomBytes
    carrier: Carrier
    pause: Callable[[float], None] = time.sleep

    def begin(self, wallet: LiveWallet, hop: Hop, browser: str, back: str, now: datetime) -> str:
        """Where the browser is sent; `browser` is its secret of ours, `back` the address it comes back to.

        Raises Refused `no_wallet` (503) where the wallet's plug-in or values are gone.
        """
        if wallet.seam is None:
            raise Refused("no_wallet", 503)
        state = self.random(_SECRET_BYTES).hex()
        url = wallet.seam.authorize_url(wallet.keys, back, state)
        row = {
            "state": token_digest(state),
            "browser": token_digest(browser),
            "channel": hop.channel,
            "platform": hop.platform,
            "circle": hop.circle,
            "target": self.vault().seal(hop.target.encode(), _AAD),
            "makes": int(hop.makes),
            "round": hop.round,
            "now": to_text(now),
            "expires": to_text(now + LASTS),
        }
        self.store.write(lambda tx: tx.run(_INSERT, row))
        return url

    def finish(
        self, directory: Directory, platform: str, query: Mapping[str, str], browser: str, now: datetime
    ) -> Arrival:
        """The browser is back with `query`. Raises Refused `not_found` (404) for a state that is not this browser's."""
        digest = token_digest(query.get("state", ""))

        def take(tx: Tx) -> tuple[Row | None, bool]:
            taken = tx.run(
                "UPDATE sign_ins SET taken_at = :now WHERE state_digest = :state AND browser = :browser "
                "AND platform = :platform AND taken_at IS NULL AND expires_at > :now",
                {"now": to_text(now), "state": digest, "browser": token_digest(browser), "platform": platform},
            )
            return _row(tx, digest), bool(taken)

        row, is_mine = self.store.write(take)
        if row is None or bytes(row["browser"]) != token_digest(browser) or row["platform"] != platform:
            raise Refused("not_found", 404)
        hop = self._hop(row)
        if is_mine:
            return self._ask(directory, hop, digest, query, now)
        if row["taken_at"] is None or from_text(row["taken_at"]) + TWICE_WITHIN <= now:
            return Arrival(hop, failed="expired")
        return self._wait(hop, digest)

    def sweep(self, now: datetime, most: int) -> int:
        """Delete up to `most` hops that are over; how many."""
        over = "SELECT state_digest FROM sign_ins WHERE expires_at <= :now LIMIT :most"
        values = {"now": to_text(now), "most": most}
        # Looked at first: most of the time there is none, and a write costs a sync.
        if self.store.read(lambda tx: tx.one(over, values)) is None:
            return 0

        return self.store.write(lambda tx: tx.run(f"DELETE FROM sign_ins WHERE state_digest IN ({over})", values))

    # -- the first one back -----------------------------------------------------------------------------------------

    def _ask(self, directory: Directory, hop: Hop, digest: bytes, query: Mapping[str, str], now: datetime) -> Arrival:
        try:
            person = self._person(directory, hop, query, now)
        except SignInFailed as failed:
            arrival = Arrival(hop, failed=failed.code or "failed", again=failed.again and hop.round < ROUNDS)
        except CallUnknown as unknown:
            arrival = Arrival(hop, failed="no_answer")
            log.warning("sign_in_unanswered", channel=hop.channel, trouble=unknown.code)
        else:
            arrival = Arrival(hop, person=person)
        if arrival.failed:
            log.info("sign_in_failed", channel=hop.channel, platform=hop.platform, reason=arrival.failed)
        told = {"person": None if arrival.failed else arrival.person, "failed": arrival.failed or None, "state": digest}
        self.store.write(
            lambda tx: tx.run(
                "UPDATE sign_ins SET person = :person, failed = :failed WHERE state_digest = :state", told
            )
        )
        return arrival

    def _person(self, directory: Directory, hop: Hop, query: Mapping[str, str], now: datetime) -> str:
        """Ask the platform who it is. Raises SignInFailed, CallUnknown."""
        wallet = directory.wallet_of(hop.circle, hop.channel)
        if wallet is None or wallet.seam is None or wallet.platform != hop.platform:
            raise SignInFailed("no_wallet")
        seam, keys = wallet.seam, wallet.keys
        code = seam.code_of(keys, query)
        call = seam.exchange(keys, code, now, self.random(_SECRET_BYTES).hex())
        payers = seam.identity(keys, self.carrier(call))
        if not payers:
            raise SignInFailed("nobody")
        known_by = people.identities(self.vault(), hop.platform, payers)

        def recognise(tx: Tx) -> str:
            # Someone of whom nothing is kept is not written down by merely looking at a page.
            if not hop.makes and not people.is_known(tx, known_by):
                return ""
            return people.recognise(tx, self.ids, now, known_by).id

        return self.store.write(recognise)

    # -- the second -------------------------------------------------------------------------------------------------

    def _wait(self, hop: Hop, digest: bytes) -> Arrival:
        for _ in range(_WAITS):
            row = self.store.read(lambda tx: _row(tx, digest))
            if row is None:
                break
            if row["failed"] is not None:
                return Arrival(hop, failed=row["failed"])
            if row["person"] is not None:
                return Arrival(hop, person=row["person"])
            self.pause(_PAUSE_S)
        return Arrival(hop, failed="no_answer")

    def _hop(self, row: Row) -> Hop:
        target = self.vault().open(bytes(row["target"]), _AAD).decode()
        return Hop(row["channel"], row["platform"], row["circle"], target, bool(row["makes"]), int(row["round"]))


def once_more(hop: Hop) -> Hop:
    """The same way, gone again."""
    return replace(hop, round=hop.round + 1)


def _row(tx: Tx, digest: bytes) -> Row | None:
    return tx.one("SELECT * FROM sign_ins WHERE state_digest = :state", {"state": digest})


_INSERT: Final = (
    "INSERT INTO sign_ins (state_digest, browser, channel, platform, circle, target, makes, round, created_at, "
    "expires_at) VALUES (:state, :browser, :channel, :platform, :circle, :target, :makes, :round, :now, :expires)"
)
