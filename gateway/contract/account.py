"""Accounts of the ledger, as campaigns and the core name them. Amounts are whole: fen, points, coupons of one item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Unit = Literal["cash", "points", "coupons"]


@dataclass(frozen=True, slots=True)
class Account:
    """`owner` such as `merchant:hotpot`; `purpose` such as `sales`. `overdraft`: may go below zero (the world)."""

    owner: str
    purpose: str
    unit: Unit = "cash"
    overdraft: bool = False

    @property
    def id(self) -> str:
        """The account's key in the store."""
        return f"{self.owner}:{self.purpose}:{self.unit}"


PAID_OUT: Final = Account("world", "payouts", overdraft=True)
"""Where payouts go: out of the house."""


def fund(campaign: str, unit: Unit = "cash") -> Account:
    """What a campaign's rewards are taken from. Below zero by what it has given; its budget is what bounds it."""
    return Account(f"campaign:{campaign}", "rewards", unit, overdraft=True)


def person_rewards(person: str, unit: Unit = "cash") -> Account:
    """What a customer has been given and still holds; `person` as the store names him (`p_…`)."""
    return Account(f"person:{person}", "rewards", unit)


def merchant_rewards(merchant: str) -> Account:
    """What a merchant has been given in cash."""
    return Account(f"merchant:{merchant}", "rewards")


def clerk_rewards(user: str) -> Account:
    """What a clerk has been given in cash; `user` is his name in the house."""
    return Account(f"clerk:{user}", "rewards")
