"""What must be true of a store whatever happened: the promises of exactly once, of money, stock and budgets."""

from __future__ import annotations

from datetime import datetime

from gateway import audit
from gateway.contract.clock import to_text
from gateway.contract.store import Tx
from gateway.ledger import book

_NEVER = {
    "an event was processed twice": "SELECT transaction_id FROM payments GROUP BY provider, mch_id, transaction_id HAVING count(*) > 1",
    "two live tags of one person in one circle": (
        "SELECT coalesce(p.merged_into, p.id) AS who FROM tags t JOIN persons p ON p.id = t.person "
        "WHERE t.state = 'active' AND t.expires_at > :now GROUP BY coalesce(p.merged_into, p.id), t.circle HAVING count(*) > 1"
    ),
    "two links of one purpose for one payment": (
        "SELECT payment FROM links WHERE payment IS NOT NULL GROUP BY payment, purpose HAVING count(*) > 1"
    ),
    "two coupons of one link and item": (
        "SELECT origin FROM coupons WHERE origin LIKE 'l\\_%' ESCAPE '\\' GROUP BY origin, item HAVING count(*) > 1"
    ),
    "a coupon of a link that was not claimed": (
        "SELECT c.code FROM coupons c JOIN links l ON l.id = c.origin WHERE l.state <> 'claimed'"
    ),
    "a coupon redeemed twice": (
        "SELECT coupon FROM redemptions WHERE reversed_at IS NULL GROUP BY coupon HAVING count(*) > 1"
    ),
    "a redeemed coupon without a redemption, or the other way round": (
        "SELECT c.code FROM coupons c LEFT JOIN redemptions r ON r.coupon = c.code AND r.reversed_at IS NULL "
        "WHERE (c.state = 'redeemed') <> (r.id IS NOT NULL)"
    ),
    "a budget that is overdrawn": "SELECT name FROM budgets WHERE reserved_fen + consumed_fen > total_fen",
    "a budget that differs from its holds": (
        "SELECT b.name FROM budgets b WHERE b.reserved_fen <> coalesce((SELECT sum(fen) FROM budget_holds h "
        "WHERE h.budget = b.name AND h.state = 'reserved'), 0) OR b.consumed_fen <> coalesce((SELECT sum(fen) "
        "FROM budget_holds h WHERE h.budget = b.name AND h.state = 'consumed'), 0)"
    ),
    "a hold that does not follow its coupon": (
        "SELECT h.origin FROM budget_holds h JOIN coupons c ON c.origin = h.origin AND c.item = h.item WHERE h.state <> "
        "CASE c.state WHEN 'redeemed' THEN 'consumed' WHEN 'claimed' THEN 'reserved' WHEN 'reserved' THEN 'reserved' ELSE 'returned' END"
    ),
    "a hold that does not follow its link": (
        "SELECT h.origin FROM budget_holds h JOIN links l ON l.id = h.origin "
        "LEFT JOIN coupons c ON c.origin = h.origin AND c.item = h.item WHERE c.code IS NULL AND h.state <> "
        "CASE WHEN l.state IN ('issued', 'opened') THEN 'reserved' ELSE 'returned' END"
    ),
    "stock that is oversold": "SELECT item FROM stock WHERE taken > total OR taken < 0",
    "stock that is not where it should be: sold + held <> taken": (
        "SELECT s.item FROM stock s WHERE s.taken <> "
        "(SELECT count(*) FROM coupons c WHERE c.item = s.item AND c.state <> 'void') + "
        "coalesce((SELECT sum(o.quantity) FROM orders o WHERE o.item = s.item AND o.holds_stock = 1), 0)"
    ),
    "more refunded than paid": "SELECT id FROM payments WHERE refunded_fen > amount_fen",
    "an unpaid order that is not open or closed": (
        "SELECT id FROM orders WHERE (paid_at IS NULL) <> (state IN ('created', 'closed'))"
    ),
    "an order with more or fewer coupons than units": (
        "SELECT o.id FROM orders o WHERE o.state = 'fulfilled' AND o.quantity - o.refunded_units <> "
        "(SELECT count(*) FROM coupons c WHERE c.origin = o.id AND c.state <> 'void')"
    ),
}


def broken(tx: Tx, now: datetime) -> list[str]:
    """Every promise that does not hold, with the first row that shows it; empty when all is well."""
    found = []
    for promise, query in _NEVER.items():
        row = tx.one(query, {"now": to_text(now)} if ":now" in query else {})
        if row is not None:
            found.append(f"{promise}: {row[next(iter(row.keys()))]}")
    found.extend(book.faults(tx))
    first = audit.first_broken(tx)
    if first is not None:
        found.append(f"the audit chain is broken at {first}")
    return found
