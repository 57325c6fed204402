"""The accounts of a micro-merchant in the ledger, one of each unit; a coupon account counts one item (R112)."""

from __future__ import annotations

from gateway.contract.account import Account, Unit

_KINDS: dict[str, Unit] = {"cash": "cash", "points": "points", "coupons": "coupons"}


def rewards(member: str, kind: str, item: str = "") -> Account:
    """What he has been given and still holds; never below zero."""
    return Account(f"micro:{member}", _purpose("rewards", item), _KINDS[kind])


def debt(member: str, kind: str, item: str = "") -> Account:
    """Below zero by what he owes: rewards that a refund took back after they had been spent (R119)."""
    return Account(f"micro:{member}", _purpose("debt", item), _KINDS[kind], overdraft=True)


def spent(campaign: str, kind: str) -> Account:
    """Where points go that were used, and counted coupons that became real ones."""
    return Account(f"campaign:{campaign}", "spent", _KINDS[kind])


def _purpose(word: str, item: str) -> str:
    return f"{word}/{item}" if item else word
