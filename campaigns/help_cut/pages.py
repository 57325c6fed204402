"""What customers see: beginning, the board, an invitation to hand on, the helper's page, how to check the split.

Every page is whole without scripts; reading one changes nothing but that an invitation was seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from campaigns.help_cut import helping, sale, sessions, tables, telling
from campaigns.help_cut.console import CONSOLE
from campaigns.help_cut.doors import (
    BASE,
    Closed,
    Lapsed,
    campaign_of,
    check_browser,
    kept_mark,
    own_session,
    signed_in,
)
from campaigns.help_cut.sessions import Named, Sent
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import Data, GoTo, Method, Page, Pages, Seen, Show, View, Visit
from gateway.contract.clock import from_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx
from linkgen import qr

NEW_ROWS: Final = 5
"""How many empty lines the form for naming helpers has."""
PAGE_TYPES: Final = ("wechat", "phone", "alipay", "douyin", "member")
"""The kinds of account that a buyer can type. An openid is not one: nobody knows his friend's."""

_PLACE: Final = re.compile("<([a-z]+)>")
_TOLD: Final = frozenset(
    {
        "too_late", "session_over", "bad_state", "not_live", "sold_out", "limit", "budget", "not_for_sale", "all_held",
        "conditions_not_met", "self_help", "revoked", "declined", "agreed", "invalid",
    }
)  # fmt: skip
"""Refusals that a page says in words; whatever else is refused is the host's to answer."""


def _page(path: str, view: View, methods: tuple[Method, ...] = ("GET",)) -> Page:
    """A page that tells instead of showing itself where it stays shut inside WeChat (R149).

    A form of one whose sign-in has run out leads back to its page, which asks him to sign in.
    """

    def look(house: House, visit: Visit) -> Seen:
        try:
            return view(house, visit)
        except Closed as closed:
            return Show("help_cut/in_shop.html", _common(house, closed.campaign))
        except Lapsed:
            return GoTo(_PLACE.sub(lambda place: visit.values[place[1]], path))

    return Page(path, look, methods)


def _common(house: House, campaign: CampaignView) -> dict[str, Any]:
    catalogue = house.catalogue()
    item = catalogue.item(campaign.settings.item)
    return {
        "campaign": campaign,
        "base": BASE,
        "zone": catalogue.zone(None),
        "merchant": catalogue.merchant(item.merchant) if item is not None else None,
    }


# -- beginning --------------------------------------------------------------------------------------------------------


def begin(house: House, visit: Visit) -> Seen:
    """The item, its price, the ladder and the packets, before anybody starts (R130, R144); POST starts."""
    campaign = campaign_of(house, visit.values["campaign"])
    keep = kept_mark(house, campaign, visit)
    check_browser(house, campaign, visit)
    person = signed_in(campaign, visit)
    refused, status = "", 200
    if visit.method == "POST":
        try:
            return GoTo(f"{BASE}/s/{house.store.write(lambda tx: _start(tx, house, campaign, person, visit))}")
        except Refused as told:
            if told.code not in _TOLD:
                raise
            refused, status = told.code, told.status

    def facts(tx: Tx) -> dict[str, Any]:
        mine = tables.open_sessions_of(tx, campaign.slug, house.group(tx, person))
        return {
            "facts": telling.campaign_facts(tx, house, campaign, visit.now),
            "mine": [row["id"] for row in mine if sessions.standing(row, visit.now)[0] not in sessions.OVER],
        }

    return Show(
        "help_cut/begin.html",
        {**_common(house, campaign), **house.store.read(facts), "refused": refused},
        status=status,
        keep=keep,
    )


def _start(tx: Tx, house: House, campaign: CampaignView, person: str, visit: Visit) -> str:
    """The buyer's open session again, else a new one: a form that is sent twice begins nothing twice."""
    tx.lock(f"help_cut:begin:{campaign.slug}:{person}")
    for row in tables.open_sessions_of(tx, campaign.slug, house.group(tx, person)):
        if sessions.standing(row, visit.now)[0] not in sessions.OVER:
            return str(row["id"])
    return str(sessions.start(tx, house, campaign, person, visit.device, visit.now)["id"])


# -- the buyer's board ------------------------------------------------------------------------------------------------


