"""What people see: campaigns to invite to, one's own code, the landing of whoever scans it; staff the reviews."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from campaigns.referral import binding, invitations, rewarding
from campaigns.referral.invitations import Invitation
from campaigns.referral.settings import Settings
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import Caller, ConsolePage, Data, GoTo, Page, Pages, Seen, Show, SignInFirst, Visit
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx
from linkgen import qr

BASE: Final = "/campaigns/referral"
LANDING: Final = "/r"
_PAGE: Final = 50
_LONGEST: Final = 128
_CAME: Final = frozenset({"qualified", "rewarded"})
_GONE: Final = 410
_TOLD: Final[Mapping[str, int]] = {
    "self_referral": 409,
    "existing_customer": 409,
    "already_bound": 409,
    "expired": 410,
    "not_live": 410,
}

# -- whoever invites --------------------------------------------------------------------------------------------------


def show_list(house: House, visit: Visit) -> Seen:
    """`/campaigns/referral`: the campaigns that are open, each with its [invite now]."""
    rows = [
        {
            "campaign": one,
            "name": _settings(one).name,
            "address": f"{BASE}/{one.slug}",
            "rewards": _rewards(house, one, visit),
        }
        for one in house.campaigns("referral")
        if one.is_open(visit.now)
    ]
    values = {"rows": rows, "person": visit.person, "zone": house.catalogue().zone(None)}
    return Show("referral/list.html", values)


def show_code(house: House, visit: Visit) -> Seen:
    """`/campaigns/referral/<campaign>`: one's code and how far it has come; POST makes it or ends it."""
    campaign = _campaign(house, visit.values.get("campaign", ""))
    if not visit.known_in(campaign.circle):
        raise SignInFirst(campaign.circle)
    refused = ""
    if visit.method == "POST":
        try:
            return GoTo(f"{BASE}/{campaign.slug}?done={_change(house, campaign, visit)}")
        except Refused as told:
            if told.code not in {"not_live", "not_in_group"}:
                raise
            refused = told.code
    invitation, rows = house.store.read(lambda tx: _standing(tx, house, campaign, visit))
    if visit.device and invitation is not None:
        # The browser that shows a code is the referrer's: a friend who confirms in it waits for a person's eye.
        house.store.write(
            lambda tx: binding.see_device(tx, house, campaign.slug, visit.device, _oneself(tx, house, visit), visit.now)
        )
    values = {
        "campaign": campaign,
        "name": _settings(campaign).name,
        "invitation": invitation,
        "is_open": campaign.is_open(visit.now),
        "scanned": len(rows),
        "came": sum(row["state"] in _CAME for row in rows),
        "rows": [{"state": row["state"], "reason": row["reason"], "at": row["moved_at"]} for row in rows[:_PAGE]],
        "rewards": _rewards(house, campaign, visit),
        "action": f"{BASE}/{campaign.slug}",
        "refused": refused,
        "done": visit.query.get("done", ""),
        "zone": house.catalogue().zone(None),
    }
    return Show("referral/code.html", values, 409 if refused else 200)


def _standing(tx: Tx, house: House, campaign: CampaignView, visit: Visit) -> tuple[Invitation | None, list[Row]]:
    group = house.group(tx, visit.person) or (visit.person,)
    invitation = None
    if campaign.is_open(visit.now):
        invitation = invitations.standing(tx, house, campaign, visit.person, visit.now)
    return invitation, list(binding.of_referrer(tx, campaign.slug, group, 1000))


def _change(house: House, campaign: CampaignView, visit: Visit) -> str:
    if visit.form.get("action") == "revoke":
        house.store.write(lambda tx: invitations.revoke(tx, house, campaign, visit.person, visit.now))
        return "revoked"

    def make(tx: Tx) -> None:
        invitations.invite(tx, house, campaign, visit.person, visit.now)
        binding.see_device(tx, house, campaign.slug, visit.device, _oneself(tx, house, visit), visit.now)

    house.store.write(make)
    return "made"


def show_png(house: House, visit: Visit) -> Seen:
    """`…/qr.png`: the code as an image to long-press or save; the session says whose, the address holds no token."""
    return Data(qr.png(_url(house, visit)), "image/png")


