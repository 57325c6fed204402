"""What became of each link on each way: shown or failed is written down, queued or expired follows from the clock.

Nothing is written when a payment comes in: a way that nobody has tried yet is `queued` as long as it can still be
taken, and `expired` after that.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from gateway.contract.clock import from_text, to_text
from gateway.contract.ids import floor_id
from gateway.contract.store import Row, Tx
from gateway.delivery.ways import WAYS, Modes, Name, Way, modes

State = Literal["queued", "shown", "failed", "expired"]
Error = Literal["two_at_once", "too_late"]
"""Why a way failed: two payments so close that the screen could have shown a customer another's code; the page asked
before the platform had told us of the payment, and was gone by then."""

_OPEN: Final = frozenset({"issued", "opened"})


@dataclass(frozen=True, slots=True)
class Reach:
    """One link on one way. `at`: when it was shown first or failed last, "" for neither."""

    link: str
    way: Name
    state: State
    at: str = ""
    times: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """One way's links of a time: of `sent` ones for which it applied, how many are in each state; the last error."""

    way: Name
    queued: int = 0
    shown: int = 0
    failed: int = 0
    expired: int = 0
    last_error: str = ""
    last_error_at: str = ""

    @property
    def sent(self) -> int:
        """All for which the way applied."""
        return self.queued + self.shown + self.failed + self.expired


def note_shown(tx: Tx, now: datetime, link: str, way: Name, merchant: str) -> None:
    """The link was put before the payer's eyes; the first time and the last one are kept."""
    tx.run(
        "INSERT INTO showings (link, way, merchant, state, first_at, last_at, times) "
        "VALUES (:link, :way, :merchant, 'shown', :now, :now, 1) ON CONFLICT (link, way) DO UPDATE SET "
        "first_at = CASE WHEN showings.state = 'shown' THEN showings.first_at ELSE :now END, "
        "state = 'shown', last_at = :now, times = showings.times + 1, error = NULL",
        {"link": link, "way": way, "merchant": merchant, "now": to_text(now)},
    )


def note_failed(tx: Tx, now: datetime, link: str, way: Name, merchant: str, error: Error) -> None:
    """The way could not show it. What was shown before or is shown later counts as shown."""
    tx.run(
        "INSERT INTO showings (link, way, merchant, state, first_at, last_at, times, error) "
        "VALUES (:link, :way, :merchant, 'failed', :now, :now, 0, :error) ON CONFLICT (link, way) DO UPDATE SET "
        "last_at = :now, error = :error WHERE showings.state = 'failed'",
        {"link": link, "way": way, "merchant": merchant, "now": to_text(now), "error": error},
    )


def of_payment(tx: Tx, payment: str, now: datetime) -> list[Reach]:
    """How the payer's own link of a payment fares on each way that applies, in the order of the ways."""
    link = tx.one(f"{_LINKS} WHERE l.payment = :payment AND l.purpose = 'payer'", {"payment": payment})
    if link is None:
        return []
    switches = modes(tx, [link["merchant"]])
    noted = {row["way"]: row for row in tx.all("SELECT * FROM showings WHERE link = :link", {"link": link["id"]})}
    found = []
    for way in WAYS:
        row = noted.get(way.name)
        if row is not None:
            at = row["first_at"] if row["state"] == "shown" else row["last_at"]
            found.append(Reach(link["id"], way.name, row["state"], at, row["times"], row["error"] or ""))
        elif _applies(way, link, switches):
            found.append(Reach(link["id"], way.name, _untried(way, link, now)))
    return found


def figures(tx: Tx, merchants: Collection[str] | None, since: datetime, now: datetime) -> list[Figures]:
    """Each way's figures for the links that payments since then gave at these merchants, None for all."""
    switches = modes(tx)
    return [_figures(tx, way, switches, merchants, since, now) for way in WAYS]


_LINKS: Final = (
    "SELECT l.id, l.merchant, l.shop, l.state, l.created_at, l.expires_at, p.sub_mch_id "
    "FROM links l LEFT JOIN payments p ON p.id = l.payment"
)
_COUNTED: Final = (
    "SELECT l.merchant, s.state, CASE WHEN p.sub_mch_id IS NULL THEN 0 ELSE 1 END AS by_partner, "
    "CASE WHEN l.shop IS NULL THEN 0 ELSE 1 END AS has_shop, "
    "CASE WHEN l.state IN ('issued', 'opened') AND l.expires_at > :now AND l.created_at > :open_since "
    "THEN 1 ELSE 0 END AS is_open, count(*) AS n FROM links l LEFT JOIN payments p ON p.id = l.payment "
    "LEFT JOIN showings s ON s.link = l.id AND s.way = :way "
    "WHERE l.id >= :since AND l.purpose = 'payer' GROUP BY 1, 2, 3, 4, 5"
)


def _figures(
    tx: Tx, way: Way, switches: Modes, merchants: Collection[str] | None, since: datetime, now: datetime
) -> Figures:
    counted = {"queued": 0, "shown": 0, "failed": 0, "expired": 0}
    rows = tx.all(
        _COUNTED,
        {
            "way": way.name,
            "since": floor_id("l", since),
            "now": to_text(now),
            "open_since": to_text(now - way.open_for) if way.open_for is not None else "",
        },
    )
    for row in rows:
        if merchants is not None and row["merchant"] not in merchants:
            continue
        mode = switches.of(row["merchant"], way.name)
        if row["state"] is not None:
            counted[row["state"]] += row["n"]
        elif way.applies(by_partner=bool(row["by_partner"]), has_shop=bool(row["has_shop"]), mode=mode):
            counted["queued" if row["is_open"] else "expired"] += row["n"]
    made = Figures(way.name, counted["queued"], counted["shown"], counted["failed"], counted["expired"])
    last = _last_error(tx, way, merchants, since) if made.failed else None
    return made if last is None else replace(made, last_error=last["error"], last_error_at=last["last_at"])


def _last_error(tx: Tx, way: Way, merchants: Collection[str] | None, since: datetime) -> Row | None:
    rows = tx.all(
        "SELECT merchant, error, last_at FROM showings "
        "WHERE last_at >= :since AND way = :way AND state = 'failed' ORDER BY last_at DESC LIMIT 1000",
        {"since": to_text(since), "way": way.name},
    )
    return next((row for row in rows if merchants is None or row["merchant"] in merchants), None)


def _applies(way: Way, link: Row, switches: Modes) -> bool:
    return way.applies(
        by_partner=link["sub_mch_id"] is not None,
        has_shop=link["shop"] is not None,
        mode=switches.of(link["merchant"], way.name),
    )


def _untried(way: Way, link: Row, now: datetime) -> State:
    if link["state"] not in _OPEN or link["expires_at"] <= to_text(now):
        return "expired"
    over = way.open_for is not None and from_text(link["created_at"]) + way.open_for <= now
    return "expired" if over else "queued"
