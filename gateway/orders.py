"""Buying items (004-c6, R044–R047): order → paid → coupons; beyond a preset number bought, a claim link.

States: created (stock held 15 minutes) → fulfilled | closed | refunded. A payment that comes after the hold lapsed is
fulfilled from what stock remains, else given back: nothing is ever oversold.

Where a wallet took the money (`gateway.buying`), what goes back is first owed (`refunds_due`) and leaves the book when
the platform says that it has given it back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from gateway import coupons, links, outbox, people
from gateway.catalog.directory import Directory
from gateway.catalog.specs import Item, Offer
from gateway.contract.campaign import Hear, OrderEnded, OrderLate, OrderPaid, nobody_hears
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.house import Sale
from gateway.contract.ids import IdFactory
from gateway.contract.money import Fen
from gateway.contract.store import Row, Store, Tx
from gateway.inbox import Place
from gateway.ledger import book
from gateway.rewards import bought_link
from gateway.rulebook import Rulebook

HOLD: Final = timedelta(minutes=15)
MOST_UNITS: Final = 100
LATE: Final = "late_sold_out"
"""Why an order is refunded whose payment came when nothing was left."""
PAY_BACK: Final = "sale_back"
"""The outbox topic under which money of a campaign's order is owed to a wallet."""
WORLD: Final = book.Account("world", "payments", overdraft=True)


@dataclass(frozen=True, slots=True)
class Bought:
    """What became of an order: its state, its coupons' codes, and the claim link it earned."""

    state: Literal["fulfilled", "refunded", "closed"]
    coupons: tuple[str, ...]
    link: Row | None


def links_earned(bought: int, threshold: int, *, repeat: bool) -> int:
    """Pure: how many claim links `bought` units (refunded ones subtracted) are worth in one window (R045, R046).

    More than `threshold` earns one; with `repeat`, one more beyond each further multiple. 0 switches it off.
    """
    if threshold <= 0 or bought <= threshold:
        return 0
    return (bought - 1) // threshold if repeat else 1


