"""The page that WeChat opens after a payment at a service provider's merchant (点金计划 商家小票, R032).

It is asked for with three texts alone: `sub_mch_id`, `out_trade_no`, `check_code`. Our own record decides: the payment
of these two numbers, told within the last minutes, whose link nobody has claimed. Whatever else is so, the answer is
one and the same "nothing", so that nobody learns which orders there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crypto.legacy import md5_hex
from crypto.mac import equal
from gateway.auth.throttle import Throttle
from gateway.catalog.directory import Directory, LiveChannel
from gateway.contract.clock import to_text
from gateway.contract.store import Row, Tx
from gateway.delivery import showings
from gateway.delivery.ways import BY_NAME, Mode, modes

RECENT: Final = BY_NAME["slip"].open_for or timedelta()
"""How old a payment may be: the page opens at once after it."""

UNKNOWN_ORDER: Final = Throttle("slip", 120, timedelta(minutes=1))
"""Looks for orders that we do not know, from one address. One page looks five times, and a shop's guests share an
address."""

PATIENCE: Final = timedelta(seconds=12)
"""The longest that a page goes on asking: an order told later than that was told too late."""

_SUB_MCH_ID: Final = re.compile(r"[0-9]{1,32}\Z", re.ASCII)
# WeChat Pay's own rule is digits, letters and _-|* up to 32; a little more does no harm.
_ORDER: Final = re.compile(r"[0-9A-Za-z_|*@-]{1,64}\Z", re.ASCII)
_CHECK_CODE: Final = re.compile(r"[0-9a-fA-F]{32}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page was asked for with."""

    sub_mch_id: str
    out_trade_no: str
    check_code: str

    @property
    def is_whole(self) -> bool:
        """Whether all three have the shape that WeChat gives them."""
        return bool(
            _SUB_MCH_ID.match(self.sub_mch_id)
            and _ORDER.match(self.out_trade_no)
            and _CHECK_CODE.match(self.check_code)
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What we know of an order. `link`: its unclaimed link with `transaction_id` beside it, None for no gift."""

    is_known: bool = False
    link: Row | None = None


def mode_of(tx: Tx, directory: Directory, sub_mch_id: str) -> Mode:
    """What the sub-merchant's own merchant chose for the page; `off` for a sub-merchant of nobody's."""
    merchant = merchant_of(directory.channels(), sub_mch_id)
    return modes(tx, [merchant]).of(merchant, "slip") if merchant is not None else "off"


def merchant_of(channels: Iterable[LiveChannel], sub_mch_id: str) -> str | None:
    """Whose sub-merchant number this is, of all the partners' channels."""
    for channel in channels:
        if channel.provider != "wechat":
            continue
        mapped = channel.spec.sub_merchants.get(sub_mch_id)
        if mapped is not None:
            return mapped
        if channel.spec.keys.get("sub_mchid") == sub_mch_id:
            return channel.merchant.slug
    return None


def find(tx: Tx, directory: Directory, asked: Asked, now: datetime) -> Found:
    """What there is for this order at `now`."""
    rows = tx.all(
        "SELECT p.transaction_id, p.channel, l.id, l.key_id, l.circle, l.merchant, l.shop, l.items, l.state, "
        "l.expires_at FROM payments p "
        "LEFT JOIN links l ON l.payment = p.id AND l.purpose = 'payer' "
        "WHERE p.out_trade_no = :order AND p.sub_mch_id = :sub AND p.provider = 'wechat' "
        "AND p.received_at > :since LIMIT 2",
        {"order": asked.out_trade_no, "sub": asked.sub_mch_id, "since": to_text(now - RECENT)},
    )
    if len(rows) != 1:
        # Two payments under one number: whose page this is cannot be told.
        return Found(is_known=bool(rows))
    (row,) = rows
    live = row["state"] in {"issued", "opened"} and row["expires_at"] > to_text(now)
    if not live or not _may_be_shown(directory, row):
        return Found(is_known=True)
    is_off = modes(tx, [row["merchant"]]).of(row["merchant"], "slip") == "off"
    return Found(is_known=True, link=None if is_off else row)


def is_checked(asked: Asked, address: str, transaction_id: str) -> bool:
    """Whether `check_code` is what it should be, as far as is known.

    That is the MD5 of the page's address with its first two parameters and the payment's own number, which is the
    secret. The formula is second-hand and nobody has confirmed it, so a mismatch is worth a line in the log and
    nothing more.
    """
    text = f"{address}?sub_mch_id={asked.sub_mch_id}&out_trade_no={asked.out_trade_no}&transaction_id={transaction_id}"
    return equal(md5_hex(text.encode()).lower().encode(), asked.check_code.lower().encode())


def note_unknown(tx: Tx, asked: Asked, now: datetime) -> None:
    """Remember a page that asked for an order not yet told; the first asking stays."""
    tx.run(
        "INSERT INTO slip_asks (out_trade_no, sub_mch_id, asked_at) VALUES (:order, :sub, :now) "
        "ON CONFLICT (out_trade_no, sub_mch_id) DO NOTHING",
        {"order": asked.out_trade_no, "sub": asked.sub_mch_id, "now": to_text(now)},
    )


def nobody_asked(tx: Tx) -> bool:
    """Whether there is nothing to settle."""
    return tx.one("SELECT 1 AS one FROM slip_asks LIMIT 1") is None


def settle_asks(tx: Tx, now: datetime, most: int) -> int:
    """What came of the pages that asked too early: a link that none of them showed was told too late; how many went.

    For the background worker. An order that is never told is forgotten after the time in which it would be looked for.
    """
    rows = tx.all(
        "SELECT a.out_trade_no, a.sub_mch_id, l.id, l.merchant FROM slip_asks a "
        "LEFT JOIN payments p ON p.out_trade_no = a.out_trade_no AND p.sub_mch_id = a.sub_mch_id "
        "LEFT JOIN links l ON l.payment = p.id AND l.purpose = 'payer' "
        "WHERE a.asked_at < :patient AND (p.id IS NOT NULL OR a.asked_at < :since) LIMIT :most",
        {"patient": to_text(now - PATIENCE), "since": to_text(now - RECENT), "most": most},
    )
    for row in rows:
        if row["id"] is not None:
            showings.note_failed(tx, now, row["id"], "slip", row["merchant"], "too_late")
        tx.run(
            "DELETE FROM slip_asks WHERE out_trade_no = :order AND sub_mch_id = :sub",
            {"order": row["out_trade_no"], "sub": row["sub_mch_id"]},
        )
    return len(rows)


def _may_be_shown(directory: Directory, row: Row) -> bool:
    """Order numbers can be guessed, so the page gives links only where the claim itself asks who is there.

    In a circle whose links are good for whoever holds them that is so for pretend payments alone.
    """
    circle, channel = directory.circle(row["circle"]), directory.channel(row["channel"])
    if circle is None or channel is None:
        return False
    return circle.binding == "oauth" or channel.spec.sandbox
