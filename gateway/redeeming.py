"""Redeeming (核销, R060–R062): a clerk uses a coupon once; a manager may reverse it within a day.

Of any number of parallel redeemers one wins: the coupon's state moves by one conditional update. The same request id
gets the same answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from gateway import audit, coupons, inbox, refunds, webhooks
from gateway.contract.campaign import CouponRedeemed, Hear, nobody_hears
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.ids import IdFactory
from gateway.contract.money import Fen
from gateway.contract.store import Row, Store, Tx
from gateway.ledger import budget
from gateway.webhooks import Hooks
from linkgen.codes import is_code, normalise

REVERSIBLE_FOR: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Clerk:
    """Who stands at the till. `merchants` None: every merchant (an operator of all circles).

    `most_fen`: what he may move without having given his password just now (R205), None for any value; `device_of`:
    whose till he does it at, where it is not his own.
    """

    name: str
    merchants: frozenset[str] | None
    request_id: str | None = None
    most_fen: int | None = None
    device_of: str | None = None

    def serves(self, merchant: str) -> bool:
        """Whether coupons of this merchant are his business."""
        return self.merchants is None or merchant in self.merchants


@dataclass(frozen=True, slots=True)
class Bill:
    """What a redemption may carry: the bill's total, the payment it reduced, and the shop."""

    amount_fen: int | None = None
    transaction_id: str | None = None
    shop: str | None = None


@dataclass(frozen=True, slots=True)
class Redeeming:
    """The use case; its parts are shared by all threads of a process."""

    store: Store
    ids: IdFactory
    hooks: Hooks = Hooks()  # noqa: RUF009 - it never changes
    hear: Hear = nobody_hears

    def look(self, code: str, clerk: Clerk, now: datetime) -> dict[str, Any]:
        """The coupon as the API shows it. Raises Refused `no_such_coupon` 404, `wrong_merchant` 403 (`merchant`)."""
        return self.store.read(lambda tx: coupons.as_json(tx, _coupon(tx, code, clerk), now))

    def redeem(self, code: str, clerk: Clerk, key: str, bill: Bill, now: datetime) -> dict[str, Any]:
        """Use a coupon; the coupon as the API shows it, the same for the same `key` (one scan).

        Raises Refused: `no_such_coupon` 404, `wrong_merchant` 403, `expired` 410, and with 409 `already_redeemed`
        (`redeemed`: when and where), `void`, `not_yet_valid`, `reserved`, `below_minimum`, `idempotency_key_reused`;
        `reauthentication_required` 401 (`limit_fen`).
        """
        self.hooks.ready()
        return self.store.write(lambda tx: self.redeem_in(tx, code, clerk, key, bill, now))

    def redeem_in(
        self, tx: Tx, code: str, clerk: Clerk, key: str, bill: Bill, now: datetime, at: datetime | None = None
    ) -> dict[str, Any]:
        """`redeem` within a transaction of the caller's; whatever is refused has changed nothing in it.

        `at`: when the scan was made, where that was earlier than now: the coupon is judged by it, and keeps it.
        """
        wanted = sha256(json.dumps([normalise(code), bill.amount_fen, bill.transaction_id, bill.shop]).encode())
        scope = f"redeem:{clerk.name}"

        tx.lock(f"request:{scope}:{key}")
        known = tx.one(
            "SELECT digest, answer FROM idempotency WHERE scope = :scope AND key = :key",
            {"scope": scope, "key": key},
        )
        if known is not None:
            if bytes(known["digest"]) != wanted.digest():
                raise Refused("idempotency_key_reused", 409)
            answer = dict(json.loads(known["answer"]))
            # Two tokens may bear one name: what one was answered is told to nobody out of its scope.
            if not clerk.serves(answer["merchant"]):
                raise Refused("wrong_merchant", 403, merchant=answer["merchant"])
            return answer
        answer = self._use(tx, code, clerk, key, bill, now, at or now)
        tx.run(
            "INSERT INTO idempotency (scope, key, digest, status, answer, created_at) "
            "VALUES (:scope, :key, :digest, 200, :answer, :now)",
            {
                "scope": scope,
                "key": key,
                "digest": wanted.digest(),
                "answer": json.dumps(answer),
                "now": to_text(now),
            },
        )
        return answer

    def _use(
        self, tx: Tx, code: str, clerk: Clerk, key: str, bill: Bill, now: datetime, at: datetime
    ) -> dict[str, Any]:
        if bill.transaction_id is not None:
            # The payment may be coming in at this moment; whichever of the two is later sees the other.
            inbox.lock_transaction(tx, bill.transaction_id)
        coupon = _coupon(tx, code, clerk)
        _usable(tx, coupon, bill, at)
        discount = coupons.discount_fen(coupon, bill.amount_fen)
        _bounded(clerk, discount)
        if not tx.run(
            "UPDATE coupons SET state = 'redeemed' WHERE code = :code AND state = 'claimed'", {"code": coupon["code"]}
        ):
            # Somebody was quicker between the look and the use: his deed is the reason that is told.
            _usable(tx, _coupon(tx, code, clerk), bill, at)
            raise Refused("already_redeemed", 409)
        payment = None
        if bill.transaction_id is not None:
            payment = tx.one(
                "SELECT id FROM payments WHERE transaction_id = :transaction AND merchant = :merchant",
                {"transaction": bill.transaction_id, "merchant": coupon["merchant"]},
            )
        tx.run(
            "INSERT INTO redemptions "
            "(id, coupon, key, by, shop, at, discount_fen, amount_fen, transaction_id, payment) "
            "VALUES (:id, :coupon, :key, :by, :shop, :at, :discount, :amount, :transaction, :payment)",
            {
                "id": self.ids.new("rd", now),
                "coupon": coupon["code"],
                "key": key,
                "by": clerk.name,
                "shop": bill.shop,
                "at": to_text(at),
                "discount": discount,
                "amount": bill.amount_fen,
                "transaction": bill.transaction_id,
                "payment": payment["id"] if payment is not None else None,
            },
        )
        budget.consume(tx, coupon["origin"], coupon["item"])
        told = {"scanned_at": to_text(at)} if at != now else {}
        _audit(tx, now, clerk, "coupon.redeem", coupon["code"], {"state": "claimed"}, {"state": "redeemed", **told})
        webhooks.redeemed(
            tx,
            now,
            self.hooks.of(coupon["circle"], coupon["merchant"]),
            coupon,
            {
                "shop": bill.shop,
                "at": to_text(at),
                "discount_fen": discount,
                "amount_fen": bill.amount_fen,
                "transaction_id": bill.transaction_id,
            },
        )
        amount = Fen(bill.amount_fen) if bill.amount_fen is not None else None
        self._tell(tx, coupon, bill.shop, clerk.name, discount, amount, now)
        after = coupons.by_code(tx, coupon["code"])
        assert after is not None  # it was there a moment ago in this transaction
        return coupons.as_json(tx, after, now)

    def reverse(self, code: str, clerk: Clerk, reason: str, now: datetime) -> dict[str, Any]:
        """Undo a redemption (R062): the coupon is `claimed` again, its budget reserved again.

        Where the payment that gave it came back meanwhile, it is `void` instead, and the loss is undone (R061).
        Raises Refused: `no_such_coupon` 404, `wrong_merchant` 403, with 409 `not_redeemed`, `too_late`;
        `reauthentication_required` 401 (`limit_fen`).
        """

        def undo(tx: Tx) -> dict[str, Any]:
            coupon = _coupon(tx, code, clerk)
            used = tx.one(
                "SELECT id, at, discount_fen, shop, amount_fen FROM redemptions "
                "WHERE coupon = :code AND reversed_at IS NULL",
                {"code": coupon["code"]},
            )
            if coupon["state"] != "redeemed" or used is None:
                raise Refused("not_redeemed", 409)
            if now - from_text(used["at"]) > REVERSIBLE_FOR:
                raise Refused("too_late", 409)
            _bounded(clerk, used["discount_fen"])
            if not tx.run(
                "UPDATE redemptions SET reversed_at = :now, reversed_by = :by, reason = :reason "
                "WHERE id = :id AND reversed_at IS NULL",
                {"now": to_text(now), "by": clerk.name, "reason": reason, "id": used["id"]},
            ):
                raise Refused("not_redeemed", 409)
            again = coupons.unuse(tx, coupon)
            if again is None:
                raise Refused("not_redeemed", 409)
            if again["state"] == "void":
                refunds.undo_loss(tx, self.ids, now, again, used)
            webhooks.reversed_(tx, now, self.hooks.of(again["circle"], again["merchant"]), again)
            after = {"state": again["state"], "reason": reason}
            if clerk.device_of is not None:
                after["device_of"] = clerk.device_of
            _audit(tx, now, clerk, "coupon.reverse", coupon["code"], {"state": "redeemed"}, after)
            self._tell(
                tx, again, used["shop"], clerk.name, used["discount_fen"], used["amount_fen"], now, reversed_=True
            )
            return coupons.as_json(tx, again, now)

        self.hooks.ready()
        return self.store.write(undo)

    def _tell(
        self,
        tx: Tx,
        coupon: Row,
        shop: str | None,
        by: str,
        discount: int,
        amount: Fen | None,
        now: datetime,
        *,
        reversed_: bool = False,
    ) -> None:
        """Let the campaigns hear of it."""
        told = CouponRedeemed(
            coupon["code"],
            coupon["item"],
            coupon["circle"],
            coupon["merchant"],
            shop,
            coupon["person"],
            by,
            Fen(discount),
            amount,
            reversed_,
        )
        self.hear(tx, told, now)


