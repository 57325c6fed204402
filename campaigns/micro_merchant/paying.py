"""Payouts of a member's cash to his bank account (R113–R115). The house holds, sends and settles; here is who may."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from campaigns.micro_merchant import accounts, members, rewarding, tables
from campaigns.micro_merchant.rules import ACCOUNT_LOCK, PayoutFacts, Terms, needs_four_eyes, payout_refusal
from gateway.contract.campaign import CampaignView, PayoutMoved
from gateway.contract.clock import from_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.payout import OPEN, Payee, Payout
from gateway.contract.store import Row, Tx
from gateway.ledger import book

_MOST_A_DAY: Final = 500
BEGUN: Final = "payout"
RETURNED: Final = "payout_back"
PAYABLE: Final = frozenset({"approved", "closed"})
"""Who leaves is paid what he has earned; who is suspended waits until it is clear why."""


def facts(tx: Tx, house: House, row: Row, amount_fen: int, now: datetime) -> PayoutFacts:
    """What is known when a member asks for `amount_fen`."""
    account = accounts.rewards(row["id"], "cash")
    payouts = house.payouts_of(tx, account, _MOST_A_DAY)
    zone = house.catalogue().zone(None)
    today = now.astimezone(zone).date()
    paid_today = sum(
        payout.amount_fen
        for payout in payouts
        if payout.state != "failed" and payout.created_at.astimezone(zone).date() == today
    )
    return PayoutFacts(
        amount_fen=amount_fen,
        balance_fen=book.balance(tx, account),
        paid_today_fen=paid_today,
        in_flight=any(payout.state in OPEN for payout in payouts),
        has_account=row["bank_sealed"] is not None,
        account_changed_at=from_text(row["bank_changed_at"]) if row["bank_changed_at"] else None,
        now=now,
    )


def pay_out(
    tx: Tx, house: House, campaign: CampaignView, id_: str, amount_fen: int, key: str, begun_by: str, now: datetime
) -> Payout:
    """Begin a payout, once per `key`. Raises Refused 404 `not_found`, 409 `not_approved` and what the rule says."""
    # Of two who ask at the same moment, the second one sees the first one's payout.
    tx.lock(rewarding.lock_of(id_))
    row = members.the(tx, campaign, id_)
    if row["state"] not in PAYABLE:
        raise Refused("not_approved", 409, state=row["state"])
    terms: Terms = campaign.settings.terms
    known = facts(tx, house, row, amount_fen, now)
    word = payout_refusal(terms, known)
    if word:
        raise _refused(word, terms, known)
    bank = members.bank_of(house, row)
    assert bank is not None
    made = house.pay_out(
        tx,
        campaign,
        accounts.rewards(id_, "cash"),
        Payee(bank_account=bank.number, name=bank.name),
        amount_fen,
        key,
        id_,
        now,
        begun_by=begun_by,
        second_approval=needs_four_eyes(terms, amount_fen),
    )
    if not tables.has_entry(tx, id_, made.id, BEGUN):
        rewarding.enter(tx, house, (id_, "cash", ""), -amount_fen, BEGUN, made.id, now)
    return made


def _refused(word: str, terms: Terms, known: PayoutFacts) -> Refused:
    if word == "below_least":
        return Refused(word, 409, least_fen=max(terms.payout_min_fen, 1))
    if word == "limit":
        return Refused(word, 409, left_fen=max(terms.payout_day_cap_fen - known.paid_today_fen, 0))
    if word == "account_locked":
        assert known.account_changed_at is not None
        return Refused(word, 409, until=(known.account_changed_at + ACCOUNT_LOCK).isoformat())
    return Refused(word, 409)


def the(tx: Tx, house: House, campaign: CampaignView, payout: str) -> Payout:
    """A payout of this campaign. Raises Refused `not_found` 404."""
    found = house.payout(tx, payout)
    if found is None or found.campaign != campaign.slug:
        raise Refused("not_found", 404)
    return found


def approve(tx: Tx, house: House, campaign: CampaignView, payout: str, who: str, now: datetime) -> Payout:
    """The second pair of eyes (R115). Raises Refused 404 `not_found`, 409 `not_waiting`, `same_person`."""
    the(tx, house, campaign, payout)
    return house.approve_payout(tx, payout, who, now)


def bank_says(
    tx: Tx, house: House, campaign: CampaignView, payout: str, state: Literal["settled", "failed"], now: datetime
) -> Payout:
    """The sandbox bank's word. Raises Refused 404 `not_found`, 409 `bad_transition`."""
    the(tx, house, campaign, payout)
    return house.bank_says(tx, payout, state, "" if state == "settled" else "declined", now)


def moved(tx: Tx, house: House, campaign: CampaignView, event: PayoutMoved, now: datetime) -> None:
    """A payout failed, so its money is back: what the member owes is taken from it (R119)."""
    member = event.about
    if event.state != "failed" or tables.member(tx, campaign.slug, member) is None:
        return
    tx.lock(rewarding.lock_of(member))
    if tables.has_entry(tx, member, event.payout, RETURNED):
        return
    rewarding.enter(tx, house, (member, "cash", ""), event.amount_fen, RETURNED, event.payout, now)
    rewarding.pay_debt(tx, house, member, "cash", "", now)
