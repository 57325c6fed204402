"""What a customer holds (R037): gifts to claim, coupons to use, and what is over, a page at a time.

A page is cut where the last one ended, by time and place, so that what comes in meanwhile moves no rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from gateway.contract.clock import to_text
from gateway.contract.store import Row, Tx
from gateway.people import Person, in_group

Tab = Literal["claim", "use", "past"]
PAGE: Final = 50

_OPEN: Final = (
    "SELECT links.*, expires_at AS sort_at, id AS place FROM links "
    "WHERE person IN ({marks}) AND state IN ('issued', 'opened') AND expires_at > :now"
)
# `gift` names the hand-over of a coupon that its former owner gave away; else it is empty.
_USABLE: Final = (
    "SELECT coupons.*, '' AS gift, '' AS given_at, valid_to AS sort_at, "
    "origin || '.' || item || '.' || CAST(unit AS TEXT) AS place FROM coupons "
    "WHERE person IN ({marks}) AND state IN ('claimed', 'reserved') AND valid_to > :now"
)
_PAST: Final = (
    "SELECT c.*, '' AS gift, '' AS given_at, "
    "coalesce(r.at, CASE WHEN c.state IN ('claimed', 'reserved') THEN c.valid_to ELSE c.closed_at END, c.valid_to) "
    "AS sort_at, c.origin || '.' || c.item || '.' || CAST(c.unit AS TEXT) AS place "
    "FROM coupons c LEFT JOIN redemptions r ON r.coupon = c.code AND r.reversed_at IS NULL "
    "WHERE c.person IN ({marks}) AND (c.state NOT IN ('claimed', 'reserved') OR c.valid_to <= :now) "
    "UNION ALL SELECT c.*, h.id AS gift, h.closed_at AS given_at, h.closed_at AS sort_at, h.id AS place "
    "FROM handovers h JOIN coupons c ON c.code = h.coupon WHERE h.giver IN ({marks}) AND h.state = 'taken'"
)
_SELECT: Final[Mapping[Tab, str]] = {"claim": _OPEN, "use": _USABLE, "past": _PAST}


@dataclass(frozen=True, slots=True)
class Slice:
    """One page: rows of `links` or `coupons`, and the cursors of its neighbours, "" where there is none."""

    rows: tuple[Row, ...]
    earlier: str = ""
    later: str = ""


def counts(tx: Tx, who: Person, now: datetime) -> dict[Tab, int]:
    """How many gifts wait and how many coupons can be used; what is over is not counted."""
    params = _params(who, now)
    found: dict[Tab, int] = {}
    for tab in ("claim", "use"):
        row = tx.one(f"SELECT count(*) AS n FROM ({_sql(tab, who)}) held", params)
        found[tab] = int(row["n"]) if row is not None else 0
    return found


def page(tx: Tx, who: Person, tab: Tab, now: datetime, *, after: str = "", before: str = "") -> Slice:
    """One page of a tab: what ends first comes first, and of what is over the newest.

    `after` and `before` are cursors that another page gave; a text that is none is a place like any other.
    """
    newest_first = tab == "past"
    backwards = bool(before) and not after
    cursor = after or before
    descending = newest_first != backwards
    params: dict[str, str | int] = {**_params(who, now), "most": PAGE + 1}
    where = ""
    if cursor:
        params["at"], _, params["place"] = cursor.partition("~")
        where = f"WHERE (sort_at, place) {'<' if descending else '>'} (:at, :place)"
    way = "DESC" if descending else "ASC"
    rows = tx.all(
        f"SELECT * FROM ({_sql(tab, who)}) held {where} ORDER BY sort_at {way}, place {way} LIMIT :most", params
    )
    more, rows = len(rows) > PAGE, rows[:PAGE]
    if backwards:
        rows.reverse()
    if not rows:
        return Slice(())
    first, last = _cursor(rows[0]), _cursor(rows[-1])
    return Slice(
        tuple(rows),
        earlier=first if (more if backwards else bool(cursor)) else "",
        later=last if (backwards or more) else "",
    )


def is_tab(text: str) -> bool:
    """Whether this names a tab."""
    return text in _SELECT


def _sql(tab: Tab, who: Person) -> str:
    return _SELECT[tab].replace("{marks}", in_group(who)[0])


def _params(who: Person, now: datetime) -> dict[str, str | int]:
    return {**in_group(who)[1], "now": to_text(now)}


def _cursor(row: Row) -> str:
    return f"{row['sort_at']}~{row['place']}"
