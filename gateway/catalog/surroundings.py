"""What the rules of a catalogue need to know beyond it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.catalog.registry import Registry


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The plug-ins, and what the deployment's settings say.

    `check_upstream` gives None for an address that the relay may call, else why not; `own_host` is the host of
    `[server] base_url`, "" when unknown.
    """

    registry: Registry
    sandbox_enabled: bool
    check_upstream: Callable[[str], str | None]
    own_host: str = ""
