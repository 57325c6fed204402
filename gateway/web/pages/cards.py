"""Coupon cards: what an item or a coupon shows a customer, ready for a template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from gateway import coupons
from gateway.catalog.directory import Directory
from gateway.catalog.specs import Item
from gateway.claiming import Offered
from gateway.contract.store import Row, Tx

State = Literal["offer", "gone", "paused", "usable", "reserved", "used", "given", "expired", "void"]

_STATES: Final[Mapping[str, State]] = {
    "claimed": "usable",
    "reserved": "reserved",
    "redeemed": "used",
    "expired": "expired",
    "void": "void",
}


@dataclass(frozen=True, slots=True)
class Card:
    """One coupon or gift. `code` "" before it is claimed; `valid_days` counts from the claim; times in store text."""

    state: State
    title: str
    merchant: str
    kind: str
    value_fen: int
    percent_off: int
    cap_fen: int
    min_spend_fen: int
    valid_days: int = 0
    valid_to: str = ""
    code: str = ""
    used_at: str = ""
    used_shop: str = ""
    reason: str = ""

    @property
    def is_off(self) -> bool:
        """Whether it cannot be used or claimed as it stands."""
        return self.state not in {"offer", "usable"}


def of_item(offered: Offered) -> Card:
    """The card of an item that a link gives and nobody has claimed."""
    item: Item = offered.item
    return Card(
        state="offer" if offered.state == "open" else offered.state,
        title=item.name,
        merchant=offered.merchant.name,
        kind=item.kind,
        value_fen=item.value_fen,
        percent_off=item.percent_off,
        cap_fen=item.cap_fen,
        min_spend_fen=item.min_spend_fen,
        valid_days=item.valid_days,
    )


def of_coupon(tx: Tx, directory: Directory, coupon: Row, now: datetime) -> Card:
    """The card of a claimed coupon as it stands at `now`, with when and where it was used."""
    state = coupons.state_at(coupon, now)
    # Only of a used one there is more to ask: a wallet shows fifty at once.
    used: dict[str, Any] = (coupons.as_json(tx, coupon, now)["redeemed"] or {}) if state == "redeemed" else {}
    owner = directory.merchant(coupon["merchant"])
    return Card(
        state=_STATES.get(state, "void"),
        title=coupon["name"],
        merchant=owner.name if owner is not None else coupon["merchant"],
        kind=coupon["kind"],
        value_fen=coupon["value_fen"],
        percent_off=coupon["percent_off"],
        cap_fen=coupon["cap_fen"],
        min_spend_fen=coupon["min_spend_fen"],
        valid_to=coupon["valid_to"],
        code=coupon["code"],
        used_at=used.get("at") or "",
        used_shop=shop_name(directory, used.get("shop")),
        reason=coupon["closed_reason"] or "",
    )


def shop_name(directory: Directory, slug: str | None) -> str:
    """What a shop is called; "" for none, its slug for one that is there no more."""
    if not slug:
        return ""
    shop = directory.shop(slug)
    return shop.name if shop is not None else slug
