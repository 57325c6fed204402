"""What a shop's second screen shows (R260): the newest gift for a minute, what its clerk picked, or a welcome.

`decide` is the whole rule, pure; the rest reads and writes what it needs. A code is on the screen only as long as this
very moment says so: what was shown a moment ago counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Literal

from gateway.catalog.directory import Directory
from gateway.catalog.specs import Shop
from gateway.contract.clock import from_text, to_text
from gateway.contract.ids import floor_id
from gateway.contract.store import Row, Tx
from gateway.delivery.ways import BY_NAME, modes

SHOWN_FOR: Final = BY_NAME["till"].open_for or timedelta()
APART: Final = timedelta(seconds=10)
"""Two gifts closer than this are for two people who stand there together: which code is whose, only the clerk knows."""

LATE: Final = timedelta(minutes=5)
"""A payment told later than this: its payer has left, and another would see the code."""

CONNECTED_FOR: Final = timedelta(seconds=45)
SHOP_CODE: Final = "shop"

State = Literal["idle", "link", "opened", "choose", "shop", "gone"]


@dataclass(frozen=True, slots=True)
class Gift:
    """A payer's link as the screen sees it."""

    link: str
    key_id: str
    merchant: str
    person: str
    state: str
    issued_at: datetime
    expires_at: datetime
    amount_fen: int
    paid_at: datetime | None

    def is_open(self, now: datetime) -> bool:
        """Whether it can still be claimed."""
        return self.state in {"issued", "opened"} and self.expires_at > now


@dataclass(frozen=True, slots=True)
class Till:
    """What the clerk told the screen. `pick`: a link's id, SHOP_CODE, or "" for nothing."""

    auto: bool = True
    pick: str = ""
    picked_at: datetime | None = None
    hidden_at: datetime | None = None
    seen_at: datetime | None = None

    def is_connected(self, now: datetime) -> bool:
        """Whether a screen of the shop has asked a moment ago."""
        return self.seen_at is not None and self.seen_at + CONNECTED_FOR > now


@dataclass(frozen=True, slots=True)
class Showing:
    """What the screen shows, and until when."""

    state: State
    gift: Gift | None = None
    until: datetime | None = None
    rivals: tuple[Gift, ...] = ()

    @property
    def tag(self) -> str:
        """A short text that differs for two showings that look different."""
        link = self.gift.link if self.gift is not None else ""
        until = to_text(self.until) if self.until is not None else ""
        return sha256(f"{self.state} {link} {until}".encode()).hexdigest()[:16]


IDLE: Final = Showing("idle")


def decide(till: Till, gifts: Sequence[Gift], picked: Gift | None, now: datetime) -> Showing:
    """What to show at `now`; `gifts` are those of the last minute, `picked` the one that the clerk picked, if any."""
    chosen = _chosen(till, picked, now)
    fresh = sorted((gift for gift in gifts if _counts(gift, till, now)), key=lambda gift: gift.link, reverse=True)
    if not till.auto or not fresh:
        return chosen or IDLE
    newest = fresh[0]
    if chosen is not None:
        assert till.picked_at is not None  # or nothing would be chosen
        if newest.link == till.pick or newest.issued_at < till.picked_at + APART:
            return chosen
    # One who opened his on the phone has no need of the screen, so he is nobody's rival.
    rivals = tuple(
        gift
        for gift in fresh
        if gift.state == "issued" and gift.person != newest.person and newest.issued_at - gift.issued_at < APART
    )
    if newest.state == "opened":
        return Showing("opened", newest, newest.issued_at + SHOWN_FOR)
    if rivals:
        return Showing("choose", None, newest.issued_at + SHOWN_FOR, (newest, *rivals))
    return Showing("link", newest, newest.issued_at + SHOWN_FOR)


def _chosen(till: Till, picked: Gift | None, now: datetime) -> Showing | None:
    """What the clerk picked, while it lasts."""
    if not till.pick or till.picked_at is None or not _is_fresh(till.picked_at, now):
        return None
    if till.hidden_at is not None and till.hidden_at >= till.picked_at:
        return None
    until = till.picked_at + SHOWN_FOR
    if till.pick == SHOP_CODE:
        return Showing("shop", None, until)
    if picked is not None and picked.state == "claimed":
        return None
    if picked is None or not picked.is_open(now):
        return Showing("gone", None, until)
    return Showing("opened" if picked.state == "opened" else "link", picked, until)


def _counts(gift: Gift, till: Till, now: datetime) -> bool:
    """Whether the screen shows it by itself."""
    if not gift.is_open(now) or not _is_fresh(gift.issued_at, now):
        return False
    if gift.paid_at is not None and gift.paid_at < gift.issued_at - LATE:
        return False
    return till.hidden_at is None or gift.issued_at > till.hidden_at


def _is_fresh(at: datetime, now: datetime) -> bool:
    """Within the minute. Another machine's clock may be a little ahead of ours."""
    return now - SHOWN_FOR < at < now + APART


# -- reading -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """A shop and whose it is. `alone`: it is its merchant's only one, so his payments without a shop are its own."""

    shop: str
    merchant: str
    alone: bool


