"""Quota codes (R163): made in batches, each admits so many merchants; without one a merchant takes no part.

unused → bound (somebody was admitted, places are left) → used_up; void at any time, and then those it had admitted
take part no longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from campaigns.two_sided.rules import CodeState
from campaigns.two_sided.settings import Settings
from gateway.contract.campaign import CampaignView
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.ids import RandomBytes
from gateway.contract.store import Row, Tx
from linkgen.codes import is_code, new_code, normalise

MOST_AT_ONCE: Final = 1000
MOST_USES: Final = 100_000


@dataclass(frozen=True, slots=True)
class QuotaCode:
    """A code as it stands. `users` 0: it pays for any number of payers."""

    code: str
    state: CodeState
    uses: int
    used: int
    users: int
    made_at: str


def state_of(used: int, uses: int, *, is_void: bool) -> CodeState:
    """Pure: what a code is called."""
    if is_void:
        return "void"
    if used >= uses:
        return "used_up"
    return "bound" if used else "unused"


def make(
    tx: Tx, random: RandomBytes, campaign: CampaignView, count: int, uses: int, users: int, who: str, now: datetime
) -> list[str]:
    """A batch of fresh codes. Raises Refused 422 `invalid`, 409 `not_live` (over) and `limit` (`left`)."""
    fields = {}
    if not 1 <= count <= MOST_AT_ONCE:
        fields["count"] = f"must be 1 to {MOST_AT_ONCE}"
    if not 1 <= uses <= MOST_USES:
        fields["uses"] = f"must be 1 to {MOST_USES}"
    if not 0 <= users <= MOST_USES:
        fields["users"] = f"must be 0 to {MOST_USES}"
    if fields:
        raise Refused("invalid", 422, fields=fields)
    _must_not_be_over(campaign)
    settings: Settings = campaign.settings
    if settings.most_codes:
        tx.lock(f"two_sided_codes:{campaign.slug}")
        row = tx.one(
            "SELECT count(*) AS n FROM two_sided_codes WHERE campaign = :campaign AND voided_at IS NULL",
            {"campaign": campaign.slug},
        )
        left = settings.most_codes - (row["n"] if row is not None else 0)
        if count > left:
            raise Refused("limit", 409, left=max(left, 0))
    made: list[str] = []
    while len(made) < count:
        code = new_code(random)
        made += [code] if _insert(tx, campaign.slug, code, uses, users, who, now) else []
    return made


def _insert(tx: Tx, campaign: str, code: str, uses: int, users: int, who: str, now: datetime) -> bool:
    return bool(
        tx.run(
            "INSERT INTO two_sided_codes (code, campaign, uses, users, made_at, made_by) "
            "VALUES (:code, :campaign, :uses, :users, :now, :who) ON CONFLICT (code) DO NOTHING",
            {"code": code, "campaign": campaign, "uses": uses, "users": users, "now": to_text(now), "who": who},
        )
    )


def bind(tx: Tx, campaign: CampaignView, merchant: str, typed: str, who: str, now: datetime) -> bool:
    """Admit a merchant by a code; False where this very code had admitted him before, and then nothing changes.

    Raises Refused: 404 `no_such_code`; 409 `code_used_up`, `code_void`, `already_bound` (by another code), `not_live`.
    """
    _must_not_be_over(campaign)
    code = normalise(typed)
    known = None
    if is_code(code):
        known = tx.one(
            "SELECT voided_at FROM two_sided_codes WHERE code = :code AND campaign = :campaign",
            {"code": code, "campaign": campaign.slug},
        )
    if known is None:
        raise Refused("no_such_code", 404)
    if known["voided_at"] is not None:
        raise Refused("code_void", 409)
    tx.lock(f"two_sided_merchant:{campaign.slug}:{merchant}")
    admitted = admission(tx, campaign.slug, merchant)
    if admitted is not None:
        if admitted["code"] == code:
            return False
        raise Refused("already_bound", 409)
    # The conditional update decides between two who come at once, whatever was read before.
    taken = tx.run(
        "UPDATE two_sided_codes SET used = used + 1 WHERE code = :code AND used < uses AND voided_at IS NULL",
        {"code": code},
    )
    if not taken:
        raise Refused("code_used_up", 409)
    tx.run(
        "INSERT INTO two_sided_merchants (campaign, merchant, code, joined_at, joined_by) "
        "VALUES (:campaign, :merchant, :code, :now, :who) ON CONFLICT (campaign, merchant) "
        "DO UPDATE SET code = :code, joined_at = :now, joined_by = :who",
        {"campaign": campaign.slug, "merchant": merchant, "code": code, "now": to_text(now), "who": who},
    )
    return True


def admission(tx: Tx, campaign: str, merchant: str) -> Row | None:
    """By which code (`code`, `users`) a merchant takes part now; None for one who does not."""
    return tx.one(
        "SELECT m.code, m.joined_at, c.users FROM two_sided_merchants m JOIN two_sided_codes c ON c.code = m.code "
        "WHERE m.campaign = :campaign AND m.merchant = :merchant AND c.voided_at IS NULL",
        {"campaign": campaign, "merchant": merchant},
    )


def void(tx: Tx, campaign: CampaignView, typed: str, now: datetime) -> CodeState:
    """End a code, and with it the part of those it admitted; twice changes nothing. Raises Refused `no_such_code`."""
    code = normalise(typed)
    found = tx.one(
        "UPDATE two_sided_codes SET voided_at = coalesce(voided_at, :now) WHERE code = :code AND campaign = :campaign "
        "RETURNING code",
        {"code": code, "campaign": campaign.slug, "now": to_text(now)},
    )
    if found is None:
        raise Refused("no_such_code", 404)
    return "void"


def codes(tx: Tx, campaign: str, after: str = "", most: int = 50) -> Sequence[QuotaCode]:
    """The campaign's codes by their text, after one of them."""
    rows = tx.all(
        "SELECT * FROM two_sided_codes WHERE campaign = :campaign AND code > :after ORDER BY code LIMIT :most",
        {"campaign": campaign, "after": after, "most": most},
    )
    return [
        QuotaCode(
            row["code"],
            state_of(row["used"], row["uses"], is_void=row["voided_at"] is not None),
            row["uses"],
            row["used"],
            row["users"],
            row["made_at"],
        )
        for row in rows
    ]


def members(tx: Tx, campaign: str) -> Sequence[Row]:
    """Who takes part, by name: merchant, code, users, joined_at, joined_by."""
    return tx.all(
        "SELECT m.merchant, m.code, m.joined_at, m.joined_by, c.users FROM two_sided_merchants m "
        "JOIN two_sided_codes c ON c.code = m.code WHERE m.campaign = :campaign AND c.voided_at IS NULL "
        "ORDER BY m.merchant",
        {"campaign": campaign},
    )


def _must_not_be_over(campaign: CampaignView) -> None:
    if campaign.state in {"ended", "archived"}:
        raise Refused("not_live", 409, state=campaign.state)
