"""What the apply file says about a flash sale, checked: every fault at once, each with its key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast

from campaigns.flash_sale import rules
from gateway.contract.errors import BadConfig
from gateway.contract.money import MAX_FEN

MOST_TOTAL: Final = 10**9
_WHOLE: Final = {
    "total": 0,
    "shards": 4,
    "per_person": 1,
    "shard_floor": 0,
    "hold_minutes": 15,
    "price_fen": 0,
}
"""The keys that hold a whole number, each with what it is where the file does not say."""

_KEYS: Final = frozenset({*_WHOLE, "item", "flow_switch", "unit"})


@dataclass(frozen=True, slots=True)
class FlashSaleSettings:
    """A flash sale's own settings. `price_fen` 0: the item's price, or its value where it has no price.

    `per_person` counts units bought, or purchases where `unit` is `fen`; 0 is no limit.
    """

    item: str
    total: int
    shards: int = 4
    flow_switch: bool = True
    per_person: int = 1
    hold_minutes: int = 15
    unit: rules.Unit = "units"
    shard_floor: int = 0
    price_fen: int = 0

    @property
    def hold(self) -> timedelta:
        """How long a reservation waits for its payment."""
        return timedelta(minutes=self.hold_minutes)


def load_settings(table: Mapping[str, Any]) -> FlashSaleSettings:
    """The kind's own part of its table → its settings. Raises BadConfig with every fault."""
    faults = list(_faults(table))
    if faults:
        raise BadConfig(faults)
    whole = {name: table.get(name, default) for name, default in _WHOLE.items()}
    # A small sale needs not name its shards: never more of them than there are units.
    if "shards" not in table:
        whole["shards"] = min(whole["shards"], whole["total"])
    return FlashSaleSettings(
        item=table["item"],
        flow_switch=table.get("flow_switch", True),
        unit=cast("rules.Unit", table.get("unit", "units")),
        **whole,
    )


def _faults(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in sorted(set(table) - _KEYS):
        yield name, "is no setting of a flash sale"
    item = table.get("item")
    if not isinstance(item, str) or not item:
        yield "item", "must name the item that is sold"
    if not isinstance(table.get("flow_switch", True), bool):
        yield "flow_switch", "must be true or false"
    if table.get("unit", "units") not in ("units", "fen"):
        yield "unit", 'must be "units" or "fen"'
    if "total" not in table:
        yield "total", "is missing: how much there is to sell"
        return
    wrong = [name for name, default in _WHOLE.items() if type(table.get(name, default)) is not int]
    for name in wrong:
        yield name, "must be a whole number"
    if wrong:
        return
    total = table["total"]
    shards = table.get("shards", max(1, min(4, total)))
    per_person, floor = table.get("per_person", 1), table.get("shard_floor", 0)
    yield from rules.faults(total, shards, per_person, floor, table.get("hold_minutes", 15))
    if total > MOST_TOTAL:
        yield "total", f"must be at most {MOST_TOTAL}"
    if not 0 <= table.get("price_fen", 0) <= MAX_FEN:
        yield "price_fen", "must be 0 (the item's own price) or an amount in fen"