def place_of(directory: Directory, shop: Shop) -> Place:
    """The shop as the screen needs it."""
    mine = sum(one.merchant == shop.merchant for one in directory.catalog.shops.values())
    return Place(shop.slug, shop.merchant, mine == 1)


def look(tx: Tx, places: Iterable[Place], now: datetime) -> dict[str, Showing]:
    """What the screens of these shops show at `now`, by shop: three statements for all of them."""
    places = list(places)
    if not places:
        return {}
    shops, params = _names([place.shop for place in places])
    tills = {row["shop"]: till_of(row) for row in tx.all(f"SELECT * FROM tills WHERE shop IN ({shops})", params)}
    off = modes(tx)
    gifts = _gifts(tx, places, now)
    picks = [till.pick for till in tills.values() if till.pick not in {"", SHOP_CODE}]
    picked = {gift.link: gift for _, _, gift in _by_id(tx, picks)} if picks else {}
    found = {}
    for place in places:
        till = tills.get(place.shop, Till())
        mine = [gift for shop, merchant, gift in gifts if is_of(place, shop, merchant)]
        showing = decide(till, mine, picked.get(till.pick), now)
        found[place.shop] = IDLE if off.of(place.merchant, "till") == "off" else showing
    return found


def is_of(place: Place, shop: str | None, merchant: str) -> bool:
    """Whether what happened at this shop and merchant is the place's."""
    return shop == place.shop or (shop is None and place.alone and merchant == place.merchant)


def till_of(row: Row | None) -> Till:
    """A row of `tills`; the beginning for none."""
    if row is None:
        return Till()
    return Till(bool(row["auto"]), row["pick"] or "", *(_moment(row[name]) for name in _MOMENTS))


_MOMENTS: Final = ("picked_at", "hidden_at", "seen_at")
_SELECT: Final = (
    "SELECT l.id, l.key_id, l.shop, l.merchant, l.person, l.state, l.created_at, l.expires_at, "
    "p.amount_fen, p.paid_at FROM links l LEFT JOIN payments p ON p.id = l.payment"
)


def _gifts(tx: Tx, places: Sequence[Place], now: datetime) -> list[tuple[str | None, str, Gift]]:
    """(shop, merchant, gift) of the last minute here. Ids begin with their time, so nothing older is looked at."""
    shops, params = _names([place.shop for place in places])
    alone, more = _names([place.merchant for place in places if place.alone], "m")
    without_shop = f" OR (l.shop IS NULL AND l.merchant IN ({alone}))" if alone else ""
    rows = tx.all(
        f"{_SELECT} WHERE l.id >= :since AND l.purpose = 'payer' AND (l.shop IN ({shops}){without_shop})",
        {**params, **more, "since": floor_id("l", now - SHOWN_FOR)},
    )
    return [(row["shop"], row["merchant"], _gift(row)) for row in rows]


def _by_id(tx: Tx, ids: Sequence[str]) -> list[tuple[str | None, str, Gift]]:
    marks, params = _names(ids)
    rows = tx.all(f"{_SELECT} WHERE l.id IN ({marks})", params)
    return [(row["shop"], row["merchant"], _gift(row)) for row in rows]


def gift_at(tx: Tx, place: Place, link: str) -> Gift | None:
    """A payer's link by its id, if it was given at this place."""
    found = [gift for shop, merchant, gift in _by_id(tx, [link]) if is_of(place, shop, merchant)]
    return found[0] if found else None


def _gift(row: Row) -> Gift:
    return Gift(
        row["id"],
        row["key_id"],
        row["merchant"],
        row["person"],
        row["state"],
        from_text(row["created_at"]),
        from_text(row["expires_at"]),
        row["amount_fen"] or 0,
        _moment(row["paid_at"]),
    )


def _moment(text: str | None) -> datetime | None:
    return from_text(text) if text is not None else None


def _names(values: Sequence[str], prefix: str = "v") -> tuple[str, Mapping[str, str]]:
    params = {f"{prefix}{number}": value for number, value in enumerate(values)}
    return ", ".join(f":{name}" for name in params), params


# -- what the clerk tells the screen -----------------------------------------------------------------------------------


def set_auto(tx: Tx, shop: str, *, auto: bool) -> None:
    """Show new gifts by themselves, or only what is picked."""
    _set(tx, shop, {"auto": int(auto)})


def pick(tx: Tx, shop: str, what: str, now: datetime) -> None:
    """Show this link, or the shop's own code, for a minute. The caller has looked whose it is."""
    _set(tx, shop, {"pick": what, "picked_at": to_text(now)})


def hide(tx: Tx, shop: str, now: datetime) -> None:
    """Take away whatever is shown; what comes after is shown again."""
    _set(tx, shop, {"pick": None, "hidden_at": to_text(now)})


def seen(tx: Tx, shop: str, now: datetime) -> None:
    """A screen of the shop is there."""
    _set(tx, shop, {"seen_at": to_text(now)})


def _set(tx: Tx, shop: str, values: Mapping[str, Any]) -> None:
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    new = ", ".join(f"{name} = :{name}" for name in values)
    tx.run(
        f"INSERT INTO tills (shop, {names}) VALUES (:shop, {marks}) ON CONFLICT (shop) DO UPDATE SET {new}",
        {"shop": shop, **values},
    )
