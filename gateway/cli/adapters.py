"""`drainage adapters`: what is installed."""

from __future__ import annotations

import click

from gateway.catalog.registry import installed, provider_of
from gateway.cli.common import Desk, Group, json_option, print_rows, with_desk
from gateway.config import load_config, process_environ


@click.group(cls=Group)
def adapters() -> None:
    """Adapters of payment platforms."""


@adapters.command("list")
@json_option
@with_desk
def list_(desk: Desk, as_json: bool) -> None:
    """The installed adapters that this home allows."""
    registry = installed(load_config(desk.home.root, process_environ()).plugins.allow)
    rows = [
        {
            "adapter": slug,
            "provider": provider_of(adapter),
            "stale_after_s": getattr(adapter, "stale_after_s", None),
            "sandbox": slug in registry.platforms,
        }
        for slug, adapter in registry.adapters.items()
    ]
    print_rows(rows, ("adapter", "provider", "stale_after_s", "sandbox"), as_json=as_json)
