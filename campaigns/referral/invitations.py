"""Invitations (R191, R192): one standing token a referrer and campaign; reusable, expiring, revocable, made here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from campaigns.referral.settings import Settings
from campaigns.referral.tables import marks
from crypto.tokens import looks_like_token, new_token, token_digest
from gateway.contract.campaign import CampaignView
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation as its owner sees it. `is_new`: it was made just now."""

    id: str
    url: str
    expires_at: datetime
    is_new: bool = False


def invite(tx: Tx, house: House, campaign: CampaignView, person: str, now: datetime) -> Invitation:
    """The referrer's standing invitation, made if he has none.

    Raises Refused 409 `not_live`, `not_in_group` (the campaign wants tagged referrers), 404 `not_found`.
    """
    if not campaign.is_open(now):
        raise Refused("not_live", 409, state=campaign.state)
    group = house.group(tx, person)
    if not group:
        raise Refused("not_found", 404)
    settings: Settings = campaign.settings
    if settings.referrers == "tagged" and house.tag(tx, campaign.circle, person, now).state != "tagged":
        raise Refused("not_in_group", 409)
    tx.lock(f"referral_invite:{campaign.slug}:{min(group)}")
    known = standing(tx, house, campaign, person, now)
    if known is not None:
        return known
    id_, token = house.ids.new("ri", now), new_token(house.random)
    expires_at = now + timedelta(days=settings.invitation_days)
    if campaign.ends_at is not None:
        expires_at = min(expires_at, campaign.ends_at)
    tx.run(
        "INSERT INTO referral_invitations (id, campaign, circle, person, token_digest, sealed, made_at, expires_at) "
        "VALUES (:id, :campaign, :circle, :person, :digest, :sealed, :now, :expires)",
        {
            "id": id_,
            "campaign": campaign.slug,
            "circle": campaign.circle,
            "person": min(group),
            "digest": token_digest(token),
            "sealed": house.seal(token, _context(id_)),
            "now": to_text(now),
            "expires": to_text(expires_at),
        },
    )
    return Invitation(id_, _url(house, token), expires_at, is_new=True)


def standing(tx: Tx, house: House, campaign: CampaignView, person: str, now: datetime) -> Invitation | None:
    """The person's live invitation to a campaign; None without."""
    names, params = marks("p", house.group(tx, person) or (person,))
    row = tx.one(
        f"SELECT * FROM referral_invitations WHERE campaign = :campaign AND person IN ({names}) "
        f"AND revoked_at IS NULL AND expires_at > :now ORDER BY id DESC LIMIT 1",
        {**params, "campaign": campaign.slug, "now": to_text(now)},
    )
    if row is None:
        return None
    return Invitation(
        row["id"], _url(house, house.open(bytes(row["sealed"]), _context(row["id"]))), from_text(row["expires_at"])
    )


def revoke(tx: Tx, house: House, campaign: CampaignView, person: str, now: datetime) -> bool:
    """End every live invitation of the person; whether there was one. Friends who are bound stay bound."""
    names, params = marks("p", house.group(tx, person) or (person,))
    return bool(
        tx.run(
            f"UPDATE referral_invitations SET revoked_at = :now WHERE campaign = :campaign AND person IN ({names}) "
            f"AND revoked_at IS NULL",
            {**params, "campaign": campaign.slug, "now": to_text(now)},
        )
    )


def by_token(tx: Tx, token: str) -> Row | None:
    """The invitation that a landing page's address names, whatever became of it."""
    if not looks_like_token(token):
        return None
    return tx.one("SELECT * FROM referral_invitations WHERE token_digest = :digest", {"digest": token_digest(token)})


def by_id(tx: Tx, campaign: str, id_: str) -> Row:
    """The invitation of that id. Raises Refused `not_found`."""
    row = tx.one(
        "SELECT * FROM referral_invitations WHERE id = :id AND campaign = :campaign", {"id": id_, "campaign": campaign}
    )
    if row is None:
        raise Refused("not_found", 404)
    return row


def is_over(invitation: Row, now: datetime) -> bool:
    """Whether it was revoked or has run out."""
    return invitation["revoked_at"] is not None or invitation["expires_at"] <= to_text(now)


def _context(invitation: str) -> str:
    return f"referral/{invitation}"


def _url(house: House, token: str) -> str:
    return f"{house.base_url}/r/{token}"
