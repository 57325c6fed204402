"""Who may see which of the customers' pages: the buyer his session, the invited friend his invitation (R134, R149)."""

from __future__ import annotations

from typing import Final

from campaigns.help_cut import sessions
from campaigns.help_cut.rules import open_in_wechat
from crypto.mac import equal
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import SignInFirst, Visit
from gateway.contract.errors import DrainageError, Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx

KIND: Final = "help_cut"
BASE: Final = "/campaigns/help_cut"
SHOP_MARK: Final = "from"
"""The name in the address of the code that hangs in the shop."""


class Closed(DrainageError):
    """A page that does not open inside WeChat; the campaign is told, so that its shop can be named."""

    def __init__(self, campaign: CampaignView) -> None:
        self.campaign = campaign
        super().__init__(campaign.slug)


class Lapsed(DrainageError):
    """A form was sent by somebody who is not signed in any more."""


def campaign_of(house: House, slug: str) -> CampaignView:
    """The campaign of that name. Raises Refused `not_found`."""
    found = next((one for one in house.campaigns(KIND) if one.slug == slug), None)
    if found is None or found.state == "draft":
        raise Refused("not_found", 404)
    return found


def shop_mark(house: House, campaign: CampaignView) -> str:
    """What the code in the shop carries, so that whoever scanned it there is known by it."""
    return house.blind(f"shop:{campaign.slug}", "help_cut:shop").hex()[:16]


def is_from_shop(house: House, campaign: CampaignView, visit: Visit) -> bool:
    """Whether this browser came, now or earlier, by the code in the shop."""
    mark = visit.query.get(SHOP_MARK) or visit.kept.get(campaign.slug, "")
    return equal(mark.encode(), shop_mark(house, campaign).encode())


def kept_mark(house: House, campaign: CampaignView, visit: Visit) -> dict[str, str] | None:
    """What a browser that came by the shop's code keeps; None for nothing new."""
    if visit.query.get(SHOP_MARK) and is_from_shop(house, campaign, visit):
        return {**visit.kept, campaign.slug: shop_mark(house, campaign)}
    return None


def check_browser(house: House, campaign: CampaignView, visit: Visit, *, is_direct: bool = False) -> None:
    """Raises Closed where the page stays shut inside WeChat (R149)."""
    words = visit.headers.get("user-agent", "").lower()
    if "micromessenger" not in words or "wxwork" in words:
        return
    if not open_in_wechat(
        switched_on=campaign.settings.in_wechat,
        is_mini_program="miniprogram" in words,
        is_from_shop=is_from_shop(house, campaign, visit),
        is_direct=is_direct,
    ):
        raise Closed(campaign)


def signed_in(campaign: CampaignView, visit: Visit) -> str:
    """Who looks. Raises SignInFirst; Lapsed for a form of nobody's."""
    person = visit.known_in(campaign.circle)
    if person:
        return person
    if visit.method == "GET":
        raise SignInFirst(campaign.circle)
    raise Lapsed


def own_session(tx: Tx, house: House, campaign: CampaignView, session: str, person: str) -> Row:
    """The buyer's own session. Raises Refused `not_found`, for somebody else's too."""
    row = sessions.find(tx, campaign, session)
    if row["buyer"] not in house.group(tx, person):
        raise Refused("not_found", 404)
    return row