def show_svg(house: House, visit: Visit) -> Seen:
    """`…/qr.svg`: the same for printing."""
    return Data(qr.svg(_url(house, visit)), "image/svg+xml")


def _url(house: House, visit: Visit) -> str:
    campaign = _campaign(house, visit.values.get("campaign", ""))
    if not visit.known_in(campaign.circle):
        raise Refused("not_found", 404)
    invitation, _ = house.store.read(lambda tx: _standing(tx, house, campaign, visit))
    if invitation is None:
        raise Refused("not_found", 404)
    return invitation.url


# -- whoever is invited -----------------------------------------------------------------------------------------------


def open_invitation(house: House, visit: Visit) -> Seen:
    """`/r/<token>`: notes the scan, and goes on to where the address tells nobody the token."""
    token = visit.values.get("token", "")
    invitation, campaign = _invited(house, token)
    if not visit.known_in(campaign.circle):
        raise SignInFirst(campaign.circle)
    if campaign.is_open(visit.now):
        house.store.write(lambda tx: binding.scan(tx, house, campaign, invitation, visit.person, visit.now))
    return GoTo(LANDING, keep={**visit.kept, "token": token})


def land(house: House, visit: Visit) -> Seen:
    """`/r`: what the invitation is that this browser opened; POST confirms it."""
    invitation, campaign = _invited(house, visit.kept.get("token", ""))
    if not visit.known_in(campaign.circle):
        raise SignInFirst(campaign.circle)
    refused = ""
    if visit.method == "POST":
        try:
            house.store.write(
                lambda tx: binding.bind(tx, house, campaign, invitation, visit.person, visit.device, visit.now)
            )
            return GoTo(LANDING)
        except Refused as told:
            if told.code not in _TOLD:
                raise
            refused = told.code
    outcome = house.store.read(lambda tx: _outcome(tx, house, campaign, invitation, visit))
    if refused and outcome == "ready":
        outcome = refused
    values = {
        "campaign": campaign,
        "name": _settings(campaign).name,
        "outcome": outcome,
        "rewards": _rewards(house, campaign, visit),
        "action": LANDING,
        "own": f"{BASE}/{campaign.slug}",
        "zone": house.catalogue().zone(None),
    }
    status = _TOLD.get(refused, 200) if refused else _GONE if outcome == "expired" else 200
    return Show("referral/landing.html", values, status)


def _invited(house: House, token: str) -> tuple[Row, CampaignView]:
    """The invitation of a token, and its campaign. Raises Refused `not_found`."""
    invitation = house.store.read(lambda tx: invitations.by_token(tx, token))
    if invitation is None:
        raise Refused("not_found", 404)
    return invitation, _campaign(house, invitation["campaign"])


def _outcome(tx: Tx, house: House, campaign: CampaignView, invitation: Row, visit: Visit) -> str:
    """What a page says to this visitor: his referral's state where he has one, else whether he may still confirm."""
    group = house.group(tx, visit.person) or (visit.person,)
    if invitation["person"] in group:
        return "self_referral"
    bound = binding.of_friend(tx, campaign.slug, group)
    if bound is not None:
        return str(bound["state"])
    if invitations.is_over(invitation, visit.now) or not campaign.is_open(visit.now):
        return "expired"
    return "ready"


# -- the console ------------------------------------------------------------------------------------------------------


