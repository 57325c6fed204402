"""A buyer's session: begun, helpers named and changed, given up, ended by time (R130–R136, R146, R148)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from campaigns.help_cut import tables
from campaigns.help_cut.packets import SPARE, part, reserve_parts
from campaigns.help_cut.rules import Move, SessionState, by_clock, commitment, pay_until, split
from campaigns.help_cut.settings import Settings, load_settings
from crypto.tokens import new_token, token_digest
from gateway.contract.campaign import CampaignView
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.jsontext import json_text
from gateway.contract.store import Row, Tx
from gateway.ledger import budget, limits
from gateway.ledger.limits import FOREVER, Limit

TYPES: Final = ("openid", "member", "phone", "wechat", "alipay", "douyin")
MOST_HELPERS: Final = 500
LONGEST_ACCOUNT: Final = 128
OVER: Final = frozenset({"won", "lost", "expired", "cancelled"})
_RUNNING: Final = frozenset({"live", "ended"})
"""An ended campaign begins nothing new, yet what it has promised a buyer and his friends goes on to its deadline."""


@dataclass(frozen=True, slots=True)
class Named:
    """A helper whom the buyer names: by which kind of account, and by which."""

    type: str
    account: str


@dataclass(frozen=True, slots=True)
class Sent:
    """An invitation and the token that opens it."""

    row: Row
    token: str
    account: str


def terms_of(session: Row) -> Settings:
    """The campaign's settings as they were when the session began: a later edit does not touch it."""
    table: dict[str, Any] = json.loads(session["terms"])
    return load_settings(table)


def must_run(campaign: CampaignView) -> None:
    """Raises Refused `not_live` (409) where the campaign rests."""
    if campaign.state not in _RUNNING:
        raise Refused("not_live", 409, state=campaign.state)


def stock_limit(campaign: CampaignView) -> Limit:
    """What bounds how many are sold."""
    return Limit(f"help_cut:{campaign.slug}:sold", campaign.settings.quantity, FOREVER, "sold_out")


def _start_limits(campaign: CampaignView, buyer: str) -> list[Limit]:
    settings: Settings = campaign.settings
    found = [Limit(f"help_cut:{campaign.slug}:sessions", settings.sessions, FOREVER, "sessions")]
    if settings.per_person:
        found.append(Limit(f"help_cut:{campaign.slug}:by:{buyer}", settings.per_person, FOREVER, "per_person"))
    return found


# -- beginning --------------------------------------------------------------------------------------------------------


def start(tx: Tx, house: House, campaign: CampaignView, person: str, device: str, now: datetime) -> Row:
    """A new session: its packets split and committed to, its reserve taken from the budget (R141, R148).

    Raises Refused 409: `not_live`, `not_for_sale`, `sold_out`, `limit` (`which`), `budget`; 404 for nobody.
    """
    settings: Settings = campaign.settings
    if not campaign.is_open(now):
        raise Refused("not_live", 409, state=campaign.state)
    group = house.group(tx, person)
    if not group:
        raise Refused("not_found", 404)
    _check_item(house, settings)
    if limits.reached(tx, [stock_limit(campaign)]) is not None:
        raise Refused("sold_out", 409)
    missed = limits.take(tx, _start_limits(campaign, group[0]))
    if missed is not None:
        raise Refused("limit", 409, which=missed.reason)
    id_ = house.ids.new("hc", now)
    seed, salt = house.random(32), house.random(16)
    amounts = split(settings.policy, seed, salt)
    if not house.reserve(tx, campaign, id_, reserve_parts(amounts, settings.policy.reserve_fen), now):
        raise Refused("budget", 409)
    tables.add_session(
        tx,
        {
            "id": id_,
            "campaign": campaign.slug,
            "buyer": group[0],
            "device": device,
            "price": settings.ladder.price_fen,
            "packets": settings.policy.packets,
            "seed": seed.hex(),
            "salt": salt.hex(),
            "commitment": commitment(seed, salt, amounts),
            "terms": json_text(settings.terms()),
            "now": to_text(now),
            "designate_until": to_text(now + min(settings.designate, settings.deadline)),
            "deadline": to_text(now + settings.deadline),
        },
    )
    tables.add_packets(tx, id_, campaign.slug, amounts, now)
    return _known(tx, id_)


