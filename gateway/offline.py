"""Scans that a till made without a line, merged once it has one again (R064).

Each scan bears a nonce: however often it is sent, it is settled once. A coupon that somebody else used meanwhile is a
conflict, listed for staff until a manager has looked at it; nothing is paid twice. The till's clock decides only how
long ago a scan was, and within bounds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Literal

from gateway import audit, coupons
from gateway.auth.throttle import UNKNOWN_CODE
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.store import Row, Store, Tx
from gateway.redeeming import Bill, Clerk, Redeeming
from linkgen.codes import is_code, normalise

MOST: Final = 20
"""Scans in one call: a longer queue comes in several."""

OLDEST: Final = timedelta(hours=72)
HELD_FOR: Final = timedelta(hours=24)
SAME_SCAN: Final = timedelta(seconds=10)
LISTED: Final = 100
KEPT_FOR: Final = timedelta(days=90)
_TAIL: Final = 5

Outcome = Literal["redeemed", "held", "conflict"]


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan as a till kept it: `at` by its own clock."""

    nonce: str
    code: str
    at: datetime
    bill: Bill = field(default_factory=Bill)


@dataclass(frozen=True, slots=True)
class First:
    """The redemption that stood already: when (store text), in which shop, by whom."""

    at: str
    shop: str | None
    by: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a scan. `reason` is a refusal's code, "" where the coupon was used; `at`: when it was made."""

    nonce: str
    outcome: Outcome
    reason: str
    tail: str
    at: str
    shop: str | None
    by: str
    merged_at: str
    owner: str | None = None
    first: First | None = None


def believed(told: datetime, sent: datetime, now: datetime) -> datetime:
    """When a scan was made, by our clock: as long ago as the till says, never in the future, 72 hours ago at most.

    `told` and `sent` are the till's own times of the scan and of this call: a clock that is simply wrong does no harm.
    """
    return now - min(max(sent - told, timedelta(0)), OLDEST)


def is_same_scan(clerk: str, at: datetime, first: First) -> bool:
    """Whether a standing redemption is this very scan, made twice within a moment by one clerk."""
    return first.by == clerk and abs(from_text(first.at) - at) <= SAME_SCAN


