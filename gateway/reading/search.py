"""Finding payments for a person who looks: by filters, page by page, or by a number that he was given.

A page costs the same however many payments there are: every step begins at an id and looks at a bounded number of
rows. Filters that fit few payments may therefore give a short page with a way on; nothing is skipped.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from gateway.contract.ids import floor_id
from gateway.contract.jsontext import json_text
from gateway.contract.store import Row, Tx
from gateway.reading.links import in_list

PAGE: Final = 50
LOOK_AT: Final = 20_000
"""About so many rows are looked at for one page, shared out among the merchants in scope."""

State = Literal["gift", "first", "below", "nothing", "opted_out", "untaggable", "limit", "budget", "refunded", "other"]
"""What a payment came to, in one word: the word of its row."""


def _decided(outcome: str, reason: str, rule: str) -> str:
    return f"%{json_text({'outcome': outcome, 'reason': reason, 'rule': rule})}%"


_OF_STATE: Final[Mapping[str, Sequence[str]]] = {
    "gift": (_decided("done", "issued", "payer_link"),),
    "first": (_decided("done", "first_payment", "tag"),),
    "below": (_decided("skipped", "below_minimum", "tag"),),
    "nothing": (_decided("refused", "no_inventory", "payer_link"),),
    "opted_out": (_decided("skipped", "opted_out", "tag"),),
    "untaggable": (_decided("skipped", "untaggable", "tag"),),
    "limit": tuple(_decided("refused", word, "payer_link") for word in ("limit_day", "limit_week", "limit_total")),
    "budget": (_decided("refused", "budget", "payer_link"),),
    "refunded": (_decided("refused", "refunded", "payer_link"), _decided("skipped", "refunded", "tag")),
}
STATES: Final = (*_OF_STATE, "duplicate")
"""What can be asked for. `duplicate`: the platform told it more than once, whatever it came to."""


def state_of(decisions: Sequence[Mapping[str, str]]) -> State:
    """Pure: the one word for what was decided. What came last in a payment's life goes first."""
    said = {(one["rule"], one["outcome"], one["reason"]) for one in decisions}
    reasons = {reason for rule, outcome, reason in said if rule == "payer_link" and outcome == "refused"}
    tag = {reason for rule, _, reason in said if rule == "tag"}
    if "refunded" in reasons | tag:
        return "refunded"
    if ("payer_link", "done", "issued") in said:
        return "gift"
    for reason, word in _REFUSALS.items():
        if reason in reasons:
            return word
    for reason, word in _STANDINGS.items():
        if reason in tag:
            return word
    return "other"


_REFUSALS: Final[Mapping[str, State]] = {
    "limit_day": "limit",
    "limit_week": "limit",
    "limit_total": "limit",
    "no_inventory": "nothing",
    "budget": "budget",
}
_STANDINGS: Final[Mapping[str, State]] = {
    "opted_out": "opted_out",
    "untaggable": "untaggable",
    "below_minimum": "below",
    "first_payment": "first",
}