def _coupon(tx: Tx, code: str, clerk: Clerk) -> Row:
    plain = normalise(code)
    coupon = coupons.by_code(tx, plain) if is_code(plain) else None
    if coupon is None:
        raise Refused("no_such_coupon", 404)
    if not clerk.serves(coupon["merchant"]):
        # The till must be able to say where it can be used (R072); of the customer nothing is told.
        raise Refused("wrong_merchant", 403, merchant=coupon["merchant"])
    return coupon


def _usable(tx: Tx, coupon: Row, bill: Bill, now: datetime) -> None:
    state = coupons.state_at(coupon, now)
    if state == "redeemed":
        redeemed = coupons.as_json(tx, coupon, now)["redeemed"]
        raise Refused("already_redeemed", 409, redeemed=redeemed)
    if state == "expired":
        raise Refused("expired", 410)
    if state != "claimed":
        raise Refused(state, 409)
    if coupon["valid_from"] > to_text(now):
        raise Refused("not_yet_valid", 409)
    if bill.amount_fen is not None and bill.amount_fen < coupon["min_spend_fen"]:
        raise Refused("below_minimum", 409, min_spend_fen=coupon["min_spend_fen"])


def _bounded(clerk: Clerk, fen: int) -> None:
    if clerk.most_fen is not None and fen > clerk.most_fen:
        raise Refused("reauthentication_required", 401, limit_fen=clerk.most_fen)


def _audit(
    tx: Tx, now: datetime, clerk: Clerk, action: str, code: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    audit.record(tx, now, clerk.name, action, code, before=before, after=after, request_id=clerk.request_id)
