"""Friends who scan and confirm (R193, R195): bound once a person and campaign; what looks odd waits for staff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from campaigns.referral import invitations
from campaigns.referral.rules import ReferralState, Scan, binding
from campaigns.referral.settings import Settings
from campaigns.referral.tables import marks
from gateway.contract.campaign import CampaignView
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx

_RING_STEPS: Final = 8


@dataclass(frozen=True, slots=True)
class Bound:
    """What became of a confirmation. `reason` of a review: `ring`, `same_device`."""

    id: str
    state: Literal["bound", "review"]
    reason: str


def scan(tx: Tx, house: House, campaign: CampaignView, invitation: Row, person: str, now: datetime) -> None:
    """Note that a person has opened an invitation; his own, or one that is over, is not noted."""
    group = house.group(tx, person)
    if not group or not campaign.is_open(now) or invitations.is_over(invitation, now):
        return
    if invitation["person"] in group or of_friend(tx, campaign.slug, group) is not None:
        return
    _note(tx, house, campaign, invitation, min(group), now)


def bind(
    tx: Tx, house: House, campaign: CampaignView, invitation: Row, person: str, device: str, now: datetime
) -> Bound:
    """The friend confirms. `device`: an opaque name of his browser, "" where none is known.

    Raises Refused 409 `self_referral`, `already_bound`, `existing_customer`, `expired`, `not_live`; 404 `not_found`.
    """
    if not campaign.is_open(now):
        raise Refused("not_live", 409, state=campaign.state)
    group = house.group(tx, person)
    if not group:
        raise Refused("not_found", 404)
    # One at a time in a circle: two who confirm each other's invitations must see each other.
    tx.lock(f"referral:{campaign.circle}")
    settings: Settings = campaign.settings
    referrers = house.group(tx, invitation["person"]) or (invitation["person"],)
    on_paper = Scan(
        is_self=bool(set(group) & set(referrers)),
        bound_before=of_friend(tx, campaign.slug, group) is not None,
        # Whoever has left the circle was here before, too.
        is_tagged=house.tag(tx, campaign.circle, person, now).state in {"tagged", "opted_out"},
        closes_ring=_closes_ring(tx, house, campaign.circle, group, referrers),
        same_device=_shares_device(tx, house, campaign.slug, device, group),
        is_over=invitations.is_over(invitation, now),
    )
    word = binding(settings.terms, on_paper)
    if word not in {"bound", "review"}:
        raise Refused(word, 409)
    see_device(tx, house, campaign.slug, device, min(group), now)
    id_ = _note(tx, house, campaign, invitation, min(group), now)
    reason = ("ring" if on_paper.closes_ring else "same_device") if word == "review" else ""
    tx.run(
        "UPDATE referral_bindings SET state = :state, reason = :reason, bound_at = :now, moved_at = :now "
        "WHERE id = :id AND state = 'scanned'",
        {"state": word, "reason": reason, "now": to_text(now), "id": id_},
    )
    return Bound(id_, "review" if word == "review" else "bound", reason)


def _note(tx: Tx, house: House, campaign: CampaignView, invitation: Row, person: str, now: datetime) -> str:
    """The row of this person and invitation, made as `scanned` if there is none; its id."""
    tx.run(
        "INSERT INTO referral_bindings "
        "(id, campaign, circle, invitation, referrer, referred, state, reason, scanned_at, moved_at) "
        "VALUES (:id, :campaign, :circle, :invitation, :referrer, :referred, 'scanned', '', :now, :now) "
        "ON CONFLICT (invitation, referred) DO NOTHING",
        {
            "id": house.ids.new("rb", now),
            "campaign": campaign.slug,
            "circle": campaign.circle,
            "invitation": invitation["id"],
            "referrer": invitation["person"],
            "referred": person,
            "now": to_text(now),
        },
    )
    row = tx.one(
        "SELECT id FROM referral_bindings WHERE invitation = :invitation AND referred = :referred",
        {"invitation": invitation["id"], "referred": person},
    )
    assert row is not None  # there, or made a moment ago
    return str(row["id"])


def of_friend(tx: Tx, campaign: str, group: tuple[str, ...]) -> Row | None:
    """The one binding of a human in a campaign, whatever became of it; None for one who never confirmed."""
    names, params = marks("p", group)
    return tx.one(
        f"SELECT * FROM referral_bindings WHERE campaign = :campaign AND referred IN ({names}) "
        f"AND bound_at IS NOT NULL ORDER BY id LIMIT 1",
        {**params, "campaign": campaign},
    )


def of_referrer(tx: Tx, campaign: str, group: tuple[str, ...], most: int = 200, before: str = "") -> Sequence[Row]:
    """Everybody whom a human has brought, newest first, those who only scanned included."""
    names, params = marks("p", group)
    older = "AND id < :before " if before else ""
    return tx.all(
        f"SELECT * FROM referral_bindings WHERE campaign = :campaign AND referrer IN ({names}) {older}"
        f"ORDER BY id DESC LIMIT :most",
        {**params, "campaign": campaign, "most": most, "before": before},
    )


def in_state(
    tx: Tx,
    campaign: str,
    state: str = "",
    before: str = "",
    most: int = 50,
    merchants: frozenset[str] | None = None,
) -> Sequence[Row]:
    """The campaign's referrals, newest first; `state` "": all of them; `merchants`: those who paid at one of them."""
    params: dict[str, Any] = {"campaign": campaign, "most": most}
    wheres = "campaign = :campaign"
    for column, sign, value in (("state", "=", state), ("id", "<", before)):
        if value:
            wheres += f" AND {column} {sign} :{column}"
            params[column] = value
    if merchants is not None:
        names, more = marks("m", tuple(sorted(merchants)) or ("",))
        wheres += f" AND merchant IN ({names})"
        params.update(more)
    return tx.all(f"SELECT * FROM referral_bindings WHERE {wheres} ORDER BY id DESC LIMIT :most", params)


