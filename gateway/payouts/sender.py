"""Carrying payouts to the platforms and asking how they stand: the outbox's deed, outside of transactions.

The number and the request are in the store before they are first sent, and both stay what they are: after an unknown
end the same number is asked about, and the identical request sent again where the platform knows nothing of it (R114).
A platform's no is believed when it also says that it holds no such transfer; only then the amount goes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

import structlog

from crypto.vault import Vault
from gateway import incidents, outbox
from gateway.catalog.directory import Directory
from gateway.contract.clock import from_text
from gateway.contract.ids import IdFactory
from gateway.contract.payout import OPEN
from gateway.contract.store import Row, Store, Tx
from gateway.contract.wallet import CallFailed, CallUnknown, Transfers, TransferStanding
from gateway.payouts import rows
from gateway.payouts.rows import CONFIRMS, WAITING
from gateway.payouts.schedule import OVERDUE, UNKNOWN_ALARM, WITHOUT_TILL, next_look
from gateway.payouts.story import BANK, SEND, PayingOut, can_send, look_later
from gateway.tills import Line, Till, till_of

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_PAYEES: Final = frozenset({"expired", "cancelled", "account", "name", "limit"})
"""Failures that lie with the payee, of which no operator need hear."""


@dataclass(frozen=True, slots=True)
class Sender:
    """The deed; shared by all threads of a process. `directory` and `vault` may look at the store here."""

    store: Store
    ids: IdFactory
    paying: PayingOut
    line: Line
    directory: Callable[[], Directory]
    vault: Callable[[], Vault]

    def look(self, payload: Mapping[str, Any], now: datetime) -> str | None:
        """Send a payout, or ask how it stands; settles what is told and plans the next look."""
        id_, asked = str(payload["payout"]), int(payload["asked"])
        row = self.store.read(lambda tx: rows.payout(tx, id_))
        if row is None or row["state"] not in OPEN or row["asked"] != asked:
            return None
        if row["way"] == BANK or row["reason"] == WAITING:
            return None
        till = till_of(self.directory(), row["channel"])
        due = next_look(asked, now)
        if till is None or not can_send(till):
            channel = row["channel"]
            self.store.write(lambda tx: incidents.raise_(tx, self.ids, now, "payout_without_till", channel, row["id"]))
            due = now + WITHOUT_TILL
        elif not self.line.is_quiet(till, now):
            self._take(row, till, now)
        self.store.write(lambda tx: self._plan(tx, row, now, due))
        return None

    def hurry(self, payout: str, now: datetime) -> None:
        """Somebody looks at it, or its platform spoke: it is asked about at once."""
        self.store.write(lambda tx: outbox.hurry(tx, now, SEND, payout))

    # -- one look ---------------------------------------------------------------------------------------------------

    def _take(self, row: Row, till: Till, now: datetime) -> None:
        vault = self.vault()
        try:
            standing = self._ask(row, till, vault, now)
        except (CallFailed, CallUnknown) as trouble:
            log.warning("payout_unknown", channel=till.slug, payout=row["id"], code=trouble.code)
            code = trouble.code
            self.store.write(lambda tx: self._unknown(tx, row, code, now))
            return
        self.store.write(lambda tx: self._settle(tx, row, till, standing, now))

    def _ask(self, row: Row, till: Till, vault: Vault, now: datetime) -> TransferStanding:
        """How it stands, sent first where it was not. Raises CallUnknown, and CallFailed of a question declined."""
        wallet, number = cast("Transfers", till.wallet), rows.number_of(row["id"])

        def asked() -> TransferStanding:
            return self.line.ask(
                till,
                now,
                lambda nonce: wallet.query_transfer(till.keys, number, now, nonce),
                wallet.transfer_queried,
            )

        if row["asked"]:
            standing = asked()
            if standing.state != "not_found":
                return standing
        try:
            sent = self.line.ask(
                till,
                now,
                lambda nonce: wallet.transfer(till.keys, rows.transfer_of(vault, row), now, nonce),
                wallet.transferred,
            )
        except CallFailed as unfit:
            sent = TransferStanding("failed", fault="declined", detail=unfit.code)
        if sent.state != "failed":
            return sent
        # An earlier try under this number may have gone through all the same: only the platform can say.
        standing = asked()
        return sent if standing.state == "not_found" else standing

    def _settle(self, tx: Tx, seen: Row, till: Till, standing: TransferStanding, now: datetime) -> None:
        tx.lock(f"payout:{seen['id']}")
        row = rows.payout(tx, seen["id"])
        if row is None or row["state"] not in OPEN:
            return
        detail = standing.detail[:64]
        if standing.state == "done":
            self.paying.move(tx, row, "settled", now)
            incidents.close(tx, now, "payout_declined", till.slug)
        elif standing.state == "failed":
            reason = standing.fault or "declined"
            self.paying.move(tx, row, "failed", now, reason=reason, detail=detail)
            if reason not in _PAYEES:
                incidents.raise_(tx, self.ids, now, "payout_declined", till.slug, f"{row['id']} {detail or reason}")
        elif standing.state in ("accepted", "confirms"):
            why = CONFIRMS if standing.state == "confirms" else ""
            handle = standing.handle or (row["handle"] if why else "")
            if row["state"] == "sent":
                rows.note(tx, row, reason=why, detail=detail, handle=handle)
            else:
                self.paying.move(tx, row, "sent", now, reason=why, detail=detail, handle=handle)
        if standing.state in ("done", "failed"):
            for kind in ("payout_unknown", "payout_overdue"):
                incidents.close(tx, now, kind, row["id"])
            incidents.close(tx, now, "payout_without_till", till.slug)

    def _unknown(self, tx: Tx, seen: Row, code: str, now: datetime) -> None:
        """Nobody knows: a payout that was not known to be sent is `unknown`, one that was stays `sent` (R114)."""
        tx.lock(f"payout:{seen['id']}")
        row = rows.payout(tx, seen["id"])
        if row is None or row["state"] not in OPEN:
            return
        if row["state"] == "held":
            self.paying.move(tx, row, "unknown", now, reason="no_answer", detail=code[:64])
        elif from_text(row["moved_at"]) + UNKNOWN_ALARM <= now:
            incidents.raise_(tx, self.ids, now, "payout_unknown", row["id"], code)

    def _plan(self, tx: Tx, seen: Row, now: datetime, due: datetime) -> None:
        row = rows.payout(tx, seen["id"])
        if row is None or row["state"] not in OPEN or not rows.next_look(tx, seen["id"], seen["asked"]):
            return
        if from_text(row["created_at"]) + OVERDUE <= now and row["state"] == "sent":
            incidents.raise_(tx, self.ids, now, "payout_overdue", row["id"], row["detail"])
        look_later(tx, self.ids, seen["id"], seen["asked"] + 1, now, due)
