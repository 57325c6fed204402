"""What micro-merchants see of their campaign: the form, their balances and their code, their payouts."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from campaigns.micro_merchant import console, members, paying, rewarding, tables
from campaigns.micro_merchant.accounts import rewards
from campaigns.micro_merchant.rules import ACCOUNT_LOCK, Terms
from campaigns.micro_merchant.shop import SLUG, known_campaigns, shop, the_campaign
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import ConsolePage, Data, GoTo, Page, Pages, Seen, Show, SignInFirst, Visit
from gateway.contract.clock import from_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.money import fen_of_yuan
from gateway.contract.payout import OPEN
from gateway.contract.store import Row, Tx
from linkgen import qr

_A_PAGE: Final = 20
_HOME: Final = f"/campaigns/{SLUG}"
KINDS: Final = ("cash", "points", "coupons")


# -- the form ---------------------------------------------------------------------------------------------------------


def apply(house: House, visit: Visit) -> Seen:
    """The registration form, and how the review stands (R101, R102)."""
    campaign = _chosen(house, visit)
    if campaign is None:
        return _choose(house, "apply")
    if not visit.known_in(campaign.circle):
        return _sign_in("apply", campaign, visit)
    row = house.store.read(lambda tx: members.newest_of(tx, house, campaign, visit.person))
    if visit.method == "POST":
        return _send(house, campaign, visit, row)
    if row is not None and row["state"] in ("approved", "suspended"):
        return GoTo(_address("me", campaign))
    return _form(house, campaign, visit, row)


def _send(house: House, campaign: CampaignView, visit: Visit, row: Row | None) -> Seen:
    if not campaign.is_open(visit.now):
        return _form(house, campaign, visit, row, status=409)
    form = visit.form
    try:
        application = members.read_application(
            form.get("wechat_id", ""), form.get("bank_account", ""), form.get("bank_name", ""), visit.person
        )
        house.store.write(lambda tx: members.apply(tx, house, campaign, application, visit.now))
    except Refused as refused:
        if refused.code == "already_applied":
            return GoTo(_address("apply", campaign))
        return _form(house, campaign, visit, row, faults=_faults(refused), status=refused.status)
    return GoTo(_address("apply", campaign))


def _form(
    house: House,
    campaign: CampaignView,
    visit: Visit,
    row: Row | None,
    *,
    faults: Mapping[str, str] | None = None,
    status: int = 200,
) -> Show:
    values = {
        **_common(house, campaign),
        "state": row["state"] if row is not None else "",
        "reason": row["reason"] if row is not None else "",
        "applied_at": row["applied_at"] if row is not None else "",
        "is_open": campaign.is_open(visit.now),
        "faults": dict(faults or {}),
        # Of what was typed the bank account is not shown again.
        "typed": {name: visit.form.get(name, "")[:100] for name in ("wechat_id", "bank_name")},
    }
    return Show("micro_merchant/apply.html", values, status=status)


# -- balances ---------------------------------------------------------------------------------------------------------


def me(house: House, visit: Visit) -> Seen:
    """Three balances with their books, the code and the link that carries it (R112)."""
    campaign = _chosen(house, visit)
    if campaign is None:
        return _choose(house, "me")
    if not visit.known_in(campaign.circle):
        return _sign_in("me", campaign, visit)
    fault = ""
    if visit.method == "POST":
        try:
            house.store.write(lambda tx: _take_coupon(tx, house, campaign, visit))
        except Refused as refused:
            if refused.status != HTTPStatus.CONFLICT:
                raise
            fault = refused.code
        else:
            return GoTo(_address("me", campaign, kind="coupons", taken="1"))
    kind = visit.query.get("kind", "cash")
    kind = kind if kind in KINDS else "cash"
    before = visit.query.get("before", "")[:64]

    def look(tx: Tx) -> dict[str, Any] | None:
        row = _mine(tx, house, campaign, visit)
        if row is None:
            return None
        rows = tables.entries(tx, row["id"], kind, before, _A_PAGE + 1)
        return {
            "state": row["state"],
            "code": row["code"],
            "reason": row["reason"],
            "balances": rewarding.balances(tx, row["id"]),
            "entries": rows[:_A_PAGE],
            "following": rows[_A_PAGE - 1]["id"] if len(rows) > _A_PAGE else "",
        }

    found = house.store.read(look)
    if found is None:
        return GoTo(_address("apply", campaign))
    values = {
        **_common(house, campaign),
        **found,
        "kind": kind,
        "kinds": [one for one in KINDS if one in campaign.settings.terms.credit or found["balances"][_NAMES[one]]],
        "is_turned": bool(before),
        "link": _shop_link(house, campaign, found["code"]),
        "fault": fault,
        "is_taken": visit.query.get("taken") == "1",
    }
    return Show("micro_merchant/me.html", values, status=409 if fault else 200)


_NAMES: Final = {"cash": "cash_fen", "points": "points", "coupons": "coupons"}


def _take_coupon(tx: Tx, house: House, campaign: CampaignView, visit: Visit) -> str:
    row = _mine(tx, house, campaign, visit)
    if row is None:
        raise Refused("not_found", 404)
    if row["state"] == "suspended":
        raise Refused("not_approved", 409, state=row["state"])
    return rewarding.take_coupon(tx, house, campaign, row["id"], visit.person, visit.now)


def code_image(house: House, visit: Visit) -> Seen:
    """The shop's link with the visitor's own code, as a QR code. Raises Refused 404 `not_found` for who has none."""
    campaign = the_campaign(house, visit.query.get("campaign", ""))
    row = house.store.read(lambda tx: _mine(tx, house, campaign, visit)) if visit.person else None
    if row is None or row["code"] is None:
        raise Refused("not_found", 404)
    return Data(qr.png(_shop_link(house, campaign, row["code"])), "image/png")


# -- payouts ----------------------------------------------------------------------------------------------------------


def payout(house: House, visit: Visit) -> Seen:
    """Asking for a payout, the bank account it goes to, and how earlier ones stand (R113–R115)."""
    campaign = _chosen(house, visit)
    if campaign is None:
        return _choose(house, "payout")
    if not visit.known_in(campaign.circle):
        return _sign_in("payout", campaign, visit)
    faults: dict[str, str] = {}
    facts: Mapping[str, Any] = {}
    status = 200
    if visit.method == "POST":
        try:
            house.store.write(lambda tx: _ask(tx, house, campaign, visit))
        except Refused as refused:
            if refused.status not in (409, 422):
                raise
            faults, facts, status = _faults(refused), refused.facts, refused.status
        else:
            return GoTo(_address("payout", campaign))

    def look(tx: Tx) -> dict[str, Any] | None:
        row = _mine(tx, house, campaign, visit)
        if row is None:
            return None
        payouts = house.payouts_of(tx, rewards(row["id"], "cash"))
        changed = from_text(row["bank_changed_at"]) if row["bank_changed_at"] else None
        locked_until = changed + ACCOUNT_LOCK if changed is not None else None
        return {
            "state": row["state"],
            "may_ask": row["state"] in paying.PAYABLE,
            "balances": rewarding.balances(tx, row["id"]),
            "bank_last4": row["bank_last4"],
            "locked_until": locked_until if locked_until is not None and visit.now < locked_until else None,
            "payouts": payouts,
            "in_flight": next((one for one in payouts if one.state in OPEN), None),
        }

    found = house.store.read(look)
    if found is None:
        return GoTo(_address("apply", campaign))
    terms: Terms = campaign.settings.terms
    values = {
        **_common(house, campaign),
        **found,
        "faults": faults,
        "facts": facts,
        "least_fen": max(terms.payout_min_fen, 1),
        "day_cap_fen": terms.payout_day_cap_fen,
        # Sent back with the form, so that the same page sent twice is one payout.
        "nonce": house.ids.new("mp", visit.now),
        "typed": {name: visit.form.get(name, "")[:60] for name in ("amount", "bank_name")},
    }
    return Show("micro_merchant/payout.html", values, status=status)


def _ask(tx: Tx, house: House, campaign: CampaignView, visit: Visit) -> None:
    row = _mine(tx, house, campaign, visit)
    if row is None:
        raise Refused("not_found", 404)
    who = f"micro:{row['id']}"
    if visit.form.get("action") == "bank":
        if not visit.form.get("bank_name", "").strip():
            raise Refused("invalid", 422, fields={"bank_name": "is needed"})
        bank = members.read_bank(visit.form.get("bank_account", ""), visit.form.get("bank_name", ""))
        members.change_bank(tx, house, campaign, row["id"], bank, who, visit.now)
        return
    try:
        fen = fen_of_yuan(visit.form.get("amount", "").strip())
    except ValueError:
        raise Refused("invalid", 422, fields={"amount": "is no amount"}) from None
    nonce = visit.form.get("nonce", "")[:64] or house.ids.new("mp", visit.now)
    paying.pay_out(tx, house, campaign, row["id"], fen, f"{row['id']}:{nonce}", who, visit.now)


# -- small things -----------------------------------------------------------------------------------------------------


def _chosen(house: House, visit: Visit) -> CampaignView | None:
    """The campaign that the address names, else the only one there is; None where it has to be chosen."""
    named = visit.query.get("campaign", "")
    if named:
        return the_campaign(house, named)
    known = known_campaigns(house)
    return known[0] if len(known) == 1 else None


def _choose(house: House, page: str) -> Show:
    known = [(_address(page, campaign), _title(house, campaign)) for campaign in known_campaigns(house)]
    return Show("micro_merchant/choose.html", {"choices": known})


def _title(house: House, campaign: CampaignView) -> str:
    """What customers may call a campaign: its merchants' names, else its own."""
    catalogue = house.catalogue()
    found = (catalogue.merchant(slug) for slug in sorted(campaign.merchants))
    return "、".join(merchant.name for merchant in found if merchant is not None) or campaign.slug


