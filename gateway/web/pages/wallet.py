"""Signing in with a wallet: `require` for pages that must know who looks, the way to the platform and back.

It starts from a GET by a 302 and never from a form (the policy's `form-action` would hold for where it leads), and
ends on a page of ours whose address names nobody. A browser that belongs to no wallet sees where to go instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final, NoReturn

from flask import Blueprint, Response, abort, g, make_response, redirect, render_template, request, session
from werkzeug.wrappers import Response as AnyResponse

from gateway.catalog.directory import Directory, LiveWallet
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.wallet import Platform
from gateway.runtime import Runtime
from gateway.signin import Arrival, Hop, once_more
from gateway.web.pages import browser, customer
from gateway.web.pages.chrome import guard
from gateway.web.pages.customer import Customer
from gateway.web.pages.refusals import cookies_page
from gateway.web.pages.user_agent import kind_of
from linkgen import qr

ALL: Final[tuple[Platform, ...]] = ("wechat", "alipay")
PHONE: Final = "/sandbox/phone/"

_FAILED: Final = "sign_in_failed"
_ARRIVED: Final = "sign_in_arrived"
_A_MOMENT: Final = timedelta(minutes=1)
_CIRCLE: Final = "circle"
_OUTSIDE: Final = "outside"
_KEPT: Final = 4


@dataclass(frozen=True, slots=True)
class Want:
    """What a page asks for: to know who looks, for the sake of `circle` (None: any).

    `channel` is one whose payment is at stake, so that its wallet is taken first. `target` is where the browser comes
    back to, `shown` what a QR code of the page says; paths of ours. `makes`: a stranger becomes a person.
    """

    circle: str | None
    target: str
    shown: str
    channel: str | None = None
    makes: bool = True


def require(runtime: Runtime, circle: str | None, channel: str | None = None) -> Customer:
    """The customer who looks at this page. Else the page ends here: on its way to the wallet, and back to it.

    `circle`: he is to be one of its customers; None where any will do. `channel`: whose wallet is taken first.
    """
    here = request.full_path.rstrip("?")
    return ask(runtime, Want(circle, here, here, channel))


def ask(runtime: Runtime, want: Want) -> Customer:
    """The same with everything told; with `makes` false `person` may be "", someone of whom nothing is kept."""
    directory = runtime.directory()
    wallet = _wallet(directory, want)
    visitor = _visitor(runtime)
    arrived = session.pop(customer.slot(_ARRIVED), None)
    if visitor is not None and (visitor.person or not want.makes) and _fits(directory, visitor, want, wallet):
        return visitor
    if wallet is None:
        abort(outside(runtime, want))
    failed = session.pop(customer.slot(_FAILED), None)
    if failed is None and _is_just_back(arrived, want, runtime.clock()):
        # He comes from there this moment and is asked again: whatever the reason, not once more by itself.
        failed = "nobody"
    if failed is not None or request.method not in {"GET", "HEAD"}:
        abort(_confirm(want, str(failed or "")))
    return _leave_for(runtime, wallet, want)


def outside(runtime: Runtime, want: Want) -> AnyResponse:
    """The page of a browser that belongs to no wallet: where to open this one instead."""
    key = _keep_outside(want)
    # Nobody can scan his way out of a sandbox, so there he may choose whom to be.
    stand_in = _twin(runtime.directory(), want) is not None
    page = render_template(
        "outside.html",
        image=customer.to("wallet.shown_image", key=key),
        link=_origin(runtime) + want.shown,
        stand_in=customer.to("wallet.stand_in", key=key) if stand_in else "",
    )
    return make_response(page, HTTPStatus.OK if request.method in {"GET", "HEAD"} else HTTPStatus.FORBIDDEN)


class WalletPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def back(self, platform: str) -> AnyResponse:
        """GET: the platform has sent the browser back. Ends at the page that wanted to know, never with words here."""
        runtime = self._runtime
        identity = browser.known()
        if identity is None:
            # Without a cookie there is no telling whose state it is; another round would end here again.
            return cookies_page()
        try:
            arrival = runtime.signing_in.finish(
                runtime.directory(), platform, request.args.to_dict(), _bound(identity), g.now
            )
        except Refused as refused:
            browser.count_failed_look_up(runtime)
            abort(refused.status)
        return self._arrived(arrival)

    def _arrived(self, arrival: Arrival) -> AnyResponse:
        runtime, hop = self._runtime, arrival.hop
        if arrival.again:
            wallet = runtime.directory().wallet_of(hop.circle, hop.channel)
            if wallet is not None and wallet.seam is not None:
                return _to_platform(runtime, wallet, once_more(hop))
        if arrival.failed:
            session[customer.slot(_FAILED)] = arrival.failed
        else:
            session.pop(customer.slot(_FAILED), None)
            customer.enter(arrival.person, hop.platform, hop.circle, g.now, hop.channel)
            session[customer.slot(_CIRCLE)] = hop.circle
            session[customer.slot(_ARRIVED)] = [hop.target, to_text(g.now)]
        return redirect(hop.target, 302)

    def shown_image(self, key: str) -> Response:
        """The QR code of a page that this browser could not open. Which one decides the session, not the address."""
        kept = _kept_outside(key)
        if kept is None:
            abort(404)
        return Response(qr.png(_origin(self._runtime) + kept.shown), mimetype="image/png")

    def stand_in(self, key: str) -> AnyResponse:
        """GET: off to the sandbox's stand-in for the wallet, which asks whom to be. 404 where there is none."""
        kept = _kept_outside(key)
        wallet = _twin(self._runtime.directory(), kept) if kept is not None else None
        if kept is None or wallet is None:
            abort(404)
        return _to_platform(self._runtime, wallet, _hop(wallet, kept, self._runtime.directory()))


