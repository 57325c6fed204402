"""The customers' way into the shop: the code that a link carries, the question for who has none (R104–R108, R116)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from campaigns.micro_merchant import referring
from campaigns.micro_merchant.referring import Asked, Sent
from campaigns.micro_merchant.rules import is_kept, normal_wechat_id
from campaigns.micro_merchant.settings import Settings
from crypto.errors import CryptoError
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import GoTo, Seen, Show, Visit
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House

SLUG: Final = "micro_merchant"
_LONGEST_TYPED: Final = 100
_MOST_KEPT: Final = 900
"""Characters that this kind has a browser keep; the gateway allows a little more."""


def shop(house: House, visit: Visit) -> Seen:
    """The prices for whoever comes, and the question where the campaign asks it. Raises Refused 404 `not_found`."""
    campaign = the_campaign(house, visit.values.get("campaign", ""))
    if not campaign.is_open(visit.now):
        return Show("micro_merchant/shop.html", {"campaign": campaign, "is_open": False}, status=410)
    if visit.method == "POST":
        return _answer(house, campaign, visit)
    asked = _asked(house, campaign, visit)
    sent = _look(house, campaign, asked, visit.now)
    keep = None
    if sent.found_by == "code" and sent.code is not None:
        keep = _kept(campaign, visit, code=sent.code, at=to_text(visit.now))
    return _page(house, campaign, visit, sent, keep=keep)


def _answer(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """What was said to the question; right or wrong, the page says the same (R108). Raises Refused 429 `too_many`."""
    here = f"/campaigns/{SLUG}/shop/{campaign.slug}"
    settings: Settings = campaign.settings
    if not settings.terms.ask_referrer:
        return GoTo(here)
    if visit.form.get("answer") != "yes":
        return GoTo(here, keep=_kept(campaign, visit, asked="1", typed=""))
    typed = visit.form.get("wechat_id", "").strip()
    if not typed or len(typed) > _LONGEST_TYPED:
        sent = _look(house, campaign, replace(_asked(house, campaign, visit), code=""), visit.now)
        return _page(house, campaign, visit, sent, faults={"wechat_id": "wechat_id"}, status=422)
    asked = replace(_asked(house, campaign, visit), code="", wechat_id=typed)
    house.store.write(lambda tx: referring.look(tx, house, campaign, asked, visit.now))
    sealed = base64.urlsafe_b64encode(house.seal(normal_wechat_id(typed) or "-", _context(campaign))).decode()
    return GoTo(here, keep=_kept(campaign, visit, asked="1", typed=sealed))


def _page(
    house: House,
    campaign: CampaignView,
    visit: Visit,
    sent: Sent,
    *,
    keep: Mapping[str, str] | None = None,
    faults: Mapping[str, str] | None = None,
    status: int = 200,
) -> Show:
    settings: Settings = campaign.settings
    kept = keep if keep is not None else visit.kept
    values = {
        "campaign": campaign,
        "is_open": True,
        "goods": _goods(house, settings, sent),
        "asks": settings.terms.ask_referrer and sent.found_by not in ("code", "cookie"),
        "is_noted": kept.get(f"{campaign.slug}.asked") == "1",
        "shop_url": _with_code(settings.shop_url, sent),
        "faults": dict(faults or {}),
        "path": f"/campaigns/{SLUG}/shop/{campaign.slug}",
    }
    return Show("micro_merchant/shop.html", values, status=status, keep=keep)


def _goods(house: House, settings: Settings, sent: Sent) -> list[dict[str, Any]]:
    """What the page shows for sale: name, merchant, the original price and the buyer's."""
    catalogue = house.catalogue()
    found = []
    for slug in settings.items:
        item = catalogue.item(slug)
        merchant = catalogue.merchant(item.merchant) if item is not None else None
        if item is None or merchant is None or item.paused or merchant.paused or item.price_fen <= 0:
            continue
        fen = referring.price(settings.terms, item.price_fen, sent)
        found.append({"name": item.name, "merchant": merchant.name, "original_fen": item.price_fen, "price_fen": fen})
    return found


def _look(house: House, campaign: CampaignView, asked: Asked, now: datetime) -> Sent:
    """Who sent him; where his tries are used up a code counts as none (R103), and he shops on."""
    try:
        return house.store.write(lambda tx: referring.look(tx, house, campaign, asked, now))
    except Refused as refused:
        if refused.code != "too_many":
            raise
        without = replace(asked, code="", wechat_id="")
        return house.store.write(lambda tx: referring.look(tx, house, campaign, without, now))


def _asked(house: House, campaign: CampaignView, visit: Visit) -> Asked:
    """What this browser comes with: the code in the path or the query, the one it kept, the WeChat ID typed before."""
    code = visit.values.get("code") or visit.query.get("code") or ""
    kept = visit.kept.get(f"{campaign.slug}.code", "")
    if kept and not _is_fresh(visit.kept.get(f"{campaign.slug}.at", ""), visit.now):
        kept = ""
    return Asked(
        code=code[:_LONGEST_TYPED],
        kept=kept,
        remembered=_remembered(house, campaign, visit.kept.get(f"{campaign.slug}.typed", "")),
        session=visit.device or visit.address,
        # Who signed in for another circle is a stranger here, until a page of this one has asked him.
        person=visit.person if visit.circle == campaign.circle else "",
        address=visit.address,
    )


def _is_fresh(at: str, now: datetime) -> bool:
    try:
        return is_kept(from_text(at), now)
    except ValueError:
        return False


def _remembered(house: House, campaign: CampaignView, sealed: str) -> str:
    if not sealed:
        return ""
    try:
        return house.open(base64.urlsafe_b64decode(sealed), _context(campaign))
    except (CryptoError, binascii.Error, ValueError):
        return ""


def _kept(campaign: CampaignView, visit: Visit, **values: str) -> Mapping[str, str]:
    """What the browser keeps from now on; where that grows too long, other campaigns' are dropped."""
    kept = {**visit.kept, **{f"{campaign.slug}.{name}": value for name, value in values.items()}}
    if sum(len(name) + len(value) + 6 for name, value in kept.items()) <= _MOST_KEPT:
        return kept
    return {name: value for name, value in kept.items() if name.startswith(f"{campaign.slug}.")}


def _context(campaign: CampaignView) -> str:
    return f"micro_merchant:typed:{campaign.slug}"


def _with_code(url: str, sent: Sent) -> str:
    """The shop's own address with the code that was found, so that its orders tell us; "" where there is none."""
    if not url or sent.code is None:
        return url
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "code"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("code", sent.code)])))


def the_campaign(house: House, slug: str) -> CampaignView:
    """A campaign that customers may know of. Raises Refused 404 `not_found`."""
    for campaign in house.campaigns(SLUG):
        if campaign.slug == slug and campaign.state not in ("draft", "archived"):
            return campaign
    raise Refused("not_found", 404)


def known_campaigns(house: House) -> list[CampaignView]:
    """Those that customers may know of."""
    return [campaign for campaign in house.campaigns(SLUG) if campaign.state not in ("draft", "archived")]
