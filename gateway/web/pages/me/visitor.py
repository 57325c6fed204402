"""Who looks at his own pages, and the names under which his coupons stand in addresses."""

from __future__ import annotations

from dataclasses import dataclass

from flask import abort, g

from crypto.tokens import link_token
from gateway import coupons, people
from gateway.catalog.directory import Directory
from gateway.catalog.specs import Circle
from gateway.contract.store import Row, Tx
from gateway.runtime import Runtime
from gateway.web.pages import customer, wallet


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in customer with all the persons that he is."""

    customer: customer.Customer
    who: people.Person

    def circle(self, directory: Directory) -> Circle | None:
        """The circle that he signed in for, for the head of his pages."""
        return directory.circle(self.customer.circle)


def visitor(runtime: Runtime, circle: str | None = None, channel: str | None = None) -> Visitor:
    """Who is here. Whoever has not signed in, or was forgotten since, is sent to his wallet, `channel`'s first."""
    known = _known(runtime, wallet.require(runtime, circle, channel))
    if known is None:
        customer.leave()
        known = _known(runtime, wallet.require(runtime, circle, channel))
    if known is None:
        abort(404)
    return known


def watcher(runtime: Runtime) -> Visitor:
    """Who is here, for parts that a page asks for by itself: 401 for whoever is signed in no more."""
    here = customer.signed_in(g.now)
    known = _known(runtime, here) if here is not None else None
    if known is None:
        abort(401)
    return known


def _known(runtime: Runtime, here: customer.Customer) -> Visitor | None:
    def find(tx: Tx) -> people.Person | None:
        who = people.look_up(tx, here.person)
        if who is None:
            return None
        row = tx.one("SELECT forgotten_at FROM persons WHERE id = :id", {"id": here.person})
        return who if row is not None and row["forgotten_at"] is None else None

    who = runtime.store.read(find)
    return Visitor(here, who) if who is not None else None


@dataclass(frozen=True, slots=True)
class Names:
    """Names of coupons in addresses: opaque, the same every time, and worth nothing to anybody else.

    A code would do at a till for whoever reads it in a log or over a shoulder.
    """

    key: bytes

    def of(self, code: str) -> str:
        """The name of the coupon with this code."""
        return link_token(self.key, f"coupon {code}")

    def find(self, tx: Tx, who: people.Person, name: str) -> Row | None:
        """The person's coupon of this name; None where he has none."""
        marks, params = people.in_group(who)
        for row in tx.all(f"SELECT code FROM coupons WHERE person IN ({marks})", params):
            if self.of(row["code"]) == name:
                return coupons.by_code(tx, row["code"])
        return None
