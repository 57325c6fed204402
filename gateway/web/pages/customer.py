"""The customer behind a browser: who has signed in with a wallet here, and the group that all his pages belong to.

The pages are mounted twice: for everyone, and once more under each guest's phone of the sandbox, where each guest is
a customer of his own in the same browser. `to` gives addresses within the mount of the page being made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from flask import Blueprint, current_app, g, request, session, url_for

from gateway.contract.clock import from_text, to_text
from gateway.contract.wallet import Platform
from gateway.runtime import Runtime

KEPT_FOR: Final = timedelta(hours=12)
_KEY: Final = "wallet"


@dataclass(frozen=True, slots=True)
class Customer:
    """A person as his wallet named him. `circle` is the one that he signed in for; he sees what is his in all.

    `channel` is the one whose wallet he signed in with.
    """

    person: str
    platform: Platform
    circle: str
    until: str
    channel: str = ""


def customer_pages(runtime: Runtime, name: str, rooms: Iterable[Callable[[Runtime], Blueprint]]) -> Blueprint:
    """All pages of customers as one group; `name` is `customer` for everyone, `phone` in the sandbox."""
    group = Blueprint(name, __name__)
    for room in rooms:
        group.register_blueprint(room(runtime))
    return group


def to(endpoint: str, **values: Any) -> str:
    """The address of a customer's page, such as `claim.show`, in the mount of the page being made."""
    group = (request.blueprint or "customer").partition(".")[0]
    return url_for(f"{group if group in {'customer', 'phone'} else 'customer'}.{endpoint}", **values)


def has(endpoint: str) -> bool:
    """Whether there is such a page for customers."""
    return f"customer.{endpoint}" in current_app.view_functions


def signed_in(now: datetime) -> Customer | None:
    """Who signed in with a wallet in this browser and is remembered still; None for nobody."""
    customer = visitor(now)
    return customer if customer is not None and customer.person else None


def visitor(now: datetime) -> Customer | None:
    """The same, or with `person` "" someone who showed his wallet and of whom nothing is kept here."""
    kept = session.get(slot(_KEY))
    try:
        customer = Customer(**kept) if isinstance(kept, dict) else None
        return customer if customer is not None and from_text(customer.until) > now else None
    except (TypeError, ValueError):
        return None


def enter(person: str, platform: Platform, circle: str, now: datetime, channel: str = "") -> Customer:
    """Remember in this browser who signed in."""
    customer = Customer(person, platform, circle, to_text(now + KEPT_FOR), channel)
    session[slot(_KEY)] = asdict(customer)
    return customer


def leave() -> None:
    """Forget who signed in here."""
    session.pop(slot(_KEY), None)


def slot(name: str) -> str:
    """A name in the session. The sandbox's guests share a browser, so each has a place of his own in it."""
    guest = g.get("guest", "")
    return f"{name}:{guest}" if guest else name
