"""The story of an order that a customer pays with his wallet, from the form to its one end.

Three outcomes of every call: done, declined, unknown. After an unknown one the same number is asked about and the
identical request sent again; another number is taken only after the platform declined. The number and the request are
in the store before they are first sent. What a page or the wallet's own script says proves nothing: the platform's
signed notification and its answer to our question do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from gateway import incidents, orders, outbox, people
from gateway.buying import alarms, rows
from gateway.buying.returning import Returning
from gateway.buying.schedule import next_order_look
from gateway.catalog.directory import LiveChannel
from gateway.contract.clock import from_text
from gateway.contract.errors import Refused
from gateway.contract.events import Event, Payer, PaymentEvent, RefundEvent
from gateway.contract.money import Fen
from gateway.contract.store import Row, Tx
from gateway.contract.wallet import CallFailed, CallUnknown, Platform, Purchase
from gateway.orders import Bought
from gateway.runtime import Runtime
from gateway.tills import Line, Till, payer_at, till_of, tills_of

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LOOK: Final = "order"
OPEN_AT_ONCE: Final = 3
"""So many unpaid orders may hold stock for one person."""

NOT_CLOSED_AFTER: Final = timedelta(hours=1)
"""An order that its platform will neither close nor tell about for so long is an operator's matter."""

_LONGEST_NAME: Final = 120


