"""What is told of a campaign, a session, an invitation: the same facts for the API's answers and for pages.

Nothing here names a person, an account or a packet that nobody has yet; seed, salt and split only of what is over.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any

from campaigns.help_cut import sessions, tables
from campaigns.help_cut.helping import Helped
from campaigns.help_cut.settings import Settings
from gateway.contract.campaign import CampaignView
from gateway.contract.clock import from_text
from gateway.contract.house import Catalogue, House
from gateway.contract.store import Row, Tx
from gateway.ledger import limits


def item_facts(catalogue: Catalogue, slug: str) -> dict[str, Any]:
    """The specific item, as buyer and helpers are told of it (R130, R138)."""
    item = catalogue.item(slug)
    merchant = catalogue.merchant(item.merchant) if item is not None else None
    return {
        "item": slug,
        "name": item.name if item is not None else slug,
        "merchant": merchant.name if merchant is not None else "",
        "value_fen": item.value_fen if item is not None else 0,
        "price_fen": item.price_fen if item is not None else 0,
    }


def terms_facts(settings: Settings) -> dict[str, Any]:
    """Price, ladder and packet policy, as they are shown before anybody starts (R130, R144)."""
    ladder, policy = settings.ladder, settings.policy
    prices = [ladder.price_after(helps) for helps in range(settings.helpers + 1)]
    cuts = {before - after for before, after in pairwise(prices)}
    return {
        "price_fen": ladder.price_fen,
        "floor_price_fen": ladder.floor_price_fen,
        "helpers": settings.helpers,
        "prices_fen": prices,
        "each_cut_fen": cuts.pop() if len(cuts) == 1 else None,
        "packets": policy.packets,
        "packet_floor_fen": policy.floor_fen,
        "packet_cap_fen": policy.cap_fen,
        "total_fen": policy.total_fen,
        "on_deadline": settings.on_deadline,
    }


def left_to_sell(tx: Tx, campaign: CampaignView) -> int:
    """How many of the campaign's quantity are neither sold nor being paid for."""
    limit = sessions.stock_limit(campaign)
    row = tx.one("SELECT n FROM counters WHERE name = :name", {"name": limit.name})
    return max(0, limit.cap - (int(row["n"]) if row is not None else 0))


def can_start(tx: Tx, campaign: CampaignView, now: datetime) -> str:
    """Why nobody can start a session now: a stable word, "" when one can."""
    if not campaign.is_open(now):
        return "not_live"
    if limits.reached(tx, [sessions.stock_limit(campaign)]) is not None:
        return "sold_out"
    return ""


def campaign_facts(tx: Tx, house: House, campaign: CampaignView, now: datetime) -> dict[str, Any]:
    """What a buyer is told before he starts."""
    settings: Settings = campaign.settings
    return {
        **terms_facts(settings),
        "item": item_facts(house.catalogue(), settings.item),
        "quantity": settings.quantity,
        "left": left_to_sell(tx, campaign),
        "refused": can_start(tx, campaign, now),
    }


def session_facts(tx: Tx, house: House, session: Row, now: datetime) -> dict[str, Any]:
    """A session as it stands: `GET /sessions/<s>`. `reveal` only when it is over."""
    terms = sessions.terms_of(session)
    state, reason = sessions.standing(session, now)
    is_over = state in sessions.OVER
    packets = tables.packets_of(tx, session["id"])
    facts = {
        "session": session["id"],
        "state": state,
        "reason": reason,
        "item": item_facts(house.catalogue(), terms.item),
        "price_fen": session["price_fen"],
        "next_cut_fen": terms.ladder.next_cut(session["helps"]),
        "floor_price_fen": terms.ladder.floor_price_fen,
        "helps": session["helps"],
        "helpers": terms.helpers,
        "packets": [_packet(packet, is_over=is_over) for packet in packets],
        "invitations": [_invitation(row, now) for row in tables.invitations_of(tx, session["id"])],
        "commitment": session["commitment"],
        "designate_until": session["designate_until"],
        "deadline": session["deadline"],
        "pay_until": session["pay_until"],
    }
    if is_over:
        facts["reveal"] = reveal(tx, session)
    return facts


def reveal(tx: Tx, session: Row) -> dict[str, Any]:
    """What was kept until the end: with it anybody can make the split anew and compare it with the commitment."""
    split = [packet["amount_fen"] for packet in tables.packets_of(tx, session["id"])]
    return {"seed": session["seed"], "salt": session["salt"], "split": split}


def _packet(packet: Row, *, is_over: bool) -> dict[str, Any]:
    was_given = packet["helper"] is not None
    return {
        "place": packet["place"],
        "state": packet["state"],
        "amount_fen": packet["amount_fen"] if was_given or is_over else None,
    }


def invitation_state(invitation: Row, now: datetime) -> str:
    """Its state at `now`, whether or not the worker has noted that its time is over."""
    state: str = invitation["state"]
    if state in {"sent", "viewed"} and now >= from_text(invitation["expires_at"]):
        return "timed_out"
    return state


def _invitation(row: Row, now: datetime) -> dict[str, Any]:
    return {
        "invitation": row["id"],
        "type": row["type"],
        "state": invitation_state(row, now),
        "packet": row["result"] or None,
        "expires_at": row["expires_at"],
    }


def helped_facts(house: House, helped: Helped) -> dict[str, Any]:
    """What an agreement brought, with the item's information (R138)."""
    terms = sessions.terms_of(helped.session)
    facts: dict[str, Any] = {"packet": helped.result}
    if helped.amount_fen is not None:
        facts["amount_fen"] = helped.amount_fen
    if helped.reason:
        facts["reason"] = helped.reason
    return {
        **facts,
        "invitation": helped.invitation["id"],
        "session": helped.session["id"],
        "price_fen": helped.session["price_fen"],
        "helps": helped.session["helps"],
        "item": item_facts(house.catalogue(), terms.item),
    }
