"""Money back through the wallet that took it: owed in the store first, sent under one number until it is told done.

An accepted refund is not a done one. A declined one (no balance, say) keeps its number and is tried again; one that
the platform closed gets a new number; an abnormal one is for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from gateway import incidents, orders, outbox
from gateway.buying import alarms, rows
from gateway.buying.schedule import BETWEEN_REFUNDS, DECLINED_AGAIN, next_refund_look
from gateway.contract.clock import from_text
from gateway.contract.money import Fen
from gateway.contract.store import Row, Tx
from gateway.contract.wallet import CallFailed, CallUnknown, GiveBack, RefundState
from gateway.runtime import Runtime
from gateway.tills import Line, Till, till_of

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

RETURN: Final = "order_refund"
MOST_NUMBERS: Final = 3
MOST_LOOKS: Final = 500
"""Ten days of half hours; what is abnormal for longer is settled by hand."""
_OPEN: Final = frozenset({"new", "pending", "abnormal"})
_REASONS: Final = {"late": "付款到账时已无库存", "paid_twice": "重复付款"}
_OTHER: Final = "退回未使用的券"


class Returning:
    """Refunds of one runtime; shared by all threads of a process."""

    def __init__(self, runtime: Runtime, line: Line) -> None:
        self._runtime = runtime
        self._line = line

    def owe(self, tx: Tx, bought: Row, cause: str, fen: int, now: datetime) -> None:
        """Owe a refund of a paid purchase, once per `cause`; it goes out as soon as the transaction stands."""
        before = rows.paybacks_of(tx, bought["order_id"])
        number = rows.new_number("DR", self._runtime.random)
        if rows.keep_payback(tx, number, bought, cause, fen, now):
            last = max((from_text(one["created_at"]) for one in before), default=now - BETWEEN_REFUNDS)
            self._look_later(tx, number, 0, bought["order_id"], now, max(now, last + BETWEEN_REFUNDS))

    def hurry(self, order_id: str, now: datetime) -> None:
        """The platform told of a refund of this order: whichever is under way is asked about at once."""
        self._runtime.store.write(lambda tx: outbox.hurry(tx, now, RETURN, order_id))

    def look(self, payload: Mapping[str, Any], now: datetime) -> str | None:
        """The outbox's deed: send a refund, or ask how it stands; plans the next look."""
        number, asked = str(payload["payback"]), int(payload["asked"])

        def both(tx: Tx) -> tuple[Row, Row] | None:
            back = rows.payback(tx, number)
            bought = rows.purchase(tx, back["purchase"]) if back is not None else None
            return (back, bought) if back is not None and bought is not None else None

        found = self._runtime.store.read(both)
        if found is None or found[0]["state"] not in _OPEN or found[0]["asked"] != asked:
            return None
        back, bought = found
        till = till_of(self._runtime.directory(), bought["channel"])
        wait = None
        if till is None:
            alarms.raise_(
                self._runtime, now, kind="order_without_till", subject=bought["channel"], detail=back["order_id"]
            )
            wait = DECLINED_AGAIN
        elif not self._line.is_quiet(till, now):
            wait = self._look(till, back, bought, now)
        self._runtime.store.write(lambda tx: self._plan(tx, back, now, wait))
        return None

    def _look(self, till: Till, back: Row, bought: Row, now: datetime) -> timedelta | None:
        """Ask, and send again where the platform knows nothing of it; how long to wait where that is not usual."""
        number, wallet = back["number"], till.wallet
        wanted = GiveBack(
            out_trade_no=bought["number"],
            out_refund_no=number,
            refund_fen=Fen(back["fen"]),
            total_fen=Fen(bought["amount_fen"]),
            reason=_REASONS.get(back["cause"], _OTHER),
        )
        try:
            state: RefundState = "not_found"
            if back["asked"]:
                state = self._line.ask(
                    till, now, lambda nonce: wallet.query_refund(till.keys, wanted, now, nonce), wallet.refund_queried
                )
            if state == "not_found":
                state = self._line.ask(
                    till, now, lambda nonce: wallet.refund(till.keys, wanted, now, nonce), wallet.refunded
                )
        except CallUnknown as unknown:
            log.warning("refund_unknown", channel=till.slug, code=unknown.code)
            return None
        except CallFailed as declined:
            code = declined.code
            alarms.raise_(self._runtime, now, kind="refund_declined", subject=back["order_id"], detail=code)
            self._runtime.store.write(lambda tx: rows.note_declined(tx, number, code))
            return DECLINED_AGAIN
        self._runtime.store.write(lambda tx: self._settle(tx, back, bought, state, now))
        return None

    def _settle(self, tx: Tx, back: Row, bought: Row, state: RefundState, now: datetime) -> None:
        number, order_id = back["number"], back["order_id"]
        tx.lock(f"order:{order_id}")
        if state == "pending":
            rows.pending(tx, number)
        elif state == "done" and rows.settle_payback(tx, number, "done", now):
            order = orders.order_of(tx, order_id)
            self._runtime.ordering.book_returned(tx, order, f"payback:{number}", back["fen"], now)
            for kind in ("refund_declined", "refund_abnormal"):
                incidents.close(tx, now, kind, order_id)
        elif state == "abnormal" and rows.settle_payback(tx, number, "abnormal", now, "abnormal"):
            incidents.raise_(tx, self._runtime.ids, now, "refund_abnormal", order_id, number)
        elif state == "closed":
            self._renew(tx, back, bought, now)

    def _renew(self, tx: Tx, back: Row, bought: Row, now: datetime) -> None:
        """The platform closed the refund: a new number, unless that has been tried often enough."""
        if rows.tries_of(tx, back) >= MOST_NUMBERS:
            if rows.settle_payback(tx, back["number"], "abnormal", now, "closed_at_platform"):
                incidents.raise_(tx, self._runtime.ids, now, "refund_abnormal", back["order_id"], back["number"])
        elif rows.settle_payback(tx, back["number"], "closed", now, "closed_at_platform"):
            self.owe(tx, bought, back["cause"], back["fen"], now)

    def _plan(self, tx: Tx, back: Row, now: datetime, wait: timedelta | None) -> None:
        number, asked = back["number"], back["asked"]
        standing = rows.payback(tx, number)
        if standing is None or standing["state"] not in _OPEN or asked >= MOST_LOOKS:
            return
        if rows.next_look(tx, "paybacks", number, asked):
            due = now + wait if wait is not None else next_refund_look(asked, now)
            self._look_later(tx, number, asked + 1, back["order_id"], now, due)

    def _look_later(self, tx: Tx, number: str, asked: int, order: str, now: datetime, due: datetime) -> None:
        outbox.put(tx, self._runtime.ids, now, RETURN, order, {"payback": number, "asked": asked}, due_at=due)
