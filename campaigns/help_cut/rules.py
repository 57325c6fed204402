"""The rule of help-to-cut, pure: what a packet policy may say, how a total is split, how far the price falls.

Amounts are fen. Chance comes in as a seed; the same seed and salt give the same split, so that a helper can check
afterwards that nobody changed it (`commitment`, `reveal`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Literal

SessionState = Literal["draft", "inviting", "settling", "won", "lost", "expired", "cancelled"]
InvitationState = Literal["sent", "viewed", "agreed", "declined", "timed_out", "revoked"]
PacketState = Literal["reserved", "granted", "paid", "expired", "failed"]
PacketResult = Literal["granted", "none_left", "not_eligible"]

OPEN_SESSIONS: Final = frozenset({"draft", "inviting", "settling"})
HELPABLE: Final = frozenset({"inviting", "settling"})
"""In these a help is taken: one who was asked in time is thanked, also when the last step of the price is done."""
OPEN_INVITATIONS: Final = frozenset({"sent", "viewed"})
CLAIM_FOR: Final = timedelta(hours=24)
UNCLAIMED: Final = frozenset({"no_way", "expired", "account", "name"})
"""Why a packet waits where that lies with the helper: no wallet of his is known, he did not confirm the transfer, his
wallet account takes none, or has no name."""
_DIGEST_BITS: Final = 256


@dataclass(frozen=True, slots=True)
class PacketPolicy:
    """How a session's red packets are made: `packets` of them, each within [floor, cap].

    `total_fen` None: each is drawn by itself (R140); else they sum to exactly that (R139).
    """

    packets: int
    cap_fen: int
    floor_fen: int = 1
    total_fen: int | None = None

    @property
    def reserve_fen(self) -> int:
        """What one session may cost at most, to be set aside before it starts (R148)."""
        return self.total_fen if self.total_fen is not None else self.packets * self.cap_fen


def policy_faults(policy: PacketPolicy, helpers: int) -> Iterator[tuple[str, str]]:
    """(name in the apply file, why) for each thing that cannot be (R132)."""
    if policy.packets < 1:
        yield "packets", "must be at least 1"
    if policy.floor_fen < 1:
        yield "packet_floor_fen", "must be at least 1"
    if policy.cap_fen < policy.floor_fen:
        yield "packet_cap_fen", f"is below the smallest packet of {policy.floor_fen} fen"
    elif policy.packets >= 1 and policy.total_fen is not None:
        least, most = policy.packets * policy.floor_fen, policy.packets * policy.cap_fen
        if policy.total_fen < least:
            yield (
                "total_fen",
                f"is less than {policy.packets} packets of at least {policy.floor_fen} fen need ({least})",
            )
        if policy.total_fen > most:
            yield "total_fen", f"is more than {policy.packets} packets of at most {policy.cap_fen} fen hold ({most})"
    if helpers < 1:
        yield "helpers", "must be at least 1"


class _Draws:
    """Uniform whole numbers from a seed and a salt: SHA-256 in counter mode, the excess of a range thrown away."""

    def __init__(self, seed: bytes, salt: bytes) -> None:
        self._seed = seed
        self._salt = salt
        self._count = 0

    def between(self, low: int, high: int) -> int:
        """One of low … high, each equally likely."""
        span = high - low + 1
        # The largest multiple of the span below 2²⁵⁶: what lies above would favour the small numbers.
        fair = (1 << _DIGEST_BITS) // span * span
        while True:
            block = sha256(self._seed + self._salt + self._count.to_bytes(8, "big")).digest()
            self._count += 1
            number = int.from_bytes(block, "big")
            if number < fair:
                return low + number % span


def split(policy: PacketPolicy, seed: bytes, salt: bytes) -> tuple[int, ...]:
    """The packets of one session, in the order in which they are given out (R139, R140, R141).

    For the i-th of n, with `rest` fen and m packets after it, drawn uniformly from what leaves the others feasible and
    is at most twice an equal share; the last takes the rest. Raises ValueError for a policy with faults.
    """
    if any(True for _ in policy_faults(policy, 1)):
        raise ValueError("this policy has faults")
    draws = _Draws(seed, salt)
    if policy.total_fen is None:
        return tuple(draws.between(policy.floor_fen, policy.cap_fen) for _ in range(policy.packets))
    rest = policy.total_fen
    packets = []
    for after in range(policy.packets - 1, 0, -1):
        low = max(policy.floor_fen, rest - after * policy.cap_fen)
        high = min(policy.cap_fen, rest - after * policy.floor_fen, 2 * (rest // (after + 1)))
        packet = draws.between(low, max(low, high))
        packets.append(packet)
        rest -= packet
    return (*packets, rest)


def commitment(seed: bytes, salt: bytes, packets: Sequence[int]) -> str:
    """What is published when a session starts: SHA-256, in hex, of `seed:salt:p1,p2,…` (seed and salt in hex).

    With the seed and salt, told when the session is over, anybody can make the split anew and compare.
    """
    told = f"{seed.hex()}:{salt.hex()}:{','.join(str(packet) for packet in packets)}"
    return sha256(told.encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Ladder:
    """How the price falls: the i-th help cuts `cuts_fen[min(i, len) − 1]`, never below the floor price (R144)."""

    price_fen: int
    floor_price_fen: int
    cuts_fen: tuple[int, ...]
    helpers: int

    def price_after(self, helps: int) -> int:
        """What the item costs after so many agreed helps."""
        cut = sum(self._cut(number) for number in range(1, helps + 1))
        return max(self.floor_price_fen, self.price_fen - cut)

    def next_cut(self, helps: int) -> int:
        """By how much one more help lowers the price; 0 at the floor."""
        return self.price_after(helps) - self.price_after(helps + 1)

    def _cut(self, number: int) -> int:
        return self.cuts_fen[min(number, len(self.cuts_fen)) - 1] if self.cuts_fen else 0


def ladder_faults(ladder: Ladder) -> Iterator[tuple[str, str]]:
    """(name in the apply file, why): the floor must be reachable from the start with the announced helps (R144)."""
    if ladder.price_fen < 1:
        yield "price_fen", "must be at least 1"
    if not 0 <= ladder.floor_price_fen <= ladder.price_fen:
        yield "floor_price_fen", "must lie between 0 and price_fen"
    if not ladder.cuts_fen:
        yield "cut_fen", "names no cut"
    elif min(ladder.cuts_fen) < 0:
        yield "cut_fen", "holds a negative cut"
    elif ladder.helpers >= 1 and 0 <= ladder.floor_price_fen <= ladder.price_fen:
        reached = ladder.price_fen - sum(ladder._cut(number) for number in range(1, ladder.helpers + 1))  # noqa: SLF001
        if reached > ladder.floor_price_fen:
            yield (
                "floor_price_fen",
                f"is not reached by {ladder.helpers} helpers: they bring the price to {reached} fen",
            )


@dataclass(frozen=True, slots=True)
class Help:
    """What is known when somebody agrees to help."""

    invitation: InvitationState
    session: SessionState
    is_late: bool
    is_buyer: bool
    helped_before: bool
    helps_today: int
    helps_per_day: int
    packets_left: int
    same_device: bool = False


def refusal(asked: Help) -> str:
    """Why an agreement is refused: a stable word, "" when it counts as a help (R136, R137, R147)."""
    if asked.is_buyer:
        return "self_help"
    if asked.invitation not in OPEN_INVITATIONS:
        return {"timed_out": "too_late"}.get(asked.invitation, asked.invitation)
    if asked.is_late:
        return "too_late"
    if asked.session not in HELPABLE:
        return "session_over"
    return ""


def packet_result(asked: Help) -> PacketResult:
    """What kind of result an agreed help is told (R138): eligible ones get a packet as long as there are any."""
    if ineligible(asked):
        return "not_eligible"
    return "granted" if asked.packets_left > 0 else "none_left"


def ineligible(asked: Help) -> str:
    """Why one who may agree does not count as a help: a stable word, "" when he does (R137, R147)."""
    if asked.helped_before:
        return "helped_before"
    if asked.same_device:
        return "same_device"
    if asked.helps_per_day and asked.helps_today >= asked.helps_per_day:
        return "limit_day"
    return ""


@dataclass(frozen=True, slots=True)
class Times:
    """When a session's steps end: naming helpers, helping, paying once it is settling (None before)."""

    designate_until: datetime
    deadline: datetime
    pay_until: datetime | None


