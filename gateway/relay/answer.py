"""What our caller is answered, in WSGI's terms: the POS's answer handed back, or a failure in its own words."""

from __future__ import annotations

import http
import json
from typing import Final, NamedTuple

from gateway.contract.adapter import Headers
from gateway.relay.errors import FailureKind, RelayFailed
from gateway.relay.forward import Answer
from gateway.relay.headers import answer_headers

_MESSAGE: Final[dict[FailureKind, str]] = {
    "timeout": "the merchant's system did not answer in time",
    "refused": "the merchant's system cannot be reached",
    "broken": "the merchant's system broke off its answer",
    "forbidden_address": "the merchant's system cannot be reached",
    "breaker_open": "the merchant's system does not answer at present",
    "bulkhead_full": "the merchant's system is busy",
}
_NO_CONTENT: Final = 204
_NOT_MODIFIED: Final = 304


class WsgiParts(NamedTuple):
    """Status line, headers and body for `start_response` and what follows it."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


def answer_parts(answer: Answer, method: str) -> WsgiParts:
    """The POS's answer: its status, body and end-to-end headers, repeats apart, without Date and Server."""
    headers = answer_headers(answer.headers)
    length = framing_length(answer.status, answer.headers, method, len(answer.body))
    if length is not None:
        headers.append(("Content-Length", length))
    return WsgiParts(status_line(answer.status), headers, answer.body)


def failure_parts(failed: RelayFailed) -> WsgiParts:
    """502, 503 or 504, so that the platform sends again. Neither address nor cause is told to a stranger."""
    body = json.dumps({"code": "FAIL", "message": _MESSAGE[failed.kind]}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
    return WsgiParts(status_line(failed.status), headers, body)


def framing_length(status: int, headers: Headers, method: str, body_length: int | None) -> str | None:
    """The Content-Length to write, None for none.

    An answer without a body by its nature may still tell the length it would have had (RFC 9110 section 8.6): to HEAD
    and with 304 the POS's own word is handed on.
    """
    if status == _NO_CONTENT:
        return None
    if method == "HEAD" or status == _NOT_MODIFIED:
        return next((value for name, value in headers if name.lower() == "content-length" and value.isdigit()), None)
    return None if body_length is None else str(body_length)


def status_line(status: int) -> str:
    """`200` → `200 OK`; a number without a name gets `Unknown`."""
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"
