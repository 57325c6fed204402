"""The calls under `/api/v1/campaigns/<id>` of a micro-merchant campaign."""

from __future__ import annotations

from typing import Any, Final

from campaigns.micro_merchant import members, paying, purchases, referring, rewarding, tables
from campaigns.micro_merchant.accounts import rewards
from campaigns.micro_merchant.fields import Fields
from campaigns.micro_merchant.rules import MEMBER_MOVES, MemberState
from gateway.contract.campaign_kind import Handler, Reply, Request, Route
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.payout import Payout
from gateway.contract.store import Row, Tx

LONGEST_SESSION: Final = 64
_LONGEST_TYPED: Final = 100
_MOST_POINTS: Final = 10**9
_A_PAGE: Final = 50


# -- micro-merchants --------------------------------------------------------------------------------------------------


def _apply(tx: Tx, house: House, request: Request) -> Reply:
    if not request.campaign.is_open(request.now):
        raise Refused("not_live", 409, state=request.campaign.state)
    body = request.body
    form = members.read_application(
        body.get("wechat_id"), body.get("bank_account"), body.get("bank_name"), request.person
    )
    row = members.apply(tx, house, request.campaign, form, request.now)
    return Reply(201, {"id": row["id"], "state": row["state"]})


def _decision(to: MemberState) -> Handler:
    def decide(tx: Tx, house: House, request: Request) -> Reply:
        fields = Fields(request.body)
        reason = fields.text("reason", members.LONGEST_REASON)
        fields.check()
        row = members.decide(
            tx, house, request.campaign, request.values["member"], to, request.caller.name, reason, request.now
        )
        return Reply(200, _member(row))

    return decide


def _list(tx: Tx, _house: House, request: Request) -> Reply:
    state = request.query.get("state", "")
    if state and state not in MEMBER_MOVES:
        raise Refused("invalid", 422, fields={"state": "is none of " + ", ".join(MEMBER_MOVES)})
    rows = tables.members(tx, request.campaign.slug, state, request.query.get("before", ""), _A_PAGE + 1)
    following = rows[_A_PAGE - 1]["id"] if len(rows) > _A_PAGE else None
    return Reply(200, {"items": [_member(row) for row in rows[:_A_PAGE]], "next": following})


def _show(tx: Tx, _house: House, request: Request) -> Reply:
    return Reply(200, _member(members.the(tx, request.campaign, request.values["member"])))


def _balance(tx: Tx, _house: House, request: Request) -> Reply:
    row = members.the(tx, request.campaign, request.values["member"])
    return Reply(200, dict(rewarding.balances(tx, row["id"])))


def _bank(tx: Tx, house: House, request: Request) -> Reply:
    bank = members.read_bank(request.body.get("bank_account"), request.body.get("bank_name"))
    row = members.change_bank(
        tx, house, request.campaign, request.values["member"], bank, request.caller.name, request.now
    )
    return Reply(200, _member(row))


def _points(tx: Tx, house: House, request: Request) -> Reply:
    fields = Fields(request.body)
    points = fields.whole("points", 1, _MOST_POINTS)
    reason = fields.text("reason", members.LONGEST_REASON)
    fields.check()
    row = members.the(tx, request.campaign, request.values["member"])
    # Nobody told what a point is worth in the shop; it is earned like a fen, so it is bounded like one (R205).
    _bounded(request, points)
    rewarding.spend_points(tx, house, request.campaign, row["id"], points, reason, request.now)
    house.audit(tx, request.caller.name, "micro_merchant.points", row["id"], None, str(-points), request.now)
    return Reply(200, dict(rewarding.balances(tx, row["id"])))


def _member(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "state": row["state"],
        "code": row["code"],
        "reason": row["reason"],
        "bank_last4": row["bank_last4"],
        "applied_at": row["applied_at"],
        "decided_at": row["decided_at"],
    }


# -- prices and purchases ---------------------------------------------------------------------------------------------


