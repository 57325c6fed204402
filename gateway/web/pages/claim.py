"""`/c/<token>`: the claim page in all its states, the customer's coupons and their codes, leaving and joining again.

The same pages are mounted under `/sandbox/phone/<payer>` for the sandbox's phone frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Response, abort, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from gateway import links
from gateway.catalog.directory import Directory
from gateway.claiming import Page
from gateway.contract.errors import Refused
from gateway.runtime import Runtime
from gateway.web.pages import browser, cards
from gateway.web.pages.chrome import guard
from linkgen import qr
from linkgen.urls import claim_url

Answer = str | AnyResponse | tuple[str, int]

_STATUS: Final = {"expired": 410, "refunded": 410}
_FRESH: Final = "fresh"


@dataclass(frozen=True, slots=True)
class Opened:
    """A link as this request sees it: its page, and the number under which the browser keeps it."""

    page: Page
    token: str
    number: int
    directory: Directory


@dataclass(frozen=True, slots=True)
class Outside:
    """A link of a wallet's customer in a browser that has not shown which wallet it is."""

    token: str
    number: int


class ClaimPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def show(self, token: str | None = None) -> Answer:
        """GET: the page as it stands. Changes nothing but the link's first opening (R051)."""
        opened = self._open(token)
        return self._outside(opened) if isinstance(opened, Outside) else self._page(opened)

    def claim(self, token: str | None = None) -> Answer:
        """POST: claim everything that is left, then 303 to the page that shows it (R054)."""
        token, number = self._which(token)
        runtime = self._runtime
        directory = runtime.directory()
        try:
            runtime.claiming.claim(directory, token, g.now)
        except Refused as refused:
            # Asked again, so that the page tells how it stands now; a failed look-up ends here, with the neutral page.
            opened = self._open(token)
            if isinstance(opened, Outside):
                return self._outside(opened, 403)
            return self._page(opened, status=refused.status)
        number = number or browser.keep_link(token, runtime)
        session[_FRESH] = number
        # Back to where the form was: with a token to that token's address, else to the browser's own number.
        address = url_for(".show", token=token) if request.view_args else url_for(".show_kept", n=number)
        return redirect(address, 303)

    def code_image(self, number: int, place: int) -> Answer:
        """The QR code of one claimed coupon. Which link it is decides the browser's session, not the address."""
        opened = self._open(None, str(number))
        if isinstance(opened, Outside) or not 0 <= place < len(opened.page.coupons):
            abort(404)
        code = opened.page.coupons[place]["code"]
        return _png(f"{self._origin()}/v/{code}")

    def link_image(self, number: int) -> Answer:
        """The QR code of a kept link's own address, for the page that sends people to their wallet."""
        token = browser.kept_link(str(number))
        if token is None:
            abort(404)
        return _png(claim_url(self._origin(), token))

    def leave(self) -> Answer:
        """The second tap of leaving a circle (R029): GET asks, POST does it."""
        return self._membership("leave", self._runtime.claiming.opt_out, "left")

    def join(self) -> Answer:
        """Joining again: GET asks, POST does it."""
        return self._membership("left", self._runtime.claiming.opt_in, "joined")

    def _membership(self, ask: str, act: Callable[..., str], done: str) -> Answer:
        number = request.args.get("n", "")
        opened = self._open(None, number)
        if isinstance(opened, Outside):
            return self._outside(opened, 403 if request.method == "POST" else 200)
        step = ask
        if request.method == "POST":
            act(opened.directory, opened.token, g.now)
            return redirect(url_for(".leave" if done == "left" else ".join", n=number, done=1), 303)
        if request.args.get("done") == "1":
            step = done
        circle = opened.directory.circle(opened.page.link["circle"])
        return render_template("circle.html", step=step, circle=circle, number=number)

    # -- finding the link -------------------------------------------------------------------------------------------

    def _which(self, token: str | None, number: str | None = None) -> tuple[str, int | None]:
        """The token asked for, by itself or by its number in this browser."""
        if token is not None:
            return token, None
        number = number if number is not None else request.args.get("n", "")
        kept = browser.kept_link(number)
        if kept is None:
            abort(404)
        return kept, int(number)

    def _open(self, token: str | None, number: str | None = None) -> Opened | Outside:
        """The link as it stands, or Outside where a sign-in is due. Ends with 404 else; that is counted (R056)."""
        token, kept = self._which(token, number)
        runtime = self._runtime
        directory = runtime.directory()
        try:
            page = runtime.claiming.look(directory, token, g.now)
        except Refused as refused:
            if self._needs_wallet(directory, token):
                return Outside(token, kept or browser.keep_link(token, runtime))
            if kept is None:
                browser.count_failed_look_up(runtime)
            abort(refused.status)
        return Opened(page, token, kept or browser.keep_link(token, runtime), directory)

    def _needs_wallet(self, directory: Directory, token: str) -> bool:
        """Whether the link is one that its owner could open after signing in with a wallet."""
        link = self._runtime.store.read(lambda tx: links.by_token(tx, token))
        circle = directory.circle(link["circle"]) if link is not None else None
        if link is None or circle is None or circle.binding == "bearer":
            return False
        return links.state_at(link, g.now) not in {"revoked", "superseded"}

    def _origin(self) -> str:
        return self._runtime.base_url or request.host_url.rstrip("/")

    # -- showing it -------------------------------------------------------------------------------------------------

    def _page(self, opened: Opened, status: int | None = None) -> Answer:
        page, directory = opened.page, opened.directory
        link = page.link
        g.address = url_for(".show_kept", n=opened.number)
        fresh = page.view == "claimed" and session.get(_FRESH) == opened.number
        if fresh:
            session.pop(_FRESH)
        shown = self._cards(directory, page)
        values: dict[str, Any] = {
            "view": page.view,
            "circle": directory.circle(link["circle"]),
            "merchant": page.merchant,
            "cards": shown,
            "open": sum(card.state == "offer" for card in shown),
            "missed": len(page.missed),
            "until": link["expires_at"],
            "claimed_at": None if fresh else link["claimed_at"],
            "number": opened.number,
            "zone": directory.zone(link["shop"]),
            "paused": _names(page),
            "purpose": link["purpose"],
        }
        return render_template("claim.html", **values), status or _STATUS.get(page.view, 200)

    def _cards(self, directory: Directory, page: Page) -> list[cards.Card]:
        if page.view != "claimed":
            return [cards.of_item(offered) for offered in page.items]
        now = g.now
        return self._runtime.store.read(
            lambda tx: [cards.of_coupon(tx, directory, coupon, now) for coupon in page.coupons]
        )

    def _outside(self, outside: Outside, status: int = 200) -> Answer:
        g.address = url_for(".show_kept", n=outside.number)
        image = url_for(".link_image", number=outside.number)
        return render_template("outside.html", image=image, link=claim_url(self._origin(), outside.token)), status


def claim_blueprint(runtime: Runtime) -> Blueprint:
    """The claim pages, under the name `claim`; make one for each place where they are mounted."""
    pages = ClaimPages(runtime)
    blueprint = guard(Blueprint("claim", __name__), runtime)
    add = blueprint.add_url_rule
    add("/c/<token>", "show", pages.show, methods=["GET"])
    add("/c/<token>", "claim", pages.claim, methods=["POST"])
    add("/c", "show_kept", pages.show, methods=["GET"])
    add("/c", "claim_kept", pages.claim, methods=["POST"])
    add("/c/qr/<int:number>/<int:place>.png", "code_image", pages.code_image)
    add("/c/link/<int:number>.png", "link_image", pages.link_image)
    add("/c/leave", "leave", pages.leave, methods=["GET", "POST"])
    add("/c/join", "join", pages.join, methods=["GET", "POST"])
    return blueprint


def _names(page: Page) -> str:
    """The merchants whose items rest, for `{m} 暂停发放`."""
    names = dict.fromkeys(offered.merchant.name for offered in page.items if offered.state == "paused")
    return "、".join(names)


def _png(text: str) -> Response:
    return Response(qr.png(text), mimetype="image/png")
