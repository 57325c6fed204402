"""What a refund takes back (R015, R061): links unclaimed, coupons unused; what was used is written down as a loss."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway import coupons, inbox, incidents, links
from gateway.contract.events import RefundEvent
from gateway.contract.ids import IdFactory
from gateway.contract.store import Row, Tx
from gateway.ledger import book


@dataclass(frozen=True, slots=True)
class Remainder:
    """What is left of a payment after a refund, both in fen; `excess`: more was refunded than paid."""

    refunded_fen: int
    left_fen: int

    @property
    def excess(self) -> bool:
        """More came back than was paid: an incident, and nothing else."""
        return self.left_fen < 0


def remainder(amount_fen: int, refunded_so_far_fen: int, refund_fen: int, told_total_fen: int | None) -> Remainder:
    """Pure: the payment's refunded sum after one more refund. A total told by the platform wins over our own sum."""
    total = refunded_so_far_fen + refund_fen
    if told_total_fen is not None:
        # Totals may be told out of order; what is refunded never becomes unrefunded.
        total = max(told_total_fen, refunded_so_far_fen)
    return Remainder(total, amount_fen - total)


def take_in(tx: Tx, ids: IdFactory, now: datetime, event: RefundEvent, payment: Row | None, min_amount_fen: int) -> str:
    """Record a new refund and do what it asks; its state (applied, waiting, excess)."""
    id_ = ids.new("rf", now)
    state = "waiting"
    if payment is not None:
        state = apply(tx, ids, now, payment, event.refund_fen, event.refunded_total_fen, min_amount_fen)
    inbox.record_refund(
        tx, id_, event, received_at=now, payment=payment["id"] if payment is not None else None, state=state
    )
    return state


def apply(
    tx: Tx,
    ids: IdFactory,
    now: datetime,
    payment: Row,
    refund_fen: int,
    told_total_fen: int | None,
    min_amount_fen: int,
) -> str:
    """Take one refund off a stored payment; `applied` or `excess`."""
    rest = remainder(payment["amount_fen"], payment["refunded_fen"], refund_fen, told_total_fen)
    if rest.excess:
        incidents.raise_(tx, ids, now, "refund_excess", payment["transaction_id"], "more was refunded than paid")
        return "excess"
    tx.run("UPDATE payments SET refunded_fen = :fen WHERE id = :id", {"fen": rest.refunded_fen, "id": payment["id"]})
    if rest.left_fen < max(min_amount_fen, 1):
        claw_back(tx, ids, now, payment)
    return "applied"


def claw_back(tx: Tx, ids: IdFactory, now: datetime, payment: Row) -> None:
    """Withdraw everything that the payment gave and nobody has used yet; book what was used as a loss."""
    withdrawn = []
    for link in links.of_payment(tx, payment["id"]):
        changed = links.close(tx, link, now, "revoked", "refunded")
        for coupon in links.claimed_coupons(tx, [link["id"]]):
            if coupon["state"] == "redeemed":
                _book_loss(tx, ids, now, payment, coupon)
            else:
                changed |= coupons.void(tx, coupon, now, "refunded")
        if changed:
            withdrawn.append(inbox.Decision(f"{links.SHOWN_AS[link['purpose']]}_link", "refused", "refunded"))
    inbox.add_decisions(tx, payment, withdrawn)


def _book_loss(tx: Tx, ids: IdFactory, now: datetime, payment: Row, coupon: Row) -> None:
    used = tx.one(
        "SELECT id, discount_fen FROM redemptions WHERE coupon = :code AND reversed_at IS NULL",
        {"code": coupon["code"]},
    )
    if used is None or used["discount_fen"] <= 0:
        return
    key = f"loss:{used['id']}"
    book.transfer(
        tx,
        ids.new("tr", now),
        key,
        book.Account(f"circle:{payment['circle']}", "losses", overdraft=True),
        book.Account(f"merchant:{coupon['merchant']}", "given_for_refunded"),
        used["discount_fen"],
        "a refunded payment's coupon was used",
        now,
    )
