"""What the store tells of the days to try a draft on: payments and refunds in their order, and who the payers were."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.contract.campaign import PaymentReceived, RefundReceived, Tag
from gateway.contract.clock import from_text, to_text
from gateway.contract.ids import floor_id
from gateway.contract.money import Fen
from gateway.contract.store import Row, Store, Tx
from gateway.refunds import remainder

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened: what a campaign is told of it, when, and the payer's rows as they were then."""

    at: datetime
    event: PaymentReceived | RefundReceived
    people: Sequence[Mapping[str, Any]]
    tags: Sequence[Mapping[str, Any]]
    suppressions: Sequence[Mapping[str, Any]]


def count(tx: Tx, circle: str, begin: datetime, end: datetime) -> int:
    """How many payments there were."""
    row = tx.one(
        "SELECT count(*) AS n FROM payments WHERE id >= :begin AND id < :end AND circle = :circle",
        _window(circle, begin, end),
    )
    return int(row["n"]) if row is not None else 0


def verdicts(store: Store, campaign: str, circle: str, begin: datetime, end: datetime) -> dict[str, int]:
    """`outcome:reason` → how often the campaign really decided so about the payments of those days."""
    found: dict[str, int] = {}
    for rows in _pages(store, circle, begin, end):
        for row in rows:
            for one in json.loads(row["decisions"]):
                if one["rule"] == f"campaign:{campaign}":
                    key = f"{one['outcome']}:{one['reason']}"
                    found[key] = found.get(key, 0) + 1
    return found


def happenings(store: Store, circle: str, least_fen: int, begin: datetime, end: datetime) -> Iterator[Happening]:
    """The payments of a circle, and the refunds of them that were told in those days, in their order.

    A refund that was told before its payment is part of what is left of it, as in the line. `least_fen` is the circle's
    minimum, below which a payment's gifts are withdrawn.
    """
    waiting: list[tuple[str, str, Happening]] = []
    for rows in _pages(store, circle, begin, end):
        refunds, known = store.read(_around(circle, rows))
        last = rows[-1]["received_at"]
        for row in rows:
            told = refunds.get(row["id"], [])
            waiting.append((row["received_at"], row["id"], _payment(row, told, known)))
            waiting += _refunds_of(row, told, least_fen, end, known)
        waiting.sort(key=lambda one: one[:2])
        # A refund that came after the page's last payment waits for those of the next page.
        ready = [one for one in waiting if one[0] <= last]
        waiting = waiting[len(ready) :]
        for _, _, happening in ready:
            yield happening
    for _, _, happening in waiting:
        yield happening


def _around(circle: str, rows: Sequence[Row]) -> Callable[[Tx], tuple[dict[str, list[Row]], _Known]]:
    return lambda tx: (_refunds(tx, rows), _Known(tx, circle, rows))


def _payment(row: Row, told: Sequence[Row], known: _Known) -> Happening:
    left = row["amount_fen"]
    for refund in told:
        if refund["received_at"] < row["received_at"]:
            left = remainder(row["amount_fen"], row["amount_fen"] - left, refund["refund_fen"], None).left_fen
    source = json.loads(row["tag_source"]) if row["tag_source"] and row["tag_before"] == "tagged" else {}
    tag = Tag(row["tag_before"], source.get("type", ""), source.get("id", ""), source.get("mode", ""))
    event = PaymentReceived(
        row["id"],
        row["provider"],
        row["transaction_id"],
        row["circle"],
        row["merchant"],
        row["shop"],
        row["person"],
        tag,
        Fen(row["amount_fen"]),
        Fen(max(left, 0)),
        from_text(row["paid_at"]),
    )
    return known.happening(row["received_at"], event, row["person"], row["id"])


def _refunds_of(
    row: Row, told: Sequence[Row], least_fen: int, end: datetime, known: _Known
) -> list[tuple[str, str, Happening]]:
    found = []
    refunded = 0
    for refund in told:
        rest = remainder(row["amount_fen"], refunded, refund["refund_fen"], refund["refunded_total_fen"])
        if rest.excess:
            continue
        refunded = rest.refunded_fen
        if refund["received_at"] >= to_text(end):
            continue
        event = RefundReceived(
            row["id"],
            refund["id"],
            row["circle"],
            row["merchant"],
            row["person"],
            Fen(refund["refund_fen"]),
            Fen(rest.left_fen),
            rest.left_fen < max(least_fen, 1),
        )
        at = max(refund["received_at"], row["received_at"])
        # Behind its payment, also where both came in the same moment.
        found.append((at, f"{row['id']}~{refund['id']}", known.happening(at, event, row["person"], row["id"])))
    return found


