"""Links as a command may print them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.cli.common import Desk
from gateway.reading.links import LinkView

_NOWHERE: Final = "http://localhost"


def link_view(desk: Desk) -> LinkView:
    """A view for readers that need one; the addresses it makes are taken away again by `without_address`."""
    runtime = desk.runtime
    return LinkView(runtime.link_keys, runtime.base_url or _NOWHERE, runtime.clock())


def without_address(link: Mapping[str, Any]) -> dict[str, Any]:
    """The link but for its address: whoever holds that may claim, and a terminal's history is no place for it."""
    return {name: value for name, value in link.items() if name != "url"}
