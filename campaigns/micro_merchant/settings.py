"""The table of a micro-merchant campaign in the apply file → `Settings`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import urlsplit

from campaigns.micro_merchant import rules
from campaigns.micro_merchant.rules import MIN_CODE, Credit, Mode, Terms
from gateway.contract.errors import BadConfig
from gateway.contract.money import MAX_FEN
from linkgen.codes import normalise

_CREDITS: Final = ("cash", "points", "coupons")
_MODES: Final = ("direct", "pending")
_WHOLE: Final = (
    "discount_bps",
    "reward_bps",
    "points_bps",
    "refund_days",
    "floor_fen",
    "cap_fen",
    "payout_min_fen",
    "payout_day_cap_fen",
    "four_eyes_fen",
)
_LONGEST_WINDOW: Final = 366
_MOST_ITEMS: Final = 50


@dataclass(frozen=True, slots=True)
class Settings:
    """The numbers, the goods shown on the shop's page, and where the shop itself is ("" for nowhere)."""

    terms: Terms = field(default_factory=Terms)
    items: tuple[str, ...] = ()
    shop_url: str = ""


class _Table:
    """A table being read; every fault is kept."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.left = dict(table)
        self.faults: list[tuple[str, str]] = []

    def _take(self, name: str, otherwise: Any, holds: Callable[[Any], bool], words: str) -> Any:
        value = self.left.pop(name, otherwise)
        if holds(value):
            return value
        self.faults.append((name, words))
        return otherwise

    def whole(self, name: str, otherwise: int) -> int:
        return int(self._take(name, otherwise, _is_whole, "must be a whole number"))

    def flag(self, name: str, *, otherwise: bool) -> bool:
        return bool(self._take(name, otherwise, lambda value: isinstance(value, bool), "must be true or false"))

    def text(self, name: str) -> str:
        return str(self._take(name, "", lambda value: isinstance(value, str), "must be a text"))

    def names(self, name: str, otherwise: list[str]) -> list[str]:
        return list(self._take(name, otherwise, _are_names, "must be a list of texts, none of them twice"))


def load_settings(table: Mapping[str, Any]) -> Settings:
    """The kind's own part of its table. Raises BadConfig with every fault, paths relative to the table."""
    reader = _Table(table)
    numbers = {name: reader.whole(name, getattr(Terms(), name)) for name in _WHOLE}
    mode = reader.left.pop("mode", "pending")
    if mode not in _MODES:
        reader.faults.append(("mode", "must be direct or pending"))
        mode = "pending"
    credit = reader.names("credit", ["cash"])
    if not set(credit) <= set(_CREDITS):
        reader.faults.append(("credit", "may hold cash, points and coupons"))
        credit = ["cash"]
    terms = Terms(
        **numbers,
        mode=cast("Mode", mode),
        credit=frozenset(cast("list[Credit]", credit)),
        coupon_item=reader.text("coupon_item"),
        ask_referrer=reader.flag("ask_referrer", otherwise=False),
        own_discount=reader.flag("own_discount", otherwise=True),
        per_code=_per_code(reader),
    )
    settings = Settings(terms, tuple(reader.names("items", [])), reader.text("shop_url"))
    reader.faults.extend(rules.faults(terms))
    reader.faults.extend(_limits(settings))
    reader.faults.extend((str(name), "is not a setting of this kind") for name in reader.left)
    if reader.faults:
        raise BadConfig(reader.faults)
    return settings


def _limits(settings: Settings) -> list[tuple[str, str]]:
    terms, faults = settings.terms, []
    faults += [(name, f"must be at most {MAX_FEN}") for name in _WHOLE if getattr(terms, name) > MAX_FEN]
    if terms.refund_days > _LONGEST_WINDOW:
        faults.append(("refund_days", f"must be at most {_LONGEST_WINDOW}"))
    if len(settings.items) > _MOST_ITEMS:
        faults.append(("items", f"may name at most {_MOST_ITEMS} items"))
    if settings.shop_url and not _is_address(settings.shop_url):
        faults.append(("shop_url", "must be an address that begins with https://, or http:// for this machine"))
    return faults


def _per_code(reader: _Table) -> Mapping[str, int]:
    table = reader.left.pop("per_code", {})
    if not isinstance(table, Mapping):
        reader.faults.append(("per_code", "must be a table of codes"))
        return {}
    found = {}
    for code, own in table.items():
        normal = normalise(str(code))
        if len(normal) < MIN_CODE:
            reader.faults.append((f"per_code.{code}", f"is no code: {MIN_CODE} symbols or more"))
        elif not isinstance(own, Mapping) or set(own) != {"discount_bps"} or not _is_whole(own["discount_bps"]):
            reader.faults.append((f"per_code.{code}", "must hold discount_bps, a whole number, and nothing else"))
        else:
            found[normal] = int(own["discount_bps"])
    return found


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_names(value: Any) -> bool:
    return (
        isinstance(value, list) and all(isinstance(one, str) and one for one in value) and len(set(value)) == len(value)
    )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    is_plain = parts.scheme == "http" and host in {"127.0.0.1", "localhost", "::1"}
    return bool(host) and (parts.scheme == "https" or is_plain) and parts.username is None