def _asked(fields: Fields, request: Request, *, session_needed: bool) -> referring.Asked:
    session = fields.text("session", LONGEST_SESSION, needed=session_needed)
    return referring.Asked(
        code=fields.text("code", _LONGEST_TYPED),
        kept=fields.text("kept_code", _LONGEST_TYPED),
        wechat_id=fields.text("wechat_id", _LONGEST_TYPED),
        # Without a session of the shop's own, the tries are those of the buyer, or of whoever calls.
        session=session or request.person or f"caller {request.caller.name}",
        person=request.person,
    )


def _quote(tx: Tx, house: House, request: Request) -> Reply:
    fields = Fields(request.body)
    original = fields.fen("price_fen")
    asked = _asked(fields, request, session_needed=True)
    fields.check()
    said = purchases.quote(tx, house, request.campaign, asked, original, request.now)
    terms = request.campaign.settings.terms
    return Reply(
        200,
        {
            "price_fen": said.price_fen,
            "original_fen": original,
            "attributed_to": said.attributed_to,
            "ask_referrer": terms.ask_referrer and said.sent.member is None,
        },
    )


def _order(tx: Tx, house: House, request: Request) -> Reply:
    fields = Fields(request.body)
    original = fields.fen("price_fen")
    asked = _asked(fields, request, session_needed=False)
    merchant = _merchant(fields, request)
    fields.check()
    row = purchases.create(tx, house, request.campaign, asked, original, merchant, request.now)
    return Reply(201, _purchase(tx, row))


def _merchant(fields: Fields, request: Request) -> str:
    """Whose sale it is: as the body says, else the caller's only merchant, else the campaign's only one, else ""."""
    scope, campaign = request.caller.merchants, request.campaign
    named = fields.text("merchant", _LONGEST_TYPED)
    if named and (not campaign.includes(named) or (scope is not None and named not in scope)):
        fields.fault("merchant", "is none of yours in this campaign")
    for names in (scope, campaign.merchants):
        if not named and names is not None and len(names) == 1:
            named = next(iter(names))
    return named


def _paid(tx: Tx, house: House, request: Request) -> Reply:
    order = _own_order(tx, request)
    fields = Fields(request.body)
    amount = fields.fen("amount_fen", 0)
    fields.check()
    return Reply(200, _purchase(tx, purchases.pay(tx, house, request.campaign, order, amount, request.now)))


def _complete(tx: Tx, house: House, request: Request) -> Reply:
    order = _own_order(tx, request)
    return Reply(200, _purchase(tx, purchases.complete(tx, house, request.campaign, order, request.now)))


def _refund(tx: Tx, house: House, request: Request) -> Reply:
    order = _own_order(tx, request)
    fields = Fields(request.body)
    amount = fields.fen("amount_fen")
    fields.check()
    row = purchases.refund(tx, house, request.campaign, order, amount, request.now)
    house.audit(tx, request.caller.name, "micro_merchant.refund", order, None, str(amount), request.now)
    return Reply(200, _purchase(tx, row))


def _show_order(tx: Tx, _house: House, request: Request) -> Reply:
    return Reply(200, _purchase(tx, purchases.the(tx, request.campaign, _own_order(tx, request))))


def _own_order(tx: Tx, request: Request) -> str:
    row = purchases.the(tx, request.campaign, request.values["order"])
    scope = request.caller.merchants
    if scope is not None and row["merchant"] and row["merchant"] not in scope:
        raise Refused("not_found", 404)
    return str(row["id"])


def _purchase(tx: Tx, row: Row) -> dict[str, Any]:
    return {
        "order": row["id"],
        "state": row["state"],
        "original_fen": row["original_fen"],
        "price_fen": row["price_fen"],
        "refunded_fen": row["refunded_fen"],
        "attributed_to": row["member"],
        "found_by": row["found_by"],
        "matures_at": row["matures_at"],
        "rewards": [
            {
                "kind": reward["kind"],
                "amount": reward["amount"] - reward["taken_back"],
                "state": reward["state"],
                "reason": reward["reason"],
            }
            for reward in tables.rewards_of(tx, row["id"])
        ],
    }


