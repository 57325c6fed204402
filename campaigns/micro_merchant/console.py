"""What staff see of a micro-merchant campaign: records to review, purchases, rewards, payouts to approve."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from campaigns.micro_merchant import members, paying, rewarding, tables
from campaigns.micro_merchant.accounts import rewards
from campaigns.micro_merchant.rules import MEMBER_MOVES, MemberState
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import GoTo, Seen, Show, Visit
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx

A_PAGE: Final = 50
_STATES: Final = tuple(MEMBER_MOVES)
_REWARD_STATES: Final = ("pending", "confirmed", "cancelled")
_ACTIONS: Final[dict[str, MemberState]] = {
    "approve": "approved",
    "reject": "rejected",
    "suspend": "suspended",
    "close": "closed",
}


def member_list(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """Records, newest first; those that wait for a review are what the page opens with."""
    state = visit.query.get("state", "applied")
    state = state if state in _STATES else ""
    before = visit.query.get("before", "")[:64]

    def look(tx: Tx) -> tuple[list[Row], dict[str, int]]:
        rows = tables.members(tx, campaign.slug, state, before, A_PAGE + 1)
        return rows, tables.counted(tx, campaign.slug)

    rows, counted = house.store.read(look)
    values = {
        **_common(house, campaign, "members"),
        "rows": [{"row": row, "alias": _alias(house, row)} for row in rows[:A_PAGE]],
        "state": state,
        "states": _STATES,
        "counted": counted,
        "is_turned": bool(before),
        "following": _following(rows, "id"),
    }
    return Show("micro_merchant/admin_members.html", values)


def member(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """One record as it was sent, and what may be decided about it (R101)."""
    id_ = visit.values["member"]
    fault = ""
    if visit.method == "POST":
        to = _ACTIONS.get(visit.form.get("action", ""))
        if to is None:
            raise Refused("invalid", 422, fields={"action": "is none"})
        reason = visit.form.get("reason", "").strip()
        if len(reason) > members.LONGEST_REASON:
            fault = "reason_long"
        elif to in ("rejected", "suspended", "closed") and not reason:
            fault = "reason"
        else:
            who = _caller(visit)
            try:
                house.store.write(lambda tx: members.decide(tx, house, campaign, id_, to, who, reason, visit.now))
            except Refused as refused:
                if refused.status != HTTPStatus.CONFLICT:
                    raise
                fault = refused.code
            else:
                return GoTo(f"/admin/campaigns/{campaign.slug}/members/{id_}")

    def look(tx: Tx) -> dict[str, Any]:
        row = members.the(tx, campaign, id_)
        return {
            "row": row,
            "wechat_id": members.wechat_of(house, row),
            "balances": rewarding.balances(tx, id_),
            "payouts": house.payouts_of(tx, rewards(id_, "cash"), 10),
        }

    found = house.store.read(look)
    bank = members.bank_of(house, found["row"])
    values = {
        **_common(house, campaign, "members"),
        **found,
        "alias": _alias(house, found["row"]),
        "bank_name": bank.name if bank is not None else "",
        "moves": [action for action, to in _ACTIONS.items() if to in MEMBER_MOVES[found["row"]["state"]]],
        "fault": fault,
        "typed": visit.form.get("reason", "")[: members.LONGEST_REASON],
    }
    status = {"": 200, "reason": 422, "reason_long": 422}.get(fault, 409)
    return Show("micro_merchant/admin_member.html", values, status=status)


def order_list(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """The purchases that were told, newest first; a merchant's staff see theirs, and those of nobody in particular."""
    before = visit.query.get("before", "")[:64]
    scope = visit.caller.merchants if visit.caller is not None else frozenset[str]()

    def look(tx: Tx) -> list[dict[str, Any]]:
        rows = tables.orders(tx, campaign.slug, scope, before, A_PAGE + 1)
        return [
            {
                "row": row,
                "code": _code_of(tx, campaign, row["member"]),
                "buyer": house.alias(row["person"]) if row["person"] else "",
            }
            for row in rows
        ]

    rows = house.store.read(look)
    values = {
        **_common(house, campaign, "orders"),
        "rows": rows[:A_PAGE],
        "is_turned": bool(before),
        "following": rows[A_PAGE - 1]["row"]["id"] if len(rows) > A_PAGE else "",
    }
    return Show("micro_merchant/admin_orders.html", values)