def show_referrals(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """`/referrals`: everybody who was brought, newest first."""
    return _show_rows(house, campaign, visit, "referrals", _asked(visit, "state"), "")


def show_review(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """`/review`: rings and shared devices; POST decides one, with one press."""
    refused = ""
    if visit.method == "POST":
        id_, approve = visit.form.get("referral", "")[:_LONGEST], visit.form.get("action") == "approve"
        who = _caller(visit).name
        try:
            state = house.store.write(
                lambda tx: rewarding.decide(tx, house, campaign, id_, who, visit.now, approve=approve)
            )
            done = "rejected" if state == "rejected" else "approved"
            return GoTo(f"/admin/campaigns/{campaign.slug}/review?done={done}")
        except Refused as told:
            refused = told.code
    return _show_rows(house, campaign, visit, "review", "review", refused)


def _show_rows(house: House, campaign: CampaignView, visit: Visit, here: str, state: str, refused: str) -> Seen:
    before = _asked(visit, "before")
    found = house.store.read(lambda tx: list(binding.in_state(tx, campaign.slug, state, before, _PAGE + 1)))
    base = f"/admin/campaigns/{campaign.slug}"
    clear = f"{base}/{here}"
    following = ""
    if len(found) > _PAGE:
        kept = {"state": state} if state and here == "referrals" else {}
        following = f"{clear}?{urlencode({**kept, 'before': found[_PAGE - 1]['id']})}"
    rows = [
        {
            "id": row["id"],
            "state": row["state"],
            "reason": row["reason"],
            "referrer": house.alias(row["referrer"]),
            "referred": house.alias(row["referred"]),
            "scanned_at": row["scanned_at"],
            "bound_at": row["bound_at"],
            "due_at": row["due_at"] if row["state"] == "qualified" else None,
            "has_paid": row["payment"] is not None,
            "links": sum(row[f"{side}_link"] is not None for side in rewarding.SIDES),
        }
        for row in found[:_PAGE]
    ]
    words = ("", "scanned", "review", "bound", "qualified", "rewarded", "rejected", "expired")
    values = {
        "campaign": campaign,
        "rooms": [(name, f"{base}/{name}", name == here) for name in ("referrals", "review")],
        "rows": rows,
        "state": state,
        "states": [(one, f"{clear}?{urlencode({'state': one})}" if one else clear, one == state) for one in words],
        "following": following,
        "clear": clear,
        "action": clear,
        "refused": refused,
        "done": visit.query.get("done", ""),
        "zone": house.catalogue().zone(None),
    }
    return Show(f"referral/{here}.html", values, 409 if refused else 200)


# -- what all of them use ---------------------------------------------------------------------------------------------


def _campaign(house: House, slug: str) -> CampaignView:
    """The campaign of that name, unless it has not begun. Raises Refused `not_found`."""
    for one in house.campaigns("referral"):
        if one.slug == slug and one.state not in {"draft", "scheduled"}:
            return one
    raise Refused("not_found", 404)


def _rewards(house: House, campaign: CampaignView, visit: Visit) -> Mapping[str, str] | None:
    """What each side gets, by the items' names; None where pages must not speak of rewards (R078)."""
    settings = _settings(campaign)
    agent = visit.headers.get("user-agent", "").lower()
    # Where nobody says which program shows the page, it is taken for the strictest.
    is_inside = not agent or "micromessenger" in agent
    if settings.reward_words == "never" or (settings.reward_words == "outside_wechat" and is_inside):
        return None
    found = {}
    for side, slug in (("referrer", settings.terms.referrer_item), ("referred", settings.terms.referred_item)):
        item = house.catalogue().item(slug) if slug else None
        if item is not None:
            found[side] = item.name
    return found


def _oneself(tx: Tx, house: House, visit: Visit) -> str:
    return min(house.group(tx, visit.person) or (visit.person,))


def _settings(campaign: CampaignView) -> Settings:
    settings: Settings = campaign.settings
    return settings


def _caller(visit: Visit) -> Caller:
    assert visit.caller is not None  # the console's pages have one
    return visit.caller


def _asked(visit: Visit, name: str) -> str:
    value = visit.query.get(name, "").strip()
    return value if len(value) <= _LONGEST and value.isprintable() else ""


PAGES: Final = Pages(
    title="推荐人返利",
    label="邀请朋友到店",
    folder=Path(__file__).parent,
    customer=(
        Page(BASE, show_list),
        Page(f"{BASE}/<campaign>", show_code, ("GET", "POST")),
        Page(f"{BASE}/<campaign>/qr.png", show_png),
        Page(f"{BASE}/<campaign>/qr.svg", show_svg),
        Page("/r/<token>", open_invitation),
        Page(LANDING, land, ("GET", "POST")),
    ),
    console=(
        ConsolePage("/referrals", show_referrals, "operator", label="推荐记录"),
        ConsolePage("/review", show_review, "operator", ("GET", "POST"), label="待核对"),
    ),
    entry=lambda campaign: f"{BASE}/{campaign.slug}",
)