def wallet_blueprint(runtime: Runtime) -> Blueprint:
    """The way back from a wallet's platform, under the name `wallet`."""
    pages = WalletPages(runtime)
    blueprint = guard(Blueprint("wallet", __name__), runtime)
    add = blueprint.add_url_rule
    add("/wallet/back/<platform>", "back", pages.back)
    add("/wallet/shown/<key>.png", "shown_image", pages.shown_image)
    add("/wallet/stand-in/<key>", "stand_in", pages.stand_in)
    return blueprint


def _is_just_back(arrived: Any, want: Want, now: datetime) -> bool:
    """Whether he came back from his wallet to this very page, a moment ago."""
    if not isinstance(arrived, list):
        return False
    target, at = arrived
    return bool(target == want.target and now - from_text(at) < _A_MOMENT)


def _visitor(runtime: Runtime) -> Customer | None:
    """Who showed his wallet here; someone whom we were told to forget since is asked anew."""
    visitor = customer.visitor(runtime.clock())
    if visitor is None or not visitor.person:
        return visitor
    kept = runtime.store.read(
        lambda tx: tx.one(
            "SELECT 1 AS yes FROM persons WHERE id = :id AND forgotten_at IS NULL", {"id": visitor.person}
        )
    )
    if kept is None:
        customer.leave()
        return None
    return visitor


def channel_at(directory: Directory, shop: str) -> str | None:
    """The channel of a shop that this browser's wallet pays through, so that he is known by what he pays there with."""
    platform = kind_of(request.headers.get("User-Agent", "")).platform
    fitting = {platform} if platform is not None else set(ALL)
    found = (channel for channel in directory.channels() if channel.spec.shop == shop and channel.provider in fitting)
    return next((channel.spec.slug for channel in found), None)


# -- choosing ---------------------------------------------------------------------------------------------------------


def _wallet(directory: Directory, want: Want) -> LiveWallet | None:
    """The wallet that this browser can sign in with; the sandbox's phones have all that are of the sandbox."""
    platform = kind_of(request.headers.get("User-Agent", "")).platform
    if platform is not None:
        return _of_circle(directory, want, (platform,))
    return _twin(directory, _as_paid(directory, want)) if g.get("guest", "") else None


def _as_paid(directory: Directory, want: Want) -> Want:
    """A guest of the sandbox has every wallet: where a page does not say, the one that he paid with last."""
    paid_at = g.get("paid_at")
    paid = directory.channel(paid_at()) if want.channel is None and paid_at is not None else None
    if paid is None or want.circle not in {None, paid.circle.slug}:
        return want
    return replace(want, circle=paid.circle.slug, channel=paid.spec.slug)