def _sign_in(page: str, campaign: CampaignView, visit: Visit) -> GoTo:
    """Off to the wallet, from a look at the page alone; what a form of a session that ended said is not kept."""
    if visit.method == "GET":
        raise SignInFirst(campaign.circle)
    return GoTo(_address(page, campaign))


def _mine(tx: Tx, house: House, campaign: CampaignView, visit: Visit) -> Row | None:
    """The visitor's record, once it was approved."""
    row = members.newest_of(tx, house, campaign, visit.person)
    return row if row is not None and row["code"] is not None else None


def _shop_link(house: House, campaign: CampaignView, code: str) -> str:
    return f"{house.base_url}{_HOME}/shop/{campaign.slug}/{code}"


def _address(page: str, campaign: CampaignView, **query: str) -> str:
    more = "".join(f"&{name}={value}" for name, value in query.items())
    return f"{_HOME}/{page}?campaign={campaign.slug}{more}"


def _common(house: House, campaign: CampaignView) -> dict[str, Any]:
    return {
        "campaign": campaign,
        "title": _title(house, campaign),
        "zone": house.catalogue().zone(None),
        "to": {page: _address(page, campaign) for page in ("apply", "me", "payout")},
        "image": f"{_HOME}/me/code.png?campaign={campaign.slug}",
    }


