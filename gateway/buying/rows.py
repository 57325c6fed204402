"""Purchases and paybacks in the store: every move is one conditional update, so that of parallel movers one wins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, Literal

from crypto.vault import Vault
from gateway.contract.clock import from_text, to_text
from gateway.contract.events import Payer
from gateway.contract.ids import RandomBytes
from gateway.contract.money import Fen
from gateway.contract.store import Row, Tx
from gateway.contract.wallet import Purchase

End = Literal["paid", "closed", "failed", "odd"]
OPEN: Final = frozenset({"new", "announced"})
_NUMBER_BYTES: Final = 14


def new_number(prefix: str, random: RandomBytes) -> str:
    """A number of ours at a platform: 2 letters and 28 hexadecimal digits, which every platform takes (6 to 32)."""
    return prefix + random(_NUMBER_BYTES).hex()


# -- purchases ------------------------------------------------------------------------------------------------------


def keep_purchase(
    tx: Tx, vault: Vault, request: Purchase, *, order: str, channel: str, form: str | None, now: datetime
) -> None:
    """Write down what is about to be announced, exactly as it will be sent."""
    tx.run(
        "INSERT INTO purchases (number, order_id, channel, form, amount_fen, request, state, created_at) "
        "VALUES (:number, :order, :channel, :form, :amount, :request, 'new', :now)",
        {
            "number": request.out_trade_no,
            "order": order,
            "channel": channel,
            "form": form,
            "amount": request.amount_fen,
            "request": _sealed(vault, request),
            "now": to_text(now),
        },
    )


def request_of(vault: Vault, purchase: Row) -> Purchase:
    """What was, or is to be, announced. Only an open purchase has it still."""
    said: Mapping[str, Any] = json.loads(vault.open(bytes(purchase["request"]), _bound_to(purchase["number"])))
    return Purchase(
        out_trade_no=said["out_trade_no"],
        amount_fen=Fen(said["amount_fen"]),
        description=said["description"],
        payer=Payer(**said["payer"]),
        notify_url=said["notify_url"],
        expires_at=from_text(said["expires_at"]),
    )


def purchase(tx: Tx, number: str) -> Row | None:
    """The purchase with this number of ours."""
    return tx.one("SELECT * FROM purchases WHERE number = :number", {"number": number})


def purchase_of_form(tx: Tx, form: str) -> Row | None:
    """The purchase that this page's form made."""
    return tx.one("SELECT * FROM purchases WHERE form = :form", {"form": form})


def purchase_of(tx: Tx, order: str) -> Row | None:
    """The number that counts for an order: the paid one, else the open one, else the latest."""
    return tx.one(
        "SELECT * FROM purchases WHERE order_id = :order ORDER BY CASE WHEN state = 'paid' THEN 0 "
        "WHEN state IN ('new', 'announced') THEN 1 ELSE 2 END, created_at DESC, number DESC LIMIT 1",
        {"order": order},
    )


def paid_purchase(tx: Tx, order: str) -> Row | None:
    """The number under which the order was paid; the first, should it have been paid twice."""
    return tx.one(
        "SELECT * FROM purchases WHERE order_id = :order AND state = 'paid' ORDER BY settled_at, number LIMIT 1",
        {"order": order},
    )


def announced(tx: Tx, number: str, handle: str) -> None:
    """The platform has taken it, and calls it `handle`."""
    tx.run(
        "UPDATE purchases SET state = 'announced', handle = :handle WHERE number = :number AND state = 'new'",
        {"number": number, "handle": handle},
    )


def finish(
    tx: Tx, number: str, state: End, now: datetime, *, transaction_id: str | None = None, reason: str | None = None
) -> bool:
    """Move a purchase to its end; False when it is there already. A payment overrules every other end but itself."""
    beaten = "state <> 'paid'" if state == "paid" else "state IN ('new', 'announced')"
    return bool(
        tx.run(
            "UPDATE purchases SET state = :state, settled_at = :now, transaction_id = :transaction, reason = :reason, "
            f"request = NULL WHERE number = :number AND {beaten}",
            {
                "number": number,
                "state": state,
                "now": to_text(now),
                "transaction": transaction_id,
                "reason": reason,
            },
        )
    )


