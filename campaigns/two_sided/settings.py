"""The campaign's table of the apply file → its settings; every fault is told with its key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from campaigns.two_sided.rules import Terms, faults
from gateway.contract.errors import BadConfig
from gateway.contract.money import MAX_FEN

_NUMBERS: Final = (
    "user_fen",
    "user_bps",
    "merchant_fen",
    "merchant_bps",
    "clerk_bps",
    "min_amount_fen",
    "per_pair_per_day",
    "times",
    "period_days",
)
_PERSON: Final = re.compile(r"p_[0-9a-f]{32}\Z", re.ASCII)
_MOST_DAYS: Final = 3660


@dataclass(frozen=True, slots=True)
class Settings:
    """What one campaign says. Budgets of a side bind beside the campaign's own; 0 is none."""

    terms: Terms
    needs_code: bool = True
    """Whether a merchant takes part only with a code (R163)."""
    most_codes: int = 0
    """How many codes may be made in all; 0: any number."""
    clerks: Mapping[str, str] = field(default_factory=dict)
    """Shop → the user whose share a payment there is (R164)."""
    own_persons: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Merchant → the persons he pays as himself (R166)."""
    user_budget_fen: int = 0
    merchant_budget_fen: int = 0


def load_settings(table: Mapping[str, Any]) -> Settings:
    """The kind's own keys → settings. Raises BadConfig with every fault."""
    reader = _Reader(table)
    numbers = {name: reader.whole(name) for name in _NUMBERS}
    terms = Terms(**numbers, user_sources=frozenset(reader.texts("user_sources", reader.take("user_sources", []))))
    needs_code, most_codes = reader.codes()
    made = Settings(
        terms,
        needs_code=needs_code,
        most_codes=most_codes,
        clerks=reader.clerks(),
        own_persons=reader.own_persons(),
        user_budget_fen=reader.whole("user_budget_fen"),
        merchant_budget_fen=reader.whole("merchant_budget_fen"),
    )
    if not reader.faults:
        reader.faults.extend(faults(terms))
    reader.finish()
    return made


class _Reader:
    """Takes a table apart; what does not fit is noted under its key."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._left = dict(table)
        self.faults: list[tuple[str, str]] = []

    def take(self, name: str, default: Any) -> Any:
        return self._left.pop(name, default)

    def whole(self, name: str) -> int:
        value = self.take(name, 0)
        if isinstance(value, bool) or not isinstance(value, int):
            self.faults.append((name, "must be a whole number"))
            return 0
        most = _MOST_DAYS if name == "period_days" else MAX_FEN
        if not 0 <= value <= most:
            self.faults.append((name, f"must be 0 to {most}"))
            return 0
        return value

    def texts(self, path: str, value: Any) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
            self.faults.append((path, "must be a list of texts"))
            return []
        return value

    def table(self, name: str) -> dict[str, Any]:
        value = self.take(name, {})
        if not isinstance(value, dict):
            self.faults.append((name, "must be a table"))
            return {}
        return value

    def codes(self) -> tuple[bool, int]:
        """`quota_codes`: true (needed, any number), false (not needed), or how many places there are."""
        value = self.take("quota_codes", default=True)
        if isinstance(value, bool):
            return value, 0
        if isinstance(value, int) and 0 < value <= MAX_FEN:
            return True, value
        self.faults.append(("quota_codes", "must be true, false, or how many codes there may be"))
        return True, 0

    def clerks(self) -> dict[str, str]:
        found = {}
        for shop, user in self.table("clerks").items():
            if isinstance(user, str) and user:
                found[shop] = user
            else:
                self.faults.append((f"clerks.{shop}", "must be a user's name"))
        return found

    def own_persons(self) -> dict[str, frozenset[str]]:
        found = {}
        for merchant, value in self.table("own_persons").items():
            persons = self.texts(f"own_persons.{merchant}", value)
            if not all(_PERSON.match(person) for person in persons):
                self.faults.append((f"own_persons.{merchant}", "must hold ids of persons, such as p_0199…"))
            found[merchant] = frozenset(persons)
        return found

    def finish(self) -> None:
        self.faults.extend((name, "is not a key of this campaign") for name in self._left)
        if self.faults:
            raise BadConfig(self.faults)