def reward_list(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """The records of rewards; those that are pending are what the page opens with (R111)."""
    state = visit.query.get("state", "pending")
    state = state if state in _REWARD_STATES else ""
    before = visit.query.get("before", "")[:64]
    rows = house.store.read(lambda tx: tables.rewards(tx, campaign.slug, state, before, A_PAGE + 1))
    # A purchase has a row for each kind: a page ends between two purchases, so that none is cut.
    if len(rows) > A_PAGE:
        last = rows[A_PAGE]["order_id"]
        shown = [row for row in rows[:A_PAGE] if row["order_id"] != last] or rows[:A_PAGE]
        following = shown[-1]["order_id"]
    else:
        shown, following = rows, ""
    values = {
        **_common(house, campaign, "rewards"),
        "rows": shown,
        "state": state,
        "states": _REWARD_STATES,
        "is_turned": bool(before),
        "following": following,
    }
    return Show("micro_merchant/admin_rewards.html", values)


def payout_list(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """Payouts, newest first; one over the threshold waits here for a second member of staff (R115)."""
    fault = ""
    if visit.method == "POST":
        wanted, who = visit.form.get("payout", "")[:64], _caller(visit)
        if _wants_password(house, campaign, wanted, visit):
            # Its own page in the console asks for the password.
            return GoTo(f"/admin/payouts/{wanted}")
        try:
            house.store.write(lambda tx: paying.approve(tx, house, campaign, wanted, who, visit.now))
        except Refused as refused:
            if refused.status != HTTPStatus.CONFLICT:
                raise
            fault = refused.code
        else:
            return GoTo(f"/admin/campaigns/{campaign.slug}/payouts")
    before = visit.query.get("before", "")[:64]

    def look(tx: Tx) -> list[dict[str, Any]]:
        rows = tables.payouts(tx, campaign.slug, before, A_PAGE + 1)
        found = [{"row": row, "payout": house.payout(tx, row["payout"])} for row in rows]
        return [one for one in found if one["payout"] is not None]

    rows = house.store.read(look)
    values = {
        **_common(house, campaign, "payouts"),
        "rows": rows[:A_PAGE],
        "is_turned": bool(before),
        "following": rows[A_PAGE - 1]["row"]["id"] if len(rows) > A_PAGE else "",
        "fault": fault,
    }
    return Show("micro_merchant/admin_payouts.html", values, status=409 if fault else 200)


def _wants_password(house: House, campaign: CampaignView, payout: str, visit: Visit) -> bool:
    """Whether it moves more than goes without a password given just now (R205). Raises Refused `not_found`."""
    most = visit.caller.most_fen if visit.caller is not None else 0
    held = house.store.read(lambda tx: paying.the(tx, house, campaign, payout))
    return most is not None and held.amount_fen > most


def _common(house: House, campaign: CampaignView, here: str) -> dict[str, Any]:
    return {
        "campaign": campaign,
        "zone": house.catalogue().zone(None),
        "base": f"/admin/campaigns/{campaign.slug}",
        "tab": here,
    }


def _following(rows: list[Row], column: str) -> str:
    return str(rows[A_PAGE - 1][column]) if len(rows) > A_PAGE else ""


def _code_of(tx: Tx, campaign: CampaignView, member_id: str | None) -> str:
    row = tables.member(tx, campaign.slug, member_id) if member_id is not None else None
    return str(row["code"]) if row is not None else ""


def _alias(house: House, row: Row) -> str:
    """What staff call him: the pseudonym of his wallet, "" for one that staff entered themselves."""
    return house.alias(row["person"]) if row["person"] else ""


def _caller(visit: Visit) -> str:
    if visit.caller is None:
        raise Refused("forbidden", 403)
    return visit.caller.name