def _faults(refused: Refused) -> dict[str, str]:
    """Field → a word that the template has words for."""
    if refused.code == "invalid":
        return {name: name for name in refused.facts["fields"]}
    if refused.code == "wechat_id_taken":
        return {"wechat_id": refused.code}
    return {"amount": refused.code}


PAGES: Final = Pages(
    title="微商",
    label="申请成为微商",
    folder=Path(__file__).parent,
    customer=(
        Page(f"{_HOME}/apply", apply, ("GET", "POST")),
        Page(f"{_HOME}/me", me, ("GET", "POST")),
        Page(f"{_HOME}/me/code.png", code_image),
        Page(f"{_HOME}/payout", payout, ("GET", "POST")),
        Page(f"{_HOME}/shop/<campaign>", shop, ("GET", "POST")),
        Page(f"{_HOME}/shop/<campaign>/<code>", shop),
    ),
    console=(
        ConsolePage("/members", console.member_list, "operator", label="微商"),
        ConsolePage("/members/<member>", console.member, "operator", ("GET", "POST")),
        ConsolePage("/orders", console.order_list, "manager", label="带来的购买"),
        ConsolePage("/rewards", console.reward_list, "manager", label="奖励记录"),
        ConsolePage("/payouts", console.payout_list, "operator", ("GET", "POST"), label="提现"),
    ),
    entry=lambda campaign: f"{_HOME}/apply?campaign={campaign.slug}",
)
