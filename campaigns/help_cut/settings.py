"""The apply table of a help-to-cut campaign: read, checked, every fault told with its key (R130–R132, R144)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final, Literal, get_args

from campaigns.help_cut.rules import Ladder, PacketPolicy, ladder_faults, policy_faults
from gateway.contract.errors import BadConfig
from gateway.contract.money import MAX_FEN

OnDeadline = Literal["lost", "buy"]

MOST_PEOPLE: Final = 1000
MOST_PIECES: Final = 1_000_000
MOST_MINUTES: Final = 366 * 24 * 60

_REQUIRED: Final = {
    "price_fen": (1, MAX_FEN),
    "floor_price_fen": (1, MAX_FEN),
    "quantity": (1, MOST_PIECES),
    "packets": (1, MOST_PEOPLE),
    "packet_cap_fen": (1, MAX_FEN),
    "helpers": (1, MOST_PEOPLE),
}
_OPTIONAL: Final = {
    "total_fen": (1, MAX_FEN),
    "packet_floor_fen": (1, MAX_FEN),
    "sessions": (1, MOST_PIECES),
    "designate_minutes": (1, MOST_MINUTES),
    "agree_minutes": (1, MOST_MINUTES),
    "deadline_minutes": (1, MOST_MINUTES),
    "pay_minutes": (1, 24 * 60),
    "helps_per_day": (0, MOST_PEOPLE),
    "per_person": (0, MOST_PIECES),
}
_OTHERS: Final = ("item", "cut_fen", "on_deadline", "in_wechat")
_KNOWN: Final = (*_OTHERS, *_REQUIRED, *_OPTIONAL)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a campaign sells, how its price falls, and what it pays to those who help.

    `quantity`: how many it sells in all; `sessions`: how many it pays packets for (R148). A help counts until
    `deadline` after the start, an invitation for `agree` after it was sent, helpers can be named for `designate`.
    `helps_per_day` and `per_person` (sessions one person may start): 0 for no limit.
    """

    item: str
    quantity: int
    sessions: int
    ladder: Ladder
    policy: PacketPolicy
    designate: timedelta
    agree: timedelta
    deadline: timedelta
    pay: timedelta
    on_deadline: OnDeadline
    helps_per_day: int
    per_person: int
    in_wechat: bool

    @property
    def helpers(self) -> int:
        """How many agreed helps it takes."""
        return self.ladder.helpers

    @property
    def funding_fen(self) -> int:
        """What all its sessions may cost in packets (R148)."""
        return self.sessions * self.policy.reserve_fen

    def terms(self) -> dict[str, Any]:
        """The table again, as `load_settings` reads it: what a session keeps, since later edits do not touch it."""
        table: dict[str, Any] = {
            "item": self.item,
            "price_fen": self.ladder.price_fen,
            "floor_price_fen": self.ladder.floor_price_fen,
            "cut_fen": list(self.ladder.cuts_fen),
            "helpers": self.helpers,
            "quantity": self.quantity,
            "sessions": self.sessions,
            "packets": self.policy.packets,
            "packet_cap_fen": self.policy.cap_fen,
            "packet_floor_fen": self.policy.floor_fen,
            "designate_minutes": _minutes(self.designate),
            "agree_minutes": _minutes(self.agree),
            "deadline_minutes": _minutes(self.deadline),
            "pay_minutes": _minutes(self.pay),
            "on_deadline": self.on_deadline,
            "helps_per_day": self.helps_per_day,
            "per_person": self.per_person,
            "in_wechat": self.in_wechat,
        }
        if self.policy.total_fen is not None:
            table["total_fen"] = self.policy.total_fen
        return table


def load_settings(table: Mapping[str, Any]) -> Settings:
    """The table's own part → settings. Raises BadConfig with every fault, the key as its path."""
    faults: list[tuple[str, str]] = [(key, _unknown(key)) for key in table if key not in _KNOWN]
    numbers: dict[str, int] = {}
    for key, (low, high) in {**_REQUIRED, **_OPTIONAL}.items():
        if key not in table:
            if key in _REQUIRED:
                faults.append((key, "is missing"))
        elif (number := _whole(table[key], low, high)) is None:
            faults.append((key, f"must be a whole number from {low} to {high}"))
        else:
            numbers[key] = number
    item = table.get("item")
    if not isinstance(item, str) or not item:
        faults.append(("item", "is missing" if item is None else "must be the name of an item"))
    faults += _other_faults(table)
    if faults:
        raise BadConfig(faults)
    settings = _settings(str(item), table, numbers)
    faults = list(_together(settings))
    if faults:
        raise BadConfig(faults)
    return settings


def _minutes(span: timedelta) -> int:
    return span // timedelta(minutes=1)


def _unknown(key: str) -> str:
    near = get_close_matches(key, _KNOWN, n=1)
    return "is no setting of this kind" + (f"; did you mean {near[0]}?" if near else "")


def _whole(value: Any, low: int, high: int) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        return None
    return value


def _other_faults(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    cuts = table.get("cut_fen")
    if cuts is None:
        yield "cut_fen", "is missing"
    elif (
        not isinstance(cuts, list | tuple)
        or not 1 <= len(cuts) <= MOST_PEOPLE
        or any(_whole(cut, 0, MAX_FEN) is None for cut in cuts)
    ):
        yield "cut_fen", f"must be a list of 1 to {MOST_PEOPLE} amounts in fen, none negative"
    if table.get("on_deadline", "lost") not in get_args(OnDeadline):
        yield "on_deadline", f"must be one of {', '.join(get_args(OnDeadline))}"
    if not isinstance(table.get("in_wechat", False), bool):
        yield "in_wechat", "must be true or false"


def _settings(item: str, table: Mapping[str, Any], numbers: Mapping[str, int]) -> Settings:
    agree = numbers.get("agree_minutes", 24 * 60)
    designate = numbers.get("designate_minutes", min(60, numbers.get("deadline_minutes", 60)))
    return Settings(
        item=item,
        quantity=numbers["quantity"],
        sessions=numbers.get("sessions", numbers["quantity"]),
        ladder=Ladder(numbers["price_fen"], numbers["floor_price_fen"], tuple(table["cut_fen"]), numbers["helpers"]),
        policy=PacketPolicy(
            numbers["packets"],
            numbers["packet_cap_fen"],
            numbers.get("packet_floor_fen", 1),
            numbers.get("total_fen"),
        ),
        designate=timedelta(minutes=designate),
        agree=timedelta(minutes=agree),
        # Without a word of its own, the helper who was named last still has all of his time.
        deadline=timedelta(minutes=numbers.get("deadline_minutes", designate + agree)),
        pay=timedelta(minutes=numbers.get("pay_minutes", 15)),
        on_deadline=table.get("on_deadline", "lost"),
        helps_per_day=numbers.get("helps_per_day", 10),
        per_person=numbers.get("per_person", 0),
        in_wechat=table.get("in_wechat", False),
    )


def _together(settings: Settings) -> Iterator[tuple[str, str]]:
    yield from policy_faults(settings.policy, settings.helpers)
    yield from ladder_faults(settings.ladder)
    if settings.designate > settings.deadline:
        yield "designate_minutes", "is longer than deadline_minutes"
    if settings.funding_fen > MAX_FEN:
        yield "sessions", f"times what a session may cost is more than {MAX_FEN} fen"
