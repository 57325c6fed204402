"""A claim link as the API shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway import links
from gateway.contract.store import Row, Tx
from linkgen.urls import claim_url


@dataclass(frozen=True, slots=True)
class LinkView:
    """How links are shown: under which address, and as they stand at `now`."""

    keys: links.LinkKeys
    base_url: str
    now: datetime

    def as_json(self, link: Row) -> dict[str, Any]:
        """The link with its address, which is a secret of whom it is for."""
        return {
            "id": link["id"],
            "for": links.SHOWN_AS[link["purpose"]],
            "state": links.state_at(link, self.now),
            "items": links.items_of(link),
            "url": claim_url(self.base_url, self.keys.token(link["id"], link["key_id"])),
        }


def of_payments(tx: Tx, payments: Sequence[str]) -> dict[str, list[Row]]:
    """The links of each payment, the payer's own first."""
    found: dict[str, list[Row]] = {payment: [] for payment in payments}
    if payments:
        marks, params = in_list(payments)
        for link in tx.all(f"SELECT * FROM links WHERE payment IN ({marks}) ORDER BY payment, purpose", params):
            found[link["payment"]].append(link)
    return found


def in_list(values: Sequence[str]) -> tuple[str, dict[str, str]]:
    """`(":v0, :v1", {"v0": …})`, to write `… IN (…)` with named parameters; `values` is not empty."""
    params = {f"v{number}": value for number, value in enumerate(values)}
    return ", ".join(f":{name}" for name in params), params