@dataclass(frozen=True, slots=True)
class Ordering:
    """The use case; its parts are shared by all threads of a process."""

    store: Store
    ids: IdFactory
    random: Callable[[int], bytes]
    link_keys: links.LinkKeys
    rulebook: Rulebook
    hear: Hear = nobody_hears

    def create(self, directory: Directory, item_slug: str, quantity: int, person: str, now: datetime) -> Row:
        """A new order with its stock held. Raises Refused: `not_found` 404, `not_for_sale` or `sold_out` 409."""
        return self.store.write(lambda tx: self.make(tx, directory, item_slug, quantity, person, now))

    def make(self, tx: Tx, directory: Directory, item_slug: str, quantity: int, person: str, now: datetime) -> Row:
        """`create` within a transaction of the caller's."""
        item = directory.item(item_slug)
        if item is None or not 1 <= quantity <= MOST_UNITS:
            raise Refused("not_found", 404)
        merchant = directory.merchant(item.merchant)
        if item.price_fen <= 0 or item.paused or merchant is None or merchant.paused:
            raise Refused("not_for_sale", 409)
        buyer = people.look_up(tx, person)
        if buyer is None:
            raise Refused("not_found", 404)
        return self._put(tx, item, merchant.circle, buyer.id, quantity, item.price_fen * quantity, now, now + HOLD)

    def make_for(self, tx: Tx, directory: Directory, campaign: str, sale: Sale, now: datetime) -> Row:
        """An order that a campaign sells, at its price, once per (campaign, `sale.about`); its stock is held.

        Raises Refused: `not_found` 404, `not_for_sale` or `sold_out` 409.
        """
        item, buyer = directory.item(sale.item), people.look_up(tx, sale.person)
        merchant = directory.merchant(item.merchant) if item is not None else None
        if item is None or merchant is None or buyer is None or not 1 <= sale.quantity <= MOST_UNITS:
            raise Refused("not_found", 404)
        tx.lock(f"sale:{campaign}:{sale.about}")
        known = tx.one(
            "SELECT * FROM orders WHERE campaign = :campaign AND about = :about",
            {"campaign": campaign, "about": sale.about},
        )
        if known is not None:
            return known
        # A unit's price is what is given back for it: the sum must be that of its units.
        if item.paused or merchant.paused or sale.amount_fen <= 0 or sale.amount_fen % sale.quantity:
            raise Refused("not_for_sale", 409)
        made = self._put(tx, item, merchant.circle, buyer.id, sale.quantity, sale.amount_fen, now, sale.until)
        tx.run(
            "UPDATE orders SET campaign = :campaign, about = :about WHERE id = :id",
            {"campaign": campaign, "about": sale.about, "id": made["id"]},
        )
        return order_of(tx, made["id"])

    def _put(
        self,
        tx: Tx,
        item: Item,
        circle: str,
        buyer: str,
        quantity: int,
        amount_fen: int,
        now: datetime,
        until: datetime,
    ) -> Row:
        if not coupons.take_stock(tx, item, quantity):
            raise Refused("sold_out", 409)
        id_ = self.ids.new("o", now)
        tx.run(
            "INSERT INTO orders (id, circle, merchant, item, person, quantity, price_fen, amount_fen, state, "
            "holds_stock, created_at, expires_at) VALUES (:id, :circle, :merchant, :item, :person, :quantity, "
            ":price, :amount, 'created', 1, :now, :expires)",
            {
                "id": id_,
                "circle": circle,
                "merchant": item.merchant,
                "item": item.slug,
                "person": buyer,
                "quantity": quantity,
                "price": amount_fen // quantity,
                "amount": amount_fen,
                "now": to_text(now),
                "expires": to_text(until),
            },
        )
        return order_of(tx, id_)

    def pay(self, directory: Directory, order_id: str, now: datetime) -> Bought:
        """The wallet says that the order is paid: fulfil it, or give the money back. Twice gives the same answer.

        Raises Refused `not_found`.
        """
        return self.store.write(lambda tx: self.settle(tx, directory, order_id, now))

    def settle(self, tx: Tx, directory: Directory, order_id: str, now: datetime, *, owed: bool = False) -> Bought:
        """`pay` within a transaction of the caller's. `owed`: money to give back lies with a platform."""
        order = order_of(tx, order_id)
        tx.lock(f"order:{order_id}")
        tx.lock(f"person:{order['person']}")
        order = order_of(tx, order_id)
        if order["paid_at"] is not None:
            return _bought(tx, order)
        item = directory.item(order["item"])
        self.book_in(tx, order, f"order:{order_id}:paid", order["amount_fen"], now)
        held = bool(order["holds_stock"]) and order["expires_at"] > to_text(now)
        if order["holds_stock"] and (item is None or not held):
            coupons.return_stock(tx, order["item"], order["quantity"])
        wanted = held or self._may_be_late(tx, order, now)
        if item is None or not wanted or not (held or coupons.take_stock(tx, item, order["quantity"])):
            self.book_back(tx, order, f"order:{order_id}:refunded", order["amount_fen"], now, owed=owed)
            _set_state(tx, order_id, "refunded", now, order["quantity"], LATE)
            self._ended(tx, order, order["quantity"], now, paid=True)
            return _bought(tx, order_of(tx, order_id))
        for unit in range(order["quantity"]):
            coupons.create(
                tx,
                self.random,
                now,
                item,
                origin=order_id,
                unit=unit,
                circle=order["circle"],
                person=order["person"],
                payment=None,
            )
        _set_state(tx, order_id, "fulfilled", now, 0, None)
        self._reward(tx, directory, order, item, now)
        bought = _bought(tx, order_of(tx, order_id))
        self.hear(tx, _paid(order, bought), now)
        return bought

    def refund(self, order_id: str, quantity: int, now: datetime) -> Bought:
        """Give back `quantity` unused units: their coupons are void, the money returns.

        Raises Refused: `not_found` 404, with 409 `not_paid`, `used` (fewer unused units than asked for).
        """
        return self.store.write(lambda tx: self.give_back(tx, order_id, quantity, now))

    def give_back(self, tx: Tx, order_id: str, quantity: int, now: datetime, *, owed: bool = False) -> Bought:
        """`refund` within a transaction of the caller's. `owed`: the money lies with a platform."""
        tx.lock(f"order:{order_id}")
        order = order_of(tx, order_id)
        if order["state"] not in {"fulfilled", "refunded"}:
            raise Refused("not_paid", 409)
        unused = [row for row in links.claimed_coupons(tx, [order_id]) if row["state"] in {"claimed", "reserved"}]
        if not 1 <= quantity <= len(unused):
            raise Refused("used", 409, "fewer unused units than asked for")
        for coupon in unused[:quantity]:
            coupons.void(tx, coupon, now, "refunded")
        refunded = order["refunded_units"] + quantity
        key = f"order:{order_id}:refund-{order['refunded_units']}"
        self.book_back(tx, order, key, order["price_fen"] * quantity, now, owed=owed)
        state = "refunded" if refunded == order["quantity"] else "fulfilled"
        tx.run(
            "UPDATE orders SET refunded_units = :units, state = :state WHERE id = :id",
            {"units": refunded, "state": state, "id": order_id},
        )
        self._ended(tx, order, refunded, now, paid=True)
        return _bought(tx, order_of(tx, order_id))

    def give_back_for(self, tx: Tx, order_id: str, quantity: int, now: datetime) -> Bought:
        """A campaign gives unused units back; what a wallet took is owed to it by the worker. Raises as `refund`."""
        tx.lock(f"order:{order_id}")
        order = order_of(tx, order_id)
        by_wallet = tx.one(
            "SELECT number FROM purchases WHERE order_id = :id AND state = 'paid' LIMIT 1", {"id": order_id}
        )
        bought = self.give_back(tx, order_id, quantity, now, owed=by_wallet is not None)
        if by_wallet is not None:
            owed = {
                "order": order_id,
                "cause": f"units-{order['refunded_units']}",
                "fen": order["price_fen"] * quantity,
            }
            outbox.put(tx, self.ids, now, PAY_BACK, order_id, owed)
        return bought

    def close(self, tx: Tx, order_id: str, reason: str, now: datetime) -> bool:
        """Close an unpaid order and put its stock back; False when it is not open any more."""
        return close(tx, order_id, reason, now, self.hear)

    def close_overdue(self, tx: Tx, now: datetime, most: int) -> int:
        """Close unpaid orders whose hold is over; how many."""
        return close_overdue(tx, now, most, self.hear)

    def _may_be_late(self, tx: Tx, order: Row, now: datetime) -> bool:
        """Whether money that came after the hold still buys (R047): a campaign decides about its own orders."""
        if order["campaign"] is None:
            return True
        late = OrderLate(
            order["id"],
            order["campaign"],
            order["about"],
            order["person"],
            order["quantity"],
            Fen(order["amount_fen"]),
        )
        return any(verdict.outcome == "done" for _, verdict in self.hear(tx, late, now))

    def _ended(self, tx: Tx, order: Row, returned: int, now: datetime, *, paid: bool) -> None:
        _tell_ended(tx, order, returned, now, self.hear, paid=paid)

    def _reward(self, tx: Tx, directory: Directory, order: Row, item: Item, now: datetime) -> None:
        offer = directory.offer(order["circle"])
        buyer = people.look_up(tx, order["person"])
        merchant = directory.merchant(item.merchant)
        if buyer is None or merchant is None:
            return
        earned = links_earned(_units_bought(tx, buyer, offer, now), offer.bought_threshold, repeat=offer.bought_repeat)
        if earned <= _links_given(tx, buyer, offer, now):
            return
        rules = self.rulebook.rules(directory, merchant, None)
        place = Place("", order["circle"], merchant.slug, None)
        bought_link(tx, self.ids, self.link_keys, now, order=order["id"], place=place, buyer=buyer, rules=rules)

    def book_in(self, tx: Tx, order: Row, key: str, fen: int, now: datetime) -> None:
        """Money of an order has come in; once per `key`."""
        book.transfer(tx, self.ids.new("tr", now), key, WORLD, _sales(order), fen, "paid", now)

    def book_back(self, tx: Tx, order: Row, key: str, fen: int, now: datetime, *, owed: bool) -> None:
        """Money of an order goes back: at once, or `owed` until `book_returned`; once per `key`."""
        back, why = (_due(order), "refund_due") if owed else (WORLD, "refunded")
        book.transfer(tx, self.ids.new("tr", now), key, _sales(order), back, fen, why, now)

    def book_returned(self, tx: Tx, order: Row, key: str, fen: int, now: datetime) -> None:
        """What was owed has reached the customer; once per `key`."""
        book.transfer(tx, self.ids.new("tr", now), key, _due(order), WORLD, fen, "refunded", now)