def by_id(tx: Tx, campaign: str, id_: str) -> Row:
    """The referral of that id. Raises Refused `not_found`."""
    row = tx.one(
        "SELECT * FROM referral_bindings WHERE id = :id AND campaign = :campaign", {"id": id_, "campaign": campaign}
    )
    if row is None:
        raise Refused("not_found", 404)
    return row


def see_device(tx: Tx, house: House, campaign: str, device: str, person: str, now: datetime) -> None:
    """Note which browser a person uses, referrers' included."""
    if device:
        tx.run(
            "INSERT INTO referral_devices (campaign, device, person, seen_at) "
            "VALUES (:campaign, :device, :person, :now) ON CONFLICT DO NOTHING",
            {"campaign": campaign, "device": _blind(house, device), "person": person, "now": to_text(now)},
        )


def _shares_device(tx: Tx, house: House, campaign: str, device: str, group: tuple[str, ...]) -> bool:
    if not device:
        return False
    names, params = marks("p", group)
    row = tx.one(
        f"SELECT person FROM referral_devices WHERE campaign = :campaign AND device = :device "
        f"AND person NOT IN ({names}) LIMIT 1",
        {**params, "campaign": campaign, "device": _blind(house, device)},
    )
    return row is not None


def _closes_ring(tx: Tx, house: House, circle: str, friend: tuple[str, ...], referrers: tuple[str, ...]) -> bool:
    """Whether the friend brought his referrer, or whoever brought him, in any campaign of the circle."""
    level: set[str] = set(referrers)
    seen: set[str] = set()
    for _ in range(_RING_STEPS):
        if not level:
            return False
        names, params = marks("p", tuple(sorted(level)))
        rows = tx.all(
            f"SELECT DISTINCT referrer FROM referral_bindings WHERE circle = :circle AND referred IN ({names}) "
            f"AND bound_at IS NOT NULL",
            {**params, "circle": circle},
        )
        above = {one for row in rows for one in (row["referrer"], *house.group(tx, row["referrer"]))}
        if above & set(friend):
            return True
        seen |= level
        level = above - seen
    return False


def move(tx: Tx, row: Row, to: ReferralState, reason: str, now: datetime, **columns: Any) -> bool:
    """Bring a referral to another state, if it still stands as it was read; more columns by name."""
    changed = "".join(f", {name} = :{name}" for name in columns)
    return bool(
        tx.run(
            f"UPDATE referral_bindings SET state = :to, reason = :reason, moved_at = :moved{changed} "
            f"WHERE id = :id AND state = :was",
            {**columns, "to": to, "reason": reason, "moved": to_text(now), "id": row["id"], "was": row["state"]},
        )
    )


def _blind(house: House, device: str) -> bytes:
    return house.blind(device, "referral/device")


def copy_for(tx: Tx, persons: tuple[str, ...]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """For a person's copy of what is kept: his browsers, by campaign and the time they were first seen."""
    names, params = marks("p", persons or ("",))
    rows = tx.all(
        f"SELECT campaign, seen_at FROM referral_devices WHERE person IN ({names}) ORDER BY campaign, seen_at", params
    )
    return {"referral_devices": [{"campaign": row["campaign"], "seen_at": row["seen_at"]} for row in rows]}


def forget(tx: Tx, persons: tuple[str, ...], now: datetime) -> int:
    """Nothing is left of his browsers; his invitations bind nobody any more; how many rows."""
    names, params = marks("p", persons or ("",))
    gone = tx.run(f"DELETE FROM referral_devices WHERE person IN ({names})", params)
    return gone + tx.run(
        f"UPDATE referral_invitations SET revoked_at = :now WHERE person IN ({names}) AND revoked_at IS NULL",
        {**params, "now": to_text(now)},
    )