@dataclass(frozen=True, slots=True)
class Filters:
    """What a payment has to fit; None and "" mean anything. `until` is the first moment that is too late."""

    since: datetime | None = None
    until: datetime | None = None
    shop: str = ""
    merchant: str = ""
    provider: str = ""
    state: str = ""
    reason: str = ""
    at_least_fen: int | None = None
    at_most_fen: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One page, newest first; where to go on to older ones and to newer ones ("" at an end)."""

    rows: Sequence[Row]
    older: str
    newer: str


def page(tx: Tx, merchants: Collection[str] | None, filters: Filters, *, before: str = "", after: str = "") -> Found:
    """A page of payments at these merchants (None: all), older than `before` or newer than `after`, newest first."""
    ids, stopped_at = _ids(tx, merchants, filters, before=before, after=after, most=PAGE + 1)
    more = len(ids) > PAGE
    ids = ids[:PAGE]
    # Where the look stopped at its bound, the next page goes on from there, even from an empty one.
    edge = ids[-1] if more else stopped_at
    rows = _rows(tx, ids)
    if after:
        return Found(rows, older=ids[0] if ids else after, newer=edge)
    return Found(rows, older=edge, newer=(ids[0] if ids else before) if before else "")


def newer_than(tx: Tx, merchants: Collection[str] | None, filters: Filters, newest: str, most: int) -> int:
    """How many payments that fit came after `newest`, counted up to `most`."""
    ids, _ = _ids(tx, merchants, filters, before="", after=newest, most=most)
    return min(len(ids), most)


def by_number(tx: Tx, merchants: Collection[str] | None, text: str, code: str) -> list[Row]:
    """Payments with this number of the platform or of the shop, or that gave or met the coupon `code`; newest first."""
    ids = {
        str(row["id"])
        for row in tx.all(
            "SELECT id FROM payments WHERE transaction_id = :text UNION SELECT id FROM payments "
            "WHERE out_trade_no = :text UNION SELECT payment FROM coupons WHERE code = :code AND payment IS NOT NULL "
            "UNION SELECT payment FROM redemptions WHERE coupon = :code AND payment IS NOT NULL",
            {"text": text, "code": code},
        )
    }
    rows = _rows(tx, sorted(ids, reverse=True)[:PAGE])
    return [row for row in rows if merchants is None or row["merchant"] in merchants]


def times_told(tx: Tx, payments: Sequence[str]) -> dict[str, int]:
    """How often the platform told each payment."""
    if not payments:
        return {}
    marks, params = in_list(payments)
    rows = tx.all(
        f"SELECT payment, count(*) AS n FROM deliveries WHERE payment IN ({marks}) "
        "AND outcome IN ('processed', 'seen') GROUP BY payment",
        params,
    )
    return {row["payment"]: int(row["n"]) for row in rows}


def _rows(tx: Tx, ids: Sequence[str]) -> list[Row]:
    if not ids:
        return []
    marks, params = in_list(ids)
    return tx.all(
        "SELECT y.*, coalesce(p.merged_into, y.person) AS payer FROM payments y "
        f"LEFT JOIN persons p ON p.id = y.person WHERE y.id IN ({marks}) ORDER BY y.id DESC",
        params,
    )


def _ids(
    tx: Tx, merchants: Collection[str] | None, filters: Filters, *, before: str, after: str, most: int
) -> tuple[list[str], str]:
    """(ids that fit, from where the look begins; where a look stopped at its bound, else "")."""
    if filters.merchant:
        merchants = [filters.merchant] if merchants is None or filters.merchant in merchants else []
    lists, stops = [], []
    look = max(LOOK_AT // max(len(merchants or ()), 1), 1)
    for merchant in [None] if merchants is None else sorted(merchants):
        found, stop = _of_one(tx, merchant, filters, before=before, after=after, most=most, look=look)
        lists.append(found)
        stops.append(stop)
    ids = list(heapq.merge(*lists, reverse=not after))
    bounded = [stop for stop in stops if stop]
    if not bounded:
        return ids[:most], ""
    # Beyond the nearest bound another merchant's rows may be missing: they are left to the next page.
    edge = min(bounded) if after else max(bounded)
    near = [id_ for id_ in ids if (id_ <= edge if after else id_ >= edge)]
    return near[:most], edge


def _of_one(
    tx: Tx, merchant: str | None, filters: Filters, *, before: str, after: str, most: int, look: int
) -> tuple[list[str], str]:
    """One merchant's ids that fit, and the id at which the look stopped when it reached its bound."""
    where, params = _range(merchant, filters, before=before, after=after)
    fits, more = _fits(filters)
    way = "ASC" if after else "DESC"
    if not fits:
        rows = tx.all(f"SELECT id FROM payments WHERE {where} ORDER BY id {way} LIMIT :most", {**params, "most": most})
        return [str(row["id"]) for row in rows], ""
    looked = (
        f"SELECT id, shop, provider, amount_fen, decisions FROM payments WHERE {where} ORDER BY id {way} LIMIT :look"
    )
    rows = tx.all(
        f"SELECT id FROM ({looked}) AS p WHERE {' AND '.join(fits)} ORDER BY id {way} LIMIT :most",
        {**params, **more, "most": most, "look": look},
    )
    ids = [str(row["id"]) for row in rows]
    if len(ids) >= most:
        return ids, ""
    edge = "max" if after else "min"
    last = tx.one(
        f"SELECT {edge}(id) AS id, count(*) AS n FROM "
        f"(SELECT id FROM payments WHERE {where} ORDER BY id {way} LIMIT :look) AS p",
        {**params, "look": look},
    )
    return ids, str(last["id"]) if last is not None and last["n"] == look else ""


def _range(merchant: str | None, filters: Filters, *, before: str, after: str) -> tuple[str, dict[str, Any]]:
    """Where the look begins and ends: on the primary key, or on the index of a merchant's payments."""
    where, params = ["id > :low", "id < :high"], {"low": "pay_", "high": "pay_g"}
    if merchant is not None:
        where.append("merchant = :merchant")
        params["merchant"] = merchant
    if filters.since is not None:
        params["low"] = floor_id("pay", filters.since)
    if filters.until is not None:
        params["high"] = floor_id("pay", filters.until)
    if before:
        params["high"] = min(params["high"], before)
    if after:
        params["low"] = max(params["low"], after)
    return " AND ".join(where), params


def _fits(filters: Filters) -> tuple[list[str], dict[str, Any]]:
    fits: list[str] = []
    params: dict[str, Any] = {}
    for name, sign, value in (
        ("shop", "=", filters.shop or None),
        ("provider", "=", filters.provider or None),
        ("amount_fen", ">=", filters.at_least_fen),
        ("amount_fen", "<=", filters.at_most_fen),
    ):
        if value is not None:
            key = f"f{len(params)}"
            fits.append(f"p.{name} {sign} :{key}")
            params[key] = value
    if filters.state == "duplicate":
        fits.append("EXISTS (SELECT 1 FROM deliveries d WHERE d.payment = p.id AND d.outcome = 'seen')")
    elif filters.state:
        fits.append(_any_of(_OF_STATE.get(filters.state, ("",)), params))
        if filters.state != "refunded":
            fits.append(f"NOT {_any_of(_OF_STATE['refunded'], params)}")
        if filters.state == "first":
            # A welcome gift is called a gift.
            fits.append(f"NOT {_any_of(_OF_STATE['gift'], params)}")
            fits.append(f"NOT {_any_of([*_OF_STATE['nothing'], *_OF_STATE['limit'], *_OF_STATE['budget']], params)}")
    if filters.reason:
        fits.append(_any_of((f'%"reason":"{filters.reason}"%',), params))
    return fits, params


def _any_of(patterns: Sequence[str], params: dict[str, Any]) -> str:
    names = []
    for pattern in patterns:
        key = f"f{len(params)}"
        params[key] = pattern
        names.append(f"p.decisions LIKE :{key}")
    return f"({' OR '.join(names)})"
