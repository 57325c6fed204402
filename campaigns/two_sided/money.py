"""The two entries of a firing, and their way back (R162): all of it transfers in the ledger, nothing is ever edited.

What a refund takes back and the receiver no longer holds, for it has been paid out, stands in his account of debts,
and the next thing he is given pays it first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from gateway.contract.account import Account, clerk_rewards, fund, merchant_rewards, person_rewards
from gateway.contract.house import House
from gateway.contract.store import Row, Tx
from gateway.ledger import book, budget

PartName = Literal["user", "merchant", "clerk"]
PARTS: Final[tuple[PartName, ...]] = ("user", "merchant", "clerk")


@dataclass(frozen=True, slots=True)
class Part:
    """What one receiver is given, or has to give back."""

    name: PartName
    account: Account
    fen: int


def debts(account: Account) -> Account:
    """What the owner of a rewards account owes, below zero by it."""
    return Account(account.owner, "debts", overdraft=True)


def account_of(name: PartName, firing: Row) -> Account:
    """Where a part of a stored firing went."""
    if name == "user":
        return person_rewards(firing["person"])
    return merchant_rewards(firing["merchant"]) if name == "merchant" else clerk_rewards(firing["clerk"])


def give(tx: Tx, house: House, campaign: str, firing: str, parts: Sequence[Part], now: datetime) -> None:
    """Credit every part at once, out of the campaign's fund; what was reserved for it is spent."""
    _hold_still(tx, parts)
    for part in parts:
        key = f"two_sided:{firing}:{part.name}"
        book.transfer(
            tx, house.ids.new("tr", now), key, fund(campaign), part.account, part.fen, "two_sided rebate", now
        )
        budget.consume(tx, firing, part.name)
        owed = min(-book.balance(tx, debts(part.account)), part.fen)
        if owed > 0:
            why = "two_sided debt paid"
            book.transfer(
                tx, house.ids.new("tr", now), f"{key}:debt", part.account, debts(part.account), owed, why, now
            )


def take_back(
    tx: Tx, house: House, campaign: str, firing: str, parts: Sequence[Part], step: str, now: datetime
) -> None:
    """Return every part to the campaign's fund; what its receiver no longer holds becomes his debt. Once per `step`."""
    _hold_still(tx, parts)
    for part in parts:
        key = f"two_sided:{firing}:{part.name}:back:{step}"
        held = max(min(book.balance(tx, part.account), part.fen), 0)
        ways = ((key, part.account, held), (f"{key}:owed", debts(part.account), part.fen - held))
        for name, source, fen in ways:
            if fen > 0:
                why = "two_sided refund"
                book.transfer(tx, house.ids.new("tr", now), name, source, fund(campaign), fen, why, now)


def free_budget(tx: Tx, firing: str) -> None:
    """All of a firing came back: the budget is free for another."""
    for name in PARTS:
        budget.unspend(tx, firing, name)
        budget.give_back(tx, firing, name)


def _hold_still(tx: Tx, parts: Sequence[Part]) -> None:
    # Balances are read before they are taken from: nobody may pay out in between. In one order for all.
    for name in sorted(part.account.id for part in parts):
        tx.lock(f"account:{name}")
