"""Handing a coupon on (转赠): its owner makes one gift link, and whoever takes it up first has the coupon.

States: made → taken | taken back | lapsed. While a gift link stands the coupon is `reserved`, so that nobody can use
it; each move is one conditional update, so that of any number of parallel movers one wins. The coupon keeps its link,
stock and budget, and gets a new code when it is taken: a picture of the old one is worth nothing from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from crypto.tokens import looks_like_token, token_digest
from gateway import audit, coupons, people
from gateway.catalog.directory import Directory
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.ids import IdFactory
from gateway.contract.store import Row, Store, Tx
from gateway.links import LinkKeys
from linkgen.codes import new_code

GIFT_DAYS: Final = 7
State = Literal["made", "taken", "taken_back", "lapsed"]


@dataclass(frozen=True, slots=True)
class Gift:
    """A hand-over with its coupon; `state` as it is now."""

    row: Row
    coupon: Row
    state: State


@dataclass(frozen=True, slots=True)
class HandingOver:
    """The use case; its parts are shared by all threads of a process."""

    store: Store
    ids: IdFactory
    random: Callable[[int], bytes]
    link_keys: LinkKeys

    def token(self, gift: Row) -> str:
        """The token of a gift's `/g/<token>`, the same every time."""
        return self.link_keys.token(gift["id"], gift["key_id"])

    def make(self, directory: Directory, code: str, person: str, now: datetime) -> str:
        """Reserve the person's coupon and make its gift link; the gift's id. A second try gives the same one.

        Raises Refused: `not_found` 404 for a coupon that is not his, `not_transferable` 409.
        """

        def reserve(tx: Tx) -> str:
            # A second tap waits for the first, and then finds its link.
            tx.lock(f"gift:{code}")
            giver = people.look_up(tx, person)
            coupon = coupons.by_code(tx, code)
            if giver is None or coupon is None or coupon["person"] not in giver.group:
                raise Refused("not_found", 404)
            standing = of_coupon(tx, code)
            if standing is not None and standing["expires_at"] <= to_text(now):
                # Its time is over and the sweep has not come by yet.
                _lapse(tx, standing, now)
                standing = None
            if standing is not None and standing["state"] == "made" and coupon["state"] == "reserved":
                return str(standing["id"])
            coupon = coupons.by_code(tx, code) or coupon
            if not may_be_given(tx, directory, coupon, now) or not _move(tx, code, now, "claimed", "reserved"):
                raise Refused("not_transferable", 409)
            id_ = self.ids.new("g", now)
            ends = min(now + timedelta(days=GIFT_DAYS), from_text(coupon["valid_to"]))
            tx.run(
                "INSERT INTO handovers (id, token_digest, key_id, circle, coupon, giver, state, made_at, expires_at) "
                "VALUES (:id, :digest, :key, :circle, :coupon, :giver, 'made', :now, :expires)",
                {
                    "id": id_,
                    "digest": token_digest(self.link_keys.token(id_)),
                    "key": self.link_keys.active,
                    "circle": coupon["circle"],
                    "coupon": code,
                    "giver": giver.id,
                    "now": to_text(now),
                    "expires": to_text(ends),
                },
            )
            audit.record(tx, now, giver.id, "gift.make", id_, after={"coupon": code, "until": to_text(ends)})
            return id_

        return self.store.write(reserve)

    def look(self, token: str, now: datetime) -> Gift:
        """The gift behind a token while it can be taken, or once it has been. Raises Refused `not_found` else."""
        found = self.store.read(lambda tx: _by_token(tx, token, now))
        if found is None or found.state not in {"made", "taken"}:
            raise Refused("not_found", 404)
        return found

    def given(self, gift: str, person: str, now: datetime) -> Gift:
        """A gift that the person made. Raises Refused `not_found` for another's."""
        return self.store.read(lambda tx: _given(tx, gift, person, now))

    def take(self, token: str, person: str, now: datetime) -> str:
        """The person takes the coupon; its new code, the same for a second try.

        Raises Refused: `not_found` 404 where there is nothing to take, or another was first; `own_gift` 409.
        """

        def take(tx: Tx) -> str:
            taker = people.look_up(tx, person)
            gift = _by_token(tx, token, now)
            if taker is None or gift is None:
                raise Refused("not_found", 404)
            if gift.row["giver"] in taker.group:
                raise Refused("own_gift", 409)
            if not _close(tx, gift.row, now, "taken", taker.id):
                # Taken already, and perhaps a moment ago: by him it is the same answer, by another it is none.
                taken = _row(tx, gift.row["id"])
                if taken["state"] != "taken" or taken["taker"] not in taker.group:
                    raise Refused("not_found", 404)
                return str(taken["coupon"])
            code = self._pass_on(tx, gift.row, taker.id, now)
            audit.record(tx, now, taker.id, "gift.take", gift.row["id"], after={"coupon": code})
            return code

        return self.store.write(take)

    def take_back(self, gift: str, person: str, now: datetime) -> State:
        """The giver wants his coupon back: what became of the gift. Raises Refused `not_found` for another's."""

        def undo(tx: Tx) -> State:
            found = _given(tx, gift, person, now)
            if found.state == "made" and _close(tx, found.row, now, "taken_back"):
                _move(tx, found.row["coupon"], now, "reserved", "claimed")
                audit.record(tx, now, found.row["giver"], "gift.take_back", gift)
            return _given(tx, gift, person, now).state

        return self.store.write(undo)

    def _pass_on(self, tx: Tx, gift: Row, taker: str, now: datetime) -> str:
        """The coupon under its new owner and a new code. Raises Refused `not_found` when it is not there to be had."""
        code = new_code(self.random)
        while coupons.by_code(tx, code) is not None:
            code = new_code(self.random)
        moved = tx.run(
            "UPDATE coupons SET state = 'claimed', person = :taker, code = :code "
            "WHERE code = :old AND state = 'reserved' AND valid_to > :now",
            {"taker": taker, "code": code, "old": gift["coupon"], "now": to_text(now)},
        )
        if not moved:
            # Its payment came back, or its time is over: nothing is left to give.
            raise Refused("not_found", 404)
        for sql in (
            "UPDATE redemptions SET coupon = :code WHERE coupon = :old",
            "UPDATE handovers SET coupon = :code WHERE coupon = :old",
        ):
            tx.run(sql, {"code": code, "old": gift["coupon"]})
        return code


