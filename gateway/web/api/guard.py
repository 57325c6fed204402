"""What every call of the API passes first: a request id, a bounded body, who asks, and whether he may.

A view without a word on who may call it is open to nobody.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar

import structlog
from flask import Blueprint, Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from gateway.auth.bearer import authenticate_bearer
from gateway.auth.principal import Principal, Role
from gateway.contract.errors import Refused, StoreTrouble
from gateway.runtime import Runtime
from gateway.web.api import refusals
from gateway.web.api.bodies import check_body, is_storable
from gateway.web.environ import client_address

F = TypeVar("F", bound=Callable[..., Any])

PREFIX: Final = "/api/"
BODY_LIMIT: Final = 64 * 1024
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}\Z", re.ASCII)
Openness = Role | Literal["any", "open"]
"""The least role; `any` good token; `open` to whoever asks."""


def open_to(role: Openness, *, body_limit: int = BODY_LIMIT) -> Callable[[F], F]:
    """Mark a view: who may call it, and how many bytes it takes."""

    def mark(view: F) -> F:
        view.__dict__.update(open_to=role, body_limit=body_limit)
        return view

    return mark


def own_body(view: F) -> F:
    """Mark a view that reads its body itself, by `body_of`, once it knows how much it may be."""
    view.__dict__["own_body"] = True
    return view


def openness(view: Callable[..., Any]) -> Openness | None:
    """Who may call a view; None for one that nothing is said about, and then nobody may."""
    found: Openness | None = getattr(view, "open_to", None)
    return found


def principal() -> Principal:
    """Who asks. Only in views that are not open."""
    found: Principal = g.principal
    return found


def protect(blueprint: Blueprint, runtime: Runtime) -> None:
    """Guard every view of a blueprint and its children, and put their refusals in the API's shape."""

    @blueprint.before_request
    def check() -> None:
        name_request(runtime)
        view = current_app.view_functions[request.endpoint or ""]
        own = getattr(view, "own_body", False)
        body = b"" if own else body_of(getattr(view, "body_limit", BODY_LIMIT))
        role = openness(view)
        if role != "open":
            header = request.headers.get("Authorization")
            asker = g.principal = authenticate_bearer(runtime.accounts, header, runtime.clock())
            if role is None or not (role == "any" or asker.may(role)):
                raise Refused("forbidden", 403)
        if not is_storable(dict(request.view_args or {})):
            raise Refused("not_found", 404)
        if not is_storable([*request.args.keys(), *request.args.values()]):
            raise Refused("bad_request", 400)
        check_body(body, request.mimetype, is_json=request.is_json)

    blueprint.register_error_handler(Refused, refusals.on_refused)
    blueprint.register_error_handler(StoreTrouble, refusals.on_store_trouble)
    blueprint.register_error_handler(HTTPException, refusals.on_http_exception)
    blueprint.register_error_handler(Exception, refusals.on_anything)


def finish(app: Flask, runtime: Runtime) -> None:
    """Give every answer below /api its request id and headers, also those that no view of ours made."""

    @app.after_request
    def complete(response: Response) -> Response:
        if not request.path.startswith(PREFIX):
            return response
        name_request(runtime)
        response = refusals.in_our_shape(response)
        response.headers["X-Request-ID"] = g.request_id
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return response

    @app.teardown_request
    def forget(_error: BaseException | None) -> None:
        structlog.contextvars.unbind_contextvars("request_id")


def name_request(runtime: Runtime) -> str:
    """The request's id: the caller's where it is a sane one, else ours; it stands in every log line of the request."""
    if "request_id" not in g:
        told = request.headers.get("X-Request-ID", "")
        g.request_id = told if _REQUEST_ID.match(told) else runtime.ids.new("rq", runtime.clock())
        structlog.contextvars.bind_contextvars(request_id=g.request_id)
    found: str = g.request_id
    return found


def caller_address(runtime: Runtime) -> str:
    """The address that the request comes from, as the trusted proxies tell it."""
    return client_address(request.environ, runtime.config.server.trusted_proxies)


def public_url(runtime: Runtime) -> str:
    """Where customers reach us; until that is set, where this caller does."""
    return runtime.base_url or request.url_root.rstrip("/")


def body_of(limit: int) -> bytes:
    """The whole body, so that the connection can be used again. Raises Refused `too_large` (413)."""
    request.max_content_length = limit
    try:
        return request.get_data(cache=True)
    except RequestEntityTooLarge:
        raise Refused("too_large", 413) from None