def _check_item(house: House, settings: Settings) -> None:
    catalogue = house.catalogue()
    item = catalogue.item(settings.item)
    merchant = catalogue.merchant(item.merchant) if item is not None else None
    if item is None or item.paused or merchant is None or merchant.paused:
        raise Refused("not_for_sale", 409)


# -- looking ----------------------------------------------------------------------------------------------------------


def find(tx: Tx, campaign: CampaignView, session: str) -> Row:
    """A session of this campaign. Raises Refused `not_found`."""
    row = tables.session_of(tx, session)
    if row is None or row["campaign"] != campaign.slug:
        raise Refused("not_found", 404)
    return row


def standing(session: Row, now: datetime) -> tuple[SessionState, str]:
    """A session's state and reason at `now`, whether or not the worker has noted what time made of it."""
    move = _due(session, now)
    if move is None:
        return session["state"], session["reason"]
    if move.state == "settling":
        terms = terms_of(session)
        deadline = from_text(session["deadline"])
        if now >= pay_until(deadline, deadline, terms.pay):
            return "expired", "unpaid"
    return move.state, move.reason


def _due(session: Row, now: datetime) -> Move | None:
    return by_clock(
        session["state"],
        tables.times_of(session),
        now,
        on_deadline=terms_of(session).on_deadline,
        is_paying=session["sale"] is not None,
    )


def held(tx: Tx, campaign: CampaignView, session: str, now: datetime) -> Row:
    """The session, held for a decision and brought to where time has brought it. Raises Refused `not_found`."""
    find(tx, campaign, session)
    tables.lock_session(tx, session)
    row = find(tx, campaign, session)
    while (move := _due(row, now)) is not None:
        if move.state == "settling":
            deadline = from_text(row["deadline"])
            tables.settle_session(tx, row, move.reason, deadline, pay_until(deadline, deadline, terms_of(row).pay))
        else:
            end(tx, campaign, row, move.state, move.reason, now)
        row = find(tx, campaign, session)
    return row


# -- naming helpers ---------------------------------------------------------------------------------------------------


def read_helpers(value: object) -> list[Named]:
    """`[{"type", "account"}]` of a call. Raises Refused `invalid` (422)."""
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_HELPERS:
        raise _invalid(f"must be a list of 1 to {MOST_HELPERS} helpers")
    found: list[Named] = []
    for place, entry in enumerate(value, start=1):
        if not isinstance(entry, dict) or set(entry) - {"type", "account"}:
            raise _invalid(f"entry {place} must be an object with type and account")
        type_, account = entry.get("type"), entry.get("account")
        if type_ not in TYPES:
            raise _invalid(f"entry {place}: type must be one of {', '.join(TYPES)}")
        if not isinstance(account, str) or not account.strip() or len(account) > LONGEST_ACCOUNT:
            raise _invalid(f"entry {place}: account must be text of 1 to {LONGEST_ACCOUNT} characters")
        if not account.isprintable():
            raise _invalid(f"entry {place}: account must hold no control characters")
        named = Named(str(type_), account.strip())
        if named in found:
            raise _invalid(f"entry {place} is there twice")
        found.append(named)
    return found


def _invalid(why: str) -> Refused:
    return Refused("invalid", 422, fields={"helpers": why})


def name_helpers(
    tx: Tx, house: House, campaign: CampaignView, session: str, named: Sequence[Named], now: datetime
) -> list[Sent]:
    """Make the session's helpers those named: who stays keeps his invitation, who is left out loses his (R135).

    One who has agreed always stays. Raises Refused: `too_late` 410 once the time for it is over, `not_live`,
    `bad_state`, `session_over` 409, `not_found`.
    """
    must_run(campaign)
    row = held(tx, campaign, session, now)
    if row["state"] not in {"draft", "inviting"}:
        if row["reason"] == "no_helpers_named":
            raise Refused("too_late", 410)
        raise Refused("session_over" if row["state"] in OVER else "bad_state", 409, state=row["state"])
    if now >= from_text(row["designate_until"]):
        raise Refused("too_late", 410)
    living = {
        bytes(known["account_key"]): known
        for known in tables.invitations_of(tx, session)
        if known["state"] in {"sent", "viewed", "agreed"}
    }
    wanted = {_account_key(house, session, one): one for one in named}
    for key, left_out in living.items():
        if key not in wanted:
            tables.move_invitation(tx, left_out, "revoked", now)
    expires = min(now + terms_of(row).agree, from_text(row["deadline"]))
    for key, one in wanted.items():
        known = living.get(key)
        if known is not None and known["state"] != "agreed" and from_text(known["expires_at"]) <= now:
            tables.move_invitation(tx, known, "timed_out", now)
            known = None
        if known is None:
            _invite(tx, house, session, one, key, expires, now)
    if row["state"] == "draft":
        tables.move_session(tx, row, "inviting", "", now)
    sent = {bytes(known["account_key"]): known for known in tables.invitations_of(tx, session)}
    return [opened(house, sent[key]) for key in wanted]