def _twin(directory: Directory, want: Want) -> LiveWallet | None:
    found = _of_circle(directory, want, ALL)
    return found if found is not None and found.endpoint else None


def _of_circle(directory: Directory, want: Want, platforms: tuple[Platform, ...]) -> LiveWallet | None:
    """With no circle asked for: the one of the last sign-in here, else the first that has a fitting wallet."""
    if want.circle is not None:
        return directory.wallet_for(want.circle, platforms, want.channel)
    last = session.get(customer.slot(_CIRCLE))
    circles = [last] if isinstance(last, str) else []
    circles += [circle for circle, _ in directory.wallets()]
    found = (directory.wallet_for(circle, platforms, want.channel) for circle in circles)
    return next((wallet for wallet in found if wallet is not None), None)


def _fits(directory: Directory, visitor: Customer, want: Want, wallet: LiveWallet | None) -> bool:
    """Whether signing in once more would tell nothing new."""
    if wallet is None or (want.circle is None and visitor.person):
        # Nothing else to sign in with: who was told before, by whatever wallet, is the best there is.
        return want.circle in {None, visitor.circle}
    mine = directory.wallet_of(visitor.circle, visitor.channel)
    if mine is None or (want.channel is None and visitor.person):
        return want.circle in {None, visitor.circle} or (mine is not None and mine.app_id == wallet.app_id)
    return (mine.platform, mine.app_id) == (wallet.platform, wallet.app_id)


# -- going ------------------------------------------------------------------------------------------------------------


def _leave_for(runtime: Runtime, wallet: LiveWallet, want: Want) -> NoReturn:
    abort(_to_platform(runtime, wallet, _hop(wallet, want, runtime.directory())))


def _hop(wallet: LiveWallet, want: Want, directory: Directory) -> Hop:
    circle = want.circle or next(slug for slug, one in directory.wallets() if one.channel == wallet.channel)
    return Hop(wallet.channel, wallet.platform, circle, want.target, want.makes)


def _to_platform(runtime: Runtime, wallet: LiveWallet, hop: Hop) -> AnyResponse:
    back = _origin(runtime) + customer.to("wallet.back", platform=wallet.platform)
    url = runtime.signing_in.begin(wallet, hop, _bound(browser.identity(runtime)), back, runtime.clock())
    guest = g.get("guest", "")
    if guest and wallet.endpoint:
        # The same page of the same twin, on the guest's own phone, where it knows who holds it.
        url = url.replace(wallet.endpoint, f"{_origin(runtime)}{PHONE}{guest}/platform/{wallet.channel}", 1)
    return redirect(url, 302)


def _bound(identity: str) -> str:
    """What a state is bound to: the browser, and in the sandbox the guest whose phone it is."""
    return f"{identity} {g.get('guest', '')}"


def _confirm(want: Want, failed: str) -> AnyResponse:
    """The page with a button, after a way that came to nothing, and in place of a form by someone not signed in."""
    status = HTTPStatus.OK if request.method in {"GET", "HEAD"} else HTTPStatus.FORBIDDEN
    g.address = want.target
    return make_response(render_template("sign_in.html", target=want.target, failed=failed), status)


def _origin(runtime: Runtime) -> str:
    return runtime.base_url or request.host_url.rstrip("/")


# -- what an outside browser keeps ------------------------------------------------------------------------------------


def _keep_outside(want: Want) -> str:
    """The name under which this browser keeps what it could not open; the newest few stay."""
    key = sha256(want.shown.encode()).hexdigest()[:8]
    kept: Mapping[str, object] = session.get(customer.slot(_OUTSIDE), {})
    others = [(name, one) for name, one in kept.items() if name != key][-(_KEPT - 1) :]
    session[customer.slot(_OUTSIDE)] = {**dict(others), key: asdict(want)}
    return key


def _kept_outside(key: str) -> Want | None:
    kept = session.get(customer.slot(_OUTSIDE), {}).get(key)
    return Want(**kept) if isinstance(kept, dict) else None
