"""Claim links (接收链接, R030–R056): issued with a choice of items, opened, claimed once, expired or withdrawn.

A token is derived from the link key and the link's id, so that a link can be shown again while the store holds only
its digest (R050).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import orjson

from crypto.tokens import link_token, looks_like_token, token_digest
from gateway.contract.clock import to_text
from gateway.contract.ids import IdFactory
from gateway.contract.jsontext import json_text
from gateway.contract.store import Row, Tx
from gateway.ledger import budget
from gateway.offer import Choice
from gateway.people import Person, in_group

Purpose = Literal["payer", "source", "order", "campaign"]
SHOWN_AS = {"payer": "payer", "source": "source", "order": "payer", "campaign": "payer"}
"""For whom a link is, in the API's words."""


@dataclass(frozen=True, slots=True)
class LinkKeys:
    """Link keys by id; `active` signs new links, the others keep older links showable."""

    keys: Mapping[str, bytes]
    active: str

    def token(self, link_id: str, key_id: str | None = None) -> str:
        """The token of a link, the same every time."""
        return link_token(self.keys[key_id or self.active], link_id)

    def __repr__(self) -> str:
        return f"LinkKeys(active={self.active!r})"


@dataclass(frozen=True, slots=True)
class NewLink:
    """What a link to be issued says.

    `about` is the person for whom a source is rewarded, or a campaign's own word; a campaign's link has the campaign
    for its `offer`.
    """

    circle: str
    merchant: str
    shop: str | None
    person: str
    purpose: Purpose
    offer: str
    choice: Choice
    days: int
    payment: str | None = None
    about: str | None = None
    source_order: str | None = None


def issue(tx: Tx, ids: IdFactory, keys: LinkKeys, now: datetime, new: NewLink, *, id_: str | None = None) -> str:
    """Write a link in state `issued`; its id. The unique index keeps one per payment and purpose (R033)."""
    id_ = id_ or ids.new("l", now)
    choice = {"seed": new.choice.seed, "considered": new.choice.considered, "dropped": dict(new.choice.dropped)}
    tx.run(
        "INSERT INTO links (id, token_digest, key_id, circle, merchant, shop, person, purpose, payment, about, "
        "source_order, offer, items, choice, state, created_at, expires_at) "
        "VALUES (:id, :digest, :key, :circle, :merchant, :shop, :person, :purpose, :payment, :about, "
        ":source_order, :offer, :items, :choice, 'issued', :now, :expires)",
        {
            "id": id_,
            "digest": token_digest(keys.token(id_)),
            "key": keys.active,
            "circle": new.circle,
            "merchant": new.merchant,
            "shop": new.shop,
            "person": new.person,
            "purpose": new.purpose,
            "payment": new.payment,
            "about": new.about,
            "source_order": new.source_order,
            "offer": new.offer,
            "items": json_text([item.slug for item in new.choice.items]),
            "choice": json_text(choice),
            "now": to_text(now),
            "expires": to_text(now + timedelta(days=new.days)),
        },
    )
    return id_


def by_token(tx: Tx, token: str) -> Row | None:
    """The link behind a token; None for an unknown or malformed one."""
    if not looks_like_token(token):
        return None
    return tx.one("SELECT * FROM links WHERE token_digest = :digest", {"digest": token_digest(token)})


def items_of(link: Row) -> list[str]:
    """The slugs a link gives."""
    return [str(slug) for slug in orjson.loads(link["items"])]


def state_at(link: Row, now: datetime) -> str:
    """The link's state as it is now: one that ran out is `expired` before the sweep has written so."""
    if link["state"] in {"issued", "opened"} and link["expires_at"] <= to_text(now):
        return "expired"
    return str(link["state"])


def opened(tx: Tx, link_id: str, now: datetime) -> None:
    """Note the first look at it; the only thing that a GET changes (R051)."""
    tx.run(
        "UPDATE links SET state = 'opened', opened_at = :now WHERE id = :id AND state = 'issued' AND expires_at > :now",
        {"now": to_text(now), "id": link_id},
    )


def claim(tx: Tx, link_id: str, now: datetime) -> bool:
    """Move a live link to `claimed`; False when somebody was first or it is over. One of any number wins."""
    return bool(
        tx.run(
            "UPDATE links SET state = 'claimed', claimed_at = :now "
            "WHERE id = :id AND state IN ('issued', 'opened') AND expires_at > :now",
            {"now": to_text(now), "id": link_id},
        )
    )


def close(tx: Tx, link: Row, now: datetime, state: Literal["expired", "revoked", "superseded"], reason: str) -> bool:
    """End an unclaimed link and give its budget back; False when it was not open any more."""
    changed = tx.run(
        "UPDATE links SET state = :state, closed_at = :now, closed_reason = :reason "
        "WHERE id = :id AND state IN ('issued', 'opened')",
        {"state": state, "now": to_text(now), "reason": reason, "id": link["id"]},
    )
    if changed:
        for item in items_of(link):
            budget.give_back(tx, link["id"], item)
    return bool(changed)


def overdue(tx: Tx, now: datetime, most: int) -> list[Row]:
    """Open links whose time is over, for the sweep."""
    return tx.all(
        "SELECT * FROM links WHERE state IN ('issued', 'opened') AND expires_at <= :now "
        "ORDER BY expires_at LIMIT :most",
        {"now": to_text(now), "most": most},
    )


def of_payment(tx: Tx, payment: str) -> list[Row]:
    """Every link that a payment brought about."""
    return tx.all("SELECT * FROM links WHERE payment = :payment ORDER BY purpose", {"payment": payment})


def of_person(tx: Tx, person: Person, most: int = 100) -> list[Row]:
    """A person's links, newest first."""
    marks, params = in_group(person)
    return tx.all(
        f"SELECT * FROM links WHERE person IN ({marks}) ORDER BY id DESC LIMIT :most", {**params, "most": most}
    )


def claimed_coupons(tx: Tx, origins: Sequence[str]) -> list[Row]:
    """The coupons that these links or orders gave, in the order they were made."""
    params = {f"o{number}": origin for number, origin in enumerate(origins)}
    if not params:
        return []
    marks = ", ".join(f":{name}" for name in params)
    return tx.all(f"SELECT * FROM coupons WHERE origin IN ({marks}) ORDER BY origin, item, unit", params)
