"""The item's release (R143, R145): checked and sold at the price that the helps made, won when the money is there.

A unit of the campaign's quantity is taken at the same moment as the item's own stock, and comes back with it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from campaigns.help_cut import sessions, tables
from gateway.contract.campaign import CampaignView, OrderEnded, OrderLate, OrderPaid, Verdict
from gateway.contract.errors import Refused
from gateway.contract.house import House, Sale, SaleOrder
from gateway.contract.money import Fen
from gateway.contract.store import Row, Tx
from gateway.ledger import limits

METHODS: Final = ("wechat", "alipay", "bank_card")


def buy(tx: Tx, house: House, campaign: CampaignView, session: str, method: str, now: datetime) -> SaleOrder | None:
    """The order by which the buyer pays, the one under way again; None: nothing is left, and the session is lost.

    Raises Refused 409: `conditions_not_met` (`helps`, `helpers`) before enough have agreed, `session_over`,
    `all_held` while others pay for the last ones, `not_for_sale`, `not_live`; `not_found`.
    """
    sessions.must_run(campaign)
    row = sessions.held(tx, campaign, session, now)
    if row["state"] in {"draft", "inviting"}:
        raise Refused("conditions_not_met", 409, helps=row["helps"], helpers=sessions.terms_of(row).helpers)
    if row["state"] != "settling":
        raise Refused("session_over", 409, state=row["state"], reason=row["reason"])
    if row["sale"] is not None:
        return SaleOrder(row["sale"], row["sale_path"])
    stock = [sessions.stock_limit(campaign)]
    if limits.take(tx, stock) is not None:
        if tables.paying(tx, campaign.slug):
            raise Refused("all_held", 409)
        sessions.end(tx, campaign, row, "lost", "sold_out", now)
        return None
    order = _order(tx, house, campaign, row, now)
    if order is None:
        limits.give_back(tx, stock)
        sessions.end(tx, campaign, row, "lost", "sold_out", now)
        return None
    tables.set_sale(tx, session, order.id, order.path, method)
    return order


def _order(tx: Tx, house: House, campaign: CampaignView, session: Row, now: datetime) -> SaleOrder | None:
    terms = sessions.terms_of(session)
    # The core makes one order for each `about`; one that was left unpaid must not come back as the next one.
    about = f"{session['id']}:{session['sales']}"
    sale = Sale(session["buyer"], terms.item, 1, Fen(session["price_fen"]), about, now + terms.pay)
    try:
        with tx.savepoint():
            return house.sell(tx, campaign, sale, now)
    except Refused as refused:
        if refused.code != "sold_out":
            raise
        return None


def pay_in_sandbox(tx: Tx, house: House, campaign: CampaignView, session: str, method: str, now: datetime) -> Row:
    """Buy and pay at once, as a wallet of the sandbox does; the session as it ended. One that ended says so again.

    Raises Refused as `buy` does, and `session_over` for one that expired or was cancelled.
    """
    row = sessions.held(tx, campaign, session, now)
    if row["state"] in {"won", "lost"}:
        return row
    order = buy(tx, house, campaign, session, method, now)
    if order is not None:
        house.mark_paid(tx, order.id, now)
    return sessions.find(tx, campaign, session)


# -- what the core tells ----------------------------------------------------------------------------------------------


def paid(tx: Tx, house: House, campaign: CampaignView, event: OrderPaid, now: datetime) -> Verdict | None:
    """The buyer's money is there: the item is his."""
    row = _told_about(tx, campaign, event.about)
    if row is None or (row["state"] == "won" and row["sale"] == event.order):
        return None
    if row["sale"] == event.order and sessions.end(tx, campaign, row, "won", "paid", now):
        return Verdict("done", "won")
    # Not the order that the session waits for: it must not buy a second one.
    house.refund_sale(tx, event.order, event.quantity, "session_over", now)
    return Verdict("refused", "session_over")


def late(tx: Tx, campaign: CampaignView, event: OrderLate, now: datetime) -> Verdict | None:
    """Money came after its hold was over: good where the session still stands and a unit is left (R047)."""
    found = _told_about(tx, campaign, event.about)
    if found is None:
        return None
    row = sessions.held(tx, campaign, found["id"], now)
    if row["state"] != "settling" or row["sale"] not in {None, event.order}:
        return Verdict("refused", "session_over")
    if row["sale"] is None:
        if limits.take(tx, [sessions.stock_limit(campaign)]) is not None:
            return Verdict("refused", "sold_out")
        tables.set_sale(tx, row["id"], event.order, "", "")
    return Verdict("done", "late")


def ended(tx: Tx, campaign: CampaignView, event: OrderEnded) -> Verdict | None:
    """An order was closed unpaid, or given back: its unit is for sale again."""
    row = _told_about(tx, campaign, event.about)
    if row is None or row["sale"] != event.order:
        return None
    if row["state"] == "won":
        if row["reason"] == "refunded":
            return None
        tables.note_refunded(tx, row["id"])
    elif not tables.drop_sale(tx, row["id"], event.order):
        return None
    limits.give_back(tx, [sessions.stock_limit(campaign)])
    return Verdict("done", "unit_back")


def _told_about(tx: Tx, campaign: CampaignView, about: str) -> Row | None:
    session = about.partition(":")[0]
    row = tables.session_of(tx, session)
    if row is None or row["campaign"] != campaign.slug:
        return None
    tables.lock_session(tx, session)
    return tables.session_of(tx, session)
