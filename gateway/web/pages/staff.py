"""Staff in a browser: who is signed in, and the door in front of every page that is not for everyone."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from flask import Response, abort, current_app, g, redirect, request, session, url_for

from gateway.auth import Principal
from gateway.auth.principal import Role, TokenKind
from gateway.auth.tokens import Issued, note_device
from gateway.contract.errors import Refused
from gateway.runtime import Runtime
from gateway.web.pages.user_agent import device_of

COOKIE: Final = "drainage_staff"
_KINDS: Final[tuple[TokenKind, ...]] = ("session",)
_AFTER: Final = "after_login"


def signed_in(runtime: Runtime) -> Principal | None:
    """Who this browser is signed in as, asked of the store once a request; None for nobody. Raises StoreTrouble."""
    if "principal" not in g:
        text = request.cookies.get(COOKIE)
        g.principal = None
        if text:
            try:
                g.principal = runtime.accounts.authenticate(text, runtime.clock(), _KINDS)
            except Refused:
                g.principal = None
    found: Principal | None = g.principal
    return found


def require(runtime: Runtime, role: Role) -> Principal:
    """The member of staff who asks, if he may do what is open to `role`.

    A page that was asked for leads to the sign-in and back; a form gets 401 and does nothing. Raises Refused
    `forbidden` (403) for a lower role.
    """
    who = signed_in(runtime)
    if who is None:
        if request.method != "GET" or request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
            abort(401)
        # Kept in the session and never in an address, so that nobody can send staff elsewhere after signing in.
        session[_AFTER] = request.full_path.rstrip("?")
        abort(redirect(url_for("staff.login"), 303))
    if not who.may(role):
        raise Refused("forbidden", 403, role=role)
    return who


def enter(response: Response, issued: Issued, now: datetime, runtime: Runtime | None = None) -> Response:
    """Give the browser its session: a cookie that scripts cannot read and other sites do not send.

    With `runtime` it is noted what kind of device that was, for the list in which a lost one is found.
    """
    if runtime is not None:
        device = device_of(request.headers.get("User-Agent", ""))
        runtime.store.write(lambda tx: note_device(tx, issued.id, device))
    response.set_cookie(
        COOKIE,
        issued.text,
        max_age=max(0, int((issued.expires_at - now).total_seconds())),
        httponly=True,
        samesite="Lax",
        secure=_cookie_is_secure(),
    )
    return response


def leave(response: Response) -> Response:
    """Take the session from the browser."""
    response.delete_cookie(COOKIE, httponly=True, samesite="Lax", secure=_cookie_is_secure())
    return response


def page_after_login(who: Principal) -> str:
    """Where to go after signing in: the page that was asked for, else the one of his work."""
    wanted = session.pop(_AFTER, "")
    if isinstance(wanted, str) and wanted.startswith("/") and not wanted.startswith(("//", "/\\")):
        return wanted
    return url_for("status.status") if who.may("operator") else url_for("redeem.redeem")


def _cookie_is_secure() -> bool:
    return bool(current_app.config["SESSION_COOKIE_SECURE"])
