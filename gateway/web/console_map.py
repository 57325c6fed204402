"""Which of a kind's console pages a path below `/admin/campaigns/<campaign>` means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from gateway.contract.campaign_kind import ConsolePage


def console_map(pages: Sequence[ConsolePage]) -> Map:
    """What matches a path to one of a kind's pages."""
    rules = [Rule(page.path, methods=list(page.methods), endpoint=page) for page in pages]
    return Map(rules, strict_slashes=True, merge_slashes=False)


def match(map_: Map | None, path: str, method: str) -> tuple[ConsolePage, Mapping[str, str]] | None:
    """The page and the values of its path; None where there is none. Raises MethodNotAllowed."""
    if map_ is None:
        return None
    try:
        page, values = map_.bind("").match(path, method=method)
    except HTTPException as refused:
        if refused.code == 405:  # noqa: PLR2004 - told as it is
            raise
        return None
    return page, values