def board(house: House, visit: Visit) -> Seen:
    """The buyer's session; POST names helpers, buys or gives up."""
    campaign, person = _buyer(house, visit)
    moves: Mapping[str, Callable[[House, CampaignView, str, Visit], Seen]] = {
        "helpers": _name_helpers,
        "buy": _buy,
        "cancel": _cancel,
    }
    refused, status, why = "", 200, ""
    if visit.method == "POST":
        move = moves.get(visit.form.get("move", ""))
        if move is None:
            raise Refused("not_found", 404)
        try:
            return move(house, campaign, person, visit)
        except Refused as told:
            if told.code not in _TOLD:
                raise
            refused, status, why = told.code, told.status, str(told.facts.get("row", ""))
    values = _board(house, campaign, person, visit)
    typed = {name: text for name, text in visit.form.items() if name.startswith(("type-", "account-"))}
    more = {"refused": refused, "bad_row": why, "typed": typed, "rows": range(1, NEW_ROWS + 1), "types": PAGE_TYPES}
    return Show("help_cut/board.html", {**values, **more}, status=status)


def board_now(house: House, visit: Visit) -> Seen:
    """The part of the board that is asked for again and again."""
    campaign, person = _buyer(house, visit)
    return Show("help_cut/_board.html", _board(house, campaign, person, visit))


def _buyer(house: House, visit: Visit) -> tuple[CampaignView, str]:
    """The session's campaign and its buyer. Raises Refused `not_found`, Closed, SignInFirst."""
    campaign = _campaign_of_session(house, visit.values["session"])
    check_browser(house, campaign, visit)
    person = signed_in(campaign, visit)
    house.store.read(lambda tx: own_session(tx, house, campaign, visit.values["session"], person))
    return campaign, person


def _campaign_of_session(house: House, session: str) -> CampaignView:
    row = house.store.read(lambda tx: tables.session_of(tx, session))
    if row is None:
        raise Refused("not_found", 404)
    return campaign_of(house, row["campaign"])


def _board(house: House, campaign: CampaignView, person: str, visit: Visit) -> dict[str, Any]:
    def facts(tx: Tx) -> dict[str, Any]:
        row = own_session(tx, house, campaign, visit.values["session"], person)
        told = telling.session_facts(tx, house, row, visit.now)
        terms = telling.terms_facts(sessions.terms_of(row))
        sent = [sessions.opened(house, one) for one in tables.invitations_of(tx, row["id"])]
        return {
            "session": told,
            "terms": terms,
            "friends": [_friend(one, visit) for one in sent if one.row["state"] != "revoked"],
            "may_name": told["state"] in {"draft", "inviting"} and visit.now < from_text(row["designate_until"]),
            "sale_path": row["sale_path"] if told["state"] == "settling" else "",
        }

    return {**_common(house, campaign), **house.store.read(facts)}


def _friend(sent: Sent, visit: Visit) -> dict[str, Any]:
    """A named helper as the buyer may see him: by what he typed himself."""
    return {
        "id": sent.row["id"],
        "name": "" if sent.row["type"] == "openid" else sent.account,
        "type": sent.row["type"],
        "state": telling.invitation_state(sent.row, visit.now),
    }


def _name_helpers(house: House, campaign: CampaignView, person: str, visit: Visit) -> Seen:
    session = visit.values["session"]

    def name(tx: Tx) -> None:
        own_session(tx, house, campaign, session, person)
        known = [sessions.opened(house, row) for row in tables.invitations_of(tx, session)]
        named = [Named(one.row["type"], one.account) for one in known if _stays(one, visit)]
        named += [one for one in _typed(visit.form) if one not in named]
        if not named:
            raise Refused("invalid", 422, fields={"helpers": "names nobody"}, row="1")
        sessions.name_helpers(tx, house, campaign, session, named, visit.now)

    house.store.write(name)
    return GoTo(f"{BASE}/s/{session}")


def _stays(sent: Sent, visit: Visit) -> bool:
    state = sent.row["state"]
    if not sent.account:
        # Erased: who has agreed stays all the same, and nobody else can be written to.
        return False
    return state == "agreed" or (state in {"sent", "viewed"} and visit.form.get(f"keep-{sent.row['id']}") == "1")


