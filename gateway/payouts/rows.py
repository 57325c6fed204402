"""Payouts in the store: every move is one conditional update, so that of parallel movers one wins."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from crypto.vault import Vault
from gateway.contract.account import PAID_OUT
from gateway.contract.clock import from_text, to_text
from gateway.contract.events import Payer
from gateway.contract.money import Fen
from gateway.contract.payout import Payout, PayoutState
from gateway.contract.store import Row, Tx
from gateway.contract.wallet import Transfer

PREFIX: Final = "po"
WAITING: Final = "second_approval"
CONFIRMS: Final = "receiver_confirms"
_ID: Final = re.compile(r"po_[0-9a-f]{32}\Z")
_FINAL: Final = frozenset({"settled", "failed"})


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a payout goes: the way, whose wallet pays it, what may be shown, and what is asked for (secret)."""

    way: str
    merchant: str
    channel: str
    shown: str
    request: Mapping[str, Any] = field(repr=False)


def ledger_key(payout: str) -> str:
    """The key of the transfer that holds a payout's amount."""
    return f"payout:{payout}"


def number_of(payout: str) -> str:
    """The number that a platform knows a payout by: the 32 letters and digits of its id, so one for good."""
    return payout.removeprefix(f"{PREFIX}_")


def is_payout(text: str) -> bool:
    """Whether a text could be a payout's id."""
    return _ID.match(text) is not None


# -- writing --------------------------------------------------------------------------------------------------------


def keep(tx: Tx, vault: Vault, facts: Mapping[str, Any], to: Destination, now: datetime) -> None:
    """Write a payout down, held. `facts` are the columns that the campaign decides."""
    tx.run(
        "INSERT INTO payouts (id, campaign, key, circle, account, about, person, way, merchant, channel, request, "
        "shown, amount_fen, state, reason, begun_by, created_at, moved_at) VALUES (:id, :campaign, :key, :circle, "
        ":account, :about, :person, :way, :merchant, :channel, :request, :shown, :amount_fen, 'held', :reason, "
        ":begun_by, :now, :now)",
        {
            **facts,
            "way": to.way,
            "merchant": to.merchant,
            "channel": to.channel,
            "shown": to.shown,
            "request": vault.seal(json.dumps(to.request, sort_keys=True).encode(), _bound_to(facts["id"])),
            "now": to_text(now),
        },
    )


def approved(tx: Tx, id_: str, who: str) -> bool:
    """The second pair of eyes has seen it; False when it was not waiting for that."""
    return bool(
        tx.run(
            "UPDATE payouts SET approved_by = :who, reason = '' "
            "WHERE id = :id AND state = 'held' AND reason = :waiting",
            {"id": id_, "who": who, "waiting": WAITING},
        )
    )


def move(
    tx: Tx,
    row: Row,
    to: PayoutState,
    now: datetime,
    *,
    reason: str,
    detail: str = "",
    handle: str = "",
    batch: str | None = None,
) -> bool:
    """From the state that `row` has to another; False when it is in that one no more. The end takes the request."""
    return bool(
        tx.run(
            "UPDATE payouts SET state = :to, reason = :reason, detail = :detail, handle = :handle, moved_at = :now, "
            "batch = coalesce(:batch, batch), request = CASE WHEN :final = 1 THEN NULL ELSE request END "
            "WHERE id = :id AND state = :was",
            {
                "to": to,
                "reason": reason,
                "detail": detail,
                "handle": "" if to in _FINAL else handle,
                "now": to_text(now),
                "batch": batch,
                "final": int(to in _FINAL),
                "id": row["id"],
                "was": row["state"],
            },
        )
    )


def note(tx: Tx, row: Row, *, reason: str, detail: str, handle: str) -> None:
    """The same state, told better."""
    tx.run(
        "UPDATE payouts SET reason = :reason, detail = :detail, handle = :handle WHERE id = :id AND state = :was",
        {"reason": reason, "detail": detail, "handle": handle, "id": row["id"], "was": row["state"]},
    )


def next_look(tx: Tx, id_: str, asked: int) -> bool:
    """Whether the look with this count is the one that goes on; a row of the outbox that was done twice loses."""
    return bool(
        tx.run(
            "UPDATE payouts SET asked = :next WHERE id = :id AND asked = :asked",
            {"id": id_, "asked": asked, "next": asked + 1},
        )
    )


# -- reading --------------------------------------------------------------------------------------------------------


def payout(tx: Tx, id_: str) -> Row | None:
    """The payout with this id."""
    return tx.one("SELECT * FROM payouts WHERE id = :id", {"id": id_})


def of_key(tx: Tx, campaign: str, key: str) -> Row | None:
    """The payout that a campaign began under this key."""
    return tx.one("SELECT * FROM payouts WHERE campaign = :campaign AND key = :key", {"campaign": campaign, "key": key})