@dataclass(frozen=True, slots=True)
class Offline:
    """The use case; its parts are shared by all threads of a process."""

    store: Store
    redeeming: Redeeming

    def merge(
        self, scans: Sequence[Scan], sent_at: datetime, clerk: Clerk, place: str | None, token: str, now: datetime
    ) -> list[Settled]:
        """Settle each scan, oldest first, in a transaction of its own; what became of each, in that order.

        `place`: the merchant whose staff scanned, None for an operator's. `token`: whom guessed codes are counted for.
        Raises Refused: `too_many_scans` (422), `too_many` (429, `retry_after_s`) after too many codes that are none.
        """
        if len(scans) > MOST:
            raise Refused("too_many_scans", 422, f"send at most {MOST} scans at once", most=MOST)
        self.store.read(lambda tx: UNKNOWN_CODE.check(tx, now, token))
        settled = []
        for scan in sorted(scans, key=lambda one: one.at):
            at = believed(scan.at, sent_at, now)
            settled.append(self._settle(scan, at, clerk, place, token, now))
        return settled

    def _settle(self, scan: Scan, at: datetime, clerk: Clerk, place: str | None, token: str, now: datetime) -> Settled:
        def work(tx: Tx) -> Settled:
            tx.lock(f"scan:{scan.nonce}")
            known = tx.one("SELECT * FROM scans WHERE nonce = :nonce", {"nonce": scan.nonce})
            if known is not None:
                if bytes(known["digest"]) != _digest(scan) or not _sees(clerk, known):
                    # Somebody else's scan, or another one under its nonce: nothing is told of it, nothing done.
                    return _unkept(scan, at, clerk, "nonce_reused", now)
                if known["state"] != "held":
                    return _of_row(known)
                coupons.let_go(tx, known["coupon"])
                return self._once(tx, scan, from_text(known["at"]), clerk, known["merchant"], token, now)
            return self._once(tx, scan, at, clerk, place, token, now)

        return self.store.write(work)

    def _once(
        self, tx: Tx, scan: Scan, at: datetime, clerk: Clerk, place: str | None, token: str, now: datetime
    ) -> Settled:
        """Use the coupon, or note why not, within the transaction that holds the nonce."""
        code = normalise(scan.code)
        coupon = coupons.by_code(tx, code) if is_code(code) else None
        ours = coupon is not None and clerk.serves(coupon["merchant"])
        told = at
        if coupon is not None and ours:
            # No coupon was used before it was there, whatever a till's clock says.
            at = min(max(at, from_text(coupon["claimed_at"])), now)
            coupons.revive(tx, code, at)
        outcome: Outcome = "redeemed"
        reason, owner, first = "", None, None
        try:
            self.redeeming.redeem_in(tx, code, clerk, scan.nonce, scan.bill, now, at)
        except Refused as refused:
            outcome, reason, owner = "conflict", refused.code, refused.facts.get("merchant")
            if refused.code == "idempotency_key_reused":
                return _unkept(scan, at, clerk, "nonce_reused", now)
            if refused.code == "already_redeemed":
                first = _standing(tx, code)
                if first is not None and (_is_of(tx, code, scan.nonce) or is_same_scan(clerk.name, told, first)):
                    outcome, reason, first = "redeemed", "", None
            elif refused.code == "reauthentication_required" and coupons.hold(tx, code):
                outcome = "held"
            elif refused.code == "no_such_coupon":
                with suppress(Refused):
                    UNKNOWN_CODE.count(tx, now, token)
        settled = Settled(
            nonce=scan.nonce,
            outcome=outcome,
            reason=reason,
            tail=code[-_TAIL:],
            at=to_text(at),
            shop=scan.bill.shop,
            by=clerk.name,
            merged_at=to_text(now),
            owner=owner,
            first=first,
        )
        merchant = place or (coupon["merchant"] if coupon is not None and ours else None)
        _keep(tx, settled, scan, merchant, code if ours else None)
        return settled

    # -- what staff look at -----------------------------------------------------------------------------------------

    def conflicts(self, clerk: Clerk) -> list[Settled]:
        """The conflicts and held scans of his merchants that nobody has looked at; newest first."""
        scope, params = _scope(clerk)
        rows = self.store.read(
            lambda tx: tx.all(
                f"SELECT * FROM scans WHERE seen_at IS NULL AND state IN ('conflict', 'held') {scope} "
                "ORDER BY merged_at DESC, nonce LIMIT :most",
                {**params, "most": LISTED},
            )
        )
        return [_of_row(row) for row in rows]

    def confirm(self, nonce: str, clerk: Clerk, token: str, now: datetime) -> Settled:
        """Settle a held scan for somebody who has given his password since. Raises Refused `not_found` (404)."""
        scope, params = _scope(clerk)
        row = self.store.read(
            lambda tx: tx.one(
                f"SELECT * FROM scans WHERE nonce = :nonce AND state = 'held' {scope}", {**params, "nonce": nonce}
            )
        )
        if row is None:
            raise Refused("not_found", 404)
        bill = Bill(row["amount_fen"], None, row["shop"])
        scan = Scan(nonce, row["coupon"], from_text(row["told_at"]), bill)
        return self._settle(scan, from_text(row["at"]), clerk, row["merchant"], token, now)

    def acknowledge(self, nonce: str, clerk: Clerk, now: datetime) -> None:
        """A manager has looked at a conflict: it leaves the list. Raises Refused `not_found` (404)."""
        scope, params = _scope(clerk)

        def note(tx: Tx) -> None:
            seen = tx.one(
                "UPDATE scans SET seen_at = :now, seen_by = :by WHERE nonce = :nonce AND seen_at IS NULL "
                f"AND state = 'conflict' {scope} RETURNING tail, reason, by, at",
                {**params, "now": to_text(now), "by": clerk.name, "nonce": nonce},
            )
            if seen is None:
                raise Refused("not_found", 404)
            audit.record(
                tx,
                now,
                clerk.name,
                "scan.acknowledge",
                nonce,
                before={"tail": seen["tail"], "reason": seen["reason"], "by": seen["by"], "at": seen["at"]},
                request_id=clerk.request_id,
            )

        self.store.write(note)


def release_held(tx: Tx, now: datetime, most: int) -> int:
    """Scans that waited a day for a password become conflicts, and their coupons can be used again; how many."""
    rows = tx.all(
        "SELECT nonce, coupon FROM scans WHERE seen_at IS NULL AND state = 'held' AND merged_at <= :then "
        "ORDER BY merged_at LIMIT :most",
        {"then": to_text(now - HELD_FOR), "most": most},
    )
    done = 0
    for row in rows:
        tx.lock(f"scan:{row['nonce']}")
        if tx.run(
            "UPDATE scans SET state = 'conflict', reason = 'not_confirmed' WHERE nonce = :nonce AND state = 'held'",
            {"nonce": row["nonce"]},
        ):
            coupons.let_go(tx, row["coupon"])
            done += 1
    return done


