"""`/me`: gifts to claim, coupons to use, and what is over, each a tab; nearest end first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, cast

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from gateway import handover, links
from gateway.catalog.directory import Directory
from gateway.contract.clock import to_text
from gateway.contract.store import Row, Tx
from gateway.delivery import showings
from gateway.people import Person, in_group
from gateway.reading import holdings
from gateway.runtime import Runtime
from gateway.web.pages import browser, cards, customer
from gateway.web.pages.fragments import fragment
from gateway.web.pages.me.visitor import Names, Visitor, visitor, watcher

SOON: Final = timedelta(days=3)
EVERY_S: Final = 10
_LONGEST_CURSOR: Final = 200


@dataclass(frozen=True, slots=True)
class Gift:
    """A link that waits to be claimed."""

    id: str
    merchant: str
    giver: str
    items: int
    until: str
    is_soon: bool


@dataclass(frozen=True, slots=True)
class Held:
    """A coupon in the list: its card, where it leads, and whether it ends within three days."""

    card: cards.Card
    address: str
    is_soon: bool


class HomePages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._names = Names(runtime.keyring.names_key())

    def add_to(self, blueprint: Blueprint) -> None:
        """Give the views their addresses."""
        add = blueprint.add_url_rule
        add("/me", "home", self.home)
        add("/me/live", "live", self.live)
        add("/me/links/<link>", "open_link", self.open_link)

    def home(self) -> str:
        """The whole page."""
        here = visitor(self._runtime)
        shown = self._shown(here)
        self._note_shown([row for row in shown["rows"] if isinstance(row, Gift)])
        return render_template("me/home.html", every=EVERY_S, **shown)

    def live(self) -> Response:
        """The list by itself, for the page that lies open."""
        here = watcher(self._runtime)
        return fragment(render_template("me/_list.html", **self._shown(here)))

    def _note_shown(self, gifts: Sequence[Gift]) -> None:
        """The wallet page is one of the ways to the payer: what it shows him has been shown."""
        now = g.now

        def note(tx: Tx) -> None:
            for gift in gifts:
                showings.note_shown(tx, now, gift.id, "wallet", gift.merchant)

        if gifts:
            self._runtime.store.write_later(note)

    def open_link(self, link: str) -> Response:
        """To the claim page of a link of his own. Its token goes into his session and stands in no address."""
        runtime = self._runtime
        here = visitor(runtime)
        row = runtime.store.read(lambda tx: _own_link(tx, here.who, link))
        if row is None:
            abort(404)
        number = browser.keep_link(runtime.link_keys.token(row["id"], row["key_id"]), runtime)
        return redirect(customer.to("claim.show_kept", n=number))

    def _shown(self, here: Visitor) -> Mapping[str, Any]:
        runtime, now = self._runtime, g.now
        directory = runtime.directory()
        asked = request.args.get("tab", "")
        cursors = {name: request.args.get(name, "")[:_LONGEST_CURSOR] for name in ("after", "before")}

        def read(tx: Tx) -> Mapping[str, Any]:
            counts = holdings.counts(tx, here.who, now)
            tab: holdings.Tab = "claim" if counts["claim"] else "use"
            if holdings.is_tab(asked):
                tab = cast("holdings.Tab", asked)
            page = holdings.page(tx, here.who, tab, now, **cursors)
            rows: list[Any]
            if tab == "claim":
                rows = [_gift(directory, row, now) for row in page.rows]
            else:
                rows = [self._held(tx, directory, row, now) for row in page.rows]
            return {"counts": counts, "tab": tab, "page": page, "rows": rows}

        shown = runtime.store.read(read)
        return {
            **shown,
            "circle": here.circle(directory),
            "zone": directory.zone(None),
            "turned": any(cursors.values()),
            "query": {"tab": shown["tab"], **{name: text for name, text in cursors.items() if text}},
        }

    def _held(self, tx: Tx, directory: Directory, row: Row, now: datetime) -> Held:
        card = card_of(tx, directory, row, now)
        if row["gift"]:
            card = replace(card, state="given", code="", used_at=row["given_at"], used_shop="")
            return Held(card, url_for(".given", gift=row["gift"]), is_soon=False)
        soon = card.state == "usable" and row["valid_to"] <= to_text(now + SOON)
        return Held(card, url_for(".coupon", name=self._names.of(row["code"])), is_soon=soon)


def card_of(tx: Tx, directory: Directory, coupon: Row, now: datetime) -> cards.Card:
    """The card of a coupon of one's own; it says where a gift link holds it."""
    card = cards.of_coupon(tx, directory, coupon, now)
    if card.state == "reserved" and handover.of_coupon(tx, coupon["code"]) is not None:
        return replace(card, reason="gift")
    return card


def _gift(directory: Directory, row: Row, now: datetime) -> Gift:
    merchant, circle = directory.merchant(row["merchant"]), directory.circle(row["circle"])
    giver = merchant.name if merchant is not None else circle.name if circle is not None else ""
    soon = row["expires_at"] <= to_text(now + SOON)
    return Gift(row["id"], row["merchant"], giver, len(links.items_of(row)), row["expires_at"], soon)


def _own_link(tx: Tx, who: Person, link: str) -> Row | None:
    marks, params = in_group(who)
    return tx.one(f"SELECT * FROM links WHERE id = :link AND person IN ({marks})", {**params, "link": link})
