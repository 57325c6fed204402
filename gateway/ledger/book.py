"""The ledger (R240): append-only double entry. A transfer takes from one account and gives to another, so Σ = 0.

Two-phase: `pending` holds the amount on both sides, `posted` makes it so, `voided` lets it go. History is never
edited; a mistake is set right by a transfer back. Amounts are whole: fen for cash, units for points and coupons.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from gateway.contract.account import Account, Unit
from gateway.contract.clock import to_text
from gateway.contract.errors import DrainageError
from gateway.contract.store import Row, Tx

__all__ = ["Account", "Overdrawn", "TransferClash", "Unit", "balance", "faults", "hold", "post", "transfer", "void"]


class Overdrawn(DrainageError):
    """The debited account may not go below zero, and would."""

    def __init__(self, account: str, amount: int) -> None:
        self.account = account
        self.amount = amount
        super().__init__(f"{account} does not hold {amount}")


class TransferClash(DrainageError):
    """A transfer with this key exists and says something else, or is in another state."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"transfer {key} exists and differs")


def transfer(
    tx: Tx, id_: str, key: str, debit: Account, credit: Account, amount: int, reason: str, now: datetime
) -> None:
    """Post `amount` (> 0) from `debit` to `credit`, once per `key`. Raises Overdrawn, TransferClash, ValueError."""
    if hold(tx, id_, key, debit, credit, amount, reason, now):
        post(tx, key, now)


def hold(tx: Tx, id_: str, key: str, debit: Account, credit: Account, amount: int, reason: str, now: datetime) -> bool:
    """Reserve `amount` on both sides; False when `key` was used for the same before.

    Raises Overdrawn, TransferClash (same key, other contents), ValueError (amount, units, one account twice).
    """
    if amount <= 0 or debit.unit != credit.unit or debit.id == credit.id:
        raise ValueError("a transfer moves a positive amount of one unit between two accounts")
    tx.lock(f"transfer:{key}")
    known = tx.one("SELECT debit, credit, amount FROM transfers WHERE key = :key", {"key": key})
    if known is not None:
        if (known["debit"], known["credit"], known["amount"]) != (debit.id, credit.id, amount):
            raise TransferClash(key)
        return False
    # In one order for all, so that transfers there and back never wait for each other's account.
    for account in sorted((debit, credit), key=lambda account: account.id):
        tx.lock(f"account:{account.id}")
        tx.run(
            "INSERT INTO accounts (id, unit, overdraft) VALUES (:id, :unit, :overdraft) ON CONFLICT (id) DO NOTHING",
            {"id": account.id, "unit": account.unit, "overdraft": int(account.overdraft)},
        )
    held = tx.run(
        "UPDATE accounts SET debits_pending = debits_pending + :amount WHERE id = :id "
        "AND (overdraft = 1 OR credits_posted - debits_posted - debits_pending >= :amount)",
        {"id": debit.id, "amount": amount},
    )
    if not held:
        raise Overdrawn(debit.id, amount)
    tx.run(
        "UPDATE accounts SET credits_pending = credits_pending + :amount WHERE id = :id",
        {"id": credit.id, "amount": amount},
    )
    tx.run(
        "INSERT INTO transfers (id, key, debit, credit, amount, state, reason, at) "
        "VALUES (:id, :key, :debit, :credit, :amount, 'pending', :reason, :at)",
        {
            "id": id_,
            "key": key,
            "debit": debit.id,
            "credit": credit.id,
            "amount": amount,
            "reason": reason,
            "at": to_text(now),
        },
    )
    return True


def post(tx: Tx, key: str, now: datetime) -> None:
    """Make a held transfer so; posting twice changes nothing. Raises TransferClash when it was voided or is unknown."""
    _settle(tx, key, "posted", now)


def void(tx: Tx, key: str, now: datetime) -> None:
    """Let a held transfer go; voiding twice changes nothing. Raises TransferClash when it was posted or is unknown."""
    _settle(tx, key, "voided", now)


def _settle(tx: Tx, key: str, state: Literal["posted", "voided"], now: datetime) -> None:
    row: Row | None = tx.one(
        "UPDATE transfers SET state = :state, settled_at = :now WHERE key = :key AND state = 'pending' "
        "RETURNING debit, credit, amount",
        {"state": state, "now": to_text(now), "key": key},
    )
    if row is None:
        known = tx.one("SELECT state FROM transfers WHERE key = :key", {"key": key})
        if known is None or known["state"] != state:
            raise TransferClash(key)
        return
    for account in sorted((row["debit"], row["credit"])):
        tx.lock(f"account:{account}")
    posted = row["amount"] if state == "posted" else 0
    tx.run(
        "UPDATE accounts SET debits_pending = debits_pending - :amount, debits_posted = debits_posted + :posted "
        "WHERE id = :id",
        {"id": row["debit"], "amount": row["amount"], "posted": posted},
    )
    tx.run(
        "UPDATE accounts SET credits_pending = credits_pending - :amount, credits_posted = credits_posted + :posted "
        "WHERE id = :id",
        {"id": row["credit"], "amount": row["amount"], "posted": posted},
    )


def balance(tx: Tx, account: Account) -> int:
    """What the account holds: posted credits less posted debits and debits on hold."""
    row = tx.one(
        "SELECT credits_posted - debits_posted - debits_pending AS n FROM accounts WHERE id = :id", {"id": account.id}
    )
    return int(row["n"]) if row is not None else 0


def faults(tx: Tx) -> list[str]:
    """The nightly check: every unit sums to zero, and every account is what its transfers make it, holds included."""
    sums = tx.all("SELECT unit, sum(credits_posted - debits_posted) AS n FROM accounts GROUP BY unit")
    found = [f"{row['unit']} does not sum to zero: {row['n']}" for row in sums if row["n"] != 0]
    wrong = tx.all(
        "SELECT a.id FROM accounts a LEFT JOIN ("
        " SELECT account, sum(debit * posted) AS debits, sum(credit * posted) AS credits,"
        "  sum(debit * (1 - posted)) AS held_debits, sum(credit * (1 - posted)) AS held_credits FROM ("
        "  SELECT debit AS account, amount AS debit, 0 AS credit,"
        "   CASE WHEN state = 'posted' THEN 1 ELSE 0 END AS posted"
        "   FROM transfers WHERE state <> 'voided'"
        "  UNION ALL SELECT credit, 0, amount, CASE WHEN state = 'posted' THEN 1 ELSE 0 END"
        "   FROM transfers WHERE state <> 'voided'"
        " ) t GROUP BY account"
        ") s ON s.account = a.id "
        "WHERE a.debits_posted <> coalesce(s.debits, 0) OR a.credits_posted <> coalesce(s.credits, 0) "
        "OR a.debits_pending <> coalesce(s.held_debits, 0) OR a.credits_pending <> coalesce(s.held_credits, 0) "
        "ORDER BY a.id"
    )
    found.extend(f"account {row['id']} differs from its transfers" for row in wrong)
    return found
