"""The ways to the payer, in the order in which they are tried (R031), and each merchant's switch for each of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from gateway import audit
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.store import Tx

Name = Literal["slip", "till", "receipt", "wallet"]
Mode = Literal["on", "off", "always"]


@dataclass(frozen=True, slots=True)
class Way:
    """One way, and which links can go it.

    `modes` are its switch's positions, the first its default; `open_for`: how long after the payment it can still be
    taken, None for as long as the link lives; `partner_only`, `shop_only`: what a payment must have.
    """

    name: Name
    modes: tuple[Mode, ...]
    open_for: timedelta | None = None
    partner_only: bool = False
    shop_only: bool = False

    def applies(self, *, by_partner: bool, has_shop: bool, mode: Mode) -> bool:
        """Whether a link of such a payment can go this way at all."""
        return mode != "off" and (by_partner or not self.partner_only) and (has_shop or not self.shop_only)


WAYS: Final[tuple[Way, ...]] = (
    # WeChat opens it for a service provider's merchants only, and what it asks with names the sub-merchant.
    Way("slip", ("on", "always", "off"), open_for=timedelta(minutes=10), partner_only=True),
    # A clerk may still pick an older link; by itself the screen shows a payment's link for a minute.
    Way("till", ("on", "off"), open_for=timedelta(seconds=60), shop_only=True),
    Way("receipt", ("on", "off"), shop_only=True),
    # The last resort (R037): the customer's own page holds every open link of his, and cannot be switched off.
    Way("wallet", ("on",)),
)
BY_NAME: Final[Mapping[str, Way]] = {way.name: way for way in WAYS}


class Modes:
    """Every merchant's switches, as read once."""

    def __init__(self, chosen: Mapping[tuple[str, str], Mode]) -> None:
        self._chosen = chosen

    def of(self, merchant: str, way: Name) -> Mode:
        """What the merchant chose for the way, else its default."""
        known = BY_NAME[way]
        mode = self._chosen.get((merchant, way), known.modes[0])
        return mode if mode in known.modes else known.modes[0]


def modes(tx: Tx, merchants: Collection[str] | None = None) -> Modes:
    """The switches of these merchants, None for all."""
    if merchants is not None and len(merchants) == 1:
        rows = tx.all("SELECT merchant, way, mode FROM ways WHERE merchant = :m", {"m": next(iter(merchants))})
    else:
        rows = tx.all("SELECT merchant, way, mode FROM ways")
    return Modes({(row["merchant"], row["way"]): row["mode"] for row in rows})


def switch(
    tx: Tx, now: datetime, merchant: str, way: str, mode: str, by: str, *, request_id: str | None = None
) -> Mode:
    """Set a merchant's switch; what it was before. Audited. Raises Refused `invalid` (422) for no such position."""
    known = BY_NAME.get(way)
    if known is None or mode not in known.modes:
        raise Refused("invalid", 422, "no such way or mode")
    before = modes(tx, [merchant]).of(merchant, known.name)
    if before != mode:
        tx.run(
            "INSERT INTO ways (merchant, way, mode, since, by) VALUES (:merchant, :way, :mode, :now, :by) "
            "ON CONFLICT (merchant, way) DO UPDATE SET mode = :mode, since = :now, by = :by",
            {"merchant": merchant, "way": way, "mode": mode, "now": to_text(now), "by": by},
        )
        audit.record(
            tx,
            now,
            by,
            "way.switch",
            f"{merchant}/{way}",
            before={"mode": before},
            after={"mode": mode},
            request_id=request_id,
        )
    return before
