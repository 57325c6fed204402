"""How the API says no: one shape for every refusal, whoever raised it, and nothing of the inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import structlog
from flask import Response, g, jsonify, request
from werkzeug.exceptions import HTTPException, default_exceptions

from gateway.contract.errors import Refused, StoreTrouble
from gateway.web.api.codes import message

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_CODE_OF_STATUS: Final[Mapping[int, str]] = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    429: "too_many",
    503: "unavailable",
}
_BAD_REQUEST: Final = 400
_INTERNAL: Final = 500


def answer(
    code: str,
    status: int,
    facts: Mapping[str, Any] | None = None,
    headers: Iterable[tuple[str, str]] = (),
    *,
    otherwise: str = "",
) -> Response:
    """A refusal as the API tells it, in the caller's language; `otherwise`: the words for a code of a plug-in's."""
    chinese = request.accept_languages.best_match(["en", "zh"]) == "zh"
    response = jsonify(
        {
            **(facts or {}),
            "code": code,
            "message": message(code, chinese=chinese, otherwise=otherwise),
            "request_id": g.request_id,
        }
    )
    response.status_code = status
    response.headers.extend(headers)
    response.headers["Content-Language"] = "zh" if chinese else "en"
    if status == 401:  # noqa: PLR2004 - RFC 9110 section 11.6.1 asks for the scheme with it
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def on_refused(refused: Refused) -> Response:
    """What a use case declined: its code, its status, its facts."""
    facts = dict(refused.facts)
    wait = facts.pop("retry_after_s", None)
    headers = [("Retry-After", str(wait))] if wait is not None else []
    return answer(refused.code, refused.status, facts, headers, otherwise=str(refused))


def on_store_trouble(trouble: StoreTrouble) -> Response:
    """The store is away: come again."""
    log.warning("store_trouble", request_id=g.request_id, error=str(trouble))
    return answer("unavailable", 503, headers=[("Retry-After", "1")])


def on_http_exception(error: HTTPException) -> Response:
    """What Flask itself refused."""
    if error.response is not None and error.code is None:
        return answer("internal", _INTERNAL)
    status = error.code or _INTERNAL
    return answer(code_of(status), status, headers=_kept(error.get_headers()))


def on_anything(error: Exception) -> Response:
    """A fault of ours: told in the log under the request's id, and to the caller not at all."""
    log.error("api_failed", request_id=g.request_id, endpoint=request.endpoint, exc_info=error)
    return answer("internal", _INTERNAL)


def in_our_shape(response: Response) -> Response:
    """An error that was made elsewhere (an unknown address, a page's handler) in the API's shape."""
    status = response.status_code
    if status not in default_exceptions or response.mimetype == "application/json":
        return response
    return answer(code_of(status), status, headers=_kept(response.headers.items()))


def code_of(status: int) -> str:
    """The code for an HTTP status that nothing else is known about."""
    return _CODE_OF_STATUS.get(status, "internal" if status >= _INTERNAL else "bad_request")


def _kept(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name in {"Allow", "Retry-After"}]
