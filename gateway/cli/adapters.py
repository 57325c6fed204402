"""`drainage adapters`: what is installed, whether it conforms, and a beginning for a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from gateway.catalog.registry import installed, provider_of
from gateway.checks import matching
from gateway.cli import conform, skeleton
from gateway.cli.common import Desk, Group, home_option, json_option, print_rows, with_desk
from gateway.config import load_config, process_environ
from gateway.contract.errors import Refused

_SLUG: Final = matching(r"[a-z][a-z0-9_]{1,30}", "2 to 31 small letters, digits and underlines, a letter first")


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


@adapters.command()
@click.argument("name")
@with_desk
def check(desk: Desk, name: str) -> None:
    """Run the kit against an installed adapter or kind of campaign. Exit status 1 unless all of it passes."""
    allow = load_config(desk.home.root, process_environ()).plugins.allow
    if not conform.run(conform.test_module(installed(allow), name, allow)):
        raise Refused("not_conforming", 409, f"{name} does not hold what its kit wants")
    click.echo(f"{name} conforms")


@adapters.command()
@click.argument("name")
@click.option("--in", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
@home_option
def new(name: str, folder: Path) -> None:
    """Write a skeleton package for a new adapter, which passes the kit as it is."""
    try:
        slug = _SLUG(name)
    except ValueError as fault:
        raise Refused("bad_name", 422, f"the name {fault}") from None
    for path in skeleton.write(slug, folder):
        click.echo(path)