def _typed(form: Mapping[str, str]) -> list[Named]:
    """The helpers of the form's filled lines. Raises Refused `invalid`, with the line as `row`."""
    found: list[Named] = []
    for row in range(1, NEW_ROWS + 1):
        account = form.get(f"account-{row}", "").strip()
        if not account:
            continue
        try:
            (named,) = sessions.read_helpers([{"type": form.get(f"type-{row}"), "account": account}])
        except Refused as refused:
            raise Refused("invalid", 422, row=str(row), **refused.facts) from None
        if named.type not in PAGE_TYPES:
            raise Refused("invalid", 422, row=str(row))
        if named not in found:
            found.append(named)
    return found


def _buy(house: House, campaign: CampaignView, person: str, visit: Visit) -> Seen:
    session = visit.values["session"]

    def buy(tx: Tx) -> str:
        own_session(tx, house, campaign, session, person)
        order = sale.buy(tx, house, campaign, session, "", visit.now)
        return order.path if order is not None else f"{BASE}/s/{session}"

    return GoTo(house.store.write(buy))


def _cancel(house: House, campaign: CampaignView, person: str, visit: Visit) -> Seen:
    session = visit.values["session"]

    def cancel(tx: Tx) -> None:
        own_session(tx, house, campaign, session, person)
        sessions.cancel(tx, house, campaign, session, f"person:{person}", visit.now)

    house.store.write(cancel)
    return GoTo(f"{BASE}/s/{session}")


# -- an invitation to hand on -----------------------------------------------------------------------------------------


def hand_on(house: House, visit: Visit) -> Seen:
    """One invitation for the buyer to show or send: its code, its link."""
    campaign, sent = _own_invitation(house, visit)
    values = {
        "session_id": visit.values["session"],
        "friend": _friend(sent, visit),
        "expires_at": sent.row["expires_at"],
        "url": sessions.url_of(house, sent.token),
    }
    return Show("help_cut/hand_on.html", {**_common(house, campaign), **values})


def hand_on_code(house: House, visit: Visit) -> Seen:
    """Its code as an image; the address holds no token, the session decides who gets it."""
    _, sent = _own_invitation(house, visit)
    png = qr.png(sessions.url_of(house, sent.token), scale=8)
    return Data(png, "image/png", headers={"Cache-Control": "private, no-store"})


def _own_invitation(house: House, visit: Visit) -> tuple[CampaignView, Sent]:
    campaign, _ = _buyer(house, visit)

    def find(tx: Tx) -> Sent:
        row, session = helping.find(tx, campaign, visit.values["invitation"])
        if session["id"] != visit.values["session"] or row["state"] == "revoked":
            raise Refused("not_found", 404)
        return sessions.opened(house, row)

    return campaign, house.store.read(find)


# -- the helper's page ------------------------------------------------------------------------------------------------


def help_page(house: House, visit: Visit) -> Seen:
    """What a friend is asked for; POST agrees or declines, and the result stands on the same page."""
    campaign, invitation, person = _helper(house, visit)
    refused, reason, status = "", "", 200
    if visit.method == "POST":
        try:
            reason = house.store.write(lambda tx: _answer(tx, house, campaign, invitation, person, visit))
            if not reason:
                return GoTo(f"/h/{visit.values['token']}")
            refused = "not_eligible"
        except Refused as told:
            if told.code not in _TOLD:
                raise
            refused, status = told.code, told.status
    values = _helper_facts(house, campaign, invitation, person, visit)
    return Show("help_cut/helper.html", {**values, "refused": refused, "reason": reason}, status=status)


def help_now(house: House, visit: Visit) -> Seen:
    """The result, as it is asked for again until the packet has arrived (R138)."""
    campaign, invitation, person = _helper(house, visit)
    values = _helper_facts(house, campaign, invitation, person, visit)
    return Show("help_cut/_helper.html", {**values, "refused": "", "reason": ""})


def _answer(tx: Tx, house: House, campaign: CampaignView, invitation: str, person: str, visit: Visit) -> str:
    move = visit.form.get("move", "")
    if move == "agree":
        return helping.agree(tx, house, campaign, invitation, person, visit.device, visit.now).reason
    if move == "decline":
        helping.decline(tx, house, campaign, invitation, person, visit.now)
        return ""
    raise Refused("not_found", 404)