@dataclass(frozen=True, slots=True)
class Move:
    """A session's next state and the stable word for why."""

    state: SessionState
    reason: str


def by_clock(
    state: SessionState, times: Times, now: datetime, *, on_deadline: Literal["lost", "buy"], is_paying: bool
) -> Move | None:
    """Where time alone brings a session (R133, R146): None where it stays.

    Without helpers it ends with the time for naming them; short of helpers at its deadline it is lost, or may be
    bought as it stands. A price that was reached and not paid for expires, though not while an order is being paid.
    """
    if state == "draft" and now >= times.designate_until:
        return Move("expired", "no_helpers_named")
    if state == "inviting" and now >= times.deadline:
        return Move("settling", "deadline") if on_deadline == "buy" else Move("lost", "too_few_helps")
    if state == "settling" and times.pay_until is not None and now >= times.pay_until and not is_paying:
        return Move("expired", "unpaid")
    return None


def pay_until(reached_at: datetime, deadline: datetime, pay: timedelta) -> datetime:
    """Until when a price that stands can be paid for: to the session's deadline, and `pay` at least (R145)."""
    return max(deadline, reached_at + pay)


def open_in_wechat(*, switched_on: bool, is_mini_program: bool, is_from_shop: bool, is_direct: bool) -> bool:
    """Whether a page of the campaign opens inside WeChat (R149): its rules ban links that reward helping.

    On by the campaign's own switch; else for a mini program's pages, one who scanned the code in the shop, and one who
    was invited by his own account.
    """
    return switched_on or is_mini_program or is_from_shop or is_direct


def unclaimed(granted_at: datetime, obstacle: str, now: datetime) -> bool:
    """Whether a granted packet goes back (R142): a day has passed, and it is the helper's side that kept it waiting.

    One that is merely too small to be sent stays his, and is paid together with the next ones.
    """
    return now >= granted_at + CLAIM_FOR and obstacle in UNCLAIMED


def retry_after(tries: int) -> timedelta:
    """How long a failed payout waits before its next try: five minutes, doubled each time, six hours at most."""
    return min(timedelta(minutes=5 << min(tries, 10)), timedelta(hours=6))
