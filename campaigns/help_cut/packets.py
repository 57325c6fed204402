"""Red packets (R137–R142): given to helpers, sent to their wallets, taken back when nobody comes for them.

A packet was set aside in the campaign's budget when its session began. Given, it is spent: the money goes from the
campaign's account to the helper's, and from there out to his wallet. What can't be sent yet stays his.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from campaigns.help_cut import tables
from campaigns.help_cut.rules import retry_after, unclaimed
from gateway.contract.account import fund, person_rewards
from gateway.contract.campaign import CampaignView, PayoutMoved, Verdict
from gateway.contract.clock import from_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.payout import Payee
from gateway.contract.store import Row, Tx
from gateway.ledger import book, budget

SPARE: Final = "spare"
"""The part of a session's reserve that its packets, drawn one by one, have left of count × cap (R140)."""

_WAITS: Final = {
    "payout_in_flight": timedelta(minutes=1),
    "below_least": timedelta(days=1),
    "no_way": timedelta(hours=1),
}


def part(place: int) -> str:
    """The name of a packet's part in the budget."""
    return f"packet-{place}"


def reserve_parts(amounts: Sequence[int], reserve_fen: int) -> list[tuple[str, int]]:
    """What a session reserves in the budget: each packet by itself, and what is left of its whole reserve."""
    parts = [(part(place), amount) for place, amount in enumerate(amounts, start=1)]
    spare = reserve_fen - sum(amounts)
    return [*parts, (SPARE, spare)] if spare else parts


def give(
    tx: Tx, house: House, campaign: CampaignView, session: str, helper: str, invitation: str, now: datetime
) -> int | None:
    """The session's next packet for a helper; its amount, None when none was left (R141)."""
    place = tables.next_packet(tx, session)
    if place is None:
        return None
    amount = tables.grant_packet(tx, session, place, helper, invitation, now)
    budget.consume(tx, session, part(place))
    book.transfer(
        tx,
        house.ids.new("tr", now),
        f"help_cut:{session}:{place}:granted",
        fund(campaign.slug),
        person_rewards(helper),
        amount,
        "help_cut_packet",
        now,
    )
    send(tx, house, campaign, helper, now)
    return amount


def send(tx: Tx, house: House, campaign: CampaignView, helper: str, now: datetime) -> None:
    """Begin to pay out what a helper was given in this campaign and does not have yet, in one sum.

    Where that can't be done (too little for the platform, no wallet known, a payout under way), it waits.
    """
    tx.lock(f"help_cut:helper:{campaign.slug}:{helper}")
    waiting = tables.waiting_packets(tx, campaign.slug, helper)
    if not waiting:
        return
    obstacle = _pay_out(tx, house, campaign, helper, waiting, now)
    if obstacle == "above_most" and len(waiting) > 1:
        # Together too much for one payout: the oldest goes by itself, the others after it.
        obstacle = _pay_out(tx, house, campaign, helper, waiting[:1], now)
        waiting = waiting if obstacle else waiting[1:]
        obstacle = obstacle or "payout_in_flight"
    if not obstacle:
        return
    if obstacle not in _WAITS:
        house.incident(tx, "help_cut_unpaid", campaign.slug, f"{waiting[0]['session']} {obstacle}", now)
    tables.hold_back(tx, waiting, obstacle, now + _WAITS.get(obstacle, timedelta(hours=1)))


def _pay_out(tx: Tx, house: House, campaign: CampaignView, helper: str, packets: Sequence[Row], now: datetime) -> str:
    """One payout of these packets; why it could not be begun, "" where it was."""
    first = packets[0]
    name = f"{first['session']}:{first['place']}"
    try:
        with tx.savepoint():
            payout = house.pay_out(
                tx,
                campaign,
                person_rewards(helper),
                Payee(person=helper),
                sum(packet["amount_fen"] for packet in packets),
                # A packet that failed once goes out under a new number, and never under an old one.
                f"help_cut:{name}:{first['tries']}",
                name,
                now,
            )
    except Refused as refused:
        return refused.code
    tables.send_packets(tx, packets, payout.id, now)
    if payout.state == "settled":
        tables.close_packets(tx, payout.id, now)
    return ""


def moved(tx: Tx, event: PayoutMoved, now: datetime) -> Verdict | None:
    """A payout has come to a new state: its packets are paid, or wait for another try (R142)."""
    if event.state == "settled":
        return Verdict("done", "packets_paid") if tables.close_packets(tx, event.payout, now) else None
    if event.state != "failed":
        return None
    packets = tables.packets_sent_with(tx, event.payout)
    for packet in packets:
        tables.fail_packet(tx, packet, event.reason or "failed", now + retry_after(packet["tries"]), now)
    return Verdict("done", "packets_failed") if packets else None


def take_back(tx: Tx, house: House, campaign: CampaignView, packet: Row, now: datetime) -> bool:
    """A packet that nobody came for within a day: its money is the merchant's again (R142); whether it went."""
    helper, name = packet["helper"], f"{packet['session']}:{packet['place']}"
    try:
        with tx.savepoint():
            if not tables.expire_packet(tx, packet, now):
                return False
            book.transfer(
                tx,
                house.ids.new("tr", now),
                f"help_cut:{name}:expired",
                person_rewards(helper),
                fund(campaign.slug),
                packet["amount_fen"],
                "help_cut_packet_expired",
                now,
            )
    except book.Overdrawn as gone:
        house.incident(tx, "help_cut_unpaid", campaign.slug, f"{name} {type(gone).__name__}", now)
        return False
    budget.unspend(tx, packet["session"], part(packet["place"]))
    budget.give_back(tx, packet["session"], part(packet["place"]))
    return True


def sweep(tx: Tx, house: House, campaign: CampaignView, now: datetime, most: int) -> int:
    """Try again what could not be sent, and take back what was not claimed; how many helpers that concerned."""
    helpers = tables.waiting_helpers(tx, campaign.slug, now, most)
    # In one order for all, before anything is written: two workers never wait for each other.
    for helper in sorted(helpers):
        tx.lock(f"help_cut:helper:{campaign.slug}:{helper}")
    for helper in helpers:
        for packet in tables.waiting_packets(tx, campaign.slug, helper):
            if unclaimed(from_text(packet["granted_at"]), packet["obstacle"], now):
                take_back(tx, house, campaign, packet, now)
        send(tx, house, campaign, helper, now)
    return len(helpers)