class Buying:
    """The use case over one runtime; shared by all threads of a process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._line = Line(runtime.carrier, runtime.random)
        self.returning = Returning(runtime, self._line)

    # -- the customer -----------------------------------------------------------------------------------------------

    def till_for(self, item: str, platform: Platform, person: str) -> Till | None:
        """Where this person can pay for this item with this wallet; None: nowhere."""
        found = self._till_and_payer(item, platform, person)
        return found[0] if found is not None else None

    def order(self, item: str, quantity: int, person: str, platform: Platform, form: str, now: datetime) -> str:
        """A new order and the number it will be paid under; the order's id, the same for the same form (a double tap).

        Raises Refused: `not_found` 404, `not_for_sale`, `sold_out`, `no_till` 409, `too_many` 429.
        """
        runtime = self._runtime
        directory = runtime.directory()
        found = self._till_and_payer(item, platform, person)
        vault = runtime.vault()
        number = rows.new_number("DG", runtime.random)

        def make(tx: Tx) -> str:
            tx.lock(f"form:{form}")
            known = rows.purchase_of_form(tx, form)
            who = people.look_up(tx, person)
            if who is None:
                raise Refused("not_found", 404)
            if known is not None:
                if orders.order_of(tx, known["order_id"])["person"] not in who.group:
                    raise Refused("not_found", 404)
                return str(known["order_id"])
            if found is None:
                raise Refused("no_till", 409)
            tx.lock(f"person:{who.id}")
            holding = rows.open_orders(tx, *people.in_group(who), now)
            if len(holding) >= OPEN_AT_ONCE:
                left = from_text(holding[0]["expires_at"]) - now
                raise Refused("too_many", 429, retry_after_s=int(left.total_seconds()) + 1)
            order = runtime.ordering.make(tx, directory, item, quantity, who.id, now)
            spec = directory.item(item)
            name = spec.name if spec is not None else item
            request = self._request(number, order, name, *found)
            rows.keep_purchase(tx, vault, request, order=order["id"], channel=found[0].slug, form=form, now=now)
            self._look_later(tx, number, 0, now, order)
            return str(order["id"])

        return runtime.store.write(make)

    def again(self, order_id: str, person: str, platform: Platform, now: datetime) -> None:
        """Another number for an order whose last one the platform declined. Nothing where one is open or money came.

        Raises Refused: `not_found` 404, `expired` 410, `no_till` 409.
        """
        runtime = self._runtime
        order = runtime.store.read(lambda tx: self._order_of(tx, order_id, person))
        found = self._till_and_payer(order["item"], platform, person)
        vault = runtime.vault()
        number = rows.new_number("DG", runtime.random)
        spec = runtime.directory().item(order["item"])

        def renew(tx: Tx) -> None:
            tx.lock(f"order:{order_id}")
            standing = self._order_of(tx, order_id, person)
            last = rows.purchase_of(tx, order_id)
            if standing["paid_at"] is not None or (last is not None and last["state"] != "failed"):
                return
            if standing["state"] != "created" or from_text(standing["expires_at"]) <= now:
                raise Refused("expired", 410)
            if found is None:
                raise Refused("no_till", 409)
            request = self._request(number, standing, spec.name if spec is not None else standing["item"], *found)
            rows.keep_purchase(tx, vault, request, order=order_id, channel=found[0].slug, form=None, now=now)
            self._look_later(tx, number, 0, now, standing)

        runtime.store.write(renew)

    def announce(self, order_id: str, now: datetime) -> None:
        """Tell the platform of the order's open number, if that has not been done; trouble is left to the outbox."""
        bought = self._runtime.store.read(lambda tx: rows.purchase_of(tx, order_id))
        if bought is None or bought["state"] != "new":
            return
        till = till_of(self._runtime.directory(), bought["channel"])
        if till is not None:
            self._announce(till, bought, now)

    def bridge(self, bought: Row, now: datetime) -> tuple[Till, Mapping[str, str]] | None:
        """What the wallet's browser needs to ask for the money of an announced purchase; None where it cannot."""
        till = till_of(self._runtime.directory(), bought["channel"])
        if till is None or bought["state"] != "announced":
            return None
        return till, till.wallet.bridge(till.keys, bought["handle"], now, self._runtime.random(16).hex())

    # -- what the platform tells ------------------------------------------------------------------------------------

    def told(self, channel: LiveChannel, event: Event, now: datetime) -> None:
        """A notification of an order of ours that has been verified. What does not fit is an operator's matter."""
        if isinstance(event, PaymentEvent | RefundEvent):
            number = event.out_trade_no or ""
            bought = self._runtime.store.read(lambda tx: rows.purchase(tx, number))
            if bought is None or bought["channel"] != channel.spec.slug:
                alarms.raise_(
                    self._runtime, now, kind="unknown_order", subject=channel.spec.slug, detail=event.transaction_id
                )
            elif isinstance(event, RefundEvent):
                self.returning.hurry(bought["order_id"], now)
            elif event.amount_fen != bought["amount_fen"] or event.currency != "CNY":
                detail = f"{event.amount_fen} {event.currency} told, {bought['amount_fen']} CNY wanted"
                alarms.raise_(
                    self._runtime, now, kind="order_amount_differs", subject=bought["order_id"], detail=detail
                )
            else:
                self._take(number, event.transaction_id, now)
        elif event.reason == "foreign_merchant":
            alarms.raise_(
                self._runtime, now, kind="foreign_merchant", subject=channel.spec.slug, detail=event.event_type
            )

    def refund(self, order_id: str, quantity: int, now: datetime) -> Bought:
        """Give back unused units, through the wallet that took the money, if one did. Raises as `Ordering.refund`."""

        def give_back(tx: Tx) -> Bought:
            tx.lock(f"order:{order_id}")
            bought = rows.paid_purchase(tx, order_id)
            order = orders.order_of(tx, order_id)
            done = self._runtime.ordering.give_back(tx, order_id, quantity, now, owed=bought is not None)
            if bought is not None:
                fen = order["price_fen"] * quantity
                self.returning.owe(tx, bought, f"units-{order['refunded_units']}", fen, now)
            return done

        return self._runtime.store.write(give_back)

    def owe_back(self, payload: Mapping[str, Any], now: datetime) -> str | None:
        """The outbox's deed for a campaign's order whose units were given back: their money, by the wallet."""

        def owe(tx: Tx) -> None:
            bought = rows.paid_purchase(tx, payload["order"])
            if bought is not None:
                self.returning.owe(tx, bought, payload["cause"], payload["fen"], now)

        self._runtime.store.write(owe)
        return None

    def lapse(self, number: str, now: datetime) -> None:
        """For the sandbox: as if the hold were over and the platform had closed the order, so that paying is late."""
        self._close(number, "closed", now, "unpaid")

    # -- what the outbox does ---------------------------------------------------------------------------------------

    def look(self, payload: Mapping[str, Any], now: datetime) -> str | None:
        """The outbox's deed: how does this purchase stand? Settles, sends again, or closes it; plans the next look."""
        number, asked = str(payload["purchase"]), int(payload["asked"])

        def both(tx: Tx) -> tuple[Row, Row] | None:
            bought = rows.purchase(tx, number)
            return (bought, orders.order_of(tx, bought["order_id"])) if bought is not None else None

        found = self._runtime.store.read(both)
        if found is None or found[0]["state"] not in rows.OPEN or found[0]["asked"] != asked:
            return None
        bought, order = found
        is_over = order["state"] != "created" or from_text(order["expires_at"]) <= now
        till = till_of(self._runtime.directory(), bought["channel"])
        if till is None:
            # Nobody can ask any more; the platform takes no money after the order's own end.
            alarms.raise_(self._runtime, now, kind="order_without_till", subject=bought["channel"], detail=order["id"])
            if is_over:
                self._close(number, "closed", now, "no_till")
                return None
        elif not self._line.is_quiet(till, now):
            self._look(till, bought, now, is_over=is_over)
        return self._runtime.store.write(lambda tx: self._plan(tx, number, asked, order, now))

    def _look(self, till: Till, bought: Row, now: datetime, *, is_over: bool) -> None:
        number, wallet = bought["number"], till.wallet
        try:
            trade = self._line.ask(till, now, lambda nonce: wallet.query(till.keys, number, now, nonce), wallet.queried)
            if trade.state in {"unpaid", "not_found"} and is_over:
                end = self._line.ask(
                    till, now, lambda nonce: wallet.close(till.keys, number, now, nonce), wallet.closed
                )
                if end == "paid":
                    trade = self._line.ask(
                        till, now, lambda nonce: wallet.query(till.keys, number, now, nonce), wallet.queried
                    )
                elif end in {"closed", "not_found"}:
                    self._close(number, "closed", now, "unpaid")
                    return
        except (CallFailed, CallUnknown) as trouble:
            log.warning("order_not_asked", channel=till.slug, code=trouble.code)
            self._alarm_if_late(bought, now, trouble.code)
            return
        if trade.state == "paid":
            if trade.amount_fen != bought["amount_fen"]:
                detail = f"{trade.amount_fen} paid, {bought['amount_fen']} wanted"
                alarms.raise_(
                    self._runtime, now, kind="order_amount_differs", subject=bought["order_id"], detail=detail
                )
                self._close(number, "odd", now, "amount_differs")
            else:
                self._take(number, trade.transaction_id, now)
        elif trade.state == "closed":
            self._close(number, "closed", now, "closed_at_platform")
        elif bought["state"] == "new" and not is_over:
            self._announce(till, bought, now)

    def _plan(self, tx: Tx, number: str, asked: int, order: Row, now: datetime) -> None:
        bought = rows.purchase(tx, number)
        if bought is not None and bought["state"] in rows.OPEN and rows.next_look(tx, "purchases", number, asked):
            self._look_later(tx, number, asked + 1, now, order)

    # -- the moves --------------------------------------------------------------------------------------------------

    def _announce(self, till: Till, bought: Row, now: datetime) -> None:
        number, wallet = bought["number"], till.wallet
        request = rows.request_of(self._runtime.vault(), bought)
        try:
            handle = self._line.ask(
                till, now, lambda nonce: wallet.prepay(till.keys, request, now, nonce), wallet.prepaid
            )
        except CallUnknown as unknown:
            log.warning("order_not_announced", channel=till.slug, code=unknown.code)
        except CallFailed as declined:
            code = declined.code

            def fail(tx: Tx) -> None:
                if rows.finish(tx, number, "failed", now, reason=code):
                    incidents.raise_(tx, self._runtime.ids, now, "order_declined", till.slug, code)

            self._runtime.store.write(fail)
        else:

            def keep(tx: Tx) -> None:
                rows.announced(tx, number, handle)
                incidents.close(tx, now, "order_declined", till.slug)

            self._runtime.store.write(keep)

    def _take(self, number: str, transaction_id: str, now: datetime) -> None:
        """The money is there: fulfil the order, or owe it back. Any number of tellers at once do it once."""
        runtime = self._runtime
        directory = runtime.directory()

        def settle(tx: Tx) -> None:
            bought = rows.purchase(tx, number)
            if bought is None:
                return
            order_id = bought["order_id"]
            tx.lock(f"order:{order_id}")
            order = orders.order_of(tx, order_id)
            if not rows.finish(tx, number, "paid", now, transaction_id=transaction_id):
                return
            if order["paid_at"] is not None:
                runtime.ordering.book_in(tx, order, f"purchase:{number}:paid", bought["amount_fen"], now)
                runtime.ordering.book_back(tx, order, f"purchase:{number}:refund", bought["amount_fen"], now, owed=True)
                self.returning.owe(tx, bought, "paid_twice", bought["amount_fen"], now)
                return
            outcome = runtime.ordering.settle(tx, directory, order_id, now, owed=True)
            if outcome.state == "refunded":
                self.returning.owe(tx, bought, "late", bought["amount_fen"], now)

        runtime.store.write(settle)

    def _close(self, number: str, end: rows.End, now: datetime, reason: str) -> None:
        """The platform takes no money for it any more: now the stock may go back."""

        def close(tx: Tx) -> None:
            bought = rows.purchase(tx, number)
            if bought is None:
                return
            tx.lock(f"order:{bought['order_id']}")
            if rows.finish(tx, number, end, now, reason=reason):
                self._runtime.ordering.close(tx, bought["order_id"], reason, now)
                incidents.close(tx, now, "order_not_closed", bought["channel"])

        self._runtime.store.write(close)

    def _alarm_if_late(self, bought: Row, now: datetime, code: str) -> None:
        order = self._runtime.store.read(lambda tx: orders.order_of(tx, bought["order_id"]))
        if from_text(order["expires_at"]) + NOT_CLOSED_AFTER <= now:
            alarms.raise_(self._runtime, now, kind="order_not_closed", subject=bought["channel"], detail=code)

    # -- small things -----------------------------------------------------------------------------------------------

    def _till_and_payer(self, item: str, platform: Platform, person: str) -> tuple[Till, Payer] | None:
        runtime = self._runtime
        directory = runtime.directory()
        spec = directory.item(item)
        if spec is None:
            return None
        tills = tills_of(directory, spec.merchant, platform)
        vault = runtime.vault()

        def first(tx: Tx) -> tuple[Till, Payer] | None:
            pairs = ((till, payer_at(tx, vault, till, person)) for till in tills)
            return next(((till, payer) for till, payer in pairs if payer is not None), None)

        return runtime.store.read(first) if tills else None

    def _request(self, number: str, order: Row, name: str, till: Till, payer: Payer) -> Purchase:
        return Purchase(
            out_trade_no=number,
            amount_fen=Fen(order["amount_fen"]),
            description=described(name, order["quantity"]),
            payer=payer,
            notify_url=f"{self._runtime.base_url}/paid/{till.slug}",
            expires_at=from_text(order["expires_at"]),
        )

    def _look_later(self, tx: Tx, number: str, asked: int, now: datetime, order: Row) -> None:
        due = next_order_look(asked, now, from_text(order["expires_at"]))
        outbox.put(tx, self._runtime.ids, now, LOOK, order["id"], {"purchase": number, "asked": asked}, due_at=due)

    @staticmethod
    def _order_of(tx: Tx, order_id: str, person: str) -> Row:
        """The person's order. Raises Refused `not_found`, for another's too."""
        order = orders.order_of(tx, order_id)
        who = people.look_up(tx, person)
        if who is None or order["person"] not in who.group:
            raise Refused("not_found", 404)
        return order


def described(name: str, quantity: int) -> str:
    """What the wallet shows of a purchase: without `/ = &`, which Alipay refuses, and short enough for WeChat Pay."""
    words = "".join(" " if sign in "/=&" or not sign.isprintable() else sign for sign in name)
    tail = f" x {quantity}" if quantity > 1 else ""
    room = _LONGEST_NAME - len(tail)
    return words.encode()[:room].decode("utf-8", "ignore").strip() + tail
