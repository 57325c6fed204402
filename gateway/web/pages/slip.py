"""`/slip/wechat`: the page inside WeChat's own after a payment (R031, R032). One button, and nothing of anybody's.

WeChat waits three seconds for the page to say whether it is shown, so the page is made whatever happens: what goes
wrong, what is not whole, and what we do not know all look like an order without a gift.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Final

import structlog
from flask import Blueprint, Response, g, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from gateway import links
from gateway.auth.throttle import source
from gateway.catalog.directory import Directory
from gateway.claiming import Offered
from gateway.contract.errors import Refused, StoreTrouble
from gateway.contract.store import Row, Tx
from gateway.delivery import showings, slip
from gateway.delivery.slip import Asked
from gateway.runtime import Runtime
from gateway.web.pages import browser, cards, customer
from gateway.web.pages.chrome import frame_policy
from linkgen.urls import claim_url

Answer = str | AnyResponse

WECHAT: Final = "https://payapp.weixin.qq.com"
"""The page that frames ours, and the only one that may."""

CARDS: Final = 2
"""What fits without scrolling; the rest is told as a number."""

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Gift:
    """What the page shows of a link. `jump`: its whole address, for WeChat; `href`: the same for a plain browser."""

    count: int
    cards: tuple[cards.Card, ...]
    jump: str
    href: str


class SlipPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def page(self) -> Answer:
        """The whole page, with the gift already on it where we know of it."""
        framed_by_wechat = request.blueprint == "customer.slip"
        if framed_by_wechat:
            frame_policy(frame_ancestors=WECHAT)
        asked = _asked()
        gift, is_looking, always = None, False, False
        # Without a word from us WeChat shows an empty place; so a store that is away is an order without a gift.
        with contextlib.suppress(StoreTrouble):
            directory = self._runtime.directory()
            mode = self._mode(directory, asked)
            if mode != "off":
                gift = self._look(directory, asked)
                is_looking, always = gift is None, mode == "always"
        return render_template(
            "slip.html",
            gift=gift,
            state="gift" if gift else "looking" if is_looking else "nothing",
            always=always,
            parent=WECHAT if framed_by_wechat else "",
            asked=asked,
        )

    def look(self) -> Answer:
        """The gift by itself, or 204 for "nothing yet", whatever the reason."""
        asked = _asked()
        gift = None
        with contextlib.suppress(StoreTrouble):
            directory = self._runtime.directory()
            if self._mode(directory, asked) != "off":
                gift = self._look(directory, asked)
        return render_template("_slip.html", gift=gift) if gift else Response(status=204)

    def _mode(self, directory: Directory, asked: Asked) -> str:
        if not asked.is_whole:
            return "off"
        return self._runtime.store.read(lambda tx: slip.mode_of(tx, directory, asked.sub_mch_id))

    def _look(self, directory: Directory, asked: Asked) -> Gift | None:
        runtime, now = self._runtime, g.now
        who = source(browser.address(runtime))

        def read(tx: Tx) -> slip.Found:
            slip.UNKNOWN_ORDER.check(tx, now, who)
            return slip.find(tx, directory, asked, now)

        def note(tx: Tx) -> None:
            # Beyond the limit nothing is looked up any more, so there is nothing to count.
            with contextlib.suppress(Refused):
                slip.UNKNOWN_ORDER.count(tx, now, who)
                slip.note_unknown(tx, asked, now)

        try:
            found = runtime.store.read(read)
        except Refused:
            return None
        if not found.is_known:
            # Later, so that an order that we know and one that we don't take the same time.
            runtime.store.write_later(note)
        return self._gift(directory, asked, found.link) if found.link is not None else None

    def _gift(self, directory: Directory, asked: Asked, link: Row) -> Gift | None:
        runtime, now = self._runtime, g.now
        origin = runtime.base_url or request.host_url.rstrip("/")
        if not slip.is_checked(asked, f"{origin}/slip/wechat", link["transaction_id"]):
            log.info("slip_check_code_differs", link=link["id"], merchant=link["merchant"])
        shown = _cards(directory, link)
        if not shown:
            return None
        token = runtime.link_keys.token(link["id"], link["key_id"])
        id_, merchant = link["id"], link["merchant"]
        runtime.store.write_later(lambda tx: showings.note_shown(tx, now, id_, "slip", merchant))
        return Gift(len(shown), tuple(shown[:CARDS]), claim_url(origin, token), customer.to("claim.show", token=token))


def slip_blueprint(runtime: Runtime) -> Blueprint:
    """The slip page, under the name `slip`. It has no form, so nothing guards one."""
    pages = SlipPages(runtime)
    blueprint = Blueprint("slip", __name__)

    @blueprint.before_request
    def moment() -> None:
        g.now = runtime.clock()

    blueprint.add_url_rule("/slip/wechat", "page", pages.page)
    blueprint.add_url_rule("/slip/wechat/look", "look", pages.look)
    return blueprint


def _asked() -> Asked:
    values: dict[str, Any] = {name: request.args.get(name, "") for name in ("sub_mch_id", "out_trade_no", "check_code")}
    return Asked(**values)


def _cards(directory: Directory, link: Row) -> list[cards.Card]:
    found = []
    for slug in links.items_of(link):
        item = directory.item(slug)
        owner = directory.merchant(item.merchant) if item is not None else None
        if item is not None and owner is not None:
            found.append(cards.of_item(Offered(item, owner, "open")))
    return found