def _account_key(house: House, session: str, named: Named) -> bytes:
    return house.blind(f"{named.type}:{named.account}", f"help_cut:{session}")


def _invite(tx: Tx, house: House, session: str, named: Named, key: bytes, expires: datetime, now: datetime) -> None:
    id_ = house.ids.new("hi", now)
    token = new_token(house.random)
    tables.add_invitation(
        tx,
        {
            "id": id_,
            "session": session,
            "type": named.type,
            "account": house.seal(named.account, f"help_cut:account:{id_}"),
            "account_key": key,
            "token": house.seal(token, f"help_cut:token:{id_}"),
            "digest": token_digest(token),
            "now": to_text(now),
            "expires": to_text(expires),
        },
    )


def opened(house: House, invitation: Row) -> Sent:
    """An invitation with what is sealed in its row; for the buyer's eyes alone."""
    return Sent(
        invitation,
        house.open(bytes(invitation["token"]), f"help_cut:token:{invitation['id']}"),
        account_of(house, invitation),
    )


def account_of(house: House, invitation: Row) -> str:
    """What the buyer typed for a friend; "" once it has been erased."""
    sealed = bytes(invitation["account"])
    return house.open(sealed, f"help_cut:account:{invitation['id']}") if sealed else ""


def url_of(house: House, token: str) -> str:
    """The address that an invited friend opens."""
    return f"{house.base_url}/h/{token}"


# -- ending -----------------------------------------------------------------------------------------------------------


def cancel(tx: Tx, house: House, campaign: CampaignView, session: str, who: str, now: datetime) -> Row:
    """The buyer gives up; an order that waits for its money is closed. Twice is the same.

    Raises Refused: `session_over` 409 for one that ended otherwise, `not_found`.
    """
    row = held(tx, campaign, session, now)
    if row["state"] == "cancelled":
        return row
    if row["state"] in OVER:
        raise Refused("session_over", 409, state=row["state"])
    if row["sale"] is not None:
        # Telling us of it is the core's part: the order's stock and ours come back with `OrderEnded`.
        house.unsell(tx, row["sale"], "cancelled", now)
        row = find(tx, campaign, session)
        if row["state"] in OVER or row["sale"] is not None:
            raise Refused("session_over", 409, state=row["state"])
    end(tx, campaign, row, "cancelled", "cancelled", now)
    house.audit(tx, who, "help_cut.cancel", session, row["state"], "cancelled", now)
    return find(tx, campaign, session)


def end(tx: Tx, campaign: CampaignView, session: Row, state: SessionState, reason: str, now: datetime) -> bool:
    """Close a session; what of its packets nobody was given returns to the budget (R148). Whether it was open.

    One that gave nothing makes room for another: it has cost nothing.
    """
    if not tables.move_session(tx, session, state, reason, now):
        return False
    given = 0
    for packet in tables.packets_of(tx, session["id"]):
        if packet["state"] != "reserved":
            given += 1
        elif tables.expire_packet(tx, packet, now):
            budget.give_back(tx, session["id"], part(packet["place"]))
    budget.give_back(tx, session["id"], SPARE)
    if not given and state != "won":
        limits.give_back(tx, _start_limits(campaign, session["buyer"]))
    return True


def sweep(tx: Tx, house: House, campaign: CampaignView, now: datetime, most: int) -> int:  # noqa: ARG001 - the seam's signature
    """End what time has ended; how many invitations and sessions."""
    did = tables.time_out(tx, campaign.slug, now, most)
    overdue = tables.overdue_sessions(tx, campaign.slug, now, most)
    # In one order for all, before anything is written: two workers never wait for each other.
    for session in sorted(overdue):
        tables.lock_session(tx, session)
    for session in overdue:
        held(tx, campaign, session, now)
    return did + len(overdue)


def _known(tx: Tx, session: str) -> Row:
    row = tables.session_of(tx, session)
    assert row is not None  # written in this transaction
    return row
