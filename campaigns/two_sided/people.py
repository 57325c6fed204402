"""A merchant's own persons (R166): the payer who is the merchant himself brings neither side anything.

They come from the file (`own_persons`), from the call that binds the merchant, and from a payment that he names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from campaigns.two_sided.settings import Settings
from campaigns.two_sided.tables import marks
from gateway.contract.campaign import CampaignView
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.store import Tx


def is_own(tx: Tx, campaign: CampaignView, merchant: str, group: tuple[str, ...]) -> bool:
    """Whether one of these ids of one human is the merchant's own."""
    settings: Settings = campaign.settings
    if settings.own_persons.get(merchant, frozenset()) & set(group):
        return True
    if not group:
        return False
    names, params = marks("p", group)
    row = tx.one(
        f"SELECT person FROM two_sided_people WHERE campaign = :campaign AND merchant = :merchant "
        f"AND person IN ({names}) LIMIT 1",
        {**params, "campaign": campaign.slug, "merchant": merchant},
    )
    return row is not None


def add(tx: Tx, campaign: str, merchant: str, person: str, who: str, now: datetime) -> bool:
    """This person is the merchant's own from now on; False where he was already."""
    return bool(
        tx.run(
            "INSERT INTO two_sided_people (campaign, merchant, person, added_at, added_by) "
            "VALUES (:campaign, :merchant, :person, :now, :who) ON CONFLICT DO NOTHING",
            {"campaign": campaign, "merchant": merchant, "person": person, "now": to_text(now), "who": who},
        )
    )


def payer_of(tx: Tx, campaign: str, merchant: str, transaction_id: str) -> str:
    """Who made a payment that this campaign saw at the merchant. Raises Refused `not_found`."""
    row = tx.one(
        "SELECT person FROM two_sided_firings WHERE campaign = :campaign AND transaction_id = :id "
        "AND merchant = :merchant AND person IS NOT NULL LIMIT 1",
        {"campaign": campaign, "id": transaction_id, "merchant": merchant},
    )
    if row is None:
        raise Refused("not_found", 404)
    return str(row["person"])


def count(tx: Tx, campaign: str, merchant: str) -> int:
    """How many own persons were added for a merchant, those of the file aside."""
    row = tx.one(
        "SELECT count(*) AS n FROM two_sided_people WHERE campaign = :campaign AND merchant = :merchant",
        {"campaign": campaign, "merchant": merchant},
    )
    return int(row["n"]) if row is not None else 0


def copy_for(tx: Tx, persons: tuple[str, ...]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """For a person's copy: whose own person he is, and what his payments brought him; clerks and codes left out."""
    names, params = marks("p", persons or ("",))
    own = tx.all(
        f"SELECT campaign, merchant, added_at FROM two_sided_people WHERE person IN ({names}) "
        f"ORDER BY campaign, merchant, added_at",
        params,
    )
    fired = tx.all(
        f"SELECT campaign, merchant, transaction_id, state, amount_fen, user_fen, user_back_fen, paid_at "
        f"FROM two_sided_firings WHERE person IN ({names}) ORDER BY id",
        params,
    )
    return {"two_sided_people": [dict(row) for row in own], "two_sided_firings": [dict(row) for row in fired]}


def forget(tx: Tx, persons: tuple[str, ...]) -> int:
    """He is no merchant's own person any more: his id leads to nobody; how many rows."""
    names, params = marks("p", persons or ("",))
    return tx.run(f"DELETE FROM two_sided_people WHERE person IN ({names})", params)
