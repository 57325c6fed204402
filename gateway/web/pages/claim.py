"""`/c/<token>`: the claim page in all its states, the customer's coupons and their codes, leaving and joining again.

The same pages are mounted under `/sandbox/phone/<payer>` for the sandbox's phone frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, Response, abort, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from gateway import audit, links
from gateway.catalog.directory import Directory
from gateway.claiming import Page
from gateway.contract.errors import Refused
from gateway.contract.store import Row
from gateway.reading import why
from gateway.runtime import Runtime
from gateway.web.pages import browser, cards, customer, wallet
from gateway.web.pages.chrome import guard
from linkgen import qr
from linkgen.urls import claim_url

Answer = str | AnyResponse | tuple[str, int]

_STATUS: Final = {"expired": 410, "refunded": 410}
_FRESH: Final = "fresh"


@dataclass(frozen=True, slots=True)
class Opened:
    """A link as this request sees it: its page, and the number under which the browser keeps it.

    `person` is who looks, None where nobody has to say; `brand` the wallet that the payment came from where that is
    another one than he has signed in with here, "" else.
    """

    page: Page
    token: str
    number: int
    directory: Directory
    person: str | None = None
    brand: str = ""


class ClaimPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def show(self, token: str | None = None) -> Answer:
        """GET: the page as it stands. Changes nothing but the link's first opening (R051)."""
        return self._page(self._open(token))

    def claim(self, token: str | None = None) -> Answer:
        """POST: claim everything that is left, then 303 to the page that shows it (R054)."""
        opened = self._open(token)
        if opened.brand:
            return self._page(opened, HTTPStatus.FORBIDDEN)
        try:
            self._runtime.claiming.claim(opened.directory, opened.token, g.now, person=opened.person)
        except Refused as refused:
            # Asked again, so that the page tells how it stands now; a failed look-up ends here, with the neutral page.
            return self._page(self._open(token), status=refused.status)
        session[_FRESH] = opened.number
        # Back to where the form was: with a token to that token's address, else to the browser's own number.
        address = url_for(".show", token=token) if request.view_args else url_for(".show_kept", n=opened.number)
        return redirect(address, 303)

    def why(self) -> str:
        """Why these were given: the payment, how he came to be known, the choice; never another person (R076)."""
        opened = self._open(None)
        link = opened.page.link
        directory = opened.directory
        answer = self._runtime.store.read(lambda tx: why.of_link(tx, link))
        paid = directory.merchant(answer.payment["merchant"]) if answer.payment is not None else None
        return render_template(
            "claim_why.html",
            why=answer,
            paid_at=paid or opened.page.merchant,
            circle=directory.circle(link["circle"]),
            merchant=opened.page.merchant,
            items=len(links.items_of(link)),
            number=opened.number,
            zone=directory.zone(link["shop"]),
        )

    def code_image(self, number: int, place: int) -> Answer:
        """The QR code of one claimed coupon. Which link it is decides the browser's session, not the address."""
        opened = self._open(None, str(number), may_ask=False)
        if not 0 <= place < len(opened.page.coupons):
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
        opened = self._open(None)
        number, step = opened.number, ask
        if request.method == "POST":
            act(opened.directory, opened.token, g.now, person=opened.person)
            return redirect(url_for(".leave" if done == "left" else ".join", n=number, done=1), 303)
        if request.args.get("done") == "1":
            step = done
        circle = opened.directory.circle(opened.page.link["circle"])
        return render_template("circle.html", step=step, circle=circle, number=number)

    # -- finding the link -------------------------------------------------------------------------------------------

    def _which(self, token: str | None, number: str | None = None) -> tuple[str, int | None]:
        """The token asked for, by itself or by its number in this browser; `/c` alone is the first."""
        if token is not None:
            return token, None
        number = number if number is not None else request.args.get("n", "1")
        kept = browser.kept_link(number)
        if kept is None:
            abort(404)
        return kept, int(number)

    def _open(self, token: str | None, number: str | None = None, *, may_ask: bool = True) -> Opened:
        """The link as it stands, for who looks. Ends with 404 else, which is counted (R056).

        Where it is a wallet's customer's, and this browser has not shown which wallet it is, the request ends on the
        way there (`may_ask`).
        """
        token, kept = self._which(token, number)
        runtime = self._runtime
        directory = runtime.directory()
        visitor = customer.signed_in(g.now)
        person = visitor.person if visitor is not None else None
        try:
            page = runtime.claiming.look(directory, token, g.now, person=person)
        except Refused as refused:
            link = self._owned(directory, token)
            if link is not None and may_ask:
                self._ask(link, token, kept or browser.keep_link(token, runtime))
            if link is not None or kept is None:
                browser.count_failed_look_up(runtime)
            abort(refused.status)
        opened = Opened(page, token, kept or browser.keep_link(token, runtime), directory)
        if page.binding == "bearer" or visitor is None:
            return opened
        return replace(opened, person=person, brand=self._other_brand(page, visitor))

    def _owned(self, directory: Directory, token: str) -> Row | None:
        """The link behind a token, if its owner could open it once he has signed in."""
        link = self._runtime.store.read(lambda tx: links.by_token(tx, token))
        circle = directory.circle(link["circle"]) if link is not None else None
        if link is None or circle is None or circle.binding == "bearer":
            return None
        withdrawn = links.state_at(link, g.now) in {"revoked", "superseded"}
        return None if withdrawn and link["closed_reason"] != "refunded" else link

    def _ask(self, link: Row, token: str, number: int) -> None:
        """Let the wallet tell who this is; on return it has, and it is not the link's owner."""
        runtime = self._runtime
        g.address = url_for(".show_kept", n=number)
        paid = self._payment(link)
        want = wallet.Want(
            circle=link["circle"],
            target=url_for(".show_kept") if number == 1 else g.address,
            shown=f"/c/{token}",
            channel=paid["channel"] if paid is not None else None,
            makes=False,
        )
        visitor = wallet.ask(runtime, want)
        now = g.now
        told = {"person": visitor.person or None, "platform": visitor.platform}
        # Not in this request's time: a stranger is to learn nothing from how long his answer takes.
        runtime.store.write_later(
            lambda tx: audit.record(tx, now, "customer", "link.not_yours", link["id"], after=told)
        )

    def _other_brand(self, page: Page, visitor: customer.Customer) -> str:
        """The wallet that the link's payment came from, if it is not the one he has signed in with."""
        paid = self._payment(page.link) if page.view in {"ready", "sold_out", "paused"} else None
        provider = str(paid["provider"]) if paid is not None else ""
        return provider if provider in wallet.ALL and provider != visitor.platform else ""

    def _payment(self, link: Row) -> Row | None:
        if link["payment"] is None or link["purpose"] != "payer":
            return None
        return self._runtime.store.read(
            lambda tx: tx.one("SELECT provider, channel FROM payments WHERE id = :id", {"id": link["payment"]})
        )

    def _origin(self) -> str:
        return self._runtime.base_url or request.host_url.rstrip("/")

    # -- showing it -------------------------------------------------------------------------------------------------

    def _page(self, opened: Opened, status: int | None = None) -> Answer:
        page, directory = opened.page, opened.directory
        link = page.link
        if opened.brand:
            return self._other_wallet(opened), status or HTTPStatus.OK
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
            "given": page.given,
            "privacy": customer.to("me.privacy"),
            "mine": customer.to("me.home") if customer.has("me.home") else "",
        }
        return render_template("claim.html", **values), status or _STATUS.get(page.view, 200)

    def _cards(self, directory: Directory, page: Page) -> list[cards.Card]:
        if page.view != "claimed":
            return [cards.of_item(offered) for offered in page.items]
        now = g.now
        return self._runtime.store.read(
            lambda tx: [cards.of_coupon(tx, directory, coupon, now) for coupon in page.coupons]
        )

    def _other_wallet(self, opened: Opened) -> str:
        """The same person, by another wallet than he paid with: he is told which, and neither shop nor amount."""
        g.address = url_for(".show_kept", n=opened.number)
        image = url_for(".link_image", number=opened.number)
        circle = opened.directory.circle(opened.page.link["circle"])
        return render_template(
            "other_wallet.html", brand=opened.brand, image=image, circle=circle, number=opened.number
        )


def claim_blueprint(runtime: Runtime) -> Blueprint:
    """The claim pages, under the name `claim`; make one for each place where they are mounted."""
    pages = ClaimPages(runtime)
    blueprint = guard(Blueprint("claim", __name__), runtime)
    add = blueprint.add_url_rule
    add("/c/<token>", "show", pages.show, methods=["GET"])
    add("/c/<token>", "claim", pages.claim, methods=["POST"])
    add("/c", "show_kept", pages.show, methods=["GET"])
    add("/c", "claim_kept", pages.claim, methods=["POST"])
    add("/c/why", "why", pages.why)
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
