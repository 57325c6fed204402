"""Claiming: the customer opens a link, looks at what it gives, and takes it once (R050–R057, R029).

`look` answers what a page must show and changes nothing but the first opening; `claim` is the one door to coupons.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gateway import coupons, links, people, tagging, webhooks
from gateway.catalog.directory import Directory
from gateway.catalog.specs import Binding, Item, Merchant
from gateway.contract.campaign import Hear, LinkClaimed, nobody_hears
from gateway.contract.errors import Refused
from gateway.contract.store import Row, Store, Tx
from gateway.ledger import budget

View = Literal["ready", "claimed", "expired", "refunded", "sold_out", "paused"]


@dataclass(frozen=True, slots=True)
class Offered:
    """One item of a link, as it stands now."""

    item: Item
    merchant: Merchant
    state: Literal["open", "gone", "paused"]


@dataclass(frozen=True, slots=True)
class Page:
    """What a link's page shows. `coupons` when claimed; `missed`: items that had run out when it was claimed.

    `given`: how many of its coupons he has handed on since.
    """

    view: View
    link: Row
    merchant: Merchant | None
    binding: Binding
    items: tuple[Offered, ...]
    coupons: tuple[Row, ...] = ()
    missed: tuple[str, ...] = ()
    given: int = 0


@dataclass(frozen=True, slots=True)
class Claiming:
    """The use case; its parts are shared by all threads of a process."""

    store: Store
    random: Callable[[int], bytes]
    hear: Hear = nobody_hears

    def look(self, directory: Directory, token: str, now: datetime, *, person: str | None = None) -> Page:
        """The page of a link for its bound person; with `bearer` binding for anyone who holds it.

        Raises Refused `not_found` (404), the same for unknown, malformed, revoked and others' links (R056).
        """

        def read(tx: Tx) -> Page:
            return self._page(tx, directory, self._bound_link(tx, directory, token, now, person), now)

        page = self.store.read(read)
        if page.link["state"] == "issued" and page.view in {"ready", "sold_out", "paused"}:
            self.store.write_later(lambda tx: links.opened(tx, page.link["id"], now))
        return page

    def claim(self, directory: Directory, token: str, now: datetime, *, person: str | None = None) -> Page:
        """Claim everything that is left of a link; the page that shows it, the same for a second POST (R054).

        Raises Refused: `not_found` 404, `expired` or `refunded` 410, `sold_out` or `paused` 409.
        """
        return self.store.write(lambda tx: self._claim(tx, directory, token, now, person))

    def opt_out(self, directory: Directory, token: str, now: datetime, *, person: str | None = None) -> str:
        """The link's person leaves its circle (R029); the circle's slug. Raises Refused `not_found`."""

        def leave(tx: Tx) -> str:
            link = self._bound_link(tx, directory, token, now, person)
            who = people.look_up(tx, link["person"])
            if who is not None:
                tagging.opt_out(tx, link["circle"], who, now)
            return str(link["circle"])

        return self.store.write(leave)

    def opt_in(self, directory: Directory, token: str, now: datetime, *, person: str | None = None) -> str:
        """The link's person joins its circle again; the circle's slug. Raises Refused `not_found`."""

        def join(tx: Tx) -> str:
            link = self._bound_link(tx, directory, token, now, person)
            who = people.look_up(tx, link["person"])
            if who is not None:
                tagging.opt_in(tx, link["circle"], who)
            return str(link["circle"])

        return self.store.write(join)

    def _claim(self, tx: Tx, directory: Directory, token: str, now: datetime, person: str | None) -> Page:
        link = self._bound_link(tx, directory, token, now, person)
        page = self._page(tx, directory, link, now)
        if page.view in {"expired", "refunded"}:
            raise Refused(page.view, 410)
        if page.view in {"sold_out", "paused"}:
            raise Refused(page.view, 409)
        if page.view == "claimed":
            return page
        if not links.claim(tx, link["id"], now):
            # Somebody was quicker between the look and the claim: look again at what he made of it.
            return self._claim(tx, directory, token, now, person)
        made = 0
        # In one order for all, so that two claims never wait for each other's stock.
        for offered in sorted(page.items, key=lambda offered: offered.item.slug):
            # Stock is taken item by item: what ran out meanwhile is told, the rest is his.
            if offered.state == "open" and coupons.take_stock(tx, offered.item):
                coupons.create(
                    tx,
                    self.random,
                    now,
                    offered.item,
                    origin=link["id"],
                    unit=0,
                    circle=link["circle"],
                    person=link["person"],
                    payment=link["payment"],
                )
                made += 1
        if not made:
            raise Refused("sold_out", 409)
        taken = {row["item"] for row in links.claimed_coupons(tx, [link["id"]])}
        for slug in links.items_of(link):
            if slug not in taken:
                budget.give_back(tx, link["id"], slug)
        again = self._bound_link(tx, directory, token, now, person)
        webhooks.claimed(tx, now, directory.webhooks_for(link["circle"], link["merchant"]), again)
        codes = tuple(row["code"] for row in links.claimed_coupons(tx, [link["id"]]))
        about = link["payment"] or link["source_order"] or link["about"] or ""
        claimed = LinkClaimed(link["id"], link["circle"], link["merchant"], link["person"], about, codes)
        self.hear(tx, claimed, now)
        return self._page(tx, directory, again, now)

    @staticmethod
    def _bound_link(tx: Tx, directory: Directory, token: str, now: datetime, person: str | None) -> Row:
        link = links.by_token(tx, token)
        circle = directory.circle(link["circle"]) if link is not None else None
        if link is None or circle is None:
            raise Refused("not_found", 404)
        if circle.binding != "bearer":
            owner = people.look_up(tx, link["person"])
            if person is None or owner is None or person not in owner.group:
                raise Refused("not_found", 404)
        withdrawn = links.state_at(link, now) in {"revoked", "superseded"}
        if withdrawn and link["closed_reason"] != "refunded":
            raise Refused("not_found", 404)
        return link

    @staticmethod
    def _page(tx: Tx, directory: Directory, link: Row, now: datetime) -> Page:
        circle = directory.circle(link["circle"])
        merchant = directory.merchant(link["merchant"])
        binding: Binding = circle.binding if circle is not None else "oauth"
        wanted = links.items_of(link)
        state = links.state_at(link, now)
        if state == "claimed":
            made = links.claimed_coupons(tx, [link["id"]])
            missed = tuple(slug for slug in wanted if slug not in {row["item"] for row in made})
            # What he handed on is another's now: its code is shown to that one only.
            his = tuple(row for row in made if row["person"] == link["person"])
            return Page("claimed", link, merchant, binding, (), his, missed, len(made) - len(his))
        gone = coupons.gone(tx)
        items = tuple(
            Offered(item, owner, "gone" if slug in gone else "paused" if item.paused or owner.paused else "open")
            for slug in wanted
            if (item := directory.item(slug)) is not None and (owner := directory.merchant(item.merchant)) is not None
        )
        view: View = "ready"
        if state == "revoked":
            view = "refunded"
        elif state == "expired":
            view = "expired"
        elif not any(offered.state == "open" for offered in items):
            view = "paused" if any(offered.state == "paused" for offered in items) else "sold_out"
        return Page(view, link, merchant, binding, items)
