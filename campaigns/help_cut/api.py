"""The calls of help-to-cut under `/api/v1/campaigns/<id>`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from campaigns.help_cut import helping, sale, sessions, tables, telling
from gateway.contract.campaign_kind import Reply, Request, Route
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Tx

_LONGEST_DEVICE: Final = 128


def _policy(tx: Tx, house: House, asked: Request) -> Reply:
    return Reply(200, telling.campaign_facts(tx, house, asked.campaign, asked.now))


def _start(tx: Tx, house: House, asked: Request) -> Reply:
    session = sessions.start(tx, house, asked.campaign, asked.person, _device(asked.body), asked.now)
    told = ("commitment", "state", "price_fen", "designate_until", "deadline")
    return Reply(201, {"session": session["id"], **{name: session[name] for name in told}})


def _show(tx: Tx, house: House, asked: Request) -> Reply:
    session = sessions.find(tx, asked.campaign, asked.values["session"])
    return Reply(200, telling.session_facts(tx, house, session, asked.now))


def _helpers(tx: Tx, house: House, asked: Request) -> Reply:
    _only(asked.body, "helpers")
    named = sessions.read_helpers(asked.body.get("helpers"))
    sent = sessions.name_helpers(tx, house, asked.campaign, asked.values["session"], named, asked.now)
    told = [
        {
            "invitation": one.row["id"],
            "url": sessions.url_of(house, one.token),
            "expires_at": one.row["expires_at"],
            "state": one.row["state"],
        }
        for one in sent
    ]
    state = sessions.find(tx, asked.campaign, asked.values["session"])["state"]
    return Reply(200, {"session": asked.values["session"], "state": state, "invitations": told})


def _cancel(tx: Tx, house: House, asked: Request) -> Reply:
    session = sessions.cancel(tx, house, asked.campaign, asked.values["session"], asked.caller.name, asked.now)
    return Reply(200, telling.session_facts(tx, house, session, asked.now))


def _pay(tx: Tx, house: House, asked: Request) -> Reply:
    method = asked.body.get("method")
    if method not in sale.METHODS:
        raise Refused("invalid", 422, fields={"method": f"is one of {', '.join(sale.METHODS)}"})
    session = sale.pay_in_sandbox(tx, house, asked.campaign, asked.values["session"], str(method), asked.now)
    facts = telling.session_facts(tx, house, session, asked.now)
    return Reply(200, {name: facts[name] for name in ("session", "state", "reason", "price_fen")})


def _invitation(tx: Tx, house: House, asked: Request) -> Reply:
    row, session = helping.find(tx, asked.campaign, asked.values["invitation"])
    told = {
        "invitation": row["id"],
        "session": session["id"],
        "state": telling.invitation_state(row, asked.now),
        "expires_at": row["expires_at"],
        "price_fen": session["price_fen"],
        "next_cut_fen": sessions.terms_of(session).ladder.next_cut(session["helps"]),
        "buyer": house.alias(session["buyer"]),
        "item": telling.item_facts(house.catalogue(), sessions.terms_of(session).item),
    }
    if row["state"] == "agreed":
        told |= telling.helped_facts(house, helping.helped(tx, row, session))
        packet = tables.packet_of(tx, row["id"])
        told["packet_state"] = packet["state"] if packet is not None else None
    return Reply(200, told)


def _agree(tx: Tx, house: House, asked: Request) -> Reply:
    invitation, device = asked.values["invitation"], _device(asked.body)
    helped = helping.agree(tx, house, asked.campaign, invitation, asked.person, device, asked.now)
    return Reply(200, telling.helped_facts(house, helped))


def _decline(tx: Tx, house: House, asked: Request) -> Reply:
    row = helping.decline(tx, house, asked.campaign, asked.values["invitation"], asked.person, asked.now)
    return Reply(200, {"invitation": row["id"], "state": row["state"]})


def _device(body: Mapping[str, Any]) -> str:
    """What the caller's app knows the customer's device by, "" for nothing. Raises Refused `invalid`."""
    _only(body, "device")
    device = body.get("device", "")
    if not isinstance(device, str) or len(device) > _LONGEST_DEVICE or not device.isprintable():
        raise Refused("invalid", 422, fields={"device": f"must be text of at most {_LONGEST_DEVICE} characters"})
    return device


def _only(body: Mapping[str, Any], *names: str) -> None:
    unknown = {name: "is not known here" for name in body if name not in names}
    if unknown:
        raise Refused("invalid", 422, fields=unknown)


ROUTES: Final = (
    Route("GET", "/policy", _policy),
    Route("POST", "/sessions", _start, person="needed"),
    Route("GET", "/sessions/<session>", _show),
    Route("PUT", "/sessions/<session>/helpers", _helpers),
    Route("POST", "/sessions/<session>/cancel", _cancel),
    Route("POST", "/sessions/<session>/pay", _pay, sandbox=True),
    Route("GET", "/invitations/<invitation>", _invitation),
    Route("POST", "/invitations/<invitation>/agree", _agree, person="needed"),
    Route("POST", "/invitations/<invitation>/decline", _decline, person="optional"),
)
