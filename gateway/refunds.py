"""What a refund takes back (R015, R061): links unclaimed, coupons unused; what was used is written down as a loss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from gateway import coupons, inbox, incidents, links, rewards
from gateway.contract.campaign import Hear, RefundReceived, nobody_hears
from gateway.contract.events import RefundEvent
from gateway.contract.ids import IdFactory
from gateway.contract.money import Fen
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


def left_after(amount_fen: int, told: Iterable[Row]) -> int:
    """Pure: what these refunds (rows of `refunds`) leave of a payment; those beyond it change nothing."""
    refunded = 0
    for refund in told:
        rest = remainder(amount_fen, refunded, refund["refund_fen"], refund["refunded_total_fen"])
        if not rest.excess:
            refunded = rest.refunded_fen
    return amount_fen - refunded


def take_in(
    tx: Tx,
    ids: IdFactory,
    now: datetime,
    event: RefundEvent,
    payment: Row | None,
    min_amount_fen: int,
    hear: Hear = nobody_hears,
) -> str:
    """Record a new refund and do what it asks; its state (applied, waiting, excess)."""
    id_ = ids.new("rf", now)
    state = "waiting"
    if payment is not None:
        state = apply(
            tx, ids, now, payment, event.refund_fen, event.refunded_total_fen, min_amount_fen, refund=id_, hear=hear
        )
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
    *,
    refund: str = "",
    hear: Hear = nobody_hears,
) -> str:
    """Take one refund (its id `refund`) off a stored payment; `applied` or `excess`."""
    rest = remainder(payment["amount_fen"], payment["refunded_fen"], refund_fen, told_total_fen)
    if rest.excess:
        incidents.raise_(tx, ids, now, "refund_excess", payment["transaction_id"], "more was refunded than paid")
        return "excess"
    tx.run("UPDATE payments SET refunded_fen = :fen WHERE id = :id", {"fen": rest.refunded_fen, "id": payment["id"]})
    withdrawn = rest.left_fen < max(min_amount_fen, 1)
    if withdrawn:
        claw_back(tx, ids, now, payment)
    told = RefundReceived(
        payment["id"],
        refund,
        payment["circle"],
        payment["merchant"],
        payment["person"],
        Fen(refund_fen),
        Fen(rest.left_fen),
        withdrawn,
    )
    heard = hear(tx, told, now)
    if heard:
        inbox.add_decisions(tx, payment, [inbox.of_campaign(slug, verdict) for slug, verdict in heard])
    return "applied"


def claw_back(tx: Tx, ids: IdFactory, now: datetime, payment: Row) -> None:
    """Withdraw everything that the payment gave and nobody has used yet; book what was used as a loss."""
    withdrawn = []
    for link in links.of_payment(tx, payment["id"]):
        changed = links.close(tx, link, now, "revoked", "refunded")
        used = False
        for coupon in links.claimed_coupons(tx, [link["id"]]):
            # Voiding asks for the state once more: a clerk may be using the coupon at this moment.
            if coupons.void(tx, coupon, now, "refunded"):
                changed = True
            else:
                used |= _book_loss(tx, ids, now, coupon)
        if changed:
            withdrawn.append(inbox.Decision(f"{links.SHOWN_AS[link['purpose']]}_link", "refused", "refunded"))
            if link["purpose"] == "source" and not used:
                rewards.forget_source(tx, link)
    if withdrawn:
        inbox.add_decisions(tx, payment, withdrawn)


def _book_loss(tx: Tx, ids: IdFactory, now: datetime, coupon: Row) -> bool:
    """Write down that the coupon was used although its payment came back; False when it was not used, or is noted."""
    if not coupons.note_refunded(tx, coupon, now):
        return False
    used = tx.one(
        "SELECT id, discount_fen FROM redemptions WHERE coupon = :code AND reversed_at IS NULL",
        {"code": coupon["code"]},
    )
    if used is not None and used["discount_fen"] > 0:
        losses, given = _loss_accounts(coupon)
        why = "a refunded payment's coupon was used"
        book.transfer(tx, ids.new("tr", now), f"loss:{used['id']}", losses, given, used["discount_fen"], why, now)
    return True


def undo_loss(tx: Tx, ids: IdFactory, now: datetime, coupon: Row, redemption: Row) -> None:
    """The redemption (id, discount_fen) that was written down as a loss has been reversed."""
    if redemption["discount_fen"] > 0:
        losses, given = _loss_accounts(coupon)
        key = f"loss-undone:{redemption['id']}"
        book.transfer(tx, ids.new("tr", now), key, given, losses, redemption["discount_fen"], "reversed", now)


def _loss_accounts(coupon: Row) -> tuple[book.Account, book.Account]:
    return (
        book.Account(f"circle:{coupon['circle']}", "losses", overdraft=True),
        book.Account(f"merchant:{coupon['merchant']}", "given_for_refunded"),
    )
