"""What a campaign module's pages are given and what becomes of their answers: the bridge between Flask and the seam."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from http.client import OK
from pathlib import Path
from typing import Any, Final, cast

from flask import (
    Flask,
    abort,
    flash,
    g,
    make_response,
    redirect,
    render_template,
    request,
    send_file,
    send_from_directory,
    session,
)
from flask_babel import gettext
from werkzeug.wrappers import Response

from gateway.catalog.registry import Registry
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import Caller, Data, FileOf, GoTo, Method, Seen, Show, Visit
from gateway.runtime import Runtime
from gateway.web.environ import client_address
from gateway.web.pages import customer
from gateway.web.pages.chrome import frame_policy
from gateway.web.pages.fragments import fragment

PHONE: Final = "/sandbox/phone/"
_HEADERS: Final = ("content-type", "upload-offset", "upload-length", "tus-resumable", "range", "user-agent")
_MOST_KEPT: Final = 1024
"""So many characters may a kind have a browser keep: the cookie holds 4 KiB for everything."""


def visit_of(
    runtime: Runtime,
    kind: str,
    values: Mapping[str, Any],
    who: tuple[str, str],
    identity: str,
    caller: Caller | None = None,
) -> Visit:
    """The request at hand as a module sees it. `who`: person and circle signed in for; `identity`: this browser."""
    mount = f"{PHONE}{g.guest}" if g.get("guest") else ""
    raw = request.method in {"PATCH", "PUT"}
    return Visit(
        method=cast("Method", request.method),
        person=who[0],
        device=sha256(f"{identity} {g.get('guest', '')}".encode()).hexdigest()[:32] if identity else "",
        mount=mount,
        address=client_address(request.environ, runtime.config.server.trusted_proxies),
        values={name: str(value) for name, value in values.items()},
        query=dict(request.args),
        form={} if raw else {name: value for name, value in request.form.items() if name != "csrf_token"},
        kept=_kept(kind),
        now=cast("datetime", g.now),
        data=request.get_data() if raw else b"",
        headers={name: request.headers[name] for name in _HEADERS if name in request.headers},
        caller=caller,
        files={} if raw else {name: file.read() for name, file in request.files.items() if file.filename},
        circle=who[1],
    )


def answer(runtime: Runtime, kind: str, visit: Visit, seen: Seen) -> Response:
    """A module's answer as a response. A template's context has `mount`, and of its campaign `circle` and `zone`."""
    if isinstance(seen, Data):
        return _data(seen)
    if isinstance(seen, FileOf):
        return _file(runtime, kind, seen)
    if seen.keep is not None:
        kept = dict(seen.keep)
        if len(json.dumps(kept)) > _MOST_KEPT:
            raise ValueError(f"{kind} has a browser keep more than {_MOST_KEPT} characters")
        session[customer.slot(f"kept:{kind}")] = kept
    if isinstance(seen, GoTo):
        if seen.notice:
            flash(gettext(seen.notice))
        path = seen.path if seen.path.startswith("/admin") else f"{visit.mount}{seen.path}"
        return redirect(path, 303)
    if seen.plays:
        frame_policy(media_src="'self'")
    html = render_template(seen.template, **_context(runtime, visit, seen))
    if visit.method == "GET" and seen.status == OK and seen.template.rpartition("/")[2].startswith("_"):
        # A part of a page that renews itself: no change costs nothing.
        return fragment(html)
    return make_response(html, seen.status)


def register_files(app: Flask, registry: Registry) -> None:
    """Serve each kind's static files at `/static/campaigns/<kind>/…`; templates name them by `campaign_asset`."""
    folders = {
        slug: kind.pages.folder / "static" for slug, kind in registry.campaigns.items() if kind.pages is not None
    }

    @app.get("/static/campaigns/<kind>/<path:name>")
    def campaign_static(kind: str, name: str) -> Response:
        folder = folders.get(kind)
        if folder is None:
            abort(404)
        return send_from_directory(folder, name)

    @lru_cache(maxsize=64)
    def campaign_asset(kind: str, name: str) -> str:
        """The address of a kind's file, with its content's fingerprint, so that it may be kept for a year."""
        version = sha256((folders[kind] / name).read_bytes()).hexdigest()[:10]
        return f"/static/campaigns/{kind}/{name}?v={version}"

    app.jinja_env.globals["campaign_asset"] = campaign_asset


def _context(runtime: Runtime, visit: Visit, seen: Show) -> dict[str, Any]:
    directory = runtime.directory()
    context: dict[str, Any] = {"mount": visit.mount, "zone": directory.zone(None)}
    campaign = seen.values.get("campaign")
    if isinstance(campaign, CampaignView):
        context["circle"] = directory.circle(campaign.circle)
    return {**context, **seen.values}


def _kept(kind: str) -> Mapping[str, str]:
    kept = session.get(customer.slot(f"kept:{kind}"))
    return {str(name): str(value) for name, value in kept.items()} if isinstance(kept, dict) else {}


def _data(seen: Data) -> Response:
    body = seen.body if isinstance(seen.body, str | bytes) else json.dumps(seen.body, ensure_ascii=False)
    response = make_response(body, seen.status)
    response.headers.extend(list(seen.headers.items()))
    response.content_type = seen.content_type
    return response


def _file(runtime: Runtime, kind: str, seen: FileOf) -> Response:
    home: Path = runtime.campaigns.house.files(kind).resolve()
    path = seen.path.resolve()
    if not path.is_relative_to(home) or not path.is_file():
        abort(404)
    response = send_file(path, mimetype=seen.content_type, conditional=True, etag=True)
    response.headers.extend(list(seen.headers.items()))
    return response