# -- payouts ----------------------------------------------------------------------------------------------------------


def _pay_out(tx: Tx, house: House, request: Request) -> Reply:
    fields = Fields(request.body)
    amount = fields.fen("amount_fen")
    fields.check()
    name = request.caller.name
    member = members.the(tx, request.campaign, request.values["member"])["id"]
    _bounded(request, amount)
    # The host answers a repeated Idempotency-Key; whatever comes here is asked for anew.
    key = house.ids.new("mp", request.now)
    return Reply(201, _payout(paying.pay_out(tx, house, request.campaign, member, amount, key, name, request.now)))


def _payouts(tx: Tx, house: House, request: Request) -> Reply:
    member = members.the(tx, request.campaign, request.values["member"])["id"]
    return Reply(200, {"items": [_payout(payout) for payout in house.payouts_of(tx, rewards(member, "cash"))]})


def _approve_payout(tx: Tx, house: House, request: Request) -> Reply:
    who, payout = request.caller.name, request.values["payout"]
    _bounded(request, paying.the(tx, house, request.campaign, payout).amount_fen)
    return Reply(200, _payout(paying.approve(tx, house, request.campaign, payout, who, request.now)))


def _bounded(request: Request, fen: int) -> None:
    """Raises Refused `reauthentication_required` 401 for more than goes without a password given just now."""
    most = request.caller.most_fen
    if most is not None and fen > most:
        raise Refused("reauthentication_required", 401, limit_fen=most)


def _settled(tx: Tx, house: House, request: Request) -> Reply:
    payout = paying.bank_says(tx, house, request.campaign, request.values["payout"], "settled", request.now)
    return Reply(200, _payout(payout))


def _failed(tx: Tx, house: House, request: Request) -> Reply:
    payout = paying.bank_says(tx, house, request.campaign, request.values["payout"], "failed", request.now)
    return Reply(200, _payout(payout))


def _payout(payout: Payout) -> dict[str, Any]:
    return {
        "payout": payout.id,
        "state": payout.state,
        "amount_fen": payout.amount_fen,
        "to": payout.to,
        "reason": payout.reason,
    }


ROUTES: Final = (
    Route("POST", "/micro-merchants", _apply, person="optional"),
    Route("GET", "/micro-merchants", _list, role="operator"),
    Route("GET", "/micro-merchants/<member>", _show),
    Route("POST", "/micro-merchants/<member>/approve", _decision("approved"), role="operator"),
    Route("POST", "/micro-merchants/<member>/reject", _decision("rejected"), role="operator"),
    Route("POST", "/micro-merchants/<member>/suspend", _decision("suspended"), role="operator"),
    Route("POST", "/micro-merchants/<member>/close", _decision("closed"), role="operator"),
    Route("GET", "/micro-merchants/<member>/balance", _balance),
    Route("PUT", "/micro-merchants/<member>/bank-account", _bank),
    Route("POST", "/micro-merchants/<member>/points", _points),
    Route("POST", "/micro-merchants/<member>/payouts", _pay_out),
    Route("GET", "/micro-merchants/<member>/payouts", _payouts),
    Route("POST", "/quotes", _quote, person="optional"),
    Route("POST", "/orders", _order, person="optional"),
    Route("GET", "/orders/<order>", _show_order),
    Route("POST", "/orders/<order>/paid", _paid),
    Route("POST", "/orders/<order>/complete", _complete),
    Route("POST", "/orders/<order>/refund", _refund),
    Route("POST", "/payouts/<payout>/approve", _approve_payout, role="operator"),
    Route("POST", "/payouts/<payout>/settled", _settled, sandbox=True),
    Route("POST", "/payouts/<payout>/failed", _failed, sandbox=True),
)
"""In the order of the story: somebody applies, brings buyers, is paid."""
