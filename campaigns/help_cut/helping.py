"""Being asked for help: an invitation is opened, agreed to or declined, and brings its result (R134–R138, R147).

An invitation belongs to one person: to whom the named openid stands for, else to whoever opened it first, signed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from campaigns.help_cut import packets, sessions, tables
from campaigns.help_cut.rules import Help, PacketResult, ineligible, packet_result, pay_until, refusal
from crypto.tokens import looks_like_token, token_digest
from gateway.contract.campaign import CampaignView
from gateway.contract.clock import from_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx
from gateway.ledger import limits
from gateway.ledger.limits import Limit

_GONE: Final = frozenset({"too_late"})


@dataclass(frozen=True, slots=True)
class Helped:
    """What an agreement brought: the result's type (R138), the packet's amount, why he is not eligible."""

    result: PacketResult
    amount_fen: int | None
    reason: str
    invitation: Row
    session: Row


def by_token(tx: Tx, token: str) -> Row:
    """The invitation that a link opens. Raises Refused `not_found`."""
    row = tables.invitation_by_token(tx, token_digest(token)) if looks_like_token(token) else None
    if row is None:
        raise Refused("not_found", 404)
    return row


def find(tx: Tx, campaign: CampaignView, invitation: str) -> tuple[Row, Row]:
    """An invitation of this campaign and its session. Raises Refused `not_found`."""
    row = tables.invitation_of(tx, invitation)
    if row is None:
        raise Refused("not_found", 404)
    return row, sessions.find(tx, campaign, row["session"])


def look(tx: Tx, house: House, campaign: CampaignView, invitation: str, person: str, now: datetime) -> bool:
    """Somebody who is signed in opens it: it is his from now on, and has been seen; whether he is the buyer himself.

    Raises Refused `not_invited` (403) where it is another's, `not_found`.
    """
    _, session = find(tx, campaign, invitation)
    tables.lock_session(tx, session["id"])
    row, session = find(tx, campaign, invitation)
    group = _group(tx, house, person)
    if session["buyer"] in group:
        return True
    _must_be_his(tx, house, campaign, row, group)
    if row["state"] == "sent" and now < from_text(row["expires_at"]):
        tables.bind_invitation(tx, row, group[0], now)
    return False


def agree(
    tx: Tx, house: House, campaign: CampaignView, invitation: str, person: str, device: str, now: datetime
) -> Helped:
    """A helper agrees: the price falls, and he may get a packet. The same person again is told the same.

    Raises Refused: `self_help` (the buyer, or his device), `session_over`, `revoked`, `declined`, `not_live` 409;
    `not_invited` 403; `too_late` 410; `not_found` 404.
    """
    sessions.must_run(campaign)
    _, session = find(tx, campaign, invitation)
    tables.lock_session(tx, session["id"])
    row, session = find(tx, campaign, invitation)
    group = _group(tx, house, person)
    is_buyer = session["buyer"] in group or (bool(device) and device == session["device"])
    if not is_buyer:
        _must_be_his(tx, house, campaign, row, group)
        if row["state"] == "agreed":
            return helped(tx, row, session)
    today = _today(house, campaign, group[0], now)
    asked = Help(
        invitation=row["state"],
        session=sessions.standing(session, now)[0],
        is_late=now >= from_text(row["expires_at"]),
        is_buyer=is_buyer,
        helped_before=tables.agreed_by(tx, session["id"], group),
        helps_today=today[0].cap if today and limits.reached(tx, today) is not None else 0,
        helps_per_day=campaign.settings.helps_per_day,
        packets_left=session["packets"] - session["next_packet"],
        same_device=tables.agreed_on(tx, session["id"], device),
    )
    word = refusal(asked)
    if word:
        raise Refused(word, 410 if word in _GONE else 409)
    if packet_result(asked) == "not_eligible":
        return Helped("not_eligible", None, ineligible(asked), row, session)
    # Two sessions may ask the same helper at one moment: the counter is what holds his limit.
    if limits.take(tx, today) is not None:
        return Helped("not_eligible", None, "limit_day", row, session)
    return _count(tx, house, campaign, row, group[0], device, now)


def _count(
    tx: Tx, house: House, campaign: CampaignView, invitation: Row, helper: str, device: str, now: datetime
) -> Helped:
    session = sessions.held(tx, campaign, invitation["session"], now)
    terms = sessions.terms_of(session)
    amount = packets.give(tx, house, campaign, session["id"], helper, invitation["id"], now)
    result: PacketResult = "none_left" if amount is None else "granted"
    tables.note_agreed(tx, invitation, helper, device, result, now)
    helps = session["helps"] + 1
    tables.count_help(tx, session["id"], terms.ladder.price_after(helps))
    if session["state"] == "inviting" and helps >= terms.helpers:
        tables.settle_session(tx, session, "helped", now, pay_until(now, from_text(session["deadline"]), terms.pay))
    row, session = find(tx, campaign, invitation["id"])
    return helped(tx, row, session)


def decline(tx: Tx, house: House, campaign: CampaignView, invitation: str, person: str, now: datetime) -> Row:
    """A helper declines; `person` "" where somebody of the shop says it for him. Twice is the same.

    Raises Refused: `not_invited` 403; `agreed`, `revoked` 409; `too_late` 410; `not_found` 404.
    """
    _, session = find(tx, campaign, invitation)
    tables.lock_session(tx, session["id"])
    row, session = find(tx, campaign, invitation)
    if person:
        group = _group(tx, house, person)
        if session["buyer"] in group:
            raise Refused("self_help", 409)
        _must_be_his(tx, house, campaign, row, group)
    if row["state"] == "declined":
        return row
    if row["state"] == "timed_out" or (row["state"] in {"sent", "viewed"} and now >= from_text(row["expires_at"])):
        raise Refused("too_late", 410)
    if not tables.move_invitation(tx, row, "declined", now):
        raise Refused(row["state"], 409)
    return find(tx, campaign, invitation)[0]


def helped(tx: Tx, invitation: Row, session: Row) -> Helped:
    """What an agreed invitation brought."""
    packet = tables.packet_of(tx, invitation["id"])
    amount = packet["amount_fen"] if packet is not None else None
    return Helped(invitation["result"], amount, "", invitation, session)


def _group(tx: Tx, house: House, person: str) -> tuple[str, ...]:
    group = house.group(tx, person)
    if not group:
        raise Refused("not_found", 404)
    return group


def _must_be_his(tx: Tx, house: House, campaign: CampaignView, invitation: Row, group: tuple[str, ...]) -> None:
    if invitation["helper"] is not None:
        is_his = invitation["helper"] in group
    elif invitation["type"] == "openid":
        account = sessions.account_of(house, invitation)
        is_his = not set(group).isdisjoint(house.known_as(tx, campaign.circle, account))
    else:
        is_his = True
    if not is_his:
        raise Refused("not_invited", 403)


def _today(house: House, campaign: CampaignView, helper: str, now: datetime) -> list[Limit]:
    zone = house.catalogue().zone(None)
    name = f"help_cut:{campaign.slug}:helps:{helper}"
    return limits.windows(name, now, zone, per_day=campaign.settings.helps_per_day)
