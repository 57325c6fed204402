"""Second screens: paired once by a code of six digits, then known by a secret of their own that opens one shop's code.

The code is made by a clerk, lives ten minutes, is used once, and is gone after twenty wrong ones for its shop, so that
guessing gets nowhere however many addresses it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from crypto.mac import equal
from crypto.tokens import looks_like_token, new_token, token_digest
from gateway import audit
from gateway.auth.throttle import Throttle
from gateway.contract.clock import to_text
from gateway.contract.ids import IdFactory, RandomBytes
from gateway.contract.store import Row, Tx

CODE_LIVES: Final = timedelta(minutes=10)
DIGITS: Final = 6
MOST_WRONG: Final = 20
PAIRING: Final = Throttle("pair", 10, timedelta(minutes=10))
"""Pairing codes that are none, from one address."""


@dataclass(frozen=True, slots=True)
class Paired:
    """A new screen. `secret` is what the device keeps; here only its digest stays."""

    id: str
    secret: str = field(repr=False)


def make_code(tx: Tx, random: RandomBytes, shop: str, by: str, now: datetime) -> str:
    """A fresh pairing code for the shop; the one before it, if any, is good no more."""
    code = f"{int.from_bytes(random(8), 'big') % 10**DIGITS:0{DIGITS}d}"
    tx.run(
        "INSERT INTO pairings (shop, digest, made_at, made_by, expires_at) VALUES (:shop, :digest, :now, :by, :end) "
        "ON CONFLICT (shop) DO UPDATE "
        "SET digest = :digest, made_at = :now, made_by = :by, expires_at = :end, wrong = 0",
        {
            "shop": shop,
            "digest": _digest(shop, code),
            "now": to_text(now),
            "by": by,
            "end": to_text(now + CODE_LIVES),
        },
    )
    audit.record(tx, now, by, "screen.code", shop)
    return code


def pair(tx: Tx, ids: IdFactory, random: RandomBytes, shop: str, code: str, now: datetime) -> Paired | None:
    """Use the code up for a new screen; None for a wrong, old or used one, which counts against the shop's code."""
    row = tx.one("SELECT made_by FROM pairings WHERE shop = :shop", {"shop": shop})
    # One of any number who type it at once gets the row.
    used = tx.run(
        "DELETE FROM pairings WHERE shop = :shop AND digest = :digest AND expires_at > :now AND wrong < :most",
        {"shop": shop, "digest": _digest(shop, code), "now": to_text(now), "most": MOST_WRONG},
    )
    if not used or row is None:
        tx.run("UPDATE pairings SET wrong = wrong + 1 WHERE shop = :shop", {"shop": shop})
        return None
    paired = Paired(ids.new("sc", now), new_token(random))
    tx.run(
        "INSERT INTO screens (id, shop, digest, paired_at, paired_by) VALUES (:id, :shop, :digest, :now, :by)",
        {
            "id": paired.id,
            "shop": shop,
            "digest": token_digest(paired.secret),
            "now": to_text(now),
            "by": row["made_by"],
        },
    )
    audit.record(tx, now, row["made_by"], "screen.pair", shop, after={"screen": paired.id})
    return paired


def is_good(tx: Tx, shop: str, code: str, now: datetime) -> bool:
    """Whether the code is the shop's and still unused. For whoever made it; counts nothing."""
    return (
        tx.one(
            "SELECT 1 AS yes FROM pairings "
            "WHERE shop = :shop AND digest = :digest AND expires_at > :now AND wrong < :most",
            {"shop": shop, "digest": _digest(shop, code), "now": to_text(now), "most": MOST_WRONG},
        )
        is not None
    )


def known(tx: Tx, shop: str, id_: str, secret: str) -> bool:
    """Whether this is a screen of the shop that nobody has sent away."""
    if not looks_like_token(secret):
        return False
    row = tx.one(
        "SELECT digest FROM screens WHERE id = :id AND shop = :shop AND revoked_at IS NULL", {"id": id_, "shop": shop}
    )
    return row is not None and equal(bytes(row["digest"]), token_digest(secret))


def of_shop(tx: Tx, shop: str) -> list[Row]:
    """The shop's screens, newest first."""
    return tx.all(
        "SELECT id, paired_at, paired_by, seen_at FROM screens WHERE shop = :shop AND revoked_at IS NULL "
        "ORDER BY id DESC",
        {"shop": shop},
    )


def revoke(tx: Tx, shop: str, id_: str, by: str, now: datetime) -> bool:
    """Send a screen away; False when it was not there."""
    gone = tx.run(
        "UPDATE screens SET revoked_at = :now, revoked_by = :by WHERE id = :id AND shop = :shop AND revoked_at IS NULL",
        {"now": to_text(now), "by": by, "id": id_, "shop": shop},
    )
    if gone:
        audit.record(tx, now, by, "screen.revoke", shop, before={"screen": id_})
    return bool(gone)


def seen(tx: Tx, id_: str, now: datetime) -> None:
    """The screen has asked."""
    tx.run("UPDATE screens SET seen_at = :now WHERE id = :id", {"now": to_text(now), "id": id_})


def _digest(shop: str, code: str) -> bytes:
    return token_digest(f"{shop}\n{code}")
