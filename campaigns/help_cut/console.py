"""What staff see: the campaign's sessions and what they cost, one session with its packets, the code for the shop."""

from __future__ import annotations

from typing import Any, Final

from campaigns.help_cut import sessions, tables, telling
from campaigns.help_cut.doors import BASE, SHOP_MARK, shop_mark
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import ConsolePage, Data, Seen, Show, Visit
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx
from linkgen import qr

PAGE_ROWS: Final = 50
STATES: Final = ("draft", "inviting", "settling", "won", "lost", "expired", "cancelled")


def _address(campaign: CampaignView, path: str) -> str:
    return f"/admin/campaigns/{campaign.slug}{path}"


def _common(house: House, campaign: CampaignView) -> dict[str, Any]:
    return {
        "campaign": campaign,
        "zone": house.catalogue().zone(None),
        "list_address": _address(campaign, "/sessions"),
        "code_address": _address(campaign, "/shop-code"),
    }


def listing(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """The sessions, newest first, with what the campaign has given so far."""
    state = visit.query.get("state", "")
    if state not in STATES:
        state = ""
    before = visit.query.get("before", "")[:64]

    def facts(tx: Tx) -> dict[str, Any]:
        rows = tables.sessions_of(tx, campaign.slug, state, before, PAGE_ROWS + 1)
        return {
            "rows": [_row(tx, house, row, visit) for row in rows[:PAGE_ROWS]],
            "following": rows[PAGE_ROWS - 1]["id"] if len(rows) > PAGE_ROWS else "",
            "figures": tables.figures(tx, campaign.slug),
            "left": telling.left_to_sell(tx, campaign),
        }

    more = {"state": state, "states": STATES, "before": before, "settings": campaign.settings}
    return Show("help_cut/console_sessions.html", {**_common(house, campaign), **house.store.read(facts), **more})


def _row(tx: Tx, house: House, session: Row, visit: Visit) -> dict[str, Any]:
    packets = tables.packets_of(tx, session["id"])
    given = [packet for packet in packets if packet["state"] in {"granted", "paid", "failed"}]
    state, reason = sessions.standing(session, visit.now)
    return {
        "id": session["id"],
        "at": session["created_at"],
        "buyer": house.alias(session["buyer"]),
        "state": state,
        "reason": reason,
        "price_fen": session["price_fen"],
        "helps": session["helps"],
        "helpers": sessions.terms_of(session).helpers,
        "given": len(given),
        "given_fen": sum(packet["amount_fen"] for packet in given),
    }


def detail(house: House, campaign: CampaignView, visit: Visit) -> Seen:
    """One session: who was asked by which kind of account, what became of it, where its packets are."""

    def facts(tx: Tx) -> dict[str, Any]:
        row = sessions.find(tx, campaign, visit.values["session"])
        return {
            "session": telling.session_facts(tx, house, row, visit.now),
            "buyer": house.alias(row["buyer"]),
            "began_at": row["created_at"],
            "ended_at": row["ended_at"],
            "sale": row["sale"],
            "friends": [
                {
                    "type": one["type"],
                    "state": telling.invitation_state(one, visit.now),
                    "helper": house.alias(one["helper"]) if one["helper"] is not None else "",
                    "result": one["result"],
                    "sent_at": one["sent_at"],
                    "closed_at": one["closed_at"],
                }
                for one in tables.invitations_of(tx, row["id"])
            ],
            "packets": [
                {
                    "place": packet["place"],
                    "state": packet["state"],
                    # An amount that nobody has yet is nobody's to know, the shop's people included.
                    "fen": packet["amount_fen"] if packet["helper"] is not None else None,
                    "helper": house.alias(packet["helper"]) if packet["helper"] is not None else "",
                    "obstacle": packet["obstacle"],
                    "moved_at": packet["moved_at"],
                }
                for packet in tables.packets_of(tx, row["id"])
            ],
        }

    return Show("help_cut/console_session.html", {**_common(house, campaign), **house.store.read(facts)})


def shop_code(house: House, campaign: CampaignView, visit: Visit) -> Seen:  # noqa: ARG001 - the seam's signature
    """The code to hang up in the shop: whoever comes by it may take part inside WeChat too (R149)."""
    image = _address(campaign, "/shop-code/image")
    values = {"image": image, "url": _shop_url(house, campaign), "in_wechat": campaign.settings.in_wechat}
    return Show("help_cut/console_code.html", {**_common(house, campaign), **values})


def shop_code_image(house: House, campaign: CampaignView, visit: Visit) -> Seen:  # noqa: ARG001 - the seam's signature
    """The same as an image to print."""
    url = _shop_url(house, campaign)
    if not house.base_url:
        raise Refused("not_found", 404)
    return Data(qr.png(url, scale=10), "image/png")


def _shop_url(house: House, campaign: CampaignView) -> str:
    return f"{house.base_url}{BASE}/{campaign.slug}?{SHOP_MARK}={shop_mark(house, campaign)}"


CONSOLE: Final = (
    ConsolePage("/sessions", listing, label="助力场次"),
    ConsolePage("/sessions/<session>", detail),
    ConsolePage("/shop-code", shop_code, label="店内二维码"),
    ConsolePage("/shop-code/image", shop_code_image),
)
