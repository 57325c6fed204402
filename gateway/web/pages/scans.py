"""What a till has scanned lately: the redemptions of the last day in its scope, and this device's failed scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from gateway import coupons
from gateway.catalog.directory import Directory
from gateway.contract.clock import from_text, to_text
from gateway.contract.ids import floor_id
from gateway.contract.store import Tx
from gateway.redeeming import REVERSIBLE_FOR
from gateway.web.pages.cards import shop_name

SHOWN: Final = 20
_TAIL: Final = 5


@dataclass(frozen=True, slots=True)
class Scan:
    """One line of the list. `code` is whole only where it may be undone; `tail` is what is shown of it."""

    at: datetime
    kind: str
    tail: str
    title: str = ""
    discount_fen: int = 0
    by: str = ""
    shop: str = ""
    code: str = ""


def redemptions(tx: Tx, directory: Directory, merchants: frozenset[str] | None, now: datetime) -> list[Scan]:
    """The newest redemptions of these merchants' coupons (None: everyone's) within the time for undoing them."""
    params: dict[str, Any] = {"since": floor_id("rd", now - REVERSIBLE_FOR), "most": SHOWN}
    scope = ""
    if merchants is not None:
        params |= {f"m{number}": slug for number, slug in enumerate(sorted(merchants))}
        scope = f"AND c.merchant IN ({', '.join(f':m{number}' for number in range(len(merchants))) or 'NULL'}) "
    rows = tx.all(
        "SELECT r.coupon, r.by, r.shop, r.at, r.discount_fen, r.reversed_at, c.name FROM redemptions r "
        f"JOIN coupons c ON c.code = r.coupon WHERE r.id >= :since {scope}ORDER BY r.id DESC LIMIT :most",
        params,
    )
    return [
        Scan(
            at=from_text(row["at"]),
            kind="reversed" if row["reversed_at"] else "used_now",
            tail=tail_of(row["coupon"]),
            title=row["name"],
            discount_fen=row["discount_fen"],
            by=row["by"],
            shop=shop_name(directory, row["shop"]),
            code="" if row["reversed_at"] else row["coupon"],
        )
        for row in rows
    ]


def discount_of(tx: Tx, code: str) -> int:
    """What the standing redemption of a coupon took off; 0 where there is none."""
    row = tx.one("SELECT discount_fen FROM redemptions WHERE coupon = :code AND reversed_at IS NULL", {"code": code})
    return int(row["discount_fen"]) if row is not None else 0


def coupon_name(tx: Tx, code: str) -> str:
    """The name that a coupon was made with; "" for none."""
    row = coupons.by_code(tx, code)
    return str(row["name"]) if row is not None else ""


def failed(kept: Sequence[Sequence[str]], now: datetime) -> list[Scan]:
    """The failed scans that a device keeps as (time in store text, kind, tail), a day back."""
    return [
        Scan(from_text(at), kind, tail)
        for at, kind, tail in kept
        if now - timedelta(days=1) < from_text(at) <= now + timedelta(minutes=1)
    ]


def as_kept(now: datetime, kind: str, code: str) -> list[str]:
    """A failed scan as `failed` reads it."""
    return [to_text(now), kind, tail_of(code)]


def tail_of(code: str) -> str:
    """The end of a code, enough to tell two apart on a list: `…4B-5`."""
    tail = code[-_TAIL:]
    return f"…{tail[:-1]}-{tail[-1:]}" if len(code) >= _TAIL else code


def newest(*lists: Sequence[Scan]) -> list[Scan]:
    """Several lists as one, newest first, as many as are shown."""
    together: list[Scan] = [scan for scans in lists for scan in scans]
    return sorted(together, key=lambda scan: scan.at, reverse=True)[:SHOWN]