def _helper(house: House, visit: Visit) -> tuple[CampaignView, str, str]:
    """The invitation's campaign, its id, who looks; it is his from the first look. Raises as the doors do.

    Somebody else's invitation is not there for him: he learns nothing of it.
    """

    def find(tx: Tx) -> tuple[Row, str]:
        row = helping.by_token(tx, visit.values["token"])
        session = tables.session_of(tx, row["session"])
        assert session is not None  # an invitation has its session
        return row, session["campaign"]

    row, slug = house.store.read(find)
    campaign = campaign_of(house, slug)
    check_browser(house, campaign, visit, is_direct=row["type"] == "openid")
    person = signed_in(campaign, visit)
    try:
        house.store.write(lambda tx: helping.look(tx, house, campaign, row["id"], person, visit.now))
    except Refused as refused:
        raise Refused("not_found", 404) from refused
    return campaign, row["id"], person


def _helper_facts(house: House, campaign: CampaignView, invitation: str, person: str, visit: Visit) -> dict[str, Any]:
    def facts(tx: Tx) -> dict[str, Any]:
        row, session = helping.find(tx, campaign, invitation)
        terms = sessions.terms_of(session)
        packet = tables.packet_of(tx, row["id"])
        return {
            "token": visit.values["token"],
            "is_buyer": session["buyer"] in house.group(tx, person),
            "state": telling.invitation_state(row, visit.now),
            "over": sessions.standing(session, visit.now)[0],
            "result": row["result"],
            "packet": {"fen": packet["amount_fen"], "state": packet["state"], "payout": packet["payout"] or ""}
            if packet is not None
            else None,
            "buyer": house.alias(session["buyer"]),
            "session_id": session["id"],
            "item": telling.item_facts(house.catalogue(), terms.item),
            "price_fen": session["price_fen"],
            "list_fen": terms.ladder.price_fen,
            "next_cut_fen": terms.ladder.next_cut(session["helps"]),
            "helps": session["helps"],
            "helpers": terms.helpers,
            "expires_at": row["expires_at"],
            "can_start": telling.can_start(tx, campaign, visit.now) == "",
        }

    return {**_common(house, campaign), **house.store.read(facts)}


# -- fairness ---------------------------------------------------------------------------------------------------------


def fair(house: House, visit: Visit) -> Seen:
    """What was committed to before the first help, and, when it is over, all that it takes to check it."""
    campaign = _campaign_of_session(house, visit.values["session"])

    def facts(tx: Tx) -> dict[str, Any]:
        row = sessions.find(tx, campaign, visit.values["session"])
        terms = sessions.terms_of(row)
        is_over = sessions.standing(row, visit.now)[0] in sessions.OVER
        return {
            "session_id": row["id"],
            "commitment": row["commitment"],
            "terms": telling.terms_facts(terms),
            "began_at": row["created_at"],
            "reveal": telling.reveal(tx, row) if is_over else None,
        }

    return Show("help_cut/fair.html", {**_common(house, campaign), **house.store.read(facts)})


def _entry(campaign: CampaignView) -> str | None:
    return f"{BASE}/{campaign.slug}" if campaign.state == "live" else None


_BOTH: Final[tuple[Method, ...]] = ("GET", "POST")
PAGES: Final = Pages(
    title="助力砍价",
    folder=Path(__file__).parent,
    customer=(
        _page(f"{BASE}/<campaign>", begin, _BOTH),
        _page(f"{BASE}/s/<session>", board, _BOTH),
        _page(f"{BASE}/s/<session>/now", board_now),
        _page(f"{BASE}/s/<session>/i/<invitation>", hand_on),
        _page(f"{BASE}/s/<session>/i/<invitation>/code", hand_on_code),
        _page(f"{BASE}/s/<session>/fair", fair),
        _page("/h/<token>", help_page, _BOTH),
        _page("/h/<token>/now", help_now),
    ),
    console=CONSOLE,
    entry=_entry,
    item=lambda campaign: str(campaign.settings.item),
)
