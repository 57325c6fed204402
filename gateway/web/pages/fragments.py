"""Live parts of pages: the same template part by itself, answered with an ETag so that no change costs nothing."""

from __future__ import annotations

from flask import Response, request


def fragment(html: str) -> Response:
    """A part as an answer of its own; 304 where the asker has it already."""
    answer = Response(html, mimetype="text/html")
    answer.add_etag()
    answer.make_conditional(request)
    return answer
