"""A purchase from its creation to its completion, and back (R104–R111, R116–R120).

Whoever moves a purchase holds the lock of the member it belongs to (of the purchase itself where it belongs to nobody):
so moves of one member's money follow each other, and a sweep takes its members' locks in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from campaigns.micro_merchant import rewarding, tables
from campaigns.micro_merchant.referring import Asked, Sent, look, price
from campaigns.micro_merchant.rules import matures_at
from gateway.contract.campaign import CampaignView
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx

_AFTER_PAID: Final = ("paid", "completed", "refunded")


@dataclass(frozen=True, slots=True)
class Quote:
    """What a buyer would pay, and who is credited with having sent him (None for nobody, himself included)."""

    price_fen: int
    attributed_to: str | None
    sent: Sent


def quote(tx: Tx, house: House, campaign: CampaignView, asked: Asked, original_fen: int, now: datetime) -> Quote:
    """The price for this buyer (R105–R107). Raises Refused 409 `not_live`, 429 `too_many`."""
    if not campaign.is_open(now):
        raise Refused("not_live", 409, state=campaign.state)
    sent = look(tx, house, campaign, asked, now)
    fen = price(campaign.settings.terms, original_fen, sent)
    return Quote(fen, None if sent.own else sent.member, sent)


def create(
    tx: Tx, house: House, campaign: CampaignView, asked: Asked, original_fen: int, merchant: str, now: datetime
) -> Row:
    """A purchase at the price of now, with the terms of now, for good (R106). Raises as `quote` does."""
    said = quote(tx, house, campaign, asked, original_fen, now)
    id_ = house.ids.new("mo", now)
    tables.insert(
        tx,
        "orders",
        {
            "id": id_,
            "campaign": campaign.slug,
            "merchant": merchant,
            "person": asked.person or None,
            "member": said.attributed_to,
            "found_by": "own" if said.sent.own else said.sent.found_by,
            "original_fen": original_fen,
            "price_fen": said.price_fen,
            "refunded_fen": 0,
            "state": "created",
            "terms": rewarding.terms_text(campaign.settings.terms),
            "created_at": to_text(now),
            "paid_at": None,
            "completed_at": None,
            "matures_at": None,
            "settled": 0,
        },
    )
    return the(tx, campaign, id_)


def pay(tx: Tx, house: House, campaign: CampaignView, id_: str, amount_fen: int, now: datetime) -> Row:
    """The buyer has paid; a pending record is made where the campaign keeps such (R111). Twice is once.

    Raises Refused 404 `not_found`, 422 `invalid` for another amount than the price.
    """
    row = _held(tx, campaign, id_)
    if amount_fen != row["price_fen"]:
        raise Refused("invalid", 422, fields={"amount_fen": "is not the order's price_fen"})
    if row["state"] in _AFTER_PAID:
        return row
    tx.run(
        "UPDATE micro_merchant_orders SET state = 'paid', paid_at = :now WHERE id = :id AND state = 'created'",
        {"now": to_text(now), "id": id_},
    )
    rewarding.promise(tx, house, campaign, row, now)
    return the(tx, campaign, id_)


def complete(tx: Tx, house: House, campaign: CampaignView, id_: str, now: datetime) -> Row:
    """The buyer has what he paid for; when the refund window is over the reward is credited (R109). Twice is once.

    Raises Refused 404 `not_found`, 409 `bad_transition` before it was paid, and after all of it went back.
    """
    row = _held(tx, campaign, id_)
    if row["state"] == "completed":
        return row
    if row["state"] != "paid":
        raise Refused("bad_transition", 409, state=row["state"])
    due = matures_at(now, rewarding.terms_of(row).refund_days)
    tx.run(
        "UPDATE micro_merchant_orders SET state = 'completed', completed_at = :now, matures_at = :due "
        "WHERE id = :id AND state = 'paid'",
        {"now": to_text(now), "due": to_text(due), "id": id_},
    )
    if due <= now:
        rewarding.settle(tx, house, the(tx, campaign, id_), now)
    return the(tx, campaign, id_)


def refund(tx: Tx, house: House, campaign: CampaignView, id_: str, amount_fen: int, now: datetime) -> Row:
    """Money went back to the buyer: so much less is rewarded, or taken back (R119).

    Raises Refused 404 `not_found`, 409 `bad_transition` for one that holds no money, 422 `invalid` for more than it
    holds.
    """
    row = _held(tx, campaign, id_)
    if row["state"] not in ("paid", "completed"):
        raise Refused("bad_transition", 409, state=row["state"])
    left = row["price_fen"] - row["refunded_fen"]
    if not 0 < amount_fen <= left:
        raise Refused("invalid", 422, fields={"amount_fen": f"must be 1 to {left}"})
    state = "refunded" if amount_fen == left else row["state"]
    tx.run(
        "UPDATE micro_merchant_orders SET refunded_fen = refunded_fen + :amount, state = :state WHERE id = :id",
        {"amount": amount_fen, "state": state, "id": id_},
    )
    rewarding.reduce(tx, house, the(tx, campaign, id_), now)
    return the(tx, campaign, id_)


def confirm_due(tx: Tx, house: House, campaign: CampaignView, now: datetime, most: int) -> int:
    """Credit what is earned: complete purchases whose refund window is over; how many there were (R109, R111)."""
    due = tables.due_orders(tx, campaign.slug, to_text(now), most)
    for name in sorted({_lock(row) for row in due}):
        tx.lock(name)
    for row in due:
        rewarding.settle(tx, house, the(tx, campaign, row["id"]), now)
    return len(due)


def the(tx: Tx, campaign: CampaignView, id_: str) -> Row:
    """A purchase of this campaign. Raises Refused `not_found` 404."""
    row = tables.order(tx, campaign.slug, id_)
    if row is None:
        raise Refused("not_found", 404)
    return row


def _held(tx: Tx, campaign: CampaignView, id_: str) -> Row:
    # Whose it is never changes, so the row may be read before the lock that it names.
    tx.lock(_lock(the(tx, campaign, id_)))
    return the(tx, campaign, id_)


def _lock(row: Row) -> str:
    return rewarding.lock_of(row["member"]) if row["member"] is not None else f"micro_merchant:order:{row['id']}"