def in_flight(tx: Tx, account: str) -> Row | None:
    """The one payout of an account that has not ended."""
    return tx.one(
        "SELECT * FROM payouts WHERE account = :account AND state IN ('held', 'sent', 'unknown')", {"account": account}
    )


def of_account(tx: Tx, account: str, most: int) -> list[Row]:
    """An account's payouts, newest first."""
    return tx.all(
        "SELECT * FROM payouts WHERE account = :account ORDER BY created_at DESC, id DESC LIMIT :most",
        {"account": account, "most": most},
    )


def listed(
    tx: Tx, *, state: str = "", circles: frozenset[str] | None = None, before: str = "", most: int = 200
) -> list[Row]:
    """Payouts, newest first: in a state ("": any), of these circles (None: all), older than `before` ("": all)."""
    where, params = _in_circles(circles)
    if state:
        where += " AND state = :state"
        params["state"] = state
    if before:
        where += " AND id < :before"
        params["before"] = before
    return tx.all(f"SELECT * FROM payouts WHERE {where} ORDER BY id DESC LIMIT :most", {**params, "most": most})


def for_bank(tx: Tx, circles: frozenset[str] | None, most: int) -> list[Row]:
    """What the next bank file takes along: held, approved where that was wanted; oldest first."""
    where, params = _in_circles(circles)
    return tx.all(
        f"SELECT * FROM payouts WHERE {where} AND way = 'bank' AND state = 'held' AND reason <> :waiting "
        "ORDER BY id LIMIT :most",
        {**params, "waiting": WAITING, "most": most},
    )


def open_batches(tx: Tx, circles: frozenset[str] | None, most: int) -> list[Row]:
    """Bank files of which the bank's word is awaited: batch, n, fen, at; newest first."""
    where, params = _in_circles(circles)
    return tx.all(
        "SELECT batch, count(*) AS n, sum(amount_fen) AS fen, min(moved_at) AS at FROM payouts "
        f"WHERE {where} AND batch IS NOT NULL AND state = 'sent' GROUP BY batch ORDER BY batch DESC LIMIT :most",
        {**params, "most": most},
    )


def of_batch(tx: Tx, batch: str) -> list[Row]:
    """What a bank file took along, oldest first."""
    return tx.all("SELECT * FROM payouts WHERE batch = :batch ORDER BY created_at, id", {"batch": batch})


def request_of(vault: Vault, row: Row) -> dict[str, Any]:
    """What is asked of the platform or the bank. Only an open payout has it still."""
    said: dict[str, Any] = json.loads(vault.open(bytes(row["request"]), _bound_to(row["id"])))
    return said


def transfer_of(vault: Vault, row: Row) -> Transfer:
    """The transfer that a wallet is asked for, the same each time."""
    said = request_of(vault, row)
    return Transfer(
        number=number_of(row["id"]),
        amount_fen=Fen(row["amount_fen"]),
        payee=Payer(**said["payee"]),
        title=said["title"],
        remark=said["remark"],
    )


def view(row: Row) -> Payout:
    """A payout as campaigns see it."""
    return Payout(
        id=row["id"],
        campaign=row["campaign"],
        account=row["account"],
        about=row["about"],
        way=row["way"],
        to=row["shown"],
        amount_fen=Fen(row["amount_fen"]),
        state=row["state"],
        reason=row["reason"],
        created_at=from_text(row["created_at"]),
        moved_at=from_text(row["moved_at"]),
    )


def faults(tx: Tx) -> list[str]:
    """The nightly check (R240): each payout and the transfer that holds its amount say the same, and none is alone."""
    found = tx.all(
        "SELECT p.id, p.state, t.state AS booked, t.amount, t.debit FROM payouts p "
        "LEFT JOIN transfers t ON t.key = 'payout:' || p.id "
        "WHERE t.key IS NULL OR t.amount <> p.amount_fen OR t.debit <> p.account OR t.credit <> :out OR t.state <> "
        "CASE p.state WHEN 'settled' THEN 'posted' WHEN 'failed' THEN 'voided' ELSE 'pending' END ORDER BY p.id",
        {"out": PAID_OUT.id},
    )
    lines = [f"payout {row['id']} is {row['state']}, its hold {row['booked'] or 'missing'}" for row in found]
    alone = tx.all(
        "SELECT t.key FROM transfers t LEFT JOIN payouts p ON t.key = 'payout:' || p.id "
        "WHERE t.credit = :out AND p.id IS NULL ORDER BY t.key",
        {"out": PAID_OUT.id},
    )
    lines.extend(f"transfer {row['key']} leaves the house without a payout" for row in alone)
    return lines


def _in_circles(circles: frozenset[str] | None) -> tuple[str, dict[str, Any]]:
    if circles is None:
        return "1 = 1", {}
    params = {f"c{number}": circle for number, circle in enumerate(sorted(circles))}
    return (f"circle IN ({', '.join(f':{name}' for name in params)})" if params else "1 = 0"), dict(params)


def _bound_to(id_: str) -> bytes:
    return f"payouts.request:{id_}".encode()