def close(tx: Tx, order_id: str, reason: str, now: datetime, hear: Hear = nobody_hears) -> bool:
    """Close an unpaid order and put its stock back; False when it is not open any more."""
    tx.lock(f"order:{order_id}")
    order = order_of(tx, order_id)
    changed = tx.run(
        "UPDATE orders SET state = 'closed', holds_stock = 0, closed_reason = :reason "
        "WHERE id = :id AND state = 'created'",
        {"id": order_id, "reason": reason},
    )
    if changed:
        coupons.return_stock(tx, order["item"], order["quantity"])
        _tell_ended(tx, order, 0, now, hear, paid=False)
    return bool(changed)


def _tell_ended(tx: Tx, order: Row, returned: int, now: datetime, hear: Hear, *, paid: bool) -> None:
    if order["campaign"] is not None:
        hear(
            tx,
            OrderEnded(
                order["id"], order["campaign"], order["about"], order["person"], order["quantity"], returned, paid
            ),
            now,
        )


def _paid(order: Row, bought: Bought) -> OrderPaid:
    return OrderPaid(
        order["id"],
        order["item"],
        order["circle"],
        order["merchant"],
        order["person"],
        order["quantity"],
        Fen(order["amount_fen"]),
        bought.coupons,
        order["campaign"] or "",
        order["about"] or "",
    )


