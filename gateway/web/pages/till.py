"""`/till/<shop>`: a second screen that shows the newest unclaimed link of a shop as a QR code, for a minute (R260).

The screen is paired once and may then read its own shop's code and nothing else. It hears of a payment by a stream;
where it gets none it asks again and again, and without scripts it loads itself anew.
"""

from __future__ import annotations

import threading
import time
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from flask import (
    Blueprint,
    Response,
    abort,
    copy_current_request_context,
    current_app,
    g,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from gateway.auth.throttle import source
from gateway.catalog.directory import Directory
from gateway.catalog.specs import Shop
from gateway.contract.store import Tx
from gateway.delivery import screens, showings, till
from gateway.delivery.till import Place, Showing
from gateway.heartbeat import is_draining
from gateway.runtime import Runtime
from gateway.web.pages import browser, staff
from gateway.web.pages.chrome import guard
from gateway.web.pages.clerk import ClerkPages, origin, png, sees, shop_url
from gateway.web.pages.language import language
from gateway.web.pages.streams import Listener, Slots, Watch, events
from linkgen.urls import claim_url

Answer = str | AnyResponse | tuple[str, int]

COOKIE: Final = "drainage_screen"
KEPT_S: Final = 400 * 86_400
"""As long as browsers keep a cookie at all; each load of the page begins it anew."""

SEEN_EVERY_S: Final = 20.0
_MOST_KNOWN: Final = 1000
_LONGEST_TYPED: Final = 40


@dataclass(frozen=True, slots=True)
class Viewer:
    """A screen that may show this shop's code. `screen`: the paired device's id, "" for staff and in the sandbox."""

    directory: Directory
    shop: Shop
    place: Place
    screen: str = ""


class TillPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._watch = Watch(runtime)
        self._slots = Slots(runtime.config.live.sse_max)
        self._seen = Lately(SEEN_EVERY_S)
        self._failed = Lately(till.SHOWN_FOR.total_seconds())

    def till(self, shop: str) -> Answer:
        """The whole page; a device that nobody has paired is asked for its code."""
        viewer = self._viewer(shop)
        if viewer is None:
            return redirect(url_for("till.pair", shop=shop), 303)
        showing = self._look(viewer)
        page = make_response(render_template("till.html", **self._values(viewer, showing)))
        kept = request.cookies.get(COOKIE)
        if viewer.screen and kept:
            self._keep(page, viewer.shop.slug, kept)
        return page

    def live(self, shop: str) -> Answer:
        """The part that changes. Its ETag is that of what is shown, not of the seconds that are left."""
        viewer = self._viewer(shop) or abort(401)
        showing = self._look(viewer)
        answer = Response(render_template("_till.html", **self._values(viewer, showing)), mimetype="text/html")
        answer.set_etag(f"{showing.tag}-{language()}")
        answer.make_conditional(request)
        return answer

    def stream(self, shop: str) -> Answer:
        """The same part as a stream; 503 where every slot is taken."""
        viewer = self._viewer(shop) or abort(401)
        give_back = self._slots.take()
        if give_back is None:
            return Response("", 503, {"Retry-After": "2"}, mimetype="text/plain")

        # The request is long over when its stream speaks: each word is said in a copy of its context.
        @copy_current_request_context
        def render(showing: Showing) -> str:
            g.now = self._runtime.clock()
            self._note_failed(showing)
            return render_template("_till.html", **self._values(viewer, showing))

        @copy_current_request_context
        def may() -> bool:
            return self._may_still(viewer)

        listener = Listener(
            viewer.place,
            request.headers.get("Last-Event-ID", ""),
            render,
            may=may,
            seen=lambda: self._note_seen(viewer),
            is_over=lambda: is_draining(self._runtime.home.run_dir),
        )
        answer = Response(events(self._watch, listener), mimetype="text/event-stream")
        # A proxy that gathers before it sends would make a stream of nothing.
        answer.headers["X-Accel-Buffering"] = "no"
        answer.call_on_close(give_back)
        return answer

    def image(self, shop: str, link: str) -> Answer:
        """The QR code that is being shown, and no other."""
        viewer = self._viewer(shop) or abort(401)
        runtime, now = self._runtime, g.now
        showing = runtime.store.read(lambda tx: till.look(tx, [viewer.place], now))[viewer.shop.slug]
        if showing.state == "shop" and link == till.SHOP_CODE:
            return png(shop_url(runtime, viewer.shop.slug))
        gift = showing.gift
        if showing.state != "link" or gift is None or gift.link != link:
            abort(404)
        runtime.store.write_later(lambda tx: showings.note_shown(tx, now, gift.link, "till", gift.merchant))
        return png(claim_url(origin(runtime), runtime.link_keys.token(gift.link, gift.key_id)))

    def pair(self, shop: str) -> Answer:
        """GET: where a new screen's code is typed. POST: use it; the device is then known. Tells nothing of shops."""
        if request.method == "GET":
            return render_template("till_pair.html", shop=shop, faults={})
        runtime, now = self._runtime, g.now
        who = source(browser.address(runtime))
        # A Chinese input method writes digits full-width, and people type the gap that they see.
        typed = unicodedata.normalize("NFKC", request.form.get("code", "")[:_LONGEST_TYPED])
        code = "".join(letter for letter in typed if letter.isdecimal())

        def use(tx: Tx) -> screens.Paired | None:
            screens.PAIRING.check(tx, now, who)
            paired = screens.pair(tx, runtime.ids, runtime.random, shop, code, now)
            if paired is None:
                screens.PAIRING.count(tx, now, who)
            return paired

        known = runtime.directory().shop(shop) is not None
        paired = runtime.store.write(use)
        if paired is None or not known:
            faults = {"code": _("配对码不对或已过期，请店员重新生成")}
            return render_template("till_pair.html", shop=shop, faults=faults), 422
        answer = redirect(url_for("till.till", shop=shop), 303)
        self._keep(answer, shop, f"{paired.id}.{paired.secret}")
        return answer

    # -- whose screen it is -----------------------------------------------------------------------------------------

    def _viewer(self, slug: str) -> Viewer | None:
        """A screen of the shop, a member of its staff, or anybody in the sandbox; None for nobody known.

        Staff of another shop get 404.
        """
        runtime = self._runtime
        directory = runtime.directory()
        shop = directory.shop(slug)
        if shop is None and runtime.config.sandbox.enabled:
            abort(404)
        if shop is not None:
            place = till.place_of(directory, shop)
            screen = self._screen(slug)
            if screen or runtime.config.sandbox.enabled:
                return Viewer(directory, shop, place, screen)
        who = staff.signed_in(runtime)
        if who is None:
            return None
        if shop is None or not who.may("clerk") or not sees(directory, who, shop):
            abort(404)
        return Viewer(directory, shop, place)

    def _screen(self, shop: str) -> str:
        """The id of the paired device that asks, "" for none."""
        id_, _dot, secret = request.cookies.get(COOKIE, "").partition(".")
        if not secret:
            return ""
        return id_ if self._runtime.store.read(lambda tx: screens.known(tx, shop, id_, secret)) else ""

    def _may_still(self, viewer: Viewer) -> bool:
        """Whether a stream goes on: the device was not sent away, the clerk not signed out."""
        if viewer.screen:
            return bool(self._screen(viewer.shop.slug))
        if self._runtime.config.sandbox.enabled:
            return True
        g.pop("principal", None)
        return staff.signed_in(self._runtime) is not None

    @staticmethod
    def _keep(answer: AnyResponse, shop: str, value: str) -> None:
        answer.set_cookie(
            COOKIE,
            value,
            max_age=KEPT_S,
            path=url_for("till.till", shop=shop),
            httponly=True,
            samesite="Lax",
            secure=bool(current_app.config["SESSION_COOKIE_SECURE"]),
        )

    # -- showing it -------------------------------------------------------------------------------------------------

    def _look(self, viewer: Viewer) -> Showing:
        now = g.now
        self._note_seen(viewer)
        showing = self._runtime.store.read(lambda tx: till.look(tx, [viewer.place], now))[viewer.shop.slug]
        self._note_failed(showing)
        return showing

    def _note_seen(self, viewer: Viewer) -> None:
        """The clerk's view says whether a screen is there; it need not know to the second."""
        shop, screen, now = viewer.shop.slug, viewer.screen, self._runtime.clock()
        if not self._seen.is_first(f"{shop} {screen}"):
            return

        def note(tx: Tx) -> None:
            till.seen(tx, shop, now)
            if screen:
                screens.seen(tx, screen, now)

        self._runtime.store.write_later(note)

    def _note_failed(self, showing: Showing) -> None:
        """Two gifts at once: neither is shown by itself, and their way says why."""
        if showing.state != "choose" or not self._failed.is_first(showing.tag):
            return
        now, rivals = self._runtime.clock(), showing.rivals

        def note(tx: Tx) -> None:
            for gift in rivals:
                showings.note_failed(tx, now, gift.link, "till", gift.merchant, "two_at_once")

        self._runtime.store.write_later(note)

    def _values(self, viewer: Viewer, showing: Showing) -> dict[str, Any]:
        merchant = viewer.directory.merchant(viewer.shop.merchant)
        left = (showing.until - g.now).total_seconds() if showing.until is not None else 0
        return {
            "shop": viewer.shop,
            "merchant": merchant.name if merchant is not None else viewer.shop.name,
            "zone": viewer.directory.zone(viewer.shop.slug),
            "showing": showing,
            "left": max(0, min(round(left), round(till.SHOWN_FOR.total_seconds()))),
        }


class Lately:
    """What was done within the last seconds, so that it is not done again. Safe between threads; forgets the oldest."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._done: OrderedDict[str, float] = OrderedDict()

    def is_first(self, what: str) -> bool:
        """Whether it was not asked for lately; it has been now."""
        now = time.monotonic()
        with self._lock:
            last = self._done.get(what)
            if last is not None and now - last < self._seconds:
                return False
            self._done[what] = now
            self._done.move_to_end(what)
            while len(self._done) > _MOST_KNOWN:
                self._done.popitem(last=False)
            return True


def till_blueprint(runtime: Runtime) -> Blueprint:
    """The second screen and its clerk's view, under the name `till`."""
    pages, clerk = TillPages(runtime), ClerkPages(runtime)
    blueprint = guard(Blueprint("till", __name__), runtime)
    add = blueprint.add_url_rule
    add("/till", "shops", clerk.shops)
    add("/till/<shop>", "till", pages.till)
    add("/till/<shop>/live", "live", pages.live)
    add("/till/<shop>/stream", "stream", pages.stream)
    add("/till/<shop>/qr/<link>.png", "image", pages.image)
    add("/till/<shop>/pair", "pair", pages.pair, methods=["GET", "POST"])
    add("/till/<shop>/clerk", "clerk", clerk.view)
    add("/till/<shop>/clerk", "tell", clerk.tell, methods=["POST"])
    add("/till/<shop>/clerk/live", "clerk_live", clerk.live)
    add("/till/<shop>/clerk/screens", "screens", clerk.screens, methods=["POST"])
    add("/till/<shop>/clerk/print/<link>", "slip_of_paper", clerk.printed)
    add("/till/<shop>/clerk/qr/<link>.png", "clerk_image", clerk.image)
    return blueprint