def _pages(store: Store, circle: str, begin: datetime, end: datetime) -> Iterator[list[Row]]:
    window = _window(circle, begin, end)
    while rows := store.read(_page(window)):
        yield rows
        window = {**window, "begin": rows[-1]["id"] + "~"}


def _page(window: Mapping[str, Any]) -> Callable[[Tx], list[Row]]:
    return lambda tx: tx.all(
        "SELECT id, provider, transaction_id, circle, merchant, shop, amount_fen, paid_at, received_at, person, "
        "tag_before, tag_source, decisions FROM payments "
        "WHERE id >= :begin AND id < :end AND circle = :circle ORDER BY id LIMIT :most",
        {**window, "most": _PAGE},
    )


def _window(circle: str, begin: datetime, end: datetime) -> dict[str, Any]:
    return {"circle": circle, "begin": floor_id("pay", begin), "end": floor_id("pay", end)}


def _refunds(tx: Tx, payments: Sequence[Row]) -> dict[str, list[Row]]:
    marks, params = _named([row["id"] for row in payments])
    found: dict[str, list[Row]] = {}
    for row in tx.all(
        "SELECT id, payment, refund_fen, refunded_total_fen, received_at FROM refunds "
        f"WHERE payment IN ({marks}) AND state = 'applied' ORDER BY received_at, id",
        params,
    ):
        found.setdefault(row["payment"], []).append(row)
    return found


class _Known:
    """Who the payers of some payments were: persons with all ids merged into them, their tags, their opt-outs."""

    def __init__(self, tx: Tx, circle: str, payments: Sequence[Row]) -> None:
        marks, params = _named(sorted({row["person"] for row in payments if row["person"]}))
        group = f"SELECT coalesce(merged_into, id) FROM persons WHERE id IN ({marks})"
        self._people: dict[str, list[Row]] = {}
        self._winner: dict[str, str] = {}
        self._tags: dict[str, list[Row]] = {}
        self._suppressions: dict[str, list[Row]] = {}
        if not params:
            return
        for row in tx.all(f"SELECT * FROM persons WHERE coalesce(merged_into, id) IN ({group})", params):
            winner = row["merged_into"] or row["id"]
            self._winner[row["id"]] = winner
            self._people.setdefault(winner, []).append(row)
        members = f"SELECT id FROM persons WHERE coalesce(merged_into, id) IN ({group})"
        values = {**params, "circle": circle}
        for row in tx.all(f"SELECT * FROM tags WHERE circle = :circle AND person IN ({members})", values):
            self._tags.setdefault(self._winner[row["person"]], []).append(row)
        for row in tx.all(f"SELECT * FROM suppressions WHERE circle = :circle AND person IN ({members})", values):
            self._suppressions.setdefault(self._winner[row["person"]], []).append(row)

    def happening(
        self, at: str, event: PaymentReceived | RefundReceived, person: str | None, payment: str
    ) -> Happening:
        """The event with the payer's rows as they were at that moment."""
        who = self._winner.get(person or "", "")
        # Of one id the youngest: an older one had run out, though nobody had closed it yet.
        tags = {
            row["person"]: {**_plain(row), "state": "active", "closed_at": None, "closed_reason": None}
            for row in sorted(self._tags.get(who, ()), key=lambda row: row["created_at"])
            # The tag that the payment itself made is told by its origin: it is a moment younger.
            if (row["created_at"] <= at or row["origin"] == payment)
            and (row["closed_at"] is None or row["closed_at"] > at)
        }
        return Happening(
            from_text(at),
            event,
            [_plain(row) for row in self._people.get(who, ())],
            list(tags.values()),
            [_plain(row) for row in self._suppressions.get(who, ()) if row["since"] <= at],
        )


def _plain(row: Row) -> dict[str, Any]:
    names: list[str] = list(row.keys())
    return {name: row[name] for name in names}


def _named(values: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """`(":v0, :v1", {"v0": …})`, to write `IN (…)`; of nothing, an IN that holds nothing."""
    params: dict[str, Any] = {f"v{place}": value for place, value in enumerate(values)}
    return ", ".join(f":{name}" for name in params) or "NULL", params
