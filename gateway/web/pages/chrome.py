"""What every page shares: headers that keep strangers out, the guard before each form, and the words of templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, abort, current_app, g, request, url_for
from flask_wtf.csrf import CSRFProtect
from markupsafe import Markup

from gateway.runtime import Runtime
from gateway.web.api.bodies import is_storable
from gateway.web.pages import wording
from gateway.web.pages.language import is_large, language
from linkgen.codes import grouped

STATIC: Final = Path(__file__).parent.parent / "static"
_FILES: Final = frozenset({"static", "campaign_static"})
"""Where files are served that a browser may keep: ours, and those of the campaign modules."""
TEMPLATES: Final = Path(__file__).parent.parent / "templates"
FORM_LIMIT: Final = 16 * 1024
_FILE_BUFFER: Final = 128 * 1024
V = TypeVar("V", bound=Callable[..., Any])

_POLICY: Final[Mapping[str, str]] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_A_YEAR_S: Final = 31_536_000

_csrf: Final = CSRFProtect()


def set_up_chrome(app: Flask, runtime: Runtime) -> None:
    """Sessions, form tokens, headers and template words for `app`. Programs' paths (`/api`) are left alone."""
    https = runtime.base_url.startswith("https://")
    app.config.update(
        SECRET_KEY=runtime.keyring.session_key(),
        SESSION_COOKIE_NAME="drainage",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=https,
        # Checked by `guard` on our own blueprints only: programs carry tokens, not cookies.
        WTF_CSRF_CHECK_DEFAULT=False,
        # The token lives as long as its session: a claim page may lie open for hours.
        WTF_CSRF_TIME_LIMIT=None,
        # Embedded browsers drop the Referer; `guard` looks at Origin and Sec-Fetch-Site instead.
        WTF_CSRF_SSL_STRICT=False,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    _csrf.init_app(app)

    @app.after_request
    def headers(response: Response) -> Response:
        if not request.path.startswith("/api/"):
            _set_headers(response, https=https)
        return response

    _set_words(app, runtime)


def takes(limit: int) -> Callable[[V], V]:
    """Mark a view whose form may hold files: it takes up to `limit` bytes instead of FORM_LIMIT."""

    def mark(view: V) -> V:
        view.__dict__["form_limit"] = limit
        return view

    return mark


def guard(blueprint: Blueprint, runtime: Runtime) -> Blueprint:
    """Set the request's moment, and refuse a form that another site sent or that has no token of this session."""

    @blueprint.before_request
    def check() -> None:
        g.now = runtime.clock()
        # A NUL or half a surrogate pair is nothing that a store keeps, and so nothing that it could find.
        if not is_storable([*(request.view_args or {}).values(), *request.args.values()]):
            abort(404)
        if request.method in _SAFE_METHODS:
            return
        view = current_app.view_functions[request.endpoint or ""]
        limit = getattr(view, "form_limit", FORM_LIMIT)
        request.max_content_length = limit
        # What is no file stays small in any form; where files come, the reader's own buffer of 64 KiB counts too.
        request.max_form_memory_size = min(limit, FORM_LIMIT + _FILE_BUFFER)
        # Read first, whatever comes of it: a body left on the wire would spoil a kept-alive connection.
        if not is_storable(list(request.form.values())):
            abort(400)
        if _is_from_elsewhere(runtime.base_url):
            abort(403)
        _csrf.protect()

    return blueprint


def frame_policy(**more: str) -> None:
    """Change directives of this answer's policy; `frame_ancestors="'self'"` sets `frame-ancestors`."""
    g.policy = {**_POLICY, **{name.replace("_", "-"): value for name, value in more.items()}}


def _is_from_elsewhere(base_url: str) -> bool:
    """Whether the browser says that another site made this request.

    `Origin: null` is what our own forms send, since the pages forbid referrers; the form token then decides alone.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return True
    origin = request.headers.get("Origin", "null")
    return origin not in {"null", base_url, request.host_url.rstrip("/")}


def _set_headers(response: Response, *, https: bool) -> None:
    policy = g.get("policy", _POLICY)
    headers = response.headers
    headers.setdefault("Content-Security-Policy", "; ".join(f"{name} {value}" for name, value in policy.items()))
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("X-Robots-Tag", "noindex")
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Permissions-Policy", "camera=(self), microphone=(), geolocation=()")
    if https:
        headers.setdefault("Strict-Transport-Security", f"max-age={_A_YEAR_S}")
    if request.endpoint in _FILES:
        if response.status_code == 200 and request.args.get("v"):  # noqa: PLR2004 - the status of a whole file
            headers["Cache-Control"] = f"public, max-age={_A_YEAR_S}, immutable"
        return
    headers["Cache-Control"] = "no-store"
    if response.mimetype == "text/html":
        headers.setdefault("Content-Language", language())


@lru_cache(maxsize=64)
def _version(name: str) -> str:
    return sha256((STATIC / name).read_bytes()).hexdigest()[:10]


def asset(name: str) -> str:
    """The address of a static file, with its content's fingerprint, so that it may be kept for a year."""
    return url_for("static", filename=name, v=_version(name))


def switch(name: str, value: str) -> str:
    """The address of this very page with one choice changed (`lang`, `text`); never one that holds a token."""
    at = g.get("address")
    if at is not None:
        return f"{at}{'&' if '?' in at else '?'}{urlencode({name: value})}"
    kept = {key: text for key, text in request.args.items() if key not in {"lang", "text"}}
    return "?" + urlencode({**kept, name: value})


def _set_words(app: Flask, runtime: Runtime) -> None:
    def now() -> datetime:
        if "now" not in g:
            g.now = runtime.clock()
        moment: datetime = g.now
        return moment

    def when(value: datetime | str, zone: tzinfo, *, end: bool = False) -> Markup:
        """`<time>` of a moment; with `end`, of the last minute before it."""
        at = wording.as_time(value)
        shown = wording.last_minute(at) if end else at
        words = wording.moment(shown, zone, now(), language())
        return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), words)

    app.add_template_filter(wording.money, "money")
    app.add_template_filter(grouped, "grouped")
    app.add_template_filter(lambda percent: wording.percent_off(percent, language()), "percent_off")
    app.add_template_filter(lambda number: wording.count(number, language()), "count")
    app.add_template_filter(when, "when")
    app.add_template_filter(lambda at, zone: f"{wording.as_time(at).astimezone(zone):%H:%M}", "clock")
    words: dict[str, Any] = {
        "asset": asset,
        "switch": switch,
        "share": wording.share,
        "language": language,
        "is_large": is_large,
        "offset": lambda zone: wording.offset_minutes(zone, now()),
        "zone_name": lambda zone: wording.zone_name(zone, now(), language()),
    }
    app.jinja_env.globals.update(words)