def close_overdue(tx: Tx, now: datetime, most: int, hear: Hear = nobody_hears) -> int:
    """Close unpaid orders whose hold is over and put their stock back; how many.

    Orders that a wallet may still be paid for are left to `gateway.buying`, which closes them at the platform first.
    """
    rows = tx.all(
        "SELECT id FROM orders WHERE state = 'created' AND expires_at <= :now "
        "AND NOT EXISTS (SELECT 1 FROM purchases p WHERE p.order_id = orders.id AND p.state IN ('new', 'announced')) "
        "ORDER BY expires_at, id LIMIT :most",
        {"now": to_text(now), "most": most},
    )
    # `close` asks again: a payment under way has the order, and by its clock the hold may just not be over.
    return sum(close(tx, order["id"], "unpaid", now, hear) for order in rows)


def units_to_next_link(tx: Tx, directory: Directory, person: str, circle: str, now: datetime) -> int | None:
    """How many units more earn a claim link (R045); None where no further one can be earned."""
    buyer = people.look_up(tx, person)
    offer = directory.offer(circle)
    if buyer is None or offer.bought_threshold <= 0:
        return None
    return units_missing(
        _units_bought(tx, buyer, offer, now),
        _links_given(tx, buyer, offer, now),
        offer.bought_threshold,
        repeat=offer.bought_repeat,
    )


def units_missing(bought: int, given: int, threshold: int, *, repeat: bool) -> int | None:
    """Pure: the fewest units beyond `bought` by which `links_earned` comes to more than `given`; None: never."""
    if threshold <= 0 or (given and not repeat):
        return None
    return max((given + 1) * threshold + 1 - bought, 1)


def order_of(tx: Tx, id_: str) -> Row:
    """The order. Raises Refused `not_found`."""
    row = tx.one("SELECT * FROM orders WHERE id = :id", {"id": id_})
    if row is None:
        raise Refused("not_found", 404)
    return row


def _set_state(tx: Tx, id_: str, state: str, now: datetime, refunded: int, reason: str | None) -> None:
    tx.run(
        "UPDATE orders SET state = :state, paid_at = :now, holds_stock = 0, refunded_units = :refunded, "
        "closed_reason = :reason WHERE id = :id",
        {"state": state, "now": to_text(now), "refunded": refunded, "reason": reason, "id": id_},
    )


def _bought(tx: Tx, order: Row) -> Bought:
    codes = tuple(row["code"] for row in links.claimed_coupons(tx, [order["id"]]))
    link = tx.one("SELECT * FROM links WHERE source_order = :id", {"id": order["id"]})
    return Bought(order["state"], codes, link)


def _units_bought(tx: Tx, buyer: people.Person, offer: Offer, now: datetime) -> int:
    marks, params = people.in_group(buyer)
    since = to_text(now - timedelta(days=offer.bought_days))
    row = tx.one(
        f"SELECT sum(quantity - refunded_units) AS n FROM orders WHERE person IN ({marks}) AND circle = :circle "
        f"AND paid_at > :since",
        {**params, "circle": offer.circle, "since": since},
    )
    return int(row["n"] or 0) if row is not None else 0


def _links_given(tx: Tx, buyer: people.Person, offer: Offer, now: datetime) -> int:
    marks, params = people.in_group(buyer)
    since = to_text(now - timedelta(days=offer.bought_days))
    row = tx.one(
        f"SELECT count(*) AS n FROM links WHERE person IN ({marks}) AND circle = :circle AND purpose = 'order' "
        f"AND created_at > :since",
        {**params, "circle": offer.circle, "since": since},
    )
    return int(row["n"]) if row is not None else 0


def _sales(order: Row) -> book.Account:
    return book.Account(f"merchant:{order['merchant']}", "sales", overdraft=True)


def _due(order: Row) -> book.Account:
    """What the merchant's wallet owes customers and has not given back yet."""
    return book.Account(f"merchant:{order['merchant']}", "refunds_due")
