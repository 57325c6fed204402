"""Budgets (R063): reserved at issue, consumed at redeem, returned at expiry; never reserved + consumed > total.

A hold remembers what one item of one link took from one budget, so that it goes back to where it came from. A budget
without a total (0) is no budget and holds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.contract.store import Tx


@dataclass(frozen=True, slots=True)
class Budget:
    """`total_fen` (> 0) may be promised and spent under `name`."""

    name: str
    total_fen: int


def reserve(tx: Tx, budgets: Sequence[Budget], origin: str, parts: Sequence[tuple[str, int]]) -> bool:
    """Reserve every part (item, fen) of `origin` in every budget; False, and nothing done, when one can't bear it."""
    fen = sum(part for _, part in parts)
    if fen == 0:
        return True
    for position, budget in enumerate(budgets):
        if not _reserve_total(tx, budget, fen):
            for earlier in budgets[:position]:
                tx.run(
                    "UPDATE budgets SET reserved_fen = reserved_fen - :fen WHERE name = :name",
                    {"fen": fen, "name": earlier.name},
                )
            return False
    for budget in budgets:
        for item, part in parts:
            tx.run(
                "INSERT INTO budget_holds (origin, item, budget, fen, state) "
                "VALUES (:origin, :item, :budget, :fen, 'reserved')",
                {"origin": origin, "item": item, "budget": budget.name, "fen": part},
            )
    return True


def _reserve_total(tx: Tx, budget: Budget, fen: int) -> bool:
    # The total follows the catalogue: an operator may raise it, or lower it to what is already promised.
    tx.run(
        "INSERT INTO budgets (name, total_fen) VALUES (:name, :total) "
        "ON CONFLICT (name) DO UPDATE SET total_fen = :total WHERE budgets.total_fen <> :total",
        {"name": budget.name, "total": budget.total_fen},
    )
    changed = tx.run(
        "UPDATE budgets SET reserved_fen = reserved_fen + :fen "
        "WHERE name = :name AND reserved_fen + consumed_fen + :fen <= total_fen",
        {"name": budget.name, "fen": fen},
    )
    return changed == 1


def consume(tx: Tx, origin: str, item: str) -> None:
    """What was reserved for this item has been spent."""
    _settle(tx, origin, item, "reserved", "consumed")


def give_back(tx: Tx, origin: str, item: str) -> None:
    """What was reserved for this item is free again."""
    _settle(tx, origin, item, "reserved", "returned")


def take_again(tx: Tx, origin: str, item: str) -> bool:
    """What was returned for this item is reserved once more; False, and nothing done, where no room is left for it."""
    holds = tx.all(
        "SELECT budget, fen FROM budget_holds WHERE origin = :origin AND item = :item AND state = 'returned' "
        "ORDER BY budget",
        {"origin": origin, "item": item},
    )
    for position, hold in enumerate(holds):
        if not tx.run(
            "UPDATE budgets SET reserved_fen = reserved_fen + :fen "
            "WHERE name = :name AND reserved_fen + consumed_fen + :fen <= total_fen",
            {"name": hold["budget"], "fen": hold["fen"]},
        ):
            for earlier in holds[:position]:
                tx.run(
                    "UPDATE budgets SET reserved_fen = reserved_fen - :fen WHERE name = :name",
                    {"name": earlier["budget"], "fen": earlier["fen"]},
                )
            return False
    tx.run(
        "UPDATE budget_holds SET state = 'reserved' WHERE origin = :origin AND item = :item AND state = 'returned'",
        {"origin": origin, "item": item},
    )
    return True


def unspend(tx: Tx, origin: str, item: str) -> None:
    """A redemption was reversed: what was spent is reserved again."""
    _settle(tx, origin, item, "consumed", "reserved")


def _settle(
    tx: Tx,
    origin: str,
    item: str,
    before: Literal["reserved", "consumed"],
    after: Literal["reserved", "consumed", "returned"],
) -> None:
    holds = tx.all(
        "UPDATE budget_holds SET state = :after WHERE origin = :origin AND item = :item AND state = :before "
        "RETURNING budget, fen",
        {"origin": origin, "item": item, "before": before, "after": after},
    )
    for hold in holds:
        reserved = hold["fen"] * ((after == "reserved") - (before == "reserved"))
        consumed = hold["fen"] * ((after == "consumed") - (before == "consumed"))
        tx.run(
            "UPDATE budgets SET reserved_fen = reserved_fen + :reserved, consumed_fen = consumed_fen + :consumed "
            "WHERE name = :name",
            {"name": hold["budget"], "reserved": reserved, "consumed": consumed},
        )