def may_be_given(tx: Tx, directory: Directory, coupon: Row, now: datetime) -> bool:
    """Whether its owner may hand this coupon on: the item allows it, it is unused, and never changed hands before."""
    item = directory.item(coupon["item"])
    return (
        item is not None
        and item.transferable
        and coupons.state_at(coupon, now) == "claimed"
        and of_coupon(tx, coupon["code"]) is None
    )


def of_coupon(tx: Tx, code: str) -> Row | None:
    """The gift link that stands for a coupon, or by which it came to its owner."""
    return tx.one("SELECT * FROM handovers WHERE coupon = :code AND state IN ('made', 'taken')", {"code": code})


def lapse(tx: Tx, now: datetime, most: int) -> int:
    """Give coupons back whose gift link nobody took up in time; how many gifts ended."""
    rows = tx.all(
        "SELECT * FROM handovers WHERE state = 'made' AND expires_at <= :now ORDER BY expires_at LIMIT :most",
        {"now": to_text(now), "most": most},
    )
    return sum(_lapse(tx, row, now) for row in rows)


def _lapse(tx: Tx, row: Row, now: datetime) -> bool:
    ended = tx.run(
        "UPDATE handovers SET state = 'lapsed', closed_at = :now WHERE id = :id AND state = 'made'",
        {"now": to_text(now), "id": row["id"]},
    )
    if ended:
        _move(tx, row["coupon"], now, "reserved", "claimed")
        audit.record(tx, now, "gateway", "gift.lapse", row["id"])
    return bool(ended)


def _state_at(row: Row, coupon: Row, now: datetime) -> State:
    """A gift whose time is over has lapsed before the sweep has written so, and so has one whose coupon is gone."""
    if row["state"] == "made" and (row["expires_at"] <= to_text(now) or coupon["state"] != "reserved"):
        return "lapsed"
    state: State = row["state"]
    return state


def _by_token(tx: Tx, token: str, now: datetime) -> Gift | None:
    if not looks_like_token(token):
        return None
    row = tx.one("SELECT * FROM handovers WHERE token_digest = :digest", {"digest": token_digest(token)})
    return _with_coupon(tx, row, now) if row is not None else None


def _given(tx: Tx, gift: str, person: str, now: datetime) -> Gift:
    who = people.look_up(tx, person)
    row = tx.one("SELECT * FROM handovers WHERE id = :id", {"id": gift})
    found = _with_coupon(tx, row, now) if row is not None else None
    if who is None or found is None or found.row["giver"] not in who.group:
        raise Refused("not_found", 404)
    return found


def _with_coupon(tx: Tx, row: Row, now: datetime) -> Gift | None:
    coupon = coupons.by_code(tx, row["coupon"])
    if coupon is None:
        # Taken between the two looks, so that it bears another code by now.
        row = _row(tx, row["id"])
        coupon = coupons.by_code(tx, row["coupon"])
    return Gift(row, coupon, _state_at(row, coupon, now)) if coupon is not None else None


def _row(tx: Tx, gift: str) -> Row:
    row = tx.one("SELECT * FROM handovers WHERE id = :id", {"id": gift})
    assert row is not None  # it was there a moment ago in this transaction
    return row


def _close(tx: Tx, row: Row, now: datetime, state: State, taker: str | None = None) -> bool:
    return bool(
        tx.run(
            "UPDATE handovers SET state = :state, taker = :taker, closed_at = :now "
            "WHERE id = :id AND state = 'made' AND expires_at > :now",
            {"state": state, "taker": taker, "now": to_text(now), "id": row["id"]},
        )
    )


def _move(tx: Tx, code: str, now: datetime, before: str, after: str) -> bool:
    return bool(
        tx.run(
            "UPDATE coupons SET state = :after WHERE code = :code AND state = :before AND valid_to > :now",
            {"after": after, "before": before, "code": code, "now": to_text(now)},
        )
    )