def forget(tx: Tx, now: datetime, most: int) -> int:
    """Drop settled scans after 90 days, but for conflicts that nobody has looked at; how many."""
    return tx.run(
        "DELETE FROM scans WHERE nonce IN (SELECT nonce FROM scans WHERE merged_at < :before "
        "AND (state = 'redeemed' OR seen_at IS NOT NULL) ORDER BY merged_at LIMIT :most)",
        {"before": to_text(now - KEPT_FOR), "most": most},
    )


def _digest(scan: Scan) -> bytes:
    bill = scan.bill
    parts = [normalise(scan.code), to_text(scan.at), bill.amount_fen, bill.transaction_id, bill.shop]
    return sha256(json.dumps(parts).encode()).digest()


def _sees(clerk: Clerk, row: Row) -> bool:
    if row["merchant"] is None:
        return clerk.merchants is None or bool(row["by"] == clerk.name)
    return clerk.serves(row["merchant"])


def _scope(clerk: Clerk) -> tuple[str, dict[str, Any]]:
    """A piece of SQL that bounds a list to what he may see, and its parameters."""
    if clerk.merchants is None:
        return "", {}
    names = sorted(clerk.merchants)
    params: dict[str, Any] = {f"m{number}": name for number, name in enumerate(names)}
    marks = ", ".join(f":{name}" for name in params) or "NULL"
    return f"AND (merchant IN ({marks}) OR (merchant IS NULL AND by = :me))", {**params, "me": clerk.name}


def _standing(tx: Tx, code: str) -> First | None:
    row = tx.one("SELECT at, shop, by FROM redemptions WHERE coupon = :code AND reversed_at IS NULL", {"code": code})
    return First(row["at"], row["shop"], row["by"]) if row is not None else None


def _is_of(tx: Tx, code: str, nonce: str) -> bool:
    """Whether the standing redemption came from this scan: it had reached us, only its answer was lost."""
    row = tx.one(
        "SELECT 1 AS yes FROM redemptions WHERE coupon = :code AND key = :key AND reversed_at IS NULL",
        {"code": code, "key": nonce},
    )
    return row is not None


def _unkept(scan: Scan, at: datetime, clerk: Clerk, reason: str, now: datetime) -> Settled:
    code = normalise(scan.code)
    return Settled(scan.nonce, "conflict", reason, code[-_TAIL:], to_text(at), scan.bill.shop, clerk.name, to_text(now))


def _keep(tx: Tx, settled: Settled, scan: Scan, merchant: str | None, coupon: str | None) -> None:
    first = settled.first
    tx.run(
        "INSERT INTO scans (nonce, digest, state, reason, merchant, coupon, tail, owner, by, shop, amount_fen, at, "
        "told_at, merged_at, first_at, first_shop, first_by) "
        "VALUES (:nonce, :digest, :state, :reason, :merchant, :coupon, "
        ":tail, :owner, :by, :shop, :amount, :at, :told, :merged, :first_at, :first_shop, :first_by) "
        "ON CONFLICT (nonce) DO UPDATE SET state = :state, reason = :reason, by = :by, merged_at = :merged, "
        "first_at = :first_at, first_shop = :first_shop, first_by = :first_by",
        {
            "nonce": settled.nonce,
            "digest": _digest(scan),
            "state": settled.outcome,
            "reason": settled.reason,
            "merchant": merchant,
            "coupon": coupon,
            "tail": settled.tail,
            "owner": settled.owner,
            "by": settled.by,
            "shop": settled.shop,
            "amount": scan.bill.amount_fen,
            "at": settled.at,
            "told": to_text(scan.at),
            "merged": settled.merged_at,
            "first_at": first.at if first is not None else None,
            "first_shop": first.shop if first is not None else None,
            "first_by": first.by if first is not None else None,
        },
    )


def _of_row(row: Row) -> Settled:
    first = First(row["first_at"], row["first_shop"], row["first_by"]) if row["first_at"] is not None else None
    return Settled(
        nonce=row["nonce"],
        outcome=row["state"],
        reason=row["reason"],
        tail=row["tail"],
        at=row["at"],
        shop=row["shop"],
        by=row["by"],
        merged_at=row["merged_at"],
        owner=row["owner"],
        first=first,
    )
