"""The campaign's table of the apply file → its settings; every fault is told with its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from campaigns.referral.rules import Terms, faults
from gateway.contract.errors import BadConfig
from gateway.contract.money import MAX_FEN

RewardWords = Literal["outside_wechat", "always", "never"]
Referrers = Literal["anyone", "tagged"]
_MOST_DAYS: Final = 3660


@dataclass(frozen=True, slots=True)
class Settings:
    """What one campaign says."""

    terms: Terms
    name: str = ""
    """What customers read; "" for the kind's own name."""
    invitation_days: int = 30
    """How long an invitation may be scanned (R192)."""
    qualify_days: int = 0
    """Within how many days after the binding the friend has to pay; 0: while the campaign lasts."""
    referrers: Referrers = "anyone"
    """Who may invite (R190): anyone, or those the circle has tagged."""
    reward_words: RewardWords = "outside_wechat"
    """Where pages speak of rewards (R078)."""


def load_settings(table: Mapping[str, Any]) -> Settings:
    """The kind's own keys → settings. Raises BadConfig with every fault."""
    reader = _Reader(table)
    qualify = reader.table("qualify")
    terms = Terms(
        referrer_item=reader.text("referrer_item"),
        referred_item=reader.text("referred_item"),
        qualify_fen=reader.whole("qualify.min_amount_fen", qualify.pop("min_amount_fen", 0)),
        per_day=reader.number("per_day"),
        total=reader.number("total"),
        hold_days=reader.number("hold_days", most=_MOST_DAYS),
        new_only=reader.flag("new_only"),
        link_days=reader.number("link_days", 30, 1, _MOST_DAYS),
    )
    made = Settings(
        terms,
        name=reader.text("name"),
        invitation_days=reader.number("invitation_days", 30, 1, _MOST_DAYS),
        qualify_days=reader.number("qualify_days", most=_MOST_DAYS),
        referrers=cast("Referrers", reader.one_of("referrers", "anyone", "tagged")),
        reward_words=cast("RewardWords", reader.one_of("reward_words", "outside_wechat", "always", "never")),
    )
    reader.faults.extend((f"qualify.{name}", "is not a key of this campaign") for name in qualify)
    if not reader.faults:
        reader.faults.extend(faults(terms))
    reader.finish()
    return made


class _Reader:
    """Takes a table apart; what does not fit is noted under its key."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._left = dict(table)
        self.faults: list[tuple[str, str]] = []

    def table(self, name: str) -> dict[str, Any]:
        value = self._left.pop(name, {})
        if not isinstance(value, dict):
            self.faults.append((name, "must be a table"))
            return {}
        return dict(value)

    def text(self, name: str) -> str:
        value = self._left.pop(name, "")
        if not isinstance(value, str):
            self.faults.append((name, "must be a text"))
            return ""
        return value

    def flag(self, name: str) -> bool:
        value = self._left.pop(name, True)
        if not isinstance(value, bool):
            self.faults.append((name, "must be true or false"))
            return True
        return value

    def number(self, name: str, default: int = 0, least: int = 0, most: int = MAX_FEN) -> int:
        return self.whole(name, self._left.pop(name, default), least, most)

    def whole(self, path: str, value: Any, least: int = 0, most: int = MAX_FEN) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            self.faults.append((path, "must be a whole number"))
            return least
        if not least <= value <= most:
            self.faults.append((path, f"must be {least} to {most}"))
            return least
        return value

    def one_of(self, name: str, *choices: str) -> str:
        value = self._left.pop(name, choices[0])
        if value not in choices:
            self.faults.append((name, "must be one of " + ", ".join(choices)))
            return choices[0]
        return str(value)

    def finish(self) -> None:
        self.faults.extend((name, "is not a key of this campaign") for name in self._left)
        if self.faults:
            raise BadConfig(self.faults)