def next_look(tx: Tx, table: Literal["purchases", "paybacks"], number: str, asked: int) -> bool:
    """Whether the look with this count is the one that goes on; a row of the outbox that was done twice loses."""
    return bool(
        tx.run(
            f"UPDATE {table} SET asked = :next WHERE number = :number AND asked = :asked",
            {"number": number, "asked": asked, "next": asked + 1},
        )
    )


def open_orders(tx: Tx, marks: str, params: Mapping[str, Any], now: datetime) -> list[Row]:
    """A person's orders that hold stock and await money, the one that ends first before the others."""
    return tx.all(
        f"SELECT * FROM orders WHERE person IN ({marks}) AND state = 'created' AND expires_at > :now "
        "ORDER BY expires_at, id",
        {**params, "now": to_text(now)},
    )


# -- paybacks -------------------------------------------------------------------------------------------------------


def keep_payback(tx: Tx, number: str, bought: Row, cause: str, fen: int, now: datetime) -> bool:
    """Write down a refund before it is first sent; False when this purchase has one for this cause."""
    return bool(
        tx.run(
            "INSERT INTO paybacks (number, purchase, order_id, cause, fen, state, created_at) "
            "VALUES (:number, :purchase, :order, :cause, :fen, 'new', :now) "
            "ON CONFLICT (purchase, cause) WHERE state <> 'closed' DO NOTHING",
            {
                "number": number,
                "purchase": bought["number"],
                "order": bought["order_id"],
                "cause": cause,
                "fen": fen,
                "now": to_text(now),
            },
        )
    )


def payback(tx: Tx, number: str) -> Row | None:
    """The refund with this number of ours."""
    return tx.one("SELECT * FROM paybacks WHERE number = :number", {"number": number})


def paybacks_of(tx: Tx, order: str) -> list[Row]:
    """An order's refunds, oldest first."""
    return tx.all("SELECT * FROM paybacks WHERE order_id = :order ORDER BY created_at, number", {"order": order})


def tries_of(tx: Tx, payback_: Row) -> int:
    """How many numbers this refund has used up, its own included."""
    row = tx.one(
        "SELECT count(*) AS n FROM paybacks WHERE purchase = :purchase AND cause = :cause",
        {"purchase": payback_["purchase"], "cause": payback_["cause"]},
    )
    return int(row["n"]) if row is not None else 0


def pending(tx: Tx, number: str) -> None:
    """The platform has accepted the refund."""
    tx.run("UPDATE paybacks SET state = 'pending' WHERE number = :number AND state = 'new'", {"number": number})


def settle_payback(
    tx: Tx, number: str, state: Literal["done", "closed", "abnormal"], now: datetime, reason: str | None = None
) -> bool:
    """Move a refund to its end; False when it is there already."""
    return bool(
        tx.run(
            "UPDATE paybacks SET state = :state, settled_at = :now, reason = :reason "
            "WHERE number = :number AND state IN ('new', 'pending', 'abnormal') AND state <> :state",
            {"number": number, "state": state, "now": to_text(now), "reason": reason},
        )
    )


def note_declined(tx: Tx, number: str, reason: str) -> None:
    """The platform says no for now; the same number will be sent again."""
    tx.run("UPDATE paybacks SET reason = :reason WHERE number = :number", {"number": number, "reason": reason})


def _sealed(vault: Vault, request: Purchase) -> bytes:
    said = {**asdict(request), "expires_at": to_text(request.expires_at)}
    return vault.seal(json.dumps(said, sort_keys=True).encode(), _bound_to(request.out_trade_no))


def _bound_to(number: str) -> bytes:
    return f"purchases.request:{number}".encode()
